// SPDX-License-Identifier: Apache-2.0 OR MIT
#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![deny(missing_docs)]
#![warn(missing_debug_implementations)]

#[cfg(feature = "model")]
extern crate std;

pub mod boot;
pub mod command;
pub mod dist;
pub mod doorbell;
mod error;
pub mod frame;
pub mod given;
pub mod hw;
pub mod intid;
pub mod its;
pub mod layout;
pub mod list_regs;
pub mod lpi;
// A test's GIC; what it is asked wrongly fails the test.
#[cfg(feature = "model")]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
pub mod model;
pub mod queue;
pub mod redist;
pub mod regs;
pub mod residency;
pub mod vpe;
pub mod vpe41;
pub mod vpe_table;

pub use error::{Error, Expected, LpisInUse, Stuck, Wait};
pub use frame::Frame;
pub use given::{Memory, Vetted};
pub use intid::{CollectionId, DeviceId, EventId, IntId, RdBase, VpeId};
