// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System registers that trap: the few that a guest may touch.
//!
//! ICC_SGI1R_EL1 is [`crate::vgic::send_sgi`]'s, tested first by [`is_sgi1r`]; how feature
//! registers look is [`crate::id`]'s. The debug and PMU registers that operating systems touch at
//! boot read as zero and ignore writes, as on a CPU that has none. Everything else is UNDEFINED.
//! DDI 0487 D24.2, IHI 0069H 12.2.

use crate::{exit::SysReg, id};
use plan::Features;

/// What becomes of the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// MRS: the register becomes this.
    Value(u64),
    /// MSR: nothing happens.
    Ignored,
    /// MDSCR_EL1: the CPU's own is read or written, for the guest's single steps and its traps of
    /// EL0 are its own.
    DebugControl,
    /// DC ISW, CSW or CISW: [`crate::set_way`].
    SetWay,
    /// The guest gets an UNDEFINED exception.
    Undefined,
}

const SGI1R: u32 = SysReg::encode(3, 0, 12, 11, 5);
const SGI0R: u32 = SysReg::encode(3, 0, 12, 11, 7);
const ASGI1R: u32 = SysReg::encode(3, 0, 12, 11, 6);
const ISW: u32 = SysReg::encode(1, 0, 7, 6, 2);
const CSW: u32 = SysReg::encode(1, 0, 7, 10, 2);
const CISW: u32 = SysReg::encode(1, 0, 7, 14, 2);

/// The guest writes ICC_SGI1R_EL1.
#[inline(always)]
pub const fn is_sgi1r(register: SysReg) -> bool {
    register.write() && register.encoding() == SGI1R
}

/// CNTP_TVAL_EL0, CNTP_CTL_EL0, CNTP_CVAL_EL0. They trap until the image has lent the timer.
#[inline]
pub const fn is_physical_timer(register: SysReg) -> bool {
    const TVAL: u32 = SysReg::encode(3, 3, 14, 2, 0);
    const CTL: u32 = SysReg::encode(3, 3, 14, 2, 1);
    const CVAL: u32 = SysReg::encode(3, 3, 14, 2, 2);
    matches!(register.encoding(), TVAL | CTL | CVAL)
}

/// Any access but ICC_SGI1R_EL1's, by a guest that has `features`. `hardware` reads the CPU's own
/// register of an encoding, for ID registers.
pub fn access(register: SysReg, features: Features, hardware: impl Fn(u32) -> u64) -> Access {
    const MDSCR: u32 = SysReg::encode(2, 0, 0, 2, 2);
    let encoding = register.encoding();
    if encoding == MDSCR {
        return Access::DebugControl;
    }
    if register.write() {
        return match encoding {
            // Group 0 and the other security state: a guest has no such interrupts.
            SGI0R | ASGI1R => Access::Ignored,
            ISW | CSW | CISW => Access::SetWay,
            _ if reads_zero(encoding) => Access::Ignored,
            _ => Access::Undefined,
        };
    }
    const OSLSR: u32 = SysReg::encode(2, 0, 1, 1, 4);
    const MDRAR: u32 = SysReg::encode(2, 0, 1, 0, 0);
    match encoding {
        // No table of debug components.
        MDRAR => Access::Value(0),
        // OS lock implemented (OSLM), not locked.
        OSLSR => Access::Value(1 << 3),
        _ if id::is_id(encoding) => {
            Access::Value(id::shown(encoding, hardware(encoding), features))
        }
        _ if reads_zero(encoding) => Access::Value(0),
        _ => Access::Undefined,
    }
}

