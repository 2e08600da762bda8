// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The time map in plan.txt: whose time is whose, on each shared CPU and in each mode.

use super::section::{Block, Section, Table};
use crate::plan::{Mode, Plan, PrioritySlot, Schedule, Turn, VpeIndex, Window};

/// Columns of a frame's bar.
const BAR: usize = 80;
/// Windows of one vPE that are written out.
const SHOWN: usize = 16;
/// Letters of slots, as many as there are slots.
const LETTERS: &[u8; plan::SLOTS] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";

/// Time map of all modes; nothing when no CPU is shared.
pub fn sections(plan: &Plan) -> Vec<Section> {
    let schedules: Vec<&Schedule> = plan.cpus.iter().map(|cpu| &cpu.schedule).collect();
    let map = Map { plan };
    let mut all = Vec::new();
    if schedules.iter().any(|schedule| schedule.is_shared()) {
        let heading = "Time: shared CPUs, the hypervisor's own time not counted";
        let mut section = Section::new("time", heading);
        for (cpu, schedule) in schedules.iter().enumerate() {
            map.cpu(cpu, schedule, &mut section);
        }
        all.push(section);
    }
    let modes = plan.modes.as_ref().map_or(&[][..], |modes| &modes.modes);
    all.extend(modes.iter().enumerate().map(|(n, mode)| map.mode(n, mode, modes)));
    all
}

struct Map<'a> {
    plan: &'a Plan,
}

impl Map<'_> {
    fn mode(&self, n: usize, mode: &Mode, all: &[Mode]) -> Section {
        let what = match n {
            0 => "the mode that boots: as above",
            _ => "these CPUs are used otherwise",
        };
        let heading = format!("Mode {n}, {}: {what}", mode.name);
        let mut section = Section::new(format!("mode-{}", mode.name), heading);
        for (cpu, schedule) in mode.schedules.iter().enumerate() {
            if *schedule == self.plan.cpus[cpu].schedule {
                continue;
            }
            let name = &self.plan.cpus[cpu].name;
            match schedule {
                Schedule::Unused => section.line(format!("{name}: idle")),
                Schedule::Exclusive(vpe) => {
                    section.line(format!("{name}: exclusive, {}", self.plan.vpe_name(*vpe)));
                }
                _ => self.cpu(cpu, schedule, &mut section),
            }
        }
        let suspended: Vec<String> = (0..mode.placements.len())
            .filter(|&vpe| mode.placements[vpe].is_none())
            .map(|vpe| self.plan.vpe_name(VpeIndex::at(vpe)))
            .collect();
        if !suspended.is_empty() {
            section.line(format!("suspended: {}", suspended.join(", ")));
        }
        let when = match mode.boundary.get() {
            1 => "at once".into(),
            ticks => format!("every {}", time(self.plan, ticks)),
        };
        section.line(format!("a switch away takes effect {when}"));
        for (to, switch) in mode.switches.iter().enumerate().filter(|(to, _)| *to != n) {
            let cpus = self.plan.cpus.iter().enumerate();
            let cpus =
                cpus.filter(|(n, _)| switch.cpus >> n & 1 != 0).map(|(_, cpu)| cpu.name.as_str());
            let cpus: Vec<&str> = cpus.collect();
            let moves = switch.moves.iter().map(|step| {
                let (from, to) = (&self.plan.cpus[step.from].name, &self.plan.cpus[step.to].name);
                format!("{} from {from} to {to}", self.plan.vpe_name(step.vpe))
            });
            let moves: Vec<String> = moves.collect();
            let moves = if moves.is_empty() { "none".into() } else { moves.join(", ") };
            section.line(format!("to {}: CPUs {}; moves: {moves}", all[to].name, cpus.join(", ")));
            for line in &switch.script {
                let words = line.words.map(|word| format!("{:016x}", word.0)).join(" ");
                section.blocks.push(Block::Code(format!("{words}  {}", line.text)));
            }
        }
        section
    }

    fn cpu(&self, cpu: usize, schedule: &Schedule, section: &mut Section) {
        let name = &self.plan.cpus[cpu].name;
        match schedule {
            Schedule::Unused | Schedule::Exclusive(_) => {}
            Schedule::Priority(slots) => {
                let given = percent(schedule.given_ppm());
                section.line(format!("{name}: by priority, {given} given as budgets"));
                section.table(self.ranks(slots));
            }
            Schedule::Cyclic(frame) => {
                let given = schedule.given_ppm();
                let (given, idle) = (percent(given), percent(1_000_000 - given));
                let whole = time(self.plan, frame.ticks.get());
                section
                    .line(format!("{name}: cyclic, frame of {whole}, {given} given, {idle} idle"));
                let bar = bar(&frame.windows, frame.ticks.get());
                section.blocks.push(Block::Drawing(format!("|{bar}|")));
                section.table(self.turns(&frame.turns, &frame.windows, frame.ticks.get()));
            }
        }
    }

    fn turns(&self, vpes: &[Turn], windows: &[Window], frame: u64) -> Table {
        let mut table = Table::new(&["", "vPE", "each frame", "share", "worst gap", "windows"]);
        for (slot, turn) in vpes.iter().enumerate() {
            let own = windows.iter().filter(|window| usize::from(window.slot) == slot);
            let own = own.map(|window| {
                format!(
                    "{}..{}",
                    time(self.plan, window.start),
                    time(self.plan, window.start + window.ticks)
                )
            });
            let mut own: Vec<String> = own.collect();
            if own.len() > SHOWN {
                let more = own.len() - SHOWN;
                own.truncate(SHOWN);
                own.push(format!("and {more} more"));
            }
            let share = percent(crate::plan::ppm(turn.ticks, frame));
            table.row(&[
                &letter(slot),
                &self.plan.vpe_name(turn.vpe),
                &time(self.plan, turn.ticks),
                &share,
                &time(self.plan, turn.worst_gap),
                &own.join(", "),
            ]);
        }
        table
    }

    fn ranks(&self, slots: &[PrioritySlot]) -> Table {
        let head = ["priority", "vPE", "budget", "period", "share", "afterwards", "worst gap"];
        let mut table = Table::new(&head);
        for slot in slots {
            let gap = slot.worst_gap.map_or("no bound".into(), |ticks| time(self.plan, ticks));
            let name = self.plan.vpe_name(slot.vpe);
            match slot.budget {
                None => table.row(&[&slot.priority, &name, &"-", &"-", &"-", &"-", &gap]),
                Some(budget) => table.row(&[
                    &slot.priority,
                    &name,
                    &time(self.plan, budget.ticks.get()),
                    &time(self.plan, budget.period.get()),
                    &percent(crate::plan::ppm(budget.ticks.get(), budget.period.get())),
                    &budget.rest.name(),
                    &gap,
                ]),
            }
        }
        table
    }
}

