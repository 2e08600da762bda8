// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a partition is linked: a static PIE at 0 that relocates itself.
//!
//! The build script of every partition in Rust. A plain `cargo build --release -p NAME --target
//! aarch64-unknown-none` then makes an ET_DYN file without an interpreter whose only relocations
//! are R_AARCH64_RELATIVE; the first instructions of `rt` apply them at the address where the
//! memory of the VM starts. The target's relocation model stays: its code reaches everything by
//! ADRP, wherever it is, and only absolute pointers in data remain.
#![forbid(unsafe_code)]

use std::env;
use std::path::Path;

fn main() {
    // The package's directory is partitions/GROUP/NAME.
    let script = Path::new("../../rt/partition.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    match script.canonicalize() {
        Ok(script) => println!("cargo::rustc-link-arg-bins=-T{}", script.display()),
        Err(error) => println!("cargo::error=cannot find {}: {error}", script.display()),
    }
    for argument in ["-pie", "--no-dynamic-linker", "-znotext", "-znorelro", "-zmax-page-size=4096"]
    {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
