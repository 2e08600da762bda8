// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MSI and MSI-X in configuration space: a message goes where the plan says, or nowhere.
//!
//! A message is a write of the device's to memory, at any address that its registers hold. So the
//! registers never hold an address but the plan's or 0, and messages are on only while the address
//! is the plan's and the data an EventID of the VM's:
//!
//! * another address turns MSI off (or masks the MSI-X vector) and leaves 0, which is what the
//!   guest reads back then;
//! * turning MSI on (unmasking a vector) without the plan's address, or with data that is no
//!   EventID, has no effect: the bit reads back as it was;
//! * so has data that is no EventID while messages are on.
//!
//! Each is counted, and the last one kept for the report; an address of 0 is not, for guests write
//! that when they have done. A guest's vPEs are held apart by a lock, or one could change what
//! another has just been allowed. PCI Local Bus 3.0 6.8.1 (MSI), 6.8.2 (MSI-X; the table itself is
//! `table`'s).

use super::capability::{self, Capability, MSI, MSI_X};
use super::refusal::{Refusals, What};
use crate::platform::ConfigSpace;
use plan::{Messages, Msix, PciFunction};

/// Message control of MSI: enable, vectors that it is capable of, that are enabled, 64-bit address,
/// masks.
pub const MSI_ENABLE: u16 = 1;
const CAPABLE: u32 = 1;
const ENABLED: u32 = 4;
const WIDE: u16 = 1 << 7;
const MASKS: u16 = 1 << 8;
/// Of message control what a guest sees and may have; data of 32 bits is not among it.
const CONTROL: u16 = 0x1ff;
const ADDRESS: u16 = 4;
const UPPER: u16 = 8;
/// Message control of MSI-X: enable, mask all; vectors less one.
pub const MSI_X_ENABLE: u16 = 1 << 15;
pub const MSI_X_MASK: u16 = 1 << 14;
pub const MSI_X_SIZE: u16 = 0x7ff;

/// What is wrong with a message of `count` vectors (a power of two), the low bits of whose data are
/// the vector's number. None: it may be sent.
pub const fn wrong(
    messages: Messages,
    address: (u32, u32),
    data: u32,
    count: u32,
) -> Option<(What, u32)> {
    if messages.address != (address.1 as u64) << 32 | address.0 as u64 {
        return Some((What::Address, address.0));
    }
    let first = data & !count.wrapping_sub(1);
    match first.checked_add(count) {
        Some(end) if end <= messages.events => None,
        _ => Some((What::Data, data)),
    }
}

/// Vectors of a table that a guest sees: as many as it has events.
pub fn shown_vectors(messages: Messages, msix: Msix) -> u32 {
    messages.events.min(msix.vectors.into())
}

/// The first word of an MSI-X capability.
pub fn shown_msix(messages: Messages, msix: Msix, value: u32) -> u32 {
    let size = shown_vectors(messages, msix).wrapping_sub(1) & u32::from(MSI_X_SIZE);
    value & !(u32::from(MSI_X_SIZE) << 16) | size << 16
}

/// `old`, of which an access of `bytes` at `exact` changes its part.
fn merged(old: u32, exact: u16, bytes: u32, value: u32) -> u32 {
    let shift = 8 * u32::from(exact & 3);
    let mask = (u32::MAX >> (32 - 8 * bytes)) << shift;
    old & !mask | value << shift & mask
}

/// The guest writes `bytes` at `exact`, behind the header. Only MSI and MSI-X take any.
pub fn write<P: ConfigSpace>(
    platform: &mut P,
    function: &PciFunction,
    refusals: &mut Refusals,
    exact: u16,
    (bytes, value): (u32, u32),
) {
    let Some(messages) = function.messages else { return };
    let within = |found: &Capability| {
        let bytes = match found.id() {
            MSI => Msi::of(*found).bytes(),
            MSI_X if function.msix.is_some() => 4,
            _ => 0,
        };
        exact.checked_sub(found.at).is_some_and(|offset| offset < bytes)
    };
    let mut list = capability::list(|at| platform.config_read(function, at));
    let Some(own) = list.find(within) else { return };
    drop(list);
    if own.id() == MSI {
        let mut to = Writer { platform, function, refusals };
        return Msi::of(own).write(messages, &mut to, exact, (bytes, value));
    }
    let bits = MSI_X_ENABLE | MSI_X_MASK;
    let wanted = (merged(own.header, exact, bytes, value) >> 16) as u16 & bits;
    let control = own.control() & !bits | wanted;
    platform.config_write(function, own.at + 2, 2, control.into());
}

