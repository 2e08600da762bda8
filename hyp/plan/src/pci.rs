// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI functions passed through, and what boot writes into their configuration space.

use crate::{Hex, Hex32, List, Pa, Span, Text, VmIndex};

/// A function's configuration space, and what is found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ConfigSpace {
    /// Index of the host among the board's.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub host: usize,
    /// RequesterID: bus 15:8, device 7:3, function 2:0.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub bdf: u16,
    /// Its 4 KiB in the host's ECAM; guests see them at the same address.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16: offset 0.
    pub id: Hex32,
}

/// One function of a VM. The guest sees it at the same place of the same host bridge.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct PciFunction {
    /// As the board's TOML has it.
    pub name: Text,
    /// Bus, device, function and host, as the board's TOML has them.
    #[cfg_attr(feature = "host", serde(skip))]
    pub place: Text,
    pub vm: VmIndex,
    #[cfg_attr(feature = "host", serde(flatten))]
    pub space: ConfigSpace,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub device_id: u32,
    pub bars: List<Bar>,
    /// An SMMU aborts its DMA while its VM does not run.
    #[cfg_attr(feature = "host", serde(skip))]
    pub held: bool,
    /// Milliseconds until what it was told is over, if it cannot be reset.
    pub settle_ms: u32,
    /// Its interrupt pin, from 1 for INTA on, which its VM may use. 0: the VM sees none.
    #[cfg_attr(feature = "host", serde(skip))]
    pub pin: u8,
    /// The SPI that the pin is.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intx: Option<Intx>,
    /// What boot writes before any guest runs: BARs, then the command register.
    pub setup: List<ConfigWrite>,
    /// The messages that it may send. None: it has no events, and is shown without MSI and MSI-X.
    pub messages: Option<Messages>,
    /// Its MSI-X, as its capability must have it. None: it is shown without.
    pub msix: Option<Msix>,
}

/// A pin of a host's own bus, and the SPI that it is.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Intx {
    /// Number of the device on that bus.
    pub device: u8,
    /// From 1 for INTA on.
    pub pin: u8,
    pub intid: u32,
}

/// Messages of a function: writes of an EventID to the one address that its interrupts go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Messages {
    /// GITS_TRANSLATER.
    pub address: Hex,
    /// Its EventIDs are below this.
    pub events: u32,
}

/// Where a function has its MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Msix {
    /// Entries, of 16 bytes each.
    pub vectors: u16,
    pub bar: u8,
    /// Of the table in the BAR, a multiple of 8.
    pub offset: u32,
    /// The pages that hold the table: the VM reaches them through EL2 alone. None:
    /// other registers are there, too, and the VM has them directly.
    pub pages: Option<Span>,
}

/// Function 0 of a device of which a VM has other functions only: nobody looks for those when there
/// is no function 0. It has no registers and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct StandIn {
    /// What the guest reads is EL2's alone.
    #[cfg_attr(feature = "host", serde(flatten))]
    pub space: ConfigSpace,
    /// What is found by it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub before: Text,
}

/// A bridge that leads to functions of VMs. Boot opens it, and it stays as it is.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct PciBridge {
    /// As the board's TOML has them.
    pub name: Text,
    #[cfg_attr(feature = "host", serde(skip))]
    pub place: Text,
    #[cfg_attr(feature = "host", serde(flatten))]
    pub space: ConfigSpace,
    /// The bus that it is on, the one right behind it, and the last one behind it.
    #[cfg_attr(feature = "host", serde(skip))]
    pub primary: u8,
    pub secondary: u8,
    pub subordinate: u8,
    /// Its own BARs, as boot must find them.
    pub bars: List<Bar>,
    /// What it passes on, by addresses of the bus: everything that is behind it. No bytes: nothing.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub base: Hex,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub bytes: u64,
    /// VMs that see it, by VM.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub views: List<View>,
    /// Functions of several VMs are kept apart by its ACS, which it must have.
    pub acs: bool,
    /// What boot writes before it looks for anything behind it: bus numbers and windows, then the
    /// command register.
    pub setup: List<ConfigWrite>,
}

/// A bridge that a VM sees, where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(crate::constant::Constant))]
pub struct BridgeView {
    /// Index into `Plan::bridges`.
    pub bridge: u16,
    /// The memory window that the VM reads: around what is its own behind the bridge. Multiples of
    /// 1 MiB; 0 bytes: closed.
    pub base: Hex32,
    pub bytes: Hex32,
}

/// A memory BAR, placed by the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Bar {
    /// 0..=5; a 64-bit BAR takes `index` and `index + 1`.
    pub index: u8,
    pub wide: bool,
    pub prefetchable: bool,
    /// Where CPUs have it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub base: Pa,
    /// What it holds: where the bus has it.
    pub bus: Hex,
    /// Power of two.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(crate::constant::Constant))]
pub struct ConfigWrite {
    /// Byte offset in the function's configuration space, a multiple of 4.
    pub offset: u16,
    pub value: Hex32,
}

/// A bridge as a VM sees it: with a window around what is the VM's own behind it, by addresses of
/// the bus.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct View {
    pub vm: VmIndex,
    pub base: Hex,
    pub bytes: u64,
}

/// A host bridge as a VM sees it.
#[cfg(feature = "host")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct PciHost {
    /// Index of the host among the board's; its number as a PCI domain.
    pub host: usize,
    pub name: Text,
    /// Configuration space of the buses that the VM sees.
    pub ecam: Span,
    pub first_bus: u8,
    pub last_bus: u8,
    /// PCI memory that holds the VM's BARs and nobody else's.
    pub windows: List<PciWindow>,
    /// DeviceIDs of all requesters on these buses, by RequesterID.
    pub msi_map: List<MsiRange>,
}

/// Requesters whose DeviceIDs follow as their RequesterIDs do.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MsiRange {
    /// The first one's RequesterID.
    pub requester: u32,
    pub device_id: u32,
    pub count: u32,
}

#[cfg(feature = "host")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct PciWindow {
    /// Index of the host among the board's.
    pub host: usize,
    /// Above 4 GiB on the bus.
    pub wide: bool,
    pub base: Pa,
    /// Where the bus has it.
    pub bus: Hex,
    pub bytes: u64,
}
