// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Feature registers as a guest reads them: what it can use, and nothing else.
//!
//! A list of what is shown, field by field; what is not on it reads as absent, so that a CPU that
//! is newer than this list offers nothing that EL2 neither keeps nor traps. Hidden for good: EL2
//! and EL3, RAS, MPAM, AMU, SME, MTE, trace, profiling, LORegions, TME, LS64, AArch32 at EL1,
//! software context numbers, and all of ID_AA64MMFR3_EL1 and 4, whose registers HCRX_EL2 keeps from
//! guests. SVE, PMU and debug are shown to whom the plan gives them. DDI 0487 D24.2.

use crate::exit::SysReg;
use plan::Features;

/// Registers of feature identification: op0 3, op1 0, CRn 0, CRm 1..7 (HCR_EL2.TID3).
pub const fn is_id(encoding: u32) -> bool {
    const FIRST: u32 = SysReg::encode(3, 0, 0, 1, 0);
    const LAST: u32 = SysReg::encode(3, 0, 0, 7, 7);
    const GROUP: u32 = SysReg::encode(3, 7, 15, 0, 0);
    encoding & GROUP == FIRST & GROUP
        && encoding & 0x1e >= FIRST & 0x1e
        && encoding & 0x1e <= LAST & 0x1e
}

const fn aa64(crm: u32, op2: u32) -> u32 {
    SysReg::encode(3, 0, 0, crm, op2)
}

/// The fields whose lowest bits are given.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn fields<const N: usize>(lowest: [u32; N]) -> u64 {
    let mut mask = 0;
    let mut n = 0;
    while n < N {
        mask |= 0xf << lowest[n];
        n += 1;
    }
    mask
}

/// What the register `encoding`, which reads `value` on this CPU, is for a guest that has
/// `features`.
pub fn shown(encoding: u32, value: u64, features: Features) -> u64 {
    const PFR0: u32 = aa64(4, 0);
    const PFR1: u32 = aa64(4, 1);
    const ZFR0: u32 = aa64(4, 4);
    const DFR0: u32 = aa64(5, 0);
    const ISAR0: u32 = aa64(6, 0);
    const ISAR1: u32 = aa64(6, 1);
    const ISAR2: u32 = aa64(6, 2);
    const MMFR0: u32 = aa64(7, 0);
    const MMFR1: u32 = aa64(7, 1);
    const MMFR2: u32 = aa64(7, 2);
    match encoding {
        PFR0 => processor_features(value, features),
        // BT, SSBS.
        PFR1 => value & fields([0, 4]),
        ZFR0 if features.has(Features::SVE) => value,
        DFR0 => debug_features(value, features),
        // All but TME.
        ISAR0 => value & !fields([24]),
        // All but LS64.
        ISAR1 => value & !fields([60]),
        // WFxT, RPRES, GPA3, APA3, MOPS, BC, PAC_frac, CLRBHB, RPRFM, CSSC.
        ISAR2 => value & fields([0, 4, 8, 12, 16, 20, 24, 28, 48, 52]),
        // PARange, ASIDBits, BigEnd, SNSMem, BigEndEL0, granules of stage 1, ExS; ECV without what
        // EL2 has of it.
        MMFR0 => value & fields([0, 4, 8, 12, 16, 20, 24, 28, 44]) | at_most(value, 60, 1),
        // HAFDBS, HPDS, PAN, SpecSEI, ETS, AFP, nTLBPA, TIDCP1, CMOW, ECBHB.
        MMFR1 => value & fields([0, 12, 20, 24, 36, 44, 48, 52, 56, 60]),
        // CnP, UAO, LSM, VARange, CCIDX, ST, AT, IDS, TTL, BBM, E0PD.
        MMFR2 => value & fields([0, 4, 8, 16, 20, 28, 32, 36, 48, 52, 60]),
        _ if encoding & 0x1e < aa64(4, 0) & 0x1e => thirty_two(encoding, value),
        _ => 0,
    }
}

/// The field at `lowest`, or `most` if it is more.
const fn at_most(value: u64, lowest: u32, most: u64) -> u64 {
    let field = value >> lowest & 0xf;
    (if field > most { most } else { field }) << lowest
}

fn processor_features(value: u64, features: Features) -> u64 {
    // EL1 is AArch64; EL0 may be either. GIC registers as of GICv3; CSV2 without SCXTNUM.
    let capped = at_most(value, 4, 1) | at_most(value, 24, 1) | at_most(value, 56, 1);
    // EL0, FP, AdvSIMD, DIT, CSV3.
    let shown = value & fields([0, 16, 20, 48, 60]) | capped;
    if features.has(Features::SVE) { shown | value & fields([32]) } else { shown }
}

