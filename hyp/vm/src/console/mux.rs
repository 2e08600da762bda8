//! Merges what all VMs and the hypervisor print into one stream of lines.
//!
//! A VM's lines begin with `[name] `, coloured if wanted; EL2's own begin with `bulkhead: ` by themselves. Only whole lines
//! are shown, except of the VM that has the input: its partial line (a prompt) is shown at once and stays open until
//! somebody else has a whole line to show; then the open line is ended, and begun again from its start after the others',
//! so that every line that ends has been shown whole. A line that is just being printed looks like a prompt, so the image is
//! [`Mux::patient`]: both steps wait until it has waited a while for more bytes. A line that does not fit its ring or [`KEPT`], or is longer than
//! [`LONGEST`] while others wait, is cut and goes on behind a new prefix. Sources take turns line by line. Every newline
//! goes out as CR LF.
//!
//! The image keeps the one `Mux` under its lock; [`Mux::pump`] never waits.

use super::ring::Ring;
use crate::{VmState, text::Text};
use core::sync::atomic::Ordering::Relaxed;
use plan::{Plan, VmIndex};

/// Bytes of EL2's own lines that may wait.
const OWN_ROOM: usize = 2048;
/// Bytes after which a line gives way to others.
const LONGEST: u16 = 512;
/// Bytes of the input's owner's open line that can be shown again.
const KEPT: usize = 128;
/// Prefix, its colour codes, and an end of line before it.
const STAGE: usize = 80;
/// Longest name in a prefix.
const NAME: usize = 48;
/// Foreground colours, by VM.
const COLOURS: [u8; 6] = *b"632514";

/// What [`Mux::pump`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pumped {
    /// Nothing is left to print: the UART's transmit interrupt may be masked.
    pub idle: bool,
    /// VMs, one bit for each index, that were blocked and have room again: [`VmState::has_room`].
    pub unblocked: u64,
}

/// A source of lines: a VM by index, or EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Vm(usize),
    Own,
}

#[derive(Debug)]
pub struct Mux {
    own: Ring<OWN_ROOM>,
    pub(super) focus: usize,
    pub(super) escaped: bool,
    colour: bool,
    /// Whose line is open on the terminal, and how long it is.
    open: Option<Source>,
    column: u16,
    carriage_return: bool,
    /// What the VM that has the input has shown of its line; more bytes than there is room for are only counted.
    kept: [u8; KEPT],
    kept_bytes: usize,
    /// Whose line that is.
    keeper: Option<usize>,
    /// That line was ended before its time; it is to be shown again, and so many bytes of it have been.
    cut: bool,
    repeated: usize,
    /// Lines that are not at their end are left alone.
    patient: bool,
    /// VM after the one that had the last turn.
    turn: usize,
    /// Bytes decided but not sent.
    stage: [u8; STAGE],
    staged: usize,
    sent: usize,
}

impl Mux {
    /// `focus` has the input first; `colour`: prefixes are coloured.
    pub const fn new(focus: VmIndex, colour: bool) -> Self {
        Self {
            own: Ring::new(),
            focus: focus.index(),
            escaped: false,
            colour,
            open: None,
            column: 0,
            carriage_return: false,
            kept: [0; KEPT],
            kept_bytes: 0,
            keeper: None,
            cut: false,
            repeated: 0,
            patient: false,
            turn: 0,
            stage: [0; STAGE],
            staged: 0,
            sent: 0,
        }
    }

    /// Who has the input first, and whether prefixes are coloured, of a mux made with zeros ([`Mux::new`]) to take no room in
    /// the image.
    pub fn configure(&mut self, focus: VmIndex, colour: bool) {
        self.focus = focus.index();
        self.colour = colour;
    }

    /// From now on lines that are not at their end are neither shown nor ended for others (true), or are (false).
    pub fn patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// The VM whose line is not at its end, if something waits for that only because the mux is patient: pump impatiently
    /// after a while.
    pub fn defers(&self, vms: &[VmState]) -> Option<VmIndex> {
        let index = match self.open {
            Some(Source::Own) => return None,
            Some(source @ Source::Vm(index)) => self.other_waits(vms, source).then_some(index),
            None => self.partial(vms).then_some(self.focus),
        };
        index.map(|index| VmIndex::new(index as u16))
    }

    /// VM that has the input.
    pub fn focus(&self) -> VmIndex {
        VmIndex::new(self.focus as u16)
    }

    /// A byte of an EL2 line, which begins with `bulkhead: ` and ends with a newline; false: no room, pump first.
    pub fn write(&mut self, byte: u8) -> bool {
        self.own.push(byte)
    }

