// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one run wants on top of what the board says.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::time::Duration;

/// What one run wants.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Count instructions: one instruction is one nanosecond of the guest's clock, and every run is
    /// the same.
    pub icount: bool,
    /// End QEMU after this long; the report says so. None: never.
    pub timeout: Option<Duration>,
    /// The board stays on behind a result: QEMU is ended when its console is silent for so long.
    pub settled: Option<Duration>,
    /// Behind this text, when all of `input` was sent, nothing more is expected: the run ends a
    /// second later as if its time were over.
    pub hangs: Option<String>,
    /// Wait for a debugger on port 1234.
    pub gdb: bool,
    /// More items for QEMU's `-d`, such as `trace:gicv3_its_*`.
    pub trace: Option<String>,
    /// More arguments, after all others; `{scratch}` is replaced in them.
    pub qemu_args: Vec<String>,
    /// What the board's console receives.
    pub input: Input,
    /// Where the console goes besides the report.
    pub echo: Echo,
    /// Key that begins a command to the hypervisor; followed by `q` on a terminal it ends the run.
    /// 0: none.
    pub escape: u8,
    /// Directory for the disks and the log of this run; None: `scratch` beside the image.
    pub scratch: Option<PathBuf>,
}

/// What the board's console receives.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Nothing,
    /// The standard input; a terminal is put into raw mode until the run ends.
    Stdin,
    /// Each step in turn: wait until its text has appeared, then send.
    Script(Vec<Step>),
}

/// Wait for a text on the console, after whatever the step before waited for; then send bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Several texts, one a line: all of them, in any order.
    pub after: String,
    pub send: Vec<u8>,
}

impl Step {
    /// Where what it waits for ends in `console`; None: it is not all there yet.
    pub(super) fn found_in(&self, console: &str) -> Option<usize> {
        let end_of = |text: &str| console.find(text).map(|at| at + text.len());
        self.after.split('\n').map(end_of).try_fold(0, |last, end| end.map(|end| last.max(end)))
    }
}

/// Where the console goes besides the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    #[default]
    Nowhere,
    /// Standard output, a terminal in raw mode or not; the names of VMs are coloured or not.
    Terminal { colours: bool },
    /// Standard output, a file or a pipe.
    Pipe { colours: bool },
}

impl Echo {
    /// Coloured as [`colours`] has it.
    pub fn standard_output() -> Self {
        let terminal = stdout().is_terminal();
        let colours = colours(terminal);
        if terminal { Self::Terminal { colours } } else { Self::Pipe { colours } }
    }
}

/// Whether to colour what goes to a terminal, or not to one: <https://no-color.org>,
/// <https://bixense.com/clicolors>.
pub fn colours(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE") != Some("0".into());
    !set("NO_COLOR") && (terminal || forced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_waits_for_all_of_its_texts_in_any_order() {
        let step = |after: &str| Step { after: after.into(), send: Vec::new() };
        assert_eq!(step("b").found_in("abc"), Some(2));
        assert_eq!(step("b\na").found_in("abc"), Some(2));
        assert_eq!(step("a\nc").found_in("abc"), Some(3));
        assert_eq!(step("a\nd").found_in("abc"), None);
    }
}
