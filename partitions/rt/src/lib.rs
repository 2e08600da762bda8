// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Start-up and a small safe runtime for bare-metal partitions in Rust.
//!
//! A partition is a position-independent program for `aarch64-unknown-none` that runs at EL1, alone
//! on its VM's vPEs. `rt` takes it from the first instruction to `main` and gives it a console,
//! interrupts, the virtual timer, other vPEs, channels, PCI functions and DMA memory by safe
//! functions, so that a payload can forbid unsafe code:
//!
//! ```text
//! #![no_std]
//! #![no_main]
//! #![forbid(unsafe_code)]
//!
//! use rt::{Machine, Outcome, println};
//!
//! rt::entry!(main);
//!
//! fn main(machine: &'static Machine) -> Outcome {
//!     println!("hello from {}", machine.name());
//!     Outcome::Passed
//! }
//! ```
//!
//! with `build = "../../build.rs"`, the script of all partitions, in its Cargo.toml.
//! docs/guest-abi.md is what `rt` relies on; it also runs on a bare QEMU virt board at EL1
//! (`-kernel` with the flattened image), where hypercalls answer "not supported".
//!
//! Not supported: EL0, nested interrupts, more than `start::VPES` vPEs.
#![cfg_attr(not(test), no_std)]

#[cfg(any(test, target_os = "none"))]
mod entry;
pub mod message;
pub mod number;
pub mod random;
pub mod ring;

#[cfg(target_os = "none")]
pub mod channel;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod cpu;
#[cfg(target_os = "none")]
pub mod debug;
#[cfg(target_os = "none")]
pub mod dma;
#[cfg(target_os = "none")]
pub mod gic;
#[cfg(target_os = "none")]
pub mod host;
#[cfg(target_os = "none")]
pub mod hypercall;
#[cfg(target_os = "none")]
pub mod interface;
#[cfg(target_os = "none")]
pub mod interrupts;
#[cfg(target_os = "none")]
pub mod its;
#[cfg(target_os = "none")]
pub mod machine;
#[cfg(target_os = "none")]
pub mod mmio;
#[cfg(target_os = "none")]
mod mmu;
#[cfg(target_os = "none")]
mod outcome;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
pub mod pci;
#[cfg(target_os = "none")]
pub mod physical;
#[cfg(target_os = "none")]
pub mod pmu;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(target_os = "none")]
pub mod psci;
#[cfg(target_os = "none")]
pub mod smccc;
#[cfg(target_os = "none")]
pub mod smp;
#[cfg(target_os = "none")]
pub mod start;
#[cfg(target_os = "none")]
pub mod timer;
#[cfg(target_os = "none")]
mod vectors;
#[cfg(target_os = "none")]
pub mod watchdog;

#[cfg(target_os = "none")]
pub use machine::Machine;
#[cfg(target_os = "none")]
pub use outcome::Outcome;

/// Names the payload's `fn(&'static Machine) -> Outcome`. When it returns, `rt` reports the outcome
/// and switches the VM off.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "Rust" fn __partition_main(
                machine: &'static $crate::Machine,
            ) -> $crate::Outcome {
                $main(machine)
            }
        };
    };
}
