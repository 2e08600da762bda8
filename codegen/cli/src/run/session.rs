// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A run while it goes on, whatever the console comes over.
//!
//! Threads send [`Event`]s: bytes of the console, messages of a program, keys. [`Session`] parses,
//! echoes, plays the input script and keeps the deadline.

use std::io::{Read, Write, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::ansi::Plain;
use super::whole::Whole;
use super::{Decoder, Echo, Input, Options, Piece, Screen, Step, Transcript, Verdict};

/// How long EL2 may take to say where everybody is.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the rows that not every table has may take.
const REST: Duration = Duration::from_millis(300);

/// How long a console is silent before a pipe gets a line that has no end.
const SILENCE: Duration = Duration::from_millis(100);

/// How long a line may go on behind a result.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// From the text that says that it hangs to where it is asked.
const HANGS: Duration = Duration::from_secs(1);

/// What a run's threads tell.
pub(super) enum Event {
    Console(Vec<u8>),
    Message(Vec<u8>),
    Keys(Vec<u8>),
    /// Nothing more comes. The text says why, if there was an error.
    ConsoleClosed(Option<String>),
}

/// Sends what is read until there is no more, or nobody wants it. The error of the last read.
pub(super) fn forward(
    mut from: impl Read,
    to: &Sender<Event>,
    event: fn(Vec<u8>) -> Event,
) -> Option<std::io::Error> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) if to.send(event(buffer[..count].to_vec())).is_err() => return None,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Some(error),
        }
    }
}

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The console was closed, and why, if there was an error.
    Closed(Option<String>),
    Deadline,
    Keys,
}

/// The result line decides; without one, why there is none. `gone` says it of a console that was
/// closed.
pub(super) fn judge(
    seen: &Transcript,
    ending: &Ending,
    options: &Options,
    gone: &str,
) -> (Verdict, String) {
    if let Some(line) = &seen.differs {
        return (Verdict::Differs, line.clone());
    }
    if let Some(line) = &seen.stopped {
        return (Verdict::Stopped, line.clone());
    }
    match (seen.result, ending) {
        (Some(true), _) => (Verdict::Pass, "result: pass".into()),
        (Some(false), _) => (Verdict::Fail, "result: fail".into()),
        (None, Ending::Deadline) => {
            let seconds = options.timeout.unwrap_or_default().as_secs();
            (Verdict::Timeout, format!("no result within {seconds} s"))
        }
        (None, Ending::Keys) => (Verdict::Quit, "ended from the keyboard".into()),
        (None, Ending::Closed(_)) => (Verdict::Silent, gone.to_owned()),
    }
}

/// A run while it goes on.
pub(super) struct Session<'a> {
    decoder: Decoder,
    pub transcript: Transcript,
    /// What is shown; None: nothing.
    screen: Option<Screen>,
    /// It is a pipe's, which gets whole lines.
    whole: Option<Whole>,
    /// The same for the script's eyes, without escape sequences.
    page: Screen,
    reader: Plain,
    keyboard: Option<Box<dyn Write>>,
    script: &'a [Step],
    /// The text behind which nothing more is expected, until it has come.
    hangs: Option<&'a str>,
    /// Text since the script's last step, lines joined by "\n".
    unmatched: String,
    deadline: Option<Instant>,
    escape: u8,
    /// The keyboard is a terminal in raw mode.
    interactive: bool,
    escaped: bool,
    /// How long the console is silent behind a result before the run is over. None: it is closed.
    settled: Option<Duration>,
    /// When there was a result.
    result_at: Option<Instant>,
}

impl<'a> Session<'a> {
    pub fn new(options: &'a Options, keyboard: Option<Box<dyn Write>>, interactive: bool) -> Self {
        let script = match &options.input {
            Input::Script(steps) => steps.as_slice(),
            _ => &[],
        };
        let screen = match options.echo {
            Echo::Nowhere => None,
            Echo::Terminal { colours } => Some(Screen::new(true, colours)),
            Echo::Pipe { colours } => Some(Screen::new(false, colours)),
        };
        Self {
            decoder: Decoder::default(),
            transcript: Transcript::default(),
            screen,
            whole: matches!(options.echo, Echo::Pipe { .. }).then(Whole::default),
            page: Screen::new(false, false),
            reader: Plain::default(),
            keyboard,
            script,
            hangs: options.hangs.as_deref(),
            unmatched: String::new(),
            deadline: options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            escape: options.escape,
            interactive,
            escaped: false,
            settled: None,
            result_at: None,
        }
    }

    /// The console may stay open behind a result: the run is over when it is silent for so long, as
    /// what EL2 says of a failure may have more lines.
    pub fn ends_with_result(mut self, silence: Duration) -> Self {
        self.settled = Some(silence);
        self
    }

