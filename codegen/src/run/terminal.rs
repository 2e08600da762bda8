//! The user's terminal in raw mode, put back when the run ends.

use std::io::{IsTerminal, stdin};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// While it lives, keys go to the guest as they are typed: no echo, no line editing, no signals. What is shown goes as it
/// comes, too: lines must end with CR LF.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// None when the standard input is no terminal.
    pub fn enter() -> Option<Self> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}
