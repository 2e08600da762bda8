// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's monitor: where the CPUs of a machine are that gives no result, whether EL2 answers or
//! not.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};

/// How long QEMU may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// QEMU's monitor, as a socket in the directory for temporary files: a socket's path is short.
#[derive(Debug)]
pub struct Monitor {
    path: PathBuf,
}

impl Monitor {
    /// A socket of this run's own.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bulkhead-{}-{}.qmp", std::process::id(), NEXT.fetch_add(1, Relaxed));
        Self { path: std::env::temp_dir().join(name) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// QEMU's arguments for it.
    pub fn arguments(&self) -> [String; 2] {
        ["-qmp".into(), format!("unix:{},server=on,wait=off", self.path.display())]
    }

    /// One line for each CPU. None: QEMU does not answer.
    pub fn cpus(&self) -> Option<Vec<String>> {
        Some(places(&registers(&self.path)?))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // QEMU takes it away when it ends by itself.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What `info registers -a` says.
fn registers(path: &Path) -> Option<String> {
    let command = json!({
        "execute": "human-monitor-command",
        "arguments": { "command-line": "info registers -a" },
    });
    let answers = exchange(path, &[command])?;
    Some(answers.first()?.as_str()?.to_owned())
}

/// What the monitor at `path` answers to each of `commands`. None: it is not there, or refuses one.
pub(super) fn exchange(path: &Path, commands: &[Value]) -> Option<Vec<Value>> {
    let stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut send = stream.try_clone().ok()?;
    let mut answers = BufReader::new(stream).lines();
    answers.next()?.ok()?;
    let mut out = Vec::new();
    for command in std::iter::once(&json!({ "execute": "qmp_capabilities" })).chain(commands) {
        writeln!(send, "{command}").ok()?;
        // Events may come between.
        let answer = answers
            .by_ref()
            .take(50)
            .map_while(Result::ok)
            .find(|line| line.contains("\"return\"") || line.contains("\"error\""))?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        out.push(answer.get("return")?.clone());
    }
    out.remove(0);
    Some(out)
}

/// `CPU#0`, then ` PC=... X00=...` and `PSTATE=... EL1h`.
fn places(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut cpu = "?";
    let mut pc = String::new();
    for line in text.lines() {
        if let Some(number) = line.trim().strip_prefix("CPU#") {
            cpu = number.trim();
        } else if let Some(value) = line.trim().strip_prefix("PC=") {
            let digits = value.split_whitespace().next().unwrap_or("").trim_start_matches('0');
            pc = format!("0x{}", if digits.is_empty() { "0" } else { digits });
        } else if line.trim().starts_with("PSTATE=") {
            let mut words = line.split_whitespace();
            let level = words.find(|word| word.starts_with("EL")).unwrap_or("EL?");
            out.push(format!("CPU {cpu} is at {pc}, {level}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_cpu() {
        let text = "\r\nCPU#0\r\n PC=0000000040204abc X00=0000000000000000 X01=0\r\nX02=0\r\n\
                    PSTATE=600003c5 -ZC- NS EL1h\r\n\r\nCPU#1\r\n PC=0000000000000000 X00=0\r\n\
                    PSTATE=000003c9 ---- NS EL2h\r\n";
        assert_eq!(places(text), ["CPU 0 is at 0x40204abc, EL1h", "CPU 1 is at 0x0, EL2h"]);
    }
}
