// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking the console's stream apart: who said what.
//!
//! The format is docs/console.md's, its bytes are [`abi::console`]'s. A stream may begin anywhere
//! and be cut anywhere; what the decoder gives for it does not depend on where the reads cut it.
//! Bytes before the first frame, and after a line of EL2's, are nobody's: firmware's, on a board
//! that has just been reset.

use abi::console::{self as wire, Check};

/// Bytes of a line of EL2's; a longer one is broken.
const LONGEST: usize = 64 << 10;
/// Bytes of a prefix; a longer one is broken.
const PREFIX: usize = 96;

/// What happened on the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole line of EL2's, checked.
    Own(String),
    /// So many lines of EL2's have not arrived.
    Missing(u8),
    /// A frame that is not whole, and what of it can be read.
    Broken(String),
    /// The VM of that name goes on, at the start of a line on the screen.
    Vm(String),
    /// Bytes of that VM, as it sent them. `again`: it sent them once, before its line was cut.
    Bytes { bytes: Vec<u8>, again: bool },
    /// The VM's line was ended for others.
    Cut,
    /// Bytes of nobody's.
    Stray(Vec<u8>),
}

/// A decoder that remembers where it is.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// A VM speaks, and whether it says something again.
    vm: Option<bool>,
    /// CAN came before.
    escaped: bool,
    /// A VM's CR, which may belong to a newline.
    carriage: bool,
    /// Number of the last line of EL2's.
    number: Option<u8>,
    /// Pieces that are not given out yet.
    out: Vec<Piece>,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Text,
    /// The prefix of a VM.
    Prefix(Vec<u8>),
    /// The text of a line of EL2's.
    Own(Vec<u8>),
    /// What follows it.
    Tail(Vec<u8>, Vec<u8>),
    /// The end of line after a cut, of which so much has come.
    Cut(usize),
}

const END: &[u8] = b"\r\n";
/// Bytes of number and check.
const TAIL: usize = END.len() + 6 + wire::ERASE.len();

