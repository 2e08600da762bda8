// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first instructions: image header, entry of the first CPU and of the others, EL2's MMU on.
//!
//! Called by whatever loaded the image, with the MMU off (arm64 boot protocol: Linux,
//! Documentation/arch/arm64/booting), and by firmware's PSCI CPU_ON with the CPU's index as
//! context. Order, for each CPU:
//!
//! 1. exceptions masked, EL2's vectors in place, `SCTLR_EL2` to a known value with MMU and caches
//!    off, `HCR_EL2` without E2H, which is read back;
//! 2. first CPU only: EL and address checked, image and tables dropped from the caches, `.bss`
//!    cleared, the image's pages given their permissions in EL2's own table;
//! 3. MAIR, TCR, TTBR0, TLBs dropped, MMU and caches on;
//! 4. the CPU's stack, with room for the trap frame at its top, and on to Rust.
//!
//! x0 at entry (a device tree, usually) is ignored: the plan is the only source. Big-endian entry
//! and relocation are not supported; a wrong EL or address is one line on the UART, or in the log
//! of a board without one.
//!
//! The text stands in [`image!`](crate::image), which the image uses once for its system.

use crate::boot::{CpuBoot, SystemBoot};
use crate::handlers::Handlers;
use crate::system::System;
#[doc(hidden)]
pub use abi::log;
use core::marker::PhantomData;
#[doc(hidden)]
pub use plan::translation::EL2_MAIR;
use plan::{Console, CpuIndex, Early};

/// SCTLR_EL2 with MMU, caches and alignment checks off: the RES1 bits alone (DDI 0487 D24.2,
/// SCTLR_EL2).
pub const SCTLR_OFF: u64 = 0x30c5_0830;
/// The same with M, C, SA, I and WXN.
pub const SCTLR_ON: u64 = SCTLR_OFF | 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;
/// Polls of a full FIFO before a character of an early message is given up.
pub const PATIENCE: u32 = 1 << 24;

/// Where the head says what is wrong.
pub struct Line<S>(PhantomData<S>);

impl<S: System> Line<S> {
    /// The UART, or the log.
    pub const BASE: u64 = match &S::PLAN.board.console {
        Console::Uart(uart) => uart.base.value(),
        Console::Log(log) => log.base.value(),
    };
    /// How the UART takes a byte.
    pub const EARLY: Early = match &S::PLAN.board.console {
        Console::Uart(uart) => Early { ..uart.early },
        Console::Log(_) => Early {
            status: 0,
            status_width: 4,
            bit: 0,
            ready: false,
            command: &[],
            data: 0,
            data_width: 4,
        },
    };
    /// Whether two words are written before a byte; their offsets and values.
    pub const COMMAND: [u32; 5] = match Self::EARLY.command {
        [first, second] => [1, first.offset, first.value, second.offset, second.value],
        _ => [0; 5],
    };
    /// Bytes of the log's ring; 0: there is a UART.
    pub const RING: u64 = match &S::PLAN.board.console {
        Console::Uart(_) => 0,
        Console::Log(log) => log.bytes - log::RING,
    };
}

/// The first CPU, MMU on, on its stack.
///
/// # Safety
/// The head calls it, once.
pub unsafe extern "C" fn first_cpu<S: Handlers>(entered: u64) -> ! {
    // SAFETY: the head calls this once, on the first CPU.
    let system = unsafe { SystemBoot::new() };
    // SAFETY: likewise, on the first stack.
    let cpu = unsafe { CpuBoot::new(CpuIndex::new(0)) };
    S::first_cpu(system, cpu, entered)
}

/// Any other CPU, by firmware's CPU_ON, MMU on, on the stack with the number `index`.
///
/// # Safety
/// The head calls it, once on each CPU.
pub unsafe extern "C" fn other_cpu<S: Handlers>(index: u64) -> ! {
    // SAFETY: the head calls this once on each CPU that was started, on this stack.
    S::other_cpu(unsafe { CpuBoot::new(CpuIndex::new(index as u16)) })
}

