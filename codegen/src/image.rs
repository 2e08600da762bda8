//! Making the image: payload files in, ELF and flat binary out.

mod build;
mod cargo;
mod claim;
mod flat;
pub mod gzip;
mod payload;
pub mod rules;

pub use build::{BuildError, Built, Workspace};
pub use flat::{FlatError, flatten};
pub use payload::{BIG_ENDIAN, Blob, Payloads, Place, Segment};
pub use rules::Broken;