struct Writer<'a, P> {
    platform: &'a mut P,
    function: &'a PciFunction,
    refusals: &'a mut Refusals,
}

impl<P: ConfigSpace> Writer<'_, P> {
    fn read(&self, at: u16) -> u32 {
        self.platform.config_read(self.function, at)
    }

    fn write(&mut self, at: u16, bytes: u8, value: u32) {
        self.platform.config_write(self.function, at, bytes, value);
    }
}

/// An MSI capability.
#[derive(Clone, Copy, Debug)]
pub struct Msi {
    at: u16,
    control: u16,
}

impl Msi {
    pub const fn of(capability: Capability) -> Self {
        Self { at: capability.at, control: capability.control() }
    }

    /// Offset of the data.
    const fn data(self) -> u16 {
        if self.control & WIDE != 0 { 12 } else { 8 }
    }

    /// With per-vector masking: mask bits, pending bits.
    const fn bytes(self) -> u16 {
        self.data() + if self.control & MASKS != 0 { 12 } else { 2 }
    }

    /// Vectors that it has, as a power of two.
    pub const fn vectors(self) -> u32 {
        self.control as u32 >> CAPABLE & 7
    }

    pub const fn is_wide(self) -> bool {
        self.control & WIDE != 0
    }

    /// Vectors that a guest sees, as a power of two: not more than it has events.
    fn shown_vectors(self, messages: Messages) -> u32 {
        self.vectors().min(messages.events.checked_ilog2().unwrap_or(0))
    }

    /// The VM reads the word at `offset`, which holds `value`.
    pub fn shown(self, messages: Messages, offset: u16, value: u32) -> u32 {
        if offset == 0 {
            let control = u32::from(self.control & CONTROL) & !(7 << CAPABLE);
            let control = control | self.shown_vectors(messages) << CAPABLE;
            return control << 16 | value & 0xffff;
        }
        match offset {
            _ if offset == self.data() => value & 0xffff,
            _ if offset < self.bytes() => value,
            _ => 0,
        }
    }

    fn write<P: ConfigSpace>(
        self,
        messages: Messages,
        to: &mut Writer<P>,
        exact: u16,
        (bytes, value): (u32, u32),
    ) {
        let register = exact & !3;
        let old = to.read(register);
        let new = merged(old, exact, bytes, value);
        match register - self.at {
            0 => self.turn(messages, to, (new >> 16) as u16),
            // An address in pieces would be another one on the way.
            ADDRESS if bytes == 4 => self.address(messages.address as u32, to, false, value & !3),
            UPPER if self.is_wide() && bytes == 4 => {
                self.address((messages.address >> 32) as u32, to, true, value);
            }
            offset if offset == self.data() => self.set_data(messages, to, new & 0xffff),
            // Masks; what is pending is read-only.
            offset if offset == self.data() + 4 => to.write(exact, bytes as u8, value),
            _ => {}
        }
    }

    /// One half of the address: the plan's, or none.
    fn address<P: ConfigSpace>(self, planned: u32, to: &mut Writer<P>, upper: bool, value: u32) {
        if value != planned {
            self.off(to);
            to.write(self.at + ADDRESS, 4, 0);
            if value != 0 {
                to.refusals.note(to.function, None, What::Address, value);
            }
        }
        let at = self.at + if upper { UPPER } else { ADDRESS };
        to.write(at, 4, if value == planned { planned } else { 0 });
    }

    fn set_data<P: ConfigSpace>(self, messages: Messages, to: &mut Writer<P>, value: u32) {
        let enabled = self.control & MSI_ENABLE != 0;
        let vectors = 1 << (self.control >> ENABLED & 7);
        if enabled && let Some((what, value)) = self.wrong(messages, to, value, vectors) {
            return to.refusals.note(to.function, None, what, value);
        }
        to.write(self.at + self.data(), 2, value);
    }

