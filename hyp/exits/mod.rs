// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exceptions that a guest causes or that interrupt it: from the vectors (arch/vectors.rs), and
//! back.
//!
//! May call: `arch`, `state`, `io`, `gic`, `cpu`, `life`, `run`.

mod interface;
pub mod interrupt;
pub mod synchronous;
