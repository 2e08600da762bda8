//! Emulated addresses: which device, and whether the access is one that it has.

mod dispatch;
mod written;

pub use dispatch::{again, quick_read, quick_write, read, write};
pub use written::Written;
