// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's PCI configuration space: its own functions, with what could hurt others held back.
//!
//! Other functions read as ones and ignore writes, as empty slots do. Of its own a VM reads the
//! header and the capabilities that work (`capability`). BARs stay where the plan put them (writing
//! ones shows their size, as enumeration wants), the expansion ROM does not exist, INTx stays off
//! and has no pin unless the plan gives the VM that SPI, and of the capabilities only MSI and MSI-X
//! take writes, for messages that the plan has (`message`, `table`). Bridges on the way to its
//! functions it sees as `bridge` shows them, and a stand-in where function 0 of a device is not its
//! own. It may have functions behind several hosts, each with an ECAM of its own. PCI Local Bus 3.0
//! 6.1, 6.2.5, 6.8; PCI Express 7.5.

pub mod acs;
mod bridge;
pub mod capability;
pub mod examine;
mod functions;
mod header;
mod message;
mod quiet;
mod refusal;
mod shown;
mod sizing;
mod space;
pub mod table;

pub use quiet::{quiet, silence};
pub use refusal::{Refusals, report};
pub use sizing::Sizing;
pub use space::Space;
pub use table::Table;
