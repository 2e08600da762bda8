//! Merges what all VMs and the hypervisor print into one stream of lines.
//!
//! A VM's lines begin with `[name] `, coloured if wanted; EL2's own begin with `bulkhead: ` by themselves. Only whole lines
//! are shown, except of the VM that has the input: its partial line (a prompt) is shown at once and stays open until
//! somebody else has a whole line to show; then the open line is ended, and its rest begins with a prefix of its own.
//! A line that does not fit its ring, or is longer than [`LONGEST`] while others wait, is cut the same way. Sources take
//! turns line by line. Every newline goes out as CR LF.
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
            turn: 0,
            stage: [0; STAGE],
            staged: 0,
            sent: 0,
        }
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
                    let waiting = self.other_waits(vms, source);
                    if waiting && self.column >= LONGEST {
                        self.close();
                        continue;
                    }
                    match self.pop(vms, source, &mut unblocked) {
                        Some(byte) => self.stage_byte(byte),
                        None if waiting => self.close(),
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

    /// Ends the open line before its time.
    fn close(&mut self) {
        self.stage_byte(b'\n');
    }

    fn begin(&mut self, plan: &Plan, source: Source) {
        self.open = Some(source);
        self.column = 0;
        self.carriage_return = false;
        let Source::Vm(index) = source else { return };
        self.turn = index.wrapping_add(1);
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
        let focus = vms.get(self.focus)?;
        (!focus.output.is_empty()).then_some(Source::Vm(self.focus))
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
