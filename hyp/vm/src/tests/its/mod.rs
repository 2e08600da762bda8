// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The virtual ITS on the software GIC.

mod commands;
mod driver;
mod model;

use crate::{
    counters::Counter,
    testing::{
        GICR,
        its_board::{
            Board, EVENTS, GITS, KINDS, MEMORY, MEMORY_BYTES, PENDING, PROPERTIES, QUEUE, RINGS,
        },
    },
    vits::Learned,
};
use driver::*;
use gicv4::{
    CollectionId,
    command::{Command, Encoded},
    lpi::LpiConfig,
};
use std::{string::String, vec, vec::Vec};

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

/// Commands that cause hardware commands wait until there is one more, each in one trap; others do
/// not wait.
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
            "bulkhead: its of guest: last refused 0x200000000a 0x200300000000 0x1 0x0: not the \
             planned vINTID\n",
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
    for kind in KINDS {
        let board = Board::of(kind);
        // INTID 8193, on vPE 1; and of vPE 0's interrupts a channel's ring.
        board.store(0, PENDING + 8192 / 8, &[2, 1]);
        for redistributor in [GICR, GICR + 0x2_0000] {
            board.write(0, redistributor + 0x78, 8, PENDING);
            board.write(0, redistributor, 4, 1);
        }
        assert_eq!((board.take(0), board.take(1)), (vec![8200], vec![8193]), "{kind:?}");
        board.clean();
    }
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

/// A restart puts everything back whether the allowance has room for it or not; who can wait waits,
/// who cannot owes.
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

/// A vPE that may be asleep is made to look when an event of its is enabled or comes to it: no
/// doorbell says that one was pending.
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
