//! What the tree says about itself: pages name files that exist, decisions are numbered, and no
//! dependency is unused.

#[path = "tree/decisions.rs"]
mod decisions;
#[path = "tree/dependencies.rs"]
mod dependencies;
#[path = "tree/differences.rs"]
mod differences;
#[path = "tree/files.rs"]
mod files;
#[path = "tree/names.rs"]
mod names;
#[path = "tree/pages.rs"]
mod pages;
