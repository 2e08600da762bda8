// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stream table entries: abort, or stage 2.
//!
//! An entry is eight doublewords (IHI 0070 5.2). Two of its many configurations are here: abort
//! without a record, and stage 2 alone. Bypass cannot be written with this module. Bits 50:32 of
//! doubleword 2 have VTCR_EL2's layout, so that a device and the CPUs share one stage 2.

use crate::error::{Illegal, placed};
use crate::number::Vmid;

/// Doublewords of an entry.
pub const STE_WORDS: usize = 8;
/// Bytes of an entry.
pub const STE_BYTES: u64 = 64;

/// STE.V, bit 0.
pub const VALID: u64 = 1;
/// STE.Config, bits 3:1: abort, and record nothing.
pub const CONFIG_ABORT: u64 = 0b000;
/// STE.Config: stage 1 bypassed, stage 2 translates.
pub const CONFIG_STAGE2: u64 = 0b110;
/// STE.SHCFG, bits 45:44 of doubleword 1: shareability as the device gives it.
const SHCFG_INCOMING: u64 = 0b01 << 44;
/// STE.S2AA64, bit 51 of doubleword 2.
pub(crate) const S2AA64: u64 = 1 << 51;
/// STE.S2R, bit 58 of doubleword 2: faults are recorded.
pub(crate) const S2R: u64 = 1 << 58;
/// VTCR_EL2's fields that an entry has too: T0SZ, SL0, IRGN0, ORGN0, SH0, TG0, PS.
const VTCR_SHARED: u64 = 0x7_ffff;
/// VTCR_EL2 bits that change nothing of the walk: VS (19), and RES1 (31).
const VTCR_IGNORED: u64 = 1 << 19 | 1 << 31;

/// Size of a page of stage 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granule {
    Kib4,
    Kib16,
    Kib64,
}

impl Granule {
    /// Of VTCR_EL2.TG0, which is STE.S2TG.
    pub const fn from_field(tg: u64) -> Option<Self> {
        match tg {
            0 => Some(Self::Kib4),
            1 => Some(Self::Kib64),
            2 => Some(Self::Kib16),
            _ => None,
        }
    }
    /// Address bits within a page.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Kib4 => 12,
            Self::Kib16 => 14,
            Self::Kib64 => 16,
        }
    }
    /// Address bits that a level resolves.
    pub const fn stride(self) -> u32 {
        self.bits() - 3
    }
    /// The level of SL0; None: reserved.
    const fn level(self, sl0: u64) -> Option<u32> {
        match (self, sl0) {
            (Self::Kib4, 0..=2) => Some(2 - sl0 as u32),
            (Self::Kib16 | Self::Kib64, 0..=2) => Some(3 - sl0 as u32),
            _ => None,
        }
    }
}

/// Bits of an address for VTCR_EL2.PS, STE.S2PS and IDR5.OAS (IHI 0070 6.3, SMMU_IDR5).
pub const fn address_bits(code: u64) -> Option<u32> {
    match code {
        0 => Some(32),
        1 => Some(36),
        2 => Some(40),
        3 => Some(42),
        4 => Some(44),
        5 => Some(48),
        6 => Some(52),
        _ => None,
    }
}

/// A VM's stage 2, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    vmid: Vmid,
    root: u64,
    vtcr: u64,
}

