// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading a board's console: result, VMs, counters and figures.
//!
//! [`Decoder`](super::Decoder) says who said what. Only EL2's own lines make a result; they begin
//! with `bulkhead: `. A table of counters is
//!
//! ```text
//! bulkhead: counters
//! bulkhead: | counter | control/0 | msix/0 |
//! bulkhead: | exits   |       123 |     17 |
//! ```
//!
//! and ends with the first line of EL2's that is no row. A system may print several; the last one
//! counts.

use std::collections::BTreeMap;

use super::ansi::plain;
use super::report::{Figure, VmLine};
use super::{Learned, Piece};

/// Bytes of a VM's output that are kept.
const KEPT: usize = 64 << 20;
/// Lines about faults and vPEs that are kept.
const TOLD: usize = 4096;
/// Of each VM, the lines that a report has, and bytes that they are looked for in.
const LAST_LINES: usize = 8;
const LAST_BYTES: usize = 4096;

/// What the console has said so far.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Every line as it was shown, behind `[name] ` if it was a VM's, without escape sequences and
    /// line ends.
    pub lines: Vec<String>,
    /// What each VM sent, byte by byte.
    pub streams: BTreeMap<String, Vec<u8>>,
    /// Frames that were broken, and lines of EL2's that are missing.
    pub damage: Vec<String>,
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
    /// Digest of the plan, as the banner has it.
    pub plan: Option<String>,
    /// What the TOML could say instead, by the last report.
    pub learned: Vec<Learned>,
    /// What EL2 told of faults, and of vPEs when it was asked last.
    pub told: Vec<String>,
    /// Tables of counters that have begun.
    pub tables: usize,
    /// The table being read: its columns; None outside a table.
    table: Option<Vec<String>>,
    /// Who speaks, and its line on the screen; None: nobody, or EL2.
    speaker: Option<String>,
    shown: Vec<u8>,
    /// The line that each VM is about to end, whatever was shown between.
    begun: BTreeMap<String, Vec<u8>>,
}

impl Transcript {
    /// The board has not sent one byte.
    pub fn heard_nothing(&self) -> bool {
        self.lines.is_empty() && self.streams.is_empty()
    }

    /// Takes what the decoder found.
    pub fn take(&mut self, piece: &Piece) {
        match piece {
            Piece::Own(line) => {
                self.end_line();
                self.speaker = None;
                if let Some(text) = line.strip_prefix("bulkhead: ") {
                    self.own(text);
                }
                self.lines.push(line.clone());
            }
            Piece::Missing(count) => {
                self.damage.push(format!("{count} lines of the hypervisor's are missing"));
            }
            Piece::Broken(text) => self.damage.push(format!("a frame is broken: {text}")),
            Piece::Vm(name) => {
                self.end_line();
                self.speaker = Some(name.clone());
                self.shown = format!("[{name}] ").into_bytes();
            }
            Piece::Bytes { bytes, again } => bytes.iter().for_each(|&byte| self.byte(byte, *again)),
            Piece::Cut => self.end_line(),
            Piece::Stray(bytes) => {
                if self.speaker.take().is_some() {
                    self.end_line();
                }
                bytes.iter().for_each(|&byte| self.stray(byte));
            }
        }
    }

    /// The last lines of each VM.
    pub fn last_lines(&self) -> BTreeMap<String, Vec<String>> {
        let last = |stream: &Vec<u8>| {
            let from = stream.len().saturating_sub(LAST_BYTES);
            let text = plain(&String::from_utf8_lossy(stream.get(from..).unwrap_or_default()));
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let from = lines.len().saturating_sub(LAST_LINES);
            lines.get(from..).unwrap_or_default().iter().map(|line| (*line).to_owned()).collect()
        };
        self.streams.iter().map(|(vm, stream)| (vm.clone(), last(stream))).collect()
    }

    /// A table is being read that has not all of the rows that every table has.
    pub fn in_table(&self) -> bool {
        const LAST: &str = "injections by list register: emulated device";
        self.table.is_some() && !self.counters.values().all(|column| column.contains_key(LAST))
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        self.end_line();
    }

    fn byte(&mut self, byte: u8, again: bool) {
        if byte != b'\n' {
            self.shown.push(byte);
        }
        if !again && let Some(vm) = &self.speaker {
            let stream = self.streams.entry(vm.clone()).or_default();
            if stream.len() < KEPT {
                stream.push(byte);
            }
            let line = self.begun.entry(vm.clone()).or_default();
            if byte == b'\n' {
                let line = plain(&String::from_utf8_lossy(&std::mem::take(line)));
                if let Some(figure) = figure(vm, &line) {
                    self.figure(figure);
                }
            } else {
                line.push(byte);
            }
        }
        if byte == b'\n' {
            self.end_line();
        }
    }

    /// What firmware says, or EL2 before it can say who it is.
    fn stray(&mut self, byte: u8) {
        if byte != b'\n' {
            return self.shown.push(byte);
        }
        let text = String::from_utf8_lossy(&self.shown);
        if let Some(text) = text.strip_prefix("bulkhead: stopped") {
            let text = format!("stopped{}", text.trim_end());
            self.stopped.get_or_insert(text);
        }
        self.end_line();
    }

