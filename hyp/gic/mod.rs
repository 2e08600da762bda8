// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The physical GIC on behalf of vPEs: residency and doorbells, ITS commands, list registers.
//!
//! May call: `arch`, `state`, `io`.

pub mod hardware;
pub mod its;
pub mod lpis;
pub mod residency;
pub mod rings;
