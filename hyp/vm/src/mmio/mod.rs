// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Emulated addresses: which device, and whether the access is one that it has.
//!
//! The image comes here with an abort that [`crate::exit::DataAbort::emulable`] accepts. A refused
//! access is answered by an external abort in the guest; nothing else happens.
//!
//! | file | what |
//! |---|---|
//! | written, device | what a device is, and what becomes of a store to it |
//! | watchdog | the watchdog's frames; the other devices have their files elsewhere |
//! | dispatch | the table of devices, and the way to them |

mod device;
mod dispatch;
mod watchdog;
mod written;

pub(crate) use device::{Access, Device};
pub use dispatch::{again, peek, quick_read, quick_write, read, write};
pub use written::Written;
