//! Everything written from a plan: tables for the image, device trees for guests, reports for people.
//!
//! Each module turns a [`Decided`](crate::plan::Decided) plan, or a part of it, into text or bytes and decides nothing.

pub mod fdt;
pub mod its;
pub mod link;
pub mod report;
mod schedule;
pub mod stage1;
pub mod stage2;
pub mod tables;
mod time;
pub mod translation;

use crate::plan::Decided;

/// The plan's distinct payload pieces; `Load::blob` indexes them.
pub fn blobs(plan: &Decided) -> Vec<&[u8]> {
    let mut out: Vec<&[u8]> = Vec::new();
    for load in plan.vms.iter().flat_map(|vm| &vm.loads) {
        if load.blob == out.len() {
            out.push(&load.data);
        }
    }
    out
}
