//! Counters, faults and the end of the system, on the console.

use crate::arch::sysreg::{ticks, ticks_per_second};
use crate::percpu::{EVENTS, VMS, VPES};
use crate::plan_data::{PLAN, VM_COUNT};
use crate::platform::VIRTUAL_ITS;
use crate::{console, shared};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::{CpuIndex, Fault as Policy, VpeIndex};
use sched::Latency;
use vm::health::{Action, Fault, Reason};
use vm::text::Text;
use vm::vits::{self, View};
use vm::{Guest, pci};

/// When a guest last got the table, in ticks; and when a fault of each VM was last told.
static SHOWN: AtomicU64 = AtomicU64::new(0);
static TOLD: [AtomicU64; VM_COUNT] = [const { AtomicU64::new(0) }; VM_COUNT];

/// True at most once a second: a guest that asks all the time does not keep the console from others.
fn once_a_second(last: &AtomicU64) -> bool {
    let (now, before) = (ticks(), last.load(Relaxed));
    let due = before == 0 || now.wrapping_sub(before) >= ticks_per_second();
    due && last.compare_exchange(before, now | 1, Relaxed, Relaxed).is_ok()
}

/// The table of every vPE's counters, for a guest.
pub fn counters_for_guest() {
    if once_a_second(&SHOWN) {
        counters();
    }
}

/// The table of every vPE's counters, how those on shared CPUs fared, and what virtual ITSs were asked for.
#[inline(never)]
pub fn counters() {
    console::write(&mut |out| {
        vm::report::counters(&PLAN, &VPES, out);
        if shared::ANY {
            (0..PLAN.vpes.len() as u16).for_each(|vpe| turns(VpeIndex::new(vpe), out));
            (0..PLAN.cpus.len() as u16).for_each(|cpu| windows(CpuIndex::new(cpu), out));
        }
        if !PLAN.functions.is_empty() {
            pci::report(&PLAN, &VMS, out);
        }
        if VIRTUAL_ITS {
            for (vm, state) in PLAN.vms.iter().zip(&VMS) {
                vits::report(View::new(&PLAN, vm, &EVENTS), state, out);
            }
        }
    });
}

/// From when a vPE had reason to run to when it did.
fn turns(vpe: VpeIndex, out: &mut impl Text) {
    let (Some(cpu), Some(slot)) = (shared::of(vpe), shared::slot_of(vpe)) else { return };
    let figures = *cpu.state.lock().scheduler.statistics(slot);
    let (name, number) = vm::report::title(&PLAN, vpe.index());
    out.text("bulkhead: wake-to-run ");
    out.text(name);
    out.text("/");
    out.decimal(number);
    latency(&figures.wake_to_run, out);
}

/// From a window's planned start to the first decision in it.
fn windows(cpu: CpuIndex, out: &mut impl Text) {
    let Some(shared) = shared::cpu(cpu) else { return };
    let delay = *shared.state.lock().scheduler.window_delay();
    if delay.count() != 0 {
        out.text("bulkhead: window-delay CPU ");
        out.decimal(cpu.value().into());
        latency(&delay, out);
    }
}

/// In ticks; of the histogram, the buckets that are not empty, by the logarithm of what they count from on.
fn latency(latency: &Latency, out: &mut impl Text) {
    out.text(": count ");
    out.decimal(latency.count());
    if let (Some(min), Some(mean), Some(max)) = (latency.min(), latency.mean(), latency.max()) {
        for (name, value) in [(", min ", min), (", mean ", mean), (", max ", max)] {
            out.text(name);
            out.decimal(value);
        }
        out.text(" ticks; log2");
        for (power, &count) in latency.buckets().iter().enumerate() {
            if count != 0 {
                out.text(" ");
                out.decimal(power as u64);
                out.text(":");
                out.decimal(count.into());
            }
        }
    }
    out.text("\n");
}

/// How each VM ended, and the result.
pub fn result() {
    console::write(&mut |out| vm::report::vms(&PLAN, &VMS, out));
}

/// A VM failed: why, and what becomes of it. Of a VM that fails again and again, one line a second, and the last.
pub fn fault(guest: &Guest, fault: &Fault, action: Action) {
    let vm = PLAN.vpes.get(usize::from(guest.config.first_vpe)).map_or(0, |vpe| vpe.vm.index());
    if TOLD.get(vm).is_some_and(|last| !once_a_second(last)) && action != Action::Stop {
        return;
    }
    console::write(&mut |out| {
        out.text("bulkhead: fault of ");
        out.text(guest.config.name);
        out.text("/");
        out.decimal(guest.number as u64);
        out.text(": ");
        out.text(fault.reason.name());
        out.text(" at ");
        out.hex(fault.elr);
        out.text(", esr ");
        out.hex(fault.esr);
        out.text(", far ");
        out.hex(fault.far);
        vm::report::ipa(fault.ipa, out);
        out.text(match action {
            Action::Restart => "; it restarts",
            Action::ResetBoard => "; the board is reset",
            Action::Stop | Action::Nothing => "; it is stopped",
        });
        let limit = match guest.config.on_fault {
            _ if fault.reason == Reason::Resets => Some((guest.config.resets, " resets within ")),
            Policy::Restart(limit) if action == Action::Stop => Some((limit, " restarts within ")),
            _ => None,
        };
        if let Some((limit, what)) = limit {
            out.text(" after ");
            out.decimal(limit.most.into());
            out.text(what);
            out.decimal(limit.ticks / (ticks_per_second() / 1000).max(1));
            out.text(" ms");
        }
        out.text("\n");
        if action != Action::Restart {
            let number = guest.number as u64;
            vm::report::last_exits(guest.config.name, number, &guest.vpe.history, out);
        }
    });
}
