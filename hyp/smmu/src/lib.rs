// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SMMUv3 with stage 2 only: a device reaches what its VM reaches, and nothing else.
//!
//! The stream table says for each StreamID either *abort* or *translate by this VM's stage 2*; the
//! tables of stage 2 are the CPU's own. Both are constants that a build decides; at run time a
//! driver programs a few registers, changes single entries when a VM stops or starts, and takes
//! fault records. Section numbers are those of IHI 0070, the SMMUv3 manual.
//!
//! | module | what it does |
//! |---|---|
//! | `ste` | stream table entries: abort, or stage 2 as VTTBR_EL2 and VTCR_EL2 have it |
//! | `table` | linear and two-level stream tables: sizes, places, descriptors, base registers |
//! | `command`, `queue` | commands, encoded and decoded; the command queue with bounded waits |
//! | `event`, `event_queue` | fault records, decoded; the event queue, overflow included |
//! | `gerror` | global errors: which are active, and how they are acknowledged |
//! | `account` | faults of a device: which are told, and when it is cut off |
//! | `unit` | an SMMU's registers: verify, abort everything, enable |
//! | `stream` | a VM's streams: attach, and detach with nothing left in a cache |
//! | `regs` | offsets and bit fields |
//! | `model` | feature `model`: a software SMMU that caches as greedily as the manual allows |
//!
//! Nothing here touches hardware: registers are behind [`Frame`], memory behind [`StreamMemory`],
//! [`CommandMemory`] and [`EventMemory`].
//!
//! ```
//! use smmu::model::{Config, Dma, Outcome, Smmu};
//! use smmu::ste::Stage2;
//! use smmu::stream::Streams;
//! use smmu::table::{Shape, StreamTable};
//! use smmu::unit::{Ring, Setup, Unit};
//! use smmu::{StreamId, Vmid};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const POLLS: u32 = 100;
//! let hardware = Smmu::new(Config::STRICT);
//! let table = StreamTable::linear(0x4000_0000, Shape::linear(8)?)?;
//! let (commands, events) = (Ring::commands(0x4010_0000, 4)?, Ring::events(0x4010_1000, 4)?);
//!
//! let unit = Unit::new(hardware.frame());
//! unit.abort_all(POLLS)?; // first of all: at reset an SMMU lets everything through
//! let setup = Setup { table, commands, events, coherent: true };
//! let queue = unit.enable(&setup, hardware.commands(commands), POLLS)?;
//!
//! // A VM's stage 2, as its VTTBR_EL2 and VTCR_EL2 have it: here with no page at all.
//! let stage2 = Stage2::from_registers(0x0007_0000_4020_0000, 0x8002_3559)?;
//! let mut streams = Streams::new(table, hardware.table(), queue);
//! streams.attach(StreamId::new(0x18), &stage2)?;
//! let dma = Dma { stream: StreamId::new(0x18), address: 0x4020_0000, write: true };
//! assert_eq!(hardware.dma(dma), Outcome::Aborted);
//! streams.detach([StreamId::new(0x18)].into_iter(), Vmid::new(7))?;
//! # Ok(())
//! # }
//! ```
//!
//! Not supported, on purpose: bypass (no value of this crate encodes it), stage 1, substreams,
//! ATS, PRI, stalls (a fault terminates), MSIs of the SMMU itself (it has wires), Secure and Realm
//! state, hardware update of access flags, SMMUs whose queues or tables are preset by firmware.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![warn(missing_debug_implementations)]

#[cfg(feature = "model")]
extern crate std;

pub mod account;
pub mod command;
mod error;
pub mod event;
pub mod event_queue;
mod frame;
pub mod gerror;
// A test's SMMU; what it is asked wrongly fails the test.
#[cfg(feature = "model")]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
pub mod model;
mod number;
pub mod queue;
pub mod regs;
pub mod ste;
pub mod stream;
pub mod table;
pub mod unit;

pub use error::{CommandFault, Error, Illegal, Wait};
pub use event_queue::EventMemory;
pub use frame::Frame;
pub use number::{StreamId, Vmid};
pub use queue::CommandMemory;
pub use stream::StreamMemory;