    /// Message control.
    fn turn<P: ConfigSpace>(self, messages: Messages, to: &mut Writer<P>, wanted: u16) {
        let vectors = u32::from(wanted >> ENABLED & 7).min(self.shown_vectors(messages));
        let mut control = self.control & !(MSI_ENABLE | 7 << ENABLED) | (vectors as u16) << ENABLED;
        if wanted & MSI_ENABLE != 0 {
            let data = to.read(self.at + self.data()) & 0xffff;
            match self.wrong(messages, to, data, 1 << vectors) {
                None => control |= MSI_ENABLE,
                Some((what, value)) => to.refusals.note(to.function, None, what, value),
            }
        }
        to.write(self.at + 2, 2, control.into());
    }

    fn wrong<P: ConfigSpace>(
        self,
        messages: Messages,
        to: &Writer<P>,
        data: u32,
        vectors: u32,
    ) -> Option<(What, u32)> {
        let upper = if self.is_wide() { to.read(self.at + UPPER) } else { 0 };
        wrong(messages, (to.read(self.at + ADDRESS), upper), data, vectors)
    }

    fn off<P: ConfigSpace>(self, to: &mut Writer<P>) {
        if self.control & MSI_ENABLE != 0 {
            to.write(self.at + 2, 2, (self.control & !MSI_ENABLE).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mmio::{self, Written};
    use crate::testing::{Cpu, FUNCTION, Machine, TABLE, TRANSLATER, guests};
    use crate::{Guest, pci};
    use core::cell::RefCell;
    use proptest::prelude::*;
    use std::string::String;

    const EVENTS: u32 = 3;
    /// Where `pci::tests::machine` has MSI (64-bit).
    const MSI: u64 = FUNCTION + 0x60;
    const RAM: u32 = 0x4020_0000;

    fn machine() -> RefCell<Machine> {
        let machine = crate::testing::pci_machine();
        machine.borrow_mut().keeps = true;
        machine.borrow_mut().config[1] |= 2;
        for vector in 0..4 {
            machine.borrow_mut().table[vector * 4 + 3] = 1;
        }
        machine
    }

    fn put(guest: &Guest, cpu: &mut Cpu, ipa: u64, bytes: u32, value: u32) {
        assert_eq!(mmio::write(guest, cpu, ipa, bytes, value.into()), Written::Done);
    }

    fn get(guest: &Guest, cpu: &mut Cpu, ipa: u64) -> u32 {
        mmio::read(guest, cpu, ipa, 4).unwrap() as u32
    }

    fn report(guest: &Guest) -> String {
        let mut text = String::new();
        pci::report(guest.config, &guest.vm.refusals.lock(), &mut text);
        text
    }

    /// What the function itself would do: nothing but EventIDs of the VM's to the translater.
    fn is_harmless(machine: &Machine) -> bool {
        let word = |at: usize| machine.config[at / 4];
        let address = |low, high| u64::from(high) << 32 | u64::from(low);
        let msi = word(0x60) >> 16;
        let vectors = 1 << (msi >> 4 & 7);
        let data = (word(0x6c) & 0xffff) & !(vectors - 1);
        let to = address(word(0x64), word(0x68));
        let good = to == TRANSLATER && data + vectors <= EVENTS;
        let entries = machine.table.chunks(4).take(4);
        let mut entries = entries.map(|entry| {
            let to = address(entry[0], entry[1]);
            let good = to == TRANSLATER && entry[2] < EVENTS;
            [0, TRANSLATER].contains(&to) && (entry[3] & 1 == 1 || good)
        });
        [0, TRANSLATER].contains(&to) && (msi & 1 == 0 || good) && entries.all(|good| good)
    }

    #[test]
    fn msi_goes_where_the_plan_says() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        machine.borrow_mut().config[0x60 / 4] |= 2 << 17;
        put(&guest, &mut cpu, MSI + 4, 4, TRANSLATER as u32);
        put(&guest, &mut cpu, MSI + 8, 4, 0);
        put(&guest, &mut cpu, MSI + 12, 2, 2);
        put(&guest, &mut cpu, MSI + 2, 2, 0x81);
        assert_eq!(get(&guest, &mut cpu, MSI), 0x0083_0005, "on; two vectors of two events");
        assert_eq!(get(&guest, &mut cpu, MSI + 4), TRANSLATER as u32);
        assert_eq!(report(&guest), "");
        // Linux takes a message back with zeros.
        put(&guest, &mut cpu, MSI + 2, 2, 0x80);
        for (at, bytes) in [(4, 4), (8, 4), (12, 2)] {
            put(&guest, &mut cpu, MSI + at, bytes, 0);
        }
        assert_eq!(report(&guest), "");
    }

    #[test]
    fn msi_goes_nowhere_else() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        put(&guest, &mut cpu, MSI + 4, 4, RAM);
        assert_eq!(get(&guest, &mut cpu, MSI + 4), 0, "another address is none");
        put(&guest, &mut cpu, MSI + 2, 2, 0x81);
        assert_eq!(get(&guest, &mut cpu, MSI) >> 16 & 1, 0, "and MSI stays off");
        let line =
            "bulkhead: messages of one: 2 refused, the last of nvme0 MSI: address 0x40200000\n";
        assert_eq!(report(&guest), line);
        // Turned off when it changes while it is on.
        for upper in [0, 1] {
            put(&guest, &mut cpu, MSI + 4, 4, TRANSLATER as u32);
            put(&guest, &mut cpu, MSI + 8, 4, 0);
            put(&guest, &mut cpu, MSI + 2, 2, 0x81);
            assert_eq!(get(&guest, &mut cpu, MSI) >> 16 & 1, 1);
            put(&guest, &mut cpu, MSI + 4 + 4 * upper, 4, RAM);
            assert_eq!(get(&guest, &mut cpu, MSI) >> 16 & 1, 0);
            assert_eq!(machine.borrow().config[0x64 / 4], 0);
        }
        // Parts of an address are not taken.
        for (at, bytes, value) in [(4, 2, 0x40), (6, 2, 0x809), (4, 1, 0x40)] {
            put(&guest, &mut cpu, MSI + at, bytes, value);
            assert_eq!(machine.borrow().config[0x64 / 4], 0);
        }
    }

    #[test]
    fn msi_carries_the_vms_events_alone() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        put(&guest, &mut cpu, MSI + 4, 4, TRANSLATER as u32);
        // Vectors as a power of two: two of the four that the hardware has.
        machine.borrow_mut().config[0x60 / 4] |= 2 << 17;
        for (data, vectors, on) in
            [(2, 0, 1), (3, 0, 0), (0xffff, 0, 0), (0, 1, 1), (1, 1, 1), (2, 1, 0), (0, 2, 1)]
        {
            put(&guest, &mut cpu, MSI + 2, 2, 0x80);
            put(&guest, &mut cpu, MSI + 12, 2, data);
            put(&guest, &mut cpu, MSI + 2, 2, 0x81 | vectors << 4);
            let control = get(&guest, &mut cpu, MSI) >> 16;
            assert_eq!(control & 1, on, "{data} {vectors}");
            assert_eq!(control >> 4 & 7, vectors.min(1), "{data} {vectors}");
        }
        let line =
            "bulkhead: messages of one: 3 refused, the last of nvme0 MSI: event 2 is not planned\n";
        assert_eq!(report(&guest), line);
        put(&guest, &mut cpu, MSI + 12, 2, 3);
        assert_eq!(get(&guest, &mut cpu, MSI + 12), 0, "while it is on");
    }

