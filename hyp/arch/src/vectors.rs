// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exceptions to EL2: what is saved, which Rust function decides, what is restored.
//!
//! While a guest runs, SP_EL2 points at its trap frame at the top of the CPU's stack, and TPIDR_EL2
//! at the CPU's own data. EL2 runs with interrupts masked, so there is one frame for each CPU.
//! Three ways in (DDI 0487 D1.4):
//!
//! 1. interrupt: x0-x18 and x30 are saved, `irq_fast` decides, and `irq_rest` what it left; the
//!    other registers survive a Rust function by the procedure call standard. Only when these ask
//!    is the rest saved too and `irq_slow` called. An LPI that is an event of the vPE that runs
//!    goes into its list register with six registers saved, if nothing else is listed
//!    (`list_lpi`).
//! 2. HVC and data abort: likewise with `hvc_fast` and `abort_fast`. A system register: with
//!    everything saved, but only the caller-saved ones restored, `register_fast`.
//! 3. all else, and what a fast handler did not do: everything is saved and `trap` called; if it
//!    changed x19-x29 it says so.
//!
//! An exception taken from EL2 itself is the end of that CPU, unless it is a probe's.

use crate::boot::{CpuBoot, Here};
use crate::frame::{FRAME_BYTES, Frame};
use crate::sysreg::read;
use crate::system::System;
use crate::{smc, this};
#[doc(hidden)]
pub use abi::psci;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr;

/// ESR_EL2.EC of the exceptions that the vectors know (DDI 0487 D24.2.40).
pub mod class {
    /// HVC in AArch64.
    pub const HVC: u64 = 0x16;
    /// MSR, MRS or a system instruction in AArch64.
    pub const REGISTER: u64 = 0x18;
    /// A data abort from a lower EL.
    pub const DATA_ABORT: u64 = 0x24;
}

/// Type-checked ways from the vectors to an image's [`Handlers`](crate::Handlers).
#[doc(hidden)]
pub mod way {
    use crate::frame::{Frame, Next};
    use crate::handlers::Handlers;
    use crate::this::vpe;

