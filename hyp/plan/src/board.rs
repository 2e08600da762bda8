//! What the hypervisor itself touches on the board.

use crate::{Log, Pa};

#[derive(Debug)]
pub struct Board {
    pub name: &'static str,
    /// RAM, a word of which boot reads to see that it is there. Without those that are reserved as a whole.
    pub ram: &'static [Ram],
    /// GICD frame.
    pub distributor: Pa,
    /// SPIs the distributor must have: INTIDs 32..32 + spis.
    pub spis: u32,
    /// List registers that every CPU must have at least.
    pub list_registers: u8,
    /// Bytes from one CPU's redistributor to the next: 128 KiB (GICv3) or 256 KiB (with VLPI frames).
    pub redistributor_stride: u64,
    /// The plan relies on GICv4 redistributors (GICR_TYPER.VLPIS).
    pub direct_injection: bool,
    pub timer: Timer,
    /// INTID of the PPI by which the PMU says that a counter overflowed; None: no VM has it.
    pub pmu_ppi: Option<u8>,
    pub console: Console,
    /// How firmware's PSCI is called.
    pub psci: Conduit,
    /// Firmware lets EL2 have the MPAM registers, where the CPU has them.
    pub mpam: bool,
    /// The GIC's accesses to its tables are coherent with the CPUs' caches.
    pub gic_coherent: bool,
    /// Each CPU's deactivation of an SPI counts, wherever the SPI is routed.
    pub gic_deactivates: bool,
    /// What the GIC's identification registers must say, and must not.
    pub quirks: &'static [Quirk],
    /// Reserved memory in which boot may take over LPI tables that firmware left on for good: base and bytes.
    pub inherited: &'static [(u64, u64)],
}

/// Where a GIC differs from the architecture.
#[derive(Debug)]
pub struct Quirk {
    /// As the board's TOML names it.
    pub name: &'static str,
    /// By GITS_IIDR, or else by GICD_IIDR.
    pub its: bool,
    /// Values of that register, each under its mask.
    pub iidr: &'static [(u32, u32)],
    /// The board says that its GIC has it.
    pub listed: bool,
}

/// A range of RAM.
#[derive(Debug)]
pub struct Ram {
    pub name: &'static str,
    /// Its last word that nobody reserved.
    pub probe: Pa,
}

/// The generic timer; its PPIs and the GIC's as INTIDs 16..32.
#[derive(Debug)]
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
pub enum Console {
    Uart(Uart),
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
}

#[derive(Debug)]
pub struct Uart {
    pub kind: UartKind,
    pub base: Pa,
    /// INTID of its SPI, for input; None: output only.
    pub intid: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartKind {
    Pl011,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    Smc,
    Hvc,
}

/// What the hypervisor does when no VM runs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// Print the counters and the result, then PSCI SYSTEM_OFF.
    PowerOff,
    /// Print the counters and the result, then wait for console commands.
    Stay,
}
