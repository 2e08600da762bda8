// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Command and event queues: wrap, bounds, errors, overflow.

mod common;

use common::*;
use smmu::command::{Command, Encoded};
use smmu::event::Kind;
use smmu::event_queue::Drained;
use smmu::gerror::GlobalError;
use smmu::model::{Config, ModelCommands, Smmu};
use smmu::queue::{CommandMemory, CommandQueue};
use smmu::unit::{Setup, Unit};
use smmu::{CommandFault, Error, Frame, Vmid, Wait, regs};
use std::cell::Cell;
use std::rc::Rc;

/// Command memory that spoils one command.
struct Spoiled {
    memory: ModelCommands,
    /// Commands until the one that is spoiled.
    countdown: Rc<Cell<Option<u32>>>,
}

impl CommandMemory for Spoiled {
    fn store(&mut self, slot: u32, command: &Encoded) {
        let spoil = self.countdown.get() == Some(0);
        self.countdown.set(self.countdown.get().and_then(|n| n.checked_sub(1)));
        let command = if spoil { &[0xff, 0] } else { command };
        self.memory.store(slot, command);
    }
    fn publish(&mut self) {
        self.memory.publish();
    }
}

fn queue(
    config: Config,
) -> (Smmu, CommandQueue<smmu::model::ModelFrame, Spoiled>, Rc<Cell<Option<u32>>>) {
    let smmu = Smmu::new(config);
    write_table(&smmu, linear());
    let unit = Unit::new(smmu.frame());
    unit.abort_all(POLLS).unwrap();
    let (commands, events) = rings();
    let setup = Setup { table: linear(), commands, events, coherent: true };
    let countdown = Rc::new(Cell::new(None));
    let memory = Spoiled { memory: smmu.commands(commands), countdown: countdown.clone() };
    let queue = unit.enable(&setup, memory, POLLS).unwrap();
    (smmu, queue, countdown)
}

fn flush(vmid: u16) -> Command {
    Command::TlbiS12Vmall { vmid: Vmid::new(vmid) }
}

#[test]
fn a_list_longer_than_the_queue_goes_round_it() {
    for config in [Config::STRICT, Config::QEMU] {
        let (smmu, mut queue, _) = queue(config);
        for length in 0..40 {
            queue.run((0..length).map(flush)).unwrap();
            let (prod, cons) =
                (smmu.frame().read32(regs::CMDQ_PROD), smmu.frame().read32(regs::CMDQ_CONS));
            assert_eq!(prod, cons);
        }
        assert_eq!(smmu.take_violations(), []);
    }
}

#[test]
fn an_smmu_that_stops_costs_a_bounded_wait() {
    let (smmu, mut queue, _) = queue(Config::STRICT);
    smmu.hang(true);
    let wait = |result| match result {
        Err(Error::Timeout { wait, .. }) => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(queue.run([flush(1)])), Wait::CommandsConsumed);
    assert_eq!(wait(queue.run((0..9).map(flush))), Wait::QueueSpace);
    assert_eq!(smmu.take_violations(), []);
    smmu.hang(false);
    queue.run([]).unwrap();
}

#[test]
fn a_command_that_is_refused_is_found_and_replaced() {
    for config in [Config::STRICT, Config::QEMU] {
        let (smmu, mut queue, countdown) = queue(config);
        assert_eq!(queue.recover(), Ok(None), "nothing has failed");
        // Any place within lists of any length, so that the slot is each one.
        for (place, length) in (0..12).flat_map(|place| (place..14).map(move |n| (place, n))) {
            smmu.take_interrupts();
            countdown.set(Some(u32::from(place)));
            let mut result = queue.run((0..length).map(flush));
            let fault = CommandFault::Illegal;
            assert!(
                matches!(result, Err(Error::Command { fault: found, .. }) if found == fault),
                "{place} of {length}: {result:?}"
            );
            assert!(smmu.take_interrupts().global_error);
            result = queue.run([]);
            assert!(matches!(result, Err(Error::Command { .. })), "still stopped: {result:?}");
            assert_eq!(queue.recover(), Ok(Some(fault)));
            assert!(Unit::new(smmu.frame()).errors().none());
            queue.run((0..length).map(flush)).unwrap();
        }
        assert_eq!(smmu.take_violations(), []);
    }
}

