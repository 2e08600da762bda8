// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Generates the system's tables for the EL2 image; see `codegen::build`.
//!
//! `BULKHEAD_SYSTEM` is the system's TOML, `BULKHEAD_PAYLOADS` the directory of the built
//! partitions. `bulkhead image` sets both.

use std::path::PathBuf;
use std::process::ExitCode;

fn variable(name: &str) -> Option<PathBuf> {
    println!("cargo::rerun-if-env-changed={name}");
    std::env::var_os(name).map(PathBuf::from)
}

fn main() -> ExitCode {
    let (system, payloads) = (variable("BULKHEAD_SYSTEM"), variable("BULKHEAD_PAYLOADS"));
    let (Some(system), Some(payloads)) = (system, payloads) else {
        eprintln!("the EL2 image is made for one system: `just image SYSTEM` builds it");
        return ExitCode::FAILURE;
    };
    let (Some(out), Some(root)) =
        (std::env::var_os("OUT_DIR"), std::env::var_os("CARGO_MANIFEST_DIR"))
    else {
        eprintln!("not run by cargo");
        return ExitCode::FAILURE;
    };
    let (out, root) = (PathBuf::from(out), PathBuf::from(root));
    let emitted = match codegen::build::emit(&system, &payloads, &out) {
        Ok(emitted) => emitted,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    for input in emitted.inputs {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rerun-if-changed=hyp/link.ld");
    println!("cargo::rustc-link-arg=-L{}", out.display());
    // Whatever layout a system gives the code: `image::rules` looks for what is left.
    println!("cargo::rustc-link-arg=--fix-cortex-a53-843419");
    println!("cargo::rustc-link-arg=-T{}", root.join("hyp/link.ld").display());
    ExitCode::SUCCESS
}
