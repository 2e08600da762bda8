// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the tree says about itself: pages name what exists, decisions are numbered, no dependency
//! and nothing public is unused, and the EL2 image is in layers.

#[path = "tree/decisions.rs"]
mod decisions;
#[path = "tree/dependencies.rs"]
mod dependencies;
#[path = "tree/differences.rs"]
mod differences;
#[path = "tree/files.rs"]
mod files;
#[path = "tree/layers.rs"]
mod layers;
#[path = "tree/lines.rs"]
mod lines;
#[path = "tree/names.rs"]
mod names;
#[path = "tree/pages.rs"]
mod pages;
#[path = "tree/unused.rs"]
mod unused;
