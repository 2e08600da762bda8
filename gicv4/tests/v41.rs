// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only a GICv4.1 has: a vPE table at redistributors, invalidation by register, virtual SGIs;
//! and what it refuses.

mod common;

use common::*;
use gicv4::command::{Command, ConfigAddress, SgiChange, VpeMapping, VpeMappingV41};
use gicv4::dist::{self, Dist};
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::its::{self, Its};
use gicv4::layout::{self, Attributes, PageSize, TableKind};
use gicv4::lpi::LpiConfig;
use gicv4::model::{self, Cause, Config, Gic, TableRegister, Violation};
use gicv4::redist::{self, ExpectV41, Redist, common_affinity};
use gicv4::regs::{gicr, gits, vlpi};
use gicv4::residency::{Direct, Form};
use gicv4::vpe41::{Reason, send_sgi};
use gicv4::{Error, Expected, Frame, IntId, VpeId, vpe_table};

const OWN_TABLES: Config = Config { shared_vpe_table: 0, ..Config::V4_1 };

/// The rules that were broken, each once.
#[track_caller]
fn breaks(board: &Board, violations: &[Violation]) {
    assert_eq!(board.gic.take_violations(), violations);
}

#[test]
fn every_redistributor_gets_the_table_of_the_its_or_its_own() {
    for config in [Config::V4_1, OWN_TABLES] {
        let mut board = Board::with_vpes(config, 3);
        let values = [0, 1].map(|cpu| board.gic.vlpis(cpu).read(vlpi::VPROPBASER_V41));
        assert_eq!(values[0], values[1]);
        let table = if config.shared_vpe_table == 0 { OWN_VPES } else { VPES };
        assert_eq!(values[0] & 0xf_ffff_ffff_f000, table);
        board.map(0, 5, 2);
        let resident = board.non_resident_v41(2).enter(board.vacant_v41(1));
        board.msi(0);
        assert_eq!(board.take(1), Some(lpi(5)));
        drop(resident);
        board.clean();
    }
}

/// The redistributors have only pages of 16 KiB, and entries of three doublewords.
#[test]
fn a_table_of_their_own_takes_the_page_size_that_there_is() {
    const TABLES: &[TableRegister] = &[
        TableRegister::new(TableKind::Devices, 8, None),
        TableRegister::new(TableKind::Collections, 2, None),
        TableRegister::new(TableKind::Vpes, 24, Some(PageSize::Kib16)),
    ];
    let board = Board::with_vpes(Config { tables: TABLES, ..OWN_TABLES }, 1);
    let value = board.gic.vlpis(1).fields(vlpi::VPROPBASER_V41);
    assert_eq!(value.read(vlpi::GICR_VPROPBASER_V41::PageSize), 1);
    assert_eq!(value.read(vlpi::GICR_VPROPBASER_V41::EntrySize), 2);
    board.clean();
}

#[test]
fn tables_that_cannot_be_are_refused() {
    let install = |config: Config, own| {
        let gic = Gic::new(config);
        (0..2).for_each(|cpu| gic.power_up(cpu));
        let its = Its::new(gic.its());
        its.enable(tables(), cbaser(1), POLLS).unwrap();
        vpe_table::install(&its, own, [gic.vlpis(0), gic.vlpis(1)])
    };
    assert_eq!(install(Config::V4_1, None), Ok(()));
    let what = "vPE tables of redistributors of their own";
    assert_eq!(install(OWN_TABLES, None), Err(Error::Unsupported { what }));
    let small = its::Table { entry_bytes: 8, ..own_vpe_table() };
    let differs = Error::Differs {
        register: "GICR_VPROPBASER",
        field: "EntrySize, bytes",
        expected: Expected::AtMost(8),
        found: 32,
    };
    assert_eq!(install(OWN_TABLES, Some(small)), Err(differs));
}

