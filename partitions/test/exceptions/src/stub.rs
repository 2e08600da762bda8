// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A few instructions run at any level, state and translation, and how they came back.
//!
//! The stub starts with the registers, PSTATE, SCTLR_EL1 and vectors that it is given; the first
//! exception that EL1 takes ends it. With SCTLR_EL1.M = 0 addresses are IPAs and EL0 may use any,
//! so a stub needs no tables of its own. The vectors here use nothing but the words beside them,
//! and so work at either of their addresses: TTBR1_EL1 has what TTBR0_EL1 has, 2^40 below the top
//! ([`high`]). Interrupts stay masked.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

/// SCTLR_EL1 with the MMU off: RES1 bits; nTWI and nTWE, so that EL0 may wait.
pub const MMU_OFF: u64 = 0x30d0_0800 | 1 << 16 | 1 << 18;
/// PSTATE with everything masked.
pub const EL1: u64 = 0x3c5;
pub const EL0: u64 = 0x3c0;
pub const EL0_A32: u64 = 0x1d0;
pub const EL0_T32: u64 = 0x1f0;

/// How a stub starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub at: u64,
    pub state: u64,
    pub sctlr: u64,
    /// Vectors at their upper address.
    pub high_vectors: bool,
    pub x: [u64; 8],
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub x: [u64; 8],
    /// Offset of the vector.
    pub vector: u64,
    pub esr: u64,
    pub elr: u64,
    pub state: u64,
    pub far: u64,
}

impl End {
    pub fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }
}

const X: usize = 0;
const VECTOR: usize = 8;
const ESR: usize = 9;
const ELR: usize = 10;
const STATE: usize = 11;
const FAR: usize = 12;
const SCTLR: usize = 13;
const VBAR: usize = 14;
const TCR: usize = 15;
const TTBR1: usize = 16;
const SAVED: usize = 17;
const KEPT: usize = 24;
const WORDS: usize = KEPT + 12;

