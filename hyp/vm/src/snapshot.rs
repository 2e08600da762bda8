// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a vPE is and what could interrupt it, for whoever asks why nothing happens.
//!
//! The vPE's own CPU takes its registers when somebody asks ([`Snapshot::keep`]); any CPU prints
//! them, with what the emulated GIC knows. `bulkhead why` reads these lines, by the names in them.

use crate::{VmState, VpeState, power::PowerState, report::title, text::Text, vgic, vits::View};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::Plan;

/// Names of what is kept, in order: 1 if the vPE has its CPU, the guest's PC and PSTATE, its
/// vectors and its own last exception, its CPU interface (ICH_VMCR_EL2), its virtual timer, the
/// counter.
pub const NAMES: [&str; 12] = [
    "runs", "pc", "pstate", "sctlr", "vbar", "elr", "esr", "far", "vmcr", "timer", "compare", "now",
];

/// Registers of a vPE as they were when somebody asked, with `LIST` list registers.
#[derive(Debug)]
pub struct Snapshot<const LIST: usize> {
    registers: [AtomicU64; NAMES.len()],
    list: [AtomicU64; LIST],
}

impl<const LIST: usize> Snapshot<LIST> {
    pub const fn new() -> Self {
        Self {
            registers: [const { AtomicU64::new(0) }; NAMES.len()],
            list: [const { AtomicU64::new(0) }; LIST],
        }
    }

    /// `list` gives list registers by their index.
    pub fn keep(&self, registers: [u64; NAMES.len()], list: impl Fn(usize) -> u64) {
        for (cell, value) in self.registers.iter().zip(registers) {
            cell.store(value, Relaxed);
        }
        for (index, cell) in self.list.iter().enumerate() {
            cell.store(list(index), Relaxed);
        }
    }

    /// The next part of the line of vPE `index`. False: it was the last, or the vPE is off.
    pub fn part(
        &self,
        plan: &Plan,
        (vms, vpes): (&[VmState], &[VpeState]),
        index: usize,
        part: usize,
        out: &mut impl Text,
    ) -> bool {
        let vm = plan.vpes.get(index).and_then(|vpe| vms.get(vpe.vm.index()));
        let (Some(vm), Some(vpe)) = (vm, vpes.get(index)) else { return false };
        if part == 0 {
            if vpe.power.state() == PowerState::Off {
                return false;
            }
            let (name, number) = title(plan, index);
            out.text("bulkhead: registers of ");
            out.text(name);
            out.text("/");
            out.decimal(number);
            out.text(":");
            return true;
        }
        let index = part - 1;
        if let Some((name, cell)) = NAMES.get(index).zip(self.registers.get(index)) {
            word(name, cell.load(Relaxed), out);
            return true;
        }
        if let Some(cell) = self.list.get(index - NAMES.len()) {
            let value = cell.load(Relaxed);
            if value != 0 {
                word("list", value, out);
            }
            return true;
        }
        let told = vgic::told(&vm.distributor, &vpe.redistributor);
        for (name, value) in ["enabled", "waiting", "group"].into_iter().zip(told) {
            word(name, value.into(), out);
        }
        out.text("\n");
        false
    }
}

impl<const LIST: usize> Default for Snapshot<LIST> {
    fn default() -> Self {
        Self::new()
    }
}

/// A line for the SPIs of a word of VM `index`: what it owns, has enabled, what is pending, and
/// what of that is routed to no vPE that is on. `pending`: GICD_ISPENDR of the word. False: it was
/// the last word.
pub fn spis(
    plan: &Plan,
    (vms, vpes): (&[VmState], &[VpeState]),
    index: usize,
    word_index: usize,
    pending: u32,
    out: &mut impl Text,
) -> bool {
    let (Some(config), Some(vm)) = (plan.vms.get(index), vms.get(index)) else { return false };
    let first = usize::from(config.first_vpe);
    let vpes = vpes.get(first..first + usize::from(config.vpe_count)).unwrap_or(&[]);
    let Some(told) = vgic::told_spis(&vm.distributor, vpes, word_index, pending) else {
        return false;
    };
    if told[0] != 0 {
        out.text("bulkhead: spis of ");
        out.text(config.name);
        out.text(" from ");
        out.decimal(32 * word_index as u64);
        out.text(":");
        for (name, value) in ["owned", "enabled", "pending", "nowhere"].into_iter().zip(told) {
            word(name, value.into(), out);
        }
        out.text("\n");
    }
    true
}