#[test]
fn what_a_vpe_table_must_not_be() {
    let board = Board::with_vpes(OWN_TABLES, 1);
    let value = |address, zero| {
        let room = layout::flat_table(512, 32, PageSize::Kib4).unwrap();
        let (page, attributes) = (PageSize::Kib4, Attributes::COHERENT);
        model::base(
            layout::vpropbaser_v41(address, room, 32, page, false, zero, attributes).unwrap(),
        )
    };
    let write = |cpu, base| board.gic.vlpis(cpu).write(vlpi::VPROPBASER_V41, base);
    write(1, value(0x6000_0000, false));
    breaks(&board, &[Violation::VpeTableInUse { cpu: 1 }]);
    board.gic.write_byte(0x6001_0000, 1);
    write(0, value(0x6001_0000, true));
    breaks(&board, &[Violation::VpeTableInUse { cpu: 0 }, Violation::VpeTableNotZero { cpu: 0 }]);
    write(1, value(0x6001_0000, true));
    breaks(&board, &[Violation::VpeTableInUse { cpu: 1 }, Violation::VpeTableNotZero { cpu: 1 }]);
}

#[test]
fn commands_and_residency_need_the_table() {
    let mut board = Board::new(OWN_TABLES);
    let none = model::base(0);
    board.gic.vlpis(0).write(vlpi::VPROPBASER_V41, none);
    board.run(&[board.vmapp(0)]);
    breaks(&board, &[Violation::NoVpeTable { cpu: 0, vpe: vpe(0) }]);
    let mut board = Board::new(Config::V4_1);
    board.gic.vlpis(1).write(vlpi::VPROPBASER_V41, none);
    board.run(&[board.vmapp(0)]);
    breaks(&board, &[Violation::VpeTableDiffers { cpu: 0 }]);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(1));
    breaks(&board, &[Violation::NoVpeTable { cpu: 1, vpe: vpe(0) }]);
    drop(resident);
    // Beyond its entries.
    let mut board = Board::new(Config::V4_1);
    let far = Board::new(Config::V4_1).vmapp(0);
    let Command::VmappV41 { allocate, mapping, .. } = far else { panic!("{far}") };
    board.run(&[Command::VmappV41 { vpe: vpe(3000), allocate, mapping }]);
    assert_eq!(board.gic.take_errors().len(), 1);
}

/// 17 CPUs in two clusters, each with a vPE table.
#[test]
fn a_vpe_stays_where_its_table_is() {
    let config = Config { cpus: 17, common_affinity: 3, shared_vpe_table: 3, ..Config::V4_1 };
    assert_eq!(common_affinity(config.mpidr(0), config.mpidr(15)), 3);
    assert_eq!(common_affinity(config.mpidr(0), config.mpidr(16)), 2);
    let redist = Redist::new(Gic::new(config).redistributor(0));
    let expect = |common_affinity| redist::Expect {
        mpidr: config.mpidr(0),
        processor: None,
        lpis: true,
        stride: redist::stride(true),
        virtual_lpis: Some(gicv4::command::Version::V4_1),
        v41: Some(ExpectV41 { common_affinity, virtual_sgis: true, invalidates: true }),
    };
    assert_eq!(redist.verify(&expect(3)), Ok(()));
    assert_eq!(
        redist.verify(&expect(2)).unwrap_err().to_string(),
        "GICR_TYPER.CommonLPIAff is 0x3, expected 0x2 or less"
    );
    let mut board = Board::with_vpes(config, 1);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(16));
    breaks(&board, &[Violation::ResidentElsewhere { vpe: vpe(0), cpu: 16 }]);
    drop(resident);
}

