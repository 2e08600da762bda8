// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What of the emulated GIC is told to whoever asks why nothing happens.

use super::{Distributor, Redistributor};
use crate::{VpeState, bits::Bits, power::PowerState};
use core::sync::atomic::Ordering::Relaxed;

/// A vPE's SGIs and PPIs: enabled, waiting for a list register; 1 if group 1 is on.
pub fn told(distributor: &Distributor, redistributor: &Redistributor) -> [u32; 3] {
    [
        redistributor.enabled.load(Relaxed),
        redistributor.waiting[0].load(Relaxed),
        distributor.group_on().into(),
    ]
}

/// The VM's SPIs of a word: its own, enabled, pending, and what of these goes to no vPE that is on.
/// `pending`: GICD_ISPENDR of the word. None: there are no more words.
pub fn told_spis(
    distributor: &Distributor,
    vpes: &[VpeState],
    word: usize,
    pending: u32,
) -> Option<[u32; 4]> {
    if word > distributor.last_word() {
        return None;
    }
    let waiting = |bits, vpe: &VpeState| bits | vpe.redistributor.waiting[word].load(Relaxed);
    let pending = vpes.iter().fold(pending & distributor.hardware_word(word), waiting);
    let is_off = |bit: &u32| {
        let vpe = vpes.get(distributor.route_of(word as u32 * 32 + bit));
        vpe.is_none_or(|vpe| vpe.power.state() == PowerState::Off)
    };
    let nowhere = Bits(pending).filter(is_off).fold(0, |bits, bit| bits | 1 << bit);
    Some([distributor.owned(word), distributor.enabled[word].load(Relaxed), pending, nowhere])
}
