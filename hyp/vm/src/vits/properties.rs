//! The virtual ITS on the software GIC, beside a naive model: streams of commands, wrong ones among them, of two VMs.

extern crate std;

use super::{
    Learned,
    board::{Board, EVENTS, GITS, MEMORY, MEMORY_BYTES, PENDING, PROPERTIES, QUEUE, RINGS},
    naive::Naive,
};
use crate::{counters::Counter, fake::GICR};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, RdBase,
    command::{Command, Encoded, Itt},
    lpi::LpiConfig,
};
use plan::ItsPolicy;
use proptest::prelude::*;
use std::{string::String, vec, vec::Vec};

const VALID: u64 = 1 << 63;
const CBASER: u64 = GITS + 0x80;
const CWRITER: u64 = GITS + 0x88;
const CREADR: u64 = GITS + 0x90;

/// A guest's driver: where it writes next.
struct Driver {
    vpe: usize,
    writer: u64,
}

impl Driver {
    /// Queue of one page, ITS on.
    fn new(board: &Board, vpe: usize) -> Self {
        board.write(vpe, CBASER, 8, VALID | QUEUE);
        board.write(vpe, CWRITER, 8, 0);
        board.write(vpe, GITS, 4, 1);
        Self { vpe, writer: 0 }
    }

    /// LPI tables of both redistributors.
    fn enable_lpis(&self, board: &Board) {
        for redistributor in [GICR, GICR + 0x2_0000] {
            board.write(self.vpe, redistributor + 0x70, 8, PROPERTIES | 13);
            board.write(self.vpe, redistributor + 0x78, 8, PENDING | 1 << 62);
            board.write(self.vpe, redistributor, 4, 1);
        }
    }

    /// Puts commands into the queue and moves GITS_CWRITER; how often that had to be tried again.
    fn give(&mut self, board: &Board, commands: &[Encoded]) -> usize {
        for words in commands {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            board.store(self.vpe / 2, QUEUE + self.writer, &bytes);
            self.writer = (self.writer + 32) % 4096;
        }
        let tries = board.write(self.vpe, CWRITER, 8, self.writer);
        assert_eq!(board.read(self.vpe, CREADR, 8), Some(self.writer));
        tries
    }

    fn configure(&self, board: &Board, vintid: u32, enabled: bool) {
        let byte = LpiConfig::new(0x80, enabled).byte();
        board.store(self.vpe / 2, PROPERTIES + u64::from(vintid - 8192), &[byte]);
    }
}

fn device(n: u32) -> DeviceId {
    DeviceId::new(n)
}
fn event(n: u32) -> EventId {
    EventId::new(n)
}
fn mapd(of: u32, bits: u8) -> Encoded {
    Command::Mapd { device: device(of), itt: Itt::new(0x1000, bits) }.encode()
}
fn mapc(collection: u16, vpe: u16) -> Encoded {
    let redistributor = Some(RdBase::processor(vpe));
    Command::Mapc { collection: CollectionId::new(collection), redistributor }.encode()
}
fn mapti(of: u32, n: u32, intid: u32, collection: u16) -> Encoded {
    let (intid, collection) = (IntId::new(intid), CollectionId::new(collection));
    Command::Mapti { device: device(of), event: event(n), intid, collection }.encode()
}

fn sum(board: &Board, vm: usize, counters: &[Counter]) -> u64 {
    let vpes = board.guests[2 * vm].vpes;
    vpes.iter().flat_map(|vpe| counters.iter().map(|counter| vpe.counters.get(*counter))).sum()
}

/// Hardware batches.
const CAUSED: [Counter; 5] = [
    Counter::ItsRemapped,
    Counter::ItsDiscarded,
    Counter::ItsMoved,
    Counter::ItsConfigured,
    Counter::ItsSet,
];