#[test]
fn a_gic_that_lacks_something_is_refused() {
    let its = |config: Config| Its::new(Gic::new(config).its());
    let fine = expect(&Config::V4_1);
    assert_eq!(its(Config::V4_1).verify(&fine), Ok(()));
    let v41 = fine.v41.unwrap();
    let with = |v41| its::Expect { v41: Some(v41), ..fine };
    let text = |error: Result<(), Error>| error.unwrap_err().to_string();
    assert_eq!(
        text(its(OWN_TABLES).verify(&fine)),
        "GITS_TYPER.SVPET is 0x0, expected 0x1 or more"
    );
    let own = with(its::ExpectV41 { shared_vpe_table: false, ..v41 });
    assert_eq!(text(its(Config::V4_1).verify(&own)), "GITS_TYPER.SVPET is 0x2, expected 0x0");
    let mute = Config { virtual_sgis: false, ..Config::V4_1 };
    assert_eq!(text(its(mute).verify(&fine)), "GITS_TYPER.VSGI is 0x0, expected 0x1 or more");
    let other_chip = with(its::ExpectV41 { mpidr: 0x1_0000, ..v41 });
    assert_eq!(
        text(its(Config::V4_1).verify(&other_chip)),
        "GITS_MPIDR.affinity is 0x0, expected 0x10000"
    );
    assert_eq!(text(its(Config::V4_0).verify(&fine)), "GITS_TYPER.VMAPP is 0x0, expected 0x1");

    let redist = |config: Config| Redist::new(Gic::new(config).redistributor(0));
    let expect = redist::Expect {
        mpidr: Config::V4_1.mpidr(0),
        processor: None,
        lpis: true,
        stride: redist::stride(true),
        virtual_lpis: Some(gicv4::command::Version::V4_1),
        v41: Some(ExpectV41 { common_affinity: 3, virtual_sgis: true, invalidates: true }),
    };
    assert_eq!(text(redist(mute).verify(&expect)), "GICR_TYPER.VSGI is 0x0, expected 0x1 or more");
    let slow = Config { invalidation_registers: false, ..Config::V4_1 };
    assert_eq!(
        text(redist(slow).verify(&expect)),
        "GICR_CTLR.IR, where GICR_TYPER.DirectLPI is 0 is 0x0, expected 0x1 or more"
    );

    let dist = Dist::new(Gic::new(Config::V4_1).distributor());
    let planned = |bits| dist::Expect {
        spis: 32,
        lpis: true,
        virtual_lpis: true,
        intid_bits: 14,
        vpe_id_bits: Some(bits),
    };
    assert_eq!(dist.verify(&planned(16)), Ok(()));
    assert_eq!(
        text(dist.verify(&planned(17))),
        "GICD_TYPER2.VID + 1 is 0x10, expected 0x11 or more"
    );
}

#[test]
fn forms_of_v40_are_refused() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    let mapping = VpeMapping { redistributor: board.config.redistributor(0), vpt: vpt_of(1) };
    board.run(&[Command::Vmapp { vpe: vpe(1), mapping: Some(mapping) }]);
    let errors = board.gic.take_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].cause, Cause::DoorbellOutOfRange, "its doorbell is INTID 0");
    board.gic.take_violations();
    // GICR_VPENDBASER with a pending table's address and attributes.
    let v40 = layout::vpendbaser(vpt(0), Attributes::COHERENT).unwrap() | 1 << 63 | 1 << 61;
    board.gic.vlpis(0).write(vlpi::VPENDBASER, model::base(v40));
    let found = board.gic.take_violations();
    let register = "GICR_VPENDBASER";
    let reserved = Violation::ReservedRegisterBits { cpu: 0, register, bits: 0x5300_0000 };
    assert_eq!(found, [reserved, Violation::ResidentUnmapped { cpu: 0 }]);
}

#[test]
fn vmapp_promises_only_once() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    let unmap = Command::VmappV41 { vpe: vpe(0), allocate: true, mapping: None };
    board.map(0, 5, 0);
    board.msi(0);
    board.run(&[unmap, board.vmapp(0)]);
    breaks(&board, &[Violation::PendingTableNotZero { vpe: vpe(0) }]);
    // Without the promise the GIC reads the table: what was pending still is.
    let Command::VmappV41 { vpe: id, allocate, mapping: Some(mapping) } = board.vmapp(0) else {
        panic!("a mapping")
    };
    let mapping = VpeMappingV41 { zeroed: false, ..mapping };
    board.run(&[unmap, Command::VmappV41 { vpe: id, allocate, mapping: Some(mapping) }]);
    assert!(board.gic.is_pending(vpe(0), lpi(5)));
    board.clean();
    let (vpt, config) = (vpt_of(1), ConfigAddress::new(vconfig(1)).unwrap());
    let mapping = Some(VpeMappingV41 { vpt, config, zeroed: true, ..mapping });
    board.run(&[Command::VmappV41 { vpe: vpe(1), allocate: false, mapping }]);
    let vpe = vpe(1);
    breaks(&board, &[Violation::WrongAlloc { vpe }, Violation::PendingTableNotFirst { vpe }]);
}

