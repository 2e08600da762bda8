// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ICC_SGI1R_EL1: who gets a software generated interrupt.
//!
//! IHI 0069H 12.2.20. Targets are the VM's own vPEs by their virtual affinities 0.0.Aff1.Aff0,
//! sixteen for each Aff1; whatever else a guest names does not exist. ICC_SGI0R_EL1 and
//! ICC_ASGI1R_EL1 make Group 0 or other-state interrupts, of which a guest has none, so that
//! [`crate::sysreg`] ignores them.

use super::{inject, vsgi};
use crate::{Guest, Platform, affinity::CLUSTER};
use core::sync::atomic::Ordering::AcqRel;

/// IRM: all but self.
const ALL_OTHERS: u64 = 1 << 40;
/// Aff3 55:48, RS 47:44, Aff2 39:32.
const NOBODY: u64 = 0xff << 48 | 0xf << 44 | 0xff << 32;
/// More than a target list of Aff1 0: those, Aff1 23:16 and IRM.
const UNUSUAL: u64 = NOBODY | ALL_OTHERS | 0xff << 16;

/// The guest wrote ICC_SGI1R_EL1.
#[inline(always)]
pub fn send_sgi<P: Platform>(guest: &Guest, platform: &mut P, value: u64) {
    if vsgi::on::<P>(guest) {
        return send_by_gic(guest, platform, value);
    }
    if value & UNUSUAL != 0 {
        return send_unusual(guest, platform, value);
    }
    let targets = value as u32 & guest.targets;
    if targets & guest.own_target != 0 {
        inject::sgi_to_self(guest, platform, intid(value));
    }
    send_to_others(guest, platform, targets & !guest.own_target, intid(value));
}

/// The short path of [`send_sgi`], without a call; false: nothing was done.
#[inline(always)]
pub fn try_send_sgi<P: Platform>(guest: &Guest, platform: &mut P, value: u64) -> bool {
    if value & UNUSUAL != 0 {
        return false;
    }
    if vsgi::on::<P>(guest) {
        send_by_gic(guest, platform, value);
        return true;
    }
    let targets = value as u32 & guest.targets;
    if targets & guest.own_target != 0 && !inject::try_sgi_to_self(guest, platform, intid(value)) {
        return false;
    }
    send_to_others(guest, platform, targets & !guest.own_target, intid(value));
    true
}

#[inline(always)]
const fn intid(value: u64) -> u32 {
    (value >> 24 & 15) as u32
}

#[inline(always)]
fn send_to_others<P: Platform>(guest: &Guest, platform: &mut P, mut targets: u32, intid: u32) {
    while P::SEVERAL_VPES && targets != 0 {
        let number = targets.trailing_zeros() as usize;
        targets &= targets - 1;
        send_to(guest, platform, number, intid);
    }
}

#[inline(always)]
fn send_to<P: Platform>(guest: &Guest, platform: &mut P, number: usize, intid: u32) {
    if let Some(vpe) = guest.vpes.get(number) {
        // One that is already pending needs no second kick: either one is under way or it must wait
        // anyway.
        if vpe.redistributor.waiting[0].fetch_or(1 << intid, AcqRel) & 1 << intid == 0 {
            platform.kick(guest.vpe_index(number));
        }
    }
}

/// The GIC delivers them, to the sender as well. No vPE is kicked: one that waits has a doorbell.
fn send_by_gic<P: Platform>(guest: &Guest, platform: &mut P, value: u64) {
    for number in targets(value, guest.number, guest.vpes.len()) {
        platform.send_sgi(guest.vpe_index(number), intid(value));
    }
}

/// vPEs with an Aff1 of their own, or all others.
#[inline(never)]
fn send_unusual<P: Platform>(guest: &Guest, platform: &mut P, value: u64) {
    // A single vPE has affinity 0, and there are no others.
    if !P::SEVERAL_VPES {
        return;
    }
    for number in targets(value, guest.number, guest.vpes.len()) {
        if number == guest.number {
            inject::sgi_to_self(guest, platform, intid(value));
        } else {
            send_to(guest, platform, number, intid(value));
        }
    }
}

/// Numbers of the vPEs that `value` names, of a VM with `count`, for vPE `own`.
fn targets(value: u64, own: usize, count: usize) -> impl Iterator<Item = usize> {
    let all = value & ALL_OTHERS != 0;
    let first = if all { 0 } else { (value >> 16 & 0xff) as usize * CLUSTER };
    let end = match (all, value & NOBODY) {
        (true, _) => count,
        (_, 0) => count.min(first + CLUSTER),
        _ => 0,
    };
    (first..end).filter(
        move |&number| {
            if all { number != own } else { value >> (number % CLUSTER) & 1 != 0 }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec};

    /// The targets of any value, each named on its own, in VMs of up to 40 vPEs.
    #[test]
    fn only_the_vms_own_vpes() {
        let of = |value, own, count| targets(value, own, count).collect::<Vec<_>>();
        assert_eq!(of(1 << 40, 1, 3), [0, 2], "all but self");
        assert_eq!(of(1 << 40 | 0xff << 16 | 0xffff, 0, 2), [1], "IRM ignores affinities");
        assert_eq!(of(1 << 40, 32, 40).len(), 39);
        assert_eq!(of(1 << 40, 32, 40).last(), Some(&39));
        assert_eq!(of(1 << 16 | 0xffff, 0, 3), vec![0; 0], "Aff1 1 is nobody");
        assert_eq!(of(1 << 16 | 0b101, 0, 40), [16, 18]);
        assert_eq!(of(2 << 16 | 0xffff, 0, 40), (32..40).collect::<Vec<_>>());
        for beyond in [1 << 32, 1 << 44, 1 << 48] {
            assert_eq!(of(beyond | 1, 0, 40), vec![0; 0], "{beyond:#x}");
            assert_eq!(of(beyond | 1 << 16 | 1, 0, 40), vec![0; 0], "{beyond:#x}");
        }
    }
}