#[test]
fn learned_vintids_cost_nothing() {
    let board = Board::new();
    for vm in 0..2 {
        let mut driver = Driver::new(&board, 2 * vm);
        driver.enable_lpis(&board);
        driver.give(&board, &[mapc(0, 0), mapc(1, 1)]);
        let devices: &[u32] = if vm == 0 { &[0x10, 0x18] } else { &[0x20] };
        driver.give(&board, &devices.iter().map(|of| mapd(*of, 3)).collect::<Vec<_>>());
        for &(of, n, vintid, vpe) in &EVENTS {
            if usize::from(vpe) / 2 != vm || of == RINGS {
                continue;
            }
            let byte = LpiConfig::new(0xa0, true).byte();
            board.store(vm, PROPERTIES + u64::from(vintid - 8192), &[byte]);
            let inv = Command::Inv { device: device(of), event: event(n) }.encode();
            driver.give(&board, &[mapti(of, n, vintid, vpe % 2), inv]);
            board.ring(of, n);
            assert_eq!(board.take(vpe.into()), [vintid]);
        }
        assert_eq!(sum(&board, vm, &CAUSED), 0);
        assert_eq!(sum(&board, vm, &[Counter::ItsRefused]), 0);
    }
    board.clean();
}

#[test]
fn a_flood_is_taken_in_pieces() {
    let board = Board::new();
    let mut driver = Driver::new(&board, 0);
    let flood = vec![mapc(0, 1); 127];
    let tries = driver.give(&board, &flood);
    assert_eq!(tries, 127 / 32);
    assert_eq!(sum(&board, 0, &[Counter::ItsCommands]), 127);
    // With an interrupt that waits, one at a time.
    board.interrupted.set(true);
    assert_eq!(driver.give(&board, &flood[..10]), 9);
    board.interrupted.set(false);
    // The same over the end of the queue, by 32-bit halves.
    assert!(driver.give(&board, &flood) > 2);
    assert_eq!(board.read(0, CREADR, 4), Some(driver.writer));
    assert_eq!(board.read(0, CREADR + 4, 4), Some(0));
}

/// A driver whose event 0 is mapped and enabled.
fn mapped(board: &Board) -> (Driver, Encoded) {
    let mut driver = Driver::new(board, 0);
    driver.enable_lpis(board);
    let (of, n, vintid, _) = EVENTS[0];
    driver.give(board, &[mapc(0, 0), mapd(of, 3), mapti(of, n, vintid, 0)]);
    (driver, Command::Int { device: device(of), event: event(n) }.encode())
}

/// Commands that cause hardware commands wait until there is one more, each in one trap; others do not wait.
#[test]
fn a_vm_has_so_much_of_the_hardware() {
    let board = Board::new();
    let (mut driver, int) = mapped(&board);
    board.tick.set(1);
    let took = |commands: &[Encoded], driver: &mut Driver| {
        let start = board.ticks.get();
        let tries = driver.give(&board, commands);
        (board.ticks.get() - start, tries as u64)
    };
    let (time, tries) = took(&[int; 96], &mut driver);
    assert!((2_000_000..2_010_000).contains(&time), "64 wait for 31,250 ticks each: {time}");
    assert_eq!((sum(&board, 0, &[Counter::ItsSet]), board.slept.get()), (96, 64));
    assert!(tries <= 64 + 96 / 32);
    assert_eq!(sum(&board, 0, &[Counter::ItsWaits]), 64);
    assert!(took(&[mapc(0, 0); 96], &mut driver).0 < 1_000, "nothing of these reaches hardware");
    assert_eq!(board.slept.get(), 64);
    board.clean();
}

/// A command that touches many events stops where the allowance ends, and goes on there.
#[test]
fn long_commands_go_on_where_they_stopped() {
    let board = Board::new();
    let (mut driver, int) = mapped(&board);
    board.tick.set(1);
    let all = [0, 1, 2].map(|n| EVENTS[n]);
    let map = all.map(|(of, n, vintid, _)| mapti(of, n, vintid, 0));
    driver.give(&board, &map);
    driver.give(&board, &[int; 32]);
    let (before, moved) = (board.slept.get(), sum(&board, 0, &[Counter::ItsMoved]));
    // All three go to vPE 1; nothing is left of the allowance.
    driver.give(&board, &[mapc(0, 1)]);
    assert_eq!(sum(&board, 0, &[Counter::ItsMoved]) - moved, 3);
    assert!(board.slept.get() >= before + 3);
    for (of, n, ..) in all {
        board.ring(of, n);
    }
    assert_eq!((board.take(0), board.take(1)), (vec![], vec![8192, 8193, 8194]));
    board.clean();
}

