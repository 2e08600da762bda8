// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a person, or a program behind a pipe, sees of a console.
//!
//! A VM's lines stand behind `[name] `; its bytes are passed as they are, so that its colours and
//! its cursor are its own. On a terminal, whoever speaks next begins with a terminal that has
//! forgotten what the VM left: a control sequence that was not finished, colours, other letters,
//! another screen. Behind a pipe every line but EL2's begins with a prefix, and a line feed ends
//! it.

use super::Piece;

/// Ends a control sequence or string that was not finished; the usual letters, colours, cursor and
/// line wrap.
const USUAL: &[u8] = b"\x18\x0f\x1b(B\x1b[m\x1b[?25h\x1b[?7h";
/// Leaves the other screen, for a VM that went there.
const FIRST_SCREEN: &[u8] = b"\x1b[?1049l";
const OTHER_SCREENS: [&[u8]; 3] = [b"\x1b[?1049h", b"\x1b[?1047h", b"\x1b[?47h"];
/// Foreground colours, by VM in the order in which they spoke first.
const COLOURS: &[u8; 6] = b"632514";

/// Where the cursor is, and what it may have met.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    terminal: bool,
    colours: bool,
    /// VMs that have spoken.
    names: Vec<String>,
    /// A line is open.
    open: bool,
    /// A VM has sent control characters since the terminal was as usual.
    touched: bool,
    /// It is on another screen.
    elsewhere: bool,
    /// The last bytes that VMs sent, in which another screen may be asked for.
    tail: Vec<u8>,
}

impl Screen {
    pub fn new(terminal: bool, colours: bool) -> Self {
        Self { terminal, colours, ..Self::default() }
    }

    /// The bytes to show for a piece of the console.
    pub fn show(&mut self, piece: &Piece) -> Vec<u8> {
        let mut out = Vec::new();
        match piece {
            Piece::Own(line) => self.line(line, &mut out),
            Piece::Missing(count) => {
                self.line(
                    &format!("console: {count} lines of the hypervisor's are missing"),
                    &mut out,
                );
            }
            Piece::Broken(text) => {
                let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
                self.line(&format!("console: a frame is broken: {text}"), &mut out);
            }
            Piece::Vm(name) => {
                self.begin(&mut out);
                self.prefix(name, &mut out);
                self.open = true;
            }
            Piece::Bytes { bytes, .. } => bytes.iter().for_each(|&byte| self.byte(byte, &mut out)),
            Piece::Cut => self.begin(&mut out),
            Piece::Stray(bytes) => {
                let shown = bytes.iter().filter(|&&byte| self.terminal || byte != b'\r');
                out.extend(shown);
                self.open = bytes.last() != Some(&b'\n');
            }
        }
        out
    }

    /// A line that is no VM's.
    pub fn line(&mut self, text: &str, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend(text.as_bytes());
        self.end(out);
    }

    /// At the start of a line, on a terminal as usual.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if self.terminal && std::mem::take(&mut self.touched) {
            out.extend(USUAL);
            if std::mem::take(&mut self.elsewhere) {
                out.extend(FIRST_SCREEN);
            }
            self.tail.clear();
        }
        if self.open {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend(if self.terminal { &b"\r\n"[..] } else { b"\n" });
        self.open = false;
    }

    fn prefix(&mut self, name: &str, out: &mut Vec<u8>) {
        let index = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        let colour = COLOURS[index % COLOURS.len()] as char;
        let prefix = if self.colours {
            format!("\x1b[3{colour}m[{name}]\x1b[0m ")
        } else {
            format!("[{name}] ")
        };
        out.extend(prefix.into_bytes());
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'\n' {
            return self.end(out);
        }
        out.push(byte);
        self.open = true;
        // C1 controls are beyond ASCII; what is UTF-8 is only reset for nothing.
        self.touched |= byte < b' ' && byte != b'\r' && byte != b'\t' || byte >= 0x80;
        self.tail.push(byte);
        let longest = FIRST_SCREEN.len();
        if self.tail.len() > longest {
            self.tail.remove(0);
        }
        self.elsewhere |= OTHER_SCREENS.iter().any(|screen| self.tail.ends_with(screen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> Piece {
        Piece::Bytes { bytes: text.to_vec(), again: false }
    }

    fn shown(screen: &mut Screen, pieces: &[Piece]) -> String {
        let bytes = pieces.iter().flat_map(|piece| screen.show(piece)).collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_pipe_gets_what_a_guest_sent() {
        let mut screen = Screen::new(false, false);
        let text = shown(
            &mut screen,
            &[
                Piece::Vm("a".into()),
                bytes(b"\x1b[1mbold\x1b[0m\r\n"),
                Piece::Vm("a".into()),
                bytes(b"open \x1b]0;"),
                Piece::Cut,
                Piece::Own("bulkhead: x".into()),
            ],
        );
        assert_eq!(text, "[a] \x1b[1mbold\x1b[0m\r\n[a] open \x1b]0;\nbulkhead: x\n");
    }

    #[test]
    fn a_sequence_that_is_not_finished_ends_before_anybody_elses_line() {
        let mut screen = Screen::new(true, false);
        let hostile = [Piece::Vm("a".into()), bytes(b"\x1b[?1049h\x1b[8m\x1b]0;title")];
        shown(&mut screen, &hostile);
        let text = shown(&mut screen, &[Piece::Own("bulkhead: result: fail".into())]);
        let reset = "\x18\x0f\x1b(B\x1b[m\x1b[?25h\x1b[?7h\x1b[?1049l";
        assert_eq!(text, format!("{reset}\r\nbulkhead: result: fail\r\n"));
        shown(&mut screen, &hostile);
        let text = shown(&mut screen, &[Piece::Cut, Piece::Vm("b".into()), bytes(b"hello\n")]);
        assert_eq!(text, format!("{reset}\r\n[b] hello\r\n"));
    }

    #[test]
    fn an_own_line_begins_at_the_margin() {
        let mut screen = Screen::new(false, true);
        let text = shown(&mut screen, &[Piece::Vm("a".into()), bytes(b"x"), Piece::Missing(2)]);
        assert_eq!(
            text,
            "\x1b[36m[a]\x1b[0m x\nconsole: 2 lines of the hypervisor's are missing\n"
        );
    }
}