/// GICR_INVLPIR with V, whether the vPE is resident or not.
#[test]
fn configuration_is_invalidated_by_register() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    board.map(1, 6, 0);
    let redist = Redist::new(board.gic.redistributor(0));
    let set = |board: &Board, enabled| {
        for intid in [5, 6] {
            configure(&mut board.vconfigs(0), lpi(intid), LpiConfig::new(PRIORITY, enabled));
        }
    };
    set(&board, false);
    redist.invalidate_all(vpe(0), POLLS).unwrap();
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    board.msi(0);
    board.msi(1);
    assert_eq!(board.take(0), None);
    set(&board, true);
    assert_eq!(board.take(0), None, "seen without an invalidation");
    redist.invalidate(Some(vpe(0)), lpi(6), POLLS).unwrap();
    assert_eq!((board.take(0), board.take(0)), (Some(lpi(6)), None));
    // The doorbell of a vPE that waits rings for what is enabled now.
    board.unmask(0, 0);
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    assert!(!left.pending);
    assert_eq!(board.interrupt(0), None);
    redist.invalidate(Some(vpe(0)), lpi(5), POLLS).unwrap();
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    // A physical one, such as a doorbell.
    configure(&mut board.lpis, lpi(0), LpiConfig::new(PRIORITY, false));
    redist.invalidate(None, lpi(0), POLLS).unwrap();
    drop(left);
    board.clean();
}

#[test]
fn what_an_invalidation_must_not_be() {
    let board = Board::with_vpes(Config::V4_1, 1);
    let redist = board.gic.redistributor(0);
    let named = |vpe: u64, intid: u64| 1 << 63 | vpe << 32 | intid;
    redist.write(gicr::INVLPIR, named(0, 8192));
    redist.write(gicr::INVLPIR, named(0, 8193));
    redist.write(gicr::INVALLR, named(9, 0));
    let busy = |register| Violation::WriteWhileBusy { cpu: 0, register };
    let nobody = Violation::NoSuchVpe { vpe: vpe(9), register: "GICR_INVALLR" };
    breaks(&board, &[busy("GICR_INVLPIR"), busy("GICR_INVALLR"), nobody]);
    let reserved = Config { version: gicv4::command::Version::V4_0, ..Config::V4_1 };
    let board = Board::new(Config { common_affinity: 0, shared_vpe_table: 0, ..reserved });
    board.gic.redistributor(0).write(gicr::INVLPIR, named(0, 8192));
    let found = board.gic.take_violations();
    assert!(matches!(found[0], Violation::ReservedRegisterBits { .. }), "{found:?}");
    let board = Board::new(Config { invalidation_registers: false, ..Config::V4_1 });
    board.gic.redistributor(0).write(gicr::INVLPIR, named(0, 8192));
    let offset = gicr::offset::INVLPIR;
    breaks(&board, &[Violation::UnknownRegister { frame: "GICR", offset }]);
}

#[test]
fn virtual_sgis_ring_and_keep_to_their_group() {
    let mut board = Board::with_vpes(Config::V4_1, 2);
    board.unmask(0, 0);
    let change = |group1| SgiChange::Configure { enabled: true, group1, priority: 0x80 };
    board.run(&[
        Command::Vsgi { vpe: vpe(0), sgi: 3, change: change(true) },
        Command::Vsgi { vpe: vpe(0), sgi: 4, change: change(false) },
        Command::Vsync { vpe: vpe(0) },
    ]);
    let (vacant, absent) = (board.vacant_v41(0), board.non_resident_v41(0));
    let resident = absent.enter(vacant);
    let left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    assert!(!left.pending);
    send_sgi(&board.gic.its_sgis(), vpe(0), 3);
    assert_eq!(board.interrupt(0), Some(lpi(0)), "it waits, and is called");
    let resident = left.vpe.enter(left.redistributor);
    assert_eq!((board.take(0), board.take(0)), (Some(IntId::new(3)), None));
    send_sgi(&board.gic.its_sgis(), vpe(0), 4);
    assert_eq!(board.take(0), None, "Group 0 is not asked for");
    assert_eq!(resident.pending_sgis(vpe(0), POLLS), Ok(1 << 4));
    board.clean();
    board.gic.its_sgis().write(gits::sgi::SGIR, 9 << 32);
    breaks(&board, &[Violation::NoSuchVpe { vpe: vpe(9), register: "GITS_SGIR" }]);
    let frame = board.gic.vlpis(1);
    frame.write(vlpi::VSGIR, 0);
    frame.write(vlpi::VSGIR, 9);
    breaks(
        &board,
        &[
            Violation::AskedElsewhere { vpe: vpe(0), cpu: 1 },
            Violation::WriteWhileBusy { cpu: 1, register: "GICR_VSGIR" },
            Violation::NoSuchVpe { vpe: vpe(9), register: "GICR_VSGIR" },
        ],
    );
    assert_eq!(resident.pending_sgis(VpeId::new(0), 1).map_err(|_| ()), Err(()), "Busy at first");
}

