// SPDX-License-Identifier: Apache-2.0 OR MIT
//! memcpy and memset, which the compiler calls.
//!
//! Sixteen bytes at a time where both sides are aligned alike, which large pieces are; any other
//! byte by itself, so that no access is unaligned: before the MMU is on memory is Device. Smaller
//! than what the compiler brings, and faster.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.bytes, "ax"
    .global memcpy
memcpy:
    mov     x3, x0
    eor     x4, x0, x1
    tst     x4, #7
    b.ne    4f
1:  tst     x3, #7
    b.eq    2f
    cbz     x2, 5f
    ldrb    w4, [x1], #1
    strb    w4, [x3], #1
    sub     x2, x2, #1
    b       1b
2:  subs    x2, x2, #16
    b.lo    3f
    ldp     x4, x5, [x1], #16
    stp     x4, x5, [x3], #16
    b       2b
3:  add     x2, x2, #16
    tbz     x2, #3, 4f
    ldr     x4, [x1], #8
    str     x4, [x3], #8
    sub     x2, x2, #8
4:  cbz     x2, 5f
    ldrb    w4, [x1], #1
    strb    w4, [x3], #1
    sub     x2, x2, #1
    b       4b
5:  ret

    .global memset
memset:
    mov     x3, x0
    and     x1, x1, #0xff
    mov     x4, #0x0101010101010101
    mul     x4, x1, x4
1:  tst     x3, #7
    b.eq    2f
    cbz     x2, 5f
    strb    w4, [x3], #1
    sub     x2, x2, #1
    b       1b
2:  subs    x2, x2, #16
    b.lo    3f
    stp     x4, x4, [x3], #16
    b       2b
3:  add     x2, x2, #16
4:  cbz     x2, 5f
    strb    w4, [x3], #1
    sub     x2, x2, #1
    b       4b
5:  ret
    "#
);
