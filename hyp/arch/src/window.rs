// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The calling CPU's window on memory that is not EL2's own.
//!
//! EL2's tables map nothing of a VM, so that no speculation at EL2 finds it. What EL2 does there
//! goes through a few pages of addresses that each CPU has for itself, and that mean something only
//! meanwhile (DDI 0487 D8.16, break before make):
//!
//! 1. descriptors of the pages, DSB, ISB;
//! 2. the accesses;
//! 3. descriptors 0, DSB, TLBI of each page, DSB, ISB: at the end of a piece of work broadcast,
//!    since another CPU's walks may have found them; between its parts only here, where the
//!    addresses are used again.
//!
//! EL2 runs with interrupts masked and opens no window within another, so each is used for one
//! thing at a time.

use super::gic;
use super::sysreg::{dsb_ish, isb};
use crate::system::System;
use core::arch::asm;
use core::ptr;
use plan::Pa;
use plan::translation::{EL2_ATTR_NORMAL, EL2_WINDOW_PAGES};

const PAGE: u64 = 4096;
/// Bytes of a CPU's window.
const BYTES: u64 = EL2_WINDOW_PAGES * PAGE;
/// A page of Normal memory, inner shareable, read and write, never executable (DDI 0487 D8.3).
const DESCRIPTOR: u64 = 1 << 54 | 1 << 10 | 0b11 << 8 | 0b01 << 6 | EL2_ATTR_NORMAL << 2 | 0b11;

unsafe extern "C" {
    static __stacks: u8;
}

/// How much is done at once.
#[derive(Clone, Copy)]
pub enum Amount {
    All,
    /// Pieces of so many bytes, until an interrupt waits.
    Pieces(u64),
}

/// Does `work` with the memory from `base` on, where it is meanwhile. How many bytes are done.
#[inline(never)]
pub fn with<S: System>(
    base: Pa,
    bytes: u64,
    amount: Amount,
    work: &mut dyn FnMut(u64, u64),
) -> u64 {
    let (most, stops) = match amount {
        Amount::All => (BYTES, false),
        Amount::Pieces(most) => (most, true),
    };
    let mut done = 0u64;
    let mut interrupted = false;
    while done < bytes && !interrupted {
        let from = base.offset(done);
        let here = bytes.wrapping_sub(done).min(BYTES.wrapping_sub(from.value() % PAGE));
        let at = open::<S>(from, here);
        let mut part = 0u64;
        while part < here && !interrupted {
            let piece = here.wrapping_sub(part).min(most);
            work(at.wrapping_add(part), piece);
            part = part.wrapping_add(piece);
            interrupted = stops && gic::is_pending();
        }
        let first = done == 0;
        done = done.wrapping_add(part);
        match interrupted || done >= bytes {
            false => shut::<S>(at, here, false),
            true if first => shut::<S>(at, here, true),
            // Earlier parts may have used all of the window.
            true => shut::<S>(at.wrapping_sub(at % PAGE), BYTES, true),
        }
    }
    done
}

/// The same for what does not cross a page's end.
#[inline(always)]
pub fn within_page<S: System, T>(from: Pa, work: impl FnOnce(u64) -> T) -> T {
    let at = open::<S>(from, 1);
    let result = work(at);
    shut::<S>(at, 1, true);
    result
}

/// Where `bytes` from `base` on, at least one and no more than the window holds, are from now on.
#[inline(never)]
fn open<S: System>(base: Pa, bytes: u64) -> u64 {
    let number = number::<S>();
    let mut entry = entries::<S>(number).cast::<u64>();
    let mut page = base.value() & !(PAGE - 1);
    let end = base.value().wrapping_add(bytes);
    while page < end {
        // SAFETY: a descriptor of this CPU's window, which codegen keeps in a table of EL2's own;
        // nothing uses its addresses now.
        unsafe { entry.write_volatile(DESCRIPTOR | page) };
        entry = entry.wrapping_add(1);
        page = page.wrapping_add(PAGE);
    }
    dsb_ish();
    isb();
    S::PLAN
        .hypervisor
        .window
        .wrapping_add(number.wrapping_mul(BYTES))
        .wrapping_add(base.value() % PAGE)
}

/// These addresses of the window mean nothing any more: to any CPU, or to this one.
#[inline(never)]
fn shut<S: System>(at: u64, bytes: u64, everywhere: bool) {
    let first = entries::<S>(number::<S>()).cast::<u64>();
    for entry in 0..EL2_WINDOW_PAGES as usize {
        // SAFETY: as in `open`; what was done there is done.
        unsafe { first.wrapping_add(entry).write_volatile(0) };
    }
    dsb_ish();
    let mut page = at / PAGE;
    let last = at.wrapping_add(bytes.wrapping_sub(1)) / PAGE;
    while page <= last {
        if everywhere {
            // SAFETY: drops a translation that is not there any more.
            unsafe { asm!("tlbi vale2is, {}", in(reg) page, options(nostack, preserves_flags)) };
        } else {
            // SAFETY: as above.
            unsafe { asm!("tlbi vale2, {}", in(reg) page, options(nostack, preserves_flags)) };
        }
        page = page.wrapping_add(1);
    }
    dsb_ish();
    isb();
}

/// Descriptors of a CPU's window.
fn entries<S: System>(number: u64) -> *mut [u64; EL2_WINDOW_PAGES as usize] {
    let first = S::PLAN.hypervisor.window_entries.value() as *mut [u64; EL2_WINDOW_PAGES as usize];
    first.wrapping_add(number as usize)
}

/// Number of the calling CPU, by its stack.
#[inline(always)]
fn number<S: System>() -> u64 {
    let stack: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) stack, options(nomem, nostack, preserves_flags)) };
    stack.wrapping_sub(ptr::addr_of!(__stacks) as u64) / const { S::PLAN.hypervisor.stack_bytes }
}