/// The same steps as on GICv4.0, and the doorbell asks for none.
#[test]
fn one_form_for_both() {
    type V41 = Direct<true>;
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    let mut bell = Doorbell::Silent;
    let vpendbaser = model::base(layout::vpendbaser_v41(vpe(0), false));
    let absent = V41::absent(model::base(0), vpendbaser);
    let (resident, todo) = V41::enter(absent, board.vacant_v41(0), &mut bell);
    assert_eq!((todo, V41::waits(&mut bell)), (Todo::Nothing, Todo::Nothing));
    let slow = || panic!("Dirty clears in time");
    let (absent, vacant, pending) = V41::leave(resident, Reason::Blocked, POLLS, slow);
    assert!(!pending);
    board.msi(0);
    assert_eq!(board.interrupt(0), Some(lpi(0)));
    assert_eq!(V41::rang(&mut bell), (true, Todo::Nothing));
    // It has rung and is not taken yet: residency takes it back.
    let (resident, _) = V41::enter(absent, vacant, &mut bell);
    assert_eq!((board.take(0), board.interrupt(0)), (Some(lpi(5)), None));
    let mut slow = 0;
    let (_, _, pending) = V41::leave(resident, Reason::Preempted, 0, || slow += 1);
    assert!(pending && slow > 0, "a wait that is too long loses nothing");
    board.gic.take_violations();
}

#[test]
fn a_doorbell_that_rang_goes_with_its_vpe() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    board.map(0, 5, 0);
    board.unmask(0, 0);
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    let mut left = resident.leave(Reason::Blocked, POLLS).unwrap().finish(POLLS).unwrap();
    board.msi(0);
    let to = board.config.redistributor(1);
    let commands = left.vpe.move_to(vpe(0), to, lpi(0));
    board.queue.run(&commands).unwrap();
    assert_eq!((board.interrupt(0), board.interrupt(1)), (None, Some(lpi(0))));
    let resident = left.vpe.enter(board.vacant_v41(1));
    assert_eq!(board.take(1), Some(lpi(5)));
    drop(resident);
    board.clean();
}

/// What VSGI does is complete at VSYNC: one that overtakes it finds the SGI as it was, and is lost
/// with a clear that comes late.
#[test]
fn a_virtual_sgi_does_not_wait_for_its_command() {
    let mut board = Board::with_vpes(Config::V4_1, 1);
    let change = |enabled| SgiChange::Configure { enabled, group1: true, priority: 0x80 };
    let vsgi = |change| Command::Vsgi { vpe: vpe(0), sgi: 3, change };
    let vsync = Command::Vsync { vpe: vpe(0) };
    let gic = board.gic.clone();
    let sgis = gic.its_sgis();
    let resident = board.non_resident_v41(0).enter(board.vacant_v41(0));
    let mut give = |command: Command| board.queue.run_words(&[command.encode()]).unwrap();
    let take = || gic.acknowledge_virtual(0).map(|signal| signal.intid);
    give(vsgi(change(false)));
    send_sgi(&sgis, vpe(0), 3);
    assert_eq!(take(), Some(IntId::new(3)), "VMAPP alone does not disable it");
    give(vsync);
    send_sgi(&sgis, vpe(0), 3);
    assert_eq!(take(), None);
    give(vsgi(SgiChange::Clear));
    send_sgi(&sgis, vpe(0), 3);
    [vsync, vsgi(change(true)), vsync].into_iter().for_each(give);
    assert_eq!(take(), None, "the clear came behind it");
    send_sgi(&sgis, vpe(0), 3);
    assert_eq!(take(), Some(IntId::new(3)));
    drop(resident);
    board.clean();
}