impl Stage2 {
    /// The stage 2 that VTTBR_EL2 and VTCR_EL2 give the CPUs: the very same tables.
    ///
    /// Refused is what an SMMU has no field for (updates of flags by hardware, 52-bit tables) or
    /// what it would call illegal: a walk's first level that does not fit T0SZ, and a root that is
    /// not aligned to the first level's tables.
    pub const fn from_registers(vttbr: u64, vtcr: u64) -> Result<Self, Illegal> {
        if vtcr & !(VTCR_SHARED | VTCR_IGNORED) != 0 {
            return Err(Illegal::Stage2 { what: "fields beyond PS are set", vtcr });
        }
        let stage2 =
            Self { vmid: Vmid::new((vttbr >> 48) as u16), root: vttbr & 0xffff_ffff_fffe, vtcr };
        let Some(granule) = Granule::from_field((vtcr >> 14) & 3) else {
            return Err(Illegal::Stage2 { what: "TG0 is reserved", vtcr });
        };
        if address_bits((vtcr >> 16) & 7).is_none() {
            return Err(Illegal::Stage2 { what: "PS is reserved", vtcr });
        }
        let Some(level) = granule.level((vtcr >> 6) & 3) else {
            return Err(Illegal::Stage2 { what: "SL0 is reserved", vtcr });
        };
        let (t0sz, below) = (vtcr & 0x3f, granule.bits() + (3 - level) * granule.stride());
        if t0sz < 16 || t0sz > 39 {
            return Err(Illegal::Stage2 { what: "T0SZ is not between 16 and 39", vtcr });
        }
        // The first level resolves at least one bit, and at most four beyond its own: 16 tables.
        let ipa_bits = 64 - t0sz as u32;
        if ipa_bits <= below || ipa_bits > below + granule.stride() + 4 {
            return Err(Illegal::Stage2 { what: "SL0 does not fit T0SZ", vtcr });
        }
        let first = 8u64 << (ipa_bits - below);
        match placed("stage 2", stage2.root, if first < 64 { 64 } else { first }) {
            Ok(()) => Ok(stage2),
            Err(illegal) => Err(illegal),
        }
    }

    pub const fn vmid(&self) -> Vmid {
        self.vmid
    }
    /// Physical address of the first level's tables.
    pub const fn root(&self) -> u64 {
        self.root
    }
    /// Size of the intermediate physical address space.
    pub const fn ipa_bits(&self) -> u32 {
        64 - (self.vtcr & 0x3f) as u32
    }
    /// Bits of the addresses that it gives out.
    pub const fn pa_bits(&self) -> u32 {
        match address_bits((self.vtcr >> 16) & 7) {
            Some(bits) => bits,
            None => 0,
        }
    }
    pub const fn granule(&self) -> Granule {
        match Granule::from_field((self.vtcr >> 14) & 3) {
            Some(granule) => granule,
            None => Granule::Kib4,
        }
    }
    /// The level at which a walk begins.
    pub const fn first_level(&self) -> u32 {
        match self.granule().level((self.vtcr >> 6) & 3) {
            Some(level) => level,
            None => 3,
        }
    }

    /// What an entry says, if it is one of this crate's: the inverse of [`Ste::words`].
    #[cfg(any(test, feature = "model"))]
    pub(crate) const fn from_words(words: &[u64; STE_WORDS]) -> Result<Self, Illegal> {
        let vttbr = (words[2] & 0xffff) << 48 | words[3] & 0xffff_ffff_fff0;
        Self::from_registers(vttbr, (words[2] >> 32) & VTCR_SHARED)
    }
}

/// A stream table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ste {
    /// Every transaction is aborted, without a record.
    Abort,
    /// Every transaction is translated by a VM's stage 2; a fault aborts it and is recorded.
    Stage2(Stage2),
}

