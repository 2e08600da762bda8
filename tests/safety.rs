// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether docs/safety.md holds against safe code that tries to break it.
//!
//! attempts/ has programs that use `arch` and `gicv4` as the image may, without unsafe code. Each
//! is compiled for EL2 and must get exactly the errors that its lines name (`//~ E0451`), so that
//! it fails for the reason that it is there for. `allowed.rs` names none: it must compile.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::root;

const TARGET: &str = "aarch64-unknown-none-softfloat";

/// Where cargo leaves what it makes for [`TARGET`] here.
fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    root().join(target).join("attempts")
}

/// Metadata of `arch`, `gicv4` and the plan's types, and the directory of all that they need.
fn built() -> (PathBuf, Vec<OsString>) {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--package", "arch", "--target", TARGET, "--target-dir"])
        .arg(target())
        .args(["--message-format", "json-render-diagnostics"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut externs = Vec::new();
    let mut directory = PathBuf::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("a message");
        let name = message["target"]["name"].as_str().unwrap_or_default();
        if !["arch", "gicv4", "plan"].contains(&name) {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        let metadata = files.filter_map(|file| file.as_str()).find(|file| file.ends_with(".rmeta"));
        let Some(metadata) = metadata else { continue };
        directory = Path::new(metadata).parent().expect("a directory").to_owned();
        externs.push("--extern".into());
        externs.push(format!("{name}={metadata}").into());
    }
    assert_eq!(externs.len(), 6, "arch, gicv4 and plan");
    (directory, externs)
}

type Errors = BTreeMap<usize, Vec<String>>;

/// What the lines of a program name.
fn named(text: &str) -> Errors {
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(number, line)| {
            let (_, codes) = line.split_once("//~ ")?;
            Some((number, codes.split_whitespace().map(str::to_owned).collect()))
        })
        .collect()
}

/// What the compiler says of a program; line 0: somewhere else.
fn found(path: &Path, (directory, externs): &(PathBuf, Vec<OsString>)) -> Errors {
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let output = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json"])
        .args(["--target", TARGET, "--out-dir"])
        .arg(target())
        .arg("-L")
        .arg(format!("dependency={}", directory.display()))
        .args(externs)
        .arg(path)
        .current_dir(root())
        .output()
        .expect("rustc starts");
    let mut errors = Errors::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("a message");
        if message["level"] != "error" || message["spans"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let spans = message["spans"].as_array().into_iter().flatten();
        let here = |span: &&serde_json::Value| {
            span["is_primary"] == true && span["file_name"].as_str() == path.to_str()
        };
        let line = spans.filter(here).find_map(|span| span["line_start"].as_u64());
        let code = message["code"]["code"].as_str().unwrap_or("error").to_owned();
        errors.entry(line.unwrap_or(0) as usize).or_default().push(code);
    }
    errors
}

#[test]
fn safe_code_cannot() {
    let built = built();
    let mut wrong = Vec::new();
    let mut count = 0;
    let directory = root().join("tests/attempts");
    for entry in fs::read_dir(directory).expect("attempts").map(|entry| entry.expect("a file")) {
        let path = entry.path();
        let named = named(&fs::read_to_string(&path).expect("a program"));
        let found = found(&path, &built);
        if named != found {
            wrong.push(format!("{}: {found:?}, not {named:?}", path.display()));
        }
        count += usize::from(!named.is_empty());
    }
    assert!(wrong.is_empty(), "by line:\n{}", wrong.join("\n"));
    assert!(count >= 10, "{count} attempts");
}
