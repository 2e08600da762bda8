// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory of VMs, which EL2 reaches through the calling CPU's window alone.

use crate::lines;
use crate::probe;
use crate::system::{System, is_entry};
use crate::window::{self, Amount};
use core::marker::PhantomData;
use core::ptr;
use plan::{Flash, Mapping, Pa, Ram, SharedMemory, Vm};

/// Bytes that are cleared or flushed, and bytes that are copied, before somebody looks for
/// interrupts: about 400 instructions.
const LINES_AT_ONCE: u64 = 8 << 10;
const COPIED_AT_ONCE: u64 = 2 << 10;

/// Memory that the plan gives to guests. It is not EL2's own, and no Rust object lies there.
pub struct Region<S> {
    base: Pa,
    bytes: u64,
    system: PhantomData<S>,
}

impl<S> Clone for Region<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Region<S> {}

impl<S: System> Region<S> {
    const fn new(base: Pa, bytes: u64) -> Self {
        Self { base, bytes, system: PhantomData }
    }

    /// A range of the VM's memory, or of a channel's that it shares. None: it is not, or `vm` is
    /// not the plan's.
    #[inline(never)]
    pub fn of_vm(vm: &Vm, base: Pa, bytes: u64) -> Option<Self> {
        if !is_entry(S::PLAN.vms, vm) {
            return None;
        }
        let first = usize::from(vm.first_channel_end);
        let ends = first..first.wrapping_add(usize::from(vm.channel_end_count));
        let shared = S::PLAN.channel_ends.get(ends).unwrap_or(&[]);
        let mine = |mine: &Mapping| is_within(base, bytes, mine.pa, mine.bytes);
        (vm.memory.iter().any(mine)
            || shared.iter().any(|end| is_within(base, bytes, end.pa, end.bytes)))
        .then_some(Self::new(base, bytes))
    }

    /// A range of the memory of any VM, as `vm::Guest::memory` finds it. None: it is nobody's.
    pub fn of_guests(base: Pa, bytes: u64) -> Option<Self> {
        S::PLAN.vms.iter().find_map(|vm| Self::of_vm(vm, base, bytes))
    }

    /// A channel's memory. None: it is not the plan's.
    pub fn shared(memory: &SharedMemory) -> Option<Self> {
        is_entry(S::PLAN.shared_memory, memory).then_some(Self::new(memory.base, memory.bytes))
    }

    /// A flash's memory. None: it is not the plan's.
    pub fn flash(flash: &Flash) -> Option<Self> {
        is_entry(S::PLAN.flashes, flash).then_some(Self::new(flash.pa, flash.bytes))
    }

    /// `bytes` of it from `offset` on, or what there is of them.
    pub fn part(self, offset: u64, bytes: u64) -> Self {
        let offset = offset.min(self.bytes);
        Self::new(self.base.offset(offset), bytes.min(self.bytes.wrapping_sub(offset)))
    }

    /// All of it from `offset` on.
    pub fn rest(self, offset: u64) -> Self {
        self.part(offset, u64::MAX)
    }

    /// Whatever caches hold of it goes to memory and out of them: guests that begin with their
    /// caches off read it there, and what they write there no line is left to overwrite. Complete
    /// after the next `dsb_sy`, as all that follows.
    pub fn flush(self) {
        window::with::<S>(self.base, self.bytes, Amount::All, &mut lines::flush);
    }

    /// As much of the same as an interrupt may wait for, and more until one does; how many bytes.
    pub fn flush_some(self) -> u64 {
        window::with::<S>(self.base, self.bytes, Amount::Pieces(LINES_AT_ONCE), &mut lines::flush)
    }

    /// Zeroes it and flushes it, while no guest reaches it: whole lines, or a part of one.
    pub fn clear_and_flush(self) {
        self.clear(Amount::All);
    }

    /// As much of the same as [`Self::flush_some`] flushes.
    pub fn clear_and_flush_some(self) -> u64 {
        self.clear(Amount::Pieces(LINES_AT_ONCE))
    }

