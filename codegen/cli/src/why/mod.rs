// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a run hangs or failed: what each vPE does, in words, and the likely cause by its name.
//!
//! 1. A run without a result asks EL2 by the escape key and `s` ([`crate::run`]); the answer is in
//!    the report, in QEMU and on a board alike.
//! 2. [`Scene`] reads that, with the plan and the payloads' files ([`Symbols`]).
//! 3. [`CAUSES`] are tried one after the other, the most certain first; the first that fits a vPE
//!    is its likely cause. Each has a name, what was seen, and what to do; docs/why.md lists them.

mod causes;
mod scene;
mod symbols;
mod words;

pub use causes::{CAUSES, Cause, Finding, findings};
pub use scene::{Registers, Scene, Vm, Vpe};
pub use symbols::{Symbols, Wait};
pub use words::{json, text};
