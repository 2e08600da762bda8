//! The table of counters and the results, as the console shows them and the host reads them.
//!
//! Every line begins with `bulkhead: `. Rows that are zero for every vPE are left out, except the exits and the
//! injections, whose zeros are the point.

use crate::{
    VmState, VpeState,
    counters::Counter,
    exit,
    health::{self, State},
    history::History,
    text::{Text, decimal_width},
};
use plan::Plan;

const FIRST_COLUMN: &str = "counter";

/// The table: a column for each vPE, a row for each counter.
pub fn counters(plan: &Plan, vpes: &[VpeState], out: &mut impl Text) {
    out.text("bulkhead: counters\n");
    let shown =
        |counter: Counter| always(counter) || vpes.iter().any(|vpe| vpe.counters.get(counter) != 0);
    let label = Counter::ALL
        .iter()
        .filter(|&&counter| shown(counter))
        .map(|counter| counter.name().len())
        .fold(FIRST_COLUMN.len(), usize::max);
    left(out, FIRST_COLUMN, label);
    for (index, vpe) in plan.vpes.iter().zip(vpes).enumerate() {
        let width = width(plan, vpe.1, index);
        let (name, number) = title(plan, index);
        out.text(" | ");
        out.spaces(width - title_width(plan, index));
        out.text(name);
        out.text("/");
        out.decimal(number);
    }
    out.text(" |\n");
    for &counter in Counter::ALL.iter().filter(|&&counter| shown(counter)) {
        left(out, counter.name(), label);
        for (index, vpe) in vpes.iter().enumerate().take(plan.vpes.len()) {
            let value = vpe.counters.get(counter);
            out.text(" | ");
            out.spaces(width(plan, vpe, index).saturating_sub(decimal_width(value)));
            out.decimal(value);
        }
        out.text(" |\n");
    }
}

/// One line for each VM, and the result when every VM has ended.
pub fn vms(plan: &Plan, vms: &[VmState], out: &mut impl Text) {
    for (config, vm) in plan.vms.iter().zip(vms) {
        out.text("bulkhead: vm ");
        out.text(config.name);
        out.text(": ");
        match vm.health.state() {
            State::Running => out.text("running"),
            State::Restarting => out.text("restarting"),
            State::Off => out.text("off"),
            State::Failed(fault) => {
                out.text("failed, ");
                out.text(fault.reason.name());
                out.text(" at ");
                out.hex(fault.elr);
                out.text(", esr ");
                out.hex(fault.esr);
                out.text(", far ");
                out.hex(fault.far);
                ipa(fault.ipa, out);
            }
        }
        match vm.health.reported() {
            _ if vm.health.passed() => out.text(", passed"),
            Some(0) => out.text(", reported 0"),
            Some(code) => {
                out.text(", reported ");
                out.decimal(code);
            }
            None => {}
        }
        out.text("\n");
    }
    if let Some(passed) = health::result(vms.iter().take(plan.vms.len()).map(|vm| &vm.health)) {
        out.text(if passed { "bulkhead: result: pass\n" } else { "bulkhead: result: fail\n" });
    }
}

/// The last exits of a vPE, oldest first, a line each.
pub fn last_exits(vm: &str, number: u64, history: &History, out: &mut impl Text) {
    for past in history.all() {
        out.text("bulkhead: exit of ");
        out.text(vm);
        out.text("/");
        out.decimal(number);
        out.text(": ");
        out.text(exit::name(past.esr));
        out.text(" at ");
        out.hex(past.elr);
        out.text(", esr ");
        out.hex(past.esr);
        if exit::is_abort(past.esr) {
            out.text(", far ");
            out.hex(past.far);
        }
        ipa(exit::abort_ipa(past.esr, past.hpfar, past.far), out);
        out.text("\n");
    }
}

/// The guest physical address of an abort, if it is known.
pub fn ipa(ipa: Option<u64>, out: &mut impl Text) {
    if let Some(ipa) = ipa {
        out.text(", ipa ");
        out.hex(ipa);
    }
}

const fn always(counter: Counter) -> bool {
    matches!(
        counter,
        Counter::Exits
            | Counter::InjectedSgi
            | Counter::InjectedTimer
            | Counter::InjectedSpi
            | Counter::InjectedEmulated
    )
}

fn left(out: &mut impl Text, text: &str, width: usize) {
    out.text("bulkhead: | ");
    out.text(text);
    out.spaces(width.saturating_sub(text.len()));
}