    fn clear(self, amount: Amount) -> u64 {
        window::with::<S>(self.base, self.bytes, amount, &mut |at, bytes| {
            // SAFETY: guests' memory, in the window; no Rust object lies there.
            unsafe { lines::clear_and_flush(at, bytes) }
        })
    }

    /// Copies payload to its begin, as much as fits, and flushes it, in pieces likewise. No guest
    /// reaches it now.
    pub fn copy_and_flush_some(self, from: &[u8]) -> u64 {
        let bytes = self.bytes.min(from.len() as u64);
        let mut rest = from;
        window::with::<S>(self.base, bytes, Amount::Pieces(COPIED_AT_ONCE), &mut |at, bytes| {
            let (piece, behind) = rest.split_at_checked(bytes as usize).unwrap_or((rest, &[]));
            // SAFETY: guests' memory, in the window, which is apart from the image's.
            unsafe { lines::copy_and_flush(at, piece) };
            rest = behind;
        })
    }

    /// Sets all its bits, in pieces likewise. Multiples of 64 bytes.
    pub fn set_and_flush_some(self) -> u64 {
        window::with::<S>(
            self.base,
            self.bytes,
            Amount::Pieces(COPIED_AT_ONCE),
            &mut |at, bytes| {
                // SAFETY: guests' memory, in the window; no Rust object lies there.
                unsafe { ptr::write_bytes(at as *mut u8, 0xff, bytes as usize) };
                lines::flush(at, bytes);
            },
        )
    }

    /// A command at its begin, which a guest wrote. Zeros if it is shorter, or not at a multiple of
    /// 32 bytes.
    pub fn read_command(self) -> [u64; 4] {
        if self.bytes < 32 || !self.base.value().is_multiple_of(32) {
            return [0; 4];
        }
        window::within_page::<S, _>(self.base, |from| {
            lines::refresh(from);
            let words = from as *const u64;
            // SAFETY: guests' memory, in the window; no Rust object lies there, and any value will
            // do.
            core::array::from_fn(|n| unsafe { words.wrapping_add(n).read_volatile() })
        })
    }

    /// The byte at its begin, likewise.
    pub fn read_byte(self) -> u8 {
        if self.bytes == 0 {
            return 0;
        }
        window::within_page::<S, _>(self.base, |from| {
            lines::refresh(from);
            // SAFETY: as for `read_command`.
            unsafe { (from as *const u8).read_volatile() }
        })
    }

    /// The word at its begin, which no guest reaches now. 0 if it is shorter, or not aligned.
    pub fn read_word(self) -> u32 {
        if !self.holds_word() {
            return 0;
        }
        window::within_page::<S, _>(self.base, |at| {
            // SAFETY: as for `read_command`.
            unsafe { (at as *const u32).read_volatile() }
        })
    }

    /// The same written. The guest will see it, with its caches on or off.
    pub fn write_word(self, value: u32) {
        if self.holds_word() {
            window::within_page::<S, _>(self.base, |at| {
                // SAFETY: guests' memory, in the window; no Rust object lies there.
                unsafe { (at as *mut u32).write_volatile(value) };
                lines::flush(at, 4);
            });
        }
    }

    const fn holds_word(self) -> bool {
        self.bytes >= 4 && self.base.value().is_multiple_of(4)
    }
}

/// The word of RAM by which boot finds it. None: the read was answered with an abort, or it is not
/// the plan's.
pub fn probe_ram<S: System>(ram: &Ram) -> Option<u64> {
    if !is_entry(S::PLAN.board.ram, ram) {
        return None;
    }
    window::within_page::<S, _>(ram.probe?, |at| {
        // SAFETY: memory, in the window; an abort is caught.
        unsafe { probe::try_read64(at) }
    })
}

/// `bytes` from `base` on lie in the `size` bytes from `start` on.
fn is_within(base: Pa, bytes: u64, start: Pa, size: u64) -> bool {
    let offset = base.value().wrapping_sub(start.value());
    offset <= size && bytes <= size.wrapping_sub(offset)
}
