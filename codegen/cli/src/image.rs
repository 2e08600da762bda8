// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making the image with cargo: ELF and flat binary out.

mod build;
mod cargo;
mod claim;
mod flat;
pub mod rules;

pub use build::{BuildError, Built, Workspace};
pub use flat::{FlatError, flatten};
pub use rules::Broken;