/// VM name and vPE number of a column.
pub fn title(plan: &Plan, index: usize) -> (&'static str, u64) {
    let vpe = plan.vpes.get(index);
    let name = vpe.and_then(|vpe| plan.vms.get(vpe.vm.index())).map_or("?", |vm| vm.name);
    (name, vpe.map_or(0, |vpe| u64::from(vpe.number)))
}

fn title_width(plan: &Plan, index: usize) -> usize {
    let (name, number) = title(plan, index);
    name.len() + 1 + decimal_width(number)
}

/// Width of a column: its title, or its largest value.
fn width(plan: &Plan, vpe: &VpeState, index: usize) -> usize {
    Counter::ALL
        .iter()
        .map(|&counter| decimal_width(vpe.counters.get(counter)))
        .fold(title_width(plan, index), usize::max)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{
        fake::guests,
        health::{Fault, Reason},
        history::Past,
    };
    use std::{string::String, vec, vec::Vec};

    /// States beside the plan's tables, which a test plan does not hand out.
    fn states() -> (Vec<VmState>, Vec<VpeState>) {
        (
            vec![VmState::new(), VmState::new()],
            vec![VpeState::new(), VpeState::new(), VpeState::new()],
        )
    }

    #[test]
    fn table() {
        let plan = guests()[0].plan;
        let (_, vpes) = states();
        for _ in 0..1234 {
            vpes[1].counters.count(Counter::ExitHvc);
        }
        vpes[2].counters.largest(Counter::LongestStay, 1_000_000);
        let mut text = String::new();
        counters(plan, &vpes, &mut text);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1..].iter().all(|line| line.len() == lines[1].len()),
            "columns stand in line:\n{text}"
        );
        let words: Vec<String> = lines
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            [
                "bulkhead: counters",
                "bulkhead: | counter | one/0 | one/1 | two/0 |",
                "bulkhead: | exits | 0 | 1234 | 0 |",
                "bulkhead: | exits: HVC | 0 | 1234 | 0 |",
                "bulkhead: | injections by list register: SGI | 0 | 0 | 0 |",
                "bulkhead: | injections by list register: timer | 0 | 0 | 0 |",
                "bulkhead: | injections by list register: SPI | 0 | 0 | 0 |",
                "bulkhead: | injections by list register: emulated device | 0 | 0 | 0 |",
                "bulkhead: | longest stay in EL2 | 0 | 0 | 1000000 |",
            ]
        );
    }

    #[test]
    fn last_exits_are_told_in_order() {
        let history = History::new();
        let past = |esr, far| Past { esr, elr: 0x4000_0010, far, hpfar: 0x9_0000 };
        history.keep(past(0x5a00_0000, 0x1234));
        history.keep(past(0x9380_0007, 0x900_0000));
        history.keep(past(0x8200_0085, 0x123));
        let mut text = String::new();
        last_exits("one", 1, &history, &mut text);
        assert_eq!(
            text,
            "bulkhead: exit of one/1: HVC at 0x40000010, esr 0x5a000000\n\
             bulkhead: exit of one/1: data abort at 0x40000010, esr 0x93800007, far 0x9000000, ipa 0x9000000\n\
             bulkhead: exit of one/1: instruction abort at 0x40000010, esr 0x82000085, far 0x123, ipa 0x9000000\n"
        );
    }

    #[test]
    fn results() {
        let plan = guests()[0].plan;
        let (states, _) = states();
        states[0].health.start();
        states[1].health.start();
        let show = || {
            let mut text = String::new();
            vms(plan, &states, &mut text);
            text
        };
        assert_eq!(show(), "bulkhead: vm one: running\nbulkhead: vm two: running\n");
        states[0].health.report(3);
        states[0].health.power_off();
        let fault = Fault {
            reason: Reason::InstructionAbort,
            esr: 0x8200_0007,
            far: 0,
            elr: 0x4000_0000,
            ipa: Some(0x1000),
        };
        states[1].health.fail(fault, plan::Fault::Halt, 0);
        assert_eq!(
            show(),
            "bulkhead: vm one: off, reported 3\n\
             bulkhead: vm two: failed, instruction abort at 0x40000000, esr 0x82000007, far 0x0, ipa 0x1000\n\
             bulkhead: result: fail\n"
        );
        states[0].health.start();
        states[0].health.power_off();
        states[1].health.start();
        states[1].health.report(0);
        states[1].health.power_off();
        assert_eq!(
            show(),
            "bulkhead: vm one: off, passed\nbulkhead: vm two: off, passed\nbulkhead: result: pass\n"
        );
    }
}