impl Decoder {
    /// What `bytes` tell.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        bytes.iter().for_each(|&byte| self.byte(byte));
        std::mem::take(&mut self.out)
    }

    /// What is left when nothing more comes.
    pub fn finish(&mut self) -> Vec<Piece> {
        self.give_up();
        self.release();
        std::mem::take(&mut self.out)
    }

    fn byte(&mut self, byte: u8) {
        if std::mem::take(&mut self.escaped) {
            match byte {
                wire::OWN | wire::VM => {}
                _ if self.vm.is_some()
                    && matches!(self.state, State::Text)
                    && wire::is_reserved(byte.wrapping_sub(wire::LETTER)) =>
                {
                    return self.vm_byte(byte.wrapping_sub(wire::LETTER));
                }
                // Firmware's own.
                _ if self.vm.is_none() && matches!(self.state, State::Text) => {
                    self.inside(wire::ESCAPE);
                }
                _ => self.out.push(Piece::Broken(String::new())),
            }
        }
        match byte {
            wire::ESCAPE => self.escaped = true,
            wire::OWN => self.begin(State::Own(Vec::new())),
            wire::VM => self.begin(State::Prefix(Vec::new())),
            _ => self.inside(byte),
        }
    }

    /// A frame begins, whatever was before.
    fn begin(&mut self, state: State) {
        self.give_up();
        self.release();
        self.vm = None;
        self.state = state;
    }

    /// A frame that is not at its end is broken.
    fn give_up(&mut self) {
        let text = match std::mem::take(&mut self.state) {
            State::Text | State::Cut(_) => return,
            State::Prefix(bytes) | State::Own(bytes) | State::Tail(bytes, _) => bytes,
        };
        self.broken(&text);
    }

    fn broken(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.out.push(Piece::Broken(text.strip_prefix(wire::NEUTRAL).unwrap_or(&text).to_owned()));
    }

    fn inside(&mut self, byte: u8) {
        match &mut self.state {
            State::Text if self.vm.is_some() => match byte {
                wire::CUT => {
                    self.release();
                    self.out.push(Piece::Cut);
                    self.vm = None;
                    self.state = State::Cut(0);
                }
                wire::AGAIN => {
                    self.release();
                    self.vm = self.vm.map(|again| !again);
                }
                _ => self.vm_byte(byte),
            },
            State::Text => match self.out.last_mut() {
                Some(Piece::Stray(bytes)) => bytes.push(byte),
                _ => self.out.push(Piece::Stray(vec![byte])),
            },
            State::Prefix(prefix) => {
                prefix.push(byte);
                let long = prefix.len() > PREFIX;
                if byte == b' ' {
                    let prefix = std::mem::take(prefix);
                    self.state = State::Text;
                    match name(&prefix) {
                        Some(name) => {
                            self.out.push(Piece::Vm(name));
                            self.vm = Some(false);
                        }
                        None => self.broken(&prefix),
                    }
                } else if long {
                    self.give_up();
                }
            }
            State::Own(text) => {
                if byte == wire::CUT {
                    self.state = State::Tail(std::mem::take(text), Vec::new());
                    return;
                }
                text.push(byte);
                if text.len() > LONGEST {
                    self.give_up();
                }
            }
            State::Tail(text, tail) => {
                tail.push(byte);
                if tail.len() == TAIL {
                    let (text, tail) = (std::mem::take(text), std::mem::take(tail));
                    self.state = State::Text;
                    self.own(&text, &tail);
                }
            }
            State::Cut(came) => {
                if END.get(*came) == Some(&byte) && *came + 1 < END.len() {
                    *came += 1;
                } else {
                    let whole = END.get(*came) == Some(&byte);
                    self.state = State::Text;
                    if !whole {
                        self.inside(byte);
                    }
                }
            }
        }
    }

    /// A line of EL2's has arrived.
    fn own(&mut self, text: &[u8], tail: &[u8]) {
        let Some((number, line)) = open(text, tail) else { return self.broken(text) };
        if let Some(number) = number {
            // Who begins with 0 again was reset.
            let before = self.number.replace(number).filter(|_| number != 0);
            let missing = before.map_or(0, |before| number.wrapping_sub(before).wrapping_sub(1));
            if missing != 0 {
                self.out.push(Piece::Missing(missing));
            }
        }
        self.out.push(Piece::Own(line));
    }

    /// A byte that a VM sent, or the CR that EL2 put before its newline.
    fn vm_byte(&mut self, byte: u8) {
        if self.carriage && byte == b'\n' {
            self.carriage = false;
        }
        self.release();
        if byte == b'\r' {
            self.carriage = true;
        } else {
            self.push(byte);
        }
    }

    /// The CR that was held back is the VM's own.
    fn release(&mut self) {
        if std::mem::take(&mut self.carriage) {
            self.push(b'\r');
        }
    }

    fn push(&mut self, byte: u8) {
        let now = self.vm.unwrap_or(false);
        match self.out.last_mut() {
            Some(Piece::Bytes { bytes, again }) if *again == now => bytes.push(byte),
            _ => self.out.push(Piece::Bytes { bytes: vec![byte], again: now }),
        }
    }
}

/// The number and the text of a line of EL2's whose check holds.
fn open(text: &[u8], tail: &[u8]) -> Option<(Option<u8>, String)> {
    let text = text.strip_prefix(wire::NEUTRAL.as_bytes())?;
    if text.iter().any(|&byte| byte < b' ') {
        return None;
    }
    let digits = tail.strip_prefix(END)?.strip_suffix(wire::ERASE.as_bytes())?;
    let (number, check) = digits.split_at_checked(2)?;
    let expected = text.iter().chain(number).fold(Check::START, |check, &byte| check.with(byte));
    if check != format!("{:04x}", expected.value()).as_bytes() {
        return None;
    }
    let number = match number {
        _ if number == wire::UNNUMBERED => None,
        digits => Some(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?),
    };
    Some((number, String::from_utf8_lossy(text).into_owned()))
}

