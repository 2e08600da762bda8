// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One QEMU process: started, listened to, ended by its own process id.
//!
//! 1. Scratch files are made anew.
//! 2. QEMU starts with pipes; where `setpriv` exists, QEMU gets SIGKILL if this process ends first,
//!    however it ends.
//! 3. A thread reads the console and a second one QEMU's own messages; a third one forwards the
//!    keyboard. All send to this one, which parses, echoes, plays the input script and keeps the
//!    deadline.
//! 4. The run is over when the console is closed (QEMU has ended), at the deadline, or by the
//!    escape key and `q`.

use std::io::{Read, Write, stdin, stdout};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::ansi::Plain;
use super::follow::Follower;
use super::hang::Monitor;
use super::machine::log_file;
use super::terminal::Raw;
use super::whole::Whole;
use super::{
    Decoder, Echo, Input, Machine, Options, Piece, Report, RunError, Screen, Step, Transcript,
    Verdict, log,
};

/// How long EL2 may take to say where everybody is.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the rows that not every table has may take.
const REST: Duration = Duration::from_millis(300);

/// How long a console is silent before a pipe gets a line that has no end.
const SILENCE: Duration = Duration::from_millis(100);

const QEMU: &str = "qemu-system-aarch64";
/// Ends QEMU with us, also when we are killed.
const SETPRIV: &str = "/usr/bin/setpriv";

enum Event {
    Console(Vec<u8>),
    Message(Vec<u8>),
    Keys(Vec<u8>),
    ConsoleClosed,
}

/// Boots `image` on `machine` and reports what came of it; `name` is the report's.
///
/// The console's lines are returned beside the report, for those who look for more than the report
/// holds.
pub fn run(
    name: &str,
    machine: &Machine,
    image: &Path,
    options: &Options,
) -> Result<(Report, Transcript), RunError> {
    let scratch = match &options.scratch {
        Some(directory) => directory.clone(),
        None => image.with_file_name("scratch"),
    };
    machine.prepare(&scratch)?;
    let monitor = Monitor::new();
    let mut arguments = machine.arguments(image, &scratch, options);
    arguments.extend(monitor.arguments());
    let follower = Follower::of(image);
    arguments.extend(follower.iter().flat_map(Follower::arguments));
    let mut child = start(&arguments)?;
    let (send, receive) = channel();
    let keyboard = child.stdin.take();
    if let Some(console) = child.stdout.take() {
        let send = send.clone();
        thread::spawn(move || {
            forward(console, &send, Event::Console);
            let _ = send.send(Event::ConsoleClosed);
        });
    }
    if let Some(messages) = child.stderr.take() {
        let send = send.clone();
        thread::spawn(move || forward(messages, &send, Event::Message));
    }
    let has_log = follower.is_some();
    if let Some(follower) = follower {
        let (send, monitor) = (send.clone(), monitor.path().to_owned());
        thread::spawn(move || {
            follower.follow(&monitor, |bytes| send.send(Event::Console(bytes)).is_ok());
        });
    }
    let raw = match options.input {
        Input::Stdin => {
            thread::spawn(move || forward(stdin(), &send, Event::Keys));
            Raw::enter()
        }
        _ => None,
    };
    let mut session = Session::new(options, keyboard, raw.is_some());
    let ending = session.listen(&receive);
    if ending == Ending::Deadline && !session.has_result() {
        session.ask_where(&receive, &monitor, has_log);
    }
    drop(raw);
    let status = match ending {
        // The pipe is closed, so QEMU is about to end or has ended.
        Ending::Closed => child.wait(),
        Ending::Deadline | Ending::Keys => child.kill().and_then(|()| child.wait()),
    };
    let status = status.map_err(|error| RunError::Start { program: QEMU.into(), error })?;
    // What QEMU said last may still be on its way.
    thread::sleep(Duration::from_millis(if status.success() { 0 } else { 50 }));
    while let Ok(Event::Message(bytes)) = receive.try_recv() {
        session.message(&bytes);
    }
    session.finish(ending);
    let transcript = session.transcript;
    let (verdict, reason) = judge(&transcript, ending, options, &status.to_string());
    let report = Report {
        name: name.to_owned(),
        verdict,
        reason,
        vms: transcript.vms.clone(),
        counters: transcript.counters.clone(),
        figures: transcript.figures.clone(),
        log: log::read(&log_file(&scratch))?,
        icount: options.icount,
        plan: transcript.plan.clone(),
        learned: transcript.learned.clone(),
    };
    Ok((report, transcript))
}

/// QEMU is in one of the directories of `path`.
fn is_there(path: &std::ffi::OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(QEMU).is_file())
}

fn start(arguments: &[String]) -> Result<Child, RunError> {
    // setpriv would start, and say in its own words that QEMU does not.
    if !std::env::var_os("PATH").is_some_and(|path| is_there(&path)) {
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "it is not in PATH");
        return Err(RunError::Start { program: QEMU.into(), error });
    }
    let mut command = if Path::new(SETPRIV).exists() {
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--", QEMU]);
        command
    } else {
        Command::new(QEMU)
    };
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| RunError::Start { program: QEMU.into(), error })
}

