// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vPE that has the calling CPU, by TPIDR_EL2.
//!
//! The head writes 0: nobody. EL1 cannot write it.

use crate::sysreg::{read, write};
use crate::system::System;
use core::ptr;

/// Makes `vpe` the calling CPU's.
pub fn set<S: System>(vpe: &'static S::Vpe) {
    write!(TPIDR_EL2, ptr::from_ref(vpe) as u64);
}

/// The calling CPU's vPE. None: it has had none yet.
#[inline]
pub fn get<S: System>() -> Option<&'static S::Vpe> {
    let pointer = read!(TPIDR_EL2) as *const S::Vpe;
    // SAFETY: 0, or what `set` stored, which is a reference to a static.
    unsafe { pointer.as_ref() }
}

/// The same where there is one.
///
/// # Safety
/// [`set`] was called on this CPU.
#[inline(always)]
pub(crate) unsafe fn vpe<S: System>() -> &'static S::Vpe {
    let pointer = read!(TPIDR_EL2) as *const S::Vpe;
    // SAFETY: `set` stored a reference to a static.
    unsafe { &*pointer }
}

/// Nobody has had the calling CPU yet.
pub(crate) fn is_nobody() -> bool {
    read!(TPIDR_EL2) == 0
}
