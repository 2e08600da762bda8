// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a program at EL0 in AArch32 did when it trapped, and how it goes on.
//!
//! A guest's EL1 is AArch64, its programs may be AArch32 where the CPU has that. Their accesses to
//! coprocessors 14 and 15 that EL2 traps are named here by the AArch64 registers that they are (DDI
//! 0487 K1, "AArch32 to AArch64"), so that both have one answer. A trap may come before the
//! instruction's condition was looked at, and whoever passes over an instruction has to move the IT
//! block on (DDI 0487 D24.2.40, ISS for conditional instructions; F1.8.1, ITSTATE).
//!
//! Not served, so UNDEFINED: LDC and STC, whose memory EL2 does not touch, and whatever AArch64
//! does not have.

use crate::exit::{SysReg, class};

/// SPSR: the program was in AArch32; T32.
const AARCH32: u64 = 1 << 4;
const THUMB: u64 = 1 << 5;
/// ESR: the instruction has 32 bits.
const LONG: u64 = 1 << 25;

/// Rt of an MRC to APSR_nzcv, which is r15 in the instruction.
pub const fn is_flags(rt: usize) -> bool {
    matches!(rt, 15 | 31)
}

/// An access of one register, or of a pair for a 64-bit one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The register, which way, and Rt.
    pub register: SysReg,
    /// Rt2, the upper half.
    pub upper: Option<usize>,
}

/// The guest's program was in AArch32.
#[inline(always)]
pub const fn is_aarch32(spsr: u64) -> bool {
    spsr & AARCH32 != 0
}

/// Whether the condition of the instruction holds. Only for classes that carry one: coprocessors,
/// WFI and WFE.
pub const fn condition_holds(esr: u64, spsr: u64) -> bool {
    const VALID: u64 = 1 << 24;
    let it = it_state(spsr);
    let condition = if esr & VALID != 0 {
        esr >> 20 & 0xf
    } else if it == 0 {
        return true;
    } else {
        it >> 4
    };
    let (n, z, c, v) = (flag(spsr, 31), flag(spsr, 30), flag(spsr, 29), flag(spsr, 28));
    let holds = match condition >> 1 {
        0 => z,
        1 => c,
        2 => n,
        3 => v,
        4 => c && !z,
        5 => n == v,
        6 => n == v && !z,
        _ => return true,
    };
    holds == (condition & 1 == 0)
}

const fn flag(spsr: u64, bit: u32) -> bool {
    spsr >> bit & 1 != 0
}

/// ITSTATE: bits 7:2 in SPSR 15:10, 1:0 in 26:25.
const fn it_state(spsr: u64) -> u64 {
    (spsr >> 10 & 0x3f) << 2 | spsr >> 25 & 3
}

/// ELR and SPSR behind the instruction.
pub const fn skip(esr: u64, elr: u64, spsr: u64) -> (u64, u64) {
    let next = elr.wrapping_add(if esr & LONG != 0 { 4 } else { 2 }) & 0xffff_ffff;
    if spsr & THUMB == 0 {
        return (next, spsr);
    }
    let it = it_state(spsr);
    let it = if it & 7 == 0 { 0 } else { it & 0xe0 | it << 1 & 0x1f };
    (next, spsr & !(0x3f << 10 | 3 << 25) | (it >> 2) << 10 | (it & 3) << 25)
}

/// SPSR with the upper bits of `value` as flags: what MRC to APSR_nzcv does.
pub const fn with_flags(spsr: u64, value: u64) -> u64 {
    spsr & !(0xf << 28) | value & 0xf << 28
}

