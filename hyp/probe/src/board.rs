// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board as its TOML has it: where to look, and what things are called there.
//!
//! `bulkhead probe` writes the constants (codegen/src/emit/probe.rs).

/// One board.
pub struct Board {
    /// Its TOML, as another TOML beside the measured one inherits it.
    pub file: &'static str,
    /// Where the image is.
    pub base: u64,
    pub cpus: &'static [Cpu],
    pub distributor: u64,
    pub regions: &'static [Region],
    pub its: Option<u64>,
    pub smmus: &'static [Smmu],
    pub hosts: &'static [Host],
    pub functions: &'static [Function],
}

/// The first one boots.
pub struct Cpu {
    pub name: &'static str,
    pub mpidr: u64,
}

/// Redistributors, one after the other.
pub struct Region {
    pub base: u64,
    pub bytes: u64,
}

pub struct Smmu {
    pub name: &'static str,
    pub base: u64,
}

/// A PCIe host with an ECAM.
pub struct Host {
    pub name: &'static str,
    pub ecam: u64,
    pub first: u8,
    pub last: u8,
}

/// A device or bridge that the board has behind a host.
pub struct Function {
    pub name: &'static str,
    /// Its place in `Board::hosts`.
    pub host: usize,
    /// Bus 15:8, device 7:3, function 2:0.
    pub address: u16,
}

include!(concat!(env!("BULKHEAD_PROBE"), "/board.rs"));
