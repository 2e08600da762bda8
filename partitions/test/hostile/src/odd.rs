// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accesses that tell the hypervisor nothing but their address: ESR_EL2.ISV is 0 for them (DDI 0487
//! D24.2.40).
//!
//! In the section `.probe`, so that `rt`'s vectors answer what they provoke.

use core::arch::global_asm;

global_asm!(
    r#"
.macro odd name, instruction:vararg
\name:
    mov     x9, xzr
    \instruction
    mov     x0, x9
    ret
.endm

.section .probe, "ax"
odd odd_ldp, ldp x1, x2, [x0]
odd odd_stp, stp xzr, xzr, [x0]
odd odd_ldr_post, ldr x1, [x0], #8
odd odd_str_pre, str xzr, [x0, #8]!
odd odd_ldxr, ldxr x1, [x0]
odd odd_stxr, stxr w2, xzr, [x0]
odd odd_ldar, ldar x1, [x0]
odd odd_ldr_q, ldr q0, [x0]
odd odd_ld1, ld1 {{ v0.16b, v1.16b }}, [x0]
odd odd_ldpsw, ldpsw x1, x2, [x0]
odd odd_civac, dc civac, x0
odd odd_ivac, dc ivac, x0
odd odd_ivau, ic ivau, x0
odd odd_prfm, prfm pldl1keep, [x0]
"#
);

unsafe extern "C" {
    fn odd_ldp(address: u64) -> u64;
    fn odd_stp(address: u64) -> u64;
    fn odd_ldr_post(address: u64) -> u64;
    fn odd_str_pre(address: u64) -> u64;
    fn odd_ldxr(address: u64) -> u64;
    fn odd_stxr(address: u64) -> u64;
    fn odd_ldar(address: u64) -> u64;
    fn odd_ldr_q(address: u64) -> u64;
    fn odd_ld1(address: u64) -> u64;
    fn odd_ldpsw(address: u64) -> u64;
    fn odd_civac(address: u64) -> u64;
    fn odd_ivac(address: u64) -> u64;
    fn odd_ivau(address: u64) -> u64;
    fn odd_prfm(address: u64) -> u64;
}

const ALL: [unsafe extern "C" fn(u64) -> u64; 14] = [
    odd_ldp,
    odd_stp,
    odd_ldr_post,
    odd_str_pre,
    odd_ldxr,
    odd_stxr,
    odd_ldar,
    odd_ldr_q,
    odd_ld1,
    odd_ldpsw,
    odd_civac,
    odd_ivac,
    odd_ivau,
    odd_prfm,
];

/// Makes one such access; ESR_EL1 of what it provoked, 0 for nothing.
///
/// # Safety
/// `address` is no memory of this VM.
pub unsafe fn access(which: u64, address: u64) -> u64 {
    let access = ALL[which as usize % ALL.len()];
    // SAFETY: the caller vouches for the address; each of these changes x1, x2, q0 and q1 at most,
    // and a fault comes back.
    unsafe { access(address) }
}