    pub fn listen(&mut self, events: &Receiver<Event>) -> Ending {
        loop {
            let left = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let holds = self.whole.as_ref().is_some_and(Whole::holds);
            let pause = left.into_iter().chain(holds.then_some(SILENCE)).min();
            let event = match pause {
                Some(pause) => match events.recv_timeout(pause) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left <= pause) => {
                        return Ending::Deadline;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        self.let_go(Whole::rest);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return Ending::Closed(None),
                },
                None => match events.recv() {
                    Ok(event) => event,
                    Err(_) => return Ending::Closed(None),
                },
            };
            match event {
                Event::Console(bytes) => {
                    self.console(&bytes);
                    self.settle();
                }
                Event::Message(bytes) => self.message(&bytes),
                Event::Keys(bytes) => {
                    if self.keys(&bytes) {
                        return Ending::Keys;
                    }
                }
                Event::ConsoleClosed(why) => return Ending::Closed(why),
            }
        }
    }

    /// Behind a result, a line that stays is listened to until it is silent.
    fn settle(&mut self) {
        let Some(silence) = self.settled.filter(|_| self.has_result()) else { return };
        let now = Instant::now();
        let first = *self.result_at.get_or_insert(now);
        self.deadline = Some((now + silence).min(first + LAST_WORDS));
    }

    /// EL2 has said how it went, or why it did not begin.
    pub fn has_result(&self) -> bool {
        let seen = &self.transcript;
        seen.result.is_some() || seen.differs.is_some() || seen.stopped.is_some()
    }

    /// No result in time: asks EL2 what each vPE does, its last exits and the counters, by the
    /// escape key. `places`: what else is known, such as where QEMU's CPUs are; `said_by` begins
    /// these lines. An EL2 with a log instead of a console is `deaf`.
    pub fn ask_where(
        &mut self,
        events: &Receiver<Event>,
        places: Vec<String>,
        said_by: &str,
        deaf: bool,
    ) {
        let say = |session: &mut Self, lines: &mut dyn Iterator<Item = String>| {
            lines.for_each(|line| session.message(format!("{said_by}: {line}\n").as_bytes()));
        };
        if deaf {
            let why = "the hypervisor has no console to be asked on".to_owned();
            return say(self, &mut places.into_iter().chain([why]));
        }
        if self.escape != 0 {
            self.send(&[self.escape, b's', self.escape, b'c']);
        }
        let end = Instant::now() + ANSWER;
        self.deadline = Some(end);
        let asked = self.transcript.tables;
        loop {
            let told = self.transcript.tables != asked && !self.transcript.in_table();
            let left = end.saturating_duration_since(Instant::now());
            match events.recv_timeout(if told { left.min(REST) } else { left }) {
                Ok(Event::Console(bytes)) => self.console(&bytes),
                Ok(Event::Message(bytes)) => self.message(&bytes),
                Ok(Event::Keys(_)) => {}
                Ok(Event::ConsoleClosed(_)) | Err(_) => break,
            }
        }
        let silent = self.transcript.tables == asked;
        let el2 = silent.then(|| match self.transcript.heard_nothing() {
            true => "not one byte has come: is the base of the board's [[uart]] right?".to_owned(),
            false => "the hypervisor does not answer".to_owned(),
        });
        say(self, &mut places.into_iter().chain(el2));
    }

    fn console(&mut self, bytes: &[u8]) {
        let pieces = self.decoder.feed(bytes);
        self.take(&pieces);
        while let Some((step, rest)) = self.script.split_first() {
            let Some(end) = step.found_in(&self.unmatched) else {
                break;
            };
            self.unmatched.drain(..end);
            self.script = rest;
            self.send(&step.send);
        }
        if self.script.is_empty() && self.hangs.is_some_and(|text| self.unmatched.contains(text)) {
            self.hangs = None;
            self.deadline = Some(Instant::now() + HANGS);
        }
    }

    fn take(&mut self, pieces: &[Piece]) {
        let mut shown = Vec::new();
        for piece in pieces {
            if let Some(screen) = &mut self.screen {
                let pieces = match &mut self.whole {
                    Some(whole) => whole.pass(piece.clone()),
                    None => vec![piece.clone()],
                };
                pieces.iter().for_each(|piece| shown.extend(screen.show(piece)));
            }
            if !matches!(piece, Piece::Bytes { .. }) {
                self.reader = Plain::default();
            }
            let page = self.page.show(piece);
            self.unmatched.push_str(&String::from_utf8_lossy(&self.reader.filter(&page)));
            self.transcript.take(piece);
        }
        show(&shown);
    }

    /// Shows what was held back.
    fn let_go(&mut self, which: fn(&mut Whole) -> Vec<Piece>) {
        if let (Some(whole), Some(screen)) = (&mut self.whole, &mut self.screen) {
            let pieces = which(whole);
            show(&pieces.iter().flat_map(|piece| screen.show(piece)).collect::<Vec<u8>>());
        }
    }

    /// Nothing more comes from the board. A frame that was cut because we ended the run is no
    /// damage.
    pub fn finish(&mut self, ending: &Ending) {
        let mut pieces = self.decoder.finish();
        let closed = matches!(ending, Ending::Closed(_));
        pieces.retain(|piece| closed || !matches!(piece, Piece::Broken(_)));
        self.take(&pieces);
        self.let_go(Whole::finish);
        self.transcript.finish();
        if let Some(screen) = &mut self.screen {
            let mut shown = Vec::new();
            screen.begin(&mut shown);
            show(&shown);
        }
    }

    /// What others than the board say, such as QEMU of an option that it does not know.
    pub fn message(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if self.screen.is_some() {
            // A terminal in raw mode goes back to the margin only when told to.
            let end = if self.interactive { "\r\n" } else { "\n" };
            text.lines().for_each(|line| eprint!("{line}{end}"));
        }
        self.transcript.messages.extend(text.lines().map(str::to_owned));
    }

    /// True: the user wants to leave.
    fn keys(&mut self, bytes: &[u8]) -> bool {
        if self.escape != 0 {
            for &byte in bytes {
                if self.escaped && byte == b'q' {
                    return true;
                }
                self.escaped = byte == self.escape && !self.escaped;
            }
        }
        self.send(bytes);
        false
    }

    fn send(&mut self, bytes: &[u8]) {
        // A board that is gone is noticed where its console closes.
        if let Some(keyboard) = &mut self.keyboard {
            let _ = keyboard.write_all(bytes).and_then(|()| keyboard.flush());
        }
    }
}

