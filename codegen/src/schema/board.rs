// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board TOML.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Address, S};
use crate::model::{Bdf, PciId};
use crate::units::{Size, Time};

/// A board: CPUs, memory, interrupt controller and devices.
///
/// One file in boards/, named like the board. Addresses are physical and interrupts are INTIDs, as
/// the SoC's manual has them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardFile {
    /// The board that this one is but for what it says: NAME for boards/NAME.toml, or a path ending
    /// in .toml relative to this file. Tables merge by key, lists of tables by `name`; every other
    /// value replaces the inherited one, and so does an empty list. `bulkhead board NAME` shows the
    /// result.
    pub inherit: Option<S<String>>,
    /// What of the inherited board this one does not have: "pmu", "gic.its", "device.nvme0",
    /// "device.nvme0.msix".
    #[serde(default)]
    pub remove: Vec<S<String>>,
    /// What the board is called and how its firmware is used.
    pub board: S<BoardTable>,
    /// The CPUs. The first one boots.
    #[schemars(length(min = 1))]
    pub cpu: Vec<S<Cpu>>,
    /// The RAM. The hypervisor lives 2 MiB above the start of the first range.
    #[schemars(length(min = 1))]
    pub ram: Vec<S<Ram>>,
    /// Parts of the RAM that belong to firmware or hardware.
    #[serde(default)]
    pub reserved: Vec<S<Reserved>>,
    /// The interrupt controller: GICv3 or GICv4.
    pub gic: S<Gic>,
    /// The generic timer, with its interrupts and those of the GIC itself.
    pub timer: S<Timer>,
    /// The performance monitors, if their interrupt is connected.
    pub pmu: Option<S<Pmu>>,
    /// Serial ports.
    #[serde(default)]
    pub uart: Vec<S<Uart>>,
    /// PCIe host bridges.
    #[serde(default)]
    pub pcie: Vec<S<Pcie>>,
    /// PCIe ports and other bridges that lead to further buses.
    #[serde(default)]
    pub bridge: Vec<S<Bridge>>,
    /// SMMUs, by which a device reaches what its VM reaches and nothing else.
    #[serde(default)]
    pub smmu: Vec<S<Smmu>>,
    /// IOMMUs that the hypervisor cannot drive: devices behind them are as if behind none.
    #[serde(default)]
    pub iommu: Vec<S<Iommu>>,
    /// Devices that can be given to a VM.
    #[serde(default)]
    pub device: Vec<S<Device>>,
    /// How `bulkhead run` starts the board under QEMU.
    pub qemu: Option<S<Qemu>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardTable {
    /// Name of the board: up to 31 letters, digits, `-`, `_` and `.`, as all names are but those of
    /// RAM and reserved ranges.
    pub name: S<String>,
    /// One line for people.
    pub description: Option<String>,
    /// The UART that the hypervisor keeps: console of all VMs. Without it the board has no console:
    /// the hypervisor's lines go to a log in memory, whose address is in the plan, and VMs have
    /// `console = false`.
    pub uart: Option<S<String>>,
    /// How firmware's PSCI is called: "smc". A board whose firmware wants "hvc" runs a hypervisor
    /// already.
    pub psci: S<Psci>,
    /// How long it takes at most to hand a shared CPU from one vPE to another: no window and no
    /// budget may be shorter.
    #[schemars(extend("x-default" = "20 us"))]
    pub switch_time: Option<S<Time>>,
    /// Bits of a physical address that all its CPUs have (ID_AA64MMFR0_EL1.PARange): 32, 36, 40,
    /// 42, 44 or 48.
    #[schemars(extend("x-default" = 40))]
    pub address_bits: Option<S<u32>>,
    /// Firmware lets EL2 have the MPAM registers, and EL2 keeps them from guests. Otherwise
    /// firmware is trusted to trap them.
    #[serde(default)]
    pub mpam: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Psci {
    Smc,
    Hvc,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Name by which a VM's vPE claims it.
    pub name: S<String>,
    /// Affinity fields of its MPIDR_EL1: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0.
    pub mpidr: S<Address>,
    /// Its redistributor, when it is not at its place in `gic.redistributors`.
    #[schemars(extend("x-default" = "base + position * stride"))]
    pub redistributor: Option<S<Address>>,
    /// Its number in ITS commands (GICR_TYPER.Processor_Number), where that is not its place in
    /// this list.
    #[schemars(range(min = 0, max = 65535), extend("x-default" = "position"))]
    pub processor: Option<S<u16>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ram {
    /// Name in messages and in the plan.
    pub name: S<String>,
    /// First address, a multiple of 2 MiB.
    pub base: S<Address>,
    /// Size, a multiple of 2 MiB.
    pub size: S<Size>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// Name in messages and in the plan.
    pub name: S<String>,
    /// First address, a multiple of 4 KiB.
    pub base: S<Address>,
    /// Size, a multiple of 4 KiB.
    pub size: S<Size>,
    /// Why nobody may use it.
    pub reason: String,
    /// LPI tables that firmware, or a kernel before, left on for good (GICR_CTLR.EnableLPIs) may
    /// lie here: boot then takes them over. Boot names tables that it may not take over in one
    /// line, as an entry for this list.
    #[serde(default)]
    #[schemars(extend("x-default" = false))]
    pub lpi_tables: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gic {
    /// Version of the GIC. With "v4.0" events reach a guest without the hypervisor.
    pub version: S<GicVersion>,
    /// Number of SPIs: INTIDs from 32 up to 32 + spis - 1.
    #[schemars(range(min = 0, max = 988))]
    pub spis: S<u32>,
    /// List registers of each CPU (ICH_VTR_EL2.ListRegs + 1).
    #[schemars(range(min = 3, max = 16))]
    pub list_registers: S<u8>,
    /// The distributor's frame (GICD).
    pub distributor: S<Frame>,
    /// The redistributors' frames (GICR).
    pub redistributors: S<Redistributors>,
    /// Its accesses to tables in memory are coherent with the CPUs' caches. With false the tables
    /// are non-cacheable to it, and the hypervisor cleans what it writes there: needed where base
    /// registers read back shareability 0, or wrongly do not.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// Where it differs from the architecture. Boot compares with GITS_IIDR and GICD_IIDR, and
    /// names one that is missing here or does not fit. "hisilicon-161600802": VMAPP and VMOVP name
    /// the VLPI frame. "hisilicon-162100801": VINVALL follows each VMOVP. "arm-2941627": the
    /// hypervisor deactivates SPIs by GICD_ICACTIVER; not for a VM of several vPEs with SPIs, nor
    /// with modes. "rockchip-3588001": `coherent = false` is needed. "rockchip-3568002": that, and
    /// the hypervisor's memory below 4 GiB. "socionext-pre-its": no events. "nvidia-t241-fabric-4":
    /// refused, SPIs of other chips are out of reach.
    #[serde(default)]
    pub quirks: Vec<S<Quirk>>,
    /// The interrupt translation service (GITS). Without it there are no events.
    pub its: Option<S<Its>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum Quirk {
    #[serde(rename = "hisilicon-161600802")]
    Hisilicon161600802,
    #[serde(rename = "hisilicon-162100801")]
    Hisilicon162100801,
    #[serde(rename = "arm-2941627")]
    Arm2941627,
    #[serde(rename = "rockchip-3588001")]
    Rockchip3588001,
    #[serde(rename = "rockchip-3568002")]
    Rockchip3568002,
    #[serde(rename = "socionext-pre-its")]
    SocionextPreIts,
    #[serde(rename = "nvidia-t241-fabric-4")]
    NvidiaT241Fabric4,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum GicVersion {
    #[serde(rename = "v3")]
    V3,
    #[serde(rename = "v4.0")]
    V4_0,
    #[serde(rename = "v4.1")]
    V4_1,
}

/// A range of physical addresses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// First address.
    pub base: S<Address>,
    /// Size.
    pub size: S<Size>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redistributors {
    /// Address of the first CPU's redistributor.
    pub base: S<Address>,
    /// Distance from one CPU's redistributor to the next: "128 KiB" for GICv3, "256 KiB" for GICv4.
    pub stride: S<Size>,
    /// Size of the whole region.
    #[schemars(extend("x-default" = "stride * CPUs"))]
    pub size: Option<S<Size>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Its {
    /// Address of the control frame.
    pub base: S<Address>,
    /// Size of the control and translation frames: "128 KiB".
    pub size: S<Size>,
    /// Bits of a DeviceID (GITS_TYPER.Devbits + 1).
    #[schemars(range(min = 1, max = 32))]
    pub device_id_bits: S<u8>,
    /// Bits of an EventID (GITS_TYPER.ID_bits + 1).
    #[schemars(range(min = 1, max = 32))]
    pub event_id_bits: S<u8>,
    /// Bytes of one interrupt translation entry (GITS_TYPER.ITT_entry_size + 1).
    #[schemars(range(min = 1, max = 16))]
    pub entry_size: S<u8>,
    /// Bytes of one entry of the device, collection and vPE tables (GITS_BASERn.Entry_Size + 1), at
    /// most: an ITS with smaller ones will do.
    #[schemars(range(min = 1, max = 32))]
    pub table_entry_size: S<u8>,
    /// The same of the device table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub device_entry_size: Option<S<u8>>,
    /// The same of the collection table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub collection_entry_size: Option<S<u8>>,
    /// The same of the vPE table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub vpe_entry_size: Option<S<u8>>,
    /// Largest page that the ITS may demand of a table (GITS_BASERn.Page_Size): "4 KiB", "16 KiB"
    /// or "64 KiB". Tables are made of whole pages of that size; boot finds out which one the ITS
    /// has.
    #[schemars(extend("x-default" = "64 KiB"))]
    pub table_page: Option<S<Size>>,
    /// How an ITS command names a redistributor (GITS_TYPER.PTA).
    pub rdbase: RdBase,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RdBase {
    ProcessorNumber,
    Address,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// Ticks of the system counter in a second, as CNTFRQ_EL0 has it; at least 1 MHz, because EL2
    /// measures microseconds.
    #[schemars(range(min = 1_000_000))]
    pub frequency: S<u32>,
    /// INTID of the EL1 virtual timer's PPI, usually 27. Guests see it by this number.
    #[serde(rename = "virtual")]
    pub virtual_ppi: S<u32>,
    /// INTID of the EL1 physical timer's PPI (the non-secure one). Guests see it by this number.
    #[schemars(extend("x-default" = 30))]
    pub physical: Option<S<u32>>,
    /// INTID of the EL2 physical timer's PPI, usually 26.
    pub hypervisor: S<u32>,
    /// INTID of the GIC's maintenance PPI, usually 25.
    pub maintenance: S<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pmu {
    /// INTID of the PPI by which every CPU says that a counter overflowed, usually 23. A VM with
    /// `features = ["pmu"]` gets it.
    pub intid: S<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    /// Name, for `board.uart`.
    pub name: S<String>,
    /// What it is.
    pub kind: UartKind,
    /// First address.
    pub base: S<Address>,
    /// Size, a multiple of 4 KiB.
    pub size: S<Size>,
    /// INTID of its SPI. Without it the console has no input.
    pub intid: Option<S<u32>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UartKind {
    Pl011,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    /// Name, for a device's `host`.
    pub name: S<String>,
    /// Configuration space (ECAM): 1 MiB for each bus, beginning with the first bus's.
    pub ecam: S<Frame>,
    /// The buses it has.
    pub buses: S<Buses>,
    /// Window for BARs below 4 GiB on the bus.
    pub window32: Option<S<Window>>,
    /// Window for 64-bit BARs, above 4 GiB on the bus.
    pub window64: Option<S<Window>>,
    /// INTIDs of INTA, INTB, INTC and INTD of device 0; they rotate with the device number.
    #[serde(default)]
    pub intx: Vec<S<u32>>,
    /// DeviceID of device 0, function 0 on the first bus, as `msi-map` has it; other functions'
    /// follow as their RequesterIDs do.
    #[schemars(extend("x-default" = "that function's RequesterID"))]
    pub device_id_base: Option<S<u32>>,
    /// DMA of its devices is coherent with the CPUs' caches. With false guests' device trees lack
    /// `dma-coherent`, so that their drivers maintain the caches.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// The SMMU that all its functions' accesses go through. Without it they reach all memory.
    pub smmu: Option<S<String>>,
    /// The `[[iommu]]` that they go through instead: it holds nothing back.
    pub iommu: Option<S<String>>,
    /// StreamID of device 0, function 0 on the first bus, as `iommu-map` has it; other functions'
    /// follow as their RequesterIDs do.
    #[schemars(extend("x-default" = "that function's RequesterID"))]
    pub stream_id_base: Option<S<u32>>,
}

/// An SMMUv3. The hypervisor keeps it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smmu {
    /// Name, for a host's `smmu`.
    pub name: S<String>,
    /// First address of its registers, 128 KiB.
    pub base: S<Address>,
    /// Bits of a StreamID (SMMU_IDR1.SIDSIZE).
    #[schemars(range(min = 0, max = 32))]
    pub stream_id_bits: S<u8>,
    /// INTID of its event queue's SPI.
    pub event_intid: S<u32>,
    /// INTID of its global errors' SPI.
    pub error_intid: S<u32>,
    /// It reads and writes its tables and queues through the CPUs' caches (SMMU_IDR0.COHACC, and
    /// `dma-coherent` of its node).
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// It has stream tables of two levels (SMMU_IDR0.ST_LEVEL). Without them StreamIDs have at most
    /// 12 bits.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub two_level: bool,
    /// Bits of the physical addresses that it gives out (SMMU_IDR5.OAS).
    #[schemars(range(min = 32, max = 52), extend("x-default" = "the board's address_bits"))]
    pub address_bits: Option<S<u32>>,
}

/// An IOMMU that the hypervisor cannot drive. Firmware has to leave it so that it lets everything
/// through, addresses unchanged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Iommu {
    /// Name, for a host's or a device's `iommu`.
    pub name: S<String>,
    /// What it is: an SMMUv2, Arm's MMU-500 among them, or a vendor's own.
    pub kind: IommuKind,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IommuKind {
    SmmuV2,
    Vendor,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First address, as CPUs have it.
    pub base: S<Address>,
    /// Size.
    pub size: S<Size>,
    /// First address on the bus: what BARs hold.
    #[schemars(extend("x-default" = "base"))]
    pub bus: Option<S<Address>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Buses {
    /// First bus: the host's own, at the start of the ECAM. Firmware or hardware gives it its
    /// number.
    pub first: S<u8>,
    /// Last bus.
    pub last: S<u8>,
}

/// A root port, a port of a switch or another PCI bridge. VMs that have a function behind it see
/// it; none can change it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Name in messages and in the plan.
    pub name: S<String>,
    /// The host bridge it belongs to.
    pub host: S<String>,
    /// Bus, device and function, as in "00:08.0".
    pub address: S<Bdf>,
    /// Vendor and device that its configuration space must show, as in "1b36:000c".
    pub id: S<PciId>,
    /// The bus right behind it: addresses of what is there begin with this number. Boot gives it to
    /// the bridge.
    pub secondary: S<u8>,
    /// The last bus behind it, when there are further bridges.
    #[schemars(extend("x-default" = "secondary"))]
    pub subordinate: Option<S<u8>>,
    /// Conventional PCI is behind it: all functions there have one StreamID, that of device 0,
    /// function 0 on the bus right behind it. For one with events write its `device_id`.
    #[serde(default)]
    #[schemars(extend("x-default" = false))]
    pub conventional: bool,
    /// Firmware has this port send everything that comes from behind it to the host (ACS: P2P
    /// request and completion redirect, upstream forwarding). Otherwise functions behind two ports
    /// of one switch reach each other past the SMMU.
    #[serde(default)]
    #[schemars(extend("x-default" = false))]
    pub acs: bool,
    /// Its own memory BARs, 0 and 1; the plan places them, and no VM sees them.
    #[serde(default)]
    pub bars: Vec<S<Bar>>,
    /// QEMU arguments that make it. They stand before those of devices, in the order of the bridges
    /// here.
    #[serde(default)]
    pub qemu: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(tag = "kind")]
pub enum Device {
    /// A PCI function.
    Pci(PciDevice),
    /// A device at fixed addresses.
    Platform(PlatformDevice),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PciDevice {
    /// Name by which a VM claims it.
    pub name: S<String>,
    /// The host bridge it is behind.
    pub host: S<String>,
    /// Bus, device and function, as in "00:02.0".
    pub address: S<Bdf>,
    /// Vendor and device that its configuration space must show, as in "1b36:0010".
    pub id: S<PciId>,
    /// It reads or writes memory by itself. Without an SMMU its VM's memory must then be
    /// `identity`.
    pub dma: bool,
    /// MSI or MSI-X vectors it has: its events are numbered from 0.
    #[schemars(extend("x-default" = 0))]
    pub events: Option<S<u32>>,
    /// All memory BARs that it has, as `lspci -v` has them; the plan places them, and boot compares
    /// their sizes.
    #[serde(default)]
    pub bars: Vec<S<Bar>>,
    /// Its MSI-X, as `lspci -vv` has it. Without this key no VM sees that it has any.
    pub msix: Option<S<Msix>>,
    /// DeviceID that the ITS sees, when it does not follow from the host and the address.
    #[schemars(extend("x-default" = "by the host's device_id_base"))]
    pub device_id: Option<S<u32>>,
    /// QEMU arguments that make it; `{scratch}` stands for the directory of its scratch files.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// Files that a run under QEMU needs.
    #[serde(default)]
    pub scratch: Vec<S<Scratch>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformDevice {
    /// Name by which a VM claims it.
    pub name: S<String>,
    /// `compatible` of its device tree node.
    pub compatible: S<String>,
    /// Its registers, whole pages of 4 KiB.
    pub regions: Vec<S<Frame>>,
    /// Its SPIs; `[]` says that it has none.
    pub intids: Vec<S<PlatformIrq>>,
    /// It reads or writes memory by itself. Without an SMMU its VM's memory must then be
    /// `identity`.
    #[schemars(extend("x-default" = false))]
    pub dma: Option<bool>,
    /// Its DMA is coherent with the CPUs' caches; with false its node lacks `dma-coherent`. A PCI
    /// device is what its host is.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// DeviceID that the ITS sees; without it the device has no events.
    pub device_id: Option<S<u32>>,
    /// Events it has, numbered from 0.
    #[schemars(extend("x-default" = 0))]
    pub events: Option<S<u32>>,
    /// The SMMU that its accesses go through. Without it they reach all memory.
    pub smmu: Option<S<String>>,
    /// StreamIDs of its accesses, as `iommus` has them.
    #[serde(default)]
    pub streams: Vec<S<u32>>,
    /// The `[[iommu]]` that they go through instead: it holds nothing back.
    pub iommu: Option<S<String>>,
    /// QEMU arguments that make it; `{scratch}` stands for the directory of its scratch files.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// Files that a run under QEMU needs.
    #[serde(default)]
    pub scratch: Vec<S<Scratch>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Msix {
    /// Entries of the table.
    pub vectors: S<u32>,
    /// Number of the BAR that holds the table.
    #[schemars(range(min = 0, max = 5))]
    pub bar: S<u8>,
    /// Offset of the table in that BAR. A guest reaches the pages of 4 KiB that hold the table
    /// through the hypervisor, which lets through what the plan has.
    pub table: S<u32>,
    /// Other registers than MSI-X's are in those pages, against the specification: the guest has
    /// them, and the table, directly. Its messages are then not checked.
    #[schemars(extend("x-default" = false))]
    pub trusted: Option<S<bool>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Number of the BAR; a wide one takes this and the next.
    #[schemars(range(min = 0, max = 5))]
    pub index: S<u8>,
    /// Size, a power of two, of 4 KiB at least.
    pub size: S<Size>,
    /// It is a 64-bit BAR.
    #[schemars(extend("x-default" = false))]
    pub wide: Option<bool>,
    /// Reading it has no side effect.
    #[schemars(extend("x-default" = false))]
    pub prefetchable: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformIrq {
    /// INTID of the SPI.
    pub intid: S<u32>,
    /// How it is signalled.
    pub trigger: Trigger,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    Level,
    Edge,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scratch {
    /// Name of the file, in the directory of scratch files.
    pub file: S<String>,
    /// Its size; it starts as zeros.
    pub size: S<Size>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// QEMU's `-M`.
    pub machine: String,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// Further arguments. Memory, CPUs, the image and the devices in use are added.
    #[serde(default)]
    pub args: Vec<String>,
}