    /// Sends as much as `uart` takes: it answers false when its FIFO is full, and has not taken the byte then.
    pub fn pump(
        &mut self,
        plan: &Plan,
        vms: &[VmState],
        uart: &mut impl FnMut(u8) -> bool,
    ) -> Pumped {
        let mut unblocked = 0;
        let idle = loop {
            if !self.send_staged(uart) {
                break false;
            }
            match self.open {
                Some(source) => {
                    if let Some(byte) = self.repeat(source) {
                        self.stage_byte(byte);
                        continue;
                    }
                    let waiting = self.other_waits(vms, source);
                    if waiting && self.column >= LONGEST {
                        self.close();
                        continue;
                    }
                    match self.pop(vms, source, &mut unblocked) {
                        Some(byte) => {
                            self.keep(source, byte);
                            self.stage_byte(byte);
                        }
                        None if waiting && !self.patient => self.close(),
                        None => break true,
                    }
                }
                None => match self.next(vms) {
                    Some(source) => self.begin(plan, source),
                    None => break true,
                },
            }
        };
        Pumped { idle, unblocked }
    }

    fn send_staged(&mut self, uart: &mut impl FnMut(u8) -> bool) -> bool {
        while self.sent < self.staged {
            let Some(&byte) = self.stage.get(self.sent) else { break };
            if !uart(byte) {
                return false;
            }
            self.sent += 1;
        }
        self.sent = 0;
        self.staged = 0;
        true
    }

    fn pop(&self, vms: &[VmState], source: Source, unblocked: &mut u64) -> Option<u8> {
        match source {
            Source::Own => self.own.pop(),
            Source::Vm(index) => {
                let vm = vms.get(index)?;
                let byte = vm.output.pop()?;
                if vm.blocked.load(Relaxed) {
                    *unblocked |= 1 << (index & 63);
                }
                Some(byte)
            }
        }
    }

    fn stage_byte(&mut self, byte: u8) {
        if byte == b'\n' {
            if !self.carriage_return {
                self.byte(b'\r');
            }
            self.open = None;
        }
        self.byte(byte);
        self.carriage_return = byte == b'\r';
        self.column = self.column.saturating_add(1);
    }

    fn keeps(&self, source: Source) -> bool {
        matches!(source, Source::Vm(index) if self.keeper == Some(index))
    }

    /// Remembers a byte of a line that may have to be shown again.
    fn keep(&mut self, source: Source, byte: u8) {
        if !self.keeps(source) {
            return;
        }
        if let Some(place) = self.kept.get_mut(self.kept_bytes) {
            *place = byte;
        }
        self.kept_bytes = if byte == b'\n' { 0 } else { self.kept_bytes.saturating_add(1) };
    }

    /// The next byte of a line that is shown again.
    fn repeat(&mut self, source: Source) -> Option<u8> {
        if !self.cut || !self.keeps(source) {
            return None;
        }
        if self.repeated >= self.kept_bytes {
            self.cut = false;
            return None;
        }
        let byte = self.kept.get(self.repeated).copied();
        self.repeated += 1;
        byte
    }

    /// Ends the open line before its time.
    fn close(&mut self) {
        if self.open.is_some_and(|source| self.keeps(source)) {
            self.cut = self.kept_bytes <= KEPT;
            self.repeated = 0;
        }
        self.stage_byte(b'\n');
    }

    fn begin(&mut self, plan: &Plan, source: Source) {
        self.open = Some(source);
        self.column = 0;
        self.carriage_return = false;
        let Source::Vm(index) = source else { return };
        self.turn = index.wrapping_add(1);
        if index == self.focus && !(self.cut && self.keeper == Some(index)) {
            self.keeper = Some(index);
            self.kept_bytes = 0;
            self.cut = false;
        }
        let name = plan.vms.get(index).map_or("?", |vm| vm.name);
        if self.colour {
            self.text("\x1b[3");
            self.byte(COLOURS[index % COLOURS.len()]);
            self.byte(b'm');
        }
        self.byte(b'[');
        for &byte in name.as_bytes().iter().take(NAME) {
            self.byte(byte);
        }
        self.byte(b']');
        if self.colour {
            self.text("\x1b[0m");
        }
        self.byte(b' ');
    }

    /// A VM's ring has something that may be shown although its line is not at its end.
    fn ready(vm: &VmState) -> bool {
        vm.output.has_line() || vm.output.is_full()
    }

    fn other_waits(&self, vms: &[VmState], source: Source) -> bool {
        if source != Source::Own && self.own.has_line() {
            return true;
        }
        vms.iter().enumerate().any(|(index, vm)| source != Source::Vm(index) && Self::ready(vm))
    }