fn debug_features(value: u64, features: Features) -> u64 {
    // DebugVer; DoubleLock: not implemented.
    let mut shown = value & fields([0]) | 0xf << 36;
    shown |= if features.has(Features::DEBUG) {
        // BRPs, WRPs, CTX_CMPs.
        value & fields([12, 20, 28])
    } else {
        // Two of each, as few as the architecture allows.
        1 << 12 | 1 << 20
    };
    if features.has(Features::PMU) {
        shown |= value & fields([8]);
    }
    shown
}

/// The registers that AArch32 programs at EL0 are told about.
fn thirty_two(encoding: u32, value: u64) -> u64 {
    const PFR0: u32 = aa64(1, 0);
    const PFR1: u32 = aa64(1, 1);
    const DFR0: u32 = aa64(1, 2);
    const DFR1: u32 = aa64(3, 5);
    const PFR2: u32 = aa64(3, 4);
    match encoding {
        // AMU, RAS.
        PFR0 => value & !fields([20, 28]),
        // Virtualization.
        PFR1 => value & !fields([12]),
        // CopDbg.
        DFR0 => value & fields([0]),
        DFR1 => 0,
        // RAS_frac.
        PFR2 => value & !fields([8]),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Features = Features::DEBUG.with(Features::PMU).with(Features::SVE);
    const NONE: Features = Features::NONE;

    #[test]
    fn which_registers_they_are() {
        for (crm, op2, is) in
            [(0, 0, false), (1, 0, true), (4, 0, true), (7, 7, true), (8, 0, false)]
        {
            assert_eq!(is_id(SysReg::encode(3, 0, 0, crm, op2)), is, "{crm} {op2}");
        }
        assert!(!is_id(SysReg::encode(3, 1, 0, 4, 0)) && !is_id(SysReg::encode(2, 0, 0, 4, 0)));
    }

    #[test]
    fn processor_features() {
        // Cortex-A76 r4p1 with GIC registers: CSV3 1, CSV2 1, RAS 1, GIC 1, EL3..EL0 1 1 1 2.
        assert_eq!(shown(aa64(4, 0), 0x1100_0000_1100_1112, NONE), 0x1100_0000_0100_0012);
        // QEMU's max: much more, of which SVE may be given.
        let max = 0x1301_1121_2311_1112;
        assert_eq!(shown(aa64(4, 0), max, NONE), 0x1101_0000_0111_0012);
        assert_eq!(shown(aa64(4, 0), max, ALL), 0x1101_0001_0111_0012);
        assert_eq!(shown(aa64(4, 4), 5, NONE), 0);
        assert_eq!(shown(aa64(4, 4), 5, ALL), 5);
        assert_eq!(shown(aa64(4, 5), u64::MAX, ALL), 0, "no SME");
        assert_eq!(shown(aa64(4, 1), u64::MAX, ALL), 0xff, "BT and SSBS");
    }

    #[test]
    fn absent_vectors_stay_absent() {
        // FP and AdvSIMD read 0xf where there are none.
        assert_eq!(shown(aa64(4, 0), 0x00ff_0011, ALL) >> 16 & 0xff, 0xff);
    }

    #[test]
    fn debug_features() {
        // DebugVer 8, PMUVer 4, BRPs 5, WRPs 3, CTX_CMPs 1.
        let value = 0x1030_5408;
        assert_eq!(shown(aa64(5, 0), value, NONE), 0xf0_0010_1008);
        assert_eq!(shown(aa64(5, 0), value, Features::DEBUG), 0xf0_1030_5008);
        assert_eq!(shown(aa64(5, 0), value, Features::PMU), 0xf0_0010_1408);
        assert_eq!(shown(aa64(5, 1), u64::MAX, ALL), 0);
    }

    #[test]
    fn what_comes_later_is_hidden() {
        for (crm, op2) in [(4, 2), (4, 7), (6, 3), (7, 3), (7, 4), (7, 7)] {
            assert_eq!(shown(aa64(crm, op2), u64::MAX, ALL), 0, "{crm} {op2}");
        }
        assert_eq!(shown(aa64(7, 0), u64::MAX, NONE) >> 60, 1, "the counter's offset is EL2's");
        assert_eq!(shown(aa64(7, 1), 0xf << 8 | 0xf << 16, NONE), 0, "VHE, LORegions");
        assert_eq!(shown(aa64(7, 2), 0xf << 24 | 0xf << 40, NONE), 0, "NV, FWB");
        assert_eq!(shown(aa64(6, 1), 0xf << 60, NONE), 0, "LS64");
    }
}
