// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of Bulkhead sees, as pure state machines.
//!
//! The image (hyp, hyp/arch) takes a trap, decodes it with [`exit`], calls one function of
//! this crate and does what the returned value says. Everything here runs on the host as well:
//! hardware is reached only through the traits of [`platform`]. docs/guest-abi.md is the contract
//! that this crate keeps.
//!
//! | trap | call |
//! |---|---|
//! | HVC, SMC | [`hypercall::fast`], then [`hypercall::call`] |
//! | system register | [`sysreg::access`]; ICC_SGI1R_EL1 ([`exit::is_sgi`], one mask) by [`vgic::send_sgi`] |
//! | data abort of a plain word ([`exit::is_word`], one mask) | [`mmio::quick_read`], [`mmio::quick_write`], or as the next |
//! | any other emulable data abort | [`mmio::read`], [`mmio::write`] |
//! | an abort in a flash's memory | [`flash::Flash::read`], [`flash::Flash::write`] |
//! | virtual timer's PPI | [`vgic::inject_timer`] |
//! | a physical SPI | [`vgic::inject_spi`] |
//! | kick from another CPU | [`vgic::deliver`] |
//! | maintenance interrupt; a vPE starts or restarts | [`vgic::flush`] |
//!
//! Sharing: [`VmState`] and [`VpeState`] are made of atomics (and one short lock around the UART),
//! so that both live in plain statics and any CPU may hold a reference. A list register is touched
//! only by the CPU that owns it.
//!
//! No two files import each other, in a circle or directly. What a device is (registers, no guest)
//! comes first; [`Guest`] puts all of it together; what a device does for a guest comes behind
//! that; [`mmio`], [`hypercall`], [`report`] and [`snapshot`] are last.
//!
//! Not supported, on purpose: Group 0 interrupts, the priority drop of one interrupt with the
//! deactivation of another out of order while more interrupts are active than there are list
//! registers, GICv2 compatibility, AArch32 at EL1.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

pub mod aarch32;
mod affinity;
pub mod allowance;
mod bits;
pub mod console;
pub mod counters;
pub mod exit;
pub mod flash;
mod guest;
mod hardware;
pub mod health;
pub mod history;
pub mod hypercall;
pub mod id;
pub mod loading;
pub mod mmio;
mod outcome;
pub mod pci;
pub mod pl011;
pub mod platform;
pub mod power;
pub mod psci;
pub mod report;
pub mod router;
pub mod serror;
pub mod set_way;
pub mod snapshot;
pub mod sysreg;
pub mod text;
mod uart;
pub mod vgic;
pub mod vits;
pub mod watchdog;
pub mod workarounds;

pub use guest::{Guest, VmState, VpeState};
pub use platform::Platform;
pub use router::Router;

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
