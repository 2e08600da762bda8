// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads and writes of devices, and calls of firmware: all that is unsafe here.
//!
//! The MMU is off, so an address is what the board's TOML says it is, and every access one to
//! device memory. Addresses come from that TOML alone; one that is wrong makes this image fail, and
//! nothing else runs. A read that is answered with an abort gives None.

use arch::probe::Answer;
use core::arch::asm;
use core::cell::Cell;
use core::marker::PhantomData;
use gicv4::frame::{Block, Frame, Readable, Register, Width, Writable};

unsafe extern "C" {
    fn try_read32(address: u64) -> Answer;
    fn try_read64(address: u64) -> Answer;
    fn firmware(function: u64, x1: u64, x2: u64, x3: u64) -> u64;
    static other_cpu: u8;
    fn fill_record(record: u64);
}

/// A word at a multiple of 4.
pub fn read32(address: u64) -> Option<u32> {
    // SAFETY: a device's register; an abort is caught (start.s).
    unsafe { try_read32(address & !3) }.checked().map(|value| value as u32)
}

/// A doubleword at a multiple of 8.
pub fn read64(address: u64) -> Option<u64> {
    // SAFETY: as for `read32`.
    unsafe { try_read64(address & !7) }.checked()
}

/// Writes a word.
pub fn write32(address: u64, value: u32) {
    // SAFETY: a device's register, which was read before.
    unsafe { ((address & !3) as *mut u32).write_volatile(value) }
    arch::sysreg::dsb_sy();
}

/// Writes a doubleword.
pub fn write64(address: u64, value: u64) {
    // SAFETY: as for `write32`.
    unsafe { ((address & !7) as *mut u64).write_volatile(value) }
    arch::sysreg::dsb_sy();
}

/// A register of the UART, which is there or nothing is heard.
pub fn uart_read(address: u64, width: uart::Width) -> u32 {
    match width {
        // SAFETY: the board's UART.
        uart::Width::Byte => unsafe { (address as *const u8).read_volatile() }.into(),
        // SAFETY: the same.
        uart::Width::Half => unsafe { (address as *const u16).read_volatile() }.into(),
        // SAFETY: the same.
        uart::Width::Word => unsafe { (address as *const u32).read_volatile() },
    }
}

/// The same written.
pub fn uart_write(address: u64, width: uart::Width, value: u32) {
    match width {
        // SAFETY: as for `uart_read`.
        uart::Width::Byte => unsafe { (address as *mut u8).write_volatile(value as u8) },
        // SAFETY: the same.
        uart::Width::Half => unsafe { (address as *mut u16).write_volatile(value as u16) },
        // SAFETY: the same.
        uart::Width::Word => unsafe { (address as *mut u32).write_volatile(value) },
    }
}

/// Calls firmware by SMC; 0 where there is none.
pub fn call(function: u32, arguments: [u64; 3]) -> u64 {
    let [x1, x2, x3] = arguments;
    // SAFETY: PSCI changes no memory; a CPU that it starts enters start.s.
    unsafe { firmware(function.into(), x1, x2, x3) }
}

/// Where firmware starts another CPU.
pub fn entry_of_others() -> u64 {
    core::ptr::addr_of!(other_cpu) as u64
}

/// This CPU fills the record at `record`, which is a `Record` of cpu.rs.
pub fn fill(record: &'static crate::cpu::Record) {
    // SAFETY: a record of atomics, of the length that start.s knows.
    unsafe { fill_record(core::ptr::addr_of!(*record) as u64) }
}

/// From here on an SError is taken: that of a read is this read's answer.
pub fn unmask_errors() {
    // SAFETY: the vectors are in place, and count those that no read waits for.
    unsafe { asm!("msr daifclr, #4", "isb", options(nostack, preserves_flags)) }
}

/// A frame of the GIC that may not be there: what gives no answer reads as 0.
pub struct Probed<B> {
    base: u64,
    silent: Cell<bool>,
    block: PhantomData<B>,
}

impl<B: Block> Probed<B> {
    pub const fn new(base: u64) -> Self {
        Self { base, silent: Cell::new(false), block: PhantomData }
    }

    /// A read was not answered.
    pub fn is_silent(&self) -> bool {
        self.silent.get()
    }
}

impl<B: Block> Frame for Probed<B> {
    type Block = B;

    fn read<W: Width, A: Readable, L>(&self, register: Register<B, W, A, L>) -> W {
        let at = self.base + register.offset() as u64;
        let value = if W::BYTES == 8 { read64(at) } else { read32(at).map(u64::from) };
        if value.is_none() {
            self.silent.set(true);
        }
        W::from_bits(value.unwrap_or(0))
    }

    /// Words alone; a base register gets what is valid nowhere.
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<B, W, A, L>,
        value: A::Value,
    ) {
        let at = self.base + register.offset() as u64;
        let bits = A::bits(value).bits();
        if W::BYTES == 8 { write64(at, bits) } else { write32(at, bits as u32) }
    }
}
