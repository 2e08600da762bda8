// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every way in which a command can fail, and every rule that a driver can break.

mod common;

use common::*;
use gicv4::command::{Command, DecodeError, Encoded, Itt, VpeMapping, Vpt, opcode};
use gicv4::layout::{self, Attributes, PageSize, Room, TableKind};
use gicv4::model::{self, Cause, Config, Gic, OnError, Violation};
use gicv4::regs::{gicd, gicr, gits, vlpi};
use gicv4::vpe::NonResident;
use gicv4::{CollectionId, DeviceId, Frame, IntId, RdBase, VpeId};

const NOWHERE: RdBase = RdBase::processor(9);
const FAR_DEVICE: DeviceId = DeviceId::new(8192);
const NO_DEVICE: DeviceId = DeviceId::new(0x11);
const C0: CollectionId = CollectionId::new(0);
/// In range, never mapped.
const C9: CollectionId = CollectionId::new(9);
const FAR_COLLECTION: CollectionId = CollectionId::new(32768);
const FAR_VPE: VpeId = VpeId::new(2048);
const NO_VPE: VpeId = VpeId::new(7);

/// A board with vPE 0, vLPI 8197 on event 0 and LPI 8200 on event 1; event 2 is not mapped; event 3
/// is in collection 9.
fn board(config: Config) -> Board {
    let mut board = Board::with_vpes(config, 1);
    board.map(0, 5, 0);
    board.run(&[
        Command::Mapti { device: DEVICE, event: event(1), intid: lpi(8), collection: C0 },
        Command::Mapti { device: DEVICE, event: event(3), intid: lpi(9), collection: C9 },
    ]);
    board.clean();
    board
}

#[track_caller]
fn fails(board: &mut Board, command: Command, cause: Cause) {
    board.run(&[command]);
    let errors = board.gic.take_errors();
    assert_eq!(
        errors.iter().map(|error| (error.command, error.cause)).collect::<Vec<_>>(),
        [(Some(command), cause)]
    );
    assert_eq!(board.gic.take_violations(), []);
}

#[test]
fn commands_on_events() {
    let mut board = board(Config::V4_0);
    type OnEvent = fn(DeviceId, u32) -> Command;
    let commands: [OnEvent; 7] = [
        |device, n| Command::Int { device, event: event(n) },
        |device, n| Command::Clear { device, event: event(n) },
        |device, n| Command::Discard { device, event: event(n) },
        |device, n| Command::Inv { device, event: event(n) },
        |device, n| Command::Movi { device, event: event(n), collection: C0 },
        |device, n| Command::Vmovi { device, event: event(n), vpe: vpe(0), doorbell: None },
        |device, n| Command::Mapti { device, event: event(n), intid: lpi(0), collection: C0 },
    ];
    for (n, command) in commands.into_iter().enumerate() {
        fails(&mut board, command(FAR_DEVICE, 0), Cause::DeviceOutOfRange);
        fails(&mut board, command(NO_DEVICE, 0), Cause::UnmappedDevice);
        fails(&mut board, command(DEVICE, 32), Cause::EventOutOfRange);
        if n < 6 {
            fails(&mut board, command(DEVICE, 2), Cause::UnmappedInterrupt);
            fails(&mut board, command(DEVICE, 3), Cause::UnmappedCollection);
        }
    }
    // The kinds do not mix.
    fails(&mut board, commands[4](DEVICE, 0), Cause::UnmappedInterrupt);
    fails(&mut board, commands[5](DEVICE, 1), Cause::UnmappedInterrupt);
}

#[test]
fn commands_on_events_of_a_vpe_that_is_gone() {
    let mut board = board(Config::V4_0);
    board.run(&[Command::Vmapp { vpe: vpe(0), mapping: None }]);
    let (device, event) = (DEVICE, event(0));
    for command in [
        Command::Int { device, event },
        Command::Clear { device, event },
        Command::Discard { device, event },
        Command::Inv { device, event },
        Command::Vmovi { device, event, vpe: vpe(0), doorbell: None },
    ] {
        fails(&mut board, command, Cause::UnmappedVpe);
    }
}

