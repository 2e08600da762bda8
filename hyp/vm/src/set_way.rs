// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cache maintenance by set and way: done by address, on the VM's own memory.
//!
//! DC ISW, CSW and CISW act on whole caches, which a CPU may share with others; they trap
//! (HCR_EL2.TSW). A guest issues them in loops over all sets and ways, to have everything of its
//! own in memory (boot loaders and small kernels before they turn their caches on or off). So the
//! first one of a loop cleans and invalidates all memory of the VM, a [`SLICE`] at a time: the
//! instruction is not passed over before the last slice, and interrupts come in between. The others
//! of the loop then have nothing to do. A loop is over when an instruction comes again, or none has
//! come for a tenth of a millisecond: what the guest wrote meanwhile is in the next loop's pass.
//! DDI 0487 D7.5.8.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::{Mapping, Pa, Span};

/// Bytes for one stay in EL2: 256 lines, about a thousand instructions.
pub const SLICE: u64 = 16 << 10;

/// What the image does for one trapped instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Clean and invalidate this memory, and let the guest try again.
    Slice(Pa, u64),
    /// The instruction is done.
    Done,
}

/// A vPE's loop. All zero: none.
#[derive(Debug)]
pub struct SetWay {
    /// Bytes of the VM's memory that are done in the pass under way, plus one; 0: no pass.
    done: AtomicU64,
    /// The loop's first instruction, by its operand, and when its last one was done; 0: no loop.
    first: AtomicU64,
    last: AtomicU64,
}

impl SetWay {
    pub const fn new() -> Self {
        Self { done: AtomicU64::new(0), first: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// The vPE begins anew.
    pub fn reset(&self) {
        self.done.store(0, Relaxed);
        self.last.store(0, Relaxed);
    }

    /// The instruction with `operand`, trapped at `now`, of a VM that has `memory`; `tenth` is a
    /// tenth of a millisecond.
    pub fn step(&self, memory: &[Mapping], operand: u64, now: u64, tenth: u64) -> Step {
        let mut done = self.done.load(Relaxed);
        if done == 0 {
            let last = self.last.load(Relaxed);
            let goes_on = last != 0 && now.wrapping_sub(last) <= tenth;
            if goes_on && operand != self.first.load(Relaxed) {
                self.last.store(now, Relaxed);
                return Step::Done;
            }
            self.first.store(operand, Relaxed);
            done = 1;
        }
        match slice(memory, done.wrapping_sub(1)) {
            Some(Span { base, bytes }) => {
                self.done.store(done.wrapping_add(bytes), Relaxed);
                Step::Slice(base, bytes)
            }
            None => {
                self.done.store(0, Relaxed);
                self.last.store(now.max(1), Relaxed);
                Step::Done
            }
        }
    }
}

impl Default for SetWay {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory behind the first `done` bytes of it, a slice at most.
fn slice(memory: &[Mapping], mut done: u64) -> Option<Span> {
    for &Mapping { pa, bytes, .. } in memory {
        if done < bytes {
            let left = bytes.wrapping_sub(done);
            return Some(Span { base: pa.offset(done), bytes: SLICE.min(left) });
        }
        done = done.wrapping_sub(bytes);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Ipa;
    use std::vec::Vec;

    const MEMORY: [Mapping; 2] = [
        Mapping { ipa: Ipa::new(0x4000_0000), pa: Pa::new(0x5000_0000), bytes: SLICE + 0x1000 },
        Mapping { ipa: Ipa::new(0x8000_0000), pa: Pa::new(0x6000_0000), bytes: SLICE },
    ];
    const PASS: [Step; 4] = [
        Step::Slice(Pa::new(0x5000_0000), SLICE),
        Step::Slice(Pa::new(0x5000_0000 + SLICE), 0x1000),
        Step::Slice(Pa::new(0x6000_0000), SLICE),
        Step::Done,
    ];

    /// What one instruction comes to.
    fn execute(state: &SetWay, operand: u64, now: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        while steps.last() != Some(&Step::Done) {
            steps.push(state.step(&MEMORY, operand, now, 100));
            assert!(steps.len() < 10, "it has an end");
        }
        steps
    }

    #[test]
    fn one_pass_for_a_loop_and_one_for_the_next() {
        let state = SetWay::new();
        assert_eq!(execute(&state, 0, 1000), PASS, "the first one does it all");
        for operand in 1..50 {
            assert_eq!(execute(&state, operand << 6, 1000 + 90 * operand), [Step::Done]);
        }
        let now = 1000 + 90 * 50;
        assert_eq!(execute(&state, 0, now), PASS, "the same one again: another loop");
        assert_eq!(execute(&state, 7 << 6, now + 101), PASS, "after a while: another loop");
    }

    #[test]
    fn a_pass_is_finished_whatever_comes_in_between() {
        let state = SetWay::new();
        assert_eq!(state.step(&MEMORY, 5, 1000, 100), PASS[0]);
        // An interrupt handler of the guest's does its own.
        assert_eq!(execute(&state, 9, 5000), PASS[1..]);
        assert_eq!(execute(&state, 5, 5001), PASS, "not known to be done");
        state.reset();
        assert_eq!(execute(&state, 6, 5002), PASS);
    }

    #[test]
    fn no_memory() {
        assert_eq!(SetWay::new().step(&[], 0, 0, 100), Step::Done);
    }
}