    #[test]
    fn a_vector_goes_where_the_plan_says_or_nowhere() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, _, other] = guests();
        let entry = |vector: u64, word: u64| TABLE + 16 * vector + word;
        let control = |cpu: &mut Cpu, vector| get(&guest, cpu, entry(vector, 12)) & 1;
        put(&guest, &mut cpu, entry(1, 0), 4, TRANSLATER as u32);
        put(&guest, &mut cpu, entry(1, 4), 4, 0);
        put(&guest, &mut cpu, entry(1, 8), 4, 2);
        put(&guest, &mut cpu, entry(1, 12), 4, 0);
        assert_eq!(control(&mut cpu, 1), 0);
        assert_eq!(get(&guest, &mut cpu, entry(1, 0)), TRANSLATER as u32);
        // By pairs of words.
        let both = TRANSLATER;
        assert_eq!(mmio::write(&guest, &mut cpu, entry(2, 0), 8, both), Written::Done);
        assert_eq!(mmio::write(&guest, &mut cpu, entry(2, 8), 8, 1), Written::Done);
        assert_eq!(control(&mut cpu, 2), 0);
        assert_eq!(mmio::read(&guest, &mut cpu, entry(2, 0), 8), Some(both));
        assert_eq!(report(&guest), "");
        // Another address masks and leaves none; it stays masked.
        put(&guest, &mut cpu, entry(1, 0), 4, RAM);
        put(&guest, &mut cpu, entry(1, 12), 4, 0);
        assert_eq!((control(&mut cpu, 1), get(&guest, &mut cpu, entry(1, 0))), (1, 0));
        assert!(
            report(&guest).contains("2 refused, the last of nvme0 MSI-X vector 1: address 0x4020")
        );
        // No event of the VM's: refused at once when the vector is on, at unmasking when it is not.
        put(&guest, &mut cpu, entry(2, 8), 4, 3);
        assert_eq!(get(&guest, &mut cpu, entry(2, 8)), 1);
        put(&guest, &mut cpu, entry(1, 0), 4, TRANSLATER as u32);
        put(&guest, &mut cpu, entry(1, 8), 4, 7);
        put(&guest, &mut cpu, entry(1, 12), 4, 0);
        assert_eq!(control(&mut cpu, 1), 1);
        assert!(
            report(&guest)
                .contains("4 refused, the last of nvme0 MSI-X vector 1: event 7 is not planned")
        );
        // The fourth vector is beyond its events; what follows can be read.
        machine.borrow_mut().table[12] = 5;
        machine.borrow_mut().table[16] = 6;
        for (vector, value) in [(3, 0), (4, 6)] {
            put(&guest, &mut cpu, entry(vector, 0), 4, TRANSLATER as u32);
            assert_eq!(get(&guest, &mut cpu, entry(vector, 0)), value);
        }
        assert_eq!(mmio::read(&other, &mut cpu, TABLE, 4), None, "another VM's");
        // Without memory space nobody answers.
        put(&guest, &mut cpu, FUNCTION + 4, 2, 0);
        put(&guest, &mut cpu, entry(2, 12), 4, 1);
        assert_eq!(get(&guest, &mut cpu, entry(2, 0)), u32::MAX);
        assert_eq!(machine.borrow().table[11], 0);
    }

    /// Offsets that matter, and any others.
    fn places() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => (0x60..0x72u64).prop_map(|at| FUNCTION + at),
            2 => (0x50..0x5cu64).prop_map(|at| FUNCTION + at),
            1 => (0..0x100u64).prop_map(|at| FUNCTION + at),
            4 => (0..0x50u64).prop_map(|at| TABLE + at),
        ]
    }

    fn values() -> impl Strategy<Value = u32> {
        prop_oneof![
            3 => Just(TRANSLATER as u32),
            1 => Just(RAM),
            3 => 0..5u32,
            2 => (0..5u32, 0..0x200u32).prop_map(|(low, control)| control << 16 | low),
            1 => any::<u32>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is written in whatever order and by whatever pieces.
        #[test]
        fn no_guest_makes_its_function_write_elsewhere(
            writes in prop::collection::vec((places(), 0..4u32, values(), values()), 1..80),
            masks in any::<bool>(),
            wide in any::<bool>(),
        ) {
            let machine = machine();
            let control = u32::from(masks) << 24 | u32::from(wide) << 23 | 3 << 17;
            machine.borrow_mut().config[0x60 / 4] = control | 5;
            let mut cpu = Cpu { machine: &machine, index: 0 };
            let [guest, ..] = guests();
            for (ipa, width, low, high) in writes {
                let bytes = 1 << width;
                let ipa = ipa & !(bytes - 1);
                let value = u64::from(high) << 32 | u64::from(low);
                mmio::write(&guest, &mut cpu, ipa, bytes as u32, value);
                if wide {
                    prop_assert!(is_harmless(&machine.borrow()), "{:#x} {} {:#x}", ipa, bytes, value);
                } else {
                    // MSI's data is where the upper half was.
                    let words = &machine.borrow().config;
                    let (control, to) = (words[0x60 / 4] >> 16, words[0x64 / 4]);
                    let vectors = 1 << (control >> 4 & 7);
                    let data = words[0x68 / 4] & 0xffff & !(vectors - 1);
                    let good = to == TRANSLATER as u32 && data + vectors <= EVENTS;
                    prop_assert!([0, TRANSLATER as u32].contains(&to) && (control & 1 == 0 || good));
                }
            }
        }
    }
}
