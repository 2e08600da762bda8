// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the emulation of a device is to the dispatcher.

use super::Written;
use crate::{Guest, Platform};

/// A load or store of a guest's in a region of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub ipa: u64,
    /// From the region's start.
    pub offset: u64,
    /// 1, 2, 4 or 8; the address is a multiple of it.
    pub bytes: u32,
}

/// An emulated device.
pub trait Device {
    /// The word at `offset` where that is a matter of memory alone: no hardware is asked, and
    /// nothing changes. None: [`Device::read`] knows.
    #[inline(always)]
    fn peek(_guest: &Guest, _offset: u64) -> Option<u32> {
        None
    }

    /// The value, not yet extended; None: refused.
    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64>;
    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written;
}