/// Registers that read as zero and ignore writes.
const fn reads_zero(encoding: u32) -> bool {
    const ACTLR: u32 = SysReg::encode(3, 0, 1, 0, 1);
    const OP0: u32 = SysReg::encode(3, 0, 0, 0, 0);
    let op0 = encoding & OP0;
    let op1 = encoding >> 14 & 7;
    let crn = encoding >> 10 & 15;
    let crm = encoding >> 1 & 15;
    let op2 = encoding >> 17 & 7;
    if op0 == SysReg::encode(2, 0, 0, 0, 0) {
        // Debug: breakpoints, watchpoints, OSLAR, OSDLR, DBGPRCR, claim tags; not trace (op1 1).
        return match (op1, crn) {
            (0, 0) => op2 == 0 && crm == 2 || op2 == 2 || op2 >= 4 && op2 <= 7,
            (0, 1) => op2 == 4 && crm <= 4,
            (0, 7) => op2 == 6,
            (3, 0) => op2 == 0 && (crm == 1 || crm == 4 || crm == 5),
            _ => false,
        };
    }
    match (op1, crn) {
        // PMU: PMCR .. PMOVSSET, PMUSERENR; PMINTENSET and CLR; event counters and types.
        (3, 9) => crm >= 12 && crm <= 14,
        (0, 9) => crm == 14,
        (3, 14) => crm >= 8,
        // AMUSERENR.
        (3, 13) => crm == 2 && op2 == 3,
        // LORegions: LORSA, LOREA, LORN, LORC, LORID.
        (0, 10) => crm == 4 && (op2 <= 3 || op2 == 7),
        _ => encoding == ACTLR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: u32) -> Access {
        access(SysReg::new(encoding | 1), Features::NONE, |_| u64::MAX)
    }
    fn write(encoding: u32) -> Access {
        access(SysReg::new(encoding), Features::NONE, |_| u64::MAX)
    }

    #[test]
    fn what_linux_touches_at_boot() {
        for encoding in [
            SysReg::encode(2, 0, 1, 0, 4),
            SysReg::encode(2, 0, 1, 3, 4),
            SysReg::encode(2, 0, 0, 2, 0),
            SysReg::encode(2, 0, 0, 5, 4),
            SysReg::encode(2, 0, 0, 0, 7),
            SysReg::encode(3, 0, 1, 0, 1),
            SysReg::encode(3, 3, 9, 12, 0),
            SysReg::encode(3, 3, 9, 14, 0),
            SysReg::encode(3, 3, 13, 2, 3),
            SysReg::encode(3, 3, 14, 15, 7),
        ] {
            assert_eq!(write(encoding), Access::Ignored, "{encoding:#x}");
            assert_eq!(read(encoding), Access::Value(0), "{encoding:#x}");
        }
        assert_eq!(read(SysReg::encode(2, 0, 1, 1, 4)), Access::Value(8));
        let mdscr = SysReg::encode(2, 0, 0, 2, 2);
        assert_eq!((read(mdscr), write(mdscr)), (Access::DebugControl, Access::DebugControl));
        let mdrar = SysReg::encode(2, 0, 1, 0, 0);
        assert_eq!((read(mdrar), write(mdrar)), (Access::Value(0), Access::Undefined));
    }

    #[test]
    fn interrupts_that_a_guest_has_not_are_not_made() {
        assert!(
            is_sgi1r(SysReg::new(SGI1R))
                && !is_sgi1r(SysReg::new(SGI1R | 1))
                && !is_sgi1r(SysReg::new(SGI0R))
        );
        assert_eq!(write(SGI0R), Access::Ignored);
        assert_eq!(write(ASGI1R), Access::Ignored);
        assert_eq!(read(SGI1R), Access::Undefined);
    }

    #[test]
    fn id_registers_are_masked_and_read_only() {
        let pfr0 = SysReg::encode(3, 0, 0, 4, 0);
        let Access::Value(value) = read(pfr0) else { panic!() };
        assert_eq!(value >> 32 & 0xf, 0, "no SVE");
        assert_eq!(value >> 24 & 0xf, 1, "GIC registers stay");
        assert_eq!(write(pfr0), Access::Undefined);
        // MIDR and its group are not ID features.
        assert_eq!(read(SysReg::encode(3, 0, 0, 0, 0)), Access::Undefined);
    }

    #[test]
    fn caches_by_set_and_way() {
        for encoding in [ISW, CSW, CISW] {
            assert_eq!(write(encoding), Access::SetWay, "{encoding:#x}");
        }
        // DC IGSW, of allocation tags, which guests do not have; DC IVAC.
        assert_eq!(write(SysReg::encode(1, 0, 7, 6, 4)), Access::Undefined);
        assert_eq!(write(SysReg::encode(1, 0, 7, 6, 1)), Access::Undefined);
    }

    #[test]
    fn the_rest_is_undefined() {
        for encoding in [
            SysReg::encode(3, 6, 15, 0, 0),
            SysReg::encode(2, 1, 0, 0, 0),
            SysReg::encode(3, 4, 1, 1, 0),
            SysReg::encode(3, 0, 15, 2, 0),
        ] {
            assert_eq!(read(encoding), Access::Undefined);
            assert_eq!(write(encoding), Access::Undefined);
        }
    }
}
