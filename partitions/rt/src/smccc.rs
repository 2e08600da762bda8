// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls by HVC (DEN 0028): function in w0, arguments in x1 to x3, results in x0 to x3.

use core::arch::asm;

/// # Safety
/// The function must not break what Rust relies on: CPU_ON and CPU_SUSPEND start code at an
/// address, SYSTEM_OFF and the like do not come back.
pub unsafe fn hvc(function: u32, arguments: [u64; 3]) -> [u64; 4] {
    let [a, b, c] = arguments;
    let (w, x, y, z): (u64, u64, u64, u64);
    // SAFETY: the caller vouches for the function; SMCCC 1.0 lets a call change x0 to x17 and
    // nothing else of ours.
    unsafe {
        asm!(
            "hvc #0",
            inlateout("x0") u64::from(function) => w,
            inlateout("x1") a => x,
            inlateout("x2") b => y,
            inlateout("x3") c => z,
            lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
            lateout("x8") _, lateout("x9") _, lateout("x10") _, lateout("x11") _,
            lateout("x12") _, lateout("x13") _, lateout("x14") _, lateout("x15") _,
            lateout("x16") _, lateout("x17") _,
            options(nostack),
        );
    }
    [w, x, y, z]
}
