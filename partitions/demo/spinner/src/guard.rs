// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers that must be as they were left, whoever ran in between.

use core::arch::asm;

/// What a stretch of spinning came to.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// The first reading of the counter.
    pub first: u64,
    /// The last reading of the counter before the stretch ended.
    pub before: u64,
    /// The reading that ended it: beyond `until`, or much later than `before`.
    pub after: u64,
    /// Every register held what was put into it.
    pub intact: bool,
}

/// Fills q0 to q31, FPCR, FPSR, TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1, CONTEXTIDR_EL1 and PAR_EL1 by
/// `seed`, spins until two readings of the counter are more than `gap` apart or `until` has passed,
/// and compares.
pub fn spin(seed: u64, gap: u64, until: u64) -> Stretch {
    let (first, before, after, bad): (u64, u64, u64, u64);
    // SAFETY: the registers named are this vPE's own; none of them means anything to the runtime or
    // to the compiler, but for the vector registers, which are declared, and FPCR and FPSR, which
    // are 0 again at the end. The numbers of x registers below are declared, too.
    unsafe {
        asm!(
            r#"
            .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
            add     x9, x8, #\n
            dup     v\n\().2d, x9
            mvn     x9, x9
            ins     v\n\().d[1], x9
            .endr
            msr     tpidr_el0, x8
            add     x9, x8, #1
            msr     tpidrro_el0, x9
            add     x9, x8, #2
            msr     tpidr_el1, x9
            and     x9, x8, #0xffffffff
            msr     contextidr_el1, x9
            and     x9, x8, #0xfffff000
            msr     par_el1, x9
            and     x9, x8, #0xc00000
            msr     fpcr, x9
            and     x9, x8, #0x1f
            msr     fpsr, x9
            isb
            mrs     x12, cntvct_el0
            mov     x16, x12
            2:
            mov     x11, x12
            isb
            mrs     x12, cntvct_el0
            sub     x9, x12, x11
            cmp     x9, x13
            b.hi    3f
            cmp     x12, x14
            b.lo    2b
            3:
            mov     x10, xzr
            .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
            add     x9, x8, #\n
            umov    x15, v\n\().d[0]
            eor     x15, x15, x9
            orr     x10, x10, x15
            mvn     x9, x9
            umov    x15, v\n\().d[1]
            eor     x15, x15, x9
            orr     x10, x10, x15
            .endr
            mrs     x15, tpidr_el0
            eor     x15, x15, x8
            orr     x10, x10, x15
            add     x9, x8, #1
            mrs     x15, tpidrro_el0
            eor     x15, x15, x9
            orr     x10, x10, x15
            add     x9, x8, #2
            mrs     x15, tpidr_el1
            eor     x15, x15, x9
            orr     x10, x10, x15
            and     x9, x8, #0xffffffff
            mrs     x15, contextidr_el1
            eor     x15, x15, x9
            orr     x10, x10, x15
            and     x9, x8, #0xfffff000
            mrs     x15, par_el1
            eor     x15, x15, x9
            and     x15, x15, #0xfffff000
            orr     x10, x10, x15
            and     x9, x8, #0xc00000
            mrs     x15, fpcr
            eor     x15, x15, x9
            orr     x10, x10, x15
            and     x9, x8, #0x1f
            mrs     x15, fpsr
            eor     x15, x15, x9
            orr     x10, x10, x15
            msr     fpcr, xzr
            msr     fpsr, xzr
            "#,
            in("x8") seed, in("x13") gap, in("x14") until,
            out("x9") _, out("x10") bad, out("x11") before, out("x12") after, out("x15") _, out("x16") first,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _,
            out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _, options(nostack, nomem),
        );
    }
    Stretch { first, before, after, intact: bad == 0 }
}
