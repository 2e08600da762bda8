// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The GIC's system registers: the physical interface that EL2 uses, and the virtual one of its
//! guest.
//!
//! IHI 0069H 12.2 and 12.4. EOImode is 1: ending an interrupt drops its priority only. An interrupt
//! for a guest stays active until the guest ends it through its list register; others are
//! deactivated here.

use super::mmu;
use super::sysreg::{dsb_ish, dsb_sy, isb, read, write};
use crate::system::System;
use core::arch::asm;
use gicv4::IntId;
use gicv4::dist::Dist;

/// INTIDs 1020 to 1023 say that there is nothing to acknowledge. Higher ones are interrupts:
/// extended PPIs and SPIs, which boot disables, have active states that must be ended all the same.
pub const fn is_nothing(intid: u32) -> bool {
    matches!(intid, 1020..=1023)
}

/// ICH_HCR_EL2.En.
pub const ICH_ENABLE: u64 = 1;

/// Puts both interfaces of this CPU into their first state.
pub fn initialise() {
    write!(ICC_SRE_EL2, 0xf); // system registers, also for EL1
    isb();
    write!(ICC_IGRPEN1_EL1, 0); // while the rest changes
    write!(ICC_PMR_EL1, 0xff);
    write!(ICC_BPR1_EL1, 0);
    write!(ICC_CTLR_EL1, 1 << 1); // EOImode
    forget_active_priorities();
    write!(ICC_IGRPEN0_EL1, 0);
    write!(ICC_IGRPEN1_EL1, 1);
    reset_virtual();
}

/// ICC_AP1R<n>_EL1: no interrupt that somebody took before us and did not end holds ours back.
fn forget_active_priorities() {
    let priority_bits = (read!(ICC_CTLR_EL1) >> 8 & 7) + 1; // PRIbits
    write!(ICC_AP1R0_EL1, 0);
    if priority_bits >= 6 {
        write!(ICC_AP1R1_EL1, 0);
    }
    if priority_bits >= 7 {
        write!(ICC_AP1R2_EL1, 0);
        write!(ICC_AP1R3_EL1, 0);
    }
}

/// The guest's interface as after reset: nothing listed, nothing active, everything masked.
#[inline(never)]
pub fn reset_virtual() {
    clear_list_registers();
    write!(ICH_HCR_EL2, ICH_ENABLE);
    reset_virtual_control();
}

/// All that this CPU has, also those that the plan does not need.
fn clear_list_registers() {
    // SAFETY: jumps to the last `count` of 16 instructions, each of which clears one that is there.
    unsafe {
        asm!(
            "adr {at}, 2f",
            "sub {at}, {at}, {count}, lsl #2",
            "br {at}",
            ".irp n, 7, 6, 5, 4, 3, 2, 1, 0",
            r"msr S3_4_C12_C13_\n, xzr", // ICH_LR15_EL2 to ICH_LR8_EL2
            ".endr",
            ".irp n, 7, 6, 5, 4, 3, 2, 1, 0",
            r"msr S3_4_C12_C12_\n, xzr", // ICH_LR7_EL2 to ICH_LR0_EL2
            ".endr",
            "2:",
            at = out(reg) _,
            count = in(reg) u64::from(list_registers()),
            options(nostack, preserves_flags),
        );
    }
}

/// Writes list register `index` where the compiler does not know which: a branch to one of those
/// that the plan relies on. Any other is left alone.
#[inline(never)]
pub fn write_any_list_register<S: System>(index: u8, value: u64) {
    if index < S::PLAN.board.list_registers {
        write_list_register(index, value);
    }
}

/// Reads it, likewise; any other is 0.
#[inline(never)]
pub fn read_any_list_register<S: System>(index: u8) -> u64 {
    match index < S::PLAN.board.list_registers {
        true => read_list_register(index),
        false => 0,
    }
}

