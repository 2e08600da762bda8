// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One CPU: whose registers it holds, and what changes hands with it.
//!
//! Decides nothing: `run` says who runs next.
//!
//! May call: `arch`, `state`, `io`, `gic`.

pub mod physical_timer;
mod pmu;
pub mod saved;
pub mod serror;
pub mod snapshot;
pub mod switch;
pub mod workarounds;
