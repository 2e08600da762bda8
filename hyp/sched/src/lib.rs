// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs on a CPU.
//!
//! Pure state machines, driven by the EL2 image and tested on the host: time and events go in, a
//! decision comes out. Nothing here touches hardware, allocates, or loops over vPEs while one of
//! them runs; docs/adr/0005-shared-cpus.md gives the reasons and the bounds.
//!
//! * [`CpuScheduler`] decides for one CPU, by priority with budgets or by a cyclic frame.
//! * [`Sole`] is the same for a CPU that one vPE has for good.
//! * [`Switchover`] takes a system from one mode to another.
//!
//! ```
//! use plan::{PrioritySlot, Schedule, VpeIndex};
//! use sched::{CpuScheduler, Slot, Task};
//!
//! static TABLE: [PrioritySlot; 2] = [
//!     PrioritySlot { vpe: VpeIndex::new(5), priority: 200, budget: None },
//!     PrioritySlot { vpe: VpeIndex::new(2), priority: 100, budget: None },
//! ];
//! let (high, low) = (Slot::new(0).unwrap(), Slot::new(1).unwrap());
//! let mut cpu = CpuScheduler::new(0);
//! cpu.enter(Schedule::Priority(&TABLE), 10, |_| Task::OFF);
//! cpu.on(high, 10);
//! cpu.on(low, 10);
//! assert_eq!(cpu.decide(10).run, Some(high));
//! cpu.block(high, Some(500), 20); // WFI, its virtual timer set
//! let decision = cpu.decide(20);
//! assert_eq!((decision.run, decision.deadline), (Some(low), Some(500)));
//! cpu.wake(high, 30); // its doorbell
//! assert_eq!(cpu.decide(30).run, Some(high));
//! ```
//!
//! Not supported: equal priorities that take turns (the table's order decides), moving a vPE
//! outside a mode switch, giving the rest of a window to somebody else.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod budget;
mod calendar;
mod choice;
mod cycle;
mod ranks;
mod scheduler;
mod slot;
mod sole;
mod statistics;
mod switchover;
mod task;

pub use calendar::NEVER;
pub use scheduler::{CpuScheduler, Decision};
pub use slot::{SLOTS, Slot};
pub use sole::{Choose, Shared, Sole};
pub use statistics::{Latency, Statistics};
pub use switchover::{Agreed, Departure, Refused, Switchover};
pub use task::Task;