/// The same, but what list registers hold stays: a CPU interface that lost power, not its
/// interrupts.
pub fn reset_virtual_control() {
    write!(ICH_VMCR_EL2, 0);
    let preemption_bits = preemption_bits();
    write!(ICH_AP0R0_EL2, 0);
    write!(ICH_AP1R0_EL2, 0);
    if preemption_bits >= 5 {
        write!(ICH_AP0R1_EL2, 0);
        write!(ICH_AP1R1_EL2, 0);
    }
    if preemption_bits >= 6 {
        write!(ICH_AP0R2_EL2, 0);
        write!(ICH_AP0R3_EL2, 0);
        write!(ICH_AP1R2_EL2, 0);
        write!(ICH_AP1R3_EL2, 0);
    }
    isb();
}

/// ID_AA64PFR0_EL1.GIC. 1: ICC_SRE_EL2.SRE can be set, and the interface is used by system
/// registers only; 3: it takes virtual SGIs.
pub fn interface() -> u64 {
    read!(ID_AA64PFR0_EL1) >> 24 & 0xf
}

/// How many list registers there are (ICH_VTR_EL2.ListRegs).
pub fn list_registers() -> u8 {
    (read!(ICH_VTR_EL2) & 0x1f) as u8 + 1
}

/// ICH_VTR_EL2.nV4: no direct injection of virtual interrupts.
pub fn no_direct_injection() -> bool {
    read!(ICH_VTR_EL2) >> 20 & 1 != 0
}

/// Takes the highest pending interrupt; [`is_nothing`] if there is none.
#[inline(always)]
pub fn acknowledge() -> u32 {
    read!(ICC_IAR1_EL1) as u32
}

/// An interrupt waits to be acknowledged (ISR_EL1, which reads physical ones at EL2).
#[inline(always)]
pub fn is_pending() -> bool {
    read!(ISR_EL1) & 1 << 7 != 0
}

/// Drops the running priority; the interrupt stays active.
#[inline(always)]
pub fn drop_priority(intid: u32) {
    write!(ICC_EOIR1_EL1, u64::from(intid));
}

/// The same for ICC_IAR1_EL1 as the vectors read it.
#[inline(always)]
pub fn drop_priority_register(taken: u64) {
    write!(ICC_EOIR1_EL1, taken);
}

/// Ends an interrupt that was EL2's own, or that no guest will end.
#[inline(always)]
pub fn deactivate<S: System>(intid: u32) {
    if !S::PLAN.board.gic_deactivates && intid.wrapping_sub(32) < 988 {
        isb();
        dsb_sy();
        Dist::new(mmu::distributor::<S>()).clear_active(IntId::new(intid));
        return;
    }
    write!(ICC_DIR_EL1, u64::from(intid));
}

/// ICC_SGI1R_EL1 value that sends physical SGI `sgi` to the CPU with these affinity fields.
pub const fn sgi_value(affinity: u64, sgi: u8) -> u64 {
    (affinity >> 32 & 0xff) << 48
        | (affinity >> 4 & 0xf) << 44
        | (affinity >> 16 & 0xff) << 32
        | (sgi as u64 & 0xf) << 24
        | (affinity >> 8 & 0xff) << 16
        | 1 << (affinity & 0xf)
}

/// Sends it, on the way out of EL2 at the latest; what was stored before is seen by the CPU that
/// takes it.
#[inline(always)]
pub fn send_sgi(value: u64) {
    dsb_ish();
    write!(ICC_SGI1R_EL1, value);
}

/// The guest's running state in list register `index`. Registers that do not exist read as 0.
#[inline(always)]
pub fn read_list_register(index: u8) -> u64 {
    match index {
        0 => read!(ICH_LR0_EL2),
        1 => read!(ICH_LR1_EL2),
        2 => read!(ICH_LR2_EL2),
        3 => read!(ICH_LR3_EL2),
        4 => read!(ICH_LR4_EL2),
        5 => read!(ICH_LR5_EL2),
        6 => read!(ICH_LR6_EL2),
        7 => read!(ICH_LR7_EL2),
        8 => read!(ICH_LR8_EL2),
        9 => read!(ICH_LR9_EL2),
        10 => read!(ICH_LR10_EL2),
        11 => read!(ICH_LR11_EL2),
        12 => read!(ICH_LR12_EL2),
        13 => read!(ICH_LR13_EL2),
        14 => read!(ICH_LR14_EL2),
        15 => read!(ICH_LR15_EL2),
        _ => 0,
    }
}

