// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An image by XMODEM to U-Boot's prompt, and its start.
//!
//! 1. Keys are sent until the prompt comes: that also stops U-Boot's countdown.
//! 2. `loadx` to `kernel_addr_r`; blocks of 1 KiB, by the crate `xmodem`.
//! 3. `booti`, and the console is judged as `bulkhead console` does.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::FlashError;
use crate::run::{Attached, Echo, Ends, Input, Line, Options, Report, attach};

/// How long the prompt may take: somebody may have to reset the board.
const PROMPT: Duration = Duration::from_secs(120);
/// Between two keys.
const KEYS: Duration = Duration::from_millis(300);
/// And on a line on which nothing has come yet.
const SILENT: Duration = Duration::from_secs(5);
/// How long U-Boot may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long one byte may take during the transfer.
const BYTE: Duration = Duration::from_secs(5);

/// What is sent where.
pub struct Serial {
    pub system: String,
    pub line: Line,
    pub baud: u32,
    pub prompt: String,
    /// The image.
    pub bytes: Vec<u8>,
    pub escape: u8,
    pub time_limit: Option<Duration>,
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, baud, system, .. } = self;
        write!(
            f,
            "on {line} at {baud} baud: wait for U-Boot's prompt, loadx ${{kernel_addr_r}} and \
             the image of {system} by XMODEM, booti"
        )
    }
}

/// Sends and starts it; the report is the console's.
pub fn send(serial: Serial) -> Result<Report, FlashError> {
    let Serial { system, line, baud, prompt, bytes, escape, time_limit } = serial;
    let ends = line.open(baud)?;
    let Some(write) = ends.write else {
        return Err(FlashError::Other(format!("nothing can be sent on {line}")));
    };
    let mut port = Port::new(ends.read, write);
    let failed = |error: io::Error| FlashError::Other(format!("{line}: {error}"));
    eprintln!("bulkhead: waiting for U-Boot's prompt on {line}; reset the board if it runs");
    port.prompt(prompt.trim_end(), PROMPT).map_err(failed)?;
    port.write_all(b"loadx ${kernel_addr_r}\r").map_err(failed)?;
    port.expect("bps...", ANSWER).map_err(failed)?;
    eprintln!("bulkhead: {} KiB by XMODEM", bytes.len().div_ceil(1024));
    port.from.patience = Some(BYTE);
    let mut transfer = xmodem::Xmodem::new();
    transfer.block_length = xmodem::BlockLength::OneK;
    transfer
        .send(&mut port, &mut bytes.as_slice())
        .map_err(|error| FlashError::Other(format!("{line}: XMODEM failed: {error:?}")))?;
    port.expect(prompt.trim_end(), ANSWER).map_err(failed)?;
    port.write_all(b"booti ${kernel_addr_r} - ${fdtcontroladdr}\r").map_err(failed)?;
    let options = Options {
        timeout: time_limit,
        input: Input::Stdin,
        echo: Echo::standard_output(),
        escape,
        ..Options::default()
    };
    port.from.patience = None;
    let ends = Ends { read: Box::new(port.from), write: Some(port.to), settings: ends.settings };
    let attached = Attached { line, ends, stay: false, log: None };
    Ok(attach(&system, attached, &options)?.0)
}

/// A line whose reads can give up.
struct Port {
    from: Incoming,
    to: Box<dyn Write + Send>,
    /// Something has come.
    heard: bool,
}

impl Port {
    fn new(mut read: Box<dyn Read + Send>, to: Box<dyn Write + Send>) -> Self {
        let (send, from) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = read.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { from: Incoming { from, left: VecDeque::new(), patience: None }, to, heard: false }
    }

    /// Sends keys until the prompt comes, and takes what follows the last of them. A line on which
    /// nothing has come yet gets a key only now and then: a UART that firmware has not set up may
    /// choke on it.
    fn prompt(&mut self, prompt: &str, most: Duration) -> io::Result<()> {
        let end = Instant::now() + most;
        let mut key = Instant::now() + SILENT;
        while Instant::now() < end {
            match self.expect(prompt, KEYS) {
                Ok(()) => {
                    // Prompts of other keys that were on their way.
                    while self.expect(prompt, KEYS).is_ok() {}
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => return Err(error),
            }
            if self.heard || Instant::now() > key {
                self.write_all(b"\r")?;
                key = Instant::now() + SILENT;
            }
        }
        let why = format!("no prompt \"{prompt}\" within {} s", most.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }

    /// Reads up to the end of `text`.
    fn expect(&mut self, text: &str, most: Duration) -> io::Result<()> {
        let end = Instant::now() + most;
        let mut seen = Vec::new();
        while !seen.ends_with(text.as_bytes()) {
            self.from.patience = Some(end.saturating_duration_since(Instant::now()));
            let mut byte = [0];
            match self.read(&mut byte) {
                Ok(0) => return Err(io::Error::other("the line was closed")),
                Ok(_) => {
                    seen.extend(byte);
                    self.heard = true;
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let shown: String = String::from_utf8_lossy(&seen)
                        .chars()
                        .filter(|l| !l.is_control())
                        .collect();
                    let why = format!("no \"{text}\" in: {shown}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The reading end.
struct Incoming {
    from: Receiver<Vec<u8>>,
    left: VecDeque<u8>,
    /// None: for ever.
    patience: Option<Duration>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            let more = match self.patience {
                Some(patience) => self.from.recv_timeout(patience),
                None => self.from.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match more {
                Ok(bytes) => self.left.extend(bytes),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        self.left.read(buffer)
    }
}
