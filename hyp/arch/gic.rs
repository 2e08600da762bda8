//! The GIC's system registers: the physical interface that EL2 uses, and the virtual one of its guest.
//!
//! IHI 0069H 12.2 and 12.4. EOImode is 1: ending an interrupt drops its priority only. An interrupt for a guest stays
//! active until the guest ends it through its list register; others are deactivated here.

use super::mmu;
use super::sysreg::{dsb_ish, dsb_sy, isb, read, write};
use crate::state::plan_data::PLAN;
use gicv4::IntId;
use gicv4::dist::Dist;

/// INTIDs 1020 to 1023 say that there is nothing to acknowledge. Higher ones are interrupts: extended PPIs and SPIs, which
/// boot disables, have active states that must be ended all the same.
pub const fn is_nothing(intid: u32) -> bool {
    matches!(intid, 1020..=1023)
}

/// ICH_HCR_EL2.En.
pub const ICH_ENABLE: u64 = 1;

/// Puts both interfaces of this CPU into their first state.
pub fn initialise() {
    write!("S3_4_C12_C9_5", 0xf); // ICC_SRE_EL2: system registers, also for EL1
    isb();
    write!("S3_0_C12_C12_7", 0); // ICC_IGRPEN1_EL1, while the rest changes
    write!("S3_0_C4_C6_0", 0xff); // ICC_PMR_EL1
    write!("S3_0_C12_C12_3", 0); // ICC_BPR1_EL1
    write!("S3_0_C12_C12_4", 1 << 1); // ICC_CTLR_EL1: EOImode
    forget_active_priorities();
    write!("S3_0_C12_C12_6", 0); // ICC_IGRPEN0_EL1
    write!("S3_0_C12_C12_7", 1);
    reset_virtual();
}

/// ICC_AP1R<n>_EL1: no interrupt that somebody took before us and did not end holds ours back.
fn forget_active_priorities() {
    let priority_bits = (read!("S3_0_C12_C12_4") >> 8 & 7) + 1; // ICC_CTLR_EL1.PRIbits
    write!("S3_0_C12_C9_0", 0);
    if priority_bits >= 6 {
        write!("S3_0_C12_C9_1", 0);
    }
    if priority_bits >= 7 {
        write!("S3_0_C12_C9_2", 0);
        write!("S3_0_C12_C9_3", 0);
    }
}

/// The guest's interface as after reset: nothing listed, nothing active, everything masked.
pub fn reset_virtual() {
    for index in 0..list_registers() {
        write_any_list_register(index, 0);
    }
    write!("S3_4_C12_C11_0", ICH_ENABLE); // ICH_HCR_EL2
    reset_virtual_control();
}

/// [`write_list_register`] where the compiler does not know which: a branch to one of sixteen.
#[inline(never)]
pub fn write_any_list_register(index: u8, value: u64) {
    write_list_register(index, value);
}

/// The same, but what list registers hold stays: a CPU interface that lost power, not its interrupts.
pub fn reset_virtual_control() {
    write!("S3_4_C12_C11_7", 0); // ICH_VMCR_EL2
    let preemption_bits = preemption_bits();
    write!("S3_4_C12_C8_0", 0); // ICH_AP0R0_EL2
    write!("S3_4_C12_C9_0", 0); // ICH_AP1R0_EL2
    if preemption_bits >= 5 {
        write!("S3_4_C12_C8_1", 0);
        write!("S3_4_C12_C9_1", 0);
    }
    if preemption_bits >= 6 {
        write!("S3_4_C12_C8_2", 0);
        write!("S3_4_C12_C8_3", 0);
        write!("S3_4_C12_C9_2", 0);
        write!("S3_4_C12_C9_3", 0);
    }
    isb();
}

/// Whether ICC_SRE_EL2.SRE can be set: the interface is used by system registers only.
pub fn has_system_registers() -> bool {
    read!("id_aa64pfr0_el1") >> 24 & 0xf != 0
}

/// How many list registers there are (ICH_VTR_EL2.ListRegs).
pub fn list_registers() -> u8 {
    (read!("S3_4_C12_C11_1") & 0x1f) as u8 + 1
}

/// ICH_VTR_EL2.nV4: no direct injection of virtual interrupts.
pub fn no_direct_injection() -> bool {
    read!("S3_4_C12_C11_1") >> 20 & 1 != 0
}

/// Takes the highest pending interrupt; [`is_nothing`] if there is none.
#[inline(always)]
pub fn acknowledge() -> u32 {
    read!("S3_0_C12_C12_0") as u32 // ICC_IAR1_EL1
}

/// The same with what the register says besides the INTID, which is nothing, for [`drop_priority_register`].
#[inline(always)]
pub fn acknowledge_register() -> u64 {
    read!("S3_0_C12_C12_0") // ICC_IAR1_EL1
}

