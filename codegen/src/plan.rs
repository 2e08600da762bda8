// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything decided: from a checked system and its payloads to final addresses, numbers and
//! register values.
//!
//! [`make`] is the whole interface. It reads no file and knows no time, and it walks lists in the
//! order of the TOML only, so that the same input gives the same plan. The order of decisions is:
//! schedules, guests' memory and channels, BARs, interrupts, the hypervisor's tables, and last the
//! ITS script, whose commands need all of these.

mod arena;
mod assume;
mod board;
mod bridge;
mod channel;
mod console;
mod gap;
mod host;
mod interrupts;
mod its;
mod loads;
mod log_view;
mod make;
mod map;
mod memory;
mod messages;
mod modes;
mod own;
mod pci;
mod room;
mod schedule;
mod smmu;
mod smmu_script;
mod tables;
mod vm;
pub mod watchdog;

pub use ::plan::*;
pub use arena::Arena;
pub use loads::TREE_ROOM;
pub use make::make;
