//! The SMMU's registers, stream table and queues, for the driver in the crate `smmu`.

use super::mmio::Word;
use super::sysreg::dsb_sy;
use plan::Pa;
use smmu::{CommandMemory, EventMemory, Frame, StreamMemory, command, event};

/// The register pages of the plan's SMMU.
#[derive(Clone, Copy)]
pub struct Registers(Pa);

impl Registers {
    /// `base` is the plan's: mapped as device memory in EL2's table for good.
    pub const fn new(base: Pa) -> Self {
        Self(base)
    }

    fn word(self, offset: usize) -> Word {
        Word::new(self.0.offset(offset as u64))
    }
}

/// Registers of 64 bits are accessed as two halves, which the manual allows (IHI 0070 6.2).
impl Frame for Registers {
    fn read32(&self, offset: usize) -> u32 {
        self.word(offset).read()
    }
    fn read64(&self, offset: usize) -> u64 {
        let low = u64::from(self.read32(offset));
        low | u64::from(self.read32(offset.wrapping_add(4))) << 32
    }
    fn write32(&self, offset: usize, value: u32) {
        self.word(offset).write(value);
        dsb_sy();
    }
    fn write64(&self, offset: usize, value: u64) {
        self.word(offset).write(value as u32);
        self.write32(offset.wrapping_add(4), (value >> 32) as u32);
    }
}

/// A table or a queue of the SMMU, in memory that the plan gives to it alone.
pub struct Words {
    base: Pa,
    bytes: u64,
}

impl Words {
    /// The memory is the plan's, a multiple of 8 bytes, and the caller is the only one that has it.
    pub const fn new(base: Pa, bytes: u64) -> Self {
        Self { base, bytes }
    }

    /// All tables: what is written there is written by the plan's addresses.
    pub const fn tables() -> Self {
        Self { base: Pa::new(0), bytes: u64::MAX }
    }

    fn place(&self, offset: u64) -> Option<*mut u64> {
        let fits = offset < self.bytes && offset.is_multiple_of(8);
        fits.then(|| self.base.offset(offset).value() as *mut u64)
    }

    fn put(&self, offset: u64, value: u64) {
        if let Some(place) = self.place(offset) {
            // SAFETY: within the memory that the plan gives to the SMMU, mapped as normal memory; no Rust object lies there.
            unsafe { place.write_volatile(value) }
        }
    }

    fn load(&self, offset: u64) -> u64 {
        match self.place(offset) {
            // SAFETY: as for `put`.
            Some(place) => unsafe { place.read_volatile() },
            None => 0,
        }
    }
}

impl StreamMemory for Words {
    fn store(&mut self, address: u64, value: u64) {
        self.put(address.wrapping_sub(self.base.value()), value);
    }
    fn publish(&mut self) {
        dsb_sy();
    }
}

impl CommandMemory for Words {
    fn store(&mut self, slot: u32, command: &command::Encoded) {
        let at = u64::from(slot) * command::COMMAND_BYTES;
        for (n, word) in (0..).zip(command) {
            self.put(at + 8 * n, *word);
        }
    }
    fn publish(&mut self) {
        dsb_sy();
    }
}

impl EventMemory for Words {
    fn read(&self, slot: u32) -> event::Encoded {
        let at = u64::from(slot) * event::EVENT_BYTES;
        core::array::from_fn(|n| self.load(at + 8 * n as u64))
    }
    fn observe(&self) {
        dsb_sy();
    }
}