    /// The line on the screen has ended.
    fn end_line(&mut self) {
        if !self.shown.is_empty() {
            let line = std::mem::take(&mut self.shown);
            let line = plain(&String::from_utf8_lossy(&line));
            self.lines.push(line.trim_end_matches('\r').to_owned());
        }
    }

    fn own(&mut self, text: &str) {
        if let Some(row) = text.strip_prefix('|') {
            self.row(row);
            return;
        }
        self.table = None;
        self.learned.extend(Learned::of(text));
        const ABOUT: [&str; 6] =
            ["vpe ", "exit of ", "registers of ", "spis of ", "event of ", "fault of "];
        if ABOUT.iter().any(|about| text.starts_with(about)) && self.told.len() < TOLD {
            self.told.push(text.to_owned());
        }
        if text == "counters" {
            self.table = Some(Vec::new());
            self.counters.clear();
            self.learned.clear();
            self.tables += 1;
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
        } else if text.starts_with("system ")
            && let Some((_, rest)) = text.rsplit_once(", plan ")
        {
            self.plan = rest.split(',').next().map(str::to_owned);
        }
    }

    /// The last of a name counts.
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

    /// Of lines of EL2's, which begin with its name, and of VMs', behind their prefixes.
    fn transcript(text: &str) -> Transcript {
        let mut out = Transcript::default();
        for line in text.lines() {
            let vm = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
            match vm {
                None => out.take(&Piece::Own(line.to_owned())),
                Some((name, text)) => {
                    out.take(&Piece::Vm(name.to_owned()));
                    let bytes = format!("{text}\n").into_bytes();
                    out.take(&Piece::Bytes { bytes, again: false });
                }
            }
        }
        out
    }

    const DEMO: &str = "\
bulkhead: demo, 4 VMs on 4 CPUs, plan 0123456789abcdef
[control] figure jitter-max 412 ns\r
[msix] \x1b[1mfigure vlpi 2 instructions\r
[msix] figure without a number\r
bulkhead: counters
bulkhead: | counter | control/0 |
bulkhead: | exits   |         1 |
[msix] a line of a guest: result: pass\r
[msix] | exits | 99 |\r
bulkhead: counters
bulkhead: | counter          | control/0 | msix/0 |
bulkhead: | exits            |       123 |     17 |
bulkhead: | exits: interrupt |       100 |      0 |
bulkhead: vm control: off, passed
bulkhead: vm msix: off, reported 3
bulkhead: vm x: failed, instruction abort at 0x1000, esr 0x82000007, far 0x1000
bulkhead: result: fail
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
        assert_eq!(out.lines[2], "[msix] figure vlpi 2 instructions");
    }

    #[test]
    fn a_guest_cannot_speak_for_the_hypervisor() {
        let mut out = Transcript::default();
        out.take(&Piece::Vm("x".into()));
        let bytes =
            b"\r\nbulkhead: result: pass\n\x1b[2Kbulkhead: vm y: off, passed\n[y] figure z 1\n";
        out.take(&Piece::Bytes { bytes: bytes.to_vec(), again: false });
        out.finish();
        assert_eq!(out.result, None);
        assert!(out.vms.is_empty() && out.stopped.is_none() && out.figures.is_empty());
        assert_eq!(out.streams["x"], bytes);
    }

    #[test]
    fn a_figure_is_read_whole_however_its_line_was_cut() {
        let mut out = Transcript::default();
        let bytes = |text: &str, again| Piece::Bytes { bytes: text.into(), again };
        for piece in [
            Piece::Vm("a".into()),
            bytes("figure x 12", false),
            Piece::Cut,
            Piece::Own("bulkhead: y".into()),
            Piece::Vm("a".into()),
            bytes("figure x 12", true),
            bytes("34 ns\n", false),
        ] {
            out.take(&piece);
        }
        assert_eq!(out.figures[0].value, 1234);
        assert_eq!(out.lines, ["[a] figure x 12", "bulkhead: y", "[a] figure x 1234 ns"]);
        assert_eq!(out.streams["a"], b"figure x 1234 ns\n");
    }

    #[test]
    fn only_firmware_is_nobody() {
        let mut out = Transcript::default();
        out.take(&Piece::Stray(
            b"bulkhead: result: pass\r\nbulkhead: stopped: not entered at EL2\r\n".to_vec(),
        ));
        assert_eq!(
            (out.result, out.stopped.as_deref()),
            (None, Some("stopped: not entered at EL2"))
        );
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
    fn the_last_report_s_wishes_are_learned_and_of_which_plan() {
        let wish = "device nvme0 event 1: vintid = 8194, vpe = 0 would need no command";
        let out = transcript(&format!(
            "bulkhead: system a on b, plan 0x88b3, 31 ticks from entry\nbulkhead: counters\n\
             bulkhead: its of a: event_priority = 0xc0 would need none\nbulkhead: counters\n\
             bulkhead: its of a: {wish}\n[a] bulkhead: its of a: event_priority = 0x10 is forged"
        ));
        assert_eq!(out.plan.as_deref(), Some("0x88b3"));
        let wish = Learned::of(&format!("its of a: {wish}"));
        assert_eq!(out.learned, [wish.unwrap()]);
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
            "bulkhead: counters\nbulkhead: | counter | a/0 |\n[a] hi\nbulkhead: | exits | 4 \
             |\nbulkhead: | x |",
        );
        assert_eq!(out.counters["a/0"]["exits"], 4);
    }
}
