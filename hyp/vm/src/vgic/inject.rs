// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How interrupts get into list registers, and what happens when there are too few.
//!
//! Register 0 is the virtual timer's. The others are shared by SGIs, SPIs and the emulated UART. An
//! interrupt that finds no place waits in its vPE's redistributor. Short paths (one interrupt,
//! every shared register empty, nothing unusual) are inlined into the trap; everything else is
//! [`flush`]:
//!
//! An SPI of the hardware's is physically active from its acknowledge in EL2 until the guest ends
//! it (HW = 1) or it is given back, so that it cannot be in two places. IHI 0069H 4.8, 12.4;
//! GICH_LR state machine in 4.1.2.

use super::{
    Distributor,
    bank::place,
    flush::{count, flush},
    list, lpi, physical,
    redistributor::RECHECK,
};
use crate::{Guest, Platform, VpeState, counters::Counter, router::Router, vits::View};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed},
};
use gicv4::{IntId, list_regs::ListReg};

/// The virtual timer fired: its physical PPI is acknowledged and its priority dropped.
#[inline(always)]
pub fn inject_timer<P: Platform>(guest: &Guest, platform: &mut P) {
    let intid = IntId::new(P::VIRTUAL_TIMER);
    let priority = guest.vpe.redistributor.priority[P::VIRTUAL_TIMER as usize].load(Relaxed);
    list::set_timer(platform, ListReg::hardware(intid, intid, priority));
    guest.vpe.counters.count(Counter::InjectedTimer);
}

/// An SPI of the VM's arrived on this CPU: it is acknowledged and its priority dropped.
#[inline(always)]
pub fn inject_spi<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    if !try_inject_spi(guest, platform, intid) {
        inject_any(guest, platform, intid);
    }
}

/// A PPI of the vPE's arrived that shares list registers, the physical timer's or the PMU's: it is
/// acknowledged and its priority dropped.
pub fn inject_private<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    if !short_path(guest, platform) {
        return inject_any(guest, platform, intid);
    }
    let priority = guest.vpe.redistributor.priority[intid as usize].load(Relaxed);
    list::set_shared(platform, ListReg::hardware(IntId::new(intid), IntId::new(intid), priority));
    count::<P>(guest, intid, true, false);
}

/// Any interrupt that shares list registers: it waits for one, and gets one if it can.
fn inject_any<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if physical::hardware(guest, word) & bit != 0 {
        // The hardware had it inactive.
        guest.vpe.redistributor.parked[word].fetch_and(!bit, Relaxed);
    }
    guest.vpe.redistributor.waiting[word].fetch_or(bit, AcqRel);
    flush(guest, platform);
}

/// An SPI of the VM's arrived on a CPU that does not run the vPE it goes to: it is acknowledged and
/// its priority dropped, and waits for that vPE's next [`flush`]. Answers that vPE's number among
/// `vpes`, the VM's. None: it goes to nobody by now, and back.
pub fn hold_spi<P: Platform>(
    distributor: &Distributor,
    platform: &mut P,
    vpes: &[VpeState],
    intid: u32,
) -> Option<usize> {
    let Some(number) = distributor.queue(vpes, intid) else {
        physical::hand_back(platform, intid);
        return None;
    };
    vpes.get(number)?.redistributor.attention.fetch_or(RECHECK, AcqRel);
    Some(number)
}

/// The short path of [`inject_spi`], without a call; false: nothing was done.
#[inline(always)]
pub fn try_inject_spi<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) -> bool {
    // Masked, the guest may have quieted the device before it takes a level: [`doubt`].
    if platform.masked() || !short_path(guest, platform) {
        return false;
    }
    // Masked before it is inlined, the range that callers have checked makes the mask nothing.
    let priority = guest.vm.distributor.priority[intid as usize & 1023].load(Relaxed);
    list::set_shared(platform, ListReg::hardware(IntId::new(intid), IntId::new(intid), priority));
    guest.vpe.counters.count(Counter::InjectedSpi);
    true
}