/// An interrupt waits to be acknowledged (ISR_EL1, which reads physical ones at EL2).
#[inline(always)]
pub fn is_pending() -> bool {
    read!("isr_el1") & 1 << 7 != 0
}

/// Drops the running priority; the interrupt stays active.
#[inline(always)]
pub fn drop_priority(intid: u32) {
    write!("S3_0_C12_C12_1", u64::from(intid)); // ICC_EOIR1_EL1
}

/// The same for a value of [`acknowledge_register`].
#[inline(always)]
pub fn drop_priority_register(taken: u64) {
    write!("S3_0_C12_C12_1", taken); // ICC_EOIR1_EL1
}

/// Ends an interrupt that was EL2's own, or that no guest will end.
#[inline(always)]
pub fn deactivate(intid: u32) {
    if !PLAN.board.gic_deactivates && intid.wrapping_sub(32) < 988 {
        isb();
        dsb_sy();
        Dist::new(mmu::distributor()).clear_active(IntId::new(intid));
        return;
    }
    write!("S3_0_C12_C11_1", u64::from(intid)); // ICC_DIR_EL1
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

/// Sends it, on the way out of EL2 at the latest; what was stored before is seen by the CPU that takes it.
#[inline(always)]
pub fn send_sgi(value: u64) {
    dsb_ish();
    write!("S3_0_C12_C11_5", value); // ICC_SGI1R_EL1
}

/// The guest's running state in list register `index`. Registers that do not exist read as 0.
#[inline(always)]
pub fn read_list_register(index: u8) -> u64 {
    match index {
        0 => read!("S3_4_C12_C12_0"),
        1 => read!("S3_4_C12_C12_1"),
        2 => read!("S3_4_C12_C12_2"),
        3 => read!("S3_4_C12_C12_3"),
        4 => read!("S3_4_C12_C12_4"),
        5 => read!("S3_4_C12_C12_5"),
        6 => read!("S3_4_C12_C12_6"),
        7 => read!("S3_4_C12_C12_7"),
        8 => read!("S3_4_C12_C13_0"),
        9 => read!("S3_4_C12_C13_1"),
        10 => read!("S3_4_C12_C13_2"),
        11 => read!("S3_4_C12_C13_3"),
        12 => read!("S3_4_C12_C13_4"),
        13 => read!("S3_4_C12_C13_5"),
        14 => read!("S3_4_C12_C13_6"),
        15 => read!("S3_4_C12_C13_7"),
        _ => 0,
    }
}

/// Writes list register `index`, below `list_registers()`. Takes effect on return to the guest.
#[inline(always)]
pub fn write_list_register(index: u8, value: u64) {
    match index {
        0 => write!("S3_4_C12_C12_0", value),
        1 => write!("S3_4_C12_C12_1", value),
        2 => write!("S3_4_C12_C12_2", value),
        3 => write!("S3_4_C12_C12_3", value),
        4 => write!("S3_4_C12_C12_4", value),
        5 => write!("S3_4_C12_C12_5", value),
        6 => write!("S3_4_C12_C12_6", value),
        7 => write!("S3_4_C12_C12_7", value),
        8 => write!("S3_4_C12_C13_0", value),
        9 => write!("S3_4_C12_C13_1", value),
        10 => write!("S3_4_C12_C13_2", value),
        11 => write!("S3_4_C12_C13_3", value),
        12 => write!("S3_4_C12_C13_4", value),
        13 => write!("S3_4_C12_C13_5", value),
        14 => write!("S3_4_C12_C13_6", value),
        15 => write!("S3_4_C12_C13_7", value),
        _ => {}
    }
}

/// Which list registers are empty (ICH_ELRSR_EL2).
#[inline(always)]
pub fn empty_list_registers() -> u32 {
    read!("S3_4_C12_C11_5") as u32
}

/// ICH_HCR_EL2, whose underflow interrupt is asked for while interrupts wait for a list register.
#[inline(always)]
pub fn read_ich_hcr() -> u64 {
    read!("S3_4_C12_C11_0")
}

#[inline(always)]
pub fn write_ich_hcr(value: u64) {
    write!("S3_4_C12_C11_0", value);
}

/// ICH_HCR_EL2.TALL1 is set.
pub fn traps_group1() -> bool {
    read_ich_hcr() & 1 << 12 != 0
}

/// ICH_HCR_EL2.TDIR and TC, either of which traps ICC_DIR_EL1.
pub const DIR_TRAPS: u64 = 1 << 14 | 1 << 10;

/// The one that this CPU has: without ICH_VTR_EL2.TDS it can only trap everything that both groups have in common.
pub fn dir_trap() -> u64 {
    if read!("S3_4_C12_C11_1") >> 19 & 1 != 0 { 1 << 14 } else { 1 << 10 }
}

/// ICH_VMCR_EL2: the guest's ICC_PMR_EL1 31:24, ICC_CTLR_EL1.EOImode 9, ICC_CTLR_EL1.CBPR 4.
#[inline]
pub fn machine() -> u64 {
    read!("S3_4_C12_C11_7")
}

pub fn set_machine(value: u64) {
    write!("S3_4_C12_C11_7", value);
}

/// The guest's ICC_CTLR_EL1.EOImode.
pub fn splits_end() -> bool {
    machine() & 1 << 9 != 0
}

/// What the guest's ICC_CTLR_EL1 says of the interface: PRIbits, IDbits, SEIS and A3V as ICH_VTR_EL2 has them.
pub fn interface_control() -> u64 {
    let vtr = read!("S3_4_C12_C11_1");
    (vtr >> 29 & 7) << 8 | (vtr >> 23 & 7) << 11 | (vtr >> 22 & 1) << 14 | (vtr >> 21 & 1) << 15
}

/// The guest's ICC_RPR_EL1: the highest active priority of either group, 0xff without any.
pub fn running_priority() -> u64 {
    let bits = preemption_bits() as u32 + 1;
    let words = [
        read!("S3_4_C12_C8_0") | read!("S3_4_C12_C9_0"),
        if bits >= 6 { read!("S3_4_C12_C8_1") | read!("S3_4_C12_C9_1") } else { 0 },
        if bits >= 7 { read!("S3_4_C12_C8_2") | read!("S3_4_C12_C9_2") } else { 0 },
        if bits >= 7 { read!("S3_4_C12_C8_3") | read!("S3_4_C12_C9_3") } else { 0 },
    ];
    let first = words.iter().enumerate().find(|(_, word)| **word as u32 != 0);
    first.map_or(0xff, |(index, word)| {
        (index as u64 * 32 + u64::from((*word as u32).trailing_zeros())) << ((8 - bits) & 7)
    })
}

/// The virtual CPU interface of a vPE that is not on its CPU (IHI 0069H 12.4).
#[repr(C)]
pub struct Interface {
    /// Of the list registers that the plan relies on; the others are always empty.
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

const LIST: usize = PLAN.board.list_registers as usize;

impl Interface {
    /// As after reset.
    pub const fn new() -> Self {
        Self { list: [0; LIST], machine: 0, control: ICH_ENABLE, active: [[0; 4]; 2] }
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
        self.machine = read!("S3_4_C12_C11_7");
        let [group0, group1] = &mut self.active;
        group0[0] = read!("S3_4_C12_C8_0");
        group1[0] = read!("S3_4_C12_C9_0");
        let preemption_bits = preemption_bits();
        if preemption_bits >= 5 {
            group0[1] = read!("S3_4_C12_C8_1");
            group1[1] = read!("S3_4_C12_C9_1");
        }
        if preemption_bits >= 6 {
            group0[2] = read!("S3_4_C12_C8_2");
            group0[3] = read!("S3_4_C12_C8_3");
            group1[2] = read!("S3_4_C12_C9_2");
            group1[3] = read!("S3_4_C12_C9_3");
        }
    }

    /// Puts it into this CPU, where another vPE's is or none.
    #[inline(always)]
    pub fn load(&self) {
        for_each_list_register!(|INDEX| if let Some(&register) = self.list.get(INDEX) {
            write_list_register(INDEX as u8, register);
        });
        write_ich_hcr(self.control);
        write!("S3_4_C12_C11_7", self.machine);
        let [group0, group1] = &self.active;
        write!("S3_4_C12_C8_0", group0[0]);
        write!("S3_4_C12_C9_0", group1[0]);
        let preemption_bits = preemption_bits();
        if preemption_bits >= 5 {
            write!("S3_4_C12_C8_1", group0[1]);
            write!("S3_4_C12_C9_1", group1[1]);
        }
        if preemption_bits >= 6 {
            write!("S3_4_C12_C8_2", group0[2]);
            write!("S3_4_C12_C8_3", group0[3]);
            write!("S3_4_C12_C9_2", group1[2]);
            write!("S3_4_C12_C9_3", group1[3]);
        }
    }
}

/// ICH_VTR_EL2.PREbits: the number of preemption bits, minus one.
#[inline(always)]
fn preemption_bits() -> u64 {
    read!("S3_4_C12_C11_1") >> 26 & 7
}

/// ICH_VMCR_EL2 lets interrupts of group 1 with a priority value below the second through; the first: whether any.
#[inline(always)]
pub fn lets_through() -> (bool, u8) {
    let machine = read!("S3_4_C12_C11_7");
    (machine & 1 << 1 != 0, (machine >> 24) as u8)
}
