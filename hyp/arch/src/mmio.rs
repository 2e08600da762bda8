//! One 32-bit device register.

use plan::Pa;

/// A 32-bit register at an address that the plan gives to EL2.
pub struct Word(Pa);

impl Word {
    /// `address` is a device register of the plan, mapped as device memory in EL2's table.
    pub const fn new(address: Pa) -> Self {
        Self(address)
    }

    pub fn read(&self) -> u32 {
        let address = self.0.value() as *const u32;
        // SAFETY: a device register by construction (`new`); no Rust object lies there.
        unsafe { address.read_volatile() }
    }

    pub fn write(&self, value: u32) {
        let address = self.0.value() as *mut u32;
        // SAFETY: as for `read`.
        unsafe { address.write_volatile(value) }
    }

    /// Writes the register's first 1, 2 or 4 bytes at this address.
    pub fn write_part(&self, bytes: u8, value: u32) {
        let address = self.0.value();
        match bytes {
            // SAFETY: as for `read`.
            1 => unsafe { (address as *mut u8).write_volatile(value as u8) },
            // SAFETY: as for `read`.
            2 => unsafe { (address as *mut u16).write_volatile(value as u16) },
            _ => self.write(value),
        }
    }
}
