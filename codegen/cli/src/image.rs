// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making the image with cargo: ELF, flat binary, and what other loaders take.

mod bl33;
mod build;
mod cargo;
mod claim;
mod efi;
mod firmware;
mod fit;
mod flat;
mod place;
mod probe;
pub mod rules;
mod sign;

pub use build::{BuildError, Built, Workspace};
pub use flat::{FlatError, flatten};
pub use rules::Broken;
pub use sign::{Algorithm, Key, SignError};
