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

use std::io::{Write, stdin};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::follow::Follower;
use super::hang::Monitor;
use super::machine::log_file;
use super::session::{Ending, Event, Session, forward, judge};
use super::terminal::Raw;
use super::{Input, Machine, Options, Report, RunError, Transcript, log};

const QEMU: &str = "qemu-system-aarch64";
/// Ends QEMU with us, also when we are killed.
const SETPRIV: &str = "/usr/bin/setpriv";

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
    let keyboard = child.stdin.take().map(|keys| Box::new(keys) as Box<dyn Write>);
    if let Some(console) = child.stdout.take() {
        let send = send.clone();
        thread::spawn(move || {
            forward(console, &send, Event::Console);
            let _ = send.send(Event::ConsoleClosed(None));
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
    if let Some(silence) = options.settled {
        session = session.ends_with_result(silence);
    }
    let ending = session.listen(&receive);
    if ending == Ending::Deadline && !session.has_result() {
        session.ask_where(&receive, monitor.cpus().unwrap_or_default(), "qemu", has_log);
    }
    drop(raw);
    let status = match ending {
        // The pipe is closed, so QEMU is about to end or has ended.
        Ending::Closed(_) => child.wait(),
        Ending::Deadline | Ending::Keys => child.kill().and_then(|()| child.wait()),
    };
    let status = status.map_err(|error| RunError::Start { program: QEMU.into(), error })?;
    // What QEMU said last may still be on its way.
    thread::sleep(Duration::from_millis(if status.success() { 0 } else { 50 }));
    while let Ok(Event::Message(bytes)) = receive.try_recv() {
        session.message(&bytes);
    }
    session.finish(&ending);
    let transcript = session.transcript;
    let gone = format!("QEMU ended without a result ({status})");
    let judged = judge(&transcript, &ending, options, &gone);
    let log = log::read(&log_file(&scratch))?;
    let report = Report { log, icount: options.icount, ..Report::of(name, judged, &transcript) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_qemu_is_sent_to_setup() {
        assert!(!is_there("/nonexistent:".as_ref()));
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "it is not in PATH");
        let said = RunError::Start { program: QEMU.into(), error }.to_string();
        assert!(said.contains("./setup.sh"), "{said}");
    }
}