/// A line if event `event` of all VMs' is one of VM `name` that the guest disabled. False: there
/// are no more events.
pub fn event(name: &str, view: View, event: usize, out: &mut impl Text) -> bool {
    if let Some(lpi) = view.lpi(event).filter(|lpi| !lpi.enabled) {
        out.text("bulkhead: event of ");
        out.text(name);
        out.text("/");
        out.decimal(lpi.number.into());
        out.text(": disabled ");
        out.hex(lpi.vintid.into());
        out.text("\n");
    }
    event < view.len()
}

fn word(name: &str, value: u64, out: &mut impl Text) {
    out.text(" ");
    out.text(name);
    out.text(" ");
    out.hex(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        power::Start,
        testing::{GICD, GICR, Machine, pair, write},
    };
    use std::string::String;

    fn told(plan: &Plan, states: (&[VmState], &[VpeState]), snapshot: &Snapshot<2>) -> String {
        let mut text = String::new();
        let mut part = 0;
        while snapshot.part(plan, states, 0, part, &mut text) {
            part += 1;
        }
        text
    }

    #[test]
    fn registers() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        let states = (core::slice::from_ref(guest.vm), guest.vpes);
        let snapshot = Snapshot::<2>::new();
        snapshot.keep([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], |index| 2 * index as u64);
        write(&guest, &mut cpu, GICR + 0x1_0180, 4, u64::from(u32::MAX));
        write(&guest, &mut cpu, GICR + 0x1_0100, 4, 1 << 3 | 1);
        assert_eq!(
            told(guest.plan, states, &snapshot),
            "bulkhead: registers of one/0: runs 0x0 pc 0x1 pstate 0x2 sctlr 0x3 vbar 0x4 elr 0x5 esr 0x6 \
             far 0x7 vmcr 0x8 timer 0x9 compare 0xa now 0xb list 0x2 enabled 0x9 waiting 0x0 \
             group 0x1\n"
        );
        let off = [VpeState::new()];
        assert_eq!(told(guest.plan, (states.0, &off), &snapshot), "");
        off[0].power.turn_on(Start { entry: 0, context: 0 }).expect("it is off");
        assert!(told(guest.plan, (states.0, &off), &snapshot).ends_with("group 0x1\n"));
    }

    #[test]
    fn events_that_are_disabled() {
        let machine = Machine::new(3);
        let [(guest, _), _] = pair(&machine);
        let view = guest.view();
        view.reset();
        let lines = || {
            let mut text = String::new();
            let mut at = 0;
            while event("one", view, at, &mut text) {
                at += 1;
            }
            text
        };
        assert_eq!(lines(), "");
        view.enable(1, false);
        assert_eq!(lines(), "bulkhead: event of one/0: disabled 0x2000\n");
    }

    #[test]
    fn spis_that_go_nowhere() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        let states = (core::slice::from_ref(guest.vm), guest.vpes);
        let line = |pending| {
            let mut text = String::new();
            assert!(spis(guest.plan, states, 0, 1, pending, &mut text));
            assert!(!spis(guest.plan, states, 0, 31, pending, &mut text));
            text
        };
        write(&guest, &mut cpu, GICD + 0x184, 4, u64::from(u32::MAX));
        write(&guest, &mut cpu, GICD + 0x104, 4, 1 << 9);
        let none = line(0);
        assert!(none.contains(" enabled 0x200 pending 0x0 nowhere 0x0\n"), "{none}");
        let here = line(1 << 9 | 1 << 31);
        assert!(here.contains(" pending 0x200 nowhere 0x0\n"), "{here}");
        write(&guest, &mut cpu, GICD + 0x6000 + 8 * 41, 8, 9);
        let away = line(1 << 9);
        assert!(away.contains(" pending 0x200 nowhere 0x200\n"), "{away}");
    }
}
