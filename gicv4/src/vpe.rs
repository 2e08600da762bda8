// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Residency of a vPE on GICv4.0, as a typestate.
//!
//! A redistributor has at most one resident vPE, and a vPE is resident on at most one
//! redistributor. Both are values here: [`Vacant`] is the redistributor's VLPI frame with nobody in
//! it, [`NonResident`] a vPE that is nowhere. `enter` takes both and gives [`Resident`]; what
//! leaves gives both back. Follows IHI 0069H 5.6 and GICR_VPENDBASER in 12.11.
//!
//! ```text
//! NonResident + Vacant --enter--> Resident --leave--> Descheduling --finish--> both, and `pending`
//! ```
//!
//! 1. `enter`: VPROPBASER, then VPENDBASER with Valid and PendingLast set: two stores. From here on
//!    vLPIs are signalled to the guest and doorbells do not ring.
//! 2. `leave`: wait for Dirty = 0 (clearing Valid while the GIC still reads the table is
//!    UNPREDICTABLE), then clear Valid.
//! 3. `finish`: wait for Dirty = 0 again; only then PendingLast is meant, and the table in memory
//!    is complete.
//!
//! Moving a vPE to another redistributor needs VMOVP and VSYNC between `finish` there and `enter`
//! here; [`NonResident::move_to`] makes the commands, so they exist only for a vPE that is nowhere.
//!
//! A GIC that takes too long over a table gives the state back with the error; `leave_unsettled`
//! and `give_up` go on all the same.
//!
//! A vPE that never leaves costs nothing more. Not supported: GICv4.1, which is [`crate::vpe41`].

use crate::command::Command;
use crate::error::{Error, Stuck, Wait, poll};
use crate::frame::{Frame, VirtualLpis};
use crate::given::{Base, Vetted};
use crate::intid::{RdBase, VpeId};
use crate::regs::vlpi::{self, GICR_VPENDBASER};
use crate::regs::vlpi::{VirtualConfigBase, VirtualPendingBase};

const VALID: u64 = GICR_VPENDBASER::Valid::SET.value;
const DIRTY: u64 = GICR_VPENDBASER::Dirty::SET.value;
const PENDING_LAST: u64 = GICR_VPENDBASER::PendingLast::SET.value;
const IDAI: u64 = GICR_VPENDBASER::IDAI::SET.value;

/// The VLPI frame of a redistributor without a resident vPE.
#[derive(Debug)]
pub struct Vacant<F> {
    frame: F,
}

impl<F: Frame<Block = VirtualLpis>> Vacant<F> {
    /// Takes the redistributor's VLPI frame and evicts what firmware left.
    ///
    /// `intid_bits`: vINTID bits of the vPEs to come. The GIC drops a vLPI for an absent vPE that
    /// lies beyond GICR_VPROPBASER.IDbits, which is UNKNOWN after reset.
    pub fn take(frame: F, intid_bits: u8, polls: u32) -> Result<Self, Error> {
        let value = wait_clean(&frame, polls)?;
        if value & VALID != 0 {
            frame.write(vlpi::VPENDBASER, Base::known(value & !VALID & !PENDING_LAST));
            wait_clean(&frame, polls)?;
        }
        // No address: nobody is resident.
        frame.write(vlpi::VPROPBASER, Base::known(u64::from(intid_bits.saturating_sub(1))));
        Ok(Self { frame })
    }

    /// Gives the frame back.
    pub fn release(self) -> F {
        self.frame
    }
}

/// A vPE that is not resident anywhere.
#[derive(Debug)]
pub struct NonResident {
    vpropbaser: VirtualConfigBase,
    /// With what the GIC said in IDAI last time.
    vpendbaser: u64,
}

impl NonResident {
    /// A vPE from its two constants ([`crate::layout::vpropbaser`], [`crate::layout::vpendbaser`]).
    /// One such value for each vPE: two would be two residencies.
    pub const fn new(vpropbaser: VirtualConfigBase, vpendbaser: VirtualPendingBase) -> Self {
        Self { vpropbaser, vpendbaser: vpendbaser.bits() & !(VALID | DIRTY) | PENDING_LAST }
    }

