//! PCI functions passed through, and what boot writes into their configuration space.

use crate::{Pa, VmIndex};

/// One function of a VM. The guest sees it at the same place of the same host bridge.
#[derive(Debug)]
pub struct PciFunction {
    pub vm: VmIndex,
    /// Its 4 KiB of configuration space in its host's ECAM; the guest sees them at the same address.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16 that offset 0 must read.
    pub id: u32,
    pub bars: &'static [Bar],
    /// What boot writes before any guest runs: BARs, then the command register.
    pub setup: &'static [ConfigWrite],
}

/// A bridge that leads to functions of VMs. Boot opens it, and it stays as it is.
#[derive(Debug)]
pub struct PciBridge {
    /// Its 4 KiB of configuration space in its host's ECAM; guests see them at the same address.
    pub config: Pa,
    /// Vendor 15:0 and device 31:16 that offset 0 must read.
    pub id: u32,
    /// The bus that it is on, the one right behind it, and the last one behind it.
    pub primary: u8,
    pub secondary: u8,
    pub subordinate: u8,
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