#[test]
fn queues_elsewhere() {
    let board = Board::new();
    for queue in [0, MEMORY - 0x1000, MEMORY + MEMORY_BYTES, 0x000f_ffff_ffff_f000, 0x6000_0000] {
        board.write(0, GITS, 4, 0);
        board.write(0, CBASER, 8, VALID | queue | 0xff);
        board.write(0, CWRITER, 8, 0x40);
        board.write(0, GITS, 4, 1);
        assert_eq!(board.read(0, CREADR, 8), Some(1), "stalled at the first command");
        board.write(0, CWRITER, 8, 0x41);
        assert_eq!(board.read(0, CREADR, 8), Some(1), "and again after Retry");
    }
    // The last page that it has, and a size that goes beyond it.
    board.write(0, GITS, 4, 0);
    board.write(0, CBASER, 8, VALID | (MEMORY + MEMORY_BYTES - 0x1000) | 1);
    board.write(0, CWRITER, 8, 0x1000);
    board.write(0, GITS, 4, 1);
    assert_eq!(board.read(0, CREADR, 8), Some(0x1000), "128 commands without meaning");
    board.write(0, CWRITER, 8, 0x1020);
    assert_eq!(board.read(0, CREADR, 8), Some(0x1001));
    // A write pointer beyond the queue.
    board.write(0, CWRITER, 8, 0x2000);
    assert_eq!(board.read(0, CWRITER, 8), Some(0x1020));
    // One that became so when the queue shrank.
    board.write(0, GITS, 4, 0);
    board.write(0, CBASER, 8, VALID | QUEUE);
    board.write(0, GITS, 4, 1);
    assert_eq!(board.read(0, CREADR, 8), Some(1));
    assert_eq!(sum(&board, 0, &[Counter::ItsCommands]), 128);
    board.clean();
}

#[test]
fn registers() {
    let board = Board::new();
    let typer = board.read(0, GITS + 8, 8).unwrap();
    assert_eq!(board.read(0, GITS + 8, 4), Some(typer & 0xffff_ffff));
    assert_eq!(board.read(0, GITS + 12, 4), Some(typer >> 32));
    assert_eq!(typer & 0x3, 1, "physical LPIs only");
    assert_eq!((typer >> 8 & 0x1f, typer >> 13 & 0x1f, typer >> 19 & 1), (15, 15, 0));
    assert_eq!(board.read(0, GITS, 4), Some(1 << 31));
    assert_eq!(board.read(0, GITS + 0xffe8, 4), Some(0x3b));
    for (n, kind) in [(0, 1), (1, 4), (2, 0), (7, 0)] {
        let baser = board.read(0, GITS + 0x100 + 8 * n, 8).unwrap();
        assert_eq!(baser >> 56 & 7, kind);
        board.write(0, GITS + 0x100 + 8 * n, 8, u64::MAX);
        let after = board.read(0, GITS + 0x100 + 8 * n, 8).unwrap();
        let fixed = 7 << 56 | 0x1f << 48;
        assert_eq!(after, if kind == 0 { 0 } else { !fixed | baser & fixed });
    }
    board.write(0, CBASER, 4, 0x4000_0000);
    board.write(0, CBASER + 4, 4, 0x8000_0000);
    assert_eq!(board.read(0, CBASER, 8), Some(VALID | 0x4000_0000));
    board.write(0, GITS, 4, 1);
    board.write(0, CBASER, 8, 0);
    board.write(0, GITS + 0x100, 8, 0);
    assert_eq!(board.read(0, CBASER, 8), Some(VALID | 0x4000_0000), "not while it is enabled");
    assert_ne!(board.read(0, GITS + 0x100, 8), Some(1 << 56));
    for offset in [4, 8, 0x90, 0xffe8] {
        board.write(0, GITS + offset, 8, u64::MAX);
    }
    assert_eq!(board.read(0, GITS + 8, 8), Some(typer));
    assert_eq!(board.read(0, CREADR, 8), Some(0));
    assert_eq!(board.read(0, GITS + 0x100, 1), None);
    assert_eq!(board.read(0, GITS + 0x1_0040, 4), None, "there is no translation frame");
    assert_eq!(board.read(2, CBASER, 8), Some(0), "another VM has another ITS");
}

