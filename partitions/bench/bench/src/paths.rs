// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The measured paths: a few instructions each, between two readings of the counter.
//!
//! Under `-icount shift=0` with a counter of 1 GHz one tick is one instruction, of whichever
//! exception level. A difference contains the instruction that causes the event and the second
//! reading itself; nothing is subtracted. All interrupts but the measured one are masked or off.
//! After a path the mask is closed and `rt`'s vectors are back.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::hypercall::RING;
use rt::cpu;

use crate::vectors;

/// How a device is told to take its interrupt back.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    pub address: u64,
    pub value: u32,
    /// A register of the device whose reading has no effect: once it is read, the device has seen
    /// the write.
    pub look: u64,
}

static NOWHERE: AtomicU32 = AtomicU32::new(0);

impl Release {
    /// Nothing has to be told.
    pub fn none() -> Self {
        let nowhere = NOWHERE.as_ptr() as u64;
        Self { address: nowhere, value: 0, look: nowhere }
    }
}

/// What causes an interrupt to this vPE.
#[derive(Clone, Copy, Debug)]
pub enum Cause {
    /// A store of 32 bits.
    Store { address: u64, value: u32 },
    /// A write to ICC_SGI1R_EL1.
    Sgi(u64),
}

/// One instruction that exits and comes back.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// HVC with this function in w0.
    Hvc(u32),
    /// A load of 32 bits.
    Load(u64),
    /// A store of 32 bits.
    Store(u64, u32),
    /// WFI while an interrupt is pending and masked.
    Wfi,
    /// Nothing: what the reading costs.
    Nothing,
    /// A thousand NOPs: whether a tick is an instruction.
    Nops,
}

/// An interrupt as it was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub ticks: u64,
    pub intid: u64,
}

/// Puts the bench's vectors in place; the former table comes back.
fn enter() -> u64 {
    cpu::disable_interrupts();
    let former;
    // SAFETY: the table is whole, and no code between here and `leave` relies on `rt`'s.
    unsafe {
        asm!(
            "mrs {former}, vbar_el1", "msr vbar_el1, {table}", "isb",
            former = out(reg) former, table = in(reg) vectors::table(), options(nostack),
        );
    }
    former
}

fn leave(former: u64) {
    cpu::disable_interrupts();
    // SAFETY: `former` is what `enter` found.
    unsafe { asm!("msr vbar_el1, {}", "isb", in(reg) former, options(nostack)) };
}

/// From the instruction that causes an interrupt to the handler's first instruction.
///
/// # Safety
/// The cause and the release are device registers, and the interrupt comes.
pub unsafe fn interrupt(cause: Cause, release: Release) -> Taken {
    let former = enter();
    let (began, handled, intid): (u64, u64, u64);
    match cause {
        // SAFETY: the caller vouches for the addresses; the vectors change the registers named here
        // and no others.
        Cause::Store { address, value } => unsafe {
            asm!(
                "mov x11, xzr",
                "msr daifclr, #2",
                "isb",
                "mrs x8, cntvct_el0",
                "str {value:w}, [{address}]",
                "2: cbz x11, 2b",
                address = in(reg) address, value = in(reg) value,
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x8") began, out("x9") handled, out("x10") intid, out("x11") _,
            );
        },
        // SAFETY: as above.
        Cause::Sgi(value) => unsafe {
            asm!(
                "mov x11, xzr",
                "msr daifclr, #2",
                "isb",
                "mrs x8, cntvct_el0",
                "msr S3_0_C12_C11_5, {value}",
                "2: cbz x11, 2b",
                value = in(reg) value,
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x8") began, out("x9") handled, out("x10") intid, out("x11") _,
            );
        },
    }
    leave(former);
    Taken { ticks: handled - began, intid }
}

/// From the virtual timer's deadline to the handler's first instruction, spinning or in WFI.
pub fn timer(distance: u64, wfi: bool) -> Taken {
    let former = enter();
    let release = Release::none();
    let (handled, intid, deadline): (u64, u64, u64);
    if wfi {
        // SAFETY: the timer of this vPE only; the vectors change the registers named here and no
        // others.
        unsafe {
            asm!(
                "mov x11, xzr",
                "mrs x8, cntvct_el0",
                "add x8, x8, {distance}",
                "msr cntv_cval_el0, x8",
                "msr cntv_ctl_el0, {one}",
                "msr daifclr, #2",
                "2: wfi",
                "cbz x11, 2b",
                distance = in(reg) distance, one = in(reg) 1u64,
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x8") deadline, out("x9") handled, out("x10") intid, out("x11") _,
            );
        }
    } else {
        // SAFETY: as above.
        unsafe {
            asm!(
                "mov x11, xzr",
                "mrs x8, cntvct_el0",
                "add x8, x8, {distance}",
                "msr cntv_cval_el0, x8",
                "msr cntv_ctl_el0, {one}",
                "msr daifclr, #2",
                "2: cbz x11, 2b",
                distance = in(reg) distance, one = in(reg) 1u64,
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x8") deadline, out("x9") handled, out("x10") intid, out("x11") _,
            );
        }
    }
    leave(former);
    Taken { ticks: handled - deadline, intid }
}

