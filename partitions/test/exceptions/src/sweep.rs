// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every coprocessor register and every system register, from EL0.

use rt::println;
use rt::random::Random;

use crate::known::has_aarch32;
use crate::stub::{self, EL0, EL0_A32, EL0_T32, MMU_OFF, Start, code};

const SVC: u32 = 0xd400_0001;
const SVC_A32: u32 = 0xef00_0000;
const SVC_T32: u32 = 0xdf00_df00;

/// How many were tried, and how many came back otherwise than by a synchronous exception of EL0's.
pub fn all(seed: u64, rounds: u64) -> (u64, u64) {
    let mut random = Random::new(seed);
    let aarch32 = has_aarch32();
    stub::open_timers();
    let (mut tried, mut astray) = (0, 0);
    for round in 0..rounds {
        // The debug channel is open to EL0, then it is not.
        if round.is_multiple_of(64) {
            stub::set_debug_control(random.below(2) << 12);
        }
        let word = random.draw() as u32;
        let (words, state) = match random.below(if aarch32 { 4 } else { 1 }) {
            // MRS, MSR, SYS, hints and immediates.
            0 => ([0xd500_0000 | word & 0x3f_ffe0 | 4, SVC], EL0),
            1 => ([coprocessor(word), SVC_A32], EL0_A32 | u64::from(word) & 0xf << 28),
            2 => ([always(coprocessor(word)), SVC_A32], EL0_A32),
            _ => ([always(coprocessor(word)).rotate_left(16), SVC_T32], EL0_T32),
        };
        let at = code(&words);
        // Registers are no addresses of this VM, for LDC and STC.
        let from = Start { at, state, sctlr: MMU_OFF, high_vectors: false, x: [0x5_0000; 8] };
        let end = stub::run(&from);
        tried += 1;
        let expected = if state == EL0 { 0x400 } else { 0x600 };
        if end.vector != expected || end.elr.wrapping_sub(at) > 8 {
            astray += 1;
            if astray <= 8 {
                println!("{:#010x} in {state:#x}: {end:x?}", words[0]);
            }
        }
    }
    stub::set_debug_control(0);
    (tried, astray)
}

/// MCR, MRC, MCRR, MRRC, LDC or STC of coprocessor 14 or 15, with r0 to r3, on some condition.
fn coprocessor(word: u32) -> u32 {
    let number = 14 + (word & 1);
    match word >> 1 & 7 {
        // MCRR, MRRC: opc1 7:4, Rt 15:12, Rt2 19:16.
        0 | 1 => word & 0xf010_00ff | 0x0c40_0000 | 1 << 16 | 2 << 12 | number << 8,
        // LDC, STC, offset, no write-back: r0 is the base.
        2 => word & 0xf010_f0ff | 0x0d80_0000 | number << 8,
        // MCR, MRC.
        _ => word & 0xf0ff_00ef | 0x0e00_0010 | 1 << 12 | number << 8,
    }
}

/// The same on no condition.
fn always(word: u32) -> u32 {
    word & 0x0fff_ffff | 0xe000_0000
}