/// The access that an exception of a coprocessor class tells of. None: nothing of ours.
pub const fn access(esr: u64) -> Option<Access> {
    let iss = esr as u32;
    let wide = match iss >> 26 {
        class::CP15 | class::CP14 => false,
        class::CP15_WIDE | class::CP14_WIDE => true,
        _ => return None,
    };
    let debug = matches!(iss >> 26, class::CP14 | class::CP14_WIDE);
    let crm = iss >> 1 & 0xf;
    let register = if wide {
        let op1 = iss >> 16 & 0xf;
        match (debug, op1, crm) {
            // CNTPCT, CNTVCT, CNTP_CVAL, CNTV_CVAL.
            (false, 0, 14) => encode(3, 3, 14, 0, 1),
            (false, 1, 14) => encode(3, 3, 14, 0, 2),
            (false, 2, 14) => encode(3, 3, 14, 2, 2),
            (false, 3, 14) => encode(3, 3, 14, 3, 2),
            // PMCCNTR.
            (false, 0, 9) => encode(3, 3, 9, 13, 0),
            // DBGDRAR; DBGDSAR, which is like it.
            (true, 0, 1 | 2) => encode(2, 0, 1, 0, 0),
            _ => return None,
        }
    } else {
        let op1 = iss >> 14 & 7;
        let crn = iss >> 10 & 0xf;
        let op2 = iss >> 17 & 7;
        match (debug, op1, crn) {
            // PMU.
            (false, 0, 9) if crm >= 12 && crm <= 14 => encode(3, 3, 9, crm, op2),
            // Timers, event counters and their types: CNTFRQ, CNTKCTL aside.
            (false, 0, 14) if crm == 2 || crm == 3 || crm >= 8 => encode(3, 3, 14, crm, op2),
            // DBGDSCRint, DBGDTRRXint or DBGDTRTXint: MDCCSR_EL0, DBGDTR_EL0's halves.
            (true, 0, 0) if op2 == 0 && (crm == 1 || crm == 5) => encode(2, 3, 0, crm, 0),
            // DBGDRAR, DBGDSAR.
            (true, 0, 1 | 2) if op2 == 0 && crm == 0 => encode(2, 0, 1, 0, 0),
            _ => return None,
        }
    };
    let direction = iss & 1;
    let rt = iss >> 5 & 0x1f;
    let upper = if wide { Some((iss >> 10 & 0x1f) as usize) } else { None };
    Some(Access { register: SysReg::new(register | rt << 5 | direction), upper })
}

