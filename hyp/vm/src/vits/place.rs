// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where an event goes, in one word: whoever delivers it sees all of it or nothing.
//!
//! The word is laid out as the list register that the event gets, so that an interrupt that EL2
//! lists needs no more than a comparison and a mask:
//!
//! | bits | what |
//! |---|---|
//! | 31:0 | vINTID; 0: the event is not mapped |
//! | 46:32 | vPE, by its index in the plan |
//! | 47 | it is enabled |
//! | 55:48 | priority |
//! | 63:56 | as in the list register of a pending interrupt in group 1 |
//!
//! Bits 47:32 are 0 in a list register without a physical interrupt (IHI 0069H 12.4.8).

use gicv4::{IntId, list_regs::ListReg, lpi::LpiConfig};
use plan::VpeIndex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

const VPE: u32 = 32;
const VPE_BITS: u64 = 0x7fff;
const ENABLED: u64 = 1 << 47;
/// What a list register does not have.
const EXTRA: u64 = 0xffff << VPE;

impl Place {
    /// Of an event that is not mapped.
    pub const NOWHERE: Self = Self(0);

    pub const fn new(vintid: u32, vpe: VpeIndex, config: LpiConfig) -> Self {
        let entry = ListReg::pending(IntId::new(vintid), config.priority());
        let enabled = if config.enabled() { ENABLED } else { 0 };
        Self(entry.bits() | (vpe.value() as u64) << VPE | enabled)
    }

    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub const fn vintid(self) -> Option<u32> {
        match self.0 as u32 {
            0 => None,
            vintid => Some(vintid),
        }
    }

    /// By its index in the plan.
    #[inline(always)]
    pub const fn vpe(self) -> VpeIndex {
        VpeIndex::new((self.0 >> VPE & VPE_BITS) as u16)
    }

    #[inline(always)]
    pub const fn config(self) -> LpiConfig {
        LpiConfig::new((self.0 >> 48) as u8, self.0 & ENABLED != 0)
    }

    /// The same of another vPE.
    pub const fn with_vpe(self, vpe: VpeIndex) -> Self {
        Self(self.0 & !(VPE_BITS << VPE) | (vpe.value() as u64 & VPE_BITS) << VPE)
    }

    /// Its list register on the vPE `vpe`. None: it goes elsewhere, or is disabled.
    #[inline(always)]
    pub const fn entry(self, vpe: VpeIndex) -> Option<ListReg> {
        let entry = self.0 ^ (vpe.value() as u64 | ENABLED >> VPE) << VPE;
        if entry & EXTRA == 0 { Some(ListReg::from_bits(entry)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gicv4::list_regs::State;

    const VPE_5: VpeIndex = VpeIndex::new(5);

    #[test]
    fn one_word_says_it_all() {
        for (priority, enabled) in [(0xa0, true), (0xf8, false), (0, true)] {
            let config = LpiConfig::new(priority, enabled);
            let place = Place::new(8200, VPE_5, config);
            assert_eq!((place.vintid(), place.vpe(), place.config()), (Some(8200), VPE_5, config));
        }
        assert_eq!(Place::NOWHERE.vintid(), None);
    }

    #[test]
    fn an_entry_is_for_its_vpe_alone() {
        let place = Place::new(8200, VPE_5, LpiConfig::new(0xa0, true));
        let entry = place.entry(VPE_5).expect("it goes there");
        assert_eq!(entry, ListReg::pending(IntId::new(8200), 0xa0));
        assert_eq!(
            (entry.state(), entry.is_group1(), entry.has_end_notice()),
            (State::Pending, true, false)
        );
        for other in [0, 4, 6, 0x7fff] {
            assert_eq!(place.entry(VpeIndex::new(other)), None);
        }
        let masked = Place::new(8200, VPE_5, LpiConfig::new(0xa0, false));
        assert_eq!((masked.entry(VPE_5), Place::NOWHERE.entry(VpeIndex::new(0))), (None, None));
    }
}