/// What is written to the TOML makes the same guest cost nothing; the numbers outlive a restart.
#[test]
fn the_report_says_what_to_write() {
    let board = Board::new();
    let told = |vm: usize| {
        let mut text = String::new();
        let (guest, mut learned) = (&board.guests[2 * vm], Learned::START);
        while learned.part(guest.view(), guest.vm, &mut text) {}
        text
    };
    assert_eq!(told(0), "");
    for vm in 0..2 {
        let mut driver = Driver::new(&board, 2 * vm);
        let of = if vm == 0 { 0x10 } else { 0x20 };
        let planned = if vm == 0 { 8192 } else { 8193 };
        driver.give(&board, &[mapc(0, 0), mapc(1, 1), mapd(of, 3)]);
        driver.give(&board, &[mapti(of, 0, 8195, 1), mapti(of, 1, planned + 1 - vm as u32, 1)]);
    }
    board.restart(0);
    let learned = "event 0: vintid = 8195, vpe = 1 would need no command at run time\n";
    assert_eq!(told(0), ["bulkhead: its of guest: device device ", learned].concat());
    assert_eq!(
        told(1),
        [
            "bulkhead: its of guest: device device ",
            learned,
            "bulkhead: its of guest: last refused 0x200000000a 0x200300000000 0x1 0x0: not the planned vINTID\n",
        ]
        .concat()
    );
}

/// A driver that waits for an event without a route: the report names it.
#[test]
fn the_report_names_an_event_that_is_not_planned() {
    let board = Board::new();
    let told = || {
        let mut text = String::new();
        let (guest, mut learned) = (&board.guests[0], Learned::START);
        while learned.part(guest.view(), guest.vm, &mut text) {}
        text
    };
    let mut driver = Driver::new(&board, 0);
    driver.give(&board, &[mapc(0, 0), mapd(0x10, 4), mapti(0x10, 0, 8192, 0)]);
    assert!(!told().contains("not planned"), "{}", told());
    let wanted = |event| mapti(0x10, event, 8200 + event, 0);
    driver.give(&board, &[wanted(8), wanted(9), wanted(7)]);
    let line = "bulkhead: its of guest: device device event 9 was asked for and is not planned: ";
    assert!(told().contains(line), "{}", told());
    board.restart(0);
    assert!(told().contains(line), "it outlives a restart: {}", told());
    // No event of the device at all.
    let mut driver = Driver::new(&board, 0);
    driver.give(&board, &[mapd(0x77, 4), mapti(0x77, 1, 8200, 0)]);
    assert!(told().contains("DeviceID 0x77 event 1 was asked for"), "{}", told());
}

#[test]
fn a_pending_table_is_looked_at() {
    let board = Board::new();
    // INTID 8193, on vPE 1; and of vPE 0's interrupts none.
    board.store(0, PENDING + 8192 / 8, &[2]);
    for redistributor in [GICR, GICR + 0x2_0000] {
        board.write(0, redistributor + 0x78, 8, PENDING);
        board.write(0, redistributor, 4, 1);
    }
    assert_eq!((board.take(0), board.take(1)), (vec![], vec![8193]));
    board.clean();
}

