// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A CPU's mailbox: a bit for each vPE, set by any CPU and taken by that one.
//!
//! Bits are numbers of vPEs, not slots, so that one that arrives after its vPE has moved can be
//! sent on.

use super::parts::SHARED_VPES;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use plan::VpeIndex;

const WORDS: usize = SHARED_VPES.div_ceil(64);

pub struct Mailbox([AtomicU64; WORDS]);

impl Mailbox {
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    pub fn post(&self, vpe: VpeIndex) {
        if let Some(word) = self.0.get(vpe.index() / 64) {
            word.fetch_or(1 << (vpe.index() % 64), SeqCst);
        }
    }

    pub fn has(&self, vpe: VpeIndex) -> bool {
        let word = self.0.get(vpe.index() / 64);
        word.is_some_and(|word| word.load(SeqCst) >> (vpe.index() % 64) & 1 != 0)
    }

    /// Takes those out that are `wanted`. True: there were some.
    pub fn take(&self, wanted: impl Fn(VpeIndex) -> bool, mut read: impl FnMut(VpeIndex)) -> bool {
        let mut any = false;
        for (index, word) in self.0.iter().enumerate() {
            let (mut rest, mut bits) = (word.load(SeqCst), 0);
            while rest != 0 {
                let bit = rest & rest.wrapping_neg();
                let vpe = VpeIndex::new((index * 64) as u16 + bit.trailing_zeros() as u16);
                bits |= if wanted(vpe) { bit } else { 0 };
                rest &= !bit;
            }
            if bits == 0 {
                continue;
            }
            bits &= word.fetch_and(!bits, SeqCst);
            any |= bits != 0;
            while bits != 0 {
                read(VpeIndex::new((index * 64) as u16 + bits.trailing_zeros() as u16));
                bits &= bits - 1;
            }
        }
        any
    }
}