/// IHI 0070 3.18: the event queue's interrupt is one of its becoming non-empty. Who leaves records
/// in it has no other one to come, and must not wait for it.
#[test]
fn records_that_are_left_interrupt_no_more() {
    let mut board = Board::new(Config::STRICT, linear());
    for n in 0..4 {
        board.smmu.dma(write(STRANGE + n, WINDOW));
    }
    assert!(board.smmu.take_interrupts().events);
    assert_eq!(board.drain(3).1, Drained { taken: 3, left: 1, lost: false });
    board.smmu.dma(write(STRANGE, WINDOW));
    assert!(!board.smmu.take_interrupts().events, "one was left");
    assert_eq!(board.drain(3).1, Drained { taken: 2, left: 0, lost: false });
    board.smmu.dma(write(STRANGE, WINDOW));
    assert!(board.smmu.take_interrupts().events);
}

#[test]
fn records_come_in_order_round_the_queue() {
    let mut board = Board::new(Config::STRICT, linear());
    for round in 0..50 {
        let count = round % 8 + 1;
        for n in 0..count {
            board.smmu.dma(write(STRANGE + n, WINDOW));
        }
        assert!(board.smmu.take_interrupts().events);
        let (events, drained) = board.drain(64);
        assert_eq!(drained, Drained { taken: count, left: 0, lost: false });
        for (n, event) in (0..).zip(events) {
            assert_eq!((event.kind, event.stream), (Kind::BadSte, stream(STRANGE + n)));
        }
    }
    assert_eq!(board.drain(64).1, Drained { taken: 0, left: 0, lost: false });
}

#[test]
fn a_bounded_number_is_taken_at_a_time() {
    let mut board = Board::new(Config::STRICT, linear());
    for n in 0..7 {
        board.smmu.dma(write(STRANGE + n, WINDOW));
    }
    let mut seen = Vec::new();
    for (taken, left) in [(3, 4), (3, 1), (1, 0), (0, 0)] {
        let (events, drained) = board.drain(3);
        assert_eq!((drained.taken, drained.left), (taken, left));
        seen.extend(events.iter().map(|event| event.stream.value()));
    }
    assert_eq!(seen, (STRANGE..STRANGE + 7).collect::<Vec<_>>());
}

#[test]
fn an_overflow_is_told_once_each_time() {
    for config in [Config::STRICT, Config::QEMU] {
        let mut board = Board::new(config, linear());
        for _ in 0..5 {
            for n in 0..20 {
                board.smmu.dma(write(STRANGE + n, WINDOW));
            }
            let (events, drained) = board.drain(2);
            assert_eq!(drained, Drained { taken: 2, left: 6, lost: true });
            assert_eq!(events[0].stream, stream(STRANGE), "the oldest are kept");
            // QEMU tells it as a global error as well, which is nobody's but the handler's.
            let errors = board.unit.errors();
            assert_eq!(errors.contains(GlobalError::EventQueueAbort), config.full_is_error);
            board.unit.acknowledge(errors);
            assert!(board.unit.errors().none());
            let (_, drained) = board.drain(64);
            assert_eq!(drained, Drained { taken: 6, left: 0, lost: false });
        }
        assert_eq!(board.smmu.take_violations(), []);
    }
}

#[test]
fn a_queue_that_claims_too_much_is_read_once() {
    let mut board = Board::new(Config::STRICT, linear());
    board.smmu.dma(write(STRANGE, WINDOW));
    // A producer that runs ahead of what the queue can hold, as broken hardware might say.
    struct Broken(smmu::model::ModelFrame);
    impl Frame for Broken {
        fn read32(&self, offset: usize) -> u32 {
            if offset == regs::EVTQ_PROD { 0x7fff_fffd } else { self.0.read32(offset) }
        }
        fn read64(&self, offset: usize) -> u64 {
            self.0.read64(offset)
        }
        fn write32(&self, offset: usize, value: u32) {
            self.0.write32(offset, value);
        }
        fn write64(&self, offset: usize, value: u64) {
            self.0.write64(offset, value);
        }
    }
    let (_, ring) = rings();
    board.drain(0);
    let memory = board.smmu.events(ring);
    let mut queue =
        smmu::event_queue::EventQueue::new(Broken(board.smmu.frame()), memory, EVENT_BITS);
    let mut count = 0;
    let drained = queue.drain(u32::MAX, |_| count += 1);
    assert_eq!((drained.taken, count), (8, 8));
}
