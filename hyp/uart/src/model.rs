// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A UART that refuses what its manual forbids, and what every kind must do with one.
//!
//! Each kind's tests have a [`Chip`]: its registers, which panics at an access that they do not
//! have. The FIFOs and the wire are common, and panic at a byte too many and at a read of nothing.

use core::cell::RefCell;
use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

use crate::{Driver, Early, Registers, Width};

/// The FIFOs and the wire.
pub struct Line {
    /// Bytes that the transmit FIFO takes.
    pub depth: usize,
    pub sending: VecDeque<u8>,
    /// The byte on the wire.
    pub shifting: Option<u8>,
    pub sent: Vec<u8>,
    pub received: VecDeque<u8>,
    /// Nothing leaves.
    pub stuck: bool,
}

impl Line {
    fn new(depth: usize) -> Self {
        Self {
            depth,
            sending: VecDeque::new(),
            shifting: None,
            sent: Vec::new(),
            received: VecDeque::new(),
            stuck: false,
        }
    }

    pub fn push(&mut self, byte: u32) {
        assert!(byte < 256, "more than a byte: {byte:#x}");
        assert!(!self.is_full(), "a byte for a full FIFO");
        self.sending.push_back(byte as u8);
        if self.shifting.is_none() && !self.stuck {
            self.shifting = self.sending.pop_front();
        }
    }

    pub fn pop(&mut self) -> u32 {
        u32::from(self.received.pop_front().expect("a read of an empty FIFO"))
    }

    pub fn is_full(&self) -> bool {
        self.sending.len() == self.depth
    }

    pub fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.shifting.is_none()
    }

    /// The time of a byte passes.
    fn tick(&mut self) {
        if !self.stuck {
            self.sent.extend(self.shifting.take());
            self.shifting = self.sending.pop_front();
        }
    }
}

/// A bit of a word.
pub fn bit(number: u32, value: bool) -> u32 {
    u32::from(value) << number
}

/// The registers of a kind, as firmware has left them.
pub trait Chip {
    fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32;
    fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32);
    /// Its interrupt is signalled.
    fn asks(&self, line: &Line) -> bool;
    /// The time of a byte has passed.
    fn tick(&mut self, _: &mut Line) {}
}

pub struct Model {
    chip: Box<dyn Chip>,
    pub line: Line,
    memory: u32,
    pauses: u32,
}

/// A driver's side of it.
#[derive(Clone, Copy)]
pub struct Handle<'a>(&'a RefCell<Model>);

impl Registers for Handle<'_> {
    const PATIENCE: u32 = 500;

    fn read(self, offset: u64, width: Width) -> u32 {
        assert!(offset.is_multiple_of(width as u64), "not aligned: {offset:#x}");
        let Model { chip, line, .. } = &mut *self.0.borrow_mut();
        chip.read(line, offset, width)
    }

    fn write(self, offset: u64, width: Width, value: u32) {
        assert!(offset.is_multiple_of(width as u64), "not aligned: {offset:#x}");
        assert!(u64::from(value) < 1 << (8 * width as u64), "{value:#x} for {width:?}");
        let Model { chip, line, .. } = &mut *self.0.borrow_mut();
        chip.write(line, offset, width, value);
    }

    fn remembered(self) -> u32 {
        self.0.borrow().memory
    }

    fn remember(self, value: u32) {
        self.0.borrow_mut().memory = value;
    }

    fn pause(self) {
        self.0.borrow_mut().pauses += 1;
        self.tick();
    }
}

impl Handle<'_> {
    fn tick(self) {
        let Model { chip, line, .. } = &mut *self.0.borrow_mut();
        line.tick();
        chip.tick(line);
    }

    fn line<T>(self, look: impl FnOnce(&mut Line) -> T) -> T {
        look(&mut self.0.borrow_mut().line)
    }

    pub fn asks(self) -> bool {
        let model = self.0.borrow();
        model.chip.asks(&model.line)
    }

    pub fn sent(self) -> Vec<u8> {
        for _ in 0..200 {
            self.tick();
        }
        self.line(|line| core::mem::take(&mut line.sent))
    }

    fn pauses(self) -> u32 {
        core::mem::take(&mut self.0.borrow_mut().pauses)
    }
}

/// A UART with a transmit FIFO of `depth`, and what is tried on it.
pub fn with(chip: impl Chip + 'static, depth: usize, test: impl FnOnce(Handle)) {
    let chip = Box::new(chip);
    let model = Model { chip, line: Line::new(depth), memory: 0, pauses: 0 };
    test(Handle(&RefCell::new(model)));
}

/// A driver of each kind.
pub trait Kind {
    type Driver<'a>: Driver<Registers = Handle<'a>>;
    const DEPTH: usize;
    /// Bytes from the base that it may touch.
    const BYTES: u64;
    const EARLY: Early;

