//! ICC_SGI1R_EL1: who gets a software generated interrupt.
//!
//! IHI 0069H 12.2.20. Targets are the VM's own vPEs by their virtual affinities 0.0.0.n; whatever else a guest names
//! does not exist. ICC_SGI0R_EL1 and ICC_ASGI1R_EL1 make Group 0 or other-state interrupts, of which a guest has none, so
//! that [`crate::sysreg`] ignores them.

use super::inject;
use crate::{Guest, Platform};
use core::sync::atomic::Ordering::AcqRel;

/// IRM: all but self.
const ALL_OTHERS: u64 = 1 << 40;
/// Aff3 55:48, RS 47:44, Aff2 39:32, Aff1 23:16 and IRM.
const UNUSUAL: u64 = 0xff << 48 | 0xf << 44 | ALL_OTHERS | 0xff << 32 | 0xff << 16;

/// Targets of an ICC_SGI1R_EL1 value, one bit for each vPE number, of those that exist. `own` is the sender's bit.
#[inline(always)]
pub const fn targets(value: u64, own: u32, existing: u32) -> u32 {
    if value & UNUSUAL == 0 {
        return value as u32 & existing;
    }
    if value & ALL_OTHERS != 0 {
        return existing & !own;
    }
    0
}

/// The guest wrote ICC_SGI1R_EL1.
#[inline(always)]
pub fn send_sgi<P: Platform>(guest: &Guest, platform: &mut P, value: u64) {
    let targets = targets(value, guest.own_target, guest.targets);
    if targets & guest.own_target != 0 {
        inject::sgi_to_self(guest, platform, intid(value));
    }
    send_to_others(guest, platform, targets & !guest.own_target, intid(value));
}

/// The short path of [`send_sgi`], without a call; false: nothing was done.
#[inline(always)]
pub fn try_send_sgi<P: Platform>(guest: &Guest, platform: &mut P, value: u64) -> bool {
    let targets = targets(value, guest.own_target, guest.targets);
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
    while targets != 0 {
        let number = targets.trailing_zeros() as usize;
        targets &= targets - 1;
        if let Some(vpe) = guest.vpes.get(number) {
            // One that is already pending needs no second kick: either one is under way or it must wait anyway.
            if vpe.redistributor.waiting[0].fetch_or(1 << intid, AcqRel) & 1 << intid == 0 {
                platform.kick(guest.vpe_index(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vms_own_vpes() {
        assert_eq!(targets(0x0b00_0001, 1, 1), 1);
        assert_eq!(targets(0x0b00_ffff, 1, 3), 0b11, "a target list never reaches beyond the VM");
        assert_eq!(targets(1 << 40, 2, 7), 0b101, "all but self");
        assert_eq!(targets(1 << 40 | 0xff << 16 | 0xffff, 1, 3), 0b10, "IRM ignores affinities");
        assert_eq!(targets(1 << 16 | 1, 1, 3), 0, "Aff1 1 is nobody");
        assert_eq!(targets(1 << 32 | 1, 1, 3), 0, "Aff2 1 is nobody");
        assert_eq!(targets(1 << 48 | 1, 1, 3), 0, "Aff3 1 is nobody");
        assert_eq!(targets(1 << 44 | 1, 1, 3), 0, "Aff0 16 is nobody");
        assert_eq!(targets(0xffff, 1, 0xffff), 0xffff);
    }
}
