// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `bulkhead` command: building images with cargo, running them under QEMU.
//!
//! A library of its own beside [`codegen`]: the image's build script compiles only the latter, and
//! the QEMU scenarios run images exactly as the command does.
#![forbid(unsafe_code)]

pub mod command;
mod flash;
pub mod image;
pub mod learn;
pub mod probe;
pub mod run;
pub mod why;
