// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which registers there are, and what each is to be from now on.

use crate::run;

const MRS: u32 = 0xd530_0000;
const MSR: u32 = 0xd510_0000;
const ENCODINGS: u32 = 1 << 15;
const AT_MOST: usize = 512;

/// A register that can be read.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// op0 less 2, op1, CRn, CRm, op2: bits 19:5 of MRS.
    pub encoding: u32,
    /// What it read behind its last write.
    pub value: u64,
    /// How many of its bits can be written.
    pub bits: u32,
}

#[derive(Debug)]
pub struct Registers {
    found: [Register; AT_MOST],
    count: usize,
}

const fn name(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    (op0 - 2) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// Registers that go by themselves: PSTATE, counters and what is derived from them, pending
/// interrupts, random numbers; ICC_IAR0 and 1, whose read takes an interrupt.
const fn is_volatile(encoding: u32) -> bool {
    const GIC: u32 = name(3, 0, 12, 8, 0);
    let (crm, op2) = (encoding >> 3 & 15, encoding & 7);
    if matches!(encoding & !7, PSTATE_EL | PSTATE_DAIF | PSTATE_NMI) {
        return true;
    }
    match encoding & !0x7f {
        // CNTPCT, CNTVCT, CNTPCTSS, CNTVCTSS; timers' values and states.
        COUNTERS => crm == 0 && op2 != 0 || (crm == 2 || crm == 3) && op2 <= 1,
        // ISR_EL1; ICC_IAR0, HPPIR0; RPR; IAR1, HPPIR1.
        INTERRUPTS => {
            encoding == name(3, 0, 12, 1, 0)
                || encoding == GIC
                || encoding == GIC | 2
                || encoding == name(3, 0, 12, 11, 3)
                || crm == 12 && (op2 == 0 || op2 == 2)
        }
        // RNDR, RNDRRS.
        RANDOM => crm == 4,
        _ => false,
    }
}

const COUNTERS: u32 = name(3, 3, 14, 0, 0);
const INTERRUPTS: u32 = name(3, 0, 12, 0, 0);
const RANDOM: u32 = name(3, 3, 2, 0, 0);

/// What it lives by: SCTLR, CPACR, TTBR0, TCR, MAIR, VBAR, stack pointers, FPCR; and ICC_BPR0 and
/// 1, which are another value if it is too low, at once or (QEMU) when they are restored.
const fn is_vital(encoding: u32) -> bool {
    encoding & !7 == STACK
        || matches!(
            encoding,
            SCTLR | CPACR | TTBR0 | TCR | MAIR | VBAR | FPCR | RGSR | PMR | BPR0 | BPR1
        )
}

const STACK: u32 = name(3, 0, 4, 1, 0);
const PSTATE_EL: u32 = name(3, 0, 4, 2, 0);
const PSTATE_DAIF: u32 = name(3, 3, 4, 2, 0);
const PSTATE_NMI: u32 = name(3, 0, 4, 3, 0);
const SCTLR: u32 = name(3, 0, 1, 0, 0);
const CPACR: u32 = name(3, 0, 1, 0, 2);
const TTBR0: u32 = name(3, 0, 2, 0, 0);
const TCR: u32 = name(3, 0, 2, 0, 2);
const MAIR: u32 = name(3, 0, 10, 2, 0);
const VBAR: u32 = name(3, 0, 12, 0, 0);
const FPCR: u32 = name(3, 3, 4, 4, 0);
const RGSR: u32 = name(3, 0, 1, 0, 5);
const PMR: u32 = name(3, 0, 4, 6, 0);
const BPR0: u32 = name(3, 0, 12, 8, 3);
const BPR1: u32 = name(3, 0, 12, 12, 3);

impl Registers {
    /// Writes what can be written, with a pattern by `tag`.
    pub fn find(tag: u64) -> Self {
        let none = Register { encoding: 0, value: 0, bits: 0 };
        let pattern = tag.wrapping_mul(0x1111_1111_1111_1111);
        let mut out = Self { found: [none; AT_MOST], count: 0 };
        // Those from op1 4 on are of EL2 and EL3, and UNDEFINED.
        let lower = |encoding: &u32| encoding >> 11 & 7 < 4;
        for encoding in (0..ENCODINGS).filter(lower).filter(|&encoding| !is_volatile(encoding)) {
            let mut register = Register { encoding, ..none };
            let Some(before) = run(register.mrs(), 0) else { continue };
            if !is_vital(encoding)
                && let (Some(one), Some(other)) =
                    (register.write(!pattern), register.write(pattern))
            {
                register.bits = (one ^ other).count_ones();
                if register.bits == 0 {
                    register.write(before);
                }
            }
            if let Some(slot) = out.found.get_mut(out.count) {
                *slot = register;
                out.count += 1;
            }
        }
        // Exceptions changed some meanwhile, and some say what others are to be: again, each read
        // at once.
        for _ in 0..2 {
            for register in &mut out.found[..out.count] {
                let value = match register.bits {
                    0 => run(register.mrs(), 0),
                    _ => register.write(pattern),
                };
                register.value = value.unwrap_or(0);
            }
        }
        out
    }

    pub fn all(&self) -> &[Register] {
        &self.found[..self.count]
    }
}

impl Register {
    pub fn mrs(&self) -> u32 {
        MRS | self.encoding << 5
    }

    /// What it reads then.
    fn write(&self, value: u64) -> Option<u64> {
        run(MSR | self.encoding << 5, value)?;
        run(self.mrs(), 0)
    }
}
