// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is done to a VM's memory before it starts, in pieces.
//!
//! Before its first start, so that it finds nothing of anybody else's: what no load covers is
//! cleared, what the plan keeps is flushed. Before another start: all that it can write is flushed,
//! since its past may have left lines in the caches that its next life, which begins with the
//! caches off, would read past and lose what it writes there to. What no load covers stays. Both
//! times the loads follow, each with the zeros behind it.
//!
//! Who carries it out takes a piece at a time, as much as an interrupt may wait for, makes its
//! bytes visible past the caches and leaves no line of theirs in these (`arch::mmu`).

use plan::{Load, Mapping, Pa, Plan, Span, Vm};

/// Bytes of a cache line; plans align to it.
pub const LINE: u64 = 64;

/// A range, and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Whatever caches hold of it goes to memory, and out of them.
    Flush(Pa, u64),
    /// Whole lines, or a part of one.
    Clear(Pa, u64),
    Copy(Pa, &'static [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Clear,
    Keep,
    Flush,
    FlushShared,
    Copy,
    /// The zeros behind a load.
    After,
    Done,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    stage: Stage,
    /// Which range of the stage's list, and how much of it is done.
    index: usize,
    done: u64,
}

impl Loading {
    /// Before the first start.
    pub const fn first() -> Self {
        Self::at(Stage::Clear)
    }

    /// Before any other.
    pub const fn again() -> Self {
        Self::at(Stage::Flush)
    }

    const fn at(stage: Stage) -> Self {
        Self { stage, index: 0, done: 0 }
    }

    /// What is to be done next; [`Loading::done`] says how much of it was. None: nothing is left.
    pub fn next(&mut self, plan: &Plan, vm: &Vm) -> Option<Work> {
        loop {
            let range = match self.stage {
                Stage::Clear => vm.cleared.get(self.index).copied(),
                Stage::Keep => vm.kept.get(self.index).copied(),
                Stage::Flush => vm.memory.get(self.index).map(own),
                Stage::FlushShared => shared(plan, vm, self.index),
                Stage::Copy => vm.loads.get(self.index).map(copied),
                Stage::After => vm.loads.get(self.index).map(behind),
                Stage::Done => return None,
            };
            let Some(Span { base, bytes }) = range else {
                *self = Self::at(match self.stage {
                    Stage::Clear => Stage::Keep,
                    Stage::Flush => Stage::FlushShared,
                    Stage::Keep | Stage::FlushShared => Stage::Copy,
                    Stage::Copy => Stage::After,
                    Stage::After | Stage::Done => Stage::Done,
                });
                continue;
            };
            let (at, left) = (base.offset(self.done), bytes.saturating_sub(self.done));
            if left == 0 {
                self.index = self.index.wrapping_add(1);
                self.done = 0;
                continue;
            }
            return Some(match self.stage {
                Stage::Clear | Stage::After => Work::Clear(at, lines(at, left)),
                Stage::Copy => {
                    let bytes = vm.loads.get(self.index).map_or(&[][..], |load| load.bytes);
                    Work::Copy(at, bytes.get(self.done as usize..).unwrap_or(&[]))
                }
                _ => Work::Flush(at, left),
            });
        }
    }

    /// So many bytes of what [`Loading::next`] said are done.
    pub fn done(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
    }
}

fn own(piece: &Mapping) -> Span {
    Span { base: piece.pa, bytes: piece.bytes }
}

/// What a load is copied to.
fn copied(load: &Load) -> Span {
    Span { base: load.to, bytes: load.bytes.len() as u64 }
}

/// The zeros behind it.
fn behind(load: &Load) -> Span {
    Span { base: load.to.offset(load.bytes.len() as u64), bytes: load.clear }
}

/// Of `left` bytes at `at` the whole lines, or the part of a line at either end.
fn lines(at: Pa, left: u64) -> u64 {
    match at.value() % LINE {
        0 if left < LINE => left,
        0 => left & !(LINE - 1),
        into => left.min(LINE - into),
    }
}