/// Writes list register `index`, below `list_registers()`. Takes effect on return to the guest.
#[inline(always)]
pub fn write_list_register(index: u8, value: u64) {
    match index {
        0 => write!(ICH_LR0_EL2, value),
        1 => write!(ICH_LR1_EL2, value),
        2 => write!(ICH_LR2_EL2, value),
        3 => write!(ICH_LR3_EL2, value),
        4 => write!(ICH_LR4_EL2, value),
        5 => write!(ICH_LR5_EL2, value),
        6 => write!(ICH_LR6_EL2, value),
        7 => write!(ICH_LR7_EL2, value),
        8 => write!(ICH_LR8_EL2, value),
        9 => write!(ICH_LR9_EL2, value),
        10 => write!(ICH_LR10_EL2, value),
        11 => write!(ICH_LR11_EL2, value),
        12 => write!(ICH_LR12_EL2, value),
        13 => write!(ICH_LR13_EL2, value),
        14 => write!(ICH_LR14_EL2, value),
        15 => write!(ICH_LR15_EL2, value),
        _ => {}
    }
}

/// Which list registers are empty (ICH_ELRSR_EL2).
#[inline(always)]
pub fn empty_list_registers() -> u32 {
    read!(ICH_ELRSR_EL2) as u32
}

/// ICH_HCR_EL2, whose underflow interrupt is asked for while interrupts wait for a list register.
#[inline(always)]
pub fn read_ich_hcr() -> u64 {
    read!(ICH_HCR_EL2)
}

/// Writes ICH_HCR_EL2. Takes effect on return to the guest.
#[inline(always)]
pub fn write_ich_hcr(value: u64) {
    write!(ICH_HCR_EL2, value);
}

/// ICH_HCR_EL2.TALL1 is set.
pub fn traps_group1() -> bool {
    read_ich_hcr() & 1 << 12 != 0
}

/// ICH_HCR_EL2.TDIR and TC, either of which traps ICC_DIR_EL1.
pub const DIR_TRAPS: u64 = 1 << 14 | 1 << 10;

/// The one that this CPU has: without ICH_VTR_EL2.TDS it can only trap everything that both groups
/// have in common.
pub fn dir_trap() -> u64 {
    if read!(ICH_VTR_EL2) >> 19 & 1 != 0 { 1 << 14 } else { 1 << 10 }
}

/// ICH_VMCR_EL2: the guest's ICC_PMR_EL1 31:24, ICC_CTLR_EL1.EOImode 9, ICC_CTLR_EL1.CBPR 4.
#[inline]
pub fn machine() -> u64 {
    read!(ICH_VMCR_EL2)
}

/// Writes ICH_VMCR_EL2.
pub fn set_machine(value: u64) {
    write!(ICH_VMCR_EL2, value);
}

/// The guest's ICC_CTLR_EL1.EOImode.
pub fn splits_end() -> bool {
    machine() & 1 << 9 != 0
}

/// What the guest's ICC_CTLR_EL1 says of the interface: PRIbits, IDbits, SEIS and A3V as
/// ICH_VTR_EL2 has them.
pub fn interface_control() -> u64 {
    let vtr = read!(ICH_VTR_EL2);
    (vtr >> 29 & 7) << 8 | (vtr >> 23 & 7) << 11 | (vtr >> 22 & 1) << 14 | (vtr >> 21 & 1) << 15
}

/// The guest's ICC_RPR_EL1: the highest active priority of either group, 0xff without any.
pub fn running_priority() -> u64 {
    let bits = preemption_bits() as u32 + 1;
    let words = [
        read!(ICH_AP0R0_EL2) | read!(ICH_AP1R0_EL2),
        if bits >= 6 { read!(ICH_AP0R1_EL2) | read!(ICH_AP1R1_EL2) } else { 0 },
        if bits >= 7 { read!(ICH_AP0R2_EL2) | read!(ICH_AP1R2_EL2) } else { 0 },
        if bits >= 7 { read!(ICH_AP0R3_EL2) | read!(ICH_AP1R3_EL2) } else { 0 },
    ];
    let first = words.iter().enumerate().find(|(_, word)| **word as u32 != 0);
    first.map_or(0xff, |(index, word)| {
        (index as u64 * 32 + u64::from((*word as u32).trailing_zeros())) << ((8 - bits) & 7)
    })
}

