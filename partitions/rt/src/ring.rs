// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages through shared memory, one direction each half.
//!
//! [`abi::channel`] draws the memory: two rings, one each way.
//!
//! 1. Who sends writes the slot, then word 0 with release; who takes reads word 0 with acquire,
//!    copies the slot out, then writes word 8.
//! 2. Who finds nothing (or no room) sets its waiting word, a full barrier, looks again, and only
//!    then sleeps; the peer moves its index, a full barrier, looks at the waiting word. So one of
//!    the two sees the other's write (DDI 0487 B2.3).
//! 3. Who wakes up and finds nothing still does the same again: the peer may have answered an
//!    earlier wait, and cleared the waiting word of this one.
//!
//! The peer is another VM and is not trusted: counts that cannot be are `Error::Corrupt`, lengths
//! are checked after they were copied, and no reference to message bytes in shared memory exists.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering, fence};

pub use abi::channel::LONGEST;
use abi::channel::{RECEIVER_WAITS, SENDER_WAITS, SENT, SLOT, SLOTS, TAKEN};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The memory is too small for a slot in each direction.
    TooSmall,
    /// The message is longer than `LONGEST`.
    TooLong,
    /// The peer wrote what cannot be.
    Corrupt,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::TooSmall => "the channel's memory is too small",
            Error::TooLong => "the message is too long for a slot",
            Error::Corrupt => "the peer wrote counts that cannot be",
        })
    }
}

/// What sending or taking led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Done {
    /// The peer waits for it and must be rung.
    pub ring: bool,
}

/// One end's half of the memory, seen from who sends.
#[derive(Debug)]
pub struct Sender<'a> {
    words: &'a [AtomicU64],
    slots: u64,
    sent: u64,
}

/// The other half, seen from who takes.
#[derive(Debug)]
pub struct Receiver<'a> {
    words: &'a [AtomicU64],
    slots: u64,
    taken: u64,
}

/// Splits a channel's memory into this end's two rings.
pub fn split(words: &[AtomicU64], first: bool) -> Result<(Sender<'_>, Receiver<'_>), Error> {
    let (lower, upper) = words.split_at(words.len() / 2);
    let (mine, theirs) = if first { (lower, upper) } else { (upper, lower) };
    let slots = (lower.len().saturating_sub(SLOTS) / SLOT) as u64;
    if slots == 0 {
        return Err(Error::TooSmall);
    }
    // A VM that was restarted goes on where its former life stopped.
    let sent = mine[SENT].load(Ordering::Relaxed);
    let taken = theirs[TAKEN].load(Ordering::Relaxed);
    Ok((Sender { words: mine, slots, sent }, Receiver { words: theirs, slots, taken }))
}

impl Sender<'_> {
    /// Puts a message into the ring. None: it is full.
    pub fn send(&mut self, message: &[u8]) -> Result<Option<Done>, Error> {
        if message.len() > LONGEST {
            return Err(Error::TooLong);
        }
        if self.room()? == 0 {
            return Ok(None);
        }
        let slot = slot(self.words, self.sent % self.slots);
        slot[0].store(message.len() as u64, Ordering::Relaxed);
        for (word, bytes) in slot[1..].iter().zip(message.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        self.sent = self.sent.wrapping_add(1);
        self.words[SENT].store(self.sent, Ordering::Release);
        Ok(Some(Done { ring: cleared(&self.words[RECEIVER_WAITS]) }))
    }

    /// There is room, or something is wrong, which `send` says. False: the peer will ring, so that
    /// this end may sleep; after each wake-up ask again.
    pub fn ready(&self) -> bool {
        let ready = || self.room() != Ok(0);
        ready() || {
            announce(&self.words[SENDER_WAITS]);
            ready()
        }
    }

    /// Free slots.
    pub fn room(&self) -> Result<u64, Error> {
        let used = self.sent.wrapping_sub(self.words[TAKEN].load(Ordering::Acquire));
        self.slots.checked_sub(used).ok_or(Error::Corrupt)
    }
}

