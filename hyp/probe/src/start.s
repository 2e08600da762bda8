// SPDX-License-Identifier: Apache-2.0 OR MIT
    .section .head, "ax"
    .global _start
_start:
    b       enter
    nop
    .quad   TEXT_OFFSET
    .quad   IMAGE_SIZE
    .quad   0x2                         // little-endian, 4 KiB pages, placed near the base of RAM
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// EL2's registers are written at EL2 alone; any other EL is one line on the UART.
enter:
    msr     daifset, #0xf
    mrs     x19, CurrentEL
    mov     x20, xzr
    cmp     x19, #0x8
    b.ne    1f
    msr     spsel, #1
    ldr     x9, ={sctlr_off}
    msr     sctlr_el2, x9
    ldr     x9, ={hcr}
    msr     hcr_el2, x9
    adr     x9, vectors
    msr     vbar_el2, x9
    isb
    mrs     x20, hcr_el2

// What the loader left in the caches for memory that is written past them must never come back.
1:  adrp    x9, __bss_start
    add     x9, x9, :lo12:__bss_start
    adrp    x10, __stack_top
    add     x10, x10, :lo12:__stack_top
    mov     x11, x9
2:  dc      ivac, x11
    add     x11, x11, #64
    cmp     x11, x10
    b.lo    2b
    dsb     sy
3:  stp     xzr, xzr, [x9], #16
    cmp     x9, x10
    b.lo    3b
    mov     sp, x10
    mov     x29, xzr
    mov     x30, xzr
    lsr     x0, x19, #2
    adr     x1, _start
    mov     x2, x20
    b       {main}

// Any other CPU, by firmware's CPU_ON. x0: its record.
    .global other_cpu
other_cpu:
    msr     daifset, #0xf
    bl      fill_record
    ldr     w0, ={cpu_off}
    smc     #0
2:  wfi
    b       2b

// What the calling CPU says of itself into the record at x0 (`Record` in cpu.rs).
    .global fill_record
fill_record:
    mrs     x9, mpidr_el1
    mrs     x10, midr_el1
    stp     x9, x10, [x0]
    mrs     x9, id_aa64mmfr0_el1
    mrs     x10, cntfrq_el0
    stp     x9, x10, [x0, #16]
    mrs     x9, CurrentEL
    lsr     x9, x9, #2
    mov     x10, xzr
    cmp     x9, #2
    b.ne    1f
    mrs     x11, id_aa64pfr0_el1
    ubfx    x11, x11, #24, #4
    cbz     x11, 1f
    mov     x11, #0xf
    msr     S3_4_C12_C9_5, x11          // ICC_SRE_EL2
    isb
    mrs     x10, S3_4_C12_C11_1         // ICH_VTR_EL2
1:  stp     x9, x10, [x0, #32]
    dsb     sy
    mov     x9, #1
    str     x9, [x0, #48]
    dsb     sy
    ret

// Reads and firmware calls that may be answered with an exception: the value in x0 and 1 in x1, or
// 0 in both. x0: the address, or the function.
    .global try_read32
try_read32:
    mov     x2, x0
    mov     x1, #1
    b       1f
    .global try_read64
try_read64:
    mov     x2, x0
    mov     x1, #1
    b       2f
tried:
1:  ldr     w0, [x2]
    dsb     sy
    isb
    ret
2:  ldr     x0, [x2]
    dsb     sy
    isb
    ret
    .global firmware
firmware:
    smc     #0
    ret
tried_end:
failed:
    mov     x0, xzr
    mov     x1, xzr
    ret

synchronous:
    stp     x9, x10, [sp, #-16]!
    mrs     x9, elr_el2
    adr     x10, tried
    sub     x9, x9, x10
    cmp     x9, #tried_end - tried
    b.hs    lost
    adr     x10, failed
    msr     elr_el2, x10
    ldp     x9, x10, [sp], #16
    eret

// An error that no read waits for is counted.
error:
    stp     x9, x10, [sp, #-16]!
    mrs     x9, elr_el2
    adr     x10, tried
    sub     x9, x9, x10
    cmp     x9, #tried_end - tried
    b.hs    1f
    adr     x10, failed
    msr     elr_el2, x10
    b       2f
1:  adrp    x10, {errors}
    add     x10, x10, :lo12:{errors}
    ldr     w9, [x10]
    add     w9, w9, #1
    str     w9, [x10]
2:  ldp     x9, x10, [sp], #16
    eret

lost:
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    b       {lost}

    .balign 2048
vectors:
    .rept   4
    b       lost
    .balign 128
    .endr
    b       synchronous
    .balign 128
    b       lost
    .balign 128
    b       lost
    .balign 128
    b       error
    .balign 128
    .rept   8
    b       lost
    .balign 128
    .endr
    .ltorg
