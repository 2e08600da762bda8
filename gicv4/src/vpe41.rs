// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Residency of a vPE on GICv4.1, as a typestate.
//!
//! The same states as [`crate::vpe`], other registers: the redistributor knows the vPE table
//! (VPROPBASER, once at boot: [`crate::vpe_table`]), and a vPE becomes resident by its number.
//! On leaving, software says whether it wants to be called again: `Blocked` asks for the default
//! doorbell (guaranteed to ring if nothing was pending), `Preempted` does not. The GIC takes a
//! doorbell that has rung back by itself when the vPE becomes resident, so nothing masks or clears
//! it. IHI 0069H 5.6.3 and GICR_VPENDBASER in 12.11.
//!
//! Virtual SGIs are configured by the VSGI command and sent by GITS_SGIR ([`send_sgi`]);
//! [`pending_sgis`] reads their pending state. They have no active state.

use crate::command::Command;
use crate::error::{Error, Stuck, Wait, poll};
use crate::frame::{Frame, ItsSgis, VirtualLpis};
use crate::given::{Base, Vetted};
use crate::intid::{IntId, RdBase, VpeId};
use crate::regs::gits::{GITS_SGIR, sgi};
use crate::regs::vlpi::{
    self, GICR_VPENDBASER_V41, GICR_VPROPBASER_V41, GICR_VSGIPENDR, GICR_VSGIR,
};

const VALID: u64 = GICR_VPENDBASER_V41::Valid::SET.value;
const DIRTY: u64 = GICR_VPENDBASER_V41::Dirty::SET.value;
const PENDING_LAST: u64 = GICR_VPENDBASER_V41::PendingLast::SET.value;
const DOORBELL: u64 = GICR_VPENDBASER_V41::Doorbell::SET.value;

/// A GICv4.1 redistributor without a resident vPE.
#[derive(Debug)]
pub struct VacantV41<F> {
    frame: F,
}

impl<F: Frame<Block = VirtualLpis>> VacantV41<F> {
    /// Takes the redistributor and evicts what firmware left: the vPE, then the vPE table. Nobody
    /// enters before [`crate::vpe_table::install`].
    pub fn take(frame: F, polls: u32) -> Result<Self, Error> {
        let value = wait_clean(&frame, polls)?;
        if value & VALID != 0 {
            frame.write(vlpi::VPENDBASER, Base::known(PENDING_LAST));
            wait_clean(&frame, polls)?;
        }
        if frame.fields(vlpi::VPROPBASER_V41).is_set(GICR_VPROPBASER_V41::Valid) {
            frame.write(vlpi::VPROPBASER_V41, Base::known(0));
        }
        Ok(Self { frame })
    }

    /// Gives the frame back.
    pub fn release(self) -> F {
        self.frame
    }

    /// Pending state of the virtual SGIs of any vPE, a bit for each (GICR_VSGIR, GICR_VSGIPENDR).
    pub fn pending_sgis(&self, vpe: VpeId, polls: u32) -> Result<u16, Error> {
        pending_sgis(&self.frame, vpe, polls)
    }
}

/// A vPE that is not resident anywhere.
#[derive(Debug)]
pub struct NonResidentV41 {
    /// VPENDBASER with Valid.
    entry: u64,
}

impl NonResidentV41 {
    /// A vPE from its constant ([`crate::layout::vpendbaser_v41`]). One such value for each vPE.
    pub const fn new(vpendbaser: u64) -> Self {
        Self { entry: vpendbaser & !(DIRTY | PENDING_LAST | DOORBELL) | VALID }
    }

    /// Makes it resident: its vLPIs and vSGIs are delivered from here on.
    #[inline]
    pub fn enter<F: Frame<Block = VirtualLpis>>(self, on: VacantV41<F>) -> ResidentV41<F> {
        on.frame.write(vlpi::VPENDBASER, Base::known(self.entry));
        ResidentV41 { frame: on.frame, vpe: self }
    }

    /// Commands that move the vPE and its default doorbell to another redistributor, to be consumed
    /// before it enters there. For a GIC whose GITS_TYPER.VMOVP is 1.
    pub const fn move_to(
        &mut self,
        vpe: VpeId,
        redistributor: RdBase,
        doorbell: IntId,
    ) -> [Vetted; 2] {
        let (sequence, its_list, doorbell) = (0, 0, Some(doorbell));
        let vmovp = Command::VmovpV41 { vpe, redistributor, sequence, its_list, doorbell };
        [Vetted::harmless(vmovp), Vetted::vsync(vpe)]
    }
}

/// Why a vPE stops being resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It waits for an interrupt: ring its default doorbell when one is pending.
    Blocked,
    /// It will run again anyway: no doorbell.
    Preempted,
}

impl Reason {
    /// Of GICR_VPENDBASER, with Valid = 0.
    const fn bits(self) -> u64 {
        match self {
            Self::Blocked => DOORBELL,
            Self::Preempted => PENDING_LAST,
        }
    }
}

