// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands out of the guest's memory, a bounded number at a time.
//!
//! 1. GITS_CWRITER moves, or the ITS is enabled with commands waiting.
//! 2. The vPE takes the VM's turn; if another has it, the write is to be tried again.
//! 3. Each command is copied out of the VM's memory once, executed, and GITS_CREADR goes on.
//! 4. When a physical interrupt waits, or after [`super::batches::BUDGET`] units of work, the write
//!    is to be tried again: the interrupt is taken in between, and a guest that floods its queue
//!    waits for it itself. When the VM has used up its [`crate::allowance`], the write is to be
//!    tried again later; until then its vPE sleeps. A command that touches many events goes on
//!    where it stopped.
//!
//! A queue outside of the VM's memory, or a GITS_CWRITER outside of the queue, stalls
//! (GITS_CREADR.Stalled) with nothing executed.

use super::{
    Refusal,
    batches::Batches,
    command,
    its::ENABLED,
    wait::{Stop, Wait},
};
use crate::{Guest, Platform, counters::Counter, mmio::Written};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub(super) const COMMAND_BYTES: u64 = 32;
pub(super) const STALLED: u64 = 1;
const VALID: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Bytes of the queue that GITS_CBASER names.
pub(super) const fn bytes(cbaser: u64) -> u64 {
    ((cbaser & 0xff) + 1) * 4096
}

/// Executes what waits.
pub(super) fn run<P: Platform>(guest: &Guest, platform: &mut P) -> Written {
    let Some(_turn) = guest.vm.its.turn() else { return Written::Again };
    match execute(guest, Batches::new(guest, platform)) {
        Ok(()) => Written::Done,
        Err(wait) => wait.into(),
    }
}

fn execute<P: Platform>(guest: &Guest, mut batches: Batches<'_, P>) -> Result<(), Wait> {
    let its = &guest.vm.its;
    loop {
        let (base, read) = (its.cbaser.load(Relaxed), its.creadr.load(Relaxed));
        let waiting = its.ctlr.load(Relaxed) & ENABLED != 0
            && base & VALID != 0
            && read & STALLED == 0
            && read != its.cwriter.load(Acquire);
        if !waiting {
            return Ok(());
        }
        batches.goes_on()?;
        // GITS_CBASER may have become smaller since GITS_CWRITER was written: such a pointer is
        // never reached.
        let inside = its.cwriter.load(Relaxed) < bytes(base) && read < bytes(base);
        let place = (base & ADDRESS).checked_add(read).filter(|_| inside);
        let Some(pa) = place.and_then(|ipa| guest.memory(ipa, COMMAND_BYTES)) else {
            its.refuse(&guest.vpe.counters, [0; 4], Refusal::Queue);
            its.creadr.store(read | STALLED, Release);
            return Ok(());
        };
        let words = batches.platform.read_command(pa);
        match command::execute(&mut batches, words) {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => its.refuse(&guest.vpe.counters, words, refusal),
            Err(Stop::Wait(wait)) => return Err(wait),
        }
        its.reached.store(0, Relaxed);
        guest.vpe.counters.count(Counter::ItsCommands);
        batches.worked();
        let next = read + COMMAND_BYTES;
        its.creadr.store(if next < bytes(base) { next } else { 0 }, Release);
    }
}
