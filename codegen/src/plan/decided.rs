//! The plan as the host sees it: what `plan::Plan` will hold, and what only people read.
//!
//! Field names are those of plan.json. Addresses and register values print as hexadecimal strings, because a JSON
//! number cannot hold 64 bits everywhere; sizes are bytes, interrupts INTIDs, indices positions in the lists here.

use std::fmt;

use serde::{Serialize, Serializer};

use super::modes::Modes;
use super::schedule::Schedule;
use crate::diag::Diagnostic;
use crate::model::{DmaFault, MemoryRole};

/// An address or a register value.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A whole system, decided.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    pub system: String,
    pub description: String,
    /// First 8 bytes of the SHA-256 of every TOML and every payload.
    pub digest: Hex,
    pub board: Board,
    pub cpus: Vec<Cpu>,
    pub vms: Vec<Vm>,
    pub vpes: Vec<Vpe>,
    pub modes: Option<Modes>,
    pub its: Option<Its>,
    /// SMMUs that VMs' devices are behind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub smmus: Vec<Smmu>,
    /// Devices that reach memory by themselves, by VM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masters: Vec<Master>,
    /// Owner of INTID 32 + n.
    pub spis: Vec<Option<SpiRoute>>,
    /// Bridges that a VM needs; none stands before the one that it is behind.
    pub bridges: Vec<Bridge>,
    pub functions: Vec<Function>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flashes: Vec<Flash>,
    pub shared_memory: Vec<SharedMemory>,
    pub channel_ends: Vec<ChannelEnd>,
    pub escape: u8,
    pub focus: usize,
    pub console_cpu: usize,
    pub power_off: bool,
    pub hypervisor: Hypervisor,
    /// Every range of RAM that somebody owns, by address.
    pub memory_map: Vec<Area>,
    /// What it relies on and boot cannot see.
    pub assumptions: Vec<String>,
    /// What is odd about it, though it works.
    #[serde(skip)]
    pub warnings: Vec<Diagnostic>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Board {
    pub name: String,
    pub ram: Vec<NamedSpan>,
    /// The word of each RAM that boot reads, to see that it is there; None: all of it is reserved.
    pub probes: Vec<Option<Hex>>,
    pub distributor: Hex,
    pub redistributors: Hex,
    pub redistributor_stride: u64,
    pub spis: u32,
    pub list_registers: u8,
    pub direct_injection: bool,
    /// Ticks of the system counter in a second.
    pub frequency: u64,
    pub virtual_ppi: u32,
    pub physical_ppi: u32,
    pub hypervisor_ppi: u32,
    pub maintenance_ppi: u32,
    pub console: Console,
    /// Firmware's PSCI is called by SMC, not by HVC.
    pub psci_smc: bool,
    /// EL2 may use the MPAM registers.
    pub mpam: bool,
    /// The GIC's accesses to its tables are coherent with the CPUs' caches.
    pub gic_coherent: bool,
    /// Names of the quirks that its GIC is said to have.
    pub quirks: Vec<&'static str>,
    /// Reserved memory in which boot may take over LPI tables that firmware left on for good.
    pub inherited: Vec<Span>,
}

/// Where the hypervisor's lines go.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    Uart {
        base: Hex,
        intid: Option<u32>,
    },
    /// The board has no UART: a ring in memory, header included.
    Log(Span),
}

impl Console {
    pub fn intid(&self) -> Option<u32> {
        match self {
            Self::Uart { intid, .. } => *intid,
            Self::Log(_) => None,
        }
    }

