// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What no image may have, looked for in each that is built.
//!
//! | rule | why |
//! |---|---|
//! | no address translation (AT) | so none is executed speculatively while a vPE is switched (hyp/arch/src/guest.rs) |
//! | no panic | a panic that the compiler cannot rule out may happen at run time |
//! | no 835769 sequence | Cortex-A53 r0p0 to r0p4: a 64-bit multiply-accumulate right behind an access may give a wrong result |
//! | no 843419 sequence | Cortex-A53 r0p0 to r0p4: an ADRP at the end of a page may give a wrong address |
//!
//! The compiler avoids 835769 (`cargo.rs`), the linker 843419 (build.rs). Assembly, and code that
//! the toolchain brings compiled, is checked here alone. The sequences are those of Arm's software
//! developers errata notice (EPM-048406), Cortex-A53 MPCore. For 835769 the rule is stricter: it
//! refuses sequences with a dependency on the access, too, which are safe.

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

/// What an image has and must not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the linked image cannot be looked at: {0}")]
    Unreadable(String),
    /// A function that panics.
    #[error(
        "EL2 calls {0}: the compiler cannot prove that an index, a division or an unwrap succeeds"
    )]
    Panic(String),
    #[error(
        "EL2 has an AT instruction at {0:#x}: one may be executed speculatively during a switch"
    )]
    AddressTranslation(u64),
    #[error(
        "EL2 has a multiply-accumulate right behind an access at {0:#x}: Cortex-A53 erratum 835769"
    )]
    Erratum835769(u64),
    #[error(
        "EL2 has an ADRP at the end of a page at {0:#x}, and a sequence behind it: Cortex-A53 \
         erratum 843419"
    )]
    Erratum843419(u64),
}

/// Looks at the whole image: how many instructions it has, or the first thing that is wrong.
pub fn look(elf: &[u8]) -> Result<usize, Broken> {
    let bad = |error: object::Error| Broken::Unreadable(error.to_string());
    let file = object::File::parse(elf).map_err(bad)?;
    let mut symbols = file.symbols().filter_map(|symbol| symbol.name().ok()).peekable();
    if symbols.peek().is_none() {
        return Err(Broken::Unreadable("it has no symbols".into()));
    }
    if let Some(name) = symbols.find(|name| is_panic(name)) {
        return Err(Broken::Panic(name.to_owned()));
    }
    let mut count = 0;
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        let (words, _) = section.data().map_err(bad)?.as_chunks();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        instructions(section.address(), &words)?;
        count += words.len();
    }
    Ok(count)
}

/// What the compiler calls for an index out of bounds, an `unwrap` of nothing, a division by zero,
/// an `assert`, a `panic`. Where it can prove that this does not happen, there is no call.
fn is_panic(symbol: &str) -> bool {
    symbol.contains("4core") && (symbol.contains("9panicking") || symbol.contains("_fail"))
}

/// The rules that can be seen in the instructions, which lie from `base` on.
fn instructions(base: u64, words: &[u32]) -> Result<(), Broken> {
    for (index, &word) in words.iter().enumerate() {
        let at = base + 4 * index as u64;
        let behind = words.get(index + 1..).unwrap_or_default();
        if is_address_translation(word) {
            return Err(Broken::AddressTranslation(at));
        }
        if is_access(word) && behind.first().is_some_and(|&next| is_multiply_accumulate(next)) {
            return Err(Broken::Erratum835769(at));
        }
        if at & 0xfff >= 0xff8 && is_page_address(word) && is_unsafe_page_address(word, behind) {
            return Err(Broken::Erratum843419(at));
        }
    }
    Ok(())
}

/// AT: SYS with CRn 7 and CRm 8 or 9.
const fn is_address_translation(word: u32) -> bool {
    word & 0xfff8_fe00 == 0xd508_7800
}

/// Loads, stores and prefetches of every kind (DDI 0487, C4.1: op0 x1x0).
const fn is_access(word: u32) -> bool {
    word & 0x0a00_0000 == 0x0800_0000
}

/// MADD, MSUB, and the widening ones, of 64 bits; with XZR as the addend it is a multiplication
/// alone.
const fn is_multiply_accumulate(word: u32) -> bool {
    let kind = word >> 21 & 7;
    word >> 24 == 0x9b && matches!(kind, 0b000 | 0b001 | 0b101) && word >> 10 & 31 != 31
}

