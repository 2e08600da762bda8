// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The capabilities of a function that its VM sees: those that work.
//!
//! Everything between a function's header and the end of its configuration space belongs to the
//! capability that begins at or before it, and is shown only if the VM can use it. Others keep
//! their place in the list as null capabilities, which software ignores, and read as 0.
//! docs/guest-abi.md has the list of all of them. PCI Express 7.5.3, 7.7, 7.9.28; PCI Local Bus 3.0
//! 6.7, appendix H.

use super::capability::{
    Capability, EXPRESS, EXPRESS_BITS, EXTENDED, MSI, MSI_X, extended, extended_id, list,
};
use super::message::{self, Msi};
use crate::platform::ConfigSpace;
use plan::PciFunction;

const VENDOR: u8 = 0x09;
const SERIAL_NUMBER: u16 = 0x03;
const EXTENDED_VENDOR: u16 = 0x0b;
const MSI_X_BYTES: u16 = 12;
const SERIAL_NUMBER_BYTES: u16 = 12;

/// The capability that the word at `register` belongs to.
fn owner(list: impl Iterator<Item = Capability>, register: u16) -> Option<Capability> {
    list.filter(|found| found.at <= register).max_by_key(|found| found.at)
}

/// The VM reads the word at `register`, behind the header.
pub fn read<P: ConfigSpace>(platform: &P, function: &PciFunction, register: u16) -> u32 {
    let word = |at| platform.config_read(function, at);
    if register >= EXTENDED {
        return owner(extended(word), register).map_or(0, |own| read_extended(word, own, register));
    }
    let Some(own) = owner(list(word), register) else { return 0 };
    let offset = register - own.at;
    let value = word(register);
    let bits = match own.id() {
        MSI => match function.messages {
            Some(messages) => return Msi::of(own).shown(messages, offset, value),
            None => 0,
        },
        MSI_X => match (function.messages, function.msix) {
            (Some(messages), Some(msix)) if offset == 0 => {
                return message::shown_msix(messages, msix, value);
            }
            (Some(_), Some(_)) if offset < MSI_X_BYTES => u32::MAX,
            _ => 0,
        },
        EXPRESS => {
            let bits = EXPRESS_BITS.get(usize::from(offset / 4)).copied().unwrap_or(0);
            if offset == 0 { bits | 0xff } else { bits }
        }
        VENDOR if offset < own.control() & 0xff => u32::MAX,
        _ => 0,
    };
    // Whatever it is, the list goes on.
    value & (bits | if offset == 0 { 0xfc00 } else { 0 })
}

