// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every other layer looks at: the plan, and the state of CPUs, VMs, vPEs and events.
//!
//! Nothing here decides; a few methods send an SGI or set a timer, because what another CPU sees
//! must be written in that order.
//!
//! May call: `arch`.

pub mod cpu;
pub mod intid;
pub mod ipi;
mod mailbox;
pub mod parts;
pub mod places;
#[allow(unsafe_code)]
pub mod plan_data;
pub mod running;
#[allow(unsafe_code)]
pub mod system;
pub mod timer;
pub mod vms;
pub mod vpe;
