//! Which vPE an SPI goes to, and what becomes of one that is pending when that changes. GICD_IROUTER, IHI 0069H 12.9.

use super::{Distributor, inject, place, surrender};
use crate::{Guest, Platform, VpeState};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Aff3, Aff2, Aff1, Aff0 of GICD_IROUTER.
const AFFINITY: u64 = 0xff_00ff_ffff;

/// Times that an interrupt follows its route before it stays with whom it was last routed to: a guest that keeps changing
/// routes gets it somewhere.
const TRIES: u32 = 4;

impl Distributor {
    /// Number of the vPE that interrupt `intid` goes to.
    pub fn route_of(&self, intid: u32) -> usize {
        usize::from(self.route[intid as usize & 1023].load(SeqCst))
    }

    /// Interrupt `intid` waits for the vPE that it goes to. Answers that vPE's number: it must look at its next flush.
    pub(super) fn queue(&self, vpes: &[VpeState], intid: u32) -> Option<usize> {
        let (word, bit) = place(intid);
        let mut number = self.route_of(intid);
        for _ in 0..TRIES {
            let redistributor = &vpes.get(number)?.redistributor;
            redistributor.waiting[word].fetch_or(bit, SeqCst);
            // Whoever routed it elsewhere meanwhile may not have found it here: then it is ours to move.
            let now = self.route_of(intid);
            if now == number || redistributor.waiting[word].fetch_and(!bit, SeqCst) & bit == 0 {
                return Some(number);
            }
            number = now;
        }
        vpes.get(number)?.redistributor.waiting[word].fetch_or(bit, SeqCst);
        Some(number)
    }

    /// GICD_IROUTER.
    pub(super) fn read_route(&self, offset: u32) -> u64 {
        // The upper half is Aff3, always 0; numbers of vPEs fit Aff0.
        if offset & 4 != 0 { 0 } else { self.route_of((offset - 0x6000) >> 3) as u64 }
    }

    /// The same. An affinity that names none of the VM's vPEs changes nothing. A pending interrupt goes along, an active one
    /// stays.
    pub(super) fn write_route<P: Platform>(
        &self,
        guest: &Guest,
        platform: &mut P,
        intid: u32,
        value: u64,
    ) {
        let (word, bit) = place(intid);
        let Some(number) = guest.by_affinity(value & AFFINITY) else { return };
        if self.owned[word].load(Relaxed) & bit == 0 {
            return;
        }
        let before = usize::from(self.route[intid as usize & 1023].swap(number as u8, SeqCst));
        if before == number {
            return;
        }
        let hardware = self.is_hardware(intid);
        if hardware {
            platform.route(intid, guest.vpe_index(number));
        }
        let (Some(from), Some(to)) = (guest.vpes.get(before), guest.vpes.get(number)) else {
            return;
        };
        let handed_out = if hardware {
            surrender::return_waiting(platform, &from.redistributor, word, bit);
            platform.active(word) & bit != 0
        } else {
            self.emulated_line().1
        };
        if !hardware && from.redistributor.waiting[word].fetch_and(!bit, SeqCst) & bit != 0 {
            to.redistributor.waiting[word].fetch_or(bit, SeqCst);
            inject::notify(guest, platform, number);
        }
        if handed_out {
            // It may be in a list register there.
            inject::notify(guest, platform, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Cpu, GICD, Machine, UART_INTID, guests};
    use crate::vgic::withdraw::tests::{pair, write};

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
        assert_eq!(route(&mut cpu, 8, 2), (Some(1), 1), "there is no vPE 2");
        assert_eq!(route(&mut cpu, 8, 1 << 32), (Some(1), 1), "nor an Aff3 1");
        assert_eq!(route(&mut cpu, 4, 0), (Some(0), 0));
        assert_eq!(route(&mut cpu, 8, 1 << 31 | 1), (Some(1), 1), "No1N: IRM is nothing");
        // A waiting UART interrupt moves along.
        assert_eq!(guest.vm.distributor.set_line(guest.vpes, true), Some(0));
        Distributor::write(&guest, &mut cpu, 0x6000 + 8 * UART_INTID, 8, 1);
        assert_eq!(guest.vpes[0].redistributor.waiting[1].load(Relaxed), 0);
        assert_eq!(guest.vpes[1].redistributor.waiting[1].load(Relaxed), 2);
        assert!(machine.borrow().cpus[1].kicked);
    }

    /// The UART's interrupt comes to the vPE that it is routed to once the one that handles it has ended it.
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
