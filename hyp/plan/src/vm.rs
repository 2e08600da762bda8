//! One virtual machine.

use crate::{BridgeView, Features, Ipa, ModeIndex, Pa, StandIn, VmId, VmIndex};

#[derive(Debug)]
pub struct Vm {
    pub name: &'static str,
    pub vmid: VmId,
    /// VTTBR_EL2 to write, VMID included.
    pub vttbr: u64,
    /// VTCR_EL2 to write.
    pub vtcr: u64,
    /// Its vPEs: first index into `Plan::vpes`, and how many.
    pub first_vpe: u16,
    pub vpe_count: u16,
    /// First vPE: program counter and x0.
    pub entry: Ipa,
    pub x0: u64,
    /// Memory the guest can address, for checked copies: (IPA, PA, bytes), sorted by IPA.
    pub memory: &'static [(Ipa, Pa, u64)],
    /// Of its memory, what is cleared before its first start: all that no load covers. (base, bytes), 64-byte multiples.
    pub cleared: &'static [(Pa, u64)],
    /// Of its memory, what is as it was before its first start: `clear = false`. (base, bytes).
    pub kept: &'static [(Pa, u64)],
    /// What start and restart copy into its memory, in order.
    pub loads: &'static [Load],
    /// Emulated regions, sorted by IPA, not overlapping.
    pub mmio: &'static [Mmio],
    /// INTID of the emulated UART's interrupt; None: the VM has no console.
    pub uart_intid: Option<u32>,
    /// Virtual LPI configuration table, shared by its vPEs; base and bytes. Zero bytes: no vLPIs.
    pub vlpi_config: (Pa, u64),
    /// What the configuration table starts as: one byte for each vLPI from 8192 on; the rest of the table is 0.
    pub vlpi_config_start: &'static [u8],
    /// Number of virtual INTID bits: vINTIDs are below 2^bits.
    pub vintid_bits: u8,
    /// Bridges on the way to its functions.
    pub bridges: &'static [BridgeView],
    /// What stands for functions 0 that it does not have.
    pub stand_ins: &'static [StandIn],
    /// Its functions: first index into `Plan::functions`, and how many.
    pub first_function: u16,
    pub function_count: u16,
    /// Its channel ends: first index into `Plan::channel_ends`, and how many.
    pub first_channel_end: u16,
    pub channel_end_count: u16,
    pub its: ItsPolicy,
    pub its_allowance: ItsAllowance,
    /// Priority of its vLPIs at the start, a multiple of 4.
    pub vlpi_priority: u8,
    /// What its vPEs have besides what every guest has.
    pub features: Features,
    /// PPIs of the CPU that go to its vPEs, as bits of word 0: the EL1 timers', and the PMU's if it has that.
    pub ppis: u32,
    pub on_fault: Fault,
    /// How often it may reset itself (PSCI SYSTEM_RESET); beyond that it has failed.
    pub resets: Restarts,
    /// Mode that the system goes to when this VM fails, besides what `on_fault` says.
    pub mode_on_fault: Option<ModeIndex>,
    pub watchdog: Option<Watchdog>,
}

/// A piece of payload, copied from the image when its VM starts.
#[derive(Debug)]
pub struct Load {
    pub bytes: &'static [u8],
    pub to: Pa,
    /// Bytes cleared after it.
    pub clear: u64,
}

/// A NOR flash of a VM's: memory that it reads, and stores commands to.
#[derive(Debug)]
pub struct Flash {
    pub vm: VmIndex,
    /// Where the VM sees it, where it is, and its bytes: a power of two, of 256 KiB at least. Not in `Vm::cleared`.
    pub ipa: Ipa,
    pub pa: Pa,
    pub bytes: u64,
    /// The first start erases it; otherwise it is as it was.
    pub erased: bool,
    /// What the first start copies into it then.
    pub loads: &'static [Load],
}

/// An emulated region of a guest's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mmio {
    pub base: Ipa,
    pub bytes: u64,
    pub kind: MmioKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmioKind {
    Distributor,
    /// All its vPEs' redistributors, 128 KiB each, in order.
    Redistributors,
    /// Control frame of the virtual ITS.
    Its,
    Uart,
    /// The first buses of a host bridge's ECAM, where the board has it; one region for each host that the VM has functions
    /// behind. Only those and its bridges answer.
    PciConfig,
    /// The pages of a function's MSI-X table.
    MsixTable,
    /// The watchdog's control frame, and 64 KiB above it its refresh frame.
    Watchdog,
}

/// What the guest may do about its events' vINTIDs (docs/adr/0006-virtual-its.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItsPolicy {
    /// No virtual ITS: the payload knows its vINTIDs.
    None,
    Fixed,
    Remap,
}

/// Batches of commands that a VM may cause at the physical ITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItsAllowance {
    /// At once, after a pause. At least 1.
    pub most: u32,
    /// Ticks of the counter until there is one more. At least 1.
    pub interval: u64,
}

/// What becomes of a VM that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Halt,
    /// It starts afresh, as long as it does not fail too often.
    Restart(Restarts),
    ResetBoard,
}

/// What becomes of a VM that does not feed its watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// The longest time between two feeds, in ticks of the counter.
    pub ticks: u64,
    /// It is armed when the VM starts, and the guest cannot stop it; otherwise the first feed arms it.
    pub from_start: bool,
    /// None: it is told, and the VM goes on.
    pub action: Option<Fault>,
    /// Mode that the system goes to.
    pub mode: Option<ModeIndex>,
    /// INTID of its first signal, an SPI that the board does not use.
    pub intid: u32,
}

/// How often a VM may be restarted before it is halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// Restarts within the time, which begins with the first of them.
    pub most: u32,
    /// The time, in ticks of the counter.
    pub ticks: u64,
}

/// A channel's memory, which two VMs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    pub base: Pa,
    pub bytes: u64,
    /// Boot clears it; otherwise it is as it was.
    pub clear: bool,
}

/// One VM's end of a channel: shared memory, and the event that rings the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelEnd {
    pub name: &'static str,
    pub vm: VmIndex,
    /// Where the VM sees the shared memory.
    pub ipa: Ipa,
    pub pa: Pa,
    pub bytes: u64,
    /// Event of the synthetic device that rings the peer: (DeviceID, EventID).
    pub rings: (u32, u32),
    /// vINTID by which the peer rings this end.
    pub vintid: u32,
    /// This end's memory is mapped writable. Both ends of a channel may be.
    pub writable: bool,
}
