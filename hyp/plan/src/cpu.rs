//! One physical CPU and what runs on it.

use crate::{Frame, Pa, PrioritySlot, VpeIndex};

#[derive(Debug)]
pub struct Cpu {
    /// MPIDR_EL1 affinity fields: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0.
    pub mpidr: u64,
    /// RD_base of its redistributor; SGI_base is 64 KiB, VLPI_base 128 KiB further on.
    pub redistributor: Pa,
    /// GICR_TYPER.Processor_Number, by which ITS commands name it.
    pub processor: u16,
    /// GICR_PROPBASER to write, physical LPI configuration; 0: no LPIs on this CPU.
    pub propbaser: u64,
    /// GICR_PENDBASER to write; 0: no LPIs on this CPU.
    pub pendbaser: u64,
    /// With modes: that of the first.
    pub schedule: Schedule,
}

/// How a CPU is given to vPEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Nothing runs here. A CPU that no mode uses is never started.
    Unused,
    /// One vPE has it for good.
    Exclusive(VpeIndex),
    /// Several vPEs, the first ready one of this table at any time.
    Priority(&'static [PrioritySlot]),
    /// Several vPEs, each in its windows.
    Cyclic(&'static Frame),
}
