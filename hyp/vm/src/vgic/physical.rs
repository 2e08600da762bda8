// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hardware's side of an interrupt that a vPE has: handing it back, pending or not.
//!
//! IHI 0069H 4.1.2, 4.8.

use super::{bank::place, redistributor::Redistributor};
use crate::{Guest, Platform, bits::Bits};
use core::sync::atomic::Ordering::{Acquire, SeqCst};

/// Those of a word's interrupts that are the hardware's: PPIs and SPIs of the VM's.
pub(super) fn hardware(guest: &Guest, word: usize) -> u32 {
    if word == 0 { guest.config.ppis } else { guest.vm.distributor.hardware_word(word) }
}

/// An SPI of the hardware's is edge-triggered.
pub(super) fn is_edge<P: Platform>(platform: &P, intid: u32) -> bool {
    platform.config((intid >> 4) as usize) >> ((intid & 15) * 2 + 1) & 1 != 0
}

/// A pending interrupt of the hardware's returns there: inactive, and pending again if its edge
/// would be lost.
pub(super) fn hand_back<P: Platform>(platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if word != 0 && is_edge(platform, intid) {
        platform.set_pending(word, bit);
    }
    deactivate(platform, intid);
}

/// The same for those of `bits`, which are the hardware's, that wait for a list register of this
/// redistributor's vPE.
pub(super) fn return_waiting<P: Platform>(
    platform: &mut P,
    redistributor: &Redistributor,
    word: usize,
    bits: u32,
) {
    if redistributor.waiting[word].load(Acquire) & bits == 0 {
        return;
    }
    for bit in Bits(redistributor.waiting[word].fetch_and(!bits, SeqCst) & bits) {
        hand_back(platform, word as u32 * 32 + bit);
    }
}

/// An interrupt of the hardware's that this CPU holds is inactive there. A PPI is this CPU's own.
pub(super) fn deactivate<P: Platform>(platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if word == 0 {
        platform.deactivate(intid);
    } else {
        platform.clear_active(word, bit);
    }
}