impl Receiver<'_> {
    /// Copies the oldest message out and frees its slot: its bytes, and whether to ring. None:
    /// there is none.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [u8; LONGEST],
    ) -> Result<Option<(&'b [u8], Done)>, Error> {
        if self.waiting()? == 0 {
            return Ok(None);
        }
        let slot = slot(self.words, self.taken % self.slots);
        let length = slot[0].load(Ordering::Relaxed) as usize;
        let message = buffer.get_mut(..length).ok_or(Error::Corrupt)?;
        for (word, bytes) in slot[1..].iter().zip(message.chunks_mut(8)) {
            let value = word.load(Ordering::Relaxed).to_le_bytes();
            bytes.copy_from_slice(&value[..bytes.len()]);
        }
        self.taken = self.taken.wrapping_add(1);
        self.words[TAKEN].store(self.taken, Ordering::Release);
        Ok(Some((message, Done { ring: cleared(&self.words[SENDER_WAITS]) })))
    }

    /// There is a message, or something is wrong, which `receive` says. False: the peer will ring,
    /// so that this end may sleep; after each wake-up ask again.
    pub fn ready(&self) -> bool {
        let ready = || self.waiting() != Ok(0);
        ready() || {
            announce(&self.words[RECEIVER_WAITS]);
            ready()
        }
    }

    /// Messages that wait.
    pub fn waiting(&self) -> Result<u64, Error> {
        let waiting = self.words[SENT].load(Ordering::Acquire).wrapping_sub(self.taken);
        if waiting > self.slots { Err(Error::Corrupt) } else { Ok(waiting) }
    }
}

fn slot(words: &[AtomicU64], index: u64) -> &[AtomicU64] {
    let start = SLOTS + index as usize * SLOT;
    &words[start..start + SLOT]
}

