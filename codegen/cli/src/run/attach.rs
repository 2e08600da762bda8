// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A run on a board: its console comes over a [`Line`], and is judged as QEMU's is.
//!
//! The line stays open when the board is off, so the run is over when a result has come and the
//! line is silent. It is over, too, when the line is closed, at the deadline, and by the escape key
//! and `q`.

use std::fs::File;
use std::io::{self, Read, Write, stdin};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::line::Ends;
use super::session::{Ending, Event, Session, forward, judge};
use super::terminal::Raw;
use super::{Input, Line, Options, Report, RunError, Transcript};

/// How long a line is silent behind a result before the run is over.
const SETTLED: Duration = Duration::from_secs(1);

/// An open line, and what is done with it.
pub struct Attached {
    pub line: Line,
    pub ends: Ends,
    /// Go on behind a result, such as over the board's next start.
    pub stay: bool,
    /// A file for every byte that comes, as it comes.
    pub log: Option<PathBuf>,
}

/// Listens to a board and reports what came of it; `name` is the report's. Of the options, those of
/// QEMU mean nothing.
pub fn attach(
    name: &str,
    attached: Attached,
    options: &Options,
) -> Result<(Report, Transcript), RunError> {
    let Attached { line, ends, stay, log } = attached;
    let created =
        |path: PathBuf| File::create(&path).map_err(|error| RunError::File { path, error });
    let log = log.map(created).transpose()?;
    let (send, receive) = channel();
    let (deaf, serial) = (ends.write.is_none(), ends.settings.is_some());
    let (read, console) = (Copied { from: ends.read, to: log }, send.clone());
    thread::spawn(move || {
        // A read that waits when the device goes ends with EIO, a later one with nothing.
        let gone =
            |error: &io::Error| serial && error.raw_os_error() == Some(Errno::IO.raw_os_error());
        let why = forward(read, &console, Event::Console).filter(|error| !gone(error));
        let _ = console.send(Event::ConsoleClosed(why.map(|error| error.to_string())));
    });
    // The standard input is not ours where it is the line.
    let terminal = match options.input {
        Input::Stdin if line != Line::Standard => {
            thread::spawn(move || forward(stdin(), &send, Event::Keys));
            Raw::enter()
        }
        _ => None,
    };
    let keyboard = ends.write.map(|write| write as Box<dyn Write>);
    let mut session = Session::new(options, keyboard, terminal.is_some());
    if !stay {
        session = session.ends_with_result(SETTLED);
    }
    let ending = session.listen(&receive);
    if ending == Ending::Deadline && !session.has_result() {
        session.ask_where(&receive, Vec::new(), "console", deaf);
    }
    drop(terminal);
    drop(ends.settings);
    session.finish(&ending);
    let transcript = session.transcript;
    let gone = match &ending {
        Ending::Closed(Some(why)) => format!("{line} failed without a result: {why}"),
        _ if serial => format!("{line} was closed or unplugged without a result"),
        _ => format!("{line} was closed without a result"),
    };
    let judged = judge(&transcript, &ending, options, &gone);
    Ok((Report::of(name, judged, &transcript), transcript))
}

/// A reader whose bytes go to a file, too.
struct Copied {
    from: Box<dyn Read + Send>,
    to: Option<File>,
}

impl Read for Copied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Some(file) = &mut self.to {
            file.write_all(&buffer[..count])?;
        }
        Ok(count)
    }
}
