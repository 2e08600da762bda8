//! Exceptions to EL2: what is saved, which Rust function decides, what is restored.
//!
//! While a guest runs, SP_EL2 points at its trap frame at the top of the CPU's stack, and TPIDR_EL2 at the CPU's own
//! data. EL2 runs with interrupts masked, so there is one frame for each CPU. Three ways in (DDI 0487 D1.4):
//!
//! 1. interrupt: x0-x18 and x30 are saved, `irq_fast` decides; the other registers survive a Rust function by the
//!    procedure call standard. Only when it asks is the rest saved too and `irq_slow` called.
//! 2. HVC: likewise with `hvc_fast`.
//! 3. all else: everything is saved and `trap` called; if it changed x19-x29 it says so.
//!
//! An exception taken from EL2 itself is the end of that CPU, unless it is a probe's.

use core::arch::global_asm;
use core::ptr;
use plan::CpuIndex;

/// A guest's general registers, by number; 31 is the zero register and always 0.
#[repr(C)]
pub struct Frame {
    pub x: [u64; 32],
}

impl Frame {
    /// Writes a register, 0..=31.
    #[inline(always)]
    pub fn set(&mut self, register: usize, value: u64) {
        self.x[register & 31] = value;
        self.x[31] = 0;
    }
}

pub const FRAME_BYTES: usize = size_of::<Frame>();
const _: () = assert!(FRAME_BYTES == 256);

/// What a handler tells the vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Next {
    /// Back to the guest; x19-x29 are as they were.
    Guest = 0,
    /// From a fast handler: nothing was decided, save everything and ask again. From a slow one: restore everything.
    Full = 1,
}

unsafe extern "C" {
    /// Leaves the current stack, loads all registers from the frame and returns to the guest.
    pub fn enter_guest(frame: *const Frame) -> !;
}

global_asm!(
    r#"
    .macro  save_caller_saved
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    str     x18, [sp, #144]
    str     x30, [sp, #240]
    .endm

    .macro  save_callee_saved
    stp     x19, x20, [sp, #152]
    stp     x21, x22, [sp, #168]
    stp     x23, x24, [sp, #184]
    stp     x25, x26, [sp, #200]
    stp     x27, x28, [sp, #216]
    str     x29, [sp, #232]
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
    ldr     x18, [sp, #144]
    ldr     x30, [sp, #240]
    eret
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
    .rept   3
    b       own_exception
    .balign 128
    .endr

    // From a guest in AArch64: synchronous. The whole way of an HVC fits in its slot.
    save_caller_saved
    mrs     x0, esr_el2
    mov     x1, sp
    lsr     w2, w0, #26
    cmp     w2, #0x16
    b.ne    full_trap
    bl      {hvc_fast}
    cbnz    w0, full_trap_again
    return_to_guest
    .balign 128

    // Interrupt.
    save_caller_saved
    bl      {irq_fast}
    cbnz    w0, full_irq
    return_to_guest
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
    save_caller_saved
    bl      {irq_fast}
    cbnz    w0, full_irq
    return_to_guest
    .balign 128
    b       own_exception
    .balign 128
    save_caller_saved
    b       full_error
    .balign 128

full_trap_again:
    mrs     x0, esr_el2
full_trap:
    save_callee_saved
    mov     x1, sp
    bl      {trap}
    cbnz    w0, restore_all
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
    ldp     x19, x20, [sp, #152]
    ldp     x21, x22, [sp, #168]
    ldp     x23, x24, [sp, #184]
    ldp     x25, x26, [sp, #200]
    ldp     x27, x28, [sp, #216]
    ldr     x29, [sp, #232]
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

own_exception:
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    bl      {stopped}

// Loads that may abort: address in x0; value in x0 and 1 in x1, or 0 in x1.
    .global probe32
probe32:
    mov     x1, #1
    b       1f
    .global probe64
probe64:
    mov     x1, #1
    b       2f
probe_loads:
1:  ldr     w0, [x0]
    ret
2:  ldr     x0, [x0]
    ret
probe_loads_end:
probe_failed:
    mov     x1, #0
    ret
    "#,
    hvc_fast = sym crate::trap::hvc_fast,
    irq_fast = sym crate::irq::irq_fast,
    irq_slow = sym crate::irq::irq_slow,
    trap = sym crate::trap::trap,
    error = sym crate::trap::error,
    stopped = sym crate::stopped,
);

unsafe extern "C" {
    static __stacks: u8;
    static STACK_SIZE: u8;
}

/// The trap frame of a CPU, all zero before its first guest: at the top of its stack.
pub fn first_frame(cpu: CpuIndex) -> &'static mut Frame {
    let size = ptr::addr_of!(STACK_SIZE) as usize;
    let top = (ptr::addr_of!(__stacks) as usize).wrapping_add(size.wrapping_mul(cpu.index() + 1));
    let frame = top.wrapping_sub(FRAME_BYTES) as *mut Frame;
    // SAFETY: the linker script keeps this memory for the CPU's frame, above where its stack began (head.rs); only
    // this CPU uses it, and calls this once.
    unsafe {
        frame.write(Frame { x: [0; 32] });
    }
    // SAFETY: as above, initialised.
    unsafe { &mut *frame }
}
