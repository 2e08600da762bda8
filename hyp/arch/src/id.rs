// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Feature registers of this CPU, by the encoding that a trapped read carries.

use core::arch::asm;

/// S3_0_C0_C<CRm>_<op2>, CRm 1 to 7: the registers that HCR_EL2.TID3 traps. Others read as zero.
///
/// `encoding` has CRm and op2 where ESR_EL2.ISS has them (DDI 0487 D24.2.40, system registers).
#[inline(never)]
pub fn read(encoding: u32) -> u64 {
    let (crm, op2) = (encoding >> 1 & 15, encoding >> 17 & 7);
    let number = u64::from(crm << 3 | op2);
    if !(8..64).contains(&number) {
        return 0;
    }
    let value;
    // SAFETY: jumps to one of 56 pairs of instructions, by its number minus 8, which reads a
    // feature register. All of this space may be read; what is not used of it is zero.
    unsafe {
        asm!(
            "adr {at}, 2f",
            "add {at}, {at}, {number}, lsl #3",
            "br {at}",
            "2:",
            ".irp crm, 1, 2, 3, 4, 5, 6, 7",
            ".irp op2, 0, 1, 2, 3, 4, 5, 6, 7",
            r"mrs {value}, S3_0_C0_C\crm\()_\op2",
            "b 3f",
            ".endr",
            ".endr",
            "3:",
            at = out(reg) _,
            number = in(reg) number - 8,
            value = out(reg) value,
            options(nostack, nomem, preserves_flags),
        );
    }
    value
}
