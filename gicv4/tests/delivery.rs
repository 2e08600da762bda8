// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events on their way to a vPE: directly while it is resident, by its table and doorbell while it
//! is not.

mod common;

use common::*;
use gicv4::command::{Command, SgiChange};
use gicv4::lpi::LpiConfig;
use gicv4::model::{Cause, Config};
use gicv4::regs::gits;
use gicv4::vpe41::Reason;
use gicv4::{CollectionId, Frame, IntId};

#[test]
fn resident_vpes_take_events_without_a_doorbell() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    let resident = board.non_resident(0).enter(board.vacant(0));
    assert_eq!(board.gic.resident(0), Some(vpe(0)));
    board.msi(0);
    assert_eq!(board.take(0), Some(lpi(5)));
    assert_eq!(board.take(0), None);
    board.run(&[Command::Int { device: DEVICE, event: event(0) }]);
    assert_eq!(board.take(0), Some(lpi(5)));
    assert_eq!(board.interrupt(0), None);
    let left = resident.leave(POLLS).unwrap().finish(POLLS).unwrap();
    assert!(!left.pending);
    assert_eq!(board.gic.resident(0), None);
    board.clean();
}

#[test]
fn absent_vpes_are_called_by_their_doorbell_every_time() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    for _ in 0..3 {
        board.msi(0);
        assert_eq!(board.interrupt(0), Some(lpi(0)));
        assert_eq!(board.interrupt(0), None);
    }
    // Three events, one pending bit.
    let resident = board.non_resident(0).enter(board.vacant(0));
    assert_eq!((board.take(0), board.take(0)), (Some(lpi(5)), None));
    assert!(!resident.leave(POLLS).unwrap().finish(POLLS).unwrap().pending);
    board.clean();
}

#[test]
fn a_masked_doorbell_latches_until_it_is_unmasked() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.msi(0);
    assert_eq!(board.interrupt(0), None);
    // The byte alone changes nothing, the GIC has a copy.
    configure(&mut board.lpis, lpi(0), proxy(0).config(true));
    assert_eq!(board.interrupt(0), None);
    board.unmask(0, 0);
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    // And the other way round.
    configure(&mut board.lpis, lpi(0), proxy(0).config(false));
    board.msi(0);
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    let redistributor = board.config.redistributor(0);
    let mask = proxy(0).mask(&mut board.lpis, redistributor);
    board.queue.run(mask.as_slice()).unwrap();
    board.msi(0);
    assert_eq!(board.interrupt(0), None);
    // CLEAR takes the latched one back.
    board.queue.run(proxy(0).clear(redistributor).as_slice()).unwrap();
    board.unmask(0, 0);
    assert_eq!(board.interrupt(0), None);
    board.clean();
}

#[test]
fn an_event_without_doorbell_waits_in_silence() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.unmask(0, 0);
    let vmapti = Command::Vmapti {
        device: DEVICE,
        event: event(0),
        vintid: lpi(5),
        vpe: vpe(0),
        doorbell: IntId::NONE,
    };
    board.run(&[vmapti]);
    board.msi(0);
    assert_eq!(board.interrupt(0), None);
    assert!(board.gic.is_pending(vpe(0), lpi(5)));
    board.clean();
}

#[test]
fn pending_last_tells_of_enabled_interrupts_only() {
    let mut board = Board::with_vpes(Config { dirty_polls: 3, ..Config::V4_0 }, 1);
    board.map(0, 5, 0);
    board.map(1, 6, 0);
    configure(&mut board.vconfigs(0), lpi(6), LpiConfig::new(PRIORITY, false));
    let resident = board.non_resident(0).enter(board.vacant(0));
    assert!(!resident.is_settled());
    board.msi(1);
    assert_eq!(board.take(0), None);
    let left = resident.leave(POLLS).unwrap().finish(POLLS).unwrap();
    assert!(!left.pending);
    assert!(board.gic.is_pending(vpe(0), lpi(6)), "pending, but not enabled");
    let resident = left.vpe.enter(left.redistributor);
    board.msi(0);
    let left = resident.leave(POLLS).unwrap().finish(POLLS).unwrap();
    assert!(left.pending);
    let resident = left.vpe.enter(left.redistributor);
    assert_eq!((board.take(0), board.take(0)), (Some(lpi(5)), None));
    drop(resident);
    board.clean();
}

