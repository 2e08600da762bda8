// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A function that does nothing by itself any more.

use super::capability::{self, EXPRESS, MSI, MSI_X};
use super::header::{INTX_DISABLE, OFFSET_COMMAND};
use super::message::{MSI_ENABLE, MSI_X_ENABLE, MSI_X_MASK};
use crate::platform::ConfigSpace;
use plan::PciFunction;

/// Device capabilities: Function Level Reset; device control: begin one.
const RESETTABLE: u32 = 1 << 28;
const RESET: u32 = 1 << 15;
/// What a function may take for a Function Level Reset (PCI Express 6.6.2).
const RESET_MILLISECONDS: u32 = 100;

/// The function does nothing more by itself: no DMA, no MSI, no MSI-X. With `reset`, before another
/// start, it forgets what it was told: by a Function Level Reset (PCI Express 6.6.2), if it can.
/// Returns milliseconds that must pass before the next access.
///
/// One that cannot be reset goes on with its DMA, which an SMMU aborts, until that has settled;
/// held up it would go on in the next life.
pub fn quiet<P: ConfigSpace>(platform: &mut P, function: &PciFunction, reset: bool) -> u32 {
    let mut list = capability::list(|at| platform.config_read(function, at));
    let resettable = |at| platform.config_read(function, at + 4) & RESETTABLE != 0;
    let control = list.find(|own| own.id() == EXPRESS && resettable(own.at)).map(|own| own.at + 8);
    drop(list);
    let settles = reset && control.is_none();
    if !(settles && function.held) {
        platform.config_write(function, OFFSET_COMMAND, 2, INTX_DISABLE);
    }
    silence(platform, function);
    if settles {
        return function.settle_ms;
    }
    let Some(control) = control.filter(|_| reset) else { return 0 };
    let value = platform.config_read(function, control) & 0xffff;
    platform.config_write(function, control, 2, value | RESET);
    RESET_MILLISECONDS
}

/// No MSI and no MSI-X.
pub fn silence<P: ConfigSpace>(platform: &mut P, function: &PciFunction) {
    let mut found = [(0, 0); 2];
    let list = capability::list(|at| platform.config_read(function, at));
    for (own, place) in list.filter(|own| matches!(own.id(), MSI | MSI_X)).zip(&mut found) {
        let off = if own.id() == MSI { MSI_ENABLE } else { MSI_X_ENABLE | MSI_X_MASK };
        *place = (own.at + 2, own.control() & !off);
    }
    for (at, control) in found.into_iter().filter(|&(at, _)| at != 0) {
        platform.config_write(function, at, 2, control.into());
    }
}