unsafe extern "C" {
    static other_cpu_entry: u8;
}

/// Where firmware's CPU_ON enters, with the CPU's index as context.
pub fn entry_of_others() -> u64 {
    core::ptr::addr_of!(other_cpu_entry) as u64
}

/// The head's text for a system.
#[doc(hidden)]
#[macro_export]
macro_rules! head {
    ($system:ty) => {
core::arch::global_asm!(
    r#"
    .section .head, "ax"
    .global _start
_start:
    b       first_cpu
    nop
    .quad   TEXT_OFFSET
    .quad   IMAGE_SIZE
    .quad   0x2                     // little-endian, 4 KiB pages, placed near the base of RAM
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

first_cpu:
    msr     daifset, #0xf
    mrs     x9, CurrentEL
    adr     x0, wrong_el
    cmp     x9, #0x8
    b.ne    complain
    adr     x0, wrong_address
    adr     x9, _start
    ldr     x10, =HYP_BASE
    cmp     x9, x10
    b.ne    complain
    mrs     x27, cntpct_el0
    bl      quiet

    // What the loader left in the caches for memory that is written before they are on must never
    // come back.
    ldr     x9, =__bss_start
    ldr     x10, =__image_end
1:  dc      ivac, x9
    add     x9, x9, #64
    cmp     x9, x10
    b.lo    1b
    dsb     sy
    ldr     x9, =__bss_start
    ldr     x10, =__bss_end
2:  stp     xzr, xzr, [x9], #16
    stp     xzr, xzr, [x9], #16
    cmp     x9, x10
    b.lo    2b

    mov     x28, #0
    ldr     x9, =FIRST_FRAME
    mov     sp, x9
    bl      {protect}
    bl      translate
    mov     x0, x27
    mov     x29, xzr
    mov     x30, xzr
    b       {first}

    .global other_cpu_entry
other_cpu_entry:
    msr     daifset, #0xf
    mov     x28, x0
    bl      quiet
    ldr     x9, =FIRST_FRAME
    ldr     x10, =STACK_SIZE
    mul     x10, x28, x10
    add     x9, x9, x10
    mov     sp, x9
    bl      translate
    mov     x0, x28
    mov     x29, xzr
    mov     x30, xzr
    b       {other}

// Vectors, and no translation or trap left from before.
quiet:
    msr     spsel, #1
    ldr     x9, =vectors
    msr     vbar_el2, x9
    ldr     x9, ={sctlr_off}
    msr     sctlr_el2, x9
    ldr     x9, ={hcr}
    msr     hcr_el2, x9
    msr     tpidr_el2, xzr          // no vPE
    isb
    mrs     x9, hcr_el2
    tbz     x9, #34, 5f             // E2H: other layouts of TCR_EL2, CPTR_EL2, CNTHCTL_EL2
    adr     x0, wrong_host
    b       complain
5:  ret

translate:
    ldr     x9, ={mair}
    msr     mair_el2, x9
    ldr     x9, ={tcr}
    // PS = PARange: verify.rs checks it before an address above is used.
    mrs     x10, id_aa64mmfr0_el1
    and     x10, x10, #0xf
    cmp     x10, #5                 // 48 bits are all that these tables can say
    mov     x11, #5
    csel    x10, x10, x11, lo
    bfi     x9, x10, #16, #3
    msr     tcr_el2, x9
    ldr     x9, ={ttbr}
    msr     ttbr0_el2, x9
    isb
    ic      iallu
    tlbi    alle2
    tlbi    alle1
    dsb     nsh
    isb
    ldr     x9, ={sctlr_on}
    msr     sctlr_el2, x9
    isb
    ret

// x0: text. Any EL, any address, no stack. Waits for room within bounds; accesses of the width that
// the UART takes.
complain:
    ldr     x1, ={line}
    .if     {ring} == 0
3:  ldrb    w2, [x0], #1
    cbz     w2, 4f
    mov     w3, #{patience}
6:
    .if     {status_width} == 1
    ldrb    w4, [x1, #{status}]
    .elseif {status_width} == 2
    ldrh    w4, [x1, #{status}]
    .else
    ldr     w4, [x1, #{status}]
    .endif
    .if     {ready}
    tbnz    w4, #{bit}, 7f
    .else
    tbz     w4, #{bit}, 7f
    .endif
    subs    w3, w3, #1
    b.ne    6b
7:
    .if     {commands}
    ldr     w4, ={value_1}
    str     w4, [x1, #{offset_1}]
    ldr     w4, ={value_2}
    str     w4, [x1, #{offset_2}]
    .endif
    .if     {data_width} == 1
    strb    w2, [x1, #{uart_data}]
    .elseif {data_width} == 2
    strh    w2, [x1, #{uart_data}]
    .else
    str     w2, [x1, #{uart_data}]
    .endif
    b       3b
    .else
    // Caches on or off: lines are cleaned before a store and after it.
    dc      civac, x1
    dsb     sy
    ldr     x3, ={magic}
    ldr     x4, ={ring}
    ldp     x5, x6, [x1]
    cmp     x5, x3
    ccmp    x6, x4, #0, eq
    b.eq    3f
    stp     x3, x4, [x1]
    str     xzr, [x1, #{head}]
3:  ldr     x5, [x1, #{head}]
6:  ldrb    w2, [x0], #1
    cbz     w2, 7f
    udiv    x6, x5, x4
    msub    x6, x6, x4, x5
    add     x6, x6, x1
    add     x6, x6, #{data}
    dc      civac, x6
    dsb     sy
    strb    w2, [x6]
    dc      civac, x6
    add     x5, x5, #1
    b       6b
7:  dsb     sy
    str     x5, [x1, #{head}]
    dc      civac, x1
    dsb     sy
    .endif
4:  wfi
    b       4b
wrong_el:
    .asciz  "bulkhead: stopped: not entered at EL2\r\n"
wrong_host:
    .asciz  "bulkhead: stopped: HCR_EL2.E2H cannot be cleared: the CPU has no FEAT_E2H0\r\n"
wrong_address:
    .asciz  "bulkhead: stopped: not loaded where the plan puts it (RAM base + text_offset)\r\n"
    .balign 4
    .ltorg
    "#,
    protect = sym $crate::mmu::protect_image::<$system>,
    first = sym $crate::head::first_cpu::<$system>,
    other = sym $crate::head::other_cpu::<$system>,
    sctlr_off = const $crate::head::SCTLR_OFF,
    sctlr_on = const $crate::head::SCTLR_ON,
    tcr = const <$system as $crate::System>::PLAN.hypervisor.tcr,
    ttbr = const <$system as $crate::System>::PLAN.hypervisor.ttbr.value(),
    mair = const $crate::head::EL2_MAIR,
    hcr = const $crate::cpu::HCR_BOOT,
    status = const $crate::head::Line::<$system>::EARLY.status,
    status_width = const $crate::head::Line::<$system>::EARLY.status_width,
    bit = const $crate::head::Line::<$system>::EARLY.bit,
    ready = const $crate::head::Line::<$system>::EARLY.ready as u8,
    uart_data = const $crate::head::Line::<$system>::EARLY.data,
    data_width = const $crate::head::Line::<$system>::EARLY.data_width,
    commands = const $crate::head::Line::<$system>::COMMAND[0],
    offset_1 = const $crate::head::Line::<$system>::COMMAND[1],
    value_1 = const $crate::head::Line::<$system>::COMMAND[2],
    offset_2 = const $crate::head::Line::<$system>::COMMAND[3],
    value_2 = const $crate::head::Line::<$system>::COMMAND[4],
    patience = const $crate::head::PATIENCE,
    line = const $crate::head::Line::<$system>::BASE,
    ring = const $crate::head::Line::<$system>::RING,
    magic = const $crate::head::log::MAGIC,
    head = const $crate::head::log::HEAD,
    data = const $crate::head::log::RING,
);
    };
}
