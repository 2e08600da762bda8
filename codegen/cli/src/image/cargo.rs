// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running cargo, with its diagnostics passed on but for one.
//!
//! The compiler knows the feature against the A53 erratum, and warns in every crate that its name
//! is not stable. That warning is dropped here; the image's rules (`rules.rs`) show whether the
//! feature still works.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use super::BuildError;

/// The compiler puts no multiply-accumulate right behind an access (Cortex-A53 erratum 835769).
pub const FIX_835769: &str = "-Ctarget-feature=+fix-cortex-a53-835769";

const DROPPED: &str =
    "unknown and unstable feature specified for `-Ctarget-feature`: `fix-cortex-a53-835769`";

/// The message format that [`finish`] reads.
pub fn format() -> &'static str {
    match io::stderr().is_terminal() {
        true => "--message-format=json-diagnostic-rendered-ansi",
        false => "--message-format=json",
    }
}

/// Runs cargo to its end, which builds `what`.
pub fn finish(mut cargo: Command, what: &str) -> Result<(), BuildError> {
    cargo.stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(BuildError::Start)?;
    if let Some(messages) = child.stdout.take() {
        for line in BufReader::new(messages).lines() {
            if let Some(text) = diagnostic(&line.map_err(BuildError::Start)?) {
                // A closed stderr does not fail the build.
                let _ = io::stderr().write_all(text.as_bytes());
            }
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(BuildError::Cargo { what: what.to_owned() }),
        Err(error) => Err(BuildError::Start(error)),
    }
}

/// The compiler's message in a line of cargo's, as it is shown.
fn diagnostic(line: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let message = message.get("message")?;
    if message.get("message")?.as_str()? == DROPPED {
        return None;
    }
    Some(message.get("rendered")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_is_dropped() {
        let line = |text: &str| {
            let message = serde_json::json!({ "message": text, "rendered": format!("{text}!\n") });
            serde_json::json!({ "reason": "compiler-message", "message": message }).to_string()
        };
        assert_eq!(diagnostic(&line("unused variable")).as_deref(), Some("unused variable!\n"));
        assert_eq!(diagnostic(&line(DROPPED)), None);
        assert_eq!(diagnostic(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