#[test]
fn mapping_devices_and_collections() {
    let mut board = board(Config { event_id_bits: 16, collection_id_bits: 8, ..Config::V4_0 });
    let too_big = Some(Itt::new(0x6000_0000, 17).unwrap());
    fails(&mut board, Command::Mapd { device: FAR_DEVICE, itt: None }, Cause::DeviceOutOfRange);
    fails(&mut board, Command::Mapd { device: NO_DEVICE, itt: too_big }, Cause::IttSizeOutOfRange);
    let far = CollectionId::new(256);
    fails(
        &mut board,
        Command::Mapc { collection: far, redistributor: None },
        Cause::CollectionOutOfRange,
    );
    fails(
        &mut board,
        Command::Mapc { collection: FAR_COLLECTION, redistributor: None },
        Cause::CollectionOutOfRange,
    );
    let nowhere = Command::Mapc { collection: C0, redistributor: Some(NOWHERE) };
    fails(&mut board, nowhere, Cause::RedistributorOutOfRange);
    fails(&mut board, Command::Invall { collection: far }, Cause::CollectionOutOfRange);
    fails(&mut board, Command::Invall { collection: C9 }, Cause::UnmappedCollection);
    fails(&mut board, Command::Sync { redistributor: NOWHERE }, Cause::RedistributorOutOfRange);
    let here = board.config.redistributor(0);
    fails(&mut board, Command::Movall { from: NOWHERE, to: here }, Cause::RedistributorOutOfRange);
    fails(&mut board, Command::Movall { from: here, to: NOWHERE }, Cause::RedistributorOutOfRange);
    let (device, two) = (DEVICE, event(2));
    for intid in [0, 1023, 8191, 1 << 16] {
        let command =
            Command::Mapti { device, event: two, intid: IntId::new(intid), collection: C0 };
        fails(&mut board, command, Cause::IntIdOutOfRange);
    }
    fails(&mut board, Command::Mapi { device, event: two, collection: C0 }, Cause::IntIdOutOfRange);
    let far_collection =
        Command::Mapti { device, event: two, intid: lpi(0), collection: FAR_COLLECTION };
    fails(&mut board, far_collection, Cause::CollectionOutOfRange);
    fails(
        &mut board,
        Command::Movi { device, event: event(1), collection: C9 },
        Cause::UnmappedCollection,
    );
    fails(
        &mut board,
        Command::Movi { device, event: event(1), collection: far },
        Cause::CollectionOutOfRange,
    );
}

#[test]
fn commands_on_vpes() {
    let mut board = board(Config::V4_0);
    let here = board.config.redistributor(0);
    let vmovp =
        |vpe, redistributor| Command::Vmovp { vpe, redistributor, sequence: 0, its_list: 0 };
    let vmapp = |vpe, redistributor, bits| Command::Vmapp {
        vpe,
        mapping: Some(VpeMapping { redistributor, vpt: Vpt::new(0x6000_0000, bits).unwrap() }),
    };
    for (vpe, cause) in [(FAR_VPE, Cause::VpeOutOfRange), (NO_VPE, Cause::UnmappedVpe)] {
        fails(&mut board, Command::Vinvall { vpe }, cause);
        fails(&mut board, Command::Vsync { vpe }, cause);
        fails(&mut board, Command::Vmapp { vpe, mapping: None }, cause);
        fails(&mut board, vmovp(vpe, here), cause);
        let (device, vintid, doorbell) = (DEVICE, lpi(0), IntId::NONE);
        fails(
            &mut board,
            Command::Vmapti { device, event: event(2), vintid, vpe, doorbell },
            cause,
        );
        fails(&mut board, Command::Vmovi { device, event: event(0), vpe, doorbell: None }, cause);
    }
    fails(&mut board, vmovp(vpe(0), NOWHERE), Cause::RedistributorOutOfRange);
    fails(&mut board, vmapp(FAR_VPE, here, 14), Cause::VpeOutOfRange);
    fails(&mut board, vmapp(NO_VPE, NOWHERE, 14), Cause::RedistributorOutOfRange);
    for bits in [13, 17] {
        fails(&mut board, vmapp(NO_VPE, here, bits), Cause::VptSizeOutOfRange);
    }
}

#[test]
fn vlpis_and_doorbells_out_of_range() {
    let mut board = board(Config::V4_0);
    let (device, event, vpe) = (DEVICE, event(2), vpe(0));
    for vintid in [8191, 1 << BITS, u32::MAX].map(IntId::new) {
        let doorbell = IntId::NONE;
        fails(
            &mut board,
            Command::Vmapti { device, event, vintid, vpe, doorbell },
            Cause::IntIdOutOfRange,
        );
    }
    fails(
        &mut board,
        Command::Vmapi { device, event, vpe, doorbell: IntId::NONE },
        Cause::IntIdOutOfRange,
    );
    for doorbell in [0, 1022, 8191, 1 << 16].map(IntId::new) {
        let command = Command::Vmapti { device, event, vintid: lpi(0), vpe, doorbell };
        fails(&mut board, command, Cause::DoorbellOutOfRange);
        let command =
            Command::Vmovi { device, event: common::event(0), vpe, doorbell: Some(doorbell) };
        fails(&mut board, command, Cause::DoorbellOutOfRange);
    }
}

