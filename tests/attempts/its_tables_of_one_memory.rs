// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two tables of the ITS in one memory: a collection's entry would be read as a device's, with an
//! address of the caller's in it.
#![no_std]
#![forbid(unsafe_code)]

use gicv4::its::Table;
use gicv4::layout::TableKind;

pub fn attempt(table: Table) -> [Table; 2] {
    let devices = Table { kind: TableKind::Devices, ..table };
    [devices, Table { kind: TableKind::Collections, ..table }] //~ E0382
}
