// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS that a VM sees: a view of what the plan gave the physical one.
//!
//! The physical ITS has every event of the plan mapped since boot. A guest that maps its events as
//! the plan did changes nothing there; any other wish is checked, and what is granted becomes
//! commands of the hypervisor's own, for that one event. No byte that a guest wrote reaches the
//! physical queue. The guest's tables are memory that nobody reads: what it maps is kept in
//! [`Event`], one cell beside each of `Plan::events`. IHI 0069H 5.3 (commands), 12.18
//! (registers).
//!
//! | file | what |
//! |---|---|
//! | its | its registers and collections |
//! | frame | the registers of the control frame, GITS_*, as a guest reads and writes them |
//! | queue | commands out of the guest's memory, a bounded number at a time |
//! | command | what one command does to the view |
//! | event | an event: where the hardware has it, how the guest mapped it |
//! | place | where the hardware has it, in one word |
//! | batches | what the view's changes need of the physical ITS |
//! | config | the guest's own property and pending tables |
//! | learned | what the TOML should say, for the report |
//! | renewal | what a restart puts back |
//! | refusal | why a command was ignored |
//! | wait | why a command goes on later |
//!
//! A command that is wrong, or that names what is not the VM's, is ignored and counted; the queue
//! goes on behind it. The frame's state is the VM's: only one vPE at a time works on the queue, and
//! another that comes meanwhile tries again.
//!
//! Not supported, on purpose: translation while GITS_CTLR.Enabled is 0 is not stopped, nor while
//! GICR_CTLR.EnableLPIs is 0 (the physical ITS stays on); MAPTI on an event that is mapped maps it
//! anew; GICv4 commands of the guest's own.

mod batches;
mod command;
mod config;
mod event;
mod frame;
mod its;
mod learned;
mod place;
mod queue;
mod refusal;
mod renewal;
mod wait;

pub use config::before_enabling_lpis;
pub use event::{Event, Lpi, View, VmEvent};
pub use its::Its;
pub use learned::Learned;
pub use refusal::Refusal;
pub use renewal::{Renewal, Renewed};
