//! PCI functions passed through, and what boot writes into their configuration space.

use crate::{Pa, VmIndex};

/// One function of a VM. The guest sees it at the same place of the same host bridge.
#[derive(Debug)]
pub struct PciFunction {
    /// As the board's TOML has it.
    pub name: &'static str,
    /// Bus, device, function and host, as the board's TOML has them.
    pub place: &'static str,
    pub vm: VmIndex,
    /// Its 4 KiB of configuration space in its host's ECAM; the guest sees them at the same address.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16 that offset 0 must read.
    pub id: u32,
    pub bars: &'static [Bar],
    /// What boot writes before any guest runs: BARs, then the command register.
    pub setup: &'static [ConfigWrite],
    /// The messages that it may send. None: it has no events, and is shown without MSI and MSI-X.
    pub messages: Option<Messages>,
    /// Its MSI-X, as its capability must have it. None: it is shown without.
    pub msix: Option<Msix>,
}

/// Messages of a function: writes of an EventID to the one address that its interrupts go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// GITS_TRANSLATER.
    pub address: u64,
    /// Its EventIDs are below this.
    pub events: u32,
}

/// Where a function has its MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msix {
    /// Entries, of 16 bytes each.
    pub vectors: u16,
    pub bar: u8,
    /// Of the table in the BAR, a multiple of 8.
    pub offset: u32,
    /// The pages that hold the table, and their bytes: the VM reaches them through EL2 alone. None:
    /// other registers are there, too, and the VM has them directly.
    pub pages: Option<(Pa, u64)>,
}

/// Function 0 of a device of which a VM has other functions only: nobody looks for those when there
/// is no function 0. It has no registers and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Its 4 KiB of configuration space, at the address that the guest sees.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16 that offset 0 reads.
    pub id: u32,
}

/// A bridge that leads to functions of VMs. Boot opens it, and it stays as it is.
#[derive(Debug)]
pub struct PciBridge {
    /// As the board's TOML has them.
    pub name: &'static str,
    pub place: &'static str,
    /// Its 4 KiB of configuration space in its host's ECAM; guests see them at the same address.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16 that offset 0 must read.
    pub id: u32,
    /// The bus that it is on, the one right behind it, and the last one behind it.
    pub primary: u8,
    pub secondary: u8,
    pub subordinate: u8,
    /// Its own BARs, as boot must find them.
    pub bars: &'static [Bar],
    /// What boot writes before it looks for anything behind it: bus numbers and windows, then the command register.
    pub setup: &'static [ConfigWrite],
}

/// A bridge that a VM sees, where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeView {
    /// Index into `Plan::bridges`.
    pub bridge: u16,
    /// The memory window that the VM reads: around what is its own behind the bridge. Multiples of 1 MiB; 0 bytes: closed.
    pub base: u32,
    pub bytes: u32,
}

/// A memory BAR, placed by the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// 0..=5; a 64-bit BAR takes `index` and `index + 1`.
    pub index: u8,
    pub wide: bool,
    pub prefetchable: bool,
    pub base: u64,
    /// Power of two.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigWrite {
    /// Byte offset in the function's configuration space, a multiple of 4.
    pub offset: u16,
    pub value: u32,
}