fn show(bytes: &[u8]) {
    if !bytes.is_empty() {
        // A reader that went away (`| head`) is no reason to end the run.
        let _ = stdout().write_all(bytes).and_then(|()| stdout().flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(options: &Options) -> Session<'_> {
        Session::new(options, None, false)
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let options = Options::default();
        let mut session = session(&options);
        for piece in
            ["\x18\x01\x0f\x1b(B\x1b[mbulkhead: res", "ult: pass\x03\r", "\n009d9e\r\x1b[K\x18\x02"]
        {
            session.console(piece.as_bytes());
        }
        assert_eq!(session.transcript.result, Some(true));
        assert_eq!(session.transcript.lines, ["bulkhead: result: pass"]);
    }

    #[test]
    fn a_script_waits_for_each_of_its_texts_in_turn() {
        let step = |after: &str| Step { after: after.into(), send: b"x".to_vec() };
        let options = Options {
            input: Input::Script(vec![step("[a] one"), step("two"), step("two")]),
            ..Options::default()
        };
        let mut session = session(&options);
        session.console(b"\x18\x02[a] two on\r\n\x18\x02[a] \x1b[3");
        session.console(b"1mone tw");
        assert_eq!(session.script.len(), 2);
        session.console(b"o ");
        assert_eq!(session.script.len(), 1);
        session.console(b"two");
        assert!(session.script.is_empty());
    }

    #[test]
    fn a_deadline_may_be_too_far_to_be_one() {
        let options = Options { timeout: Some(Duration::MAX), ..Options::default() };
        assert!(session(&options).deadline.is_none());
    }

    #[test]
    fn escape_and_q_leave_and_escape_twice_does_not() {
        let options = Options { escape: 0x1d, ..Options::default() };
        assert!(session(&options).keys(b"\x1dq"));
        assert!(!session(&options).keys(b"\x1d\x1dq"));
        assert!(!session(&options).keys(b"q"));
        let mut two = session(&options);
        assert!(!two.keys(b"\x1d"));
        assert!(two.keys(b"q"));
    }

    #[test]
    fn the_verdict_names_what_it_rests_on() {
        let options = Options { timeout: Some(Duration::from_secs(5)), ..Options::default() };
        let (mut seen, closed) = (Transcript::default(), Ending::Closed(None));
        assert_eq!(judge(&seen, &Ending::Deadline, &options, "").1, "no result within 5 s");
        assert_eq!(judge(&seen, &closed, &options, "gone"), (Verdict::Silent, "gone".into()));
        assert_eq!(judge(&seen, &Ending::Keys, &options, "").0, Verdict::Quit);
        seen.take(&Piece::Own("bulkhead: result: fail".into()));
        assert_eq!(judge(&seen, &closed, &options, "").0, Verdict::Fail);
        seen.take(&Piece::Own("bulkhead: stopped: x".into()));
        assert_eq!(judge(&seen, &closed, &options, "").0, Verdict::Stopped);
    }
}
