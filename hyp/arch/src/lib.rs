// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only an AArch64 CPU at EL2 can do: registers, barriers, translation, vectors, firmware
//! calls.
//!
//! Nearly all of the image's unsafe code stands here, behind functions that are safe to call: those
//! that touch memory or devices take them from the plan of a [`System`], whose one implementation
//! is the image's promise (docs/safety.md). The image uses [`image!`] once, for the head and the
//! vectors, and implements [`Handlers`] with what these call.
#![no_std]
#![deny(missing_docs)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
// Values stand in statics, where `Default` has no say.
#![allow(clippy::new_without_default)]

#[macro_use]
mod registers;

pub mod boot;
mod bytes;
pub mod context;
pub mod cpu;
pub mod debug;
pub mod device;
pub mod frame;
pub mod gic;
pub mod given;
pub mod guest;
mod handlers;
pub mod head;
pub mod id;
mod lines;
pub mod log;
pub mod mmu;
pub mod once;
pub mod pmu;
pub mod probe;
pub mod region;
pub mod serror;
mod simd;
pub mod smc;
pub mod smmu;
pub mod stage2;
pub mod sysreg;
mod system;
pub mod this;
pub mod timer;
pub mod vectors;
mod window;
pub mod wires;

pub use boot::{CpuBoot, SystemBoot};
pub use handlers::Handlers;
pub use system::{Lpis, System};

/// The head and the vectors of an image, for its one [`System`], which has [`Handlers`].
#[macro_export]
macro_rules! image {
    ($system:ty, $events:path) => {
        $crate::head!($system);
        $crate::vectors!($system, $events);
    };
}