global_asm!(
    r#"
.macro  stub_vector offset
.balign 128
    msr     tpidrro_el0, x0
    mov     x0, #\offset
    b       stub_ended
.endm

.section .text.stub, "ax"
.balign 2048
stub_vectors:
    .irp    offset, 0x000,0x080,0x100,0x180,0x200,0x280,0x300,0x380,0x400,0x480,0x500,0x580,0x600,0x680,0x700,0x780
    stub_vector \offset
    .endr
.balign 64
stub_words:
    .fill   {words}, 8, 0

stub_ended:
    mov     sp, x1
    adr     x1, stub_words
    stp     x2, x3, [x1, #8 * ({x} + 2)]
    stp     x4, x5, [x1, #8 * ({x} + 4)]
    stp     x6, x7, [x1, #8 * ({x} + 6)]
    str     x0, [x1, #8 * {vector}]
    mrs     x0, tpidrro_el0
    mov     x2, sp
    stp     x0, x2, [x1, #8 * {x}]
    mrs     x2, esr_el1
    str     x2, [x1, #8 * {esr}]
    mrs     x2, elr_el1
    str     x2, [x1, #8 * {elr}]
    mrs     x2, spsr_el1
    str     x2, [x1, #8 * {state}]
    mrs     x2, far_el1
    str     x2, [x1, #8 * {far}]
    // The runtime's translation, then its addresses.
    ldr     x2, [x1, #8 * ({saved} + 1)]
    msr     ttbr0_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x2, [x1, #8 * {saved}]
    msr     sctlr_el1, x2
    isb
    ldr     x2, [x1, #8 * ({saved} + 6)]
    br      x2
stub_back:
    adr     x1, stub_words
    ldr     x2, [x1, #8 * ({saved} + 2)]
    msr     tcr_el1, x2
    ldr     x2, [x1, #8 * ({saved} + 3)]
    msr     vbar_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x2, [x1, #8 * ({saved} + 5)]
    mov     sp, x2
    msr     spsel, #0
    ldr     x2, [x1, #8 * ({saved} + 4)]
    mov     sp, x2
    ldp     x19, x20, [x1, #8 * {kept}]
    ldp     x21, x22, [x1, #8 * ({kept} + 2)]
    ldp     x23, x24, [x1, #8 * ({kept} + 4)]
    ldp     x25, x26, [x1, #8 * ({kept} + 6)]
    ldp     x27, x28, [x1, #8 * ({kept} + 8)]
    ldp     x29, x30, [x1, #8 * ({kept} + 10)]
    ret

stub_run:
    adr     x9, stub_words
    stp     x19, x20, [x9, #8 * {kept}]
    stp     x21, x22, [x9, #8 * ({kept} + 2)]
    stp     x23, x24, [x9, #8 * ({kept} + 4)]
    stp     x25, x26, [x9, #8 * ({kept} + 6)]
    stp     x27, x28, [x9, #8 * ({kept} + 8)]
    stp     x29, x30, [x9, #8 * ({kept} + 10)]
    mrs     x10, sctlr_el1
    str     x10, [x9, #8 * {saved}]
    mrs     x10, ttbr0_el1
    str     x10, [x9, #8 * ({saved} + 1)]
    mrs     x10, tcr_el1
    str     x10, [x9, #8 * ({saved} + 2)]
    mrs     x10, vbar_el1
    str     x10, [x9, #8 * ({saved} + 3)]
    mov     x10, sp
    str     x10, [x9, #8 * ({saved} + 4)]
    msr     spsel, #1
    mov     x10, sp
    str     x10, [x9, #8 * ({saved} + 5)]
    adr     x10, stub_back
    str     x10, [x9, #8 * ({saved} + 6)]
    mov     x10, x9
    mov     x11, #(8 * {words} + 63) / 64
1:  dc      civac, x10
    add     x10, x10, #64
    subs    x11, x11, #1
    b.ne    1b
    dsb     sy
    ldr     x10, [x9, #8 * {tcr}]
    msr     tcr_el1, x10
    ldr     x10, [x9, #8 * {ttbr1}]
    msr     ttbr1_el1, x10
    ldr     x10, [x9, #8 * {vbar}]
    msr     vbar_el1, x10
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x10, [x9, #8 * {elr}]
    msr     elr_el1, x10
    ldr     x10, [x9, #8 * {state}]
    msr     spsr_el1, x10
    ldr     x10, [x9, #8 * {sctlr}]
    ldp     x0, x1, [x9, #8 * {x}]
    ldp     x2, x3, [x9, #8 * ({x} + 2)]
    ldp     x4, x5, [x9, #8 * ({x} + 4)]
    ldp     x6, x7, [x9, #8 * ({x} + 6)]
    msr     sctlr_el1, x10
    isb
    eret
"#,
    x = const X, vector = const VECTOR, esr = const ESR, elr = const ELR, state = const STATE, far = const FAR,
    sctlr = const SCTLR, vbar = const VBAR, tcr = const TCR, ttbr1 = const TTBR1, saved = const SAVED,
    kept = const KEPT, words = const WORDS,
);

unsafe extern "C" {
    fn stub_run();
    static stub_vectors: u8;
    static mut stub_words: [u64; WORDS];
}

/// Where a stub's instructions are: a line of their own.
#[repr(C, align(64))]
struct Code(UnsafeCell<[u32; 16]>);

// SAFETY: one vPE, interrupts masked.
unsafe impl Sync for Code {}

static CODE: Code = Code(UnsafeCell::new([0; 16]));

/// The address that TTBR1_EL1 gives to `address`.
pub fn high(address: u64) -> u64 {
    0xffff_ff00_0000_0000 | address
}

/// Puts instructions where a stub is run; their address.
pub fn code(words: &[u32]) -> u64 {
    let place = CODE.0.get();
    let mut all = [0; 16];
    for (to, word) in all.iter_mut().zip(words) {
        *to = *word;
    }
    // SAFETY: nobody else uses the buffer (one vPE), and the stub that ran there has ended.
    unsafe { place.write_volatile(all) };
    // SAFETY: makes the instructions visible to fetches, with caches on or off.
    unsafe {
        asm!(
            "dc civac, {0}", "dsb sy", "ic ivau, {0}", "dsb sy", "isb",
            in(reg) place, options(nostack),
        );
    }
    place as u64
}

/// SCTLR_EL1 as the runtime has it, MMU on.
pub fn mmu_on() -> u64 {
    let sctlr: u64;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mrs {}, sctlr_el1", out(reg) sctlr, options(nostack, nomem)) };
    sctlr
}

/// MDSCR_EL1 becomes this; what it is then.
pub fn set_debug_control(value: u64) -> u64 {
    let now: u64;
    // SAFETY: debug exceptions stay masked here; a stub may let them in.
    unsafe {
        asm!("msr mdscr_el1, {}", "isb", "mrs {}, mdscr_el1", in(reg) value, out(reg) now, options(nostack))
    };
    now
}

/// CNTKCTL_EL1: EL0 may use every timer and counter.
pub fn open_timers() {
    // SAFETY: what EL0 may read.
    unsafe { asm!("msr cntkctl_el1, {}", "isb", in(reg) 0x303u64, options(nostack)) };
}

/// The virtual timer asks for its interrupt, or does not.
pub fn ring_timer(on: bool) {
    // SAFETY: interrupts stay masked.
    unsafe {
        asm!("msr cntv_cval_el0, xzr", "msr cntv_ctl_el0, {}", "isb", in(reg) u64::from(on), options(nostack))
    };
}

/// DC CISW, CSW and ISW.
pub fn set_and_way(operand: u64) {
    // SAFETY: what is invalidated is written back first: by EL2, or by HCR_EL2.SWIO.
    unsafe {
        asm!("dc cisw, {0}", "dc csw, {0}", "dc isw, {0}", in(reg) operand, options(nostack, preserves_flags))
    };
}

/// Runs a stub until it takes an exception to EL1.
pub fn run(start: &Start) -> End {
    let vectors = &raw const stub_vectors as u64;
    let (tcr, ttbr0): (u64, u64);
    // SAFETY: reading them has no effect.
    unsafe {
        asm!("mrs {}, tcr_el1", "mrs {}, ttbr0_el1", out(reg) tcr, out(reg) ttbr0, options(nostack, nomem))
    };
    // T1SZ 24 as TTBR0_EL1 has it, TG1 4 KiB, inner shareable write-back walks, EPD1 clear.
    let tcr = tcr & !(1 << 23) | 24 << 16 | 2 << 30 | 0x35 << 24;
    let words = &raw mut stub_words;
    let mut now = [0; WORDS];
    now[X..X + 8].copy_from_slice(&start.x);
    now[ELR] = start.at;
    now[STATE] = start.state;
    now[SCTLR] = start.sctlr;
    now[VBAR] = if start.high_vectors { high(vectors) } else { vectors };
    now[TCR] = tcr;
    now[TTBR1] = ttbr0;
    // SAFETY: the words are this module's, and no stub runs.
    unsafe { words.write_volatile(now) };
    // SAFETY: the stub comes back by the vectors with everything that Rust relies on as it was:
    // stacks, translation, and the callee-saved registers, which `stub_run` keeps; the caller-saved
    // ones are declared.
    unsafe {
        asm!(
            "bl {run}", run = sym stub_run, clobber_abi("C"),
        );
    }
    // SAFETY: as above.
    let now = unsafe { words.read_volatile() };
    let mut x = [0; 8];
    x.copy_from_slice(&now[X..X + 8]);
    End { x, vector: now[VECTOR], esr: now[ESR], elr: now[ELR], state: now[STATE], far: now[FAR] }
}
