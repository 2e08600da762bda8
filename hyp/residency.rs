//! The residency of a CPU's vPE, and its doorbell.
//!
//! A vPE is resident from its start to its end or sleep; while it is, its events reach it without EL2. Around that
//! (IHI 0069H 5.6, gicv4::vpe, gicv4::doorbell):
//!
//! 1. `enter`: VPROPBASER, VPENDBASER with Valid; then a stale doorbell is cleared, and it is masked.
//! 2. `leave`: Dirty polled, Valid cleared, Dirty polled; if nothing is pending the doorbell is unmasked.
//! 3. `rang`: the doorbell is masked at once, since on GICv4.0 it would ring for every event.
//!
//! A failed wait makes the CPU's residency `Stuck`: the vPE goes on without vLPIs, and the line on the console says why.

use crate::its::{self, POLLS};
use crate::percpu::PerCpu;
use crate::plan_data::PLAN;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::hw::MmioFrame;
use gicv4::vpe::{NonResident, Resident, Vacant};
use gicv4::{Error, Stuck};
use plan::Cpu;
use vm::counters::Counter;

pub enum Residency {
    /// The vPE has no vLPIs, or the board no virtual LPIs.
    None,
    Out {
        vpe: NonResident,
        place: Vacant<MmioFrame>,
        bell: Doorbell,
    },
    In {
        vpe: Resident<MmioFrame>,
        bell: Doorbell,
    },
}

impl Residency {
    /// The vPE of this CPU, not resident; evicts what firmware left. Once, at boot.
    pub fn first(this: &PerCpu, cpu: &Cpu) -> Result<Self, Error> {
        let Some(tables) = PLAN.vpes.get(this.vpe.index()).and_then(|vpe| vpe.tables.as_ref())
        else {
            return Ok(Self::None);
        };
        let place = Vacant::take(crate::arch::mmu::redistributor(cpu), POLLS)?;
        let vpe = NonResident::new(tables.vpropbaser, tables.vpendbaser);
        Ok(Self::Out { vpe, place, bell: Doorbell::Silent })
    }
}

fn count(this: &PerCpu, counter: Counter) {
    this.guest.vpe.counters.count(counter);
}

/// The vPE becomes resident.
pub fn enter(this: &PerCpu) -> Result<(), Error> {
    let mut residency = this.residency.lock();
    *residency = match core::mem::replace(&mut *residency, Residency::None) {
        Residency::Out { vpe, place, mut bell } => {
            let vpe = vpe.enter(place);
            count(this, Counter::ResidencyChanges);
            its::doorbell(this.vpe, bell.entered(), this.rd_base)?;
            Residency::In { vpe, bell }
        }
        other => other,
    };
    Ok(())
}

/// The vPE stops being resident and its doorbell may ring. True: something is pending already.
pub fn leave(this: &PerCpu) -> Result<bool, Error> {
    let mut residency = this.residency.lock();
    let (next, pending) = match core::mem::replace(&mut *residency, Residency::None) {
        Residency::In { vpe, mut bell } => {
            let leaving = vpe.leave(POLLS).map_err(why)?;
            let left = leaving.finish(POLLS).map_err(why)?;
            count(this, Counter::ResidencyChanges);
            its::doorbell(this.vpe, bell.left(left.pending), this.rd_base)?;
            (Residency::Out { vpe: left.vpe, place: left.redistributor, bell }, left.pending)
        }
        other => (other, false),
    };
    *residency = next;
    Ok(pending)
}

/// The doorbell LPI was acknowledged. True: the vPE has work.
pub fn rang(this: &PerCpu) -> Result<bool, Error> {
    count(this, Counter::Doorbells);
    let mut residency = this.residency.lock();
    let Residency::Out { bell, .. } = &mut *residency else { return Ok(false) };
    let todo = bell.rang();
    its::doorbell(this.vpe, todo, this.rd_base)?;
    Ok(matches!(todo, Todo::MaskAndRun))
}

fn why<S>(stuck: Stuck<S>) -> Error {
    stuck.error
}
