// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Merges what all VMs and the hypervisor print into one stream of lines.
//!
//! A VM's lines begin with `[name] `, coloured if wanted; EL2's own begin with `bulkhead: ` by
//! themselves. Around them are control bytes that no guest can send, by which a host takes the
//! stream apart again ([`abi::console`], docs/console.md). Only whole lines are shown, except of
//! the VM that has the input: its partial line (a prompt) is shown at once and stays open until
//! somebody else has a whole line to show; then the open line is ended, and begun again from its
//! start after the others', so that every line that ends has been shown whole. A line that is just
//! being printed looks like a prompt, so the image is [`Mux::patient`]: both steps wait until it
//! has waited a while for more bytes. A line that does not fit its ring or [`KEPT`], or is longer
//! than [`LONGEST`] while others wait, is cut and goes on behind a new prefix. EL2's lines are
//! never cut. Sources take turns line by line. Every newline goes out as CR LF.
//!
//! The image keeps the one `Mux` under its lock; [`Mux::pump`] never waits.

use super::ring::Ring;
use crate::{VmState, text::Text};
use abi::console::{self as wire, Check};
use core::sync::atomic::Ordering::Relaxed;
use plan::VmIndex;

/// Bytes of EL2's own lines that may wait.
const OWN_ROOM: usize = 512;
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

/// A source of lines: a VM by index, or EL2. `Nobody` is all zero, and so is a mux before it is
/// used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Nobody,
    Own,
    Vm(usize),
}

#[derive(Debug)]
pub struct Mux {
    own: Ring<OWN_ROOM>,
    /// What was written last is not the end of a line.
    unfinished: bool,
    /// Of the line of EL2's that is being sent.
    check: Check,
    /// Number of the next line of EL2's.
    number: u8,
    pub(super) focus: usize,
    pub(super) escaped: bool,
    colour: bool,
    /// Whose line is open on the terminal, and how long it is.
    open: Source,
    column: u16,
    /// What the VM that has the input has shown of its line; more bytes than there is room for are
    /// only counted.
    kept: [u8; KEPT],
    kept_bytes: usize,
    /// Whose line that is.
    keeper: Option<usize>,
    /// That line was ended before its time; it is to be shown again, and so many bytes of it have
    /// been.
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
            unfinished: false,
            check: Check::ZERO,
            number: 0,
            focus: focus.index(),
            escaped: false,
            colour,
            open: Source::Nobody,
            column: 0,
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

    /// Who has the input first, and whether prefixes are coloured, of a mux made with zeros
    /// ([`Mux::new`]) to take no room in the image.
    pub fn configure(&mut self, focus: VmIndex, colour: bool) {
        self.focus = focus.index();
        self.colour = colour;
    }

    /// From now on lines that are not at their end are neither shown nor ended for others (true),
    /// or are (false).
    pub fn patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// The VM whose line is not at its end, if something waits for that only because the mux is
    /// patient: pump impatiently after a while.
    pub fn defers(&self, vms: &[VmState]) -> Option<VmIndex> {
        let index = match self.open {
            Source::Own => return None,
            Source::Vm(index) => self.other_waits(vms, index).then_some(index),
            Source::Nobody => self.partial(vms).then_some(self.focus),
        };
        index.map(|index| VmIndex::new(index as u16))
    }

    /// VM that has the input.
    pub fn focus(&self) -> VmIndex {
        VmIndex::new(self.focus as u16)
    }

    /// A byte of an EL2 line, which begins with `bulkhead: ` and ends with a newline; false: no
    /// room, pump first. Nothing else is sent from the line's first byte to its last, so one that
    /// is begun is to be ended.
    #[inline(never)]
    pub fn write(&mut self, byte: u8) -> bool {
        // EL2's texts have no control characters; a name that came by a way that nobody thought of
        // has none here.
        let harmless = if byte < b' ' && byte != b'\n' || byte == 0x7f { b'?' } else { byte };
        let taken = self.own.push(harmless);
        if taken {
            self.unfinished = harmless != b'\n';
        }
        taken
    }

    /// Bytes of EL2's own lines that there is room for.
    pub fn room(&self) -> usize {
        OWN_ROOM - self.own.len().min(OWN_ROOM)
    }

    /// EL2's line that was begun has not been written to its end.
    pub fn unfinished(&self) -> bool {
        self.unfinished
    }

    /// Sends as much as `uart` takes: it answers false when its FIFO is full, and has not taken the
    /// byte then. `name`: of a VM.
    pub fn pump(
        &mut self,
        name: impl Fn(usize) -> &'static str,
        vms: &[VmState],
        uart: &mut impl FnMut(u8) -> bool,
    ) -> Pumped {
        let mut unblocked = 0;
        let idle = loop {
            if !self.send_staged(uart) {
                break false;
            }
            match self.open {
                Source::Own => match self.own.pop() {
                    Some(b'\n') => self.end_own(),
                    Some(byte) => {
                        self.check = self.check.with(byte);
                        self.send(byte, uart);
                    }
                    None => break true,
                },
                Source::Vm(index) => {
                    if self.cut && self.keeper == Some(index) {
                        self.repeat();
                        continue;
                    }
                    if self.column >= LONGEST && self.other_waits(vms, index) {
                        self.close();
                        continue;
                    }
                    let Some(vm) = vms.get(index) else { break true };
                    match vm.output.pop() {
                        Some(byte) => {
                            if vm.blocked.load(Relaxed) {
                                unblocked |= 1 << (index & 63);
                            }
                            if self.keeper == Some(index) {
                                self.keep(byte);
                            }
                            self.column = self.column.saturating_add(1);
                            if byte >= b' ' {
                                self.send(byte, uart);
                            } else {
                                self.control(byte);
                            }
                        }
                        None if !self.patient && self.other_waits(vms, index) => self.close(),
                        None => break true,
                    }
                }
                Source::Nobody => match self.next(vms) {
                    Source::Own => self.begin_own(),
                    Source::Vm(index) => self.begin(name(index), index),
                    Source::Nobody => break true,
                },
            }
        };
        Pumped { idle, unblocked }
    }

