// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The residency of a vPE, and its doorbell.
//!
//! While a vPE is resident, its events reach it without EL2. On an exclusive CPU it is from its
//! start to its end or sleep; on a shared one while it has the CPU. Around that (IHI 0069H 5.6,
//! gicv4::residency has the order of the steps; tests/wakeup runs through all orders of them and of
//! a device's events):
//!
//! 1. `enter`: it becomes resident, and its doorbell is masked. A vPE that is only pre-empted gives
//!    the ITS no command.
//! 2. `leave`: if it waits, its doorbell is unmasked. From here on an event rings, or is pending.
//! 3. `rang`: the doorbell is masked at once, since on GICv4.0 it would ring for every event.
//!
//! On GICv4.1 the GIC does all that by itself, and no command is given (`gicv4::vpe41`).
//!
//! A pending table that is not clean in time is counted, and something counts as pending: the vPE
//! runs once more than it needs to. An ITS that does not take a command stops the CPU; the line on
//! the console says why.

use crate::gic::its;
use crate::state::cpu::{Local, POLLS};
use crate::state::parts::Direct;
use crate::state::system::Built;
use crate::state::vpe::{Place, Residency, Vpe};
use arch::given;
use core::mem::replace;
use gicv4::Error;
use gicv4::residency::Form;
use gicv4::vpe41::Reason;
use vm::counters::Counter;

/// Why a vPE stops being resident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It waits for an interrupt, or is off: its doorbell may ring.
    Waits,
    /// Another vPE has the CPU; it will run again anyway, so its doorbell stays masked.
    Preempted,
}

impl Why {
    /// In GICv4.1's words.
    const fn reason(self) -> Reason {
        match self {
            Self::Waits => Reason::Blocked,
            Self::Preempted => Reason::Preempted,
        }
    }
}

fn count(this: &Vpe, counter: Counter) {
    this.guest.vpe.counters.count(counter);
}

/// The vPE becomes resident on the calling CPU, its own.
pub fn enter(this: &Vpe, cpu: &Local) -> Result<(), Error> {
    let mut own = this.residency.lock();
    let Residency { place, bell } = &mut *own;
    let absent = match replace(place, Place::None) {
        Place::Out(vpe) => Some(vpe),
        Place::First => given::vpe::<Built, Direct>(this.index),
        other => {
            *place = other;
            None
        }
    };
    let Some(vpe) = absent else { return Ok(()) };
    match cpu.vacant.lock().take() {
        Some(vacant) => {
            count(this, Counter::ResidencyChanges);
            let (resident, todo) = Direct::enter(vpe, vacant, bell);
            *place = Place::In(resident);
            its::doorbell(this.index, todo, cpu)
        }
        None => {
            *place = Place::Out(vpe);
            Ok(())
        }
    }
}

/// The vPE stops being resident on the calling CPU. True: something is pending for it already.
pub fn leave(this: &Vpe, cpu: &Local, why: Why) -> Result<bool, Error> {
    let mut own = this.residency.lock();
    let Residency { place, bell } = &mut *own;
    match replace(place, Place::None) {
        Place::In(vpe) => {
            if why == Why::Waits {
                its::doorbell(this.index, Direct::waits(bell), cpu)?;
            }
            let slow = || count(this, Counter::SlowTables);
            let (vpe, vacant, pending) = Direct::leave(vpe, why.reason(), POLLS, slow);
            *cpu.vacant.lock() = Some(vacant);
            *place = Place::Out(vpe);
            count(this, Counter::ResidencyChanges);
            Ok(pending)
        }
        other => {
            *place = other;
            Ok(false)
        }
    }
}

/// The doorbell LPI was acknowledged by the vPE's CPU. True: the vPE has work.
pub fn rang(this: &Vpe, cpu: &Local) -> Result<bool, Error> {
    count(this, Counter::Doorbells);
    let mut own = this.residency.lock();
    if !matches!(own.place, Place::Out(_)) {
        return Ok(false);
    }
    let (has_work, todo) = Direct::rang(&mut own.bell);
    its::doorbell(this.index, todo, cpu)?;
    Ok(has_work)
}