#[test]
fn what_is_no_command() {
    let mut board = board(Config::V4_0);
    let bad: [Encoded; 3] =
        [[0x7f, 0, 0, 0], [opcode::VSGI.into(), 0, 0, 0], [opcode::INVDB.into(), 0, 0, 0]];
    board.queue.run_words(&bad).unwrap();
    let errors = board.gic.take_errors();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| error.cause == Cause::Unknown && error.command.is_none()));
    let reserved = [u64::from(opcode::VSYNC), 1, 0, 0];
    board.queue.run_words(&[reserved]).unwrap();
    let expected = DecodeError::Reserved { opcode: opcode::VSYNC, word: 1, bits: 1 };
    assert_eq!(board.gic.take_violations(), [Violation::ReservedBits(expected)]);
    board.clean();
}

#[test]
fn syndromes_of_physical_commands() {
    let mut board = board(Config::V4_0);
    let (device, vpe) = (DEVICE, NO_VPE);
    let cases = [
        (Command::Mapd { device: FAR_DEVICE, itt: None }, Some(0x01_0801)),
        (Command::Int { device, event: event(2) }, Some(0x01_0307)),
        (Command::Clear { device, event: event(2) }, Some(0x01_0507)),
        (Command::Inv { device: NO_DEVICE, event: event(2) }, Some(0x01_0c04)),
        (Command::Invall { collection: C9 }, Some(0x01_0d09)),
        (Command::Movall { from: NOWHERE, to: NOWHERE }, Some(0x01_0e01)),
        (Command::Vsync { vpe }, None),
    ];
    board.run(&cases.map(|(command, _)| command));
    let found: Vec<_> = board.gic.take_errors().iter().map(|error| error.syndrome()).collect();
    assert_eq!(found, cases.map(|(_, syndrome)| syndrome));
}

#[test]
fn a_device_beyond_its_level_2_pages_is_out_of_range() {
    let gic = Gic::new(Config::QEMU);
    let two_level = layout::two_level_table(1 << 16, 8, PageSize::Kib4).unwrap();
    let (level1, level2) = (0x7000_0000, 0x7001_0000);
    let attributes = Attributes::COHERENT;
    let devices = layout::baser(
        TableKind::Devices,
        level1,
        two_level.level1,
        8,
        PageSize::Kib4,
        true,
        attributes,
    )
    .unwrap();
    gic.write_u64(level1 + 8, layout::level1_entry(level2, PageSize::Kib4).unwrap());
    let its = gicv4::its::Its::new(gic.its());
    its.enable(tables(), cbaser(1), POLLS).unwrap();
    // The driver has flat tables only.
    its.disable(POLLS).unwrap();
    gic.its().write_at(gits::BASER, 0, model::base(devices));
    gic.its().write(gits::CTLR, 1);
    let mut queue = gicv4::queue::Queue::new(gic.its(), gic.queue(QUEUE, 128), POLLS);
    // The page for devices 512..1024 is there, the one before and the one after are not.
    for (device, fine) in [(511, false), (512, true), (1023, true), (1024, false)] {
        let device = DeviceId::new(device);
        let mapd = Command::Mapd { device, itt: Some(itt(DEVICE, 1)) };
        queue.run_words(&[mapd.encode()]).unwrap();
        let causes: Vec<_> = gic.take_errors().iter().map(|error| error.cause).collect();
        assert_eq!(causes, if fine { vec![] } else { vec![Cause::DeviceOutOfRange] }, "{device:?}");
    }
}

#[track_caller]
fn breaks(board: &Board, violation: Violation) {
    assert_eq!(board.gic.take_violations(), [violation]);
    assert_eq!(board.gic.take_errors(), []);
}