/// The virtual CPU interface of a vPE that is not on its CPU (IHI 0069H 12.4).
/// `LIST` list registers are in use: those that the plan relies on. The others are always empty.
#[repr(C)]
pub struct Interface<const LIST: usize> {
    /// Their values.
    list: [u64; LIST],
    /// ICH_VMCR_EL2, ICH_HCR_EL2.
    machine: u64,
    control: u64,
    /// ICH_AP0R<n>_EL2, ICH_AP1R<n>_EL2.
    active: [[u64; 4]; 2],
}

/// A loop over the list registers that the plan relies on, unrolled.
macro_rules! for_each_list_register {
    (|$index:ident| $body:expr) => {
        for_each_list_register!(|$index| $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (|$index:ident| $body:expr; $($n:literal)*) => {
        $({
            const $index: usize = $n;
            if $index < LIST {
                $body;
            }
        })*
    };
}

impl<const LIST: usize> Interface<LIST> {
    /// As after reset.
    pub const fn new() -> Self {
        Self { list: [0; LIST], machine: 0, control: ICH_ENABLE, active: [[0; 4]; 2] }
    }

    /// ICH_VMCR_EL2.
    pub fn machine(&self) -> u64 {
        self.machine
    }

    /// The list registers' values.
    pub fn listed(&self) -> &[u64] {
        &self.list
    }

    /// Takes it out of this CPU.
    #[inline(always)]
    pub fn save(&mut self) {
        for_each_list_register!(|INDEX| if let Some(register) = self.list.get_mut(INDEX) {
            *register = read_list_register(INDEX as u8);
        });
        self.control = read_ich_hcr();
        self.machine = read!(ICH_VMCR_EL2);
        let [group0, group1] = &mut self.active;
        group0[0] = read!(ICH_AP0R0_EL2);
        group1[0] = read!(ICH_AP1R0_EL2);
        let preemption_bits = preemption_bits();
        if preemption_bits >= 5 {
            group0[1] = read!(ICH_AP0R1_EL2);
            group1[1] = read!(ICH_AP1R1_EL2);
        }
        if preemption_bits >= 6 {
            group0[2] = read!(ICH_AP0R2_EL2);
            group0[3] = read!(ICH_AP0R3_EL2);
            group1[2] = read!(ICH_AP1R2_EL2);
            group1[3] = read!(ICH_AP1R3_EL2);
        }
    }

    /// Puts it into this CPU, where another vPE's is or none.
    #[inline(always)]
    pub fn load(&self) {
        for_each_list_register!(|INDEX| if let Some(&register) = self.list.get(INDEX) {
            write_list_register(INDEX as u8, register);
        });
        write_ich_hcr(self.control);
        write!(ICH_VMCR_EL2, self.machine);
        let [group0, group1] = &self.active;
        write!(ICH_AP0R0_EL2, group0[0]);
        write!(ICH_AP1R0_EL2, group1[0]);
        let preemption_bits = preemption_bits();
        if preemption_bits >= 5 {
            write!(ICH_AP0R1_EL2, group0[1]);
            write!(ICH_AP1R1_EL2, group1[1]);
        }
        if preemption_bits >= 6 {
            write!(ICH_AP0R2_EL2, group0[2]);
            write!(ICH_AP0R3_EL2, group0[3]);
            write!(ICH_AP1R2_EL2, group1[2]);
            write!(ICH_AP1R3_EL2, group1[3]);
        }
    }
}

/// ICH_VTR_EL2.PREbits: the number of preemption bits, minus one.
#[inline(always)]
fn preemption_bits() -> u64 {
    read!(ICH_VTR_EL2) >> 26 & 7
}

/// ICH_VMCR_EL2 lets interrupts of group 1 with a priority value below the second through; the
/// first: whether any.
#[inline(always)]
pub fn lets_through() -> (bool, u8) {
    let machine = read!(ICH_VMCR_EL2);
    (machine & 1 << 1 != 0, (machine >> 24) as u8)
}
