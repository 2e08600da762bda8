// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cache lines: loops that clear, copy and clean memory.
//!
//! For this crate alone, which says each time whose memory it is. A line here is 64 bytes, the
//! smallest that the architecture's users have; boot checks DCZID_EL0. Cleaning is complete after
//! the next DSB (DDI 0487 D7.5.9).

use crate::sysreg::dsb_sy;
use core::arch::asm;
use core::ptr;

/// Bytes of a line.
pub(crate) const LINE: u64 = 64;
/// Bytes that a loop does at once.
const MANY: u64 = 16 * LINE;

/// Zeroes whole lines.
///
/// # Safety
/// They are Normal memory that the caller may write, at a multiple of a line.
#[inline(never)]
pub(crate) unsafe fn zero(mut line: u64, bytes: u64) {
    let end = line.wrapping_add(bytes);
    let many = line.wrapping_add(bytes & !(MANY - 1));
    if line != many {
        // SAFETY: the caller's memory; DC ZVA clears one line.
        unsafe {
            asm!(
                "2: .rept 8", "dc zva, {line}", "add {line}, {line}, #64", ".endr",
                "cmp {line}, {many}", "b.lo 2b",
                line = inout(reg) line, many = in(reg) many, options(nostack)
            );
        }
    }
    while line < end {
        // SAFETY: as above.
        unsafe { asm!("dc zva, {}", in(reg) line, options(nostack, preserves_flags)) };
        line = line.wrapping_add(LINE);
    }
}

/// What caches hold of it goes to memory, and out of them. That changes no value.
#[inline(never)]
pub(crate) fn flush(base: u64, bytes: u64) {
    let mut line = base & !(LINE - 1);
    let end = base.wrapping_add(bytes);
    let many = line.wrapping_add(end.saturating_sub(line) & !(MANY - 1));
    if line != many {
        // SAFETY: cleaning and invalidating changes no value.
        unsafe {
            asm!(
                "2: .rept 16", "dc civac, {line}", "add {line}, {line}, #64", ".endr",
                "cmp {line}, {many}", "b.lo 2b",
                line = inout(reg) line, many = in(reg) many, options(nostack)
            );
        }
    }
    while line < end {
        // SAFETY: cleaning and invalidating changes no value.
        unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
        line = line.wrapping_add(LINE);
    }
}

/// Zeroes it and flushes it: whole lines, or a part of one.
///
/// # Safety
/// It is Normal memory that the caller may write.
pub(crate) unsafe fn clear_and_flush(base: u64, bytes: u64) {
    if (base | bytes) & (LINE - 1) != 0 {
        // SAFETY: the caller's memory.
        unsafe { ptr::write_bytes(base as *mut u8, 0, bytes as usize) };
        return flush(base, bytes);
    }
    let mut line = base;
    let end = line.wrapping_add(bytes);
    let many = line.wrapping_add(bytes & !(MANY - 1));
    if line != many {
        // SAFETY: as for `zero`.
        unsafe {
            asm!(
                "2: .rept 16",
                "dc zva, {line}", "dc civac, {line}", "add {line}, {line}, #64",
                ".endr", "cmp {line}, {many}", "b.lo 2b",
                line = inout(reg) line, many = in(reg) many, options(nostack)
            );
        }
    }
    let rest = end.wrapping_sub(line);
    if rest != 0 {
        // SAFETY: the caller's memory, at a multiple of a line.
        unsafe { zero(line, rest) };
        flush(line, rest);
    }
}

/// Copies `from` there and flushes it.
///
/// # Safety
/// It is Normal memory that the caller may write, apart from `from`.
pub(crate) unsafe fn copy_and_flush(to: u64, from: &[u8]) {
    const TWO: usize = 2 * LINE as usize;
    let pairs = from.len() & !(TWO - 1);
    let destination = to as *mut u8;
    if pairs != 0 {
        // SAFETY: the caller's memory, `pairs` bytes of plain data at either place.
        unsafe {
            asm!(
                "2: ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}]", "stp {c}, {d}, [{to}, #16]",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #32]", "stp {c}, {d}, [{to}, #48]",
                "dc civac, {to}",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #64]", "stp {c}, {d}, [{to}, #80]",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #96]", "stp {c}, {d}, [{to}, #112]",
                "add {to}, {to}, #64", "dc civac, {to}", "add {to}, {to}, #64",
                "cmp {to}, {end}",
                "b.lo 2b",
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                from = inout(reg) from.as_ptr() => _, to = inout(reg) destination => _,
                end = in(reg) destination.wrapping_add(pairs),
                options(nostack)
            );
        }
    }
    let rest = from.len().wrapping_sub(pairs);
    let (from, after) = (from.as_ptr().wrapping_add(pairs), destination.wrapping_add(pairs));
    // SAFETY: as above, the bytes after the pairs of lines.
    unsafe { ptr::copy_nonoverlapping(from, after, rest) };
    // Those, and what the last pair wrote of one more line if the destination does not begin with
    // a line.
    flush(to.wrapping_add((pairs as u64).saturating_sub(1)), rest as u64 + 1);
}

/// What somebody wrote there past the caches is seen, and what was written into them, too.
pub(crate) fn refresh(line: u64) {
    // SAFETY: cleaning and invalidating changes no value.
    unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
    dsb_sy();
}