#[test]
fn mapping_what_is_mapped() {
    let mut board = board(Config::V4_0);
    let event = event(0);
    board.map(0, 6, 0);
    breaks(&board, Violation::EventAlreadyMapped { device: DEVICE, event });
    board.run(&[Command::Mapti { device: DEVICE, event, intid: lpi(8), collection: C0 }]);
    breaks(&board, Violation::EventAlreadyMapped { device: DEVICE, event });
    board.run(&[board.vmapp(0)]);
    breaks(&board, Violation::VpeAlreadyMapped { vpe: vpe(0) });
    board.run(&[Command::Mapd { device: DEVICE, itt: Some(itt(DEVICE, 5)) }]);
    breaks(&board, Violation::DeviceAlreadyMapped { device: DEVICE });
}

#[test]
fn moving_or_unmapping_a_resident_vpe() {
    let mut board = board(Config::V4_0);
    let _resident = board.non_resident(0).enter(board.vacant(0));
    let redistributor = board.config.redistributor(1);
    board.run(&[Command::Vmovp { vpe: vpe(0), redistributor, sequence: 0, its_list: 0 }]);
    breaks(&board, Violation::VpeResident { vpe: vpe(0) });
    board.run(&[Command::Vmapp { vpe: vpe(0), mapping: None }]);
    breaks(&board, Violation::VpeResident { vpe: vpe(0) });
}

#[test]
fn mapping_a_vpe_with_a_used_pending_table() {
    let mut board = board(Config::V4_0);
    board.msi(0);
    board.run(&[Command::Vmapp { vpe: vpe(0), mapping: None }, board.vmapp(0)]);
    breaks(&board, Violation::PendingTableNotZero { vpe: vpe(0) });
}

#[test]
fn v41_doorbells_and_alloc() {
    let mut board = board(Config::V4_1);
    let (event, doorbell) = (event(2), lpi(0));
    board.run(&[Command::Vmapti { device: DEVICE, event, vintid: lpi(6), vpe: vpe(0), doorbell }]);
    breaks(&board, Violation::EventDoorbell { device: DEVICE, event, doorbell });
    board.run(&[Command::VmappV41 { vpe: vpe(0), allocate: false, mapping: None }]);
    breaks(&board, Violation::WrongAlloc { vpe: vpe(0) });
}

#[test]
fn tables_are_not_written_while_in_use() {
    let board = board(Config::V4_0);
    let its = board.gic.its();
    its.write_at(gits::BASER, 0, model::base(0));
    breaks(&board, Violation::WriteWhileEnabled { register: "GITS_BASER0" });
    its.write(gits::CBASER, model::base(0));
    breaks(&board, Violation::WriteWhileEnabled { register: "GITS_CBASER" });
    let redist = board.gic.redistributor(1);
    redist.write(gicr::PROPBASER, model::base(0));
    breaks(&board, Violation::WriteWhileLpisEnabled { cpu: 1, register: "GICR_PROPBASER" });
    redist.write(gicr::PENDBASER, model::base(0));
    breaks(&board, Violation::WriteWhileLpisEnabled { cpu: 1, register: "GICR_PENDBASER" });
}

#[test]
fn registers_that_are_not_there() {
    let board = board(Config::V4_0);
    board.gic.its().read(gits::MPIDR);
    breaks(&board, Violation::UnknownRegister { frame: "GITS", offset: 0x18 });
    board.gic.its_sgis().write(gits::sgi::SGIR, 0);
    breaks(&board, Violation::UnknownRegister { frame: "GITS", offset: 0x2_0020 });
    board.gic.redistributor(0).write(gicr::SETLPIR, 0);
    breaks(&board, Violation::UnknownRegister { frame: "GICR", offset: 0x40 });
    board.gic.vlpis(0).read(vlpi::VSGIPENDR);
    breaks(&board, Violation::UnknownRegister { frame: "GICR", offset: 0x2_0088 });
    board.gic.distributor().read_at(gicd::IROUTER, 31);
    breaks(&board, Violation::UnknownRegister { frame: "GICD", offset: 0x60f8 });
}

