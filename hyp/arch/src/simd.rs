// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vector registers before a guest has them.

use core::arch::global_asm;

/// Vector registers as zeros: nothing that firmware or another life left there reaches a guest.
pub fn forget() {
    // SAFETY: writes q0 to q31, FPCR and FPSR, which EL2's own code does not use.
    unsafe { clear_vectors() }
}

unsafe extern "C" {
    fn clear_vectors();
}

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .ahead.simd, "ax"
    .global clear_vectors
clear_vectors:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movi    v\n\().2d, #0
    .endr
    .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    movi    v\n\().2d, #0
    .endr
    msr     fpcr, xzr
    msr     fpsr, xzr
    ret
    .arch_extension nosimd
    .arch_extension nofp
    "#
);
