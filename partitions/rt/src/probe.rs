// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accesses that may fault, and what came of them.
//!
//! Each probe is one instruction in the section `.probe` (or, for an instruction made at run time,
//! in one buffer). When it takes an exception, the vectors ask `answer`, which puts the syndrome
//! into x9 and goes on behind it. Exceptions from anywhere else stay fatal, so a defect of the
//! payload is never mistaken for a refusal.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use spin::Mutex;

use crate::vectors::Frame;

/// ESR_EL1 of an exception that a probe took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome(u64);

impl Syndrome {
    pub fn value(self) -> u64 {
        self.0
    }

    /// Exception class: 0 is UNDEFINED, 0x25 a data abort, 0x21 an instruction abort.
    pub fn class(self) -> u64 {
        self.0 >> 26 & 0x3f
    }

    /// A data abort whose status code is a synchronous external abort: what the guest ABI promises
    /// for an address that is not there.
    pub fn is_external_abort(self) -> bool {
        self.class() == 0x25 && self.0 & 0x3f == 0x10
    }

    pub fn is_undefined(self) -> bool {
        self.class() == 0
    }
}

#[repr(C)]
struct Answer {
    value: u64,
    syndrome: u64,
}

global_asm!(
    r#"
.macro rt_probe_load name, instruction
\name:
    mov     x9, xzr
    \instruction, [x0]
    mov     x1, x9
    ret
.endm
.macro rt_probe_store name, instruction
\name:
    mov     x9, xzr
    \instruction, [x0]
    mov     x1, x9
    ret
.endm

.section .probe, "ax"
rt_probe_load rt_probe_read8, "ldrb w0"
rt_probe_load rt_probe_read16, "ldrh w0"
rt_probe_load rt_probe_read32, "ldr w0"
rt_probe_load rt_probe_read64, "ldr x0"
rt_probe_store rt_probe_write8, "strb w1"
rt_probe_store rt_probe_write16, "strh w1"
rt_probe_store rt_probe_write32, "str w1"
rt_probe_store rt_probe_write64, "str x1"
rt_probe_hvc:
    mov     x9, xzr
    hvc     #0
    mov     x1, x9
    ret
rt_probe_smc:
    mov     x9, xzr
    smc     #0
    mov     x1, x9
    ret
rt_probe_run:
    stp     x29, x30, [sp, #-16]!
    mov     x9, xzr
    mov     x10, x0
    mov     x0, x1
    blr     x10
    mov     x1, x9
    ldp     x29, x30, [sp], #16
    ret
"#
);

unsafe extern "C" {
    fn rt_probe_read8(address: u64) -> Answer;
    fn rt_probe_read16(address: u64) -> Answer;
    fn rt_probe_read32(address: u64) -> Answer;
    fn rt_probe_read64(address: u64) -> Answer;
    fn rt_probe_write8(address: u64, value: u64) -> Answer;
    fn rt_probe_write16(address: u64, value: u64) -> Answer;
    fn rt_probe_write32(address: u64, value: u64) -> Answer;
    fn rt_probe_write64(address: u64, value: u64) -> Answer;
    fn rt_probe_hvc(function: u64, a: u64, b: u64, c: u64) -> Answer;
    fn rt_probe_smc(function: u64, a: u64, b: u64, c: u64) -> Answer;
    fn rt_probe_run(code: u64, value: u64) -> Answer;
    static __probe_start: u8;
    static __probe_end: u8;
}

#[repr(C, align(64))]
struct Code(UnsafeCell<[u32; 16]>);

// SAFETY: written and run only with `RUNNING` held.
unsafe impl Sync for Code {}

static CODE: Code = Code(UnsafeCell::new([0; 16]));
static RUNNING: Mutex<()> = Mutex::new(());

const RET: u32 = 0xd65f_03c0;

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Byte,
    Half,
    Word,
    Double,
}

impl Width {
    pub const ALL: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];

    pub fn bytes(self) -> u64 {
        match self {
            Width::Byte => 1,
            Width::Half => 2,
            Width::Word => 4,
            Width::Double => 8,
        }
    }
}

fn result(answer: Answer) -> Result<u64, Syndrome> {
    match answer.syndrome {
        0 => Ok(answer.value),
        syndrome => Err(Syndrome(syndrome)),
    }
}

/// Reads an address.
///
/// # Safety
/// Reading it must not have an effect that breaks Rust's memory: a device's registers may be read,
/// memory that others write at the same time not.
pub unsafe fn read(address: u64, width: Width) -> Result<u64, Syndrome> {
    let load = match width {
        Width::Byte => rt_probe_read8,
        Width::Half => rt_probe_read16,
        Width::Word => rt_probe_read32,
        Width::Double => rt_probe_read64,
    };
    // SAFETY: a fault comes back as a syndrome; everything else the caller vouches for.
    result(unsafe { load(address) })
}

/// Writes to an address.
///
/// # Safety
/// It must not be memory that Rust knows of, nor make a device write to any.
pub unsafe fn write(address: u64, value: u64, width: Width) -> Result<(), Syndrome> {
    let store = match width {
        Width::Byte => rt_probe_write8,
        Width::Half => rt_probe_write16,
        Width::Word => rt_probe_write32,
        Width::Double => rt_probe_write64,
    };
    // SAFETY: a fault comes back as a syndrome; everything else the caller vouches for.
    result(unsafe { store(address, value) }).map(drop)
}

/// HVC, or SMC, that may be UNDEFINED.
///
/// # Safety
/// As `smccc::hvc`.
pub unsafe fn call(smc: bool, function: u64, [a, b, c]: [u64; 3]) -> Result<u64, Syndrome> {
    let call = if smc { rt_probe_smc } else { rt_probe_hvc };
    // SAFETY: the caller vouches for the function.
    result(unsafe { call(function, a, b, c) })
}

/// Runs one instruction with `value` in x0; what x0 holds after it.
///
/// # Safety
/// The instruction must change no register but x0 and nothing that Rust relies on, and must go on
/// behind itself.
pub unsafe fn run(instruction: u32, value: u64) -> Result<u64, Syndrome> {
    let _guard = RUNNING.lock();
    let code = CODE.0.get().cast::<u32>();
    // SAFETY: `RUNNING` is held, so nobody else uses the buffer; it has room for two words.
    unsafe { code.cast::<[u32; 2]>().write_volatile([instruction, RET]) };
    // SAFETY: makes the new instructions visible to this vPE's fetches (DDI 0487 B2.4.4); the
    // buffer is one cache line.
    unsafe {
        asm!(
            "dc cvau, {code}", "dsb ish", "ic ivau, {code}", "dsb ish", "isb",
            code = in(reg) code, options(nostack),
        );
    }
    // SAFETY: the buffer holds the caller's instruction and a return.
    result(unsafe { rt_probe_run(code as u64, value) })
}

/// Whether the exception in `frame` is a probe's; then it is answered.
pub(crate) fn answer(frame: &mut Frame, syndrome: u64) -> bool {
    let code = CODE.0.get() as u64;
    let start = &raw const __probe_start as u64;
    let end = &raw const __probe_end as u64;
    if !(start..end).contains(&frame.elr) && frame.elr != code {
        return false;
    }
    frame.x[9] = syndrome;
    frame.elr += 4;
    true
}
