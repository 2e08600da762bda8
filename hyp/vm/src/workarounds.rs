// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Firmware's workarounds for what CPUs speculate: SMCCC_ARCH_WORKAROUND_1, 2 and 3.
//!
//! Firmware knows which of its CPUs need them (DEN 0028 7.4 to 7.6), and ARCH_FEATURES tells of
//! each on the CPU that asks: 0, the call is needed here; 1, it is allowed and does nothing; less,
//! it is not there, or nothing is needed.
//!
//! | | the hypervisor | a guest |
//! |---|---|---|
//! | 1, branch targets; 3, branch history | calls one before another VM has the CPU | asks and calls, as firmware answers |
//! | 2, stores passed by loads | turns it on for good | is told that nothing is needed |

use abi::smccc::{
    ARCH_WORKAROUND_1, ARCH_WORKAROUND_2, ARCH_WORKAROUND_3, NOT_REQUIRED, NOT_SUPPORTED, SUCCESS,
};

/// Functions of 1, 2 and 3.
pub const FUNCTIONS: [u32; 3] = [ARCH_WORKAROUND_1, ARCH_WORKAROUND_2, ARCH_WORKAROUND_3];

/// What firmware says of the three on one CPU. The first value is that of firmware without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workarounds(u32);

/// Two bits for each.
const ABSENT: u32 = 0;
const NEEDED: u32 = 1;
const ALLOWED: u32 = 2;
/// Never needed: the CPU is not affected.
const NOT_NEEDED: u32 = 3;

/// Its number, from 0.
fn number(function: u32) -> Option<usize> {
    FUNCTIONS.iter().position(|&one| one == function)
}

/// The function is one of them.
pub fn is_one(function: u32) -> bool {
    number(function).is_some()
}

impl Workarounds {
    /// By ARCH_FEATURES, as `ask` calls it.
    pub fn of(ask: impl Fn(u32) -> i64) -> Self {
        let bits = FUNCTIONS.iter().zip([0, 2, 4]).map(|(&function, shift)| {
            let says = match ask(function) {
                0 => NEEDED,
                1 => ALLOWED,
                -2 => NOT_NEEDED,
                _ => ABSENT,
            };
            says << shift
        });
        Self(bits.fold(0, |all, one| all | one))
    }

    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
    pub const fn bits(self) -> u32 {
        self.0
    }

    const fn says(self, number: usize) -> u32 {
        self.0 >> (2 * number) & 3
    }

    /// What the hypervisor calls before another VM has the CPU. 3 does what 1 does.
    pub const fn between_vms(self) -> Option<u32> {
        match (self.says(0), self.says(2)) {
            (_, NEEDED) => Some(FUNCTIONS[2]),
            (NEEDED, _) => Some(FUNCTIONS[0]),
            _ => None,
        }
    }

    /// 2 is to be turned on.
    pub const fn holds_stores(self) -> bool {
        self.says(1) == NEEDED
    }

    /// A guest's ARCH_FEATURES of `function`.
    pub fn answer(self, function: u32) -> u64 {
        match number(function).map(|number| (number, self.says(number))) {
            None | Some((_, ABSENT)) => NOT_SUPPORTED,
            Some((1, _) | (_, NOT_NEEDED)) => NOT_REQUIRED,
            Some((_, NEEDED)) => SUCCESS,
            Some(_) => 1,
        }
    }

    /// A guest's call of `function` goes on to firmware.
    pub fn serves(self, function: u32) -> bool {
        let says = |number| matches!(self.says(number), NEEDED | ALLOWED);
        number(function).is_some_and(|number| number != 1 && says(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(answers: [i64; 3]) -> Workarounds {
        Workarounds::of(|function| answers[number(function).unwrap()])
    }

    #[test]
    fn without_firmware_there_is_nothing() {
        for none in [firmware([-1; 3]), Workarounds::default()] {
            assert_eq!((none.between_vms(), none.holds_stores()), (None, false));
            for function in FUNCTIONS {
                assert_eq!((none.answer(function), none.serves(function)), (NOT_SUPPORTED, false));
            }
        }
    }

    #[test]
    fn a_cpu_that_needs_them() {
        let needed = firmware([0; 3]);
        assert_eq!((needed.between_vms(), needed.holds_stores()), (Some(0x8000_3fff), true));
        assert_eq!(FUNCTIONS.map(|one| needed.answer(one)), [0, NOT_REQUIRED, 0]);
        assert_eq!(FUNCTIONS.map(|one| needed.serves(one)), [true, false, true]);
        assert_eq!(firmware([0, -1, -1]).between_vms(), Some(0x8000_8000));
        assert_eq!(Workarounds::from_bits(needed.bits()), needed);
    }

    #[test]
    fn a_cpu_beside_one_that_needs_them() {
        let allowed = firmware([1, 1, -2]);
        assert_eq!((allowed.between_vms(), allowed.holds_stores()), (None, false));
        assert_eq!(FUNCTIONS.map(|one| allowed.answer(one)), [1, NOT_REQUIRED, NOT_REQUIRED]);
        assert_eq!(FUNCTIONS.map(|one| allowed.serves(one)), [true, false, false]);
        assert_eq!((allowed.answer(0x8000_0000), allowed.serves(0)), (NOT_SUPPORTED, false));
    }
}