    fn chip() -> impl Chip + 'static;
    fn driver(handle: Handle<'_>) -> Self::Driver<'_>;
}

/// All that a kind must do.
pub fn check<K: Kind>() {
    with(K::chip(), K::DEPTH, output::<K>);
    with(K::chip(), K::DEPTH, patience::<K>);
    with(K::chip(), K::DEPTH, input::<K>);
    with(K::chip(), K::DEPTH, interrupts::<K>);
    with(K::chip(), K::DEPTH, early::<K>);
    assert!(K::EARLY.status < K::BYTES && K::EARLY.data < K::BYTES);
}

/// Bytes leave in order, also when the FIFO was full meanwhile.
fn output<K: Kind>(handle: Handle) {
    let uart = K::driver(handle);
    uart.enable();
    assert!(!uart.is_busy(), "busy before the first byte");
    let text: Vec<u8> = (0..=255).collect();
    let mut refused = 0;
    for &byte in &text {
        while !uart.put(byte) {
            assert!(uart.is_busy(), "full, and not busy");
            refused += 1;
            handle.tick();
        }
    }
    assert!(refused > 0, "256 bytes fill no FIFO");
    uart.drain();
    assert!(handle.line(|line| line.is_idle()), "drained with bytes left");
    assert_eq!(handle.sent(), text);
}

/// A UART that never has room costs a bounded time; one that has it late loses nothing.
fn patience<K: Kind>(handle: Handle) {
    let uart = K::driver(handle);
    uart.enable();
    handle.line(|line| line.stuck = true);
    let mut put = Vec::new();
    while uart.put(b'x') {
        put.push(b'x');
        assert!(put.len() <= K::DEPTH, "more bytes than the FIFO takes");
    }
    assert_eq!(handle.pauses(), 0, "`put` waited");
    uart.put_patiently(b'y');
    assert_eq!(handle.pauses(), Handle::PATIENCE);
    uart.drain();
    assert_eq!(handle.pauses(), Handle::PATIENCE);
    handle.line(|line| line.stuck = false);
    uart.put_patiently(b'z');
    put.push(b'z');
    assert_eq!(handle.sent(), put, "the byte in between was given up, and only that");
}

/// What was received is read in order, and never more than that.
fn input<K: Kind>(handle: Handle) {
    let uart = K::driver(handle);
    uart.enable();
    for bytes in [0, 1, 2, 3, 4, 5, 7, 9] {
        assert_eq!(uart.get(), None);
        let typed: Vec<u8> = (b'a'..).take(bytes).collect();
        handle.line(|line| line.received.extend(&typed));
        let got: Vec<u8> = core::iter::from_fn(|| uart.get()).collect();
        assert_eq!(got, typed);
    }
}

/// One interrupt for each cause, which ends when that has been seen to.
fn interrupts<K: Kind>(handle: Handle) {
    let uart = K::driver(handle);
    handle.line(|line| line.received.push_back(b'f'));
    uart.enable();
    assert!(!handle.asks(), "enabled with an interrupt");
    uart.interrupts(false);
    assert!(handle.asks(), "what firmware's user typed is signalled");
    settle(&uart, handle);
    for output in [false, true, false] {
        uart.interrupts(output);
        handle.line(|line| line.received.push_back(b'i'));
        assert!(handle.asks(), "a byte is signalled, with output {output}");
        uart.mask();
        assert!(!handle.asks(), "masked");
        uart.interrupts(output);
        assert!(handle.asks(), "and signalled again");
        uart.interrupts(false);
        settle(&uart, handle);
    }
    while uart.put(b'o') {}
    uart.interrupts(true);
    settle(&uart, handle);
    handle.sent();
    assert!(handle.asks(), "there is room again");
    uart.interrupts(false);
    settle(&uart, handle);
}

/// As EL2's handler does it: acknowledge, read all. One interrupt more is allowed: a flag may come
/// back while its cause is there.
fn settle(uart: &impl Driver, handle: Handle) {
    for _ in 0..2 {
        uart.acknowledge();
        while uart.get().is_some() {}
    }
    assert!(!handle.asks(), "an interrupt without a cause");
}

/// As the head does it, before `enable`.
fn early<K: Kind>(handle: Handle) {
    let early = K::EARLY;
    let text: Vec<u8> = (0..100).collect();
    for &byte in &text {
        while (handle.read(early.status, early.status_width) >> early.bit & 1 != 0) != early.ready {
            handle.tick();
        }
        for &(offset, value) in early.command {
            handle.write(offset, Width::Word, value);
        }
        handle.write(early.data, early.data_width, u32::from(byte));
    }
    assert_eq!(handle.sent(), text);
}
