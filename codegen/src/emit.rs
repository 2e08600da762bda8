//! Everything written from a plan: tables for the image, device trees for guests, reports for people.
//!
//! Each module turns a [`Decided`](crate::plan::Decided) plan, or a part of it, into text or bytes and decides nothing.

pub mod fdt;
pub mod its;
pub mod link;
pub mod report;
mod schedule;
mod smmu;
pub mod stage1;
pub mod stage2;
pub mod tables;
mod time;
pub mod translation;
