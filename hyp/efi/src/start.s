// SPDX-License-Identifier: Apache-2.0 OR MIT
    .section .text.start, "ax"
    .global _start
_start:
    b       efi_entry
    .balign 8
// Filled in by `bulkhead image` (codegen/cli/src/image/efi.rs).
base:
    .quad   0                           // the hypervisor's memory
pages:
    .quad   0                           // its pages of 4 KiB
image:
    .quad   0                           // where the flat binary goes and is entered
bytes:
    .quad   0                           // of the flat binary, a multiple of 64
offset:
    .quad   0                           // of the flat binary from _start
taken:
    .space  208                         // what is said when the memory is not free

    .equ    CON_OUT, 64                 // of EFI_SYSTEM_TABLE
    .equ    BOOT_SERVICES, 96
    .equ    OUTPUT_STRING, 8            // of EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL
    .equ    ALLOCATE_PAGES, 40          // of EFI_BOOT_SERVICES
    .equ    GET_MEMORY_MAP, 56
    .equ    EXIT_BOOT_SERVICES, 232
    .equ    ALLOCATE_ADDRESS, 2
    .equ    LOADER_DATA, 2
    .equ    MAP_BYTES, 0x8000           // room for the memory map, on the firmware's stack
    .equ    TRIES, 8

// x0: the image's handle, x1: the system table; AAPCS64.
efi_entry:
    stp     x29, x30, [sp, #-64]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    mov     x19, x0
    mov     x20, x1
    ldr     x21, [x1, #BOOT_SERVICES]

    mrs     x9, CurrentEL
    cmp     x9, #0x8
    adr     x0, wrong_el
    b.ne    refuse

    mov     x0, #ALLOCATE_ADDRESS
    mov     x1, #LOADER_DATA
    ldr     x2, pages
    ldr     x9, base
    str     x9, [sp, #48]
    add     x3, sp, #48
    ldr     x9, [x21, #ALLOCATE_PAGES]
    blr     x9
    mov     x9, x0
    adr     x0, taken
    cbnz    x9, refuse

    adr     x9, _start
    ldr     x10, offset
    add     x9, x9, x10
    ldr     x10, image
    ldr     x11, bytes
    add     x11, x10, x11
1:  ldp     x12, x13, [x9], #16
    stp     x12, x13, [x10], #16
    cmp     x10, x11
    b.lo    1b

// The map's bytes, key, descriptor bytes and version below it.
    mov     w22, #TRIES
    sub     sp, sp, #MAP_BYTES
    sub     sp, sp, #32
2:  mov     x9, #MAP_BYTES
    str     x9, [sp]
    mov     x0, sp
    add     x1, sp, #32
    add     x2, sp, #8
    add     x3, sp, #16
    add     x4, sp, #24
    ldr     x9, [x21, #GET_MEMORY_MAP]
    blr     x9
    cbnz    x0, 3f
    mov     x0, x19
    ldr     x1, [sp, #8]
    ldr     x9, [x21, #EXIT_BOOT_SERVICES]
    blr     x9
    cbz     x0, leave
    subs    w22, w22, #1
    b.ne    2b
3:  mov     sp, x29
    adr     x0, no_exit
    b       refuse

// Nobody but this code runs from here on.
leave:
    msr     daifset, #0xf
    ldr     x20, image
    mrs     x9, ctr_el0
    ubfx    x9, x9, #16, #4
    mov     x10, #4
    lsl     x10, x10, x9                // bytes of the smallest data cache line
    ldr     x9, base
    ldr     x11, pages
    add     x11, x9, x11, lsl #12
4:  dc      civac, x9
    add     x9, x9, x10
    cmp     x9, x11
    b.lo    4b
    adr     x9, _start
    adr     x11, end
    sub     x12, x10, #1
    bic     x9, x9, x12
5:  dc      civac, x9
    add     x9, x9, x10
    cmp     x9, x11
    b.lo    5b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    mrs     x9, sctlr_el2
    mov     x10, #0x1005                // M, C, I
    bic     x9, x9, x10
    msr     sctlr_el2, x9
    isb
    mov     x0, xzr
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    br      x20

// x0: text. Says it and goes back to the firmware.
refuse:
    sub     sp, sp, #512
    mov     x9, sp
6:  ldrb    w10, [x0], #1
    strh    w10, [x9], #2
    cbnz    w10, 6b
    ldr     x0, [x20, #CON_OUT]
    mov     x1, sp
    ldr     x9, [x0, #OUTPUT_STRING]
    blr     x9
    mov     x0, #3                      // EFI_UNSUPPORTED
    orr     x0, x0, #0x8000000000000000
    mov     sp, x29
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x29, x30, [sp], #64
    ret

wrong_el:
    .asciz  "\r\nbulkhead: stopped: not entered at EL2\r\n"
no_exit:
    .asciz  "\r\nbulkhead: stopped: the firmware does not end its boot services\r\n"
    .balign 8
end:
