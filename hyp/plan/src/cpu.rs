// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One physical CPU and what runs on it.

#[cfg(feature = "host")]
use crate::Text;
use crate::{Frame, Hex, List, One, Pa, PrioritySlot, VpeIndex};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Cpu {
    #[cfg(feature = "host")]
    #[constant(host)]
    pub name: Text,
    /// MPIDR_EL1 affinity fields: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0.
    pub mpidr: Hex,
    /// RD_base of its redistributor; SGI_base is 64 KiB, VLPI_base 128 KiB further on.
    pub redistributor: Pa,
    /// GICR_TYPER.Processor_Number, by which ITS commands name it.
    pub processor: u16,
    /// GICR_PROPBASER to write, physical LPI configuration; 0: no LPIs on this CPU.
    pub propbaser: Hex,
    /// GICR_PENDBASER to write; 0: no LPIs on this CPU.
    pub pendbaser: Hex,
    /// With modes: that of the first.
    pub schedule: Schedule,
}

/// How a CPU is given to vPEs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(crate::constant::Constant))]
pub enum Schedule {
    /// Nothing runs here. A CPU that no mode uses is never started.
    Unused,
    /// One vPE has it for good.
    Exclusive(VpeIndex),
    /// Several vPEs, the first ready one of this table at any time.
    Priority(List<PrioritySlot>),
    /// Several vPEs, each in its windows.
    Cyclic(One<Frame>),
}

#[cfg(feature = "host")]
impl Schedule {
    /// By slot.
    pub fn vpes(&self) -> Vec<VpeIndex> {
        match self {
            Self::Unused => Vec::new(),
            Self::Exclusive(vpe) => vec![*vpe],
            Self::Priority(slots) => slots.iter().map(|slot| slot.vpe).collect(),
            Self::Cyclic(frame) => frame.vpes.clone(),
        }
    }

    pub fn is_used(&self) -> bool {
        *self != Self::Unused
    }

    /// By priority or by a frame.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Priority(_) | Self::Cyclic(_))
    }

    /// Budgets or windows, in millionths of the CPU.
    pub fn given_ppm(&self) -> u64 {
        match self {
            Self::Unused | Self::Exclusive(_) => 0,
            Self::Priority(slots) => {
                let budgets = slots.iter().filter_map(|slot| slot.budget);
                budgets.map(|budget| ppm(budget.ticks.get(), budget.period.get())).sum()
            }
            Self::Cyclic(frame) => {
                let given = frame.windows.iter().map(|window| window.ticks).sum();
                ppm(given, frame.ticks.get())
            }
        }
    }
}

/// Millionths, rounded down.
#[cfg(feature = "host")]
pub fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}
