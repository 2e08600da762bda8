// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One virtual machine.

use crate::{
    BridgeView, Features, Hex, Hex32, Ipa, List, Mapping, ModeIndex, Pa, Payload, Span, StandIn,
    Text, VmId, VmIndex,
};
#[cfg(feature = "host")]
use crate::{GuestSpan, NamedSpan, PciHost};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Vm {
    pub name: Text,
    pub vmid: VmId,
    /// VTTBR_EL2 to write, VMID included.
    pub vttbr: Hex,
    /// VTCR_EL2 to write.
    pub vtcr: Hex,
    /// Its vPEs: first index into `Plan::vpes`, and how many.
    pub first_vpe: u16,
    pub vpe_count: u16,
    /// First vPE: program counter and x0.
    pub entry: Ipa,
    pub x0: Hex,
    /// Memory the guest can address, for checked copies, sorted by IPA.
    pub memory: List<Mapping>,
    /// Position in `memory` of the TOML's first RAM, which comes first in the device tree.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub main_memory: usize,
    /// Of its memory, what is cleared before its first start: all that no load covers. 64-byte
    /// multiples.
    pub cleared: List<Span>,
    /// Of its memory, what is as it was before its first start: `clear = false`.
    pub kept: List<Span>,
    /// What start and restart copy into its memory, in order. On the host with what only the first
    /// start loads.
    #[cfg_attr(feature = "host", constant(with = crate::vm::of_every_start))]
    pub loads: List<Load>,
    /// Emulated regions, sorted by IPA, not overlapping.
    pub mmio: List<Mmio>,
    /// INTID of the emulated UART's interrupt; None: the VM has no console.
    pub uart_intid: Option<u32>,
    /// Where it reads the log, header included.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub log: Option<GuestSpan>,
    /// Virtual LPI configuration table, shared by its vPEs. Zero bytes: no vLPIs.
    pub vlpi_config: Span,
    /// What the configuration table starts as: one byte for each vLPI from 8192 on; the rest of the
    /// table is 0.
    #[cfg_attr(feature = "host", serde(skip))]
    #[cfg_attr(feature = "host", constant(with = crate::constant::bytes))]
    pub vlpi_config_start: List<u8>,
    /// Number of virtual INTID bits: vINTIDs are below 2^bits.
    pub vintid_bits: u8,
    /// Bridges on the way to its functions.
    #[cfg_attr(feature = "host", serde(skip))]
    pub bridges: List<BridgeView>,
    /// What stands for functions 0 that it does not have.
    pub stand_ins: List<StandIn>,
    /// Its functions: first index into `Plan::functions`, and how many.
    pub first_function: u16,
    pub function_count: u16,
    /// Milliseconds until what its other devices were told is over: nobody can reset them.
    pub settle_ms: u32,
    /// Its channel ends: first index into `Plan::channel_ends`, and how many.
    pub first_channel_end: u16,
    pub channel_end_count: u16,
    pub its: ItsPolicy,
    pub its_allowance: ItsAllowance,
    /// Priority of its vLPIs at the start, a multiple of 4.
    #[cfg_attr(feature = "host", serde(rename = "event_priority"))]
    pub vlpi_priority: u8,
    /// What its vPEs have besides what every guest has.
    pub features: Features,
    /// INTID of the PMU's PPI, if the VM has it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub pmu_ppi: Option<u8>,
    /// PPIs of the CPU that go to its vPEs, as bits of word 0: the EL1 timers', and the PMU's if it
    /// has that.
    #[cfg_attr(feature = "host", serde(skip))]
    pub ppis: Hex32,
    pub on_fault: Fault,
    /// How often it is restarted, if anything does that.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Option::is_none"))]
    pub restarts: Option<Restarts>,
    /// How often it may reset itself (PSCI SYSTEM_RESET); beyond that it has failed.
    pub resets: Restarts,
    /// Mode that the system goes to when this VM fails, besides what `on_fault` says.
    pub mode_on_fault: Option<ModeIndex>,
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Option::is_none"))]
    pub watchdog: Option<Watchdog>,
    /// Registers of platform devices, mapped at their physical address.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub registers: List<NamedSpan>,
    /// The hosts that its PCI functions are behind, in the board's order.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub hosts: List<PciHost>,
    /// `/chosen/bootargs`.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub arguments: Option<Text>,
    /// Where the initial RAM disk is.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub initrd: Option<GuestSpan>,
    /// Bytes of its stage-2 tables.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub stage2_bytes: u64,
}

/// A piece of payload, copied from the image when its VM starts.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Load {
    /// "payload", "device tree", "initrd", or "file" of a piece of memory.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub what: &'static str,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub ipa: Ipa,
    /// Only the first start loads it.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(skip)]
    pub in_flash: bool,
    #[cfg_attr(feature = "host", serde(flatten))]
    pub bytes: Payload,
    pub to: Pa,
    /// Bytes cleared after it.
    pub clear: u64,
}

/// A NOR flash of a VM's: memory that it reads, and stores commands to.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Flash {
    pub vm: VmIndex,
    /// Where the VM sees it, where it is, and its bytes: a power of two, of 256 KiB at least. Not
    /// in `Vm::cleared`.
    pub ipa: Ipa,
    pub pa: Pa,
    pub bytes: u64,
    /// The first start erases it; otherwise it is as it was.
    pub erased: bool,
    /// What the first start copies into it then.
    #[cfg_attr(feature = "host", serde(skip))]
    pub loads: List<Load>,
}

