// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board TOML.

mod device;
mod gic;
mod pcie;
mod smmu;
mod uart;

pub use device::{
    Device, Msix, PciDevice, Pin, PlatformDevice, PlatformIrq, Registers, Scratch, Trigger,
};
pub use gic::{Gic, GicVersion, Its, Quirk, RdBase, Redistributors};
pub use pcie::{Bar, Bridge, Buses, Controller, Pcie, Window};
pub use smmu::{Iommu, IommuKind, Smmu};
pub use uart::Uart;

use ::plan::Conduit;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Address, S};
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
    /// The RAM.
    #[schemars(length(min = 1))]
    pub ram: Vec<S<Ram>>,
    /// Where the hypervisor's memory begins; without this table, 2 MiB above the start of the first
    /// RAM.
    pub hypervisor: Option<S<Place>>,
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
    /// PCIe controllers without an ECAM: functions behind them cannot be given to a VM.
    #[serde(default)]
    pub controller: Vec<S<Controller>>,
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
    /// Where the description comes from, for people: a manual, or "imported: " and a device tree.
    pub source: Option<String>,
    /// How an image is started there, for people: "U-Boot: booti".
    pub boot: Option<String>,
    /// The UART that the hypervisor keeps: console of all VMs. Without it the board has no console:
    /// the hypervisor's lines go to a log in memory, whose address is in the plan, and VMs have
    /// `console = false`.
    pub uart: Option<S<String>>,
    /// How firmware's PSCI is called: "smc". A board whose firmware wants "hvc" runs a hypervisor
    /// already.
    pub psci: S<Conduit>,
    /// How long it takes at most to hand a shared CPU from one vPE to another: no window and no
    /// budget may be shorter.
    #[schemars(extend("x-default" = "20 us"))]
    pub switch_time: Option<S<Time>>,
    /// Bits of a physical address that all its CPUs have (ID_AA64MMFR0_EL1.PARange): 32, 36, 40,
    /// 42, 44 or 48.
    #[schemars(extend("x-default" = 40))]
    pub address_bits: Option<S<u32>>,
    /// The board's device tree: a blob, relative to this file. Devices with `node` are described to
    /// their VMs as it has them.
    pub tree: Option<S<String>>,
    /// Firmware lets EL2 have the MPAM registers, and EL2 keeps them from guests. Otherwise
    /// firmware is trusted to trap them.
    #[serde(default)]
    pub mpam: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// First address of the hypervisor's memory, in RAM: a multiple of 2 MiB. Firmware that enters
    /// bulkhead.bl33 enters it there, whatever the system is.
    pub base: S<Address>,
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

fn yes() -> bool {
    true
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
pub struct Qemu {
    /// QEMU's `-M`.
    pub machine: String,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// Further arguments. Memory, CPUs, the image and the devices in use are added.
    #[serde(default)]
    pub args: Vec<String>,
    /// The machine's CPUs begin at EL3, at address 0, and QEMU has no firmware for them: `run` adds
    /// this tree's (tests/firmware), which keeps its data in 4 KiB of Secure RAM here.
    pub secure_ram: Option<S<Address>>,
}