    macro_rules! ways {
        ($($way:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
            $(
                /// # Safety
                /// The vectors call it, for an exception from a guest.
                pub unsafe extern "C" fn $way<S: Handlers>(
                    $($argument: $type),*
                ) $(-> $result)? {
                    // SAFETY: `enter` lets a guest run only after `this::set`.
                    S::$way(unsafe { vpe::<S>() }, $($argument),*)
                }
            )*
        };
    }

    ways! {
        hvc_fast(frame: &mut Frame) -> Next;
        abort_fast(esr: u64, frame: &mut Frame) -> Next;
        register_fast(esr: u64, frame: &mut Frame) -> Next;
        trap(esr: u64, frame: &mut Frame) -> Next;
        irq_fast(taken: u64) -> u32;
        irq_rest(left: u32) -> Next;
        irq_slow(frame: &mut Frame);
        error(esr: u64, frame: &mut Frame);
    }

    pub extern "C" fn stopped<S: Handlers>(esr: u64, elr: u64, far: u64) -> ! {
        S::stopped(esr, elr, far)
    }
}

/// The vectors' text for a system.
#[doc(hidden)]
#[macro_export]
macro_rules! vectors {
    ($system:ty, $events:path) => {
core::arch::global_asm!(
    r#"
    .macro  save_caller_saved
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    save_from_x4
    .endm

    .macro  save_from_x4
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    .endm

    .macro  save_callee_saved
    stp     x19, x20, [sp, #160]
    stp     x21, x22, [sp, #176]
    stp     x23, x24, [sp, #192]
    stp     x25, x26, [sp, #208]
    stp     x27, x28, [sp, #224]
    str     x29, [sp, #240]
    .endm

    .macro  return_to_guest
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x30, [sp, #144]
    eret
    .endm

    // x0: the interrupt.
    .macro  interrupt
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    mrs     x0, S3_0_C12_C12_0          // ICC_IAR1_EL1
    .if     {lpis}
    lsr     w1, w0, #13
    cbnz    w1, list_lpi
    .endif
    save_from_x4
    bl      {irq_fast}
    cbnz    w0, irq_rest
    return_to_guest
    .endm

    .section .vectors, "ax"
    .balign 2048
    .global vectors
vectors:
    // Taken from EL2 with SP_EL0, then with SP_EL2.
    .rept   4
    b       own_exception
    .balign 128
    .endr
    b       own_synchronous
    .balign 128
    .rept   2
    b       own_exception
    .balign 128
    .endr
    b       own_error
    .balign 128

    // From a guest in AArch64: synchronous. PSCI_VERSION needs no handler at all.
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    mrs     x1, esr_el2
    lsr     w2, w1, #26
    cmp     w2, #{hvc}
    b.ne    not_hvc
    mov     w3, #{psci_version}
    cmp     w0, w3
    b.ne    call
    mrs     x1, tpidr_el2
    ldr     x1, [x1, #{counters}]
    ldr     x2, [x1, #{calls}]
    add     x2, x2, #1
    str     x2, [x1, #{calls}]
    mov     w0, #{psci_version_answer}
    ldr     x1, [sp, #8]
    ldp     x2, x3, [sp, #16]
    eret
    .balign 128

    // Interrupt.
    interrupt
    .balign 128

    // FIQ: no interrupt is in group 0, so there is none.
    b       own_exception
    .balign 128
    // SError.
    save_caller_saved
    b       full_error
    .balign 128

    // The same from EL0 in AArch32, which has no HVC.
    save_caller_saved
    mrs     x0, esr_el2
    b       full_trap
    .balign 128
    interrupt
    .balign 128
    b       own_exception
    .balign 128
    save_caller_saved
    b       full_error
    .balign 128

    .section .handlers, "ax"
call:
    save_from_x4
    mov     x0, sp
    bl      {hvc_fast}
    cbnz    w0, full_trap_again
    return_to_guest

not_hvc:
    save_from_x4
    mov     x0, x1
    mov     x1, sp
    cmp     w2, #{data_abort}
    b.ne    not_abort
    bl      {abort_fast}
    cbnz    w0, full_trap_again
    return_to_guest

not_abort:
    save_callee_saved
    cmp     w2, #{register}
    b.ne    all_saved
    bl      {register_fast}
    cbnz    w0, all_saved_again
    return_to_guest

full_trap_again:
    mrs     x0, esr_el2
full_trap:
    save_callee_saved
    b       all_saved
all_saved_again:
    mrs     x0, esr_el2
all_saved:
    mov     x1, sp
    bl      {trap}
    cbnz    w0, restore_all
    return_to_guest

    .if     {lpis}
// LPI 8192 + n is event n of the plan.
list_lpi:
    mrs     x1, cntpct_el0
    stp     x4, x5, [sp, #32]
    sub     w4, w0, #2, lsl #12
    mov     w5, #{lpis}
    cmp     w4, w5
    b.hs    other_lpi
    adrp    x2, {events}
    add     x2, x2, :lo12:{events}
    add     x2, x2, x4, lsl #{entry_shift}
    ldr     x2, [x2, #{place}]
    mrs     x3, tpidr_el2
    ldrh    w4, [x3, #{index}]
    orr     w4, w4, #0x8000
    eor     x2, x2, x4, lsl #32
    tst     x2, #0xffff00000000         // this vPE's, and enabled
    b.ne    other_lpi
    ldr     x3, [x3, #{counters}]
    ldr     w4, [x3, #{attention}]
    cbnz    w4, other_lpi
    mrs     x4, S3_4_C12_C11_5          // ICH_ELRSR_EL2
    mvn     w4, w4
    tst     w4, #{shared_list_registers}
    b.ne    other_lpi
    msr     S3_4_C12_C12_1, x2          // ICH_LR1_EL2
    msr     S3_0_C12_C12_1, x0          // ICC_EOIR1_EL1
    ldr     x4, [x3, #{listed}]
    add     x4, x4, #1
    str     x4, [x3, #{listed}]
    ldr     x4, [x3, #{taken}]
    add     x4, x4, #1
    str     x4, [x3, #{taken}]
    mrs     x4, cntpct_el0
    ldr     x2, [x3, #{longest}]
    sub     x4, x4, x1
    cmp     x2, x4
    b.lo    2f
1:  ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    eret
2:  str     x4, [x3, #{longest}]
    b       1b
other_lpi:
    ldp     x4, x5, [sp, #32]
    save_from_x4
    add     w0, w0, #1
    .endif

irq_rest:
    bl      {irq_rest}
    cbnz    w0, full_irq
    return_to_guest
full_irq:
    save_callee_saved
    mov     x0, sp
    bl      {irq_slow}
    b       restore_all

full_error:
    save_callee_saved
    mrs     x0, esr_el2
    mov     x1, sp
    bl      {error}

restore_all:
    ldp     x19, x20, [sp, #160]
    ldp     x21, x22, [sp, #176]
    ldp     x23, x24, [sp, #192]
    ldp     x25, x26, [sp, #208]
    ldp     x27, x28, [sp, #224]
    ldr     x29, [sp, #240]
    return_to_guest

    .global enter_guest
enter_guest:
    mov     sp, x0
    b       restore_all

// A probe that was answered with an abort returns "no" in x1; anything else ends here.
own_synchronous:
    mrs     x9, elr_el2
    adr     x10, probe_loads
    sub     x9, x9, x10
    cmp     x9, #probe_loads_end - probe_loads
    b.hs    own_exception
    adr     x10, probe_failed
    msr     elr_el2, x10
    eret

// An SError in take_error's window goes on behind it; at any other place EL2 masks them.
own_error:
    mrs     x9, elr_el2
    adr     x10, error_window
    sub     x9, x9, x10
    cmp     x9, #error_taken - error_window
    b.hi    own_exception
    mrs     x0, esr_el2
    adr     x10, error_taken
    msr     elr_el2, x10
    eret

// The pending SError's syndrome in x0, or 0.
    .global take_error
take_error:
    mov     x0, xzr
    msr     daifclr, #4
error_window:
    isb
error_taken:
    msr     daifset, #4
    ret

own_exception:
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    bl      {stopped}

// Loads that may abort: address in x0; value in x0 and 1 in x1, or 0 in x1.
    // An abort overwrites where the guest goes on, and as what: that is put back.
    .global probe32
probe32:
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    mov     x1, #1
    b       1f
    .global probe64
probe64:
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    mov     x1, #1
    b       2f
probe_loads:
1:  ldr     w0, [x0]
    ret
2:  ldr     x0, [x0]
    ret
probe_loads_end:
probe_failed:
    msr     elr_el2, x2
    msr     spsr_el2, x3
    mov     x1, #0
    ret
    "#,
    hvc = const $crate::vectors::class::HVC,
    psci_version = const $crate::vectors::psci::VERSION,
    psci_version_answer = const $crate::vectors::psci::VERSION_1_1,
    counters = const <$system as $crate::System>::COUNTERS,
    calls = const <$system as $crate::System>::CALLS,
    data_abort = const $crate::vectors::class::DATA_ABORT,
    register = const $crate::vectors::class::REGISTER,
    hvc_fast = sym $crate::vectors::way::hvc_fast::<$system>,
    abort_fast = sym $crate::vectors::way::abort_fast::<$system>,
    register_fast = sym $crate::vectors::way::register_fast::<$system>,
    lpis = const <$system as $crate::System>::LPIS.count,
    events = sym $events,
    entry_shift = const <$system as $crate::System>::LPIS.entry_shift,
    place = const <$system as $crate::System>::LPIS.place,
    index = const <$system as $crate::System>::LPIS.index,
    attention = const <$system as $crate::System>::LPIS.attention,
    listed = const <$system as $crate::System>::LPIS.listed,
    taken = const <$system as $crate::System>::LPIS.taken,
    longest = const <$system as $crate::System>::LPIS.longest,
    shared_list_registers =
        const (1u32 << <$system as $crate::System>::PLAN.board.list_registers) - 2,
    irq_fast = sym $crate::vectors::way::irq_fast::<$system>,
    irq_rest = sym $crate::vectors::way::irq_rest::<$system>,
    irq_slow = sym $crate::vectors::way::irq_slow::<$system>,
    trap = sym $crate::vectors::way::trap::<$system>,
    error = sym $crate::vectors::way::error::<$system>,
    stopped = sym $crate::vectors::way::stopped::<$system>,
);
    };
}

unsafe extern "C" {
    static __stacks: u8;
    fn enter_guest(frame: *const Frame) -> !;
}

/// The top of the calling CPU's stack, where its trap frame lies.
pub struct StackTop(&'static mut Frame, Here<Frame>);

impl Deref for StackTop {
    type Target = Frame;
    fn deref(&self) -> &Frame {
        self.0
    }
}

impl DerefMut for StackTop {
    fn deref_mut(&mut self) -> &mut Frame {
        self.0
    }
}

impl<S: System> CpuBoot<S> {
    /// The CPU's trap frame, all zero before its first guest. Its boot is over.
    pub fn frame(self) -> StackTop {
        let size = S::PLAN.hypervisor.stack_bytes as usize;
        let stacks = ptr::addr_of!(__stacks) as usize;
        let top = stacks.wrapping_add(size.wrapping_mul(self.cpu().index() + 1));
        let frame = top.wrapping_sub(FRAME_BYTES) as *mut Frame;
        // SAFETY: the linker script keeps this memory for the CPU's frame, above where its stack
        // began (the head); only this CPU uses it, and its token is used up.
        unsafe { frame.write(Frame::new()) };
        // SAFETY: as above, initialised.
        StackTop(unsafe { &mut *frame }, PhantomData)
    }
}

/// Leaves the current stack, loads all registers from the frame and returns to the guest, whose
/// next exception comes back by the vectors. A CPU without a vPE, without a stage 2, or about to
/// return to EL2 parks.
pub fn enter(top: StackTop) -> ! {
    const VM: u64 = 1;
    const EL2: u64 = 1 << 3;
    if this::is_nobody() || read!(HCR_EL2) & VM == 0 || read!(SPSR_EL2) & EL2 != 0 {
        smc::park()
    }
    // SAFETY: the frame lies at the top of this CPU's stack, as `StackTop` does not leave its CPU,
    // and what is below it is given up here for good: no caller returns. What runs next is EL1's or
    // EL0's, behind a stage 2 of the plan.
    unsafe { enter_guest(top.0) }
}
