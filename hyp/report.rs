//! The counters and the end of the system, on the console.

use crate::percpu::{VMS, VPES};
use crate::plan_data::PLAN;
use crate::{console, shared};
use plan::{CpuIndex, VpeIndex};
use sched::Latency;
use vm::text::Text;

/// The table of every vPE's counters, and how those on shared CPUs fared.
pub fn counters() {
    console::write(|out| {
        vm::report::counters(&PLAN, &VPES, out);
        if shared::ANY {
            (0..PLAN.vpes.len() as u16).for_each(|vpe| turns(VpeIndex::new(vpe), out));
            (0..PLAN.cpus.len() as u16).for_each(|cpu| windows(CpuIndex::new(cpu), out));
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
    console::write(|out| vm::report::vms(&PLAN, &VMS, out));
}
