// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command queue: order, wrap-around, bounds, stalls.

mod common;

use common::*;
use gicv4::command::Command;
use gicv4::frame::{Its, Readable, Register, Width, Writable};
use gicv4::model::{Config, OnError};
use gicv4::queue::{Queue, QueueMemory};
use gicv4::regs::gits;
use gicv4::{DeviceId, Error, Frame, Vetted, Wait};
use proptest::prelude::*;
use std::cell::RefCell;

/// An ITS that does nothing but consume commands: one at every `pace`th read of CREADR.
#[derive(Debug)]
struct Consumer {
    slots: Vec<Option<Vetted>>,
    reader: usize,
    writer: usize,
    pace: u32,
    reads: u32,
    consumed: Vec<Vetted>,
}

#[derive(Debug)]
struct Fake(RefCell<Consumer>);

impl Fake {
    fn new(slots: usize, pace: u32) -> Self {
        let slots = vec![None; slots];
        Self(RefCell::new(Consumer {
            slots,
            reader: 0,
            writer: 0,
            pace,
            reads: 0,
            consumed: vec![],
        }))
    }
}

impl Frame for Fake {
    type Block = Its;

    fn read<W: Width, A: Readable, L>(&self, register: Register<Its, W, A, L>) -> W {
        assert_eq!(register.offset(), gits::offset::CREADR);
        let mut its = self.0.borrow_mut();
        its.reads += 1;
        if its.reads.is_multiple_of(its.pace) && its.reader != its.writer {
            let reader = its.reader;
            let command =
                its.slots[reader].take().expect("a slot is written before CWRITER passes it");
            its.consumed.push(command);
            its.reader = (reader + 1) % its.slots.len();
        }
        W::from_bits(its.reader as u64 * 32)
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<Its, W, A, L>,
        value: A::Value,
    ) {
        assert_eq!(register.offset(), gits::offset::CWRITER);
        self.0.borrow_mut().writer = A::bits(value).bits() as usize / 32;
    }
}

impl QueueMemory for &Fake {
    fn slots(&self) -> u32 {
        self.0.borrow().slots.len() as u32
    }
    fn store(&mut self, slot: u32, command: &Vetted) {
        let old = self.0.borrow_mut().slots[slot as usize].replace(*command);
        assert_eq!(old, None, "overwrites a command that was not consumed");
    }
    fn publish(&self) {}
}

fn numbered(from: u64, count: u64) -> Vec<Vetted> {
    (from..from + count).map(|n| Vetted::new([n, 0, 0, 0]).unwrap()).collect()
}

proptest! {
    #[test]
    fn commands_are_consumed_once_and_in_order(
        slots in 2usize..9,
        pace in 1u32..5,
        batches in prop::collection::vec((0u64..20, any::<bool>()), 1..20),
    ) {
        let its = Fake::new(slots, pace);
        let mut queue = Queue::new(&its, &its, 10);
        let mut posted = 0;
        for (count, wait) in batches {
            let commands = numbered(posted, count);
            posted += count;
            if wait {
                queue.run(&commands).unwrap();
                prop_assert_eq!(its.0.borrow().consumed.len() as u64, posted);
                prop_assert!(queue.is_idle().unwrap());
            } else {
                queue.post(&commands).unwrap();
            }
        }
        queue.wait().unwrap();
        prop_assert_eq!(&its.0.borrow().consumed, &numbered(0, posted));
    }

    #[test]
    fn every_wait_is_bounded(slots in 1usize..9, count in 1u64..20, polls in 0u32..50) {
        let its = Fake::new(slots, u32::MAX);
        let mut queue = Queue::new(&its, &its, polls);
        let room = slots as u64 - 1;
        let (wait, register) =
            if count > room { (Wait::QueueSpace, 0) } else { (Wait::CommandsConsumed, 0) };
        prop_assert_eq!(queue.run(&numbered(0, count)), Err(Error::Timeout { wait, register }));
        // One read to see where the ITS is for each wait, and the polls.
        prop_assert!(its.0.borrow().reads <= 2 * polls.max(1) + 2);
    }
}

#[test]
fn the_models_queue_wraps() {
    for command_polls in [0, 2] {
        let mut board = Board::new(Config { command_polls, ..Config::V4_0 });
        // 1000 devices one after the other, in batches that are longer than the queue's 127.
        for batch in 0..5u32 {
            let commands: Vec<_> = (0..200)
                .map(|n| Command::Mapd {
                    device: DeviceId::new((batch * 200 + n) % 500),
                    itt: None,
                })
                .collect();
            board.run(&commands);
        }
        board.clean();
    }
}

#[test]
fn a_hung_its_is_noticed_and_may_go_on() {
    let mut board = Board::new(Config::V4_0);
    let at = board.gic.its().read(gits::CREADR);
    let sync = Command::Sync { redistributor: board.config.redistributor(0) };
    let sync = Vetted::new(sync.encode()).unwrap();
    board.gic.hang(true);
    let error = board.queue.run(&[sync]).unwrap_err();
    assert_eq!(error, Error::Timeout { wait: Wait::CommandsConsumed, register: at });
    assert_eq!(
        error.to_string(),
        format!(
            "waited too long for the ITS to consume its commands (GITS_CREADR), which reads {at:#x}"
        )
    );
    let error = board.queue.run(&[sync; 127]).unwrap_err();
    assert_eq!(error, Error::Timeout { wait: Wait::QueueSpace, register: at });
    board.gic.hang(false);
    board.queue.wait().unwrap();
    board.queue.run(&[sync; 300]).unwrap();
    board.clean();
}

#[test]
fn a_stalled_its_goes_on_when_the_cause_is_gone() {
    let mut board = Board::new(Config { on_error: OnError::Stall, ..Config::V4_0 });
    let slot = board.gic.its().read(gits::CREADR) as u32 / 32;
    let sync = Command::Sync { redistributor: board.config.redistributor(0) };
    let sync = Vetted::new(sync.encode()).unwrap();
    let vsync = Vetted::new(Command::Vsync { vpe: vpe(0) }.encode()).unwrap();
    let error = board.queue.run(&[sync, vsync, sync]).unwrap_err();
    assert_eq!(error, Error::Stalled { slot: slot + 1 });
    assert_eq!(error.to_string(), format!("the ITS stalled at the command in slot {}", slot + 1));
    // Nothing helps but to remove the cause: here, put a harmless command in its place.
    assert_eq!(board.queue.run(&[sync]), Err(Error::Stalled { slot: slot + 1 }));
    assert!(board.queue.is_idle().is_err());
    let mut memory = board.gic.queue(QUEUE, 128);
    memory.store(slot + 1, &sync);
    memory.publish();
    board.queue.retry();
    board.queue.wait().unwrap();
    assert!(board.queue.is_idle().unwrap());
    assert_eq!(board.gic.take_errors().len(), 1);
    board.clean();
}
