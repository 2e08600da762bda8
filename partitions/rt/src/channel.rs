// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A channel to another VM: messages, and an interrupt when one waits for them.
//!
//! The memory is `ring`'s two rings; RING raises the peer's event, which arrives there as a vLPI
//! without an exit. A peer is rung only when it says that it sleeps, so a busy channel costs no
//! hypercalls.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::interrupts::{self, IntId};
use crate::machine::{ChannelEnd, Role};
use crate::ring::{self, LONGEST};
use crate::{cpu, hypercall};

/// Interrupts from peers so far, all channels together.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    Ring(ring::Error),
    Hypercall(hypercall::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Ring(error) => write!(f, "channel: {error}"),
            Error::Hypercall(error) => write!(f, "channel: ring: {error}"),
        }
    }
}

impl From<ring::Error> for Error {
    fn from(error: ring::Error) -> Self {
        Error::Ring(error)
    }
}

/// Sends to the peer.
#[derive(Debug)]
pub struct Sender {
    ring: ring::Sender<'static>,
    index: u32,
    rings: u64,
}

/// Takes from the peer.
#[derive(Debug)]
pub struct Receiver {
    ring: ring::Receiver<'static>,
    index: u32,
    rings: u64,
}

/// A channel's memory as it is, for an end that makes its own rules.
pub fn memory(end: &ChannelEnd) -> &'static [AtomicU64] {
    let words = (end.memory.bytes / 8) as usize;
    // SAFETY: the device tree says that this memory is there, and nothing but atomics of this type
    // ever refers to it; the base is a page's.
    unsafe { core::slice::from_raw_parts(end.memory.base as *const AtomicU64, words) }
}

/// Opens this VM's end of a channel. One end has one sender and one receiver; opening it twice only
/// confuses the peer.
pub fn open(end: &ChannelEnd) -> Result<(Sender, Receiver), Error> {
    let (sender, receiver) = ring::split(memory(end), end.role == Role::First)?;
    interrupts::set_handler(IntId::new(end.vintid), rung);
    let index = end.index;
    Ok((Sender { ring: sender, index, rings: 0 }, Receiver { ring: receiver, index, rings: 0 }))
}

/// Interrupts from peers so far, all channels together.
pub fn interrupts() -> u64 {
    INTERRUPTS.load(Ordering::Relaxed)
}

impl Sender {
    /// Sends a message, waiting by WFI while there is no room.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        loop {
            if let Some(done) = self.ring.send(message)? {
                return ring_if(done, self.index, &mut self.rings);
            }
            cpu::wait_until(|| self.ring.ready());
        }
    }

    /// Times the peer was rung.
    pub fn rings(&self) -> u64 {
        self.rings
    }
}

impl Receiver {
    /// Takes a message, waiting by WFI while there is none.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8; LONGEST]) -> Result<&'a [u8], Error> {
        if !self.ring.ready() {
            cpu::wait_until(|| self.ring.ready());
        }
        match self.ring.receive(buffer)? {
            Some((message, done)) => {
                ring_if(done, self.index, &mut self.rings)?;
                Ok(message)
            }
            // Nobody but this end takes messages, so one that was there still is.
            None => Err(Error::Ring(ring::Error::Corrupt)),
        }
    }

    /// Times the peer was rung.
    pub fn rings(&self) -> u64 {
        self.rings
    }
}

fn ring_if(done: ring::Done, index: u32, rings: &mut u64) -> Result<(), Error> {
    if done.ring {
        *rings += 1;
        hypercall::ring(index).map_err(Error::Hypercall)?;
    }
    Ok(())
}

fn rung(_: IntId) {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
}
