//! How a partition is linked: a static PIE at 0 that relocates itself.
//!
//! A payload's build script is `fn main() { rt_link::partition(); }`. Then a plain
//! `cargo build --release -p NAME --target aarch64-unknown-none` makes an ET_DYN file without an interpreter whose
//! only relocations are R_AARCH64_RELATIVE; `rt`'s first instructions apply them at whatever address the memory of
//! the VM starts. The target's relocation model need not change: its code reaches everything by ADRP, which does not
//! mind being moved, and what remains are the absolute pointers in data.
#![forbid(unsafe_code)]

use std::{env, fs, path::PathBuf};

const SCRIPT: &str = include_str!("partition.ld");

/// Prints what cargo must tell the linker. Does nothing for a target with an operating system.
pub fn partition() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        println!("cargo::error=OUT_DIR is not set: this runs in a build script only");
        return;
    };
    let script = out.join("partition.ld");
    if let Err(error) = fs::write(&script, SCRIPT) {
        println!("cargo::error=cannot write {}: {error}", script.display());
        return;
    }
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    for argument in ["-pie", "--no-dynamic-linker", "-znotext", "-znorelro", "-zmax-page-size=4096"]
    {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