fn announce(flag: &AtomicU64) {
    flag.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Whether the peer had announced that it waits; it no longer does.
fn cleared(flag: &AtomicU64) -> bool {
    fence(Ordering::SeqCst);
    let waits = flag.load(Ordering::Relaxed) != 0;
    if waits {
        flag.store(0, Ordering::Relaxed);
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    fn memory(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn both_directions_carry_what_was_sent_in_order() {
        let memory = memory(512);
        let (mut to, mut from) = split(&memory, true).unwrap();
        let (mut back, mut there) = split(&memory, false).unwrap();
        let mut buffer = [0; LONGEST];
        for length in 0..=LONGEST {
            let message: Vec<u8> = (0..length).map(|n| (n * 7 + length) as u8).collect();
            assert!(to.send(&message).unwrap().is_some());
            assert_eq!(there.receive(&mut buffer).unwrap().unwrap().0, message);
            assert!(back.send(&message).unwrap().is_some());
            assert_eq!(from.receive(&mut buffer).unwrap().unwrap().0, message);
        }
        assert!(there.receive(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn it_behaves_like_a_bounded_queue() {
        let memory = memory(512);
        let (mut sender, _) = split(&memory, true).unwrap();
        let (_, mut receiver) = split(&memory, false).unwrap();
        let mut model = VecDeque::new();
        let mut random = crate::random::Random::new(7);
        let mut buffer = [0; LONGEST];
        for n in 0..10_000u32 {
            if random.below(2) == 0 {
                let message = n.to_le_bytes();
                assert_eq!(sender.send(&message).unwrap().is_some(), model.len() < 7);
                if model.len() < 7 {
                    model.push_back(message);
                }
            } else {
                let got =
                    receiver.receive(&mut buffer).unwrap().map(|(message, _)| message.to_vec());
                assert_eq!(got, model.pop_front().map(|message| message.to_vec()));
            }
        }
    }

    #[test]
    fn only_who_waits_is_rung_and_once() {
        let memory = memory(512);
        let (mut sender, _) = split(&memory, true).unwrap();
        let (_, mut receiver) = split(&memory, false).unwrap();
        let mut buffer = [0; LONGEST];
        assert_eq!(sender.send(b"a").unwrap(), Some(Done { ring: false }));
        assert!(receiver.receive(&mut buffer).unwrap().is_some() && !receiver.ready());
        assert_eq!(sender.send(b"b").unwrap(), Some(Done { ring: true }));
        assert_eq!(sender.send(b"c").unwrap(), Some(Done { ring: false }));
        while sender.ready() {
            assert_eq!(sender.send(b"d").unwrap(), Some(Done { ring: false }));
        }
        assert_eq!(receiver.receive(&mut buffer).unwrap().unwrap().1, Done { ring: true });
        assert_eq!(receiver.receive(&mut buffer).unwrap().unwrap().1, Done { ring: false });
    }

    /// The peer saw an earlier wait, and clears and rings late: the next wait is announced anew.
    #[test]
    fn a_late_ring_ends_no_later_wait() {
        let memory = memory(512);
        let (mut sender, _) = split(&memory, true).unwrap();
        let (_, mut receiver) = split(&memory, false).unwrap();
        let mut buffer = [0; LONGEST];
        assert!(!receiver.ready());
        assert_eq!(sender.send(b"a").unwrap(), Some(Done { ring: true }));
        assert!(receiver.ready() && receiver.receive(&mut buffer).unwrap().is_some());
        assert!(!receiver.ready(), "and now the peer's store arrives, and its ring");
        memory[RECEIVER_WAITS].store(0, Ordering::Relaxed);
        assert!(!receiver.ready());
        assert_eq!(sender.send(b"b").unwrap(), Some(Done { ring: true }));
    }

    /// Two threads that sleep whenever they can, and are woken by rings only.
    #[test]
    fn nobody_sleeps_for_ever() {
        const MESSAGES: u32 = 50_000;
        let memory = memory(256);
        let rings: [(Mutex<bool>, Condvar); 2] = Default::default();
        // An interrupt: pending until it is taken.
        let ring = |who: usize| {
            *rings[who].0.lock().unwrap() = true;
            rings[who].1.notify_one();
        };
        let sleep = |who: usize| {
            let pending = rings[who].0.lock().unwrap();
            let patience = Duration::from_secs(20);
            let (mut pending, late) =
                rings[who].1.wait_timeout_while(pending, patience, |pending| !*pending).unwrap();
            assert!(!late.timed_out(), "end {who} was never rung");
            *pending = false;
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut sender, _) = split(&memory, true).unwrap();
                for n in 0..MESSAGES {
                    while !sender.ready() {
                        sleep(0);
                    }
                    if sender.send(&n.to_le_bytes()).unwrap().unwrap().ring {
                        ring(1);
                    }
                }
            });
            let (_, mut receiver) = split(&memory, false).unwrap();
            let mut buffer = [0; LONGEST];
            for n in 0..MESSAGES {
                while !receiver.ready() {
                    sleep(1);
                }
                let (message, done) = receiver.receive(&mut buffer).unwrap().unwrap();
                assert_eq!(message, n.to_le_bytes());
                if done.ring {
                    ring(0);
                }
            }
        });
    }

    #[test]
    fn a_peer_that_lies_is_found_out() {
        let memory = memory(512);
        let (mut sender, mut receiver) = split(&memory, true).unwrap();
        let mut buffer = [0; LONGEST];
        memory[TAKEN].store(1, Ordering::Relaxed);
        assert_eq!(sender.send(b"x"), Err(Error::Corrupt));
        memory[256 + SENT].store(8, Ordering::Relaxed);
        assert_eq!(receiver.receive(&mut buffer), Err(Error::Corrupt));
        memory[256 + SENT].store(1, Ordering::Relaxed);
        memory[256 + SLOTS].store(249, Ordering::Relaxed);
        assert_eq!(receiver.receive(&mut buffer), Err(Error::Corrupt));
    }

    #[test]
    fn too_little_memory_and_too_long_messages_are_refused() {
        assert_eq!(split(&memory(126), true).unwrap_err(), Error::TooSmall);
        let memory = memory(128);
        let (mut sender, _) = split(&memory, true).unwrap();
        assert_eq!(sender.send(&[0; LONGEST + 1]), Err(Error::TooLong));
    }
}