    fn next(&self, vms: &[VmState]) -> Option<Source> {
        if self.own.has_line() || self.own.is_full() {
            return Some(Source::Own);
        }
        let count = vms.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if vms.get(index).is_some_and(Self::ready) {
                return Some(Source::Vm(index));
            }
        }
        (!self.patient && self.partial(vms)).then_some(Source::Vm(self.focus))
    }

    /// The VM that has the input has begun a line, or one of its lines is to be shown again.
    fn partial(&self, vms: &[VmState]) -> bool {
        let again = self.cut && self.keeper == Some(self.focus);
        again || vms.get(self.focus).is_some_and(|vm| !vm.output.is_empty())
    }
}

/// Into the stage, which a prefix and two bytes always fit.
impl Text for Mux {
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.stage.get_mut(self.staged) {
            *place = byte;
            self.staged += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{console::Input, fake};
    use std::{format, string::String, vec, vec::Vec};

    struct Bench {
        plan: &'static Plan,
        vms: Vec<VmState>,
        mux: Mux,
    }

    impl Bench {
        fn new(colour: bool) -> Self {
            let plan = fake::plan();
            Self {
                plan,
                vms: vec![VmState::new(), VmState::new()],
                mux: Mux::new(plan.focus, colour),
            }
        }
        fn print(&self, vm: usize, text: &str) {
            assert!(text.bytes().all(|byte| self.vms[vm].output.push(byte)));
        }
        fn shown(&mut self) -> String {
            let mut text = String::new();
            let pumped = self.mux.pump(self.plan, &self.vms, &mut |byte| {
                text.push(byte as char);
                true
            });
            assert!(pumped.idle);
            text
        }
        fn own(&mut self, text: &str) {
            assert!(text.bytes().all(|byte| self.mux.write(byte)));
        }
        fn typed(&mut self, keys: &[u8]) -> Input {
            let mut last = Input::Nothing;
            for &key in keys {
                last = self.mux.input(self.plan, key);
            }
            last
        }
    }

    #[test]
    fn whole_lines_take_turns() {
        let mut bench = Bench::new(false);
        bench.print(1, "b1\nb2\nb3");
        bench.print(0, "a1\r\na2\n");
        bench.own("bulkhead: hello\n");
        assert_eq!(
            bench.shown(),
            "bulkhead: hello\r\n[one] a1\r\n[two] b1\r\n[one] a2\r\n[two] b2\r\n"
        );
        bench.print(1, "\n");
        assert_eq!(bench.shown(), "[two] b3\r\n");
    }

    #[test]
    fn a_prompt_is_shown_at_once_and_gives_way() {
        let mut bench = Bench::new(false);
        bench.print(0, "login: ");
        bench.print(1, "secret");
        assert_eq!(bench.shown(), "[one] login: ");
        bench.print(0, "ro");
        assert_eq!(bench.shown(), "ro");
        bench.print(1, " text\n");
        assert_eq!(bench.shown(), "\r\n[two] secret text\r\n[one] login: ro");
        bench.print(0, "ot\n");
        assert_eq!(bench.shown(), "ot\r\n");
        bench.print(1, "more\n");
        assert_eq!(bench.shown(), "[two] more\r\n");
    }

    #[test]
    fn a_line_that_ends_has_been_shown_whole() {
        let mut bench = Bench::new(false);
        let mut text = String::new();
        for (n, letter) in "figure x 1234\n".chars().enumerate() {
            bench.print(0, letter.encode_utf8(&mut [0; 4]));
            if n % 5 == 4 {
                bench.print(1, "other\n");
            }
            text.push_str(&bench.shown());
        }
        let whole: Vec<_> = text.lines().filter(|line| line.ends_with("1234")).collect();
        assert_eq!(whole, ["[one] figure x 1234"], "{text}");
        assert_eq!(text.lines().filter(|line| *line == "[two] other").count(), 2);
    }

    #[test]
    fn a_line_too_long_to_be_kept_goes_on_behind_a_new_prefix() {
        let mut bench = Bench::new(false);
        let long = "x".repeat(KEPT + 1);
        bench.print(0, &long);
        bench.shown();
        bench.print(1, "other\n");
        assert_eq!(bench.shown(), "\r\n[two] other\r\n");
        bench.print(0, "rest\n");
        assert_eq!(bench.shown(), "[one] rest\r\n");
    }

    #[test]
    fn the_input_may_move_while_a_line_is_cut() {
        let mut bench = Bench::new(false);
        bench.print(0, "first ");
        bench.shown();
        bench.typed(b"\x1d1");
        assert_eq!(bench.shown(), "\r\nbulkhead: input goes to two\r\n");
        bench.print(1, "second ");
        assert_eq!(bench.shown(), "[two] second ");
        bench.print(0, "line\n");
        assert_eq!(bench.shown(), "\r\n[one] line\r\n[two] second ");
    }

    #[test]
    fn colours_are_around_the_name() {
        let mut bench = Bench::new(true);
        bench.print(0, "x\n");
        assert_eq!(bench.shown(), "\x1b[36m[one]\x1b[0m x\r\n");
    }

    #[test]
    fn a_line_longer_than_its_ring_is_cut() {
        let mut bench = Bench::new(false);
        while bench.vms[1].output.push(b'x') {}
        let text = bench.shown();
        assert!(text.starts_with("[two] xxx") && text.len() == crate::guest::OUTPUT_ROOM + 6);
        bench.own("bulkhead: now\n");
        assert_eq!(bench.shown(), "\r\nbulkhead: now\r\n");
    }

    #[test]
    fn an_endless_line_does_not_silence_others() {
        let mut bench = Bench::new(false);
        while bench.vms[0].output.push(b'x') {}
        bench.print(1, "here\n");
        assert!(bench.shown().contains("\r\n[two] here\r\n[one] x"));
    }

    #[test]
    fn a_full_uart_loses_nothing() {
        let mut bench = Bench::new(true);
        bench.print(0, "one line\nanother\n");
        bench.print(1, "third\n");
        let whole = {
            let mut other = Bench::new(true);
            other.print(0, "one line\nanother\n");
            other.print(1, "third\n");
            other.shown()
        };
        let mut text = String::new();
        for _ in 0..whole.len() {
            let mut room = 1;
            bench.mux.pump(bench.plan, &bench.vms, &mut |byte| {
                let taken = room > 0;
                if taken {
                    room -= 1;
                    text.push(byte as char);
                }
                taken
            });
        }
        assert_eq!(text, whole);
    }

    #[test]
    fn tells_who_was_blocked() {
        let mut bench = Bench::new(false);
        bench.print(1, "x\n");
        bench.vms[1].blocked.store(true, Relaxed);
        let pumped = bench.mux.pump(bench.plan, &bench.vms, &mut |_| true);
        assert_eq!(pumped, Pumped { idle: true, unblocked: 2 });
    }

    #[test]
    fn escape_key() {
        let mut bench = Bench::new(false);
        let vm = VmIndex::new;
        assert_eq!(bench.typed(b"x"), Input::Deliver(vm(0), b'x'));
        assert_eq!(bench.typed(b"\x1dn"), Input::Nothing);
        assert_eq!(bench.shown(), "bulkhead: input goes to two\r\n");
        assert_eq!(bench.typed(b"y"), Input::Deliver(vm(1), b'y'));
        assert_eq!(bench.typed(b"\x1dn"), Input::Nothing);
        assert_eq!(bench.typed(b"\x1d\x1d"), Input::Deliver(vm(0), 0x1d));
        assert_eq!(bench.typed(b"z"), Input::Deliver(vm(0), b'z'));
        assert_eq!(bench.typed(b"\x1dc"), Input::ShowCounters);
        assert_eq!(bench.typed(b"\x1d1"), Input::Nothing);
        assert_eq!(bench.mux.focus(), vm(1));
        bench.shown();
        bench.typed(b"\x1d7");
        assert_eq!(bench.shown(), "bulkhead: no such console\r\n");
        bench.typed(b"\x1d?");
        let help = bench.shown();
        assert!(help.lines().all(|line| line.starts_with("bulkhead: ")));
        assert!(help.contains("bulkhead: 1 two, has the input"));
    }

    #[test]
    fn a_line_that_is_being_printed_is_not_cut() {
        let mut bench = Bench::new(false);
        bench.mux.patient(true);
        bench.print(0, "half ");
        assert_eq!(bench.shown(), "");
        assert_eq!(bench.mux.defers(&bench.vms), Some(VmIndex::new(0)));
        bench.print(1, "whole\n");
        assert_eq!(bench.shown(), format!("[{}] whole\r\n", bench.plan.vms[1].name));
        bench.print(0, "a line\n");
        assert_eq!(bench.shown(), format!("[{}] half a line\r\n", bench.plan.vms[0].name));
        assert_eq!(bench.mux.defers(&bench.vms), None);
        bench.print(0, "prompt");
        bench.mux.patient(false);
        assert_eq!(bench.shown(), format!("[{}] prompt", bench.plan.vms[0].name));
        bench.mux.patient(true);
        bench.print(1, "other\n");
        assert_eq!(bench.shown(), "");
        assert_eq!(bench.mux.defers(&bench.vms), Some(VmIndex::new(0)));
    }
}
