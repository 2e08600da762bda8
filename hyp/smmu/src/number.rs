// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers with a meaning: StreamIDs and VMIDs.

use core::fmt;

/// What a transaction carries to say which device it is from (IHI 0070 3.2). For PCI, the
/// RequesterID as the host bridge maps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    pub const fn new(value: u32) -> Self {
        Self(value)
    }
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamID {:#x}", self.0)
    }
}

/// Which stage 2 a cached translation belongs to: the CPU's VMID (IHI 0070 3.5, STE.S2VMID).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vmid(u16);

impl Vmid {
    pub const fn new(value: u16) -> Self {
        Self(value)
    }
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VMID {}", self.0)
    }
}
