// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exception vectors at EL1: interrupts to their handlers, everything else ends the partition.
//!
//! A handler may be any Rust function, so the whole caller-saved state is kept, SIMD registers too.
//! Exceptions of `probe`'s own instructions are answered there; any other is a defect of the
//! payload and is reported with its syndrome. Handlers run on a stack of their own with interrupts
//! masked: there is no nesting.

use core::arch::global_asm;

use aarch64_cpu::registers::{ESR_EL1, FAR_EL1, Readable};

use crate::{Machine, Outcome, cpu, interrupts, println, probe, start};

/// What the vectors keep of the interrupted code.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    pub x: [u64; 31],
    pub elr: u64,
    pub spsr: u64,
    fpsr: u64,
    fpcr: u64,
    reserved: u64,
    q: [u128; 32],
}

global_asm!(
    r#"
.macro rt_vector kind
.balign 128
    sub     sp, sp, #{frame}
    stp     x0, x1, [sp]
    mov     x1, #\kind
    b       rt_exception_common
.endm

.section .text.rt_vectors, "ax"
.balign 2048
rt_vectors:
    rt_vector 0
    rt_vector 1
    rt_vector 2
    rt_vector 3
    rt_vector 4
    rt_vector 5
    rt_vector 6
    rt_vector 7
    rt_vector 8
    rt_vector 9
    rt_vector 10
    rt_vector 11
    rt_vector 12
    rt_vector 13
    rt_vector 14
    rt_vector 15

rt_exception_common:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x30, x2, [sp, #240]
    mrs     x4, fpsr
    mrs     x5, fpcr
    stp     x3, x4, [sp, #256]
    str     x5, [sp, #272]
    add     x6, sp, #288
    stp     q0, q1, [x6]
    stp     q2, q3, [x6, #32]
    stp     q4, q5, [x6, #64]
    stp     q6, q7, [x6, #96]
    stp     q8, q9, [x6, #128]
    stp     q10, q11, [x6, #160]
    stp     q12, q13, [x6, #192]
    stp     q14, q15, [x6, #224]
    stp     q16, q17, [x6, #256]
    stp     q18, q19, [x6, #288]
    stp     q20, q21, [x6, #320]
    stp     q22, q23, [x6, #352]
    stp     q24, q25, [x6, #384]
    stp     q26, q27, [x6, #416]
    stp     q28, q29, [x6, #448]
    stp     q30, q31, [x6, #480]
    mov     x0, sp
    bl      {handle}
    add     x6, sp, #288
    ldp     q0, q1, [x6]
    ldp     q2, q3, [x6, #32]
    ldp     q4, q5, [x6, #64]
    ldp     q6, q7, [x6, #96]
    ldp     q8, q9, [x6, #128]
    ldp     q10, q11, [x6, #160]
    ldp     q12, q13, [x6, #192]
    ldp     q14, q15, [x6, #224]
    ldp     q16, q17, [x6, #256]
    ldp     q18, q19, [x6, #288]
    ldp     q20, q21, [x6, #320]
    ldp     q22, q23, [x6, #352]
    ldp     q24, q25, [x6, #384]
    ldp     q26, q27, [x6, #416]
    ldp     q28, q29, [x6, #448]
    ldp     q30, q31, [x6, #480]
    ldr     x5, [sp, #272]
    ldp     x3, x4, [sp, #256]
    msr     fpcr, x5
    msr     fpsr, x4
    ldp     x30, x2, [sp, #240]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x28, x29, [sp, #224]
    ldp     x26, x27, [sp, #208]
    ldp     x24, x25, [sp, #192]
    ldp     x22, x23, [sp, #176]
    ldp     x20, x21, [sp, #160]
    ldp     x18, x19, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #{frame}
    eret
"#,
    frame = const size_of::<Frame>(),
    handle = sym handle,
);

/// Vector numbers, in the table's order: current EL with SP_EL0.
const SYNCHRONOUS: u64 = 0;
const IRQ: u64 = 1;

extern "C" fn handle(frame: &mut Frame, kind: u64) {
    match kind {
        IRQ => interrupts::dispatch(),
        SYNCHRONOUS if probe::answer(frame, ESR_EL1.get()) => {}
        _ => {
            let far = FAR_EL1.get();
            let overflow = Machine::get().is_some_and(|machine| {
                start::guards(machine).any(|guard| (guard.base..guard.end()).contains(&far))
            });
            if overflow {
                println!("stack overflow of vPE {}", cpu::vpe());
            }
            println!(
                "unexpected exception {kind}: esr {:#x}, elr {:#x}, far {:#x}",
                ESR_EL1.get(),
                frame.elr,
                far
            );
            Outcome::Failed(Outcome::EXCEPTION).end()
        }
    }
}
