// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same history of SGIs, by list registers and by the GIC: the guest gets the same.
//!
//! It ends each before it takes the next, so that their active state is not seen.

use crate::{
    Guest,
    mmio::{self, Written},
    testing::{Cpu, GICD, GICR, Machine, SgiGic, guests_of, plan_v41},
    vgic,
};
use core::cell::RefCell;
use proptest::prelude::*;
use std::vec::Vec;

const BANKS: [u64; 4] = [0x1_0100, 0x1_0180, 0x1_0200, 0x1_0280];

#[derive(Clone, Debug)]
enum Step {
    /// vPE writes ICC_SGI1R_EL1.
    Send(usize, u64),
    /// vPE writes a register of the vPE's with a bit for each SGI: enables, pending state.
    Bits(usize, usize, usize, u32),
    /// vPE gives four SGIs of the vPE's, which has taken all, other priorities among them. No two
    /// SGIs of a vPE have the same: which one would come first, a GIC may choose.
    Priorities(usize, usize, u64, u64),
    /// vPE switches the group off or on; while it is off, the guest that does so asks for SGIs
    /// without an active state, or not any more.
    Group(usize, bool, bool),
    /// vPE takes one, or all.
    Take(usize, bool),
    /// vPE reads enables, pending state and priorities of the vPE's.
    Look(usize, usize),
}

struct World<'a> {
    guests: [Guest; 3],
    machine: &'a RefCell<Machine>,
    /// It asks.
    asks: bool,
}

impl World<'_> {
    fn cpu(&self, index: usize) -> Cpu<'_> {
        Cpu { machine: self.machine, index }
    }

    fn write(&self, vpe: usize, ipa: u64, bytes: u32, value: u64) {
        loop {
            match mmio::write(&self.guests[vpe], &mut self.cpu(vpe), ipa, bytes, value) {
                Written::Later(time) => self.machine.borrow_mut().ticks = time,
                written => return assert_eq!(written, Written::Done),
            }
        }
    }

    fn read(&self, vpe: usize, ipa: u64) -> u32 {
        for _ in 0..10 {
            if let Some(value) = mmio::read(&self.guests[vpe], &mut self.cpu(vpe), ipa, 4) {
                return value as u32;
            }
            assert!(mmio::again(&self.guests[vpe]), "refused");
            self.settle();
        }
        panic!("no answer");
    }

    fn settle(&self) {
        while (0..2).any(|vpe| self.cpu(vpe).settle(&self.guests[vpe])) {}
    }

    fn take(&self, vpe: usize) -> Option<u32> {
        let taken = self.cpu(vpe).acknowledge()?;
        self.cpu(vpe).end(taken);
        self.settle();
        Some(taken)
    }

    /// What the guest sees of the step.
    fn step(&self, step: &Step) -> Vec<u32> {
        let frame = |vpe: usize| GICR + vpe as u64 * 0x2_0000;
        let mut seen = Vec::new();
        match *step {
            Step::Send(vpe, value) => {
                vgic::send_sgi(&self.guests[vpe], &mut self.cpu(vpe), value);
            }
            Step::Bits(by, vpe, bank, bits) => {
                self.write(by, frame(vpe) + BANKS[bank], 4, bits.into());
            }
            Step::Priorities(by, vpe, word, change) => {
                seen.extend(core::iter::from_fn(|| self.take(vpe)));
                for sgi in 4 * word..4 * word + 4 {
                    self.write(by, frame(vpe) + 0x1_0400 + sgi, 1, (sgi ^ change) << 4);
                }
            }
            Step::Group(vpe, on, asks) => {
                self.write(vpe, GICD, 4, 0);
                self.settle();
                let asks = if self.asks && asks { 0x100 } else { 0 };
                self.write(vpe, GICD, 4, asks);
                self.write(vpe, GICD, 4, asks | if on { 2 } else { 0 });
            }
            Step::Take(vpe, all) => {
                while let Some(intid) = self.take(vpe) {
                    seen.push(intid);
                    if !all {
                        break;
                    }
                }
            }
            Step::Look(by, vpe) => {
                seen.extend(
                    [0x1_0100, 0x1_0200, 0x1_0300].map(|at| self.read(by, frame(vpe) + at)),
                );
                seen.extend((0..4).map(|n| self.read(by, frame(vpe) + 0x1_0400 + 4 * n)));
            }
        }
        self.settle();
        seen
    }
}

fn world(machine: &RefCell<Machine>, asks: bool) -> World<'_> {
    machine.borrow_mut().sgis = Some(SgiGic::new());
    let world = World { guests: guests_of(plan_v41()), machine, asks };
    world.guests[..2].iter().for_each(super::start);
    for (vpe, word) in (0..8).map(|n| (n / 4, n as u64 % 4)) {
        world.step(&Step::Priorities(0, vpe, word, 0));
    }
    world.step(&Step::Group(0, true, true));
    world
}

fn steps() -> impl Strategy<Value = Step> {
    let vpe = || 0..2usize;
    // A list of targets, some of which are not there, or all others.
    let value = (0..16u64, 0..8u64, prop::bool::weighted(0.2))
        .prop_map(|(sgi, list, others)| sgi << 24 | u64::from(others) << 40 | list);
    prop_oneof![
        6 => (vpe(), value).prop_map(|(vpe, value)| Step::Send(vpe, value)),
        2 => (vpe(), vpe(), 0..4usize, any::<u16>())
            .prop_map(|(by, vpe, bank, bits)| Step::Bits(by, vpe, bank, bits.into())),
        2 => (vpe(), vpe()).prop_map(|(by, vpe)| Step::Bits(by, vpe, 0, 0xffff)),
        1 => (vpe(), vpe(), 0..4u64, 0..4u64)
            .prop_map(|(by, vpe, word, change)| Step::Priorities(by, vpe, word, change)),
        1 => (vpe(), prop::bool::weighted(0.8), any::<bool>())
            .prop_map(|(vpe, on, asks)| Step::Group(vpe, on, asks)),
        4 => (vpe(), any::<bool>()).prop_map(|(vpe, all)| Step::Take(vpe, all)),
        2 => (vpe(), vpe()).prop_map(|(by, vpe)| Step::Look(by, vpe)),
    ]
}

proptest! {
    #[test]
    fn the_guest_gets_the_same(steps in prop::collection::vec(steps(), 0..60)) {
        let (listed, direct) = (Machine::new(3), Machine::new(3));
        let (one, other) = (world(&listed, false), world(&direct, true));
        let last = [
            Step::Group(0, true, true),
            Step::Look(0, 1),
            Step::Take(0, true),
            Step::Take(1, true),
        ];
        for step in steps.iter().chain(&last) {
            let (seen, expected) = (other.step(step), one.step(step));
            prop_assert_eq!(seen, expected, "{:?}", step);
        }
        direct.borrow().sgis.as_ref().unwrap().clean();
    }
}
