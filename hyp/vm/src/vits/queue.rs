//! Commands out of the guest's memory, a bounded number at a time.
//!
//! 1. GITS_CWRITER moves, or the ITS is enabled with commands waiting.
//! 2. The vPE takes the VM's turn; if another has it, the write is to be tried again.
//! 3. Each command is copied out of the VM's memory once, executed, and GITS_CREADR goes on.
//! 4. When a physical interrupt waits, after [`BUDGET`] units of work, or when the VM has used up its [`super::allowance`], the write is to be tried again as well: the interrupt is
//!    taken in between, and a guest that floods its queue waits for it itself.
//!
//! A queue outside of the VM's memory, or a GITS_CWRITER outside of the queue, stalls (GITS_CREADR.Stalled) with nothing executed.

use super::{Refusal, command, frame::ENABLED, hardware::Hardware};
use crate::{Guest, Platform, counters::Counter, mmio::Written};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Commands of the guest that one trap executes, and hardware batches that they cause.
pub(super) const BUDGET: u64 = 32;

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
    let its = &guest.vm.its;
    let Some(_turn) = its.turn() else { return Written::Again };
    let before = work(guest);
    loop {
        let (base, read) = (its.cbaser.load(Relaxed), its.creadr.load(Relaxed));
        let waiting = its.ctlr.load(Relaxed) & ENABLED != 0
            && base & VALID != 0
            && read & STALLED == 0
            && read != its.cwriter.load(Acquire);
        if !waiting {
            return Written::Done;
        }
        let done = work(guest).wrapping_sub(before);
        let allowed = its.allowance.left(platform.ticks(), guest.plan.board.timer.frequency);
        if !allowed || done >= BUDGET || done != 0 && platform.interrupted() {
            return Written::Again;
        }
        // GITS_CBASER may have become smaller since GITS_CWRITER was written: such a pointer is never reached.
        let inside = its.cwriter.load(Relaxed) < bytes(base) && read < bytes(base);
        let place = (base & ADDRESS).checked_add(read).filter(|_| inside);
        let Some(pa) = place.and_then(|ipa| guest.memory(ipa, COMMAND_BYTES)) else {
            its.refuse(guest, [0; 4], Refusal::Queue);
            its.creadr.store(read | STALLED, Release);
            return Written::Done;
        };
        let words = platform.read_command(pa);
        guest.vpe.counters.count(Counter::ItsCommands);
        let counters = &guest.vpe.counters;
        let batches = hardware_batches(guest);
        let hardware = Hardware { view: guest.view(), platform: &mut *platform, counters };
        if let Err(refusal) = command::execute(guest, hardware, words) {
            its.refuse(guest, words, refusal);
        }
        its.allowance.spend(hardware_batches(guest).wrapping_sub(batches));
        let next = read + COMMAND_BYTES;
        its.creadr.store(if next < bytes(base) { next } else { 0 }, Release);
    }
}

/// Commands and hardware batches so far.
fn work(guest: &Guest) -> u64 {
    guest.vpe.counters.get(Counter::ItsCommands).wrapping_add(hardware_batches(guest))
}

fn hardware_batches(guest: &Guest) -> u64 {
    let of = |counter| guest.vpe.counters.get(counter);
    [
        Counter::ItsRemapped,
        Counter::ItsDiscarded,
        Counter::ItsMoved,
        Counter::ItsConfigured,
        Counter::ItsSet,
    ]
    .into_iter()
    .map(of)
    .fold(0, u64::wrapping_add)
}