fn read_extended(word: impl Fn(u16) -> u32, own: Capability, register: u16) -> u32 {
    let offset = register - own.at;
    let bytes = match extended_id(&own) {
        SERIAL_NUMBER => SERIAL_NUMBER_BYTES,
        EXTENDED_VENDOR => (word(own.at + 4) >> 20) as u16,
        _ => 0,
    };
    match offset {
        0 if bytes == 0 => own.header & 0xfff0_0000,
        0 => own.header,
        _ if offset < bytes => word(register),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::pci;
    use crate::testing::{Cpu, FUNCTION, Machine, guests};
    use core::cell::RefCell;
    use std::vec::Vec;

    /// One of each: power management 0x40, vendor 0x50 (12 bytes), PCI Express 0x60, vital product
    /// data 0xa0, MSI-X 0xb0; AER 0x100, serial number 0x140, SR-IOV 0x150, vendor-specific 0x190
    /// (16 bytes), ATS 0x1a0.
    fn machine() -> RefCell<Machine> {
        let machine = Machine::new(1);
        let mut inner = machine.borrow_mut();
        for word in &mut inner.config[0x40 / 4..] {
            *word = 0xffff_ffff;
        }
        let words = [
            (0x34, 0x40),
            (0x40, 0xffc3_5001),
            (0x50, 0xff0c_6009),
            (0x60, 0x0002_a010),
            (0x64, 0x1000_8fe5),
            (0x68, 0x0000_2810),
            (0x6c, 0x0247_7c14),
            (0x70, 0x1014_0043),
            (0xa0, 0x0000_b003),
            (0xb0, 0x0003_0011),
            (0xb4, 0x2000),
            (0xb8, 0x3000),
            (0x100, 0x1401_0001),
            (0x140, 0x1501_0003),
            (0x144, 0x1111_1111),
            (0x148, 0x2222_2222),
            (0x150, 0x1901_0010),
            (0x190, 0x1a01_000b),
            (0x194, 0x0100_0001),
            (0x198, 0x3333_3333),
            (0x19c, 0x4444_4444),
            (0x1a0, 0x0001_000f),
        ];
        for (at, value) in words {
            inner.config[at / 4] = value;
        }
        drop(inner);
        machine
    }

    #[test]
    fn what_does_not_work_is_not_shown() {
        let machine = machine();
        let cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let shown = |at: u64| pci::space::read(&guest, &cpu, FUNCTION + at, 4).unwrap();
        let all: Vec<(u64, u32)> = (0x40..0x1000)
            .step_by(4)
            .map(|at| (at, shown(at)))
            .filter(|word| word.1 != 0)
            .collect();
        assert_eq!(
            all,
            [
                // A null capability leads on.
                (0x40, 0x0000_5000),
                (0x50, 0xff0c_6009),
                (0x54, 0xffff_ffff),
                (0x58, 0xffff_ffff),
                // No slot, no reset, no link power management.
                (0x60, 0x0002_a010),
                (0x64, 0x0000_8025),
                (0x68, 0x0000_2810),
                (0x6c, 0x0200_0014),
                (0x70, 0x0014_0000),
                (0xa0, 0x0000_b000),
                // Three of the four vectors have an event.
                (0xb0, 0x0002_0011),
                (0xb4, 0x2000),
                (0xb8, 0x3000),
                (0x100, 0x1400_0000),
                (0x140, 0x1501_0003),
                (0x144, 0x1111_1111),
                (0x148, 0x2222_2222),
                (0x150, 0x1900_0000),
                (0x190, 0x1a01_000b),
                (0x194, 0x0100_0001),
                (0x198, 0x3333_3333),
                (0x19c, 0x4444_4444),
            ]
        );
    }

    #[test]
    fn a_function_without_events_has_no_messages() {
        let machine = machine();
        let words = machine.borrow().config.clone();
        machine.borrow_mut().far_config = words;
        machine.borrow_mut().far_config[0x40 / 4] = 0x0080_5005;
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for (at, value) in [(0x40, 0x5000), (0x44, 0), (0xb0, 0), (0xb4, 0)] {
            let at = crate::testing::FAR_FUNCTION + at;
            assert_eq!(pci::space::read(&guest, &cpu, at, 4), Some(value), "{at:#x}");
            assert!(pci::space::write(&guest, &mut cpu, at, 4, u32::MAX));
        }
        assert!(machine.borrow().far_written.is_empty());
    }

    /// ATS (0x0f), PRI (0x13), PASID (0x1b), SR-IOV (0x10), ACS (0x0d), and whatever is to come.
    #[test]
    fn of_extended_capabilities_a_vm_sees_the_serial_number_and_the_vendors() {
        let machine = machine();
        let [guest, ..] = guests();
        for id in (0..0x60).filter(|id| ![0x03, 0x0b].contains(id)) {
            for word in &mut machine.borrow_mut().config[0x100 / 4..] {
                *word = u32::MAX;
            }
            machine.borrow_mut().config[0x100 / 4] = 0x2001_0000 | id;
            machine.borrow_mut().config[0x200 / 4] = 0x0001_0003;
            let mut cpu = Cpu { machine: &machine, index: 0 };
            let at = |place| FUNCTION + place;
            assert_eq!(pci::space::read(&guest, &cpu, at(0x100), 4), Some(0x2000_0000), "{id:#x}");
            for place in (0x104..0x200).step_by(4) {
                assert_eq!(pci::space::read(&guest, &cpu, at(place), 4), Some(0), "{id:#x}");
                pci::space::write(&guest, &mut cpu, at(place), 4, u32::MAX);
            }
            assert!(machine.borrow().written.is_empty(), "{id:#x}: nothing turns it on");
        }
    }

    #[test]
    fn lists_that_go_in_circles_end() {
        let machine = machine();
        machine.borrow_mut().config[0xa0 / 4] = 0x0000_4003;
        machine.borrow_mut().config[0x1a0 / 4] = 0x1001_000f;
        let cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        assert_eq!(pci::space::read(&guest, &cpu, FUNCTION + 0xa0, 4), Some(0x4000));
        assert_eq!(pci::space::read(&guest, &cpu, FUNCTION + 0x1a0, 4), Some(0x1000_0000));
        // No list at all: ones, as from a host without extended configuration space.
        for word in &mut machine.borrow_mut().config[0x100 / 4..] {
            *word = u32::MAX;
        }
        assert_eq!(pci::space::read(&guest, &cpu, FUNCTION + 0x100, 4), Some(0));
    }
}
