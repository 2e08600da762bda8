// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The TOML files as they are written: board, system and partition, and a user's targets.
//!
//! The structs here are the one source of the format: serde reads by them, the JSON schemas for
//! editors and docs/configuration.md are generated from them, and [`verify`] drives its search for
//! unknown, missing and mistyped keys by that JSON schema. Every doc comment on a field is a line
//! of the user's manual. Flattened and untagged forms would lose spans and are not used; tagged
//! alternatives are resolved by `verify`.

pub mod board;
pub mod event;
pub mod json;
pub mod manual;
pub mod partition;
pub mod schedule;
pub mod system;
pub mod targets;
mod text;
pub mod verify;

pub use text::{Address, S};
