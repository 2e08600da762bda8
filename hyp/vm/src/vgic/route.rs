// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which vPE an SPI goes to, and what becomes of one that is pending when that changes.
//! GICD_IROUTER, IHI 0069H 12.9.

use super::{Distributor, bank::place, flush::notify, line::TRIES, physical};
use crate::{Guest, Platform, affinity::number_of};
use core::sync::atomic::Ordering::SeqCst;

impl Distributor {
    /// GICD_IROUTER: Aff3 in the upper half; IRM is 0, as GICD_TYPER.No1N says.
    pub(super) fn read_route(&self, offset: u32, bytes: u32) -> u64 {
        let affinity = u64::from(self.route[(offset >> 3) as usize].load(SeqCst));
        let value = affinity >> 24 << 32 | affinity & 0xff_ffff;
        match (offset & 4, bytes) {
            (0, 8) => value,
            (0, _) => value & u64::from(u32::MAX),
            _ => value >> 32,
        }
    }

    /// The same. A pending interrupt goes along, an active one stays. Where the affinity is none of
    /// the VM's vPEs', it stays pending until it has another one.
    pub(super) fn write_route<P: Platform>(
        &self,
        guest: &Guest,
        platform: &mut P,
        offset: u32,
        bytes: u32,
        value: u64,
    ) {
        let intid = (offset - 0x6000) >> 3;
        let (word, bit) = place(intid);
        if self.admitted(word) & bit == 0 {
            return;
        }
        let cell = &self.route[intid as usize];
        let low = value as u32 & 0xff_ffff;
        let affinity = match (offset & 4, bytes) {
            (0, 8) => ((value >> 32) as u32) << 24 | low,
            (0, _) => cell.load(SeqCst) & 0xff00_0000 | low,
            _ => cell.load(SeqCst) & 0xff_ffff | (value as u32) << 24,
        };
        let before = number_of(cell.swap(affinity, SeqCst));
        if self.owned(word) & bit != 0 && before != number_of(affinity) {
            self.follow_route(guest, platform, intid, before);
        }
    }

    /// The route of an SPI of the VM's, which went to vPE `before`, has changed.
    fn follow_route<P: Platform>(
        &self,
        guest: &Guest,
        platform: &mut P,
        intid: u32,
        before: usize,
    ) {
        let (word, bit) = place(intid);
        let hardware = self.is_hardware(intid);
        let mut number = self.route_of(intid);
        // Another vPE may route it meanwhile: whoever is last leaves the hardware's route as the
        // register says.
        for _ in 0..TRIES {
            if hardware {
                let vpe = (number < guest.vpes.len()).then(|| guest.vpe_index(number));
                platform.route(intid, vpe);
            }
            let now = self.route_of(intid);
            if now == number {
                break;
            }
            number = now;
        }
        let mut waits = !hardware && before >= guest.vpes.len() && self.emulated_line().1;
        if let Some(from) = guest.vpes.get(before).map(|vpe| &vpe.redistributor) {
            if hardware {
                physical::return_waiting(platform, from, word, bit);
            } else {
                waits |= from.waiting[word].fetch_and(!bit, SeqCst) & bit != 0;
            }
        }
        if let Some(to) = guest.vpes.get(number)
            && waits
        {
            to.redistributor.waiting[word].fetch_or(bit, SeqCst);
            notify(guest, platform, number);
        }
        let handed_out =
            if hardware { platform.active(word) & bit != 0 } else { self.emulated_line().1 };
        if handed_out {
            // It may be in a list register there.
            notify(guest, platform, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ABSENT, Cpu, GICD, Machine, UART_INTID, guests, pair, write};
    use core::sync::atomic::Ordering::Relaxed;

    #[test]
    fn routes_to_its_own_vpes_only() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let route = |cpu: &mut Cpu, bytes, value| {
            Distributor::write(&guest, cpu, 0x6000 + 8 * 40, bytes, value);
            (Distributor::read(&guest, cpu, 0x6000 + 8 * 40, 8), machine.borrow().lines[40].cpu)
        };
        assert_eq!(route(&mut cpu, 8, 1), (Some(1), 1));
        assert_eq!(route(&mut cpu, 8, 2), (Some(2), ABSENT), "there is no vPE 2");
        assert_eq!(route(&mut cpu, 8, 1 << 32), (Some(1 << 32), ABSENT), "nor an Aff3 1");
        assert_eq!(route(&mut cpu, 8, 0xff_80ff_ffff), (Some(0xff_00ff_ffff), ABSENT));
        assert_eq!(route(&mut cpu, 4, 0), (Some(0xff_0000_0000), ABSENT), "the lower half");
        assert_eq!(route(&mut cpu, 8, 0), (Some(0), 0));
        assert_eq!(route(&mut cpu, 8, 1 << 31 | 1), (Some(1), 1), "No1N: IRM is nothing");
        // A waiting UART interrupt moves along.
        assert_eq!(guest.vm.distributor.set_line(guest.vpes, true), Some(0));
        Distributor::write(&guest, &mut cpu, 0x6000 + 8 * UART_INTID, 8, 1);
        assert_eq!(guest.vpes[0].redistributor.waiting[1].load(Relaxed), 0);
        assert_eq!(guest.vpes[1].redistributor.waiting[1].load(Relaxed), 2);
        assert!(machine.borrow().cpus[1].kicked);
    }

    /// An interrupt whose route is an affinity that no vPE has stays pending, and comes when it is
    /// routed to one.
    #[test]
    fn routed_to_nobody() {
        let machine = Machine::new(3);
        let [(first, mut one), _] = pair(&machine);
        for intid in [40, 41, UART_INTID] {
            let ipa = GICD + 0x6000 + 8 * u64::from(intid);
            write(&first, &mut one, ipa, 8, 0x100);
            match intid {
                40 => machine.borrow_mut().lines[40].pending = true,
                41 => machine.borrow_mut().lines[41].level = true,
                _ => assert_eq!(first.vm.distributor.set_line(first.vpes, true), None),
            }
            one.settle(&first);
            assert_eq!(one.acknowledge(), None, "{intid}");
            let pending = Distributor::read(&first, &one, 0x204, 4).unwrap();
            assert_eq!(pending >> (intid - 32) & 1, 1, "{intid} is pending");
            write(&first, &mut one, ipa, 8, 0);
            one.settle(&first);
            assert_eq!(one.acknowledge(), Some(intid));
            one.end(intid);
            machine.borrow_mut().lines[41].level = false;
        }
    }

    /// The UART's interrupt comes to the vPE that it is routed to once the one that handles it has
    /// ended it.
    #[test]
    fn handled_by_one_at_a_time() {
        let machine = Machine::new(3);
        let [(first, mut one), (second, mut two)] = pair(&machine);
        let level = |level| {
            if let Some(number) = first.vm.distributor.set_line(first.vpes, level) {
                machine.borrow_mut().cpus[number].kicked = true;
            }
        };
        level(true);
        one.settle(&first);
        assert_eq!(one.acknowledge(), Some(UART_INTID));
        level(false);
        one.settle(&first);
        write(&first, &mut one, GICD + 0x6000 + 8 * u64::from(UART_INTID), 8, 1);
        level(true);
        two.settle(&second);
        assert_eq!(two.acknowledge(), None, "vPE 0 has it");
        one.end(UART_INTID);
        one.settle(&first);
        two.settle(&second);
        assert_eq!((one.acknowledge(), two.acknowledge()), (None, Some(UART_INTID)));
    }
}