    pub fn log(&self) -> Option<Span> {
        match self {
            Self::Uart { .. } => None,
            Self::Log(span) => Some(*span),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct NamedSpan {
    pub name: String,
    pub base: Hex,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub base: Hex,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    pub name: String,
    pub mpidr: Hex,
    pub redistributor: Hex,
    pub processor: u16,
    pub propbaser: Hex,
    pub pendbaser: Hex,
    /// In the mode that boots.
    pub schedule: Schedule,
}

/// How often a VM is restarted before it is halted.
#[derive(Clone, Debug, Serialize)]
pub struct Restarts {
    pub most: u32,
    /// The time, as the TOML says it.
    pub within: String,
    /// The same in ticks of the counter.
    pub ticks: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct ItsAllowance {
    /// Batches of commands in a millisecond, and at once.
    pub most: u32,
    /// Ticks of the counter until there is one more.
    pub interval: u64,
}

/// A VM's watchdog.
#[derive(Clone, Debug, Serialize)]
pub struct Watchdog {
    /// The longest time between two feeds, as the TOML says it.
    pub time: String,
    pub microseconds: u64,
    pub ticks: u64,
    /// It is armed when the VM starts.
    pub from_start: bool,
    /// "report", "halt", "restart" or "reset-board".
    pub action: &'static str,
    /// Number of the mode that the system is switched to.
    pub mode: Option<usize>,
    /// IPA of the control frame.
    pub base: Hex,
    /// INTID of WS0.
    pub intid: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct Vm {
    pub name: String,
    pub vmid: u16,
    pub vttbr: Hex,
    pub vtcr: Hex,
    pub first_vpe: usize,
    pub vpe_count: usize,
    pub entry: Hex,
    /// IPA of the device tree.
    pub x0: Hex,
    /// By guest address.
    pub memory: Vec<Mapping>,
    /// Position in `memory` of the TOML's first RAM, which comes first in the device tree.
    pub main_memory: usize,
    pub loads: Vec<Load>,
    /// Cleared before its first start: whole lines of its memory that no load covers.
    pub cleared: Vec<Span>,
    /// As it was before its first start.
    pub kept: Vec<Span>,
    pub mmio: Vec<Mmio>,
    pub uart_intid: Option<u32>,
    /// Where it reads the log: IPAs, header included.
    pub log: Option<Span>,
    pub vlpi_config: Span,
    /// One byte for each vLPI from 8192 on.
    #[serde(skip)]
    pub vlpi_config_start: Vec<u8>,
    pub vintid_bits: u8,
    pub first_function: usize,
    pub function_count: usize,
    pub first_channel_end: usize,
    pub channel_end_count: usize,
    /// "none", "fixed" or "remap".
    pub its: &'static str,
    /// What it may cause at the physical ITS.
    pub its_allowance: ItsAllowance,
    /// Of its vLPIs at the start.
    pub event_priority: u8,
    /// "debug", "pmu", "sve".
    pub features: Vec<&'static str>,
    /// INTID of the PMU's PPI, if the VM has it.
    pub pmu_ppi: Option<u32>,
    /// "halt", "restart" or "reset-board".
    pub on_fault: &'static str,
    /// With "restart": how often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,
    /// How often it may reset itself.
    pub resets: Restarts,
    /// Number of the mode that the system is switched to when it fails.
    pub mode_on_fault: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Watchdog>,
    /// Registers of platform devices, mapped at their physical address.
    pub registers: Vec<NamedSpan>,
    /// The hosts that its PCI functions are behind, in the board's order.
    pub hosts: Vec<Host>,
    pub stand_ins: Vec<StandIn>,
    /// `/chosen/bootargs`.
    pub arguments: Option<String>,
    /// Where the initial RAM disk is, as the guest sees it.
    pub initrd: Option<Span>,
    /// Bytes of its stage-2 tables.
    pub stage2_bytes: u64,
}

/// Guest memory: a range of IPAs and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    pub ipa: Hex,
    pub pa: Hex,
    pub bytes: u64,
    /// What it is to the guest, when that is not RAM.
    #[serde(skip_serializing_if = "is_ram", serialize_with = "role")]
    pub role: MemoryRole,
}

fn is_ram(role: &MemoryRole) -> bool {
    *role == MemoryRole::Ram
}

fn role<S: Serializer>(role: &MemoryRole, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.name())
}

#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// What it is: "payload", "device tree", "initrd", "file" of a piece of memory.
    pub what: &'static str,
    pub ipa: Hex,
    pub to: Hex,
    /// Bytes copied.
    pub bytes: u64,
    /// Bytes cleared after them.
    pub clear: u64,
    /// Where its pristine copy is.
    pub copy: Hex,
    #[serde(skip)]
    pub data: Vec<u8>,
}

/// A NOR flash of a VM's.
#[derive(Clone, Debug, Serialize)]
pub struct Flash {
    pub vm: usize,
    pub ipa: Hex,
    pub pa: Hex,
    pub bytes: u64,
    /// The first start erases it.
    pub erased: bool,
}

impl Flash {
    /// The first start alone loads this into it.
    pub fn has(&self, load: &Load) -> bool {
        load.to.0.wrapping_sub(self.pa.0) < self.bytes
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Mmio {
    pub base: Hex,
    pub bytes: u64,
    pub kind: MmioKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MmioKind {
    Distributor,
    Redistributors,
    Watchdog,
    Its,
    Uart,
    PciConfig,
    /// Pages of an MSI-X table.
    MsixTable,
}

/// A host bridge as a VM sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Index of the host among the board's; its number as a PCI domain.
    pub host: usize,
    pub name: String,
    /// Configuration space of the buses that the VM sees.
    pub ecam: Span,
    pub first_bus: u8,
    pub last_bus: u8,
    /// PCI memory that holds the VM's BARs and nobody else's.
    pub windows: Vec<PciWindow>,
    /// DeviceIDs of all requesters on these buses, by RequesterID.
    pub msi_map: Vec<MsiRange>,
}

/// Requesters whose DeviceIDs follow as their RequesterIDs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MsiRange {
    /// The first one's RequesterID.
    pub requester: u32,
    pub device_id: u32,
    pub count: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct PciWindow {
    /// Index of the host among the board's.
    pub host: usize,
    /// Above 4 GiB on the bus.
    pub wide: bool,
    pub base: Hex,
    /// Where the bus has it.
    pub bus: Hex,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Vpe {
    pub vm: usize,
    pub number: usize,
    /// In the mode that boots.
    pub cpu: usize,
    /// Its position in that CPU's table.
    pub slot: usize,
    pub tables: Option<VpeTables>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct VpeTables {
    pub vpropbaser: Hex,
    pub vpendbaser: Hex,
    pub pending: Hex,
    pub doorbell: u32,
    pub proxy_device: u32,
    pub proxy_event: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct Smmu {
    pub name: String,
    pub base: Hex,
    pub event_intid: u32,
    pub error_intid: u32,
    /// For StreamIDs of `table_bits` bits: their entries, or descriptors of leaves.
    pub table: Span,
    pub table_bits: u8,
    /// StreamID bits of a leaf, if there are leaves.
    pub split: Option<u8>,
    pub leaves: Vec<Leaf>,
    /// Command queue, of `1 << command_bits` commands.
    pub commands: Span,
    pub command_bits: u8,
    /// Event queue, of `1 << event_bits` records.
    pub events: Span,
    pub event_bits: u8,
}

/// Entries of a stream table for the StreamIDs `index << split` and up.
#[derive(Clone, Debug, Serialize)]
pub struct Leaf {
    pub index: u32,
    /// It has `1 << bits` entries.
    pub bits: u8,
    pub table: Span,
}

/// A device that reads and writes memory by itself.
#[derive(Clone, Debug, Serialize)]
pub struct Master {
    pub name: String,
    pub vm: usize,
    /// None: it is trusted, and reaches all memory.
    pub held: Option<Held>,
}

/// What a device behind an SMMU reaches.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Index into `smmus`.
    pub smmu: usize,
    pub streams: Vec<u32>,
    /// What becomes of it when it accesses anything else.
    pub on_fault: DmaFault,
    /// VMID, and root of the device's stage-2 tables.
    pub vttbr: Hex,
    pub vtcr: Hex,
}

#[derive(Clone, Debug, Serialize)]
pub struct Its {
    pub base: Hex,
    pub device_id_bits: u8,
    pub event_id_bits: u8,
    /// Commands name redistributors by address, not by number.
    pub by_address: bool,
    pub entry_bytes: u8,
    /// vPEs move by VMOVP.
    pub moves: bool,
    pub collection_id_bits: u8,
    pub vintid_bits: u8,
    pub tables: Vec<ItsTable>,
    pub cbaser: Hex,
    pub queue: Span,
    pub lpi_config: Span,
    /// One byte for each LPI from 8192 on, the whole table.
    #[serde(skip)]
    pub lpi_config_start: Vec<u8>,
    pub events: Vec<EventRoute>,
    pub devices: Vec<ItsDevice>,
    pub script: Vec<ScriptLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ItsTable {
    pub name: &'static str,
    /// 1 devices, 2 vPEs, 4 collections.
    pub kind: u8,
    pub memory: Span,
    pub entries: u32,
    pub entry_bytes: u8,
}

/// One DeviceID that the ITS is told of.
#[derive(Clone, Debug, Serialize)]
pub struct ItsDevice {
    pub device: u32,
    /// Name on the board; "doorbells" or "channels" for the plan's own.
    pub name: String,
    /// EventIDs are below 2^bits.
    pub event_bits: u8,
    pub table: Span,
}

#[derive(Clone, Debug, Serialize)]
pub struct EventRoute {
    pub device: u32,
    pub event: u32,
    pub vintid: u32,
    pub vpe: usize,
    /// Who raises it: the device's name or the channel's.
    pub source: String,
    pub channel: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ScriptLine {
    /// The command as a person reads it.
    pub text: String,
    pub words: [Hex; 4],
}

#[derive(Clone, Debug, Serialize)]
pub struct SpiRoute {
    pub vm: usize,
    pub vpe: usize,
    pub edge: bool,
    /// The device's name.
    pub source: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Function {
    pub name: String,
    pub vm: usize,
    /// Index of the host among the board's.
    pub host: usize,
    /// RequesterID: bus 15:8, device 7:3, function 2:0.
    pub bdf: u16,
    pub device_id: u32,
    pub config: Hex,
    pub id: Hex,
    pub bars: Vec<Bar>,
    /// Messages that it may send: to where, and EventIDs below which number.
    pub messages: Option<Messages>,
    pub msix: Option<Msix>,
    /// (offset, value), in order.
    pub setup: Vec<(u16, Hex)>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Messages {
    pub address: Hex,
    pub events: u32,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Msix {
    pub vectors: u32,
    pub bar: u8,
    pub offset: u32,
    /// The table's pages, which its VM reaches through the hypervisor. None: the VM is trusted with
    /// them.
    pub pages: Option<Span>,
}

/// A function 0 that a VM sees in place of one that is not its own.
#[derive(Clone, Debug, Serialize)]
pub struct StandIn {
    /// Index of the host among the board's.
    pub host: usize,
    pub bdf: u16,
    pub config: Hex,
    pub id: Hex,
    /// What is found by it.
    pub before: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Bridge {
    pub name: String,
    /// Index of the host among the board's.
    pub host: usize,
    pub bdf: u16,
    pub config: Hex,
    pub id: Hex,
    pub secondary: u8,
    pub subordinate: u8,
    /// Its own, which no VM sees.
    pub bars: Vec<Bar>,
    /// What it passes on, by addresses of the bus: everything that is behind it. No bytes: nothing.
    pub base: Hex,
    pub bytes: u64,
    /// VMs that see it, by VM.
    pub views: Vec<View>,
    /// (offset, value), in order.
    pub setup: Vec<(u16, Hex)>,
}

/// A bridge as a VM sees it: with a window around what is the VM's own behind it, by addresses of the bus.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct View {
    pub vm: usize,
    pub base: Hex,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bar {
    pub index: u8,
    pub wide: bool,
    pub prefetchable: bool,
    pub base: Hex,
    /// What it holds: where the bus has it.
    pub bus: Hex,
    pub bytes: u64,
}

/// A channel's memory.
#[derive(Clone, Debug, Serialize)]
pub struct SharedMemory {
    pub base: Hex,
    pub bytes: u64,
    /// Boot clears it.
    pub clear: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ChannelEnd {
    pub name: String,
    /// Index among the system's channels.
    pub channel: usize,
    /// "first" or "second".
    pub role: &'static str,
    pub vm: usize,
    pub ipa: Hex,
    pub pa: Hex,
    pub bytes: u64,
    /// (DeviceID, EventID) that rings the peer.
    pub rings: (u32, u32),
    pub vintid: u32,
    /// vPE, as position in the VM, that the peer's ring interrupts.
    pub vpe: usize,
    pub writable: bool,
}

/// The hypervisor's own memory.
#[derive(Clone, Debug, Serialize)]
pub struct Hypervisor {
    /// First byte of what the TOML reserves for it.
    pub base: Hex,
    /// Reserved for it by the TOML.
    pub bytes: u64,
    /// First byte of the image. Tables of zeros may lie below.
    pub image: Hex,
    /// For text, data, bss and stacks.
    pub room: u64,
    pub stack_bytes: u64,
    pub stacks: u64,
    /// First byte of tables.bin.
    pub tables: Hex,
    /// Bytes of tables.bin: everything up to the last table or copy that does not start as zeros.
    pub tables_loaded: u64,
    /// Bytes of all tables and copies from `tables` on, with the gaps between them.
    pub tables_bytes: u64,
    /// Bytes of payload copies.
    pub copies: u64,
    /// Root of EL2's stage-1 tables.
    pub ttbr: Hex,
    /// TCR_EL2 for them, without PS.
    pub tcr: Hex,
    /// Level-3 table of the 2 MiB that hold the code.
    pub image_l3: Hex,
    /// First address of the CPUs' windows on other memory.
    pub window: Hex,
    /// Where their level-3 descriptors are.
    pub window_entries: Hex,
    /// Every table and payload copy, by address.
    pub items: Vec<Item>,
    /// What boot clears.
    pub cleared: Vec<Span>,
    /// All that is used from `base` on, payload copies not counted.
    pub kept: u64,
    #[serde(skip)]
    pub tables_bin: Vec<u8>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Item {
    pub name: String,
    pub base: Hex,
    pub bytes: u64,
    /// It starts as zeros.
    pub zero: bool,
    /// It is a payload's pristine copy.
    pub copy: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Area {
    pub base: Hex,
    pub bytes: u64,
    pub owner: String,
    pub what: String,
}

impl Vm {
    /// Windows of all its hosts.
    pub fn windows(&self) -> impl Iterator<Item = &PciWindow> {
        self.hosts.iter().flat_map(|host| &host.windows)
    }
}

impl Decided {
    /// "control/0".
    pub fn vpe_name(&self, vpe: usize) -> String {
        let vpe = &self.vpes[vpe];
        format!("{}/{}", self.vms[vpe.vm].name, vpe.number)
    }

    pub fn vm_functions(&self, vm: &Vm) -> &[Function] {
        &self.functions[vm.first_function..][..vm.function_count]
    }

    /// Bridges that VM number `vm` sees: index among `bridges`, and how.
    pub fn vm_bridges(&self, vm: usize) -> impl Iterator<Item = (usize, &View)> {
        let views = self
            .bridges
            .iter()
            .enumerate()
            .flat_map(|(n, bridge)| bridge.views.iter().map(move |view| (n, view)));
        views.filter(move |(_, view)| view.vm == vm)
    }

    pub fn vm_channel_ends(&self, vm: &Vm) -> &[ChannelEnd] {
        &self.channel_ends[vm.first_channel_end..][..vm.channel_end_count]
    }
}
