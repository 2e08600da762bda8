//! Reading a board's console: result, VMs, counters and figures.
//!
//! EL2's own lines begin with `bulkhead: `, a guest's with `[name] `. A table of counters is
//!
//! ```text
//! bulkhead: counters
//! bulkhead: | counter | control/0 | msix/0 |
//! bulkhead: | exits   |       123 |     17 |
//! ```
//!
//! and ends with the first line that is no row. A system may print several; the last one counts.

use std::collections::BTreeMap;

use super::ansi::plain;
use super::report::{Figure, VmLine};

/// What the console has said so far.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Every complete line, without escape sequences and line ends.
    pub lines: Vec<String>,
    /// What QEMU itself said on its standard error.
    pub messages: Vec<String>,
    /// `result: pass` (true) or `result: fail`.
    pub result: Option<bool>,
    /// The text of `hardware differs from the plan: ...`, that prefix included.
    pub differs: Option<String>,
    /// The text of `stopped: ...`, that prefix included.
    pub stopped: Option<String>,
    pub vms: Vec<VmLine>,
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// One of each name from each VM.
    pub figures: Vec<Figure>,
    /// The table being read: its columns; None outside a table.
    table: Option<Vec<String>>,
}

impl Transcript {
    /// Takes one line, without its line end.
    pub fn line(&mut self, line: &str) {
        let line = plain(line.trim_end_matches('\r'));
        if let Some(text) = line.strip_prefix("bulkhead: ") {
            self.own(text);
        } else if let Some((vm, text)) =
            line.strip_prefix('[').and_then(|rest| rest.split_once("] "))
            && let Some(figure) = figure(vm, text)
        {
            self.figure(figure);
        }
        self.lines.push(line);
    }

    fn own(&mut self, text: &str) {
        if let Some(row) = text.strip_prefix('|') {
            self.row(row);
            return;
        }
        self.table = None;
        if text == "counters" {
            self.table = Some(Vec::new());
            self.counters.clear();
        } else if let Some(result) = text.strip_prefix("result: ") {
            self.result = Some(result.trim() == "pass");
        } else if text.starts_with("hardware differs from the plan") {
            self.differs.get_or_insert_with(|| text.to_owned());
        } else if text.starts_with("stopped") {
            self.stopped.get_or_insert_with(|| text.to_owned());
        } else if let Some(vm) = text.strip_prefix("vm ").and_then(vm_line) {
            match self.vms.iter_mut().find(|known| known.name == vm.name) {
                Some(known) => *known = vm,
                None => self.vms.push(vm),
            }
        } else if let Some(figure) = figure("", text) {
            self.figure(figure);
        }
    }

    /// The last of a name counts: a line that was cut and shown again leaves its beginning behind.
    fn figure(&mut self, figure: Figure) {
        let same = |known: &&mut Figure| known.vm == figure.vm && known.name == figure.name;
        match self.figures.iter_mut().find(same) {
            Some(known) => *known = figure,
            None => self.figures.push(figure),
        }
    }

    fn row(&mut self, row: &str) {
        let Some(columns) = &mut self.table else {
            return;
        };
        let mut cells = row.trim_end().trim_end_matches('|').split('|').map(str::trim);
        let Some(name) = cells.next() else { return };
        if columns.is_empty() {
            *columns = cells.map(str::to_owned).collect();
            for column in columns {
                self.counters.entry(column.clone()).or_default();
            }
            return;
        }
        for (column, cell) in columns.iter().zip(cells) {
            if let (Ok(value), Some(counters)) = (cell.parse(), self.counters.get_mut(column)) {
                counters.insert(name.to_owned(), value);
            }
        }
    }
}

/// `NAME: STATE, DETAIL` or `NAME: STATE`.
fn vm_line(text: &str) -> Option<VmLine> {
    let (name, rest) = text.split_once(": ")?;
    let (state, detail) = rest.split_once(", ").unwrap_or((rest, ""));
    Some(VmLine { name: name.into(), state: state.into(), detail: detail.into() })
}

