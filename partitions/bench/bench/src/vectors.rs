// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vector table whose interrupt entry reads the counter first.
//!
//! It stands in for `rt`'s only while a path is measured. Register use between it and `paths`: x9
//! the counter at the handler's first instruction, x10 the INTID, x11 becomes 1; x12 is written to
//! the address in x13 to make a device take its interrupt back, and the address in x14 is read so
//! that it has (scratch words when there is no device). Nothing else changes. Any other exception
//! stops the vPE here.

use core::arch::global_asm;

global_asm!(
    r#"
.section .text.bench_vectors, "ax"
.balign 2048
.globl bench_vectors
bench_vectors:
.balign 128
    b       .
.balign 128
    mrs     x9, cntvct_el0
    mrs     x10, S3_0_C12_C12_0     // ICC_IAR1_EL1
    msr     cntv_ctl_el0, xzr       // before the end of its interrupt, which is level-sensitive
    str     w12, [x13]
    ldr     w11, [x14]              // the device has seen it
    dsb     sy
    msr     S3_0_C12_C12_1, x10     // ICC_EOIR1_EL1
    mov     x11, #1
    eret
.rept 14
.balign 128
    b       .
.endr
"#
);

/// Address for VBAR_EL1.
pub fn table() -> u64 {
    unsafe extern "C" {
        static bench_vectors: u8;
    }
    &raw const bench_vectors as u64
}
