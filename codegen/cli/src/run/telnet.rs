// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The telnet protocol of terminal servers: requests are answered and taken out of the stream.
//!
//! Binary transmission and "suppress go-ahead" are agreed to both ways, and the far side's echo
//! (RFC 854 to 858); everything else is refused. Outside binary transmission a NUL behind a CR is
//! no byte of the board's. A server that speaks no telnet is served as well, unless it sends the
//! byte 0xff: `tcp:` is for that.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
/// What the far side may do, and what we do.
const THEIRS: [u8; 3] = [BINARY, ECHO, SUPPRESS_GO_AHEAD];
const OURS: [u8; 2] = [BINARY, SUPPRESS_GO_AHEAD];

/// The two ends of a connection.
pub fn ends(stream: TcpStream) -> io::Result<(Receiver, Sender)> {
    let read =
        Receiver { stream: stream.try_clone()?, parser: Parser::default(), ready: VecDeque::new() };
    Ok((read, Sender { stream }))
}

/// The far side's bytes.
pub struct Receiver {
    stream: TcpStream,
    parser: Parser,
    ready: VecDeque<u8>,
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes)?;
            if count == 0 {
                return Ok(0);
            }
            let mut answers = Vec::new();
            for &byte in &bytes[..count] {
                self.ready.extend(self.parser.take(byte, &mut answers));
            }
            self.stream.write_all(&answers)?;
        }
        self.ready.read(buffer)
    }
}

/// Bytes for the far side; 0xff is sent twice.
pub struct Sender {
    stream: TcpStream,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let doubled = |&byte: &u8| std::iter::repeat_n(byte, 1 + usize::from(byte == IAC));
        self.stream.write_all(&bytes.iter().flat_map(doubled).collect::<Vec<u8>>())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Where in the stream we are, and what is agreed.
#[derive(Default)]
struct Parser {
    state: State,
    /// Options that the far side has on, and those that we have on.
    theirs: Vec<u8>,
    ours: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Data,
    Carriage,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

impl Parser {
    /// The board's byte, if it is one. What is to be sent goes to `answers`.
    fn take(&mut self, byte: u8, answers: &mut Vec<u8>) -> Option<u8> {
        let (state, data) = match (self.state, byte) {
            (State::Data | State::Carriage, IAC) => (State::Command, None),
            (State::Carriage, 0) if !self.theirs.contains(&BINARY) => (State::Data, None),
            (State::Data | State::Carriage, b'\r') => (State::Carriage, Some(byte)),
            (State::Data | State::Carriage, _) => (State::Data, Some(byte)),
            (State::Command, IAC) => (State::Data, Some(IAC)),
            (State::Command, WILL | WONT | DO | DONT) => (State::Option(byte), None),
            (State::Command, SB) => (State::Sub, None),
            (State::Command, _) | (State::SubCommand, SE) => (State::Data, None),
            (State::Option(command), option) => {
                answers.extend(self.answer(command, option));
                (State::Data, None)
            }
            (State::Sub, IAC) => (State::SubCommand, None),
            (State::Sub | State::SubCommand, _) => (State::Sub, None),
        };
        self.state = state;
        data
    }

    /// What is new is agreed to or refused; what is as it was gets no answer, or two sides would
    /// answer each other for ever.
    fn answer(&mut self, command: u8, option: u8) -> Vec<u8> {
        let (on, allowed, yes, no) = match command {
            WILL | WONT => (&mut self.theirs, &THEIRS[..], DO, DONT),
            _ => (&mut self.ours, &OURS[..], WILL, WONT),
        };
        let wanted = matches!(command, WILL | DO);
        let is_on = on.contains(&option);
        let agreed = wanted && allowed.contains(&option);
        if agreed == is_on && agreed == wanted {
            return Vec::new();
        }
        on.retain(|known| *known != option);
        on.extend(agreed.then_some(option));
        vec![IAC, if agreed { yes } else { no }, option]
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_board_s_bytes_do_not_depend_on_where_reads_cut_them() {
        let sent = b"x\xff\xfb\x00\r\0\xff\xff\xff\xfc\x00\r\0\xff\xfa\xff\xf0y";
        let (mut parser, mut answers) = (Parser::default(), Vec::new());
        let got: Vec<u8> =
            sent.iter().filter_map(|&byte| parser.take(byte, &mut answers)).collect();
        assert_eq!(got, b"x\r\0\xff\ry", "a NUL is a byte of its own while BINARY is on");
        assert_eq!(answers, b"\xff\xfd\x00\xff\xfe\x00");
    }

    #[test]
    fn requests_are_answered_and_taken_out_wherever_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let (mut read, mut write) = ends(stream).unwrap();
        // IAC WILL ECHO twice, IAC WILL SUPPRESS_GO_AHEAD, IAC DO LINEMODE, a doubled IAC, a
        // subnegotiation, CR NUL.
        let sent = b"a\xff\xfb\x01b\xff\xfb\x01\xff\xfb\x03\xff\xfd\x22c\xff\xffd\xff\xfa\x18\xff\xff\xf0\xff\xf0\r\0e";
        let mut got: Vec<u8> = Vec::new();
        let mut bytes = [0u8; 64];
        let (first, rest) = sent.split_at(3);
        far.write_all(first).unwrap();
        far.write_all(rest).unwrap();
        while got.len() < 7 {
            let count = read.read(&mut bytes).unwrap();
            got.extend(&bytes[..count]);
        }
        assert_eq!(got, b"abc\xffd\re");
        write.write_all(b"x\xffy").unwrap();
        drop((read, write));
        let mut answers = Vec::new();
        far.read_to_end(&mut answers).unwrap();
        // DO ECHO, DO SUPPRESS_GO_AHEAD, WONT LINEMODE.
        assert_eq!(answers, b"\xff\xfd\x01\xff\xfd\x03\xff\xfc\x22x\xff\xffy");
    }
}
