// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The user's terminal in raw mode, put back when the run ends.

use std::io::{IsTerminal, Write, stdin};
use std::process::{Child, Command, Stdio};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// While it lives, keys go to the guest as they are typed: no echo, no line editing, no signals.
/// What is shown goes as it comes, too: lines must end with CR LF.
///
/// A second process puts the terminal back if this one ends without doing so: by SIGTERM, SIGHUP or
/// SIGKILL.
pub struct Raw {
    before: Termios,
    guard: Option<Child>,
}

/// Ends when a line comes; puts the terminal back when its input is closed without one. Ours to
/// end, not the terminal's.
const GUARD: &str = "trap '' HUP INT QUIT TERM TTOU; state=$1; read -r line && exit; stty \"$state\" </dev/tty; \
                     printf '\\030\\017\\033(B\\033[m\\033[?25h\\033[?7h\\r\\n' >/dev/tty";

impl Raw {
    /// None when the standard input is no terminal.
    pub fn enter() -> Option<Self> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        // Without it the terminal is put back only by ourselves.
        let guard = guard();
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before, guard })
    }
}

fn guard() -> Option<Child> {
    let state = Command::new("stty").arg("-g").stdin(Stdio::inherit()).output().ok()?;
    let state = String::from_utf8(state.stdout).ok()?;
    Command::new("sh")
        .args(["-c", GUARD, "bulkhead", state.trim()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
        if let Some(mut guard) = self.guard.take() {
            if let Some(mut line) = guard.stdin.take() {
                let _ = line.write_all(b"\n");
            }
            let _ = guard.wait();
        }
    }
}
