// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers of a device: volatile, aligned, within bounds.
//!
//! Made only by `rt` from what the device tree or a function's configuration says, so that drivers
//! need no unsafe code. What a device does when told to is another matter: one that is told a wrong
//! DMA address writes there.

use core::ptr;

use crate::Machine;

/// A range of device registers.
#[derive(Debug)]
pub struct Registers {
    base: u64,
    bytes: u64,
}

macro_rules! access {
    ($read:ident, $write:ident, $type:ty) => {
        /// Reads at a byte offset, which must be aligned and within the range.
        pub fn $read(&self, offset: u64) -> $type {
            let address = self.address(offset, size_of::<$type>() as u64);
            // SAFETY: `address` is aligned and inside the range that the maker of `self` vouched
            // for.
            unsafe { ptr::read_volatile(address as *const $type) }
        }

        /// Writes at a byte offset, which must be aligned and within the range.
        pub fn $write(&self, offset: u64, value: $type) {
            let address = self.address(offset, size_of::<$type>() as u64);
            // SAFETY: as for reading.
            unsafe { ptr::write_volatile(address as *mut $type, value) }
        }
    };
}

impl Registers {
    /// # Safety
    /// The range holds device registers and no memory that Rust knows of.
    pub(crate) const unsafe fn new(base: u64, bytes: u64) -> Self {
        Self { base, bytes }
    }

    /// The first region of a platform device, by its `compatible`. None: the device tree has none.
    pub fn of_device(machine: &Machine, compatible: &str) -> Option<Self> {
        Self::of_part(machine, compatible, 0)
    }

    /// Region `number` of a platform device, by its `compatible`. None: it has no such region.
    pub fn of_part(machine: &Machine, compatible: &str, number: usize) -> Option<Self> {
        let region = machine.device_region(compatible, number)?;
        // SAFETY: the device tree says that the device's registers are there.
        Some(unsafe { Self::new(region.base, region.bytes) })
    }

    /// The hypervisor's log. None: the VM is not given it.
    pub fn of_log(machine: &Machine) -> Option<Self> {
        let region = machine.log()?;
        // SAFETY: the device tree says that the log is there, which no Rust object is.
        Some(unsafe { Self::new(region.base, region.bytes) })
    }

    access!(read8, write8, u8);
    access!(read16, write16, u16);
    access!(read32, write32, u32);
    access!(read64, write64, u64);

    /// Where the range begins: for code that has to touch a register with one instruction.
    pub fn base(&self) -> u64 {
        self.base
    }

    fn address(&self, offset: u64, size: u64) -> u64 {
        assert!(
            offset.is_multiple_of(size)
                && offset.checked_add(size).is_some_and(|end| end <= self.bytes),
            "register offset {offset:#x} is outside the device's {:#x} bytes",
            self.bytes
        );
        self.base + offset
    }
}