/// What a pending table holds arrives, all of it, whatever is left of the allowance.
#[test]
fn nothing_of_a_pending_table_is_lost() {
    let board = Board::new();
    let (mut driver, int) = mapped(&board);
    board.tick.set(1);
    for redistributor in [GICR, GICR + 0x2_0000] {
        board.write(0, redistributor, 4, 0);
    }
    driver.give(&board, &[int; 40]);
    board.take(0);
    board.store(0, PENDING + 8192 / 8, &[0b101]);
    board.write(0, GICR + 0x78, 8, PENDING);
    let slept = board.slept.get();
    board.write(0, GICR, 4, 1);
    assert_eq!(board.slept.get() - slept, 2, "each waits for its turn");
    assert_eq!(board.take(0), [8192, 8194]);
    assert_eq!(board.read(0, GICR, 4), Some(1));
    board.write(0, GICR, 4, 1);
    assert_eq!(board.take(0), [], "it was on already");
    board.clean();
}

/// A restart puts everything back whether the allowance has room for it or not; who can wait waits, who cannot owes.
#[test]
fn a_restart_comes_out_of_the_allowance() {
    let board = Board::new();
    let (mut driver, int) = mapped(&board);
    board.tick.set(1);
    let away = [8193, 8192].map(|vintid| {
        let n = if vintid == 8193 { 0 } else { 1 };
        mapti(EVENTS[n].0, EVENTS[n].1, vintid, 0)
    });
    let discard = Command::Discard { device: device(EVENTS[1].0), event: event(EVENTS[1].1) };
    driver.give(&board, &[mapti(EVENTS[1].0, EVENTS[1].1, 8193, 0), discard.encode()]);
    driver.give(&board, &away);
    driver.give(&board, &[int; 32]);
    board.take(0);
    board.ring(EVENTS[2].0, EVENTS[2].1);
    let own = EVENTS.iter().filter(|event| event.3 < 2).count();
    assert_eq!(board.renew(0, true), own + 2 * 2, "each batch waits for its turn");
    assert_eq!((board.take(0), board.take(1)), (vec![], vec![]), "nothing is pending");
    // The configuration table, too.
    board.restart(0);
    for &(of, n, vintid, vpe) in EVENTS.iter().filter(|event| event.3 < 2) {
        board.ring(of, n);
        assert_eq!(board.take(vpe.into()), [vintid]);
    }
    let before = board.ticks.get();
    board.renew(0, false);
    assert!(board.ticks.get() - before < 1_000);
    let ready = board.guests[0].vm.allowance.ready_at(board.guests[0].config.its_allowance);
    assert!(ready - before > (own as u64 - 1) * 31_250, "what did not wait is owed");
    board.clean();
}

/// A vPE that may be asleep is made to look when an event of its is enabled or comes to it: no doorbell says that one was pending.
#[test]
fn enabling_wakes() {
    let board = Board::new();
    let (mut driver, _) = mapped(&board);
    let kicks = |driver: &mut Driver, commands: &[Encoded]| {
        board.kicked.borrow_mut().clear();
        driver.give(&board, commands);
        board.kicked.take()
    };
    let (of, n, vintid, _) = EVENTS[1];
    let inv = Command::Inv { device: device(of), event: event(n) }.encode();
    let invall = Command::Invall { collection: CollectionId::new(1) }.encode();
    driver.configure(&board, vintid, false);
    assert_eq!(kicks(&mut driver, &[mapc(1, 1), mapti(of, n, vintid, 1), inv]), []);
    for (command, kicked) in [(inv, &[1u16][..]), (invall, &[1])] {
        driver.configure(&board, vintid, true);
        assert_eq!(kicks(&mut driver, &[command]), kicked);
        assert_eq!(kicks(&mut driver, &[command]), [], "it is enabled already");
        driver.configure(&board, vintid, false);
        assert_eq!(kicks(&mut driver, &[command]), [], "no reason to look");
    }
    // Without a redistributor it is disabled; and what another vPE had may be pending.
    driver.configure(&board, vintid, true);
    let unmapc = Command::Mapc { collection: CollectionId::new(1), redistributor: None }.encode();
    assert_eq!(kicks(&mut driver, &[inv, unmapc]), [1]);
    assert_eq!(kicks(&mut driver, &[mapc(1, 1)]), [1]);
    assert_eq!(kicks(&mut driver, &[mapc(1, 0)]), [], "vPE 0 is awake: it gave the command");
    assert_eq!(kicks(&mut driver, &[mapc(1, 1)]), [1]);
    board.clean();
}