    /// Sends a byte that needs no care, with nothing staged before it.
    #[inline(always)]
    fn send(&mut self, byte: u8, uart: &mut impl FnMut(u8) -> bool) {
        if !uart(byte) {
            self.byte(byte);
        }
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

    /// A guest's control character.
    fn control(&mut self, byte: u8) {
        if byte == b'\n' {
            self.byte(b'\r');
            self.open = Source::Nobody;
        }
        if wire::is_reserved(byte) {
            self.byte(wire::ESCAPE);
            self.byte(byte + wire::LETTER);
        } else {
            self.byte(byte);
        }
    }

    /// Remembers a byte of a line that may have to be shown again.
    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.kept.get_mut(self.kept_bytes) {
            *place = byte;
        }
        self.kept_bytes = if byte == b'\n' { 0 } else { self.kept_bytes.saturating_add(1) };
    }

    /// The next byte of a line that is shown again.
    fn repeat(&mut self) {
        if self.repeated == 0 {
            self.byte(wire::AGAIN);
        }
        match self.kept.get(self.repeated).copied() {
            Some(byte) if self.repeated < self.kept_bytes => {
                self.repeated += 1;
                self.control(byte);
            }
            _ => {
                self.cut = false;
                self.byte(wire::AGAIN);
            }
        }
    }

    /// Ends a VM's open line before its time.
    fn close(&mut self) {
        if let Source::Vm(index) = self.open
            && self.keeper == Some(index)
        {
            self.cut = self.kept_bytes <= KEPT;
            self.repeated = 0;
        }
        self.open = Source::Nobody;
        self.byte(wire::CUT);
        self.text("\r\n");
    }

    fn begin_own(&mut self) {
        self.open = Source::Own;
        self.check = Check::START;
        begin_line(self);
    }

    fn end_own(&mut self) {
        self.open = Source::Nobody;
        let (check, number) = (self.check, self.number);
        self.number = number.wrapping_add(1);
        end_line(self, check, Some(number));
    }

    fn begin(&mut self, name: &str, index: usize) {
        self.open = Source::Vm(index);
        self.column = 0;
        self.turn = index.wrapping_add(1);
        if index == self.focus && !(self.cut && self.keeper == Some(index)) {
            self.keeper = Some(index);
            self.kept_bytes = 0;
            self.cut = false;
        }
        self.byte(wire::ESCAPE);
        self.byte(wire::VM);
        if self.colour {
            self.text("\x1b[3");
            self.byte(COLOURS.get(index % COLOURS.len()).copied().unwrap_or(b'7'));
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

    /// Somebody else than the VM `index` has something to show.
    #[inline(never)]
    fn other_waits(&self, vms: &[VmState], index: usize) -> bool {
        !self.own.is_empty()
            || vms.iter().enumerate().any(|(other, vm)| other != index && Self::ready(vm))
    }

    fn next(&self, vms: &[VmState]) -> Source {
        if !self.own.is_empty() {
            return Source::Own;
        }
        let count = vms.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if vms.get(index).is_some_and(Self::ready) {
                return Source::Vm(index);
            }
        }
        if !self.patient && self.partial(vms) { Source::Vm(self.focus) } else { Source::Nobody }
    }

    /// The VM that has the input has begun a line, or one of its lines is to be shown again.
    fn partial(&self, vms: &[VmState]) -> bool {
        let again = self.cut && self.keeper == Some(self.focus);
        again || vms.get(self.focus).is_some_and(|vm| !vm.output.is_empty())
    }
}

/// What stands before the text of a line of EL2's.
pub fn begin_line(out: &mut impl Text) {
    out.byte(wire::ESCAPE);
    out.byte(wire::OWN);
    out.text(wire::NEUTRAL);
}

/// What stands behind the text, whose check is given; `number`: None for a line out of turn.
pub fn end_line(out: &mut impl Text, check: Check, number: Option<u8>) {
    out.byte(wire::CUT);
    out.text("\r\n");
    let mut check = check;
    let digit = |value: u16| {
        let value = (value & 0xf) as u8;
        if value < 10 { b'0' + value } else { b'a' + value - 10 }
    };
    let number = match number {
        Some(number) => [digit((number >> 4).into()), digit(number.into())],
        None => wire::UNNUMBERED,
    };
    for byte in number {
        check = check.with(byte);
        out.byte(byte);
    }
    let value = check.value();
    for shift in [12, 8, 4, 0] {
        out.byte(digit(value >> shift));
    }
    out.text(wire::ERASE);
}

/// Into the stage, which a prefix and two bytes always fit.
impl Text for Mux {
    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.stage.get_mut(self.staged) {
            *place = byte;
            self.staged += 1;
        }
    }
}

#[cfg(test)]
mod tests;
