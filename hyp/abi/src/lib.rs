// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What EL2 and its guests agree on: numbers, names and layouts, and nothing else.
//!
//! EL2 (`vm`, the image), the build (`codegen`, which writes the guests' device trees) and the
//! runtime of bare-metal partitions (`rt`) take every such value from here. docs/guest-abi.md and
//! docs/console.md describe them for everybody else; the test `guest_abi` compares their tables
//! with this crate.
//!
//! | module | what |
//! |---|---|
//! | [`hypercall`] | Bulkhead's own functions and their results |
//! | [`psci`], [`smccc`] | the standard functions that EL2 serves |
//! | [`counter`] | what EL2 counts for each vPE |
//! | [`tree`] | names in the device tree that have no binding of their own |
//! | [`channel`] | message rings in the memory of a channel |
//! | [`watchdog`] | registers of the watchdog |
//! | [`console`] | bytes by which the console says whose line it is |
//! | [`log`] | the log's layout |
//!
//! Not here: what the architecture or a device's own manual defines (the GIC, PL011, CFI flash).
#![no_std]
#![forbid(unsafe_code)]

pub mod channel;
pub mod console;
pub mod counter;
pub mod hypercall;
pub mod log;
pub mod psci;
pub mod smccc;
pub mod tree;
pub mod watchdog;

pub use counter::Counter;
