// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the hypervisor itself touches on the board.

use crate::{Hex32, List, Log, One, Pa, Range, Text, Uart};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Board {
    pub name: Text,
    /// RAM, a word of which boot reads to see that it is there.
    #[cfg_attr(feature = "host", serde(flatten, serialize_with = "crate::json::ram"))]
    pub ram: List<Ram>,
    /// GICD frame.
    pub distributor: Pa,
    /// First frame of the first CPU.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub redistributors: Pa,
    /// SPIs the distributor must have: INTIDs 32..32 + spis.
    pub spis: u32,
    /// List registers that every CPU must have at least.
    pub list_registers: u8,
    /// Bytes from one CPU's redistributor to the next: 128 KiB (GICv3) or 256 KiB (with VLPI
    /// frames).
    pub redistributor_stride: u64,
    /// The plan relies on GICv4 redistributors (GICR_TYPER.VLPIS).
    pub direct_injection: bool,
    #[cfg_attr(feature = "host", serde(flatten))]
    pub timer: Timer,
    /// INTID of the PPI by which the PMU says that a counter overflowed; None: no VM has it.
    pub pmu_ppi: Option<u8>,
    pub console: Console,
    /// How firmware's PSCI is called.
    #[cfg_attr(
        feature = "host",
        serde(rename = "psci_smc", serialize_with = "crate::json::is_smc")
    )]
    pub psci: Conduit,
    /// Firmware lets EL2 have the MPAM registers, where the CPU has them.
    pub mpam: bool,
    /// The GIC's accesses to its tables are coherent with the CPUs' caches.
    pub gic_coherent: bool,
    /// Each CPU's deactivation of an SPI counts, wherever the SPI is routed.
    pub gic_deactivates: bool,
    /// What the GIC's identification registers must say, and must not.
    #[cfg_attr(feature = "host", serde(serialize_with = "crate::json::listed"))]
    pub quirks: List<Quirk>,
    /// Reserved memory in which boot may take over LPI tables that firmware left on for good.
    #[cfg_attr(feature = "host", constant(with = crate::constant::ranges))]
    pub inherited: List<Range>,
}

/// Where a GIC differs from the architecture.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, crate::constant::Constant))]
pub struct Quirk {
    /// As the board's TOML names it.
    pub name: Text,
    /// By GITS_IIDR, or else by GICD_IIDR.
    pub its: bool,
    /// What that register may read.
    pub iidr: List<Identity>,
    /// The board says that its GIC has it.
    pub listed: bool,
}

/// What an identification register reads, in the bits of `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(crate::constant::Constant))]
pub struct Identity {
    pub value: Hex32,
    pub mask: Hex32,
}

/// A range of RAM.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Ram {
    pub name: Text,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub base: Pa,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub bytes: u64,
    /// Its last word that nobody reserved. None: all of it is reserved.
    #[cfg_attr(feature = "host", serde(skip))]
    pub probe: Option<Pa>,
}

/// The generic timer; its PPIs and the GIC's as INTIDs 16..32.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Timer {
    /// Counter ticks in a second, which CNTFRQ_EL0 must read: all times of the plan are ticks.
    pub frequency: u64,
    pub virtual_ppi: u8,
    pub physical_ppi: u8,
    pub hypervisor_ppi: u8,
    pub maintenance_ppi: u8,
}

/// Where everybody's output goes.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum Console {
    Uart(One<Uart>),
    /// The board has none: EL2's own lines are kept in memory, and no VM has a console.
    Log(Log),
}

impl Console {
    /// INTID of its SPI, for input.
    pub const fn intid(&self) -> Option<u32> {
        match self {
            Self::Uart(uart) => uart.intid,
            Self::Log(_) => None,
        }
    }

    /// Where lines are kept instead.
    #[cfg(feature = "host")]
    pub const fn log(&self) -> Option<&Log> {
        match self {
            Self::Uart(_) => None,
            Self::Log(log) => Some(log),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum Conduit {
    Smc,
    Hvc,
}

/// What the hypervisor does when no VM runs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum PowerOff {
    /// Print the counters and the result, then PSCI SYSTEM_OFF.
    PowerOff,
    /// Print the counters and the result, then wait for console commands.
    Stay,
}
