// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What EL2 prints and reads, and what its own devices report.
//!
//! May call: `arch`, `state`, `devices`.

pub mod console;
pub mod dma;
pub mod faults;
pub mod halt;
pub mod pages;
mod printer;
pub mod report;
