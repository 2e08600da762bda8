// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a CPU does between two stays in a guest: takes interrupts, and decides who runs next.
//!
//! May call: `arch`, `state`, `io`, `gic`, `cpu`, `life`.

pub mod cpu_loop;
pub mod interrupts;