/// `figure NAME VALUE [UNIT]`.
fn figure(vm: &str, text: &str) -> Option<Figure> {
    let mut words = text.strip_prefix("figure ")?.split_whitespace();
    let (name, value) = (words.next()?, words.next()?.parse().ok()?);
    let unit = words.collect::<Vec<_>>().join(" ");
    Some(Figure { vm: vm.into(), name: name.into(), value, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(text: &str) -> Transcript {
        let mut out = Transcript::default();
        text.lines().for_each(|line| out.line(line));
        out
    }

    const DEMO: &str = "\
bulkhead: demo, 4 VMs on 4 CPUs, plan 0123456789abcdef\r
\x1b[36m[control]\x1b[0m figure jitter-max 412 ns\r
\x1b[33m[msix]\x1b[0m figure vlpi 2 instructions\r
\x1b[33m[msix]\x1b[0m figure without a number\r
bulkhead: counters\r
bulkhead: | counter | control/0 |\r
bulkhead: | exits   |         1 |\r
[msix] a line of a guest: result: pass\r
[msix] | exits | 99 |\r
bulkhead: counters\r
bulkhead: | counter          | control/0 | msix/0 |\r
bulkhead: | exits            |       123 |     17 |\r
bulkhead: | exits: interrupt |       100 |      0 |\r
bulkhead: vm control: off, passed\r
bulkhead: vm msix: off, reported 3\r
bulkhead: vm x: failed, instruction abort at 0x1000, esr 0x82000007, far 0x1000\r
bulkhead: result: fail\r
";

    #[test]
    fn a_whole_run_is_read() {
        let out = transcript(DEMO);
        assert_eq!(out.result, Some(false));
        assert_eq!(out.counters["msix/0"]["exits"], 17);
        assert_eq!(out.counters["control/0"]["exits: interrupt"], 100);
        assert_eq!(out.counters.len(), 2);
        let vms: Vec<_> = out.vms.iter().map(|vm| (&*vm.name, &*vm.state, &*vm.detail)).collect();
        assert_eq!(vms[0], ("control", "off", "passed"));
        assert_eq!(vms[1], ("msix", "off", "reported 3"));
        assert_eq!(
            vms[2],
            ("x", "failed", "instruction abort at 0x1000, esr 0x82000007, far 0x1000")
        );
        assert_eq!(out.figures.len(), 2);
        assert_eq!(
            (&*out.figures[0].vm, out.figures[0].value, &*out.figures[0].unit),
            ("control", 412, "ns")
        );
        assert_eq!(out.lines[1], "[control] figure jitter-max 412 ns");
    }

    #[test]
    fn a_guest_cannot_speak_for_the_hypervisor() {
        let out = transcript(
            "[x] bulkhead: result: pass\n[x] bulkhead: vm y: failed\nx bulkhead: stopped: no",
        );
        assert_eq!(out.result, None);
        assert!(out.vms.is_empty() && out.stopped.is_none());
    }

    #[test]
    fn the_first_difference_is_kept() {
        let out = transcript("bulkhead: hardware differs from the plan: GICR_TYPER.VLPIS is 0\n");
        assert_eq!(
            out.differs.as_deref(),
            Some("hardware differs from the plan: GICR_TYPER.VLPIS is 0")
        );
        assert_eq!(out.result, None);
    }

    #[test]
    fn the_last_figure_of_a_name_counts() {
        let out = transcript("[a] figure x 12\n[b] figure x 3\n[a] figure x 1234 ns");
        let values: Vec<_> = out.figures.iter().map(|f| (&*f.vm, f.value, &*f.unit)).collect();
        assert_eq!(values, [("a", 1234, "ns"), ("b", 3, "")]);
    }

    #[test]
    fn a_line_of_a_guest_between_rows_does_not_end_the_table() {
        let out = transcript(
            "bulkhead: counters\nbulkhead: | counter | a/0 |\n[a] hi\nbulkhead: | exits | 4 |\nbulkhead: | x |",
        );
        assert_eq!(out.counters["a/0"]["exits"], 4);
    }
}
