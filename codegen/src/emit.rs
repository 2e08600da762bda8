// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything written from a plan: tables for the image, device trees for guests, reports for
//! people.
//!
//! Each module turns a [`Plan`](crate::plan::Plan) plan, or a part of it, into text or bytes and
//! decides nothing.

pub mod changes;
pub mod constants;
mod dma;
pub mod fdt;
pub mod link;
pub mod page;
pub mod probe;
pub mod report;
mod section;
pub mod stage1;
pub mod stage2;
mod time;
pub mod translation;