/// An emulated region of a guest's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Mmio {
    pub base: Ipa,
    pub bytes: u64,
    pub kind: MmioKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum MmioKind {
    Distributor,
    /// All its vPEs' redistributors, 128 KiB each, in order.
    Redistributors,
    /// Control frame of the virtual ITS.
    Its,
    Uart,
    /// The first buses of a host bridge's ECAM, where the board has it; one region for each host
    /// that the VM has functions behind. Only those and its bridges answer.
    PciConfig,
    /// The pages of a function's MSI-X table.
    MsixTable,
    /// The watchdog's control frame, and 64 KiB above it its refresh frame.
    Watchdog,
}

/// What the guest may do about its events' vINTIDs (docs/adr/0006-virtual-its.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum ItsPolicy {
    /// No virtual ITS: the payload knows its vINTIDs.
    None,
    /// It may map its events as they are.
    Fixed,
    /// It may give them other vINTIDs.
    Remap,
}

/// Batches of commands that a VM may cause at the physical ITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ItsAllowance {
    /// At once, after a pause. At least 1.
    pub most: u32,
    /// Ticks of the counter until there is one more. At least 1.
    pub interval: u64,
}

/// What becomes of a VM that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum Fault {
    /// It stays off.
    Halt,
    /// It starts afresh, as long as it does not fail more often than its `restarts` say.
    Restart,
    /// All VMs start afresh.
    ResetBoard,
}

/// What becomes of a VM that does not feed its watchdog.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Watchdog {
    /// The longest time between two feeds, as the TOML says it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub time: Text,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub microseconds: u64,
    /// The longest time between two feeds, in ticks of the counter.
    pub ticks: u64,
    /// It is armed when the VM starts, and the guest cannot stop it; otherwise the first feed arms
    /// it.
    pub from_start: bool,
    /// None: it is told, and the VM goes on.
    #[cfg_attr(feature = "host", serde(serialize_with = "crate::json::action"))]
    pub action: Option<Fault>,
    /// Mode that the system goes to.
    pub mode: Option<ModeIndex>,
    /// Its control frame.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub base: Ipa,
    /// INTID of its first signal, an SPI that the board does not use.
    pub intid: u32,
}

/// How often a VM may be restarted before it is halted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Restarts {
    /// Restarts within the time, which begins with the first of them.
    pub most: u32,
    /// The time, as the TOML says it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub within: Text,
    /// The time, in ticks of the counter.
    pub ticks: u64,
}

/// A channel's memory, which two VMs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct SharedMemory {
    pub base: Pa,
    pub bytes: u64,
    /// Boot clears it; otherwise it is as it was.
    pub clear: bool,
}

/// One VM's end of a channel: shared memory, and the event that rings the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ChannelEnd {
    pub name: Text,
    /// Index among the system's channels.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub channel: usize,
    /// "first" or "second".
    #[cfg(feature = "host")]
    #[constant(host)]
    pub role: &'static str,
    pub vm: VmIndex,
    /// Where the VM sees the shared memory.
    pub ipa: Ipa,
    pub pa: Pa,
    pub bytes: u64,
    /// Which of `Plan::events` rings the peer.
    pub rings: u32,
    /// vINTID by which the peer rings this end.
    pub vintid: u32,
    /// vPE, as position in the VM, that the peer's ring interrupts.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub vpe: usize,
    /// This end's memory is mapped writable. Both ends of a channel may be.
    pub writable: bool,
}

/// What a piece of memory is to the guest.
#[cfg(feature = "host")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryRole {
    /// In the device tree's /memory.
    Ram,
    /// Read and executed, not written; a guest that writes gets an abort. Nowhere in the device
    /// tree.
    Rom,
    /// As RAM, but nowhere in the device tree.
    Hidden,
    /// A NOR flash: read and executed, stores are its commands.
    Flash,
}

#[cfg(feature = "host")]
impl MemoryRole {
    /// As in the TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Rom => "rom",
            Self::Hidden => "hidden",
            Self::Flash => "flash",
        }
    }

    pub fn is_ram(&self) -> bool {
        *self == Self::Ram
    }
}

#[cfg(feature = "host")]
impl Vm {
    /// PCI memory of all its hosts.
    pub fn windows(&self) -> impl Iterator<Item = &crate::PciWindow> {
        self.hosts.iter().flat_map(|host| &host.windows)
    }
}

#[cfg(feature = "host")]
impl ItsPolicy {
    /// As in the TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fixed => "fixed",
            Self::Remap => "remap",
        }
    }
}

#[cfg(feature = "host")]
impl Watchdog {
    /// What it does, as in the TOML.
    pub fn name(action: Option<&Fault>) -> &'static str {
        action.map_or("report", Fault::name)
    }
}

#[cfg(feature = "host")]
impl Fault {
    /// As in the TOML.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Restart => "restart",
            Self::ResetBoard => "reset-board",
        }
    }
}

/// What goes into a flash is with the flash.
#[cfg(feature = "host")]
fn of_every_start(loads: &[Load]) -> proc_macro2::TokenStream {
    let loads = loads.iter().filter(|load| !load.in_flash).map(crate::constant::Constant::constant);
    quote::quote!(&[#(#loads),*])
}