/// A vPE whose vLPIs and vSGIs go straight to it.
#[derive(Debug)]
pub struct ResidentV41<F> {
    frame: F,
    vpe: NonResidentV41,
}

impl<F: Frame<Block = VirtualLpis>> ResidentV41<F> {
    /// Clears Valid. `polls`: reads of GICR_VPENDBASER until Dirty is clear. Stuck: it is resident
    /// as before.
    #[inline]
    pub fn leave(self, reason: Reason, polls: u32) -> Result<DeschedulingV41<F>, Stuck<Self>> {
        match wait_clean(&self.frame, polls) {
            Ok(value) => {
                let value = value & !(VALID | PENDING_LAST | DOORBELL) | reason.bits();
                self.frame.write(vlpi::VPENDBASER, Base::known(value));
                Ok(DeschedulingV41 { frame: self.frame, vpe: self.vpe, reason })
            }
            Err(error) => Err(Stuck { state: self, error }),
        }
    }

    /// The same after a wait that was too long.
    pub fn leave_unsettled(self, reason: Reason) -> DeschedulingV41<F> {
        let value = self.vpe.entry & !VALID | reason.bits();
        self.frame.write(vlpi::VPENDBASER, Base::known(value));
        DeschedulingV41 { frame: self.frame, vpe: self.vpe, reason }
    }

    /// True once the GIC has read the vPE's state after `enter`.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.frame.read(vlpi::VPENDBASER) & DIRTY == 0
    }

    /// As [`VacantV41::pending_sgis`].
    pub fn pending_sgis(&self, vpe: VpeId, polls: u32) -> Result<u16, Error> {
        pending_sgis(&self.frame, vpe, polls)
    }
}

/// A vPE whose pending state is on its way back to memory.
#[derive(Debug)]
pub struct DeschedulingV41<F> {
    frame: F,
    vpe: NonResidentV41,
    reason: Reason,
}

/// What is left when a vPE has left.
#[derive(Debug)]
pub struct LeftV41<F> {
    /// The vPE that left.
    pub vpe: NonResidentV41,
    /// The redistributor that it left.
    pub redistributor: VacantV41<F>,
    /// Run it again without waiting for a doorbell. Always true after `Preempted`: nothing else
    /// would call for it.
    pub pending: bool,
}

impl<F: Frame<Block = VirtualLpis>> DeschedulingV41<F> {
    /// Goes on after a wait that was too long: something counts as pending, none is lost.
    pub fn give_up(self) -> LeftV41<F> {
        let redistributor = VacantV41 { frame: self.frame };
        LeftV41 { vpe: self.vpe, redistributor, pending: true }
    }

    /// Waits, with `polls` reads at most, until the redistributor has written the pending table.
    /// Stuck: to be tried again.
    #[inline]
    pub fn finish(self, polls: u32) -> Result<LeftV41<F>, Stuck<Self>> {
        match wait_clean(&self.frame, polls) {
            Ok(value) => Ok(LeftV41 {
                vpe: self.vpe,
                redistributor: VacantV41 { frame: self.frame },
                pending: value & PENDING_LAST != 0 || self.reason == Reason::Preempted,
            }),
            Err(error) => Err(Stuck { state: self, error }),
        }
    }
}

#[inline]
fn wait_clean<F: Frame<Block = VirtualLpis>>(frame: &F, polls: u32) -> Result<u64, Error> {
    poll(polls, Wait::PendingTableClean, || match frame.read(vlpi::VPENDBASER) {
        value if value & DIRTY == 0 => Ok(value),
        value => Err(value),
    })
}

/// Makes a virtual SGI of a vPE pending (GITS_SGIR), whoever runs it. No command and no queue, so
/// that no caller waits for another.
#[inline]
pub fn send_sgi<F: Frame<Block = ItsSgis>>(frame: &F, vpe: VpeId, sgi: u8) {
    let value = GITS_SGIR::VPEID.val(vpe.value().into()) + GITS_SGIR::VINTID.val(sgi.into());
    frame.write(sgi::SGIR, value.value);
}

/// Pending virtual SGIs of a vPE, a bit for each (GICR_VSGIR, GICR_VSGIPENDR).
///
/// `frame` is of the redistributor that VMAPP or VMOVP named, and the caller the only one there:
/// writing while Busy is CONSTRAINED UNPREDICTABLE, and the answer is to the last question.
pub fn pending_sgis<F: Frame<Block = VirtualLpis>>(
    frame: &F,
    vpe: VpeId,
    polls: u32,
) -> Result<u16, Error> {
    frame.write(vlpi::VSGIR, GICR_VSGIR::VPEID.val(u32::from(vpe.value())).value);
    poll(polls, Wait::VirtualSgiState, || {
        let value = frame.read(vlpi::VSGIPENDR);
        if value & GICR_VSGIPENDR::Busy::SET.value != 0 {
            Err(u64::from(value))
        } else {
            Ok(value as u16)
        }
    })
}
