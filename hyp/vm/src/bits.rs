// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The numbers of the bits that are set in a word.

/// From the lowest on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits(pub u32);

impl Iterator for Bits {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let bit = (self.0 != 0).then(|| self.0.trailing_zeros())?;
        self.0 &= self.0.wrapping_sub(1);
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn of_a_word() {
        assert!(Bits(0).next().is_none());
        assert!(Bits(0x8000_0025).eq([0, 2, 5, 31]));
        assert!(Bits(u32::MAX).eq(0..32));
    }
}
