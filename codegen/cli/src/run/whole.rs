// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whole lines of VMs, for a pipe or a file.
//!
//! EL2 ends a VM's line early when others have something to say, and sends its start again
//! afterwards. A terminal shows that, because a prompt must be seen. A pipe gets each line once, at
//! its end. A line without an end is let go when the console rests, or when it is very long.

use std::collections::BTreeMap;

use super::Piece;

/// Bytes of a line that are held back.
const MOST: usize = 4096;

/// What every VM's line has so far.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    lines: BTreeMap<String, Line>,
    speaker: Option<String>,
    /// The VM whose line was let go last and is still open behind the pipe.
    open: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Line {
    held: Vec<u8>,
    /// Its start was let go.
    begun: bool,
}

impl Whole {
    /// What may be shown now.
    pub fn pass(&mut self, piece: Piece) -> Vec<Piece> {
        let mut out = Vec::new();
        match piece {
            Piece::Vm(name) => self.speaker = Some(name),
            Piece::Bytes { bytes, again } => {
                let Some(name) = self.speaker.clone() else { return out };
                bytes.iter().for_each(|&byte| self.byte(&name, byte, again, &mut out));
            }
            Piece::Cut => {
                if self.open.is_some() {
                    out.extend(self.rest());
                    out.push(Piece::Cut);
                    self.open = None;
                }
            }
            other => {
                self.open = None;
                out.push(other);
            }
        }
        out
    }

    /// Something is held back.
    pub fn holds(&self) -> bool {
        self.lines.values().any(|line| !line.held.is_empty())
    }

    /// Nothing more came for a while: the line of who spoke last.
    pub fn rest(&mut self) -> Vec<Piece> {
        let mut out = Vec::new();
        if let Some(name) = self.speaker.clone() {
            self.release(&name, &mut out);
        }
        out
    }

    /// Nothing more comes.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut out = self.rest();
        let names: Vec<String> = self.lines.keys().cloned().collect();
        names.iter().for_each(|name| self.release(name, &mut out));
        out
    }

    fn byte(&mut self, name: &str, byte: u8, again: bool, out: &mut Vec<Piece>) {
        let line = self.lines.entry(name.to_owned()).or_default();
        // All of it is held, unless its start was let go.
        if again && !line.begun {
            return;
        }
        line.held.push(byte);
        if byte == b'\n' || line.held.len() == MOST {
            self.release(name, out);
        }
        if byte == b'\n' {
            self.lines.remove(name);
            self.open = None;
        }
    }

    fn release(&mut self, name: &str, out: &mut Vec<Piece>) {
        let Some(line) = self.lines.get_mut(name).filter(|line| !line.held.is_empty()) else {
            return;
        };
        if self.open.as_deref() != Some(name) {
            out.push(Piece::Vm(name.to_owned()));
        }
        out.push(Piece::Bytes { bytes: std::mem::take(&mut line.held), again: false });
        line.begun = true;
        self.open = Some(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Screen;
    use super::*;

    fn vm(name: &str) -> Piece {
        Piece::Vm(name.into())
    }

    fn bytes(text: &str) -> Piece {
        Piece::Bytes { bytes: text.into(), again: false }
    }

    fn again(text: &str) -> Piece {
        Piece::Bytes { bytes: text.into(), again: true }
    }

    /// What a pipe gets; None: the console rests.
    fn shown(pieces: Vec<Option<Piece>>) -> String {
        let (mut whole, mut screen) = (Whole::default(), Screen::new(false, false));
        let mut shown = Vec::new();
        let mut show = |pieces: Vec<Piece>| {
            pieces.iter().for_each(|piece| shown.extend(screen.show(piece)));
        };
        for piece in pieces {
            show(match piece {
                Some(piece) => whole.pass(piece),
                None => whole.rest(),
            });
        }
        show(whole.finish());
        String::from_utf8(shown).expect("UTF-8")
    }

    #[test]
    fn a_line_that_was_cut_is_shown_once() {
        let own = Piece::Own("bulkhead: x".into());
        let pieces = vec![vm("a"), bytes("one "), Piece::Cut, own, vm("b"), bytes("other\n")];
        let rest = vec![vm("a"), again("one "), bytes("two\n"), vm("a"), bytes("open")];
        let text = shown(pieces.into_iter().chain(rest).map(Some).collect());
        assert_eq!(text, "bulkhead: x\n[b] other\n[a] one two\n[a] open");
    }

    #[test]
    fn a_prompt_is_shown_when_the_console_rests() {
        let before = [Some(vm("a")), Some(bytes("$ ")), None, Some(bytes("ls"))];
        let others = [Some(Piece::Cut), Some(vm("b")), Some(bytes("other\n"))];
        let after = [Some(vm("a")), Some(again("$ ls")), Some(bytes(" x\n"))];
        let text = shown(before.into_iter().chain(others).chain(after).collect());
        assert_eq!(text, "[a] $ ls\n[b] other\n[a] $ ls x\n");
    }
}