const fn encode(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    SysReg::encode(op0, op1, crn, crm, op2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EL0_A32: u64 = 0x10;
    const EL0_T32: u64 = 0x30;

    /// MRC or MCR, always executed.
    fn one(class: u32, op1: u32, crn: u32, crm: u32, op2: u32, rt: u32, read: bool) -> u64 {
        let iss = op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | u32::from(read);
        u64::from(class << 26 | 1 << 25 | 1 << 24 | 0xe << 20 | iss)
    }

    /// MRRC or MCRR.
    fn two(class: u32, op1: u32, crm: u32, rt: u32, rt2: u32, read: bool) -> u64 {
        let iss = op1 << 16 | rt2 << 10 | rt << 5 | crm << 1 | u32::from(read);
        u64::from(class << 26 | 1 << 25 | 1 << 24 | 0xe << 20 | iss)
    }

    #[test]
    fn registers_are_those_of_aarch64() {
        let seen = |esr| access(esr).map(|access| access.register.encoding());
        // mrc p15, 0, r1, c14, c2, 1: CNTP_CTL, which is CNTP_CTL_EL0.
        let esr = one(class::CP15, 0, 14, 2, 1, 1, true);
        let access = access(esr).unwrap();
        assert_eq!(access.register.encoding(), SysReg::encode(3, 3, 14, 2, 1));
        assert_eq!((access.register.rt(), access.register.write(), access.upper), (1, false, None));
        // mcr p15, 0, r2, c14, c2, 0; mrrc p15, 2, r3, r4, c14.
        let timer = one(class::CP15, 0, 14, 2, 0, 2, false);
        assert_eq!(seen(timer), Some(SysReg::encode(3, 3, 14, 2, 0)));
        let wide = super::access(two(class::CP15_WIDE, 2, 14, 3, 4, true)).unwrap();
        assert_eq!(wide.register.encoding(), SysReg::encode(3, 3, 14, 2, 2));
        assert_eq!((wide.register.rt(), wide.upper), (3, Some(4)));
        // mrc p14, 0, r0, c0, c1, 0: DBGDSCRint; c1, c0: DBGDRAR, and both of 64 bits.
        assert_eq!(
            seen(one(class::CP14, 0, 0, 1, 0, 0, true)),
            Some(SysReg::encode(2, 3, 0, 1, 0))
        );
        assert_eq!(
            seen(one(class::CP14, 0, 1, 0, 0, 0, true)),
            Some(SysReg::encode(2, 0, 1, 0, 0))
        );
        assert_eq!(
            seen(two(class::CP14_WIDE, 0, 1, 0, 1, true)),
            Some(SysReg::encode(2, 0, 1, 0, 0))
        );
        // mrc p15, 0, r0, c9, c12, 0: PMCR.
        assert_eq!(
            seen(one(class::CP15, 0, 9, 12, 0, 0, true)),
            Some(SysReg::encode(3, 3, 9, 12, 0))
        );
    }

    #[test]
    fn what_is_not_served() {
        for esr in [
            // SCTLR, CP15 c15, DBGBVR0, the trace unit, LDC, VMRS, an HVC.
            one(class::CP15, 0, 1, 0, 0, 0, true),
            one(class::CP15, 1, 15, 0, 0, 0, true),
            one(class::CP14, 0, 0, 0, 4, 0, true),
            one(class::CP14, 1, 0, 0, 6, 0, true),
            0x06 << 26 | 1 << 25,
            0x08 << 26 | 1 << 25,
            0x5a00_0000,
            two(class::CP15_WIDE, 5, 2, 0, 1, true),
        ] {
            assert_eq!(access(esr), None, "{esr:#x}");
        }
    }

    #[test]
    fn conditions() {
        let (n, z, c, v) = (1 << 31, 1 << 30, 1 << 29, 1 << 28);
        // By number: what makes each hold, and fail.
        let table: [(u64, u64, u64); 15] = [
            (0, z, 0),
            (1, 0, z),
            (2, c, 0),
            (3, 0, c),
            (4, n, 0),
            (5, 0, n),
            (6, v, 0),
            (7, 0, v),
            (8, c, c | z),
            (9, z, c),
            (10, n | v, n),
            (11, v, 0),
            (12, 0, z),
            (13, z, n | v),
            (14, 0, u64::MAX),
        ];
        for (condition, holds, fails) in table {
            let esr = 1 << 24 | condition << 20;
            assert!(condition_holds(esr, EL0_A32 | holds), "{condition}");
            if condition != 14 {
                assert!(!condition_holds(esr, EL0_A32 | fails), "{condition}");
            }
        }
        assert!(condition_holds(1 << 24 | 0xf << 20, EL0_A32), "the unconditional space");
    }

    /// ITSTATE in an SPSR.
    fn it(state: u64) -> u64 {
        EL0_T32 | (state >> 2) << 10 | (state & 3) << 25
    }

    #[test]
    fn a_condition_may_be_that_of_the_it_block() {
        // No COND in the syndrome. IT EQ, with and without Z; none.
        assert!(condition_holds(0, it(0x08) | 1 << 30));
        assert!(!condition_holds(0, it(0x08)));
        assert!(condition_holds(0, EL0_T32));
    }

    #[test]
    fn it_blocks_move_on() {
        // ITE EQ, second of which is NE, then the end.
        let (_, spsr) = skip(LONG, 0x8000, it(0x0c));
        assert_eq!(spsr, it(0x18));
        let (_, spsr) = skip(LONG, 0x8004, spsr);
        assert_eq!(spsr, it(0));
        // Of four, all EQ.
        let mut state = it(0x01);
        for next in [0x02, 0x04, 0x08, 0] {
            state = skip(0, 0, state).1;
            assert_eq!(state, it(next));
        }
        // Other bits stay, and A32 has no IT block.
        assert_eq!(skip(LONG, 0, it(0x08) | 0xf << 28 | 0x1ff).1, it(0) | 0xf << 28 | 0x1ff);
        assert_eq!(skip(LONG, 0, EL0_A32 | 1 << 25).1, EL0_A32 | 1 << 25);
    }

    #[test]
    fn lengths() {
        assert_eq!(skip(LONG, 0x8000, EL0_T32).0, 0x8004);
        assert_eq!(skip(0, 0x8000, EL0_T32).0, 0x8002);
        assert_eq!(skip(LONG, 0xffff_fffc, EL0_A32).0, 0, "addresses have 32 bits");
    }

    #[test]
    fn flags() {
        assert_eq!(with_flags(0xf000_0010, 0x6fff_ffff), 0x6000_0010);
        // mrc p14, 0, APSR_nzcv, c0, c1, 0
        let flags = access(one(class::CP14, 0, 0, 1, 0, 31, true)).unwrap();
        assert!(is_flags(flags.register.rt()) && !is_flags(14));
    }
}
