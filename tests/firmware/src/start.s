// SPDX-License-Identifier: Apache-2.0 OR MIT
    .section .text.start, "ax"
    .global _start
_start:
    b       reset
    .balign 8
// Seven words that whoever makes the file writes (codegen/cli/src/run/firmware.rs).
entry:
    .quad   0                           // of EL2
secure:
    .quad   0                           // INTIDs 0 to 63 that stay Secure
distributor:
    .quad   0
redistributors:
    .quad   0                           // of the first CPU
stride:
    .quad   0                           // bytes from one CPU's redistributor to the next
uart:
    .quad   0                           // a PL011; 0: none
mailboxes:
    .quad   0                           // Secure RAM: 32 bytes for each CPU, entry, context, and
                                        // whether it was told to go on

    .balign 2048
vectors:
    .rept   8
    b       dead
    .balign 128
    .endr
    b       call                        // synchronous, from a lower level in AArch64
    .balign 128
    .rept   7
    b       dead
    .balign 128
    .endr

// x28: the CPU's number.
reset:
    mrs     x28, mpidr_el1
    and     x28, x28, #0xff
    adr     x0, vectors
    msr     vbar_el3, x0
    ldr     x0, =0x30c50830
    msr     sctlr_el3, x0
    mov     x0, #0x1100                 // CPTR_EL3.ESM, EZ: nothing of SIMD is trapped
    msr     cptr_el3, x0
    ldr     x0, =0x93000                // MDCR_EL3.TTRF, SDD, NSPB: trace filters trap, the profiler is Non-secure's
    msr     mdcr_el3, x0
    mrs     x1, id_aa64pfr0_el1
    ubfx    x1, x1, #40, #4
    cbz     x1, 1f
    mov     x0, #0x4000000000000000
    msr     S3_6_C10_C5_0, x0           // MPAM3_EL3.TRAPLOWER, as out of reset
1:  mov     x0, #0xf
    msr     S3_6_C12_C12_5, x0          // ICC_SRE_EL3
    msr     cntv_cval_el0, xzr          // the virtual timer asks, as whoever ran before may leave it
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    isb

// The distributor, by the first CPU: both kinds of affinity routing, Group 1 of both states, all
// SPIs Non-secure's.
    ldr     x1, distributor
    cbnz    x28, 3f
    mov     w2, #0x36
    str     w2, [x1]
    mov     w2, #-1
    add     x3, x1, #0x84
    mov     x4, #31
2:  str     w2, [x3], #4
    subs    x4, x4, #1
    b.ne    2b
    ldr     w2, secure + 4
    mvn     w2, w2
    str     w2, [x1, #0x84]

// The CPU's redistributor: awake, all SGIs and PPIs Non-secure's.
3:  ldr     x1, redistributors
    ldr     x2, stride
    madd    x1, x2, x28, x1
    ldr     w3, [x1, #0x14]
    bic     w3, w3, #2
    str     w3, [x1, #0x14]
4:  ldr     w3, [x1, #0x14]
    tbnz    w3, #2, 4b
    add     x1, x1, #0x10000
    ldr     w2, secure
    mvn     w2, w2
    str     w2, [x1, #0x80]

// What lower levels may do: NS, RES1, HCE, RW, APK, API, EnSCXT, ATA, FGTEn, ECVEn, HXEn.
    ldr     x0, =0x401e030531
    msr     scr_el3, x0
    mov     x0, #0x3c9                  // EL2 with its own stack pointer, all interrupts masked
    msr     spsr_el3, x0
    cbnz    x28, wait
    ldr     x0, entry
    msr     elr_el3, x0
    mov     x0, xzr
    isb
    eret

wait:
    ldr     x1, mailboxes
    add     x1, x1, x28, lsl #5
5:  ldr     x2, [x1, #16]
    cbnz    x2, 6f
    wfe
    b       5b
6:  ldp     x2, x0, [x1]
    msr     elr_el3, x2
    isb
    eret

// SMC: the function is in x0; what SMCCC lets firmware change is changed.
call:
    mrs     x9, esr_el3
    lsr     x9, x9, #26
    cmp     x9, #0x17
    b.ne    dead
    ldr     w9, =0xc4000003             // CPU_ON
    cmp     w0, w9
    b.eq    cpu_on
    ldr     w9, =0x84000008             // SYSTEM_OFF
    cmp     w0, w9
    b.eq    off
    ldr     w9, =0x84000000             // PSCI_VERSION
    cmp     w0, w9
    mov     x0, #-1
    b.ne    7f
    mov     w0, #0x10001
7:  eret

cpu_on:
    and     x9, x1, #0xff
    cmp     x9, #8
    b.hs    8f
    ldr     x10, mailboxes
    add     x9, x10, x9, lsl #5
    ldr     x10, [x9, #16]
    cbnz    x10, 9f
    stp     x2, x3, [x9]
    mov     x10, #1
    str     x10, [x9, #16]
    dsb     sy
    sev
    mov     x0, xzr
    eret
8:  mov     x0, #-2                     // INVALID_PARAMETERS
    eret
9:  mov     x0, #-4                     // ALREADY_ON
    eret

dead:
    adr     x0, text
    bl      print
    mrs     x1, esr_el3
    bl      hex
    adr     x0, at
    bl      print
    mrs     x1, elr_el3
    bl      hex
    adr     x0, line
    bl      print
off:
    mov     w0, #0x18                   // semihosting: SYS_EXIT
    adr     x1, leave
    hlt     #0xf000
    b       off

print:
    ldr     x3, uart
    cbz     x3, 11f
10: ldrb    w2, [x0], #1
    cbz     w2, 11f
    str     w2, [x3]
    b       10b
11: ret

hex:
    ldr     x3, uart
    cbz     x3, 13f
    mov     x4, #60
12: lsr     x2, x1, x4
    and     x2, x2, #15
    cmp     x2, #10
    add     x5, x2, #48
    add     x6, x2, #87
    csel    x2, x5, x6, lo
    str     w2, [x3]
    subs    x4, x4, #4
    b.ge    12b
13: ret

    .ltorg
    .balign 8
leave:
    .quad   0x20026, 0                  // ADP_Stopped_ApplicationExit, status 0
text:
    .asciz  "\r\nEL3: exception, esr 0x"
at:
    .asciz  ", elr 0x"
line:
    .asciz  "\r\n"
    .balign 4