/// The LPI of the plan's event `event` arrived on this CPU. False: nothing was done, as the event
/// goes elsewhere or is disabled. (The image's vectors have the short path, too.)
pub fn inject_lpi<P: Platform>(guest: &Guest, platform: &mut P, event: usize) -> bool {
    let vpe = guest.vpe_index(guest.number);
    let Some(entry) = guest.events.get(event).and_then(|event| event.entry(vpe)) else {
        return false;
    };
    if short_path(guest, platform) {
        list::set_shared(platform, entry);
        guest.vpe.counters.count(Counter::InjectedSpi);
    } else {
        let _ = lpi::wait(platform.waiting_lpis(), event);
        flush(guest, platform);
    }
    true
}

/// The LPI of the event `event` arrived on a CPU that does not run its vPE: it waits for that
/// vPE's next [`flush`]. `view` is its VM's, `vpes` are that VM's, `waiting` the events that wait.
/// Answers the vPE's number; None: it goes to nobody, and is lost.
pub fn hold_lpi(
    view: &View,
    waiting: &[AtomicU32],
    vpes: &[VpeState],
    event: usize,
) -> Option<usize> {
    let number = usize::from(view.lpi(event)?.number);
    let _ = lpi::wait(waiting, event);
    vpes.get(number)?.redistributor.attention.fetch_or(RECHECK, AcqRel);
    Some(number)
}

/// The same of an event that EL2 raises, a channel's ring, which always goes to `vpe`. False: it
/// waits already, so that the vPE was told.
pub fn hold_ring(vpe: &VpeState, waiting: &[AtomicU32], event: usize) -> bool {
    lpi::wait(waiting, event) && {
        vpe.redistributor.ring(event);
        true
    }
}

/// The short path of [`sgi_to_self`]; false: nothing was done.
#[inline(always)]
pub(super) fn try_sgi_to_self<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) -> bool {
    let live = guest.vpe.redistributor.live.load(Relaxed);
    if live & 1 << intid == 0 || !short_path(guest, platform) {
        return false;
    }
    list_sgi(guest, platform, intid);
    true
}

/// The vPE sent an SGI to itself.
#[inline(always)]
pub(super) fn sgi_to_self<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    if !try_sgi_to_self(guest, platform, intid) {
        inject_any(guest, platform, intid);
    }
}

/// Another CPU kicked this one: takes in what it left.
#[inline(always)]
pub fn deliver<P: Platform>(guest: &Guest, platform: &mut P) {
    if !try_deliver(guest, platform) {
        flush(guest, platform);
    }
}

/// The short path of [`deliver`], without a call: one SGI or one ring at most; false: nothing was
/// done.
#[inline(always)]
pub fn try_deliver<P: Platform>(guest: &Guest, platform: &mut P) -> bool {
    let redistributor = &guest.vpe.redistributor;
    let sgis = redistributor.waiting[0].load(Relaxed) & redistributor.live.load(Relaxed);
    if sgis == 0 && list::shared_free(platform) && P::Router::is_rung(guest) {
        let Some(entry) = P::Router::take_rung(guest, platform) else { return false };
        list::set_shared(platform, entry);
        guest.vpe.counters.count(Counter::InjectedSpi);
        return true;
    }
    if !short_path(guest, platform) || sgis & sgis.wrapping_sub(1) != 0 {
        return false;
    }
    if sgis != 0 {
        redistributor.waiting[0].fetch_and(!sgis, AcqRel);
        list_sgi(guest, platform, sgis.trailing_zeros());
    }
    true
}

/// Nothing unusual, and every shared list register is empty. What another CPU adds right now comes
/// with a kick of its own, so that no order is needed here.
#[inline(always)]
fn short_path<P: Platform>(guest: &Guest, platform: &P) -> bool {
    guest.vpe.redistributor.attention.load(Relaxed) == 0 && list::shared_free(platform)
}

#[inline(always)]
fn list_sgi<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    let priority = guest.vpe.redistributor.priority[intid as usize].load(Relaxed);
    list::set_shared(platform, ListReg::pending(IntId::new(intid), priority));
    guest.vpe.counters.count(Counter::InjectedSgi);
}

#[cfg(test)]
mod tests;