#[test]
fn changes_of_virtual_configuration_need_an_invalidation() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.map(1, 6, 0);
    let mut table = board.vconfigs(0);
    for intid in [5, 6] {
        configure(&mut table, lpi(intid), LpiConfig::new(PRIORITY, false));
    }
    let _resident = board.non_resident(0).enter(board.vacant(0));
    board.msi(0);
    board.msi(1);
    for intid in [5, 6] {
        configure(&mut table, lpi(intid), LpiConfig::new(PRIORITY, true));
    }
    assert_eq!(board.take(0), None, "seen without INV");
    board.run(&[Command::Inv { device: DEVICE, event: event(1) }]);
    assert_eq!((board.take(0), board.take(0)), (Some(lpi(6)), None));
    board.run(&[Command::Vinvall { vpe: vpe(0) }]);
    assert_eq!(board.take(0), Some(lpi(5)));
    board.clean();
}

#[test]
fn priority_decides_then_the_lowest_intid() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    for n in 0..4 {
        board.map(n, n, 0);
    }
    configure(&mut board.vconfigs(0), lpi(3), LpiConfig::new(0x40, true));
    let _resident = board.non_resident(0).enter(board.vacant(0));
    for n in [2, 0, 3, 1] {
        board.msi(n);
    }
    let taken: Vec<_> = core::iter::from_fn(|| board.take(0)).collect();
    assert_eq!(taken, [lpi(3), lpi(0), lpi(1), lpi(2)]);
    board.clean();
}

#[test]
fn a_moved_vpe_is_served_where_it_is() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    board.msi(0);
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    let mut vpe0 = board.non_resident(0);
    let there = board.config.redistributor(1);
    board.queue.run(&vpe0.move_to(vpe(0), there)).unwrap();
    // The next event rings on the other CPU.
    board.msi(0);
    assert_eq!((board.interrupt(0), board.interrupt(1)), (None, Some(lpi(0))));
    let _resident = vpe0.enter(board.vacant(1));
    assert_eq!(board.take(1), Some(lpi(5)));
    board.msi(0);
    assert_eq!(board.take(1), Some(lpi(5)));
    board.clean();
}

#[test]
fn a_latched_doorbell_moves_with_movi() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.msi(0);
    let here = board.config.redistributor(0);
    board.queue.run(proxy(0).move_to(CollectionId::new(1), here).as_slice()).unwrap();
    board.unmask(0, 1);
    assert_eq!((board.interrupt(0), board.interrupt(1)), (None, Some(lpi(0))));
    board.clean();
}

#[test]
fn vmovi_takes_the_pending_state_along() {
    let mut board = Board::with_vpes(Config::V4_0, 2);
    board.map(0, 5, 0);
    board.unmask(1, 0);
    board.msi(0);
    board.run(&[Command::Vmovi {
        device: DEVICE,
        event: event(0),
        vpe: vpe(1),
        doorbell: Some(lpi(1)),
    }]);
    assert!(!board.gic.is_pending(vpe(0), lpi(5)));
    assert!(board.gic.is_pending(vpe(1), lpi(5)));
    assert_eq!(board.interrupt(0), Some(lpi(1)), "the new vPE's doorbell");
    board.clean();
}

#[test]
fn discard_and_clear_take_it_away() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.map(1, 6, 0);
    board.msi(0);
    board.msi(1);
    board.run(&[
        Command::Clear { device: DEVICE, event: event(0) },
        Command::Discard { device: DEVICE, event: event(1) },
    ]);
    assert!(!board.gic.is_pending(vpe(0), lpi(5)) && !board.gic.is_pending(vpe(0), lpi(6)));
    assert_eq!(board.gic.msi(DEVICE, event(1)), Err(Cause::UnmappedInterrupt));
    board.msi(0);
    assert!(board.gic.is_pending(vpe(0), lpi(5)));
    // The event may be mapped again, to another vINTID.
    board.map(1, 7, 0);
    board.msi(1);
    assert!(board.gic.is_pending(vpe(0), lpi(7)));
    board.clean();
}

#[test]
fn an_unmapped_vpe_gets_nothing() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    board.map(0, 5, 0);
    board.run(&[Command::Vmapp { vpe: vpe(0), mapping: None }]);
    assert_eq!(board.gic.msi(DEVICE, event(0)), Err(Cause::UnmappedVpe));
    board.clean();
}