/// Memory of the VM's channels, by its ends.
fn shared(plan: &Plan, vm: &Vm, index: usize) -> Option<Span> {
    if index >= usize::from(vm.channel_end_count) {
        return None;
    }
    let end = plan.channel_ends.get(usize::from(vm.first_channel_end).wrapping_add(index))?;
    Some(Span { base: end.pa, bytes: end.bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, leak};
    use plan::{Ipa, ItsPolicy};
    use std::{vec, vec::Vec};

    const BASE: u64 = 0x4100_0000;
    const BYTES: u64 = 0x1_0000;
    const KEPT: u64 = 0x4200_0000;
    const PATTERN: u8 = 0xa5;

    /// Loads with odd places and sizes, one of them inside a line of another.
    fn vm() -> Vm {
        let span = |base, bytes| Span { base: Pa::new(base), bytes };
        let load = |at: u64, byte: u8, bytes: usize, clear: u64| Load {
            bytes: leak(vec![byte; bytes]),
            to: Pa::new(BASE + at),
            clear,
        };
        Vm {
            memory: leak([
                Mapping { ipa: Ipa::new(0), pa: Pa::new(BASE), bytes: BYTES },
                Mapping { ipa: Ipa::new(BYTES), pa: Pa::new(KEPT), bytes: 0x1000 },
            ]),
            // All but the lines that loads and the zeros behind them cover.
            cleared: leak([
                span(BASE, 0x1040),
                span(BASE + 0x5fc0, 0x40),
                span(BASE + 0x7fc0, 0x8040),
            ]),
            kept: leak([span(KEPT, 0x1000)]),
            loads: leak([
                load(0x1010, 1, 0x4fb1, 0),
                load(0x5fd0, 2, 7, 0x2030 - 7 - 0x11),
                load(0x7fef, 3, 1, 0),
            ]),
            ..testing::vm("guest", 0, 1, 0, (0, 1), ItsPolicy::None)
        }
    }

    /// What memory holds in the end, and what was flushed, by line, when `most` bytes at most are
    /// done at once.
    fn result(mut loading: Loading, vm: &Vm, most: u64) -> (Vec<u8>, Vec<u64>) {
        let plan = testing::plan();
        let (mut memory, mut flushed) = (vec![PATTERN; BYTES as usize], vec![]);
        while let Some(work) = loading.next(plan, vm) {
            match work {
                Work::Flush(at, bytes) => {
                    let bytes = bytes.min(most);
                    flushed.extend((at.value()..at.value() + bytes).step_by(LINE as usize));
                    loading.done(bytes);
                }
                Work::Clear(at, bytes) => {
                    let whole = at.value() % LINE == 0 && bytes % LINE == 0;
                    assert!(whole || at.value() % LINE + bytes <= LINE);
                    let bytes = bytes.min(most);
                    let from = (at.value() - BASE) as usize;
                    memory[from..from + bytes as usize].fill(0);
                    loading.done(bytes);
                }
                Work::Copy(at, bytes) => {
                    let bytes = &bytes[..bytes.len().min(most as usize)];
                    let from = (at.value() - BASE) as usize;
                    memory[from..from + bytes.len()].copy_from_slice(bytes);
                    loading.done(bytes.len() as u64);
                }
            }
        }
        assert_eq!(loading.next(plan, vm), None);
        (memory, flushed)
    }

    fn loaded(memory: &mut [u8]) {
        memory[0x1010..0x5fc1].fill(1);
        memory[0x5fd0..0x5fd7].fill(2);
        memory[0x5fd7..0x7fef].fill(0);
        memory[0x7fef] = 3;
    }

    #[test]
    fn a_first_start_leaves_nothing_of_what_was_there() {
        for most in [64, 0x2000, u64::MAX] {
            let (memory, flushed) = result(Loading::first(), &vm(), most);
            let mut expected = vec![0; BYTES as usize];
            loaded(&mut expected);
            assert!(memory == expected);
            assert_eq!(flushed.len() as u64 * LINE, 0x1000, "what is kept");
            assert_eq!(flushed[0], KEPT);
        }
    }

    #[test]
    fn another_start_flushes_all_that_the_vm_can_write_and_keeps_what_is_not_loaded() {
        for most in [64, 0x2000, u64::MAX] {
            let (memory, flushed) = result(Loading::again(), &vm(), most);
            let mut expected = vec![PATTERN; BYTES as usize];
            loaded(&mut expected);
            assert!(memory == expected);
            let shared = testing::plan().channel_ends[0];
            assert_eq!(flushed.len() as u64 * LINE, BYTES + 0x1000 + shared.bytes);
            assert!(flushed.contains(&shared.pa.value()));
        }
    }

    #[test]
    fn nothing_to_do_is_no_work() {
        let vm = Vm { memory: &[], ..testing::vm("empty", 0, 1, 0, (0, 0), ItsPolicy::None) };
        for mut loading in [Loading::first(), Loading::again()] {
            assert_eq!(loading.next(testing::plan(), &vm), None);
        }
    }
}