const fn is_page_address(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// Behind an ADRP: an access of one register, or a store, that leaves the address alone; perhaps
/// one more instruction that is no branch; then an access at an unsigned offset from the address.
fn is_unsafe_page_address(adrp: u32, behind: &[u32]) -> bool {
    let register = adrp & 31;
    let uses = |word: u32| word & 0x3b00_0000 == 0x3900_0000 && word >> 5 & 31 == register;
    let &[second, third, ref rest @ ..] = behind else { return false };
    is_second(second)
        && !writes(second, register)
        && (uses(third) || !is_branch(third) && rest.first().is_some_and(|&fourth| uses(fourth)))
}

/// The accesses that may stand second: all but loads of pairs, loads of structures and exclusive
/// pairs.
const fn is_second(word: u32) -> bool {
    let load = word & 1 << 22 != 0;
    let pair = word & 0x3a00_0000 == 0x2800_0000;
    let structure = word & 0xbe00_0000 == 0x0c00_0000;
    is_access(word) && !(load && (pair || structure))
}

/// The access changes `register`: it loads it, or moves it as its base.
const fn writes(word: u32, register: u32) -> bool {
    let vector = word & 1 << 26 != 0;
    let literal = word & 0x3b00_0000 == 0x1800_0000;
    let single = word & 0x3a00_0000 == 0x3800_0000;
    let exclusive = word & 0x3f00_0000 == 0x0800_0000;
    let loads = literal || single && word >> 22 & 3 != 0 || exclusive && word & 1 << 22 != 0;
    let moves = word & 0x3b20_0400 == 0x3800_0400 || word & 0x3a80_0000 == 0x2880_0000;
    (loads && !vector && word & 31 == register) || (moves && word >> 5 & 31 == register)
}

/// The instructions of the branch, exception and system group that may continue elsewhere.
const fn is_branch(word: u32) -> bool {
    word & 0x7c00_0000 == 0x1400_0000 // B, BL
        || word & 0x7c00_0000 == 0x3400_0000 // CBZ, CBNZ, TBZ, TBNZ
        || word & 0xfe00_0000 == 0x5400_0000 // B.cond
        || word & 0xfe00_0000 == 0xd600_0000 // BR, BLR, RET, ERET
}

#[cfg(test)]
mod tests {
    use super::*;

    // Encodings as an assembler gives them.
    const NOP: u32 = 0xd503_201f;
    const LDR_X1_X2: u32 = 0xf940_0041;
    const STP_X1_X2_SP: u32 = 0xa900_0be1;
    const LDP_X1_X2_SP: u32 = 0xa940_0be1;
    const PRFM_X2: u32 = 0xf980_0040;
    const MADD_X0: u32 = 0x9b03_1040; // madd x0, x2, x3, x4
    const UMADDL_X0: u32 = 0x9ba3_1040;
    const MADD_W0: u32 = 0x1b03_1040;
    const MUL_X0: u32 = 0x9b03_7c40;
    const UMULH_X0: u32 = 0x9bc3_7c40;
    const ADRP_X0: u32 = 0x9000_0000;
    const LDR_X5_X0: u32 = 0xf940_0405; // ldr x5, [x0, #8]
    const LDR_X0_X2: u32 = 0xf940_0040; // ldr x0, [x2]
    const STR_X1_X0_POST: u32 = 0xf800_8401; // str x1, [x0], #8
    const STR_X1_X2_REGISTER: u32 = 0xf823_6841; // str x1, [x2, x3]
    const B: u32 = 0x1400_0010;
    const RET: u32 = 0xd65f_03c0;

    #[test]
    fn address_translation() {
        // AT S1E1R, AT S12E0W, AT S1E1RP; DC CIVAC, TLBI VMALLE1, MSR PAR_EL1.
        for word in [0xd508_7800, 0xd50c_78e3, 0xd508_7900] {
            assert_eq!(instructions(0, &[NOP, word]), Err(Broken::AddressTranslation(4)));
        }
        assert_eq!(instructions(0, &[0xd50b_7e20, 0xd508_871f, 0xd518_7400]), Ok(()));
    }

    #[test]
    fn multiply_accumulate_behind_an_access() {
        for access in [LDR_X1_X2, STP_X1_X2_SP, PRFM_X2] {
            for multiply in [MADD_X0, UMADDL_X0] {
                let words = [NOP, access, multiply];
                assert_eq!(instructions(0x100, &words), Err(Broken::Erratum835769(0x104)));
                assert_eq!(instructions(0x100, &[access, NOP, multiply]), Ok(()));
            }
            for other in [MADD_W0, MUL_X0, UMULH_X0] {
                assert_eq!(instructions(0, &[access, other]), Ok(()));
            }
        }
    }

    #[test]
    fn page_address_at_the_end_of_a_page() {
        let at = |base: u64, behind: &[u32]| instructions(base, &[&[ADRP_X0], behind].concat());
        let bad = |base| Err(Broken::Erratum843419(base));
        for second in [LDR_X1_X2, STP_X1_X2_SP, STR_X1_X2_REGISTER] {
            assert_eq!(at(0x1ff8, &[second, LDR_X5_X0]), bad(0x1ff8));
            assert_eq!(at(0x1ffc, &[second, NOP, LDR_X5_X0]), bad(0x1ffc));
            // Elsewhere in the page, past a branch, too late, or from another register.
            assert_eq!(at(0x1ff4, &[second, LDR_X5_X0]), Ok(()));
            assert_eq!(at(0x2000, &[second, LDR_X5_X0]), Ok(()));
            assert_eq!(at(0x1ff8, &[second, B, LDR_X5_X0]), Ok(()));
            assert_eq!(at(0x1ff8, &[second, RET, LDR_X5_X0]), Ok(()));
            assert_eq!(at(0x1ff8, &[second, NOP, NOP, LDR_X5_X0]), Ok(()));
            assert_eq!(at(0x1ff8, &[second, NOP, LDR_X1_X2]), Ok(()));
        }
        // No access, one that cannot stand there, and those that change the address.
        for second in [NOP, LDP_X1_X2_SP, LDR_X0_X2, STR_X1_X0_POST] {
            assert_eq!(at(0x1ff8, &[second, LDR_X5_X0]), Ok(()));
        }
    }

    #[test]
    fn panics_by_name() {
        for name in [
            "_RNvNtCs3g5Gb6bJpu0_4core9panicking9panic_fmt",
            "_RNvNtCs3g5Gb6bJpu0_4core9panicking18panic_bounds_check",
            "_RNvNtCs3g5Gb6bJpu0_4core6option13unwrap_failed",
            "_ZN4core9panicking5panic17h0123456789abcdefE",
        ] {
            assert!(is_panic(name), "{name}");
        }
        assert!(!is_panic("probe_failed") && !is_panic("_ZN12bulkhead_el25panic17h0123E"));
    }
}