    /// Makes the vPE resident. Clear its doorbell afterwards: one that was pending before is stale
    /// now.
    #[inline]
    pub fn enter<F: Frame<Block = VirtualLpis>>(self, on: Vacant<F>) -> Resident<F> {
        on.frame.write(vlpi::VPROPBASER, self.vpropbaser);
        on.frame.write(vlpi::VPENDBASER, Base::known(self.vpendbaser | VALID));
        Resident { frame: on.frame, vpe: self }
    }

    /// Commands that move the vPE to another redistributor: VMOVP and VSYNC, to be consumed before
    /// it enters there. For a GIC whose GITS_TYPER.VMOVP is 1. The doorbell is moved by
    /// [`crate::doorbell::Proxy::move_to`].
    pub const fn move_to(&mut self, vpe: VpeId, redistributor: RdBase) -> [Vetted; 2] {
        [
            Vetted::harmless(Command::Vmovp { vpe, redistributor, sequence: 0, its_list: 0 }),
            Vetted::vsync(vpe),
        ]
    }
}

/// A vPE whose vLPIs go straight to it.
#[derive(Debug)]
pub struct Resident<F> {
    frame: F,
    vpe: NonResident,
}

impl<F: Frame<Block = VirtualLpis>> Resident<F> {
    /// Ends the residency. Waits at most `polls` reads for the GIC to have read the pending table.
    #[inline]
    pub fn leave(self, polls: u32) -> Result<Descheduling<F>, Stuck<Self>> {
        match wait_clean(&self.frame, polls) {
            Ok(value) => {
                self.frame.write(vlpi::VPENDBASER, Base::known(value & !VALID));
                Ok(Descheduling { frame: self.frame, vpe: self.vpe })
            }
            Err(error) => Err(Stuck { state: self, error }),
        }
    }

    /// The same after a wait that was too long: what the GIC still reads of the pending table may
    /// be lost to it, not to the table.
    pub fn leave_unsettled(self) -> Descheduling<F> {
        let value = self.frame.read(vlpi::VPENDBASER);
        self.frame.write(vlpi::VPENDBASER, Base::known(value & !VALID));
        Descheduling { frame: self.frame, vpe: self.vpe }
    }

    /// True once the GIC has read the pending table after `enter`: what was pending is signalled
    /// now.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.frame.read(vlpi::VPENDBASER) & DIRTY == 0
    }
}

/// A vPE whose pending state is on its way back to memory.
#[derive(Debug)]
pub struct Descheduling<F> {
    frame: F,
    vpe: NonResident,
}

/// What is left when a vPE has left.
#[derive(Debug)]
pub struct Left<F> {
    /// The vPE that left.
    pub vpe: NonResident,
    /// The redistributor that it left.
    pub redistributor: Vacant<F>,
    /// GICR_VPENDBASER.PendingLast: an enabled vLPI is pending, the vPE should run again without
    /// waiting for a doorbell. False: the next event rings, or has rung, the doorbell.
    pub pending: bool,
}

impl<F: Frame<Block = VirtualLpis>> Descheduling<F> {
    /// Goes on after a wait that was too long. PendingLast is not known, so something counts as
    /// pending: the vPE runs once more than it needs to, and none is lost.
    pub fn give_up(self) -> Left<F> {
        let value = self.frame.read(vlpi::VPENDBASER);
        let vpendbaser = (self.vpe.vpendbaser & !IDAI) | (value & IDAI);
        Left {
            vpe: NonResident { vpendbaser, ..self.vpe },
            redistributor: Vacant { frame: self.frame },
            pending: true,
        }
    }

    /// Waits until the pending table is complete in memory, at most `polls` reads.
    #[inline]
    pub fn finish(self, polls: u32) -> Result<Left<F>, Stuck<Self>> {
        match wait_clean(&self.frame, polls) {
            Ok(value) => {
                let vpendbaser = (self.vpe.vpendbaser & !IDAI) | (value & IDAI);
                Ok(Left {
                    vpe: NonResident { vpendbaser, ..self.vpe },
                    redistributor: Vacant { frame: self.frame },
                    pending: value & PENDING_LAST != 0,
                })
            }
            Err(error) => Err(Stuck { state: self, error }),
        }
    }
}

/// The register's value with Dirty clear.
#[inline(always)]
fn wait_clean<F: Frame<Block = VirtualLpis>>(frame: &F, polls: u32) -> Result<u64, Error> {
    poll(polls, Wait::PendingTableClean, || match frame.read(vlpi::VPENDBASER) {
        value if value & DIRTY == 0 => Ok(value),
        value => Err(value),
    })
}
