// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The life of a VM: load, start, fail, stop, restart; modes and watchdogs.
//!
//! Runs on the CPU that the VM's vPE has, in its time. Who else is concerned is told by state::ipi.
//!
//! May call: `arch`, `state`, `io`, `gic`, `cpu`.

pub mod action;
mod devices;
pub mod dma;
pub mod end;
pub mod fault;
pub mod flash;
pub mod load;
pub mod mode;
pub mod switchover;
pub mod watchdog;