fn forward(mut from: impl Read, to: &Sender<Event>, event: fn(Vec<u8>) -> Event) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.send(event(buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Closed,
    Deadline,
    Keys,
}

/// The result line decides; without one, why there is none.
fn judge(seen: &Transcript, ending: Ending, options: &Options, status: &str) -> (Verdict, String) {
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
        (None, Ending::Closed) => {
            (Verdict::Silent, format!("QEMU ended without a result ({status})"))
        }
    }
}

/// A run while it goes on.
struct Session<'a> {
    decoder: Decoder,
    transcript: Transcript,
    /// What is shown; None: nothing.
    screen: Option<Screen>,
    /// It is a pipe's, which gets whole lines.
    whole: Option<Whole>,
    /// The same for the script's eyes, without escape sequences.
    page: Screen,
    reader: Plain,
    keyboard: Option<ChildStdin>,
    script: &'a [Step],
    /// Text since the script's last step, lines joined by "\n".
    unmatched: String,
    deadline: Option<Instant>,
    escape: u8,
    /// The keyboard is a terminal in raw mode.
    interactive: bool,
    escaped: bool,
}

impl<'a> Session<'a> {
    fn new(options: &'a Options, keyboard: Option<ChildStdin>, interactive: bool) -> Self {
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
            unmatched: String::new(),
            deadline: options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            escape: options.escape,
            interactive,
            escaped: false,
        }
    }

    fn listen(&mut self, events: &Receiver<Event>) -> Ending {
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
                    Err(RecvTimeoutError::Disconnected) => return Ending::Closed,
                },
                None => match events.recv() {
                    Ok(event) => event,
                    Err(_) => return Ending::Closed,
                },
            };
            match event {
                Event::Console(bytes) => self.console(&bytes),
                Event::Message(bytes) => self.message(&bytes),
                Event::Keys(bytes) => {
                    if self.keys(&bytes) {
                        return Ending::Keys;
                    }
                }
                Event::ConsoleClosed => return Ending::Closed,
            }
        }
    }

    /// EL2 has said how it went, or why it did not begin.
    fn has_result(&self) -> bool {
        let seen = &self.transcript;
        seen.result.is_some() || seen.differs.is_some() || seen.stopped.is_some()
    }

    /// No result in time: asks EL2 what each vPE does, its last exits and the counters, by the
    /// escape key, and QEMU where the CPUs are. An EL2 with a log instead of a console hears
    /// nothing.
    fn ask_where(&mut self, events: &Receiver<Event>, monitor: &Monitor, deaf: bool) {
        let places = monitor.cpus();
        if deaf {
            let why = "the hypervisor has no console to be asked on".to_owned();
            for line in places.unwrap_or_default().into_iter().chain([why]) {
                self.message(format!("qemu: {line}\n").as_bytes());
            }
            return;
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
                Ok(Event::ConsoleClosed) | Err(_) => break,
            }
        }
        let silent = self.transcript.tables == asked;
        let el2 = silent.then(|| match self.transcript.heard_nothing() {
            true => "not one byte has come: is the base of the board's [[uart]] right?".to_owned(),
            false => "the hypervisor does not answer".to_owned(),
        });
        for line in places.unwrap_or_default().into_iter().chain(el2) {
            self.message(format!("qemu: {line}\n").as_bytes());
        }
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

    /// Nothing more comes from the board. A frame that was cut because we ended QEMU is no damage.
    fn finish(&mut self, ending: Ending) {
        let mut pieces = self.decoder.finish();
        pieces.retain(|piece| ending == Ending::Closed || !matches!(piece, Piece::Broken(_)));
        self.take(&pieces);
        self.let_go(Whole::finish);
        self.transcript.finish();
        if let Some(screen) = &mut self.screen {
            let mut shown = Vec::new();
            screen.begin(&mut shown);
            show(&shown);
        }
    }

    /// QEMU's own messages, such as an option it does not know.
    fn message(&mut self, bytes: &[u8]) {
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
        // QEMU that is gone is noticed where its console closes.
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
    fn who_has_no_qemu_is_sent_to_setup() {
        assert!(!is_there("/nonexistent:".as_ref()));
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "it is not in PATH");
        let said = RunError::Start { program: QEMU.into(), error }.to_string();
        assert!(said.contains("./setup.sh"), "{said}");
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
        let mut seen = Transcript::default();
        assert_eq!(judge(&seen, Ending::Deadline, &options, "").1, "no result within 5 s");
        assert_eq!(judge(&seen, Ending::Closed, &options, "exit status: 1").0, Verdict::Silent);
        assert_eq!(judge(&seen, Ending::Keys, &options, "").0, Verdict::Quit);
        seen.take(&Piece::Own("bulkhead: result: fail".into()));
        assert_eq!(judge(&seen, Ending::Closed, &options, "").0, Verdict::Fail);
        seen.take(&Piece::Own("bulkhead: stopped: x".into()));
        assert_eq!(judge(&seen, Ending::Closed, &options, "").0, Verdict::Stopped);
    }
}