#[derive(Clone, Debug)]
enum Step {
    Give { vpe: usize, commands: Vec<Encoded> },
    Configure { vm: usize, vintid: u32, enabled: bool },
    EnableLpis { vm: usize },
    Ring { event: usize },
    Restart { vm: usize },
}

fn words() -> impl Strategy<Value = Encoded> {
    let of = prop_oneof![
        8 => prop::sample::select(vec![0x10, 0x18, 0x20]),
        1 => prop::sample::select(vec![0x1fe, RINGS, 0, 0x11, u32::MAX]),
    ];
    let n = prop_oneof![9 => 0..4u32, 1 => any::<u32>()];
    let vintid = prop_oneof![
        9 => 8190..8202u32,
        2 => Just(8300u32),
        1 => prop::sample::select(vec![0, 27, 1023, 16383, 16384, u32::MAX]),
    ];
    let icid = prop_oneof![9 => 0..3u16, 1 => prop::sample::select(vec![63u16, 64, 0xffff])];
    let vpe = prop_oneof![9 => 0..2u64, 1 => prop::sample::select(vec![2u64, 3, 0x80a, 1 << 35])];
    let valid = prop::bool::weighted(0.8);
    let bits = prop_oneof![9 => 1..4u64, 1 => 16..32u64];
    let opcode = prop::sample::select(vec![
        0x08u64, 0x08, 0x09, 0x09, 0x0a, 0x0a, 0x0a, 0x0b, 0x01, 0x01, 0x03, 0x04, 0x0c, 0x0c,
        0x0d, 0x0e, 0x0f, 0x05, 0x2a, 0x29,
    ]);
    let sane = (opcode, of, n, vintid, icid, vpe, valid, bits).prop_map(
        |(opcode, of, n, vintid, icid, vpe, valid, bits)| {
            let v = if valid { VALID } else { 0 };
            let first = u64::from(of) << 32 | opcode;
            match opcode {
                0x08 => [first, bits - 1, v | 0x1000, 0],
                0x09 => [opcode, 0, v | vpe << 16 | u64::from(icid), 0],
                0x0a => [first, u64::from(vintid) << 32 | u64::from(n), icid.into(), 0],
                0x05 | 0x0e => [opcode, 0, vpe << 16, vpe << 16],
                _ => [first, n.into(), icid.into(), 0],
            }
        },
    );
    prop_oneof![19 => sane, 1 => any::<Encoded>()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4usize, prop::collection::vec(words(), 1..6))
            .prop_map(|(vpe, commands)| Step::Give { vpe, commands }),
        4 => (0..2usize, prop_oneof![9 => 8192..8202u32, 1 => Just(8300u32)], any::<bool>())
            .prop_map(|(vm, vintid, enabled)| Step::Configure { vm, vintid, enabled }),
        1 => (0..2usize).prop_map(|vm| Step::EnableLpis { vm }),
        10 => (0..EVENTS.len()).prop_map(|event| Step::Ring { event }),
        1 => (0..2usize).prop_map(|vm| Step::Restart { vm }),
    ]
}

/// The guests that run a stream, and what they should see.
struct World {
    board: Board,
    drivers: [Driver; 2],
    naive: [Naive; 2],
    /// Property tables as in memory, seen by nobody until LPIs are enabled.
    tables: [std::collections::BTreeMap<u32, bool>; 2],
}