/// From before an instruction to after it.
///
/// # Safety
/// Its address is a device register; its function does nothing but answer.
pub unsafe fn call(call: Call) -> u64 {
    cpu::disable_interrupts();
    let (began, ended): (u64, u64);
    match call {
        // SAFETY: the caller vouches for the function.
        Call::Hvc(function) => unsafe {
            asm!(
                "mrs x8, cntvct_el0", "hvc #0", "mrs x9, cntvct_el0",
                inout("x0") u64::from(function) => _, inout("x1") 0u64 => _, inout("x2") 0u64 => _,
                inout("x3") 0u64 => _, out("x8") began, out("x9") ended, options(nostack),
            );
        },
        // SAFETY: the caller vouches for the address.
        Call::Load(address) => unsafe {
            asm!(
                "mrs x8, cntvct_el0", "ldr w10, [{address}]", "mrs x9, cntvct_el0",
                address = in(reg) address, out("x8") began, out("x9") ended, out("x10") _, options(nostack),
            );
        },
        // SAFETY: the caller vouches for the address.
        Call::Store(address, value) => unsafe {
            asm!(
                "mrs x8, cntvct_el0", "str {value:w}, [{address}]", "mrs x9, cntvct_el0",
                address = in(reg) address, value = in(reg) value,
                out("x8") began, out("x9") ended, options(nostack),
            );
        },
        // SAFETY: waits.
        Call::Wfi => unsafe {
            asm!(
                "mrs x8, cntvct_el0", "wfi", "mrs x9, cntvct_el0",
                out("x8") began, out("x9") ended, options(nostack),
            );
        },
        // SAFETY: reads the counter.
        Call::Nothing => unsafe {
            asm!(
                "mrs x8, cntvct_el0", "mrs x9, cntvct_el0",
                out("x8") began, out("x9") ended, options(nostack),
            );
        },
        // SAFETY: reads the counter.
        Call::Nops => unsafe {
            asm!(
                "mrs x8, cntvct_el0", ".rept 1000", "nop", ".endr", "mrs x9, cntvct_el0",
                out("x8") began, out("x9") ended, options(nostack),
            );
        },
    }
    ended - began
}

/// Where the other vPE leaves the counter of its handler's first instruction; 0: it waits.
pub static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// The other vPE is about to wait.
pub static READY: AtomicU32 = AtomicU32::new(0);

/// What the other vPE runs: waits by WFI for one SGI and notes when its handler began, again and
/// again.
pub fn receive() {
    take_each(u32::MAX, &ARRIVED, |count| READY.store(count, Ordering::Release));
}

/// Waits by WFI for an interrupt and stores when its handler began, `count` times; says before each
/// the how manieth it is, from 1 on.
pub fn take_each(count: u32, arrived: &AtomicU64, waits: impl Fn(u32)) {
    let former = enter();
    let release = Release::none();
    for number in 1..=count {
        waits(number);
        let handled: u64;
        // SAFETY: waits; the vectors change the registers named here and no others.
        unsafe {
            asm!(
                "mov x11, xzr",
                "msr daifclr, #2",
                "2: wfi",
                "cbz x11, 2b",
                "msr daifset, #2",
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x9") handled, out("x10") _, out("x11") _,
            );
        }
        arrived.store(handled, Ordering::Release);
    }
    leave(former);
}

/// Sends an SGI to the other vPE and waits by WFI at once, so that this CPU executes nothing more
/// until its timer expires: the counter before the instruction and after it. Interrupts stay
/// masked.
pub fn send(value: u64) -> (u64, u64) {
    cpu::disable_interrupts();
    let (began, ended): (u64, u64);
    // SAFETY: raises an interrupt that `receive` waits for; this vPE's timer is set, so WFI ends.
    unsafe {
        asm!(
            "mrs x8, cntvct_el0",
            "msr S3_0_C12_C11_5, {value}",
            "mrs x9, cntvct_el0",
            "wfi",
            value = in(reg) value, out("x8") began, out("x9") ended, options(nostack),
        );
    }
    (began, ended)
}

/// Rings the peer of channel `index`, and waits as [`send`] does.
pub fn ring(index: u32) -> (u64, u64) {
    cpu::disable_interrupts();
    let (began, ended): (u64, u64);
    // SAFETY: raises an interrupt that the peer waits for; this vPE's timer is set, so WFI ends.
    unsafe {
        asm!(
            "mrs x8, cntvct_el0", "hvc #0", "mrs x9, cntvct_el0", "wfi",
            inout("x0") u64::from(RING) => _, inout("x1") u64::from(index) => _,
            inout("x2") 0u64 => _, inout("x3") 0u64 => _,
            out("x8") began, out("x9") ended, options(nostack),
        );
    }
    (began, ended)
}

/// Waits by WFI for an interrupt, notes when its handler began and when the next WFI does, again
/// and again. For ever.
pub fn listen(release: Release, arrived: &AtomicU64, left: &AtomicU64) {
    let _ = enter();
    loop {
        let handled: u64;
        // SAFETY: waits; the vectors change the registers named here and no others. `left` outlives
        // the loop.
        unsafe {
            asm!(
                "mov x11, xzr",
                "msr daifclr, #2",
                "mrs x8, cntvct_el0",
                "str x8, [{left}]",
                "2: wfi",
                "cbz x11, 2b",
                "msr daifset, #2",
                left = in(reg) left.as_ptr(),
                in("x12") u64::from(release.value), in("x13") release.address, in("x14") release.look,
                out("x8") _, out("x9") handled, out("x10") _, out("x11") _,
            );
        }
        arrived.store(handled, Ordering::Release);
    }
}
