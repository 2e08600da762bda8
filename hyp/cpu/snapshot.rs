// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers of the vPEs of this CPU, for whoever asks why nothing happens.
//!
//! Taken when the escape key and `s` are typed, on every CPU, by an SGI: never while nobody asks.
//! The CPU that answers last has them printed (io/printer.rs).

use super::saved::saved;
use crate::gic::hardware::Hardware;
use crate::io::pages;
use crate::state::cpu::Here;
use crate::state::ipi;
use crate::state::running::Running;
use crate::state::vms::SNAPSHOTS;
use arch::sysreg::ticks;
use arch::timer::VirtualTimer;
use arch::{gic, guest};
use plan::VpeIndex;
use vm::platform::ListRegisters;

/// The calling CPU takes them.
#[cold]
pub fn take(here: Here) {
    {
        let running = here.running();
        here.vpes().for_each(|vpe| keep(&running, vpe));
    }
    if ipi::answered() {
        pages::ask(pages::STATES);
    }
}

fn keep(running: &Running, vpe: VpeIndex) {
    let Some(snapshot) = SNAPSHOTS.get(vpe.index()) else { return };
    let runs = running.is_current(vpe);
    let put = |guest: [u64; 7], machine, timer, list: &dyn Fn(usize) -> u64| {
        let [pc, pstate, sctlr, vbar, elr, esr, far] = guest;
        let (timer, compare) = VirtualTimer::told(timer);
        let (runs, now) = (runs.into(), ticks());
        snapshot.keep(
            [runs, pc, pstate, sctlr, vbar, elr, esr, far, machine, timer, compare, now],
            list,
        );
    };
    let is_present = running.present().is_some_and(|present| present.index == vpe);
    let timer = match is_present {
        true => Some(VirtualTimer::read()),
        false => saved(vpe, |saved| saved.timer),
    };
    let timer = timer.unwrap_or(VirtualTimer::OFF);
    if running.is_loaded(vpe) {
        put(guest::told(), gic::machine(), timer, &|index| Hardware.read(index).bits());
    } else {
        saved(vpe, |saved| {
            let interface = &saved.context.interface;
            let list = |index: usize| interface.listed().get(index).copied().unwrap_or(0);
            put(saved.context.told(), interface.machine(), timer, &list);
        });
    }
}