impl Ste {
    /// The entry as the SMMU reads it. An entry of zeros is invalid: aborted, with C_BAD_STE.
    pub const fn words(&self) -> [u64; STE_WORDS] {
        match self {
            Self::Abort => [VALID | CONFIG_ABORT << 1, 0, 0, 0, 0, 0, 0, 0],
            Self::Stage2(s) => [
                VALID | CONFIG_STAGE2 << 1,
                SHCFG_INCOMING,
                s.vmid.value() as u64 | (s.vtcr & VTCR_SHARED) << 32 | S2AA64 | S2R,
                s.root,
                0,
                0,
                0,
                0,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VMID 7, root 0x4020_0000: 39-bit IPAs, 4 KiB, from level 1, 40-bit PAs.
    const VTTBR: u64 = 0x0007_0000_4020_0000;
    const VTCR: u64 = 0x8002_3559;

    #[test]
    fn entries_as_the_manual_draws_them() {
        assert_eq!(Ste::Abort.words(), [1, 0, 0, 0, 0, 0, 0, 0]);
        let stage2 = Stage2::from_registers(VTTBR, VTCR).unwrap();
        // 25 | SL0 1 << 6 | IR0 1 << 8 | OR0 1 << 10 | SH0 3 << 12 | TG 0 | PS 2 << 16, at bit 32.
        let expected = [0xd, 0x1000_0000_0000, 0x040a_3559_0000_0007, 0x4020_0000, 0, 0, 0, 0];
        assert_eq!(Ste::Stage2(stage2).words(), expected);
        assert_eq!(Stage2::from_words(&expected).map(|s| Ste::Stage2(s).words()), Ok(expected));
    }

    #[test]
    fn stage_2_says_what_it_is() {
        let stage2 = Stage2::from_registers(VTTBR, VTCR).unwrap();
        assert_eq!(stage2.vmid(), Vmid::new(7));
        assert_eq!((stage2.ipa_bits(), stage2.pa_bits(), stage2.first_level()), (39, 40, 1));
        assert_eq!((stage2.root(), stage2.granule()), (0x4020_0000, Granule::Kib4));
    }

    #[test]
    fn first_levels_and_sizes() {
        let make = |t0sz: u64, sl0: u64, tg: u64, root: u64| {
            Stage2::from_registers(root, t0sz | sl0 << 6 | tg << 14 | 5 << 16)
        };
        // (T0SZ, SL0, TG0, whether they fit), by hand from DDI 0487 D8.2: 4, 64 and 16 KiB.
        for (t0sz, sl0, tg, fits) in [
            (25, 1, 0, true),
            (33, 1, 0, true),  // 31 bits: two level-1 entries
            (34, 1, 0, false), // 30 bits: level 1 has nothing to resolve
            (21, 1, 0, true),  // 43 bits: sixteen tables
            (20, 1, 0, false), // 44 bits: 32 tables
            (16, 2, 0, true),
            (24, 2, 0, true),  // 40 bits: two level-0 entries
            (25, 2, 0, false), // 39 bits: no level 0
            (39, 0, 0, true),
            (30, 0, 0, true), // 34 bits: sixteen level-2 tables
            (29, 0, 0, false),
            (16, 2, 1, true),  // 64 KiB from level 1
            (22, 1, 1, true),  // 64 KiB, 42 bits from level 2
            (16, 1, 1, false), // 48 bits: 64 tables
            (17, 2, 2, true),  // 16 KiB from level 1
            (24, 1, 2, true),  // 16 KiB, 40 bits: sixteen level-2 tables
            (23, 1, 2, false),
            (25, 3, 0, false),
            (25, 1, 3, false),
            (15, 2, 0, false),
        ] {
            let made = make(t0sz, sl0, tg, 0x8000_0000);
            assert_eq!(made.is_ok(), fits, "T0SZ {t0sz} SL0 {sl0} TG0 {tg}: {made:?}");
        }
    }

    #[test]
    fn a_root_is_aligned_to_its_tables() {
        let at = |t0sz: u64, root| Stage2::from_registers(root, t0sz | 1 << 6 | 2 << 16);
        assert!(at(25, 0x4000_1000).is_ok());
        // 40 bits: two concatenated tables.
        let refused = Illegal::Address { what: "stage 2", address: 0x4000_1000, align: 0x2000 };
        assert_eq!(at(24, 0x4000_1000), Err(refused));
        assert!(at(24, 0x4000_2000).is_ok());
    }

    #[test]
    fn what_an_smmu_has_no_field_for_is_refused() {
        for bit in [21, 22, 25, 28, 32] {
            let vtcr = VTCR | 1 << bit;
            let refused = Illegal::Stage2 { what: "fields beyond PS are set", vtcr };
            assert_eq!(Stage2::from_registers(VTTBR, vtcr), Err(refused));
        }
        assert!(Stage2::from_registers(VTTBR, VTCR | 1 << 19).is_ok());
        assert!(Stage2::from_registers(VTTBR, VTCR | 7 << 16).is_err());
    }
}