/// "9.5 ms"; ticks when they are no whole nanoseconds.
pub(super) fn time(plan: &Plan, ticks: u64) -> String {
    let nanoseconds = u128::from(ticks) * 1_000_000_000;
    let frequency = u128::from(plan.board.timer.frequency);
    match nanoseconds.is_multiple_of(frequency) {
        true => decimal(nanoseconds / frequency),
        false => format!("{ticks} ticks"),
    }
}

/// In the largest unit that there is one of: "9.5 ms".
fn decimal(nanoseconds: u128) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| nanoseconds >= *unit) else {
        return if nanoseconds == 0 { "0".into() } else { format!("{nanoseconds} ns") };
    };
    let digits = unit.ilog10() as usize;
    let rest = format!("{:0digits$}", nanoseconds % unit);
    match rest.trim_end_matches('0') {
        "" => format!("{} {name}", nanoseconds / unit),
        rest => format!("{}.{rest} {name}", nanoseconds / unit),
    }
}

pub(super) fn letter(slot: usize) -> char {
    LETTERS.get(slot).map_or('?', |&letter| letter.into())
}

/// "12.5 %".
pub(super) fn percent(ppm: u64) -> String {
    format!("{}.{} %", ppm / 10_000, ppm / 1000 % 10)
}

/// A frame drawn: each column is the one's that has most of its time, `.` for nobody. A window that
/// is shorter than a column takes one, too.
fn bar(windows: &[Window], frame: u64) -> String {
    let edge = |column: usize| u128::from(frame) * column as u128;
    let mut bar: Vec<char> = (0..BAR)
        .map(|column| {
            let (from, to) = (edge(column), edge(column + 1));
            let mut of_slot = [0; plan::SLOTS];
            for window in windows {
                let start = u128::from(window.start) * BAR as u128;
                let end = u128::from(window.start + window.ticks) * BAR as u128;
                of_slot[usize::from(window.slot) % plan::SLOTS] +=
                    end.min(to).saturating_sub(start.max(from));
            }
            let idle = (to - from).saturating_sub(of_slot.iter().sum());
            let most = of_slot.into_iter().enumerate();
            match most.max_by_key(|(slot, time)| (*time, std::cmp::Reverse(*slot))) {
                Some((slot, time)) if time > 0 && time >= idle => letter(slot),
                _ => '.',
            }
        })
        .collect();
    for window in windows {
        let column = |at: u64| (u128::from(at) * BAR as u128 / u128::from(frame.max(1))) as usize;
        let own = column(window.start)..=column(window.start + window.ticks - 1);
        let letter = letter(window.slot.into());
        if bar.get(own.clone()).is_some_and(|part| !part.contains(&letter)) {
            bar[*own.start()] = letter;
        }
    }
    bar.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_largest_unit() {
        for (nanoseconds, text) in [
            (0, "0"),
            (999, "999 ns"),
            (9_500_000, "9.5 ms"),
            (1_000_000, "1 ms"),
            (1_000_001_000, "1.000001 s"),
        ] {
            assert_eq!(decimal(nanoseconds), text);
        }
    }

    #[test]
    fn a_bar_shows_every_window_and_every_gap() {
        let window = |slot, start, ticks| Window { slot, start, ticks };
        let drawn = bar(&[window(0, 0, 400), window(1, 400, 200), window(0, 790, 10)], 800);
        assert_eq!(drawn, format!("{}{}{}A", "A".repeat(40), "B".repeat(20), ".".repeat(19)));
        let short = bar(&[window(0, 0, 1), window(1, 150, 1)], 8000);
        assert_eq!(short, format!("AB{}", ".".repeat(78)));
    }
}