/// The name in a prefix: `[NAME] `, with or without colours.
fn name(prefix: &[u8]) -> Option<String> {
    let text = super::plain(std::str::from_utf8(prefix).ok()?);
    let name = text.strip_prefix('[')?.strip_suffix("] ")?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str, number: u8) -> Vec<u8> {
        let digits = format!("{number:02x}");
        let check = text
            .bytes()
            .chain(digits.bytes())
            .fold(Check::START, |check, byte| check.with(byte))
            .value();
        format!("\x18\x01{}{text}\x03\r\n{digits}{check:04x}{}", wire::NEUTRAL, wire::ERASE).into()
    }

    fn decode(bytes: &[u8]) -> Vec<Piece> {
        let mut decoder = Decoder::default();
        let mut out = decoder.feed(bytes);
        out.extend(decoder.finish());
        out
    }

    fn said(text: &str) -> Piece {
        Piece::Bytes { bytes: text.into(), again: false }
    }

    #[test]
    fn a_stream_is_taken_apart() {
        let mut stream = b"U-Boot\r\n".to_vec();
        stream.extend(own("bulkhead: one", 0));
        stream.extend(b"\x18\x02\x1b[36m[a-1]\x1b[0m x\x18X\x18A\x1b[1m\r\r\n");
        stream.extend(b"\x18\x02[b] \r\n\x18\x02[a-1] log\x03\r\n");
        stream.extend(own("bulkhead: two", 1));
        stream.extend(b"\x18\x02[a-1] \x04log\x04in");
        assert_eq!(
            decode(&stream),
            [
                Piece::Stray(b"U-Boot\r\n".into()),
                Piece::Own("bulkhead: one".into()),
                Piece::Vm("a-1".into()),
                said("x\x18\x01\x1b[1m\r\n"),
                Piece::Vm("b".into()),
                said("\n"),
                Piece::Vm("a-1".into()),
                said("log"),
                Piece::Cut,
                Piece::Own("bulkhead: two".into()),
                Piece::Vm("a-1".into()),
                Piece::Bytes { bytes: b"log".into(), again: true },
                said("in"),
            ]
        );
    }

    #[test]
    fn what_is_damaged_is_seen() {
        let whole = own("bulkhead: result: pass", 3);
        for at in 0..whole.len() {
            for damage in [0x01u8, 0x20, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= damage;
                let pieces = decode(&bytes);
                let line = Piece::Own("bulkhead: result: pass".into());
                // Only what is there for terminals may be damaged and the line be taken: CAN, and
                // the end of the tail.
                assert!(!pieces.contains(&line) || at == 0, "{at}: {pieces:?}");
            }
            let mut bytes = whole.clone();
            bytes.remove(at);
            let pieces = decode(&bytes);
            assert!(at == 0 || !pieces.contains(&Piece::Own("bulkhead: result: pass".into())));
        }
    }

    #[test]
    fn missing_lines_are_counted() {
        let stream =
            [own("bulkhead: a", 254), own("bulkhead: b", 1), own("bulkhead: c", 0)].concat();
        assert_eq!(
            decode(&stream),
            [
                Piece::Own("bulkhead: a".into()),
                Piece::Missing(2),
                Piece::Own("bulkhead: b".into()),
                Piece::Own("bulkhead: c".into()),
            ]
        );
    }

    #[test]
    fn a_frame_within_a_frame_breaks_the_first() {
        let mut stream = b"\x18\x01\x0f\x1b(B\x1b[mbulkhead: ha".to_vec();
        stream.extend(own("bulkhead: stopped: x", 9));
        assert_eq!(
            decode(&stream),
            [Piece::Broken("bulkhead: ha".into()), Piece::Own("bulkhead: stopped: x".into())]
        );
    }
}
