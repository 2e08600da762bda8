// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers of the virtual CPU interface that trap for a while.
//!
//! While a level in a list register may have fallen, those of group 1 (ICH_HCR_EL2.TALL1): EL2
//! looks again and traps no more, and the guest executes its instruction again. While a guest's
//! ICC_DIR_EL1 must be seen, that one:
//!
//! A CPU with ICH_HCR_EL2.TDIR traps ICC_DIR_EL1 alone. One without (ICH_VTR_EL2.TDS = 0) has only
//! ICH_HCR_EL2.TC, which takes ICC_CTLR_EL1, ICC_PMR_EL1 and ICC_RPR_EL1 along: they are served
//! from ICH_VMCR_EL2 and ICH_AP1R<n>_EL2, which are the same state. IHI 0069H 12.2, 12.4.

use crate::gic::hardware::Hardware;
use arch::gic;
use vm::exit::SysReg;
use vm::{Guest, vgic};

const PMR: u32 = SysReg::encode(3, 0, 4, 6, 0);
const DIR: u32 = SysReg::encode(3, 0, 12, 11, 1);
const RPR: u32 = SysReg::encode(3, 0, 12, 11, 3);
const CTLR: u32 = SysReg::encode(3, 0, 12, 12, 4);

/// EOImode and CBPR, in ICC_CTLR_EL1 and in ICH_VMCR_EL2.
const EOI_MODE: (u64, u64) = (1 << 1, 1 << 9);
const CBPR: (u64, u64) = (1, 1 << 4);
const PRIORITY: u64 = 0xff << 24;

/// The guest accesses one of group 1's: ICC_IAR1, EOIR1, HPPIR1, BPR1, AP1R<n>, IGRPEN1 or NMIAR1.
/// True: it is to execute its instruction again.
#[inline(never)]
pub fn group1(guest: &Guest, register: SysReg) -> bool {
    const IAR1: u32 = SysReg::encode(3, 0, 12, 12, 0);
    const EOIR1: u32 = SysReg::encode(3, 0, 12, 12, 1);
    const HPPIR1: u32 = SysReg::encode(3, 0, 12, 12, 2);
    const BPR1: u32 = SysReg::encode(3, 0, 12, 12, 3);
    const IGRPEN1: u32 = SysReg::encode(3, 0, 12, 12, 7);
    const NMIAR1: u32 = SysReg::encode(3, 0, 12, 9, 5);
    const AP1R0: u32 = SysReg::encode(3, 0, 12, 9, 0);
    const AP1R3: u32 = SysReg::encode(3, 0, 12, 9, 3);
    const AP1R1: u32 = SysReg::encode(3, 0, 12, 9, 1);
    const AP1R2: u32 = SysReg::encode(3, 0, 12, 9, 2);
    let own = matches!(
        register.encoding(),
        IAR1 | EOIR1 | HPPIR1 | BPR1 | IGRPEN1 | NMIAR1 | AP1R0 | AP1R1 | AP1R2 | AP1R3
    );
    // An access that does not exist traps for another reason.
    if !own || !gic::traps_group1() {
        return false;
    }
    vgic::look_again(guest, &mut Hardware);
    true
}

/// A write; false: it is none of these registers.
#[inline(never)]
pub fn write(guest: &Guest, register: SysReg, value: u64) -> bool {
    let machine = gic::machine();
    match register.encoding() {
        DIR => vgic::deactivate(guest, &mut Hardware, value as u32 & 0xff_ffff),
        PMR => gic::set_machine(machine & !PRIORITY | value << 24 & PRIORITY),
        CTLR => {
            let bit = |(from, to): (u64, u64)| if value & from != 0 { to } else { 0 };
            gic::set_machine(machine & !(EOI_MODE.1 | CBPR.1) | bit(EOI_MODE) | bit(CBPR));
        }
        _ => return false,
    }
    true
}

/// A read; None: it is none of these registers.
#[inline(never)]
pub fn read(register: SysReg) -> Option<u64> {
    let machine = gic::machine();
    let bit = |(to, from): (u64, u64)| if machine & from != 0 { to } else { 0 };
    match register.encoding() {
        PMR => Some(machine >> 24 & 0xff),
        CTLR => Some(gic::interface_control() | bit(EOI_MODE) | bit(CBPR)),
        RPR => Some(gic::running_priority()),
        _ => None,
    }
}
