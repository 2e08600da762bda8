//! The residency of a vPE, and its doorbell.
//!
//! While a vPE is resident, its events reach it without EL2. On an exclusive CPU it is from its start to its end or
//! sleep; on a shared one while it has the CPU. Around that (IHI 0069H 5.6, gicv4::vpe, gicv4::doorbell; tests/wakeup runs
//! through all orders of this with a device's events):
//!
//! 1. `enter`: VPROPBASER, VPENDBASER with Valid; a doorbell that was unmasked is masked and cleared. A masked one may have
//!    rung, too; that does no harm before it is unmasked, so that a vPE which is only pre-empted gives the ITS no command.
//! 2. `leave`: if it waits, a doorbell that may be stale is cleared while no event can ring it; Dirty polled, Valid
//!    cleared, Dirty polled; if it waits and nothing is pending the doorbell is unmasked.
//! 3. `rang`: the doorbell is masked at once, since on GICv4.0 it would ring for every event.
//!
//! A pending table that is not clean in time is counted, and something counts as pending: the vPE runs once more than it needs to.
//! An ITS that does not take a command stops the CPU; the line on the console says why.

use crate::its::{self, POLLS};
use crate::percpu::{PerCpu, Physical};
use crate::plan_data::PLAN;
use gicv4::Error;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::hw::MmioFrame;
use gicv4::vpe::{NonResident, Resident};
use plan::VpeIndex;
use vm::counters::Counter;

pub enum Residency {
    /// The vPE has no vLPIs, or the board no virtual LPIs.
    None,
    Out {
        vpe: NonResident,
        bell: Doorbell,
    },
    In {
        vpe: Resident<MmioFrame>,
        bell: Doorbell,
        /// The doorbell may have rung while it was masked.
        stale: bool,
    },
}

/// Why a vPE stops being resident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It waits for an interrupt, or is off: its doorbell may ring.
    Waits,
    /// Another vPE has the CPU; it will run again anyway, so its doorbell stays masked.
    Preempted,
}

impl Residency {
    /// A vPE that has not begun.
    pub fn first(vpe: VpeIndex) -> Self {
        match PLAN.vpes.get(vpe.index()).and_then(|vpe| vpe.tables.as_ref()) {
            Some(tables) if PLAN.board.direct_injection => Self::Out {
                vpe: NonResident::new(tables.vpropbaser, tables.vpendbaser),
                bell: Doorbell::Silent,
            },
            _ => Self::None,
        }
    }
}

fn count(this: &PerCpu, counter: Counter) {
    this.guest.vpe.counters.count(counter);
}

/// The vPE becomes resident on the calling CPU, its own.
pub fn enter(this: &PerCpu, cpu: &Physical) -> Result<(), Error> {
    let mut residency = this.residency.lock();
    *residency = match core::mem::replace(&mut *residency, Residency::None) {
        Residency::Out { vpe, mut bell } => match cpu.vacant.lock().take() {
            Some(vacant) => {
                let vpe = vpe.enter(vacant);
                count(this, Counter::ResidencyChanges);
                let todo = bell.entered();
                let stale = todo == Todo::Clear;
                if !stale {
                    its::doorbell(this.vpe, todo, cpu)?;
                }
                Residency::In { vpe, bell, stale }
            }
            None => Residency::Out { vpe, bell },
        },
        other => other,
    };
    Ok(())
}

/// The vPE stops being resident on the calling CPU. True: something is pending for it already.
pub fn leave(this: &PerCpu, cpu: &Physical, why: Why) -> Result<bool, Error> {
    let mut residency = this.residency.lock();
    let (next, pending) = match core::mem::replace(&mut *residency, Residency::None) {
        Residency::In { vpe, mut bell, stale } => {
            if why == Why::Waits && stale {
                its::doorbell(this.vpe, Todo::Clear, cpu)?;
            }
            let leaving = vpe.leave(POLLS).unwrap_or_else(|stuck| {
                count(this, Counter::SlowTables);
                stuck.state.leave_unsettled()
            });
            let left = leaving.finish(POLLS).unwrap_or_else(|stuck| {
                count(this, Counter::SlowTables);
                stuck.state.give_up()
            });
            *cpu.vacant.lock() = Some(left.redistributor);
            count(this, Counter::ResidencyChanges);
            if why == Why::Waits {
                its::doorbell(this.vpe, bell.left(left.pending), cpu)?;
            }
            (Residency::Out { vpe: left.vpe, bell }, left.pending)
        }
        other => (other, false),
    };
    *residency = next;
    Ok(pending)
}

/// The doorbell LPI was acknowledged by the vPE's CPU. True: the vPE has work.
pub fn rang(this: &PerCpu, cpu: &Physical) -> Result<bool, Error> {
    count(this, Counter::Doorbells);
    let mut residency = this.residency.lock();
    let Residency::Out { bell, .. } = &mut *residency else { return Ok(false) };
    let todo = bell.rang();
    its::doorbell(this.vpe, todo, cpu)?;
    Ok(matches!(todo, Todo::MaskAndRun))
}