impl World {
    fn new() -> Self {
        let board = Board::new();
        let drivers = [0, 2].map(|vpe| Driver::new(&board, vpe));
        let naive = [Naive::new(0, ItsPolicy::Remap), Naive::new(1, ItsPolicy::Fixed)];
        Self { board, drivers, naive, tables: Default::default() }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Give { vpe, commands } => {
                let vm = vpe / 2;
                self.drivers[vm].vpe = *vpe;
                self.drivers[vm].give(&self.board, commands);
                commands.iter().for_each(|words| self.naive[vm].execute(*words));
            }
            &Step::Configure { vm, vintid, enabled } => {
                self.drivers[vm].configure(&self.board, vintid, enabled);
                self.tables[vm].insert(vintid, enabled);
                if let Some(table) = &mut self.naive[vm].table {
                    table.insert(vintid, enabled);
                }
            }
            &Step::EnableLpis { vm } => {
                self.drivers[vm].enable_lpis(&self.board);
                self.naive[vm].table = Some(self.tables[vm].clone());
            }
            &Step::Ring { event } => {
                let (of, n, _, vpe) = EVENTS[event];
                self.board.ring(of, n);
                self.naive[usize::from(vpe) / 2].ring(of, n);
            }
            &Step::Restart { vm } => {
                self.board.restart(vm);
                self.naive[vm].restart();
                self.drivers[vm] = Driver::new(&self.board, 2 * vm);
            }
        }
    }

    fn compare(&mut self) {
        for vpe in 0..4 {
            assert_eq!(self.board.take(vpe), self.naive[vpe / 2].take(vpe as u16), "vPE {vpe}");
        }
        for (vm, naive) in self.naive.iter().enumerate() {
            assert_eq!(sum(&self.board, vm, &[Counter::ItsRefused]), naive.refused);
        }
        // No MSI of a device that nobody has mapped is an error of the hypervisor's: only its own commands are recorded.
        self.board.clean();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every event is delivered where the naive model says, and never anything else; a restart puts all back.
    #[test]
    fn as_in_a_naive_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.compare();
        }
        for vm in 0..2 {
            world.step(&Step::Restart { vm });
        }
        for event in 0..EVENTS.len() {
            world.step(&Step::Ring { event });
        }
        world.compare();
    }

    /// Random register writes and a queue of random bytes: nothing of the neighbour's changes, no command of the hypervisor's
    /// fails, and a restart puts all back.
    #[test]
    fn random_writes_touch_nobody_else(
        memory in prop::collection::vec(words(), 128),
        writes in prop::collection::vec((0..2usize, register(), any::<bool>(), value()), 1..60),
    ) {
        let board = Board::new();
        let bytes: Vec<u8> =
            memory.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        board.store(0, QUEUE, &bytes);
        for (vpe, register, wide, value) in writes {
            board.write(vpe, register, if wide { 8 } else { 4 }, value);
            board.read(vpe, register, if wide { 8 } else { 4 });
            board.clean();
        }
        for _ in 0..2 {
            for &(of, n, vintid, vpe) in EVENTS.iter().filter(|event| event.3 >= 2) {
                board.ring(of, n);
                assert_eq!(board.take(vpe.into()), [vintid]);
            }
        }
        board.take(0);
        board.take(1);
        board.restart(0);
        for &(of, n, vintid, vpe) in &EVENTS {
            board.ring(of, n);
            for other in 0..4u16 {
                let wanted: &[u32] = if other == vpe { &[vintid] } else { &[] };
                assert_eq!(board.take(other.into()), wanted);
            }
        }
        board.clean();
    }
}

fn register() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => prop::sample::select(vec![GITS, GITS, CBASER, CWRITER, CWRITER, CWRITER, CREADR]),
        1 => (0..0x30u64).prop_map(|n| GITS + 8 * n),
        1 => (0..0x2000u64).prop_map(|n| GITS + 8 * n),
        1 => prop::sample::select(vec![GICR, GICR + 0x70, GICR + 0x78, GICR + 0x2_0000]),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(VALID | QUEUE),
        2 => (0..0x1000u64).prop_map(|offset| offset & !31),
        2 => Just(1u64),
        1 => Just(0u64),
        1 => Just(PROPERTIES | 13),
        1 => any::<u64>(),
    ]
}
