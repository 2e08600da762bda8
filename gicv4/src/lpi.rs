// SPDX-License-Identifier: Apache-2.0 OR MIT
//! LPI configuration bytes, physical and virtual, and the tables of them.
//!
//! A table has one byte for each LPI from 8192 on (IHI 0069H 6.1.1). The GIC may cache a byte until
//! an INV, INVALL or VINVALL command names it, so every change of a byte is followed by one.

use crate::intid::IntId;
use core::fmt;

/// One byte of an LPI configuration table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct LpiConfig(u8);

impl LpiConfig {
    const ENABLE: u8 = 1;
    /// RES1 in both the physical and the virtual table.
    const RES1: u8 = 2;

    /// `priority`'s two low bits are not kept: LPIs have 64 priorities.
    pub const fn new(priority: u8, enabled: bool) -> Self {
        Self((priority & 0xfc) | Self::RES1 | if enabled { Self::ENABLE } else { 0 })
    }
    /// As it stands in the table.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }
    /// As it stands in the table.
    pub const fn byte(self) -> u8 {
        self.0
    }
    /// The LPI is not masked.
    pub const fn enabled(self) -> bool {
        self.0 & Self::ENABLE != 0
    }
    /// Lower is more urgent.
    pub const fn priority(self) -> u8 {
        self.0 & 0xfc
    }
    /// The same, masked or not.
    pub const fn with_enabled(self, enabled: bool) -> Self {
        Self::new(self.priority(), enabled)
    }
}

impl fmt::Debug for LpiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enabled = if self.enabled() { "enabled" } else { "disabled" };
        write!(f, "{enabled}, priority {:#04x}", self.priority())
    }
}

/// Writes bytes of an LPI configuration table in memory.
pub trait ConfigTable {
    /// Writes the byte of `intid`. An INTID without a byte in the table is ignored.
    fn store(&mut self, intid: IntId, config: LpiConfig);
    /// Makes what was written visible to the GIC, before the command that invalidates its copy.
    fn publish(&self);
}

impl<T: ConfigTable + ?Sized> ConfigTable for &mut T {
    #[inline]
    fn store(&mut self, intid: IntId, config: LpiConfig) {
        (**self).store(intid, config);
    }
    #[inline]
    fn publish(&self) {
        (**self).publish();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn bytes_follow_the_manual() {
        assert_eq!(LpiConfig::new(0xa0, true).byte(), 0xa3);
        assert_eq!(LpiConfig::new(0xa0, false).byte(), 0xa2);
        assert_eq!(LpiConfig::new(0xff, true).byte(), 0xff);
        assert_eq!(LpiConfig::new(0xa0, true).with_enabled(false), LpiConfig::new(0xa0, false));
        assert_eq!(format!("{:?}", LpiConfig::new(0xa0, true)), "enabled, priority 0xa0");
    }
}
