// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's PCIe hosts, and the bridges behind them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Frame, yes};
use crate::model::{Bdf, PciId};
use crate::schema::{Address, S};
use crate::units::Size;

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
    /// It has ACS, by which everything that comes from behind it goes to the host (source
    /// validation, request and completion redirect, upstream forwarding). The hypervisor turns it
    /// on, and does not start without. Otherwise functions behind two ports of one switch reach
    /// each other past the SMMU.
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

/// A PCIe controller whose configuration space is no ECAM: each access to it takes a driver of its
/// own, which the hypervisor has not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// Name, as a device's or a bridge's `host` would have it.
    pub name: S<String>,
    /// What it is: the first `compatible` of its node.
    pub compatible: String,
}
