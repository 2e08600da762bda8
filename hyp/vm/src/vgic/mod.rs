// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The GICv3 that a VM sees: distributor, redistributors, and what goes into list registers.
//!
//! vLPIs are not here: the hardware delivers them by itself. Group 1 only, affinity routing always
//! on, one security state (GICD_CTLR.DS = 1), five priority bits. IHI 0069H chapters 2, 4 and 12.
//!
//! ## Who holds what
//! | interrupt | enable, configuration | pending, active |
//! |---|---|---|
//! | SGI 0..15 | here | here until it is in a list register, then there |
//! | SGI of a guest without their active state, GICv4.1 | here, mirrored into the GIC by VSGI | the GIC |
//! | virtual timer's PPI | here, mirrored into the physical redistributor | physical, and list register 0 |
//! | physical timer's PPI, the PMU's if the VM has it | the same | physical; in a list register or waiting here it is physically active |
//! | SPI of the VM's | here (enable), mirrored into the physical distributor | physical; in a list register or waiting here it is physically active |
//! | UART's SPI | here | level of the line; sampled again when the guest ends it |
//! | watchdog's SPI | here | here, set once when its signal rises |
//!
//! Priorities are virtual. An interrupt that the VM does not own reads as zero and ignores writes.
//!
//! ## Files
//! Each imports only files above it; [`crate::Guest`] stands behind the first row.
//!
//! | file | what |
//! |---|---|
//! | bank, view, distributor, redistributor | state of a VM and of a vPE, without a guest |
//! | physical | hands an interrupt back to the hardware |
//! | list | what is in the list registers of this CPU |
//! | line | interrupts without a physical line; what happens when one ends |
//! | look | what other vPEs see of list registers |
//! | follow | list registers follow a change of pending or active state |
//! | lpi | events that EL2 lists |
//! | vsgi | SGIs that the GIC delivers |
//! | flush | places what waits, and makes room |
//! | inject, sgi1r | how an interrupt arrives: short paths, SGIs |
//! | told | what a report tells of it |
//! | set_clear, route, off | what a guest changes: state, routes, a vPE that goes off |
//! | gicd, gicr | the registers |

mod bank;
mod distributor;
mod flush;
mod follow;
mod gicd;
mod gicr;
mod inject;
mod line;
mod list;
mod look;
pub(crate) mod lpi;
mod off;
mod physical;
mod redistributor;
mod route;
mod set_clear;
mod sgi1r;
mod told;
mod view;
mod vsgi;

pub(crate) use bank::{IIDR, PIDR2};
pub use distributor::Distributor;
pub use flush::{flush, holds_timer, look_again, notify};
pub use inject::{
    deliver, hold_lpi, hold_ring, hold_spi, inject_lpi, inject_private, inject_spi, inject_timer,
    try_deliver, try_inject_spi,
};
pub use line::raise;
pub use look::{again, leaves, returns};
pub use off::turn_off;
pub use redistributor::Redistributor;
pub(crate) use redistributor::STALE;
pub use set_clear::{deactivate, holds};
pub use sgi1r::{send_sgi, try_send_sgi};
pub use told::{told, told_spis};
pub use vsgi::Retreat;
