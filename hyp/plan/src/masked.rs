// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An array whose index is masked, so that none is out of bounds.
//!
//! For state that is written and read by numbers which are small by construction: interrupt words,
//! slots, places in a ring. The mask replaces a bounds check, and the compiler drops it where it
//! knows the number.

use core::ops::{Index, IndexMut};
use core::slice::{Iter, IterMut};

/// `N` entries, a power of two; index `n` is entry `n % N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Masked<T, const N: usize>([T; N]);

impl<T, const N: usize> Masked<T, N> {
    const MASK: usize = {
        assert!(N.is_power_of_two());
        N - 1
    };

    pub const fn new(entries: [T; N]) -> Self {
        Self(entries)
    }

    pub fn iter(&self) -> Iter<'_, T> {
        self.0.iter()
    }

    pub fn fill(&mut self, value: T)
    where
        T: Clone,
    {
        self.0.fill(value);
    }

    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        self.0.iter_mut()
    }
}

#[expect(clippy::indexing_slicing, reason = "masked to below N")]
impl<T, const N: usize> Index<usize> for Masked<T, N> {
    type Output = T;

    #[inline(always)]
    fn index(&self, n: usize) -> &T {
        &self.0[n & Self::MASK]
    }
}

#[expect(clippy::indexing_slicing, reason = "masked to below N")]
impl<T, const N: usize> IndexMut<usize> for Masked<T, N> {
    #[inline(always)]
    fn index_mut(&mut self, n: usize) -> &mut T {
        &mut self.0[n & Self::MASK]
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Masked<T, N> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a mut Masked<T, N> {
    type Item = &'a mut T;
    type IntoIter = IterMut<'a, T>;

    fn into_iter(self) -> IterMut<'a, T> {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_wraps() {
        let mut masked = Masked::new([10, 11, 12, 13]);
        masked[6] = 22;
        assert_eq!([masked[0], masked[2], masked[5], masked[usize::MAX]], [10, 22, 11, 13]);
        assert!(masked.iter().eq(&[10, 11, 22, 13]));
    }
}
