// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Links the probe for its board: `BULKHEAD_PROBE` is the directory with board.rs and board.ld,
//! which `bulkhead probe` writes.

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed=BULKHEAD_PROBE");
    println!("cargo::rerun-if-changed=link.ld");
    let Ok(board) = std::env::var("BULKHEAD_PROBE") else {
        eprintln!("the probe is made for one board: `just probe BOARD` builds it");
        return ExitCode::FAILURE;
    };
    for file in ["board.rs", "board.ld"] {
        println!("cargo::rerun-if-changed={board}/{file}");
    }
    println!("cargo::rustc-link-arg=-L{board}");
    println!("cargo::rustc-link-arg=--fix-cortex-a53-843419");
    println!("cargo::rustc-link-arg=-T{}/link.ld", env!("CARGO_MANIFEST_DIR"));
    ExitCode::SUCCESS
}
