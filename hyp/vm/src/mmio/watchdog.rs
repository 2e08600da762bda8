// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The frames of a VM's watchdog.

use super::{Access, Device, Written};
use crate::{Guest, Platform, watchdog::Watchdog};

impl Device for Watchdog {
    #[inline(never)]
    fn read<P: Platform>(guest: &Guest, _: &mut P, access: Access) -> Option<u64> {
        guest.vm.watchdog.read(access.offset, access.bytes)
    }

    #[inline(never)]
    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        let Some(plan) = &guest.config.watchdog else { return Written::Refused };
        let now = platform.ticks();
        match guest.vm.watchdog.write(plan, now, access.offset, access.bytes, value) {
            None => return Written::Refused,
            Some(true) => platform.deadline_moved(guest.vpe_index(0)),
            Some(false) => {}
        }
        Written::Done
    }
}
