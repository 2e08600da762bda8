// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's devices.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Bar, yes};
use crate::model::{Bdf, PciId};
use crate::schema::{Address, S};
use crate::units::{Size, Time};

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
    /// Its interrupt pin, as `lspci -v` has it ("Interrupt: pin A"): by it a VM has INTx, if the
    /// device has no events or the VM wants none.
    pub pin: Option<S<Pin>>,
    /// All memory BARs that it has, as `lspci -v` has them; the plan places them, and boot compares
    /// their sizes.
    #[serde(default)]
    pub bars: Vec<S<Bar>>,
    /// Its MSI-X, as `lspci -vv` has it. Without this key no VM sees that it has any.
    pub msix: Option<S<Msix>>,
    /// How long what it was told may take, if it has no Function Level Reset. Its VM waits for that
    /// before it starts again, while the device's DMA fails.
    #[schemars(extend("x-default" = "100 ms"))]
    pub settles: Option<S<Time>>,
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
    /// Its registers. A VM reaches whole pages of 4 KiB: all devices in one page go to one VM.
    pub regions: Vec<S<Registers>>,
    /// Its SPIs; `[]` says that it has none.
    pub intids: Vec<S<PlatformIrq>>,
    /// Path of its node in the board's `tree`. A VM's tree has the node's properties and children,
    /// with what they refer to: fixed clocks and regulators, and nodes of devices of the same VM.
    pub node: Option<S<String>>,
    /// Instead of the node's `clocks`: rates in Hz, one for each, that firmware has set and left
    /// on.
    #[serde(default)]
    pub fixed_clocks: Vec<S<u32>>,
    /// Properties of the node, and of what is below, that no VM needs, because firmware has done
    /// what they are for: "resets", "power-domains", "pinctrl-0".
    #[serde(default)]
    pub drop: Vec<S<String>>,
    /// It reads or writes memory by itself. Without an SMMU its VM's memory must then be
    /// `identity`.
    #[schemars(extend("x-default" = false))]
    pub dma: Option<bool>,
    /// How long what it was told may take. Its VM waits for that before it starts again, while the
    /// device's DMA fails.
    #[schemars(extend("x-default" = "100 ms"))]
    pub settles: Option<S<Time>>,
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
pub struct Registers {
    /// First address.
    pub base: S<Address>,
    /// Size.
    pub size: S<Size>,
    /// Its name in `reg-names`: all regions have one, or none has.
    pub name: Option<S<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformIrq {
    /// INTID of the SPI. Devices of one VM may share it.
    pub intid: S<u32>,
    /// How it is signalled.
    pub trigger: Trigger,
    /// Its name in `interrupt-names`: all interrupts have one, or none has.
    pub name: Option<S<String>>,
}

/// INTA to INTD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Pin {
    A,
    B,
    C,
    D,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
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
