// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts that come from no physical line: the emulated UART's level, the watchdog's pulse.
//!
//! Also what both kinds have in common when they move to a vPE, and end.

use super::{Distributor, bank::place, physical, redistributor::RECHECK};
use crate::{Guest, Platform, VpeState};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};

/// Times that an interrupt follows its route before it stays with whom it was last routed to: a
/// guest that keeps changing routes gets it somewhere.
pub(super) const TRIES: u32 = 4;

impl Distributor {
    /// Interrupt `intid` waits for the vPE that it goes to. Answers that vPE's number: it must look
    /// at its next flush.
    pub(super) fn queue(&self, vpes: &[VpeState], intid: u32) -> Option<usize> {
        let (word, bit) = place(intid);
        let mut number = self.route_of(intid);
        for _ in 0..TRIES {
            let redistributor = &vpes.get(number)?.redistributor;
            redistributor.waiting[word].fetch_or(bit, SeqCst);
            // Whoever routed it elsewhere meanwhile may not have found it here: then it is ours to
            // move.
            let now = self.route_of(intid);
            if now == number || redistributor.waiting[word].fetch_and(!bit, SeqCst) & bit == 0 {
                return Some(number);
            }
            number = now;
        }
        vpes.get(number)?.redistributor.waiting[word].fetch_or(bit, SeqCst);
        Some(number)
    }

    /// The emulated UART's interrupt line is now at `level`; `vpes` are the VM's. Answers the
    /// number of the vPE whose CPU must look: [`super::notify`], or a kick from outside the VM.
    /// Under the UART's lock.
    pub fn set_line(&self, vpes: &[VpeState], level: bool) -> Option<usize> {
        let intid = self.emulated.load(Relaxed);
        if self.line.load(Relaxed) == level || intid == 0 {
            return None;
        }
        self.line.store(level, Release);
        let number = if level { self.queue(vpes, intid)? } else { self.route_of(intid) };
        let redistributor = &vpes.get(number)?.redistributor;
        if !level {
            let (word, bit) = place(intid);
            redistributor.waiting[word].fetch_and(!bit, AcqRel);
        }
        redistributor.attention.fetch_or(RECHECK, AcqRel);
        Some(number)
    }
}

/// An interrupt that is the emulation's own and no level becomes pending. As [`super::hold_spi`];
/// None: it goes to nobody, and is lost.
pub fn raise(distributor: &Distributor, vpes: &[VpeState], intid: u32) -> Option<usize> {
    let number = distributor.queue(vpes, intid)?;
    vpes.get(number)?.redistributor.attention.fetch_or(RECHECK, AcqRel);
    Some(number)
}

/// An interrupt of this vPE's that was in no list register is inactive now.
pub(super) fn ended<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if physical::hardware(guest, word) & bit != 0 {
        physical::deactivate(platform, intid);
    } else if word != 0 {
        sample(guest, platform, intid);
    }
}

/// An emulated interrupt is in no list register any more: while its line is high it is pending.
pub(super) fn sample<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    guest.vm.distributor.release();
    let (emulated, line) = guest.vm.distributor.emulated_line();
    if !line || emulated != intid {
        return;
    }
    if let Some(number) = guest.vm.distributor.queue(guest.vpes, intid)
        && number != guest.number
    {
        signal(guest, platform, number);
    }
}

/// Something changed for another vPE of the VM's, `number`: it looks at its next flush.
pub(super) fn signal<P: Platform>(guest: &Guest, platform: &mut P, number: usize) {
    if let Some(vpe) = guest.vpes.get(number)
        && P::SEVERAL_VPES
    {
        vpe.redistributor.attention.fetch_or(RECHECK, AcqRel);
        platform.kick(guest.vpe_index(number));
    }
}