/// The raw registers, as a driver without types might use them.
#[test]
fn rules_of_residency() {
    let board = board(Config { dirty_polls: 2, idai: false, ..Config::V4_0 });
    let redist = board.gic.vlpis(0);
    let attributes = Attributes::COHERENT;
    let (valid, last) = (1 << 63, 1 << 61);
    let vpropbaser = layout::vpropbaser(vconfig(0), BITS, attributes).unwrap();
    let vpendbaser = layout::vpendbaser(vpt(0), attributes).unwrap();
    let settle = || while redist.read(vlpi::VPENDBASER) & 1 << 60 != 0 {};

    redist.write(vlpi::VPROPBASER, model::base(vpropbaser + 1));
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser | valid | last));
    breaks(&board, Violation::IdBitsDiffer { vpe: vpe(0), vpt_bits: 14, vpropbaser_bits: 15 });
    redist.write(vlpi::VPROPBASER, model::base(vpropbaser));
    breaks(&board, Violation::WriteWhileValid { cpu: 0, register: "GICR_VPROPBASER" });
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser | valid | last));
    breaks(&board, Violation::WriteWhileValid { cpu: 0, register: "GICR_VPENDBASER" });
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser));
    breaks(&board, Violation::ClearedValidWhileDirty { cpu: 0 });
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser | valid | last));
    let expected = Violation::IdBitsDiffer { vpe: vpe(0), vpt_bits: 14, vpropbaser_bits: 15 };
    assert_eq!(board.gic.take_violations(), [Violation::SetValidWhileDirty { cpu: 0 }, expected]);
    settle();
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser));
    settle();
    redist.write(vlpi::VPROPBASER, model::base(vpropbaser));
    redist.write(vlpi::VPENDBASER, model::base(vpendbaser | valid));
    breaks(&board, Violation::PendingLastNotSet { cpu: 0 });
    let other = board.gic.vlpis(1);
    other.write(vlpi::VPROPBASER, model::base(vpropbaser));
    other.write(vlpi::VPENDBASER, model::base(vpendbaser | valid | last));
    let twice = Violation::ResidentTwice { vpe: vpe(0), cpu: 1 };
    let elsewhere = Violation::ResidentElsewhere { vpe: vpe(0), cpu: 1 };
    assert_eq!(board.gic.take_violations(), [twice, elsewhere]);
}

#[test]
fn a_stranger_on_the_redistributor() {
    let board = board(Config::V4_0);
    let stranger = layout::vpendbaser(0x6666_0000, Attributes::COHERENT).unwrap();
    let _resident = NonResident::new(model::base(0), model::base(stranger)).enter(board.vacant(0));
    breaks(&board, Violation::ResidentUnmapped { cpu: 0 });
}

#[test]
fn virtual_interrupts_need_lpis() {
    let board = board(Config::V4_0);
    board.gic.redistributor(0).write(gicr::CTLR, 0);
    let _resident = board.non_resident(0).enter(board.vacant(0));
    breaks(&board, Violation::ResidentWithoutLpis { cpu: 0 });
    board.gic.msi(DEVICE, event(1)).unwrap();
    breaks(&board, Violation::LpiWhileDisabled { cpu: 0, intid: lpi(8) });
}

#[test]
fn a_strict_its_stalls() {
    let mut board = board(Config { on_error: OnError::Stall, ..Config::V4_0 });
    let bad = Command::Vsync { vpe: NO_VPE }.encode();
    let slot = board.gic.its().read(gits::CREADR) as u32 / 32;
    assert_eq!(board.queue.run_words(&[bad]), Err(gicv4::Error::Stalled { slot }));
    assert_eq!(board.gic.take_errors().len(), 1);
}

#[test]
fn a_queue_that_is_not_there() {
    let gic = Gic::new(Config::V4_0);
    let invalid = model::base(cbaser(1).bits() & !(1 << 63));
    gicv4::its::Its::new(gic.its()).enable(tables(), invalid, POLLS).unwrap();
    gic.its().write(gits::CWRITER, 32);
    gic.its().read(gits::CREADR);
    let causes: Vec<_> = gic.take_errors().iter().map(|error| error.cause).collect();
    assert_eq!(causes, [Cause::QueueInvalid]);

    let room = Room { bytes: 0x1000, align: 0x1_0000 };
    let gic = Gic::new(Config::V4_0);
    let value = layout::cbaser(QUEUE, room, Attributes::COHERENT).unwrap();
    gicv4::its::Its::new(gic.its()).enable(tables(), model::base(value), POLLS).unwrap();
    gic.its().write(gits::CWRITER, 0x1000);
    let causes: Vec<_> = gic.take_errors().iter().map(|error| error.cause).collect();
    assert_eq!(causes, [Cause::WriterOutOfRange]);
}

#[test]
fn events_before_the_its_is_enabled() {
    let gic = Gic::new(Config::V4_0);
    assert_eq!(gic.msi(DEVICE, event(0)), Err(Cause::Disabled));
}
