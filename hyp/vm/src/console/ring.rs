// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes from one producer to one consumer, without a lock.
//!
//! At any time at most one context pushes (it holds the VM's UART, or the mux for EL2's own lines)
//! and at most one pops (it holds the mux). `N` is a power of two. Indices run freely and are
//! masked on use.

use core::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use plan::Masked;

#[derive(Debug)]
pub struct Ring<const N: usize> {
    bytes: Masked<AtomicU8, N>,
    /// Pushed so far.
    tail: AtomicU32,
    /// Popped so far.
    head: AtomicU32,
    /// Newlines pushed and popped so far.
    lines_in: AtomicU32,
    lines_out: AtomicU32,
}

impl<const N: usize> Ring<N> {
    pub const fn new() -> Self {
        Self {
            bytes: Masked::new([const { AtomicU8::new(0) }; N]),
            tail: AtomicU32::new(0),
            head: AtomicU32::new(0),
            lines_in: AtomicU32::new(0),
            lines_out: AtomicU32::new(0),
        }
    }

    pub fn len(&self) -> usize {
        self.tail.load(Acquire).wrapping_sub(self.head.load(Acquire)) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_full(&self) -> bool {
        self.len() >= N
    }

    /// A whole line is in it.
    pub fn has_line(&self) -> bool {
        self.lines_in.load(Acquire) != self.lines_out.load(Relaxed)
    }

    /// False: no room, the byte is not taken.
    pub fn push(&self, byte: u8) -> bool {
        if self.is_full() {
            return false;
        }
        let tail = self.tail.load(Relaxed);
        self.bytes[tail as usize].store(byte, Relaxed);
        self.tail.store(tail.wrapping_add(1), Release);
        if byte == b'\n' {
            self.lines_in.store(self.lines_in.load(Relaxed).wrapping_add(1), Release);
        }
        true
    }

    pub fn pop(&self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let head = self.head.load(Relaxed);
        let byte = self.bytes[head as usize].load(Relaxed);
        self.head.store(head.wrapping_add(1), Release);
        if byte == b'\n' {
            self.lines_out.store(self.lines_out.load(Relaxed).wrapping_add(1), Relaxed);
        }
        Some(byte)
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_refuses_when_full() {
        let ring = Ring::<4>::new();
        for byte in b"ab\nc" {
            assert!(ring.push(*byte));
        }
        assert!(!ring.push(b'x') && ring.is_full() && ring.has_line());
        assert_eq!(ring.pop(), Some(b'a'));
        assert!(ring.push(b'd'));
        assert_eq!((ring.pop(), ring.pop()), (Some(b'b'), Some(b'\n')));
        assert!(!ring.has_line());
        assert_eq!((ring.pop(), ring.pop(), ring.pop()), (Some(b'c'), Some(b'd'), None));
    }

    #[test]
    fn two_threads() {
        let ring = Ring::<16>::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for byte in 0..5000u32 {
                    while !ring.push(byte as u8) {
                        std::thread::yield_now();
                    }
                }
            });
            for byte in 0..5000u32 {
                let got = loop {
                    match ring.pop() {
                        Some(byte) => break byte,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(got, byte as u8);
            }
        });
    }
}
