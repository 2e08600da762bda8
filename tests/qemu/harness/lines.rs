// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A system in QEMU whose console is read by `bulkhead console`, as a board's is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead::run::Options;

use crate::images::{Image, Images};

/// A test's name, and the test.
type Test = (&'static str, fn(&Images) -> Result<(), String>);

pub const ALL: &[Test] =
    &[("console::over_a_serial_line", serial), ("console::over_telnet", telnet)];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// QEMU looks once a second whether somebody has opened its pseudo-terminal, and drops what it
/// sends before; nothing tells when it has seen it.
const NOTICED: Duration = Duration::from_secs(2);

/// Keys go to one listener, then to the other; both say what they heard, and end.
fn serial(images: &Images) -> Result<(), String> {
    let image = images.get("console")?;
    let monitor = image.binary.with_file_name("line-serial.qmp");
    let _ = std::fs::remove_file(&monitor);
    let wait = format!("unix:{},server=on,wait=off", monitor.display());
    let board = Board::start(&image, "pty", &["-S", "-qmp", &wait])?;
    // "char device redirected to /dev/pts/3 (label serial0)"
    let device = board.line.split(' ').find(|word| word.starts_with("/dev/"));
    let device = device.ok_or_else(|| format!("QEMU said: {}", board.line))?;
    let mut console = Console::on(device)?;
    thread::sleep(NOTICED);
    go(&monitor)?;
    console.after("[left] left listens")?;
    console.after("[right] right listens")?;
    console.send(b"one\r")?;
    console.after("[right] heard one")?;
    console.send(b"quit\r\x1d0quit\r")?;
    console.after("bulkhead: result: pass")?;
    console.status(0)
}

fn telnet(images: &Images) -> Result<(), String> {
    let image = images.get("hello")?;
    let (_board, place) = waiting(&image, "telnet", &[])?;
    let mut console = Console::on(&place)?;
    console.after("bulkhead: result: pass")?;
    console.status(0)
}

/// QEMU that begins when somebody connects to a port, and the port.
pub fn waiting(image: &Image, kind: &str, more: &[&str]) -> Result<(Board, String), String> {
    // QEMU does not tell which port it took.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let place = free.map_err(|error| error.to_string())?.to_string();
    let board = Board::start(image, &format!("{kind}:{place},server=on,wait=on"), more)?;
    match board.line.contains("waiting for connection") {
        true => Ok((board, place)),
        false => Err(format!("QEMU said: {}", board.line)),
    }
}

/// QEMU, ended with this.
pub struct Board {
    child: Child,
    /// What it said first.
    pub line: String,
}

impl Board {
    /// With the console on `serial` instead of the standard output. QEMU stays when the board is
    /// off, as a serial adapter does.
    pub fn start(image: &Image, serial: &str, more: &[&str]) -> Result<Self, String> {
        let scratch = image.binary.with_file_name("scratch-line");
        image.machine.prepare(&scratch).map_err(|error| error.to_string())?;
        let mut arguments = image.machine.arguments(&image.binary, &scratch, &Options::default());
        let place = arguments.iter_mut().skip_while(|argument| *argument != "-serial").nth(1);
        *place.ok_or("the board has no -serial")? = serial.into();
        // Firmware that finds the image itself.
        if more.contains(&"-bios") {
            let kernel = arguments.iter().position(|argument| argument == "-kernel");
            kernel.map(|at| arguments.drain(at..at + 2));
        }
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(arguments).arg("-no-shutdown").args(more).stdin(Stdio::null());
        let child = qemu.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("qemu-system-aarch64: {error}"))?;
        let mut board = Self { child, line: String::new() };
        let (out, err) = (board.child.stdout.take(), board.child.stderr.take());
        let said = lines([
            out.map(|out| Box::new(out) as Box<dyn Read + Send>),
            err.map(|err| Box::new(err) as Box<dyn Read + Send>),
        ]);
        board.line = said.recv_timeout(PATIENCE).map_err(|_| "QEMU is silent")?;
        Ok(board)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `bulkhead console`, listening.
pub struct Console {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<String>,
    /// All that was shown.
    seen: Vec<String>,
}

impl Console {
    pub fn on(line: &str) -> Result<Self, String> {
        let mut command = tests::bulkhead();
        command.args(["console", line]);
        Self::of(command, "listening to")
    }

    /// Of a command that says `first` when the line is open.
    pub fn of(mut command: Command, wanted: &str) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let keys = child.stdin.take().ok_or("no input")?;
        let mut said = BufReader::new(child.stderr.take().ok_or("no messages")?);
        let mut first = String::new();
        while !first.contains(wanted) {
            if said.read_line(&mut first).map_err(|error| error.to_string())? == 0 {
                return Err(first);
            }
        }
        let out = child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>);
        let said: Box<dyn Read + Send> = Box::new(said);
        Ok(Self { child, keys, shown: lines([out, Some(said)]), seen: Vec::new() })
    }

    /// Waits for a line that begins so, among those that came and those that come.
    pub fn after(&mut self, text: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !self.seen.iter().any(|line| line.starts_with(text)) {
            let left = end.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => return Err(format!("no \"{text}\" in:\n{}", self.seen.join("\n"))),
            }
        }
        Ok(())
    }

    pub fn send(&mut self, keys: &[u8]) -> Result<(), String> {
        self.keys.write_all(keys).map_err(|error| error.to_string())
    }

    pub fn status(mut self, wanted: i32) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        self.seen.extend(self.shown.iter());
        match status.code() == Some(wanted) {
            true => Ok(()),
            false => Err(format!("{status}, not {wanted}, after:\n{}", self.seen.join("\n"))),
        }
    }
}

/// The lines of several streams, as they come.
fn lines(from: [Option<Box<dyn Read + Send>>; 2]) -> Receiver<String> {
    let (send, receive) = channel();
    for stream in from.into_iter().flatten() {
        let send = send.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let _ = send.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        });
    }
    receive
}

/// Tells QEMU that waits (`-S`) to begin.
fn go(monitor: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", monitor.display());
    let mut stream = UnixStream::connect(monitor).map_err(failed)?;
    let commands = b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"cont\"}";
    stream.write_all(commands).map_err(failed)?;
    let mut answers = BufReader::new(stream).lines();
    match answers.any(|line| line.is_ok_and(|line| line.contains("RESUME"))) {
        true => Ok(()),
        false => Err("QEMU does not begin".into()),
    }
}