#[test]
fn physical_lpis_obey_invall_movi_and_movall() {
    let mut board = Board::new(Config::V4_0);
    let (c0, c1) = (CollectionId::new(0), CollectionId::new(1));
    for n in 0..2 {
        configure(&mut board.lpis, lpi(n), LpiConfig::new(PRIORITY, false));
        board.run(&[Command::Mapti {
            device: DEVICE,
            event: event(n),
            intid: lpi(n),
            collection: c0,
        }]);
        board.msi(n);
        configure(&mut board.lpis, lpi(n), LpiConfig::new(PRIORITY, true));
    }
    assert_eq!(board.interrupt(0), None);
    board.run(&[Command::Invall { collection: c0 }]);
    assert_eq!(board.gic.signal(0).map(|signal| signal.intid), Some(lpi(0)));
    board.run(&[Command::Movi { device: DEVICE, event: event(1), collection: c1 }]);
    assert_eq!((board.interrupt(1), board.interrupt(1)), (Some(lpi(1)), None));
    let [from, to] = [0, 1].map(|cpu| board.config.redistributor(cpu));
    board.run(&[Command::Movall { from, to }]);
    assert_eq!((board.interrupt(0), board.interrupt(1)), (None, Some(lpi(0))));
    board.run(&[Command::Mapi { device: DEVICE, event: event(3), collection: c0 }]);
    assert_eq!(board.gic.take_errors().len(), 1, "event 3 is no LPI");
    board.clean();
}

#[test]
fn v41_rings_its_default_doorbell_once_and_only_when_asked() {
    let mut board = Board::with_vpes(Config { dirty_polls: 2, ..Config::V4_1 }, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    board.run(&[Command::Invdb { vpe: vpe(0) }]);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    board.msi(0);
    assert_eq!(board.take(0), Some(lpi(5)));
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    assert!(!left.pending);
    board.msi(0);
    board.msi(0);
    assert_eq!((board.interrupt(0), board.interrupt(0)), (Some(lpi(0)), None));
    let resident = left.vpe.enter(left.redistributor);
    assert_eq!((board.take(0), board.take(0)), (Some(lpi(5)), None));
    let left = resident.leave(Reason::Preempted, POLLS).unwrap().finish(POLLS).unwrap();
    assert!(left.pending, "one that was pre-empted always has work");
    board.msi(0);
    assert_eq!(board.interrupt(0), None);
    let resident = left.vpe.enter(left.redistributor);
    // Pending when it leaves: no doorbell, PendingLast says it.
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    assert!(left.pending);
    assert_eq!(board.interrupt(0), None);
    board.clean();
}

#[test]
fn v41_vpes_may_enter_any_redistributor_that_shares_the_table() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    let _resident = board.non_resident_v41(0).enter(board.vacant_v41(1));
    board.msi(0);
    assert_eq!(board.take(1), Some(lpi(5)));
    board.clean();
}

#[test]
fn v41_configuration_is_invalidated_even_while_absent() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    configure(&mut board.vconfigs(0), lpi(5), LpiConfig::new(PRIORITY, false));
    board.run(&[Command::Inv { device: DEVICE, event: event(0) }]);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    board.msi(0);
    assert_eq!(board.interrupt(0), None, "disabled");
    configure(&mut board.vconfigs(0), lpi(5), LpiConfig::new(PRIORITY, true));
    board.run(&[Command::Vinvall { vpe: vpe(0) }]);
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    drop(left);
    board.clean();
}

#[test]
fn v41_virtual_sgis_go_the_same_way() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    let configure = SgiChange::Configure { enabled: true, group1: true, priority: 0x80 };
    board.run(&[
        Command::Vsgi { vpe: vpe(0), sgi: 3, change: configure },
        Command::Vsync { vpe: vpe(0) },
    ]);
    let sgis = board.gic.its_sgis();
    let send = || sgis.write(gits::sgi::SGIR, 3);
    send();
    let vacant = board.vacant_v41(0);
    assert_eq!(vacant.pending_sgis(vpe(0), POLLS), Ok(1 << 3));
    let resident = board.non_resident_v41(0).enter(vacant);
    assert_eq!((board.take(0), board.take(0)), (Some(IntId::new(3)), None));
    send();
    assert_eq!(resident.pending_sgis(vpe(0), POLLS), Ok(1 << 3));
    board.run(&[
        Command::Vsgi { vpe: vpe(0), sgi: 3, change: SgiChange::Clear },
        Command::Vsync { vpe: vpe(0) },
    ]);
    assert_eq!(board.take(0), None);
    board.clean();
}

#[test]
fn v41_moves_carry_the_doorbell() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    let redistributor = board.config.redistributor(1);
    configure(&mut board.lpis, lpi(9), LpiConfig::new(PRIORITY, true));
    let doorbell = Some(lpi(9));
    board.run(&[Command::VmovpV41 {
        vpe: vpe(0),
        redistributor,
        sequence: 0,
        its_list: 0,
        doorbell,
    }]);
    board.msi(0);
    assert_eq!((board.interrupt(0), board.interrupt(1)), (None, Some(lpi(9))));
    drop(left);
    board.clean();
}
