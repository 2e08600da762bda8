// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The generated plan and its tables, as codegen wrote them for this system.

/// Translation tables and LPI configuration, ready for hardware, at the address that the plan gave
/// them.
#[unsafe(link_section = ".tables")]
#[used]
static TABLES: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/tables.bin")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/tables.bin"));

include!(concat!(env!("OUT_DIR"), "/plan.rs"));
