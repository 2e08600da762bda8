// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of counters and the results, as the console shows them and the host reads them.
//!
//! Every line begins with `bulkhead: `. Rows that are zero for every vPE are left out, except the
//! exits and the injections, whose zeros are the point.

use crate::{
    VmState, VpeState,
    counters::Counter,
    exit,
    health::{self, Life},
    history::Past,
    power,
    text::{Text, decimal_width},
};
use plan::Plan;

const FIRST_COLUMN: &str = "counter";
/// Width of the first column: the longest name of a counter.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const LABEL: usize = {
    let (mut width, mut index) = (FIRST_COLUMN.len(), 0);
    while index < Counter::ALL.len() {
        let name = Counter::ALL[index].name().len();
        width = if name > width { name } else { width };
        index += 1;
    }
    width
};

/// The table, a column for each vPE and a row for each counter, a cell at a time: the console has
/// other things to do.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// 0: above the table; 1: the titles; then the counters.
    row: u8,
    /// 0: the name of the row.
    column: u16,
}

impl Table {
    pub const START: Self = Self { row: 0, column: 0 };

    /// Writes the next cell, if it is shown. False: the table was at its end before.
    pub fn part(&mut self, plan: &Plan, vpes: &[VpeState], out: &mut impl Text) -> bool {
        let Some(row) = self.row.checked_sub(1) else {
            out.text("bulkhead: counters\n");
            self.row = 1;
            return true;
        };
        let counter = match row.checked_sub(1) {
            None => None,
            Some(row) => match Counter::ALL.get(usize::from(row)) {
                None => return false,
                counter => counter.copied(),
            },
        };
        let Some(column) = self.column.checked_sub(1).map(usize::from) else {
            if counter.is_some_and(|counter| !shown(counter, vpes)) {
                self.row += 1;
            } else {
                left(out, counter.map_or(FIRST_COLUMN, Counter::name), LABEL);
                self.column = 1;
            }
            return true;
        };
        let Some(vpe) = vpes.get(column).filter(|_| column < plan.vpes.len()) else {
            out.text(" |\n");
            *self = Self { row: self.row + 1, column: 0 };
            return true;
        };
        out.text(" | ");
        let width = width(plan, vpe, column);
        match counter {
            None => {
                let (name, number) = title(plan, column);
                out.spaces(width.saturating_sub(title_width(plan, column)));
                out.text(name);
                out.text("/");
                out.decimal(number);
            }
            Some(counter) => {
                let value = vpe.counters.get(counter);
                out.spaces(width.saturating_sub(decimal_width(value)));
                out.decimal(value);
            }
        }
        self.column += 1;
        true
    }
}

fn shown(counter: Counter, vpes: &[VpeState]) -> bool {
    always(counter) || vpes.iter().any(|vpe| vpe.counters.get(counter) != 0)
}

/// One line for each VM, and the result when every VM has ended.
pub fn vms(plan: &Plan, vms: &[VmState], out: &mut impl Text) {
    for (config, vm) in plan.vms.iter().zip(vms) {
        out.text("bulkhead: vm ");
        out.text(config.name);
        out.text(": ");
        match vm.health.state() {
            Life::Running => out.text("running"),
            Life::Restarting => out.text("restarting"),
            Life::Off => out.text("off"),
            Life::Failed(fault) => {
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

/// What a vPE does, and the last of its exits that is kept.
pub fn place(plan: &Plan, vpes: &[VpeState], index: usize, out: &mut impl Text) {
    let Some(vpe) = vpes.get(index) else { return };
    let (name, number) = title(plan, index);
    out.text("bulkhead: vpe ");
    out.text(name);
    out.text("/");
    out.decimal(number);
    out.text(match vpe.power.state() {
        power::PowerState::Off => ": off",
        power::PowerState::Claimed | power::PowerState::OnPending | power::PowerState::Loading => {
            ": about to begin"
        }
        power::PowerState::On => ": on",
        power::PowerState::Suspended => ": suspended",
        power::PowerState::Leaving => ": about to be off",
    });
    out.text(", exits ");
    out.decimal(vpe.counters.get(Counter::Exits));
    if let Some(past) = vpe.history.all().last() {
        out.text(", last at ");
        out.hex(past.elr);
    }
    out.text("\n");
}

/// A line for one of the last exits of a vPE.
pub fn exit(vm: &str, number: u64, past: &Past, out: &mut impl Text) {
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
    let largest = Counter::ALL.iter().map(|&counter| vpe.counters.get(counter)).fold(0, u64::max);
    decimal_width(largest).max(title_width(plan, index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::{Fault, Reason},
        history::History,
        testing::guests,
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
        let mut table = Table::START;
        while table.part(plan, &vpes, &mut text) {}
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
                "bulkhead: | injections by list register: SPI or LPI | 0 | 0 | 0 |",
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
        history.all().for_each(|past| exit("one", 1, &past, &mut text));
        assert_eq!(
            text,
            "bulkhead: exit of one/1: HVC at 0x40000010, esr 0x5a000000\n\
             bulkhead: exit of one/1: data abort at 0x40000010, esr 0x93800007, far 0x9000000, ipa 0x9000000\n\
             bulkhead: exit of one/1: instruction abort at 0x40000010, esr 0x82000085, far 0x123, ipa 0x9000000\n"
        );
    }

    #[test]
    fn places() {
        let plan = guests()[0].plan;
        let (_, vpes) = states();
        vpes[1].history.keep(Past { esr: 0, elr: 0x4000_0010, far: 0, hpfar: 0 });
        let start = power::Start { entry: 0, context: 0 };
        vpes[1].power.turn_on(start).expect("it is off");
        let mut text = String::new();
        (0..4).for_each(|vpe| place(plan, &vpes, vpe, &mut text));
        assert_eq!(
            text,
            "bulkhead: vpe one/0: off, exits 0\n\
             bulkhead: vpe one/1: about to begin, exits 0, last at 0x40000010\n\
             bulkhead: vpe two/0: off, exits 0\n"
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
        states[1].health.fail(fault, plan::Fault::Halt, None, 0);
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
