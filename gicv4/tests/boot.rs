// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bring-up: hardware that is what was expected, and hardware that is not.

mod common;

use common::*;
use gicv4::Expected::{AtLeast, AtMost, Exactly};
use gicv4::boot::{self, Assembly, CpuTables};
use gicv4::command::{Command, Version};
use gicv4::dist::{self, Dist};
use gicv4::frame::{Readable, Register, Width, Writable};
use gicv4::its::{Expect, Its, Table};
use gicv4::layout::{self, Attributes, PageSize, TableKind};
use gicv4::lpi::LpiConfig;
use gicv4::model::{self, Config, Gic, TableRegister, Violation};
use gicv4::redist::{self, Redist, affinity_value, stride};
use gicv4::regs::{gicd, gicr, gits, vlpi};
use gicv4::residency::Direct;
use gicv4::{CollectionId, Error, Frame, IntId, LpisInUse, Wait};

/// A GIC whose CPUs firmware has started.
fn powered(config: Config) -> Gic {
    let gic = Gic::new(config);
    (0..config.cpus).for_each(|cpu| gic.power_up(cpu));
    gic
}

#[test]
fn both_versions_come_up() {
    for base in [Config::V4_0, Config::V4_1] {
        for config in [
            base,
            Config { cpus: 20, redistributor_addresses: true, ..base },
            Config { command_polls: 3, dirty_polls: 3, write_polls: 3, ..base },
        ] {
            Board::with_vpes(config, 3).clean();
        }
    }
}

#[test]
fn its_that_is_not_what_was_expected() {
    let its = Its::new(Gic::new(Config { collection_id_bits: 8, ..Config::V4_0 }).its());
    let fine = expect(&Config::V4_0);
    assert_eq!(its.verify(&fine), Ok(()));
    assert_eq!(its.verify(&Expect { entry_bytes: 16, ..fine }), Ok(()), "smaller entries are fine");
    for (expect, field, expected, found) in [
        (Expect { device_id_bits: 17, ..fine }, "Devbits + 1", AtLeast(17), 16),
        (Expect { event_id_bits: 17, ..fine }, "ID_bits + 1", AtLeast(17), 16),
        (Expect { collection_id_bits: 9, ..fine }, "CIDbits + 1", AtLeast(9), 8),
        (Expect { entry_bytes: 8, ..fine }, "ITT_entry_size + 1", AtMost(8), 12),
        (Expect { redistributor_addresses: true, ..fine }, "PTA", Exactly(1), 0),
        (Expect { v41: expect(&Config::V4_1).v41, ..fine }, "VMAPP", Exactly(1), 0),
    ] {
        assert_eq!(
            its.verify(&expect),
            Err(Error::Differs { register: "GITS_TYPER", field, expected, found })
        );
    }
    let error = its.verify(&Expect { entry_bytes: 8, ..fine }).unwrap_err();
    assert_eq!(error.to_string(), "GITS_TYPER.ITT_entry_size + 1 is 0xc, expected 0x8 or less");
}

/// A frame whose register at `offset` reads otherwise than the model's.
#[derive(Debug)]
struct Altered<F> {
    frame: F,
    offset: usize,
    clear: u64,
    set: u64,
}

impl<F: Frame> Frame for Altered<F> {
    type Block = F::Block;

    fn read<W: Width, A: Readable, L>(&self, register: Register<F::Block, W, A, L>) -> W {
        let value = self.frame.read(register).bits();
        let altered = (value & !self.clear) | self.set;
        W::from_bits(if register.offset() == self.offset { altered } else { value })
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<F::Block, W, A, L>,
        value: A::Value,
    ) {
        self.frame.write(register, value);
    }
}

fn altered<F: Frame>(frame: F, offset: usize, clear: u64, set: u64) -> Altered<F> {
    Altered { frame, offset, clear, set }
}

#[test]
fn an_its_without_virtual_lpis() {
    let gic = Gic::new(Config::V4_0);
    let its = Its::new(altered(gic.its(), gits::offset::TYPER, 2, 0));
    let (register, field, expected, found) = ("GITS_TYPER", "Virtual", AtLeast(1), 0);
    let differs = Err(Error::Differs { register, field, expected, found });
    assert_eq!(its.verify(&expect(&Config::V4_0)), differs);
    assert_eq!(its.verify(&Expect { virtual_lpis: false, ..expect(&Config::V4_0) }), Ok(()));
}

#[test]
fn an_its_that_refuses_its_tables() {
    let enable = |offset, clear, set| {
        let gic = Gic::new(Config::V4_0);
        Its::new(altered(gic.its(), offset, clear, set)).enable(tables(), cbaser(1), POLLS)
    };
    let baser0 = |field, expected, found| {
        Err(Error::Differs { register: "GITS_BASER0", field, expected, found })
    };
    assert!(matches!(enable(gits::offset::BASER, 7 << 56, 0), Err(Error::Unsupported { .. })));
    assert_eq!(
        enable(gits::offset::BASER, 0x1f << 48, 0x1f << 48),
        Ok(()),
        "32 bytes are planned for"
    );
    assert_eq!(enable(gits::offset::BASER, 3 << 10, 0), baser0("Shareability", Exactly(1), 0));
    assert_eq!(enable(gits::offset::BASER, 7 << 59, 1 << 59), Ok(()), "cacheability is a hint");
    for (clear, set) in [(0, 1 << 62), (0x1000, 0x2000), (1 << 63, 0), (0xff, 9)] {
        let error = enable(gits::offset::BASER, clear, set);
        assert!(matches!(error, Err(Error::Differs { field: "readback", .. })), "{error:?}");
    }
    assert!(matches!(
        enable(gits::offset::CBASER, 3 << 10, 0),
        Err(Error::Differs { register: "GITS_CBASER", field: "readback", .. })
    ));
    assert_eq!(enable(gits::offset::CBASER, 7 << 59, 0), Ok(()));
    assert_eq!(
        enable(gits::offset::CTLR, 1 << 31, 0),
        Err(Error::Timeout { wait: Wait::ItsQuiescent, register: 0 })
    );
    assert_eq!(enable(gits::offset::CTLR, 0, 0), Ok(()));
}

#[test]
fn an_its_that_is_not_coherent() {
    let config = Config { incoherent: true, ..Config::V4_0 };
    let its = Its::new(Gic::new(config).its());
    let error = its.enable(tables(), cbaser(1), POLLS).unwrap_err();
    assert!(matches!(
        error,
        Error::Differs { field: "Shareability", expected: Exactly(1), found: 0, .. }
    ));
    let attributes = Attributes::UNCACHED;
    let tables = tables().map(|table| Table { attributes, ..table });
    let room = layout::Room { bytes: 0x1000, align: 0x1_0000 };
    let queue = model::base(layout::cbaser(QUEUE, room, attributes).unwrap());
    assert_eq!(its.enable(tables, queue, POLLS), Ok(()));
}

/// Every order of the registers, every page size, entries of every size up to the planned one.
#[test]
fn tables_find_their_registers() {
    use TableKind::{Collections, Devices, Vpes};
    const fn all(
        kinds: [TableKind; 3],
        bytes: [u8; 3],
        page: Option<PageSize>,
    ) -> [TableRegister; 3] {
        [
            TableRegister::new(kinds[0], bytes[0], page),
            TableRegister::new(kinds[1], bytes[1], page),
            TableRegister::new(kinds[2], bytes[2], page),
        ]
    }
    const GRACE: &[TableRegister] =
        &all([Devices, Collections, Vpes], [8, 2, 8], Some(PageSize::Kib64));
    const FVP: &[TableRegister] = &all([Devices, Vpes, Collections], [8, 8, 8], None);
    const SMALL: &[TableRegister] =
        &all([Vpes, Collections, Devices], [32, 16, 1], Some(PageSize::Kib4));
    const HIP: &[TableRegister] = &[
        TableRegister::new(Devices, 8, Some(PageSize::Kib16)),
        TableRegister::new(Collections, 16, Some(PageSize::Kib4)),
        TableRegister::new(Vpes, 32, Some(PageSize::Kib4)),
    ];
    for registers in [GRACE, FVP, SMALL, HIP] {
        let config = Config { tables: registers, ..Config::V4_0 };
        Board::with_vpes(config, 3).clean();
        let small = tables().map(|table| Table { entry_bytes: 1, ..table });
        let its = Its::new(Gic::new(config).its());
        let error = its.enable(small, cbaser(1), POLLS).unwrap_err();
        assert!(matches!(
            error,
            Error::Differs { field: "Entry_Size + 1", expected: AtMost(1), .. }
        ));
    }
    // Memory of 4 KiB pages serves a register that has those, and no other.
    let small = |table: Table| {
        let memory = model::memory(table.memory.address() + 0x1000, 0x3000);
        Table { memory, ..table }
    };
    let enable = |registers| {
        let gic = Gic::new(Config { tables: registers, ..Config::V4_0 });
        Its::new(gic.its()).enable(tables().map(small), cbaser(1), POLLS)
    };
    assert_eq!((enable(FVP), enable(SMALL)), (Ok(()), Ok(())));
    for (registers, bytes) in [(GRACE, 0x1_0000), (HIP, 0x4000)] {
        let (register, field, expected) = ("GITS_BASER0", "bytes of a page", AtMost(0x3000));
        let differs = Err(Error::Differs { register, field, expected, found: bytes });
        assert_eq!(enable(registers), differs);
    }
}

#[test]
fn collections_that_the_its_holds_itself() {
    const TWO: &[TableRegister] = &[
        TableRegister::new(TableKind::Vpes, 8, None),
        TableRegister::new(TableKind::Devices, 8, None),
    ];
    for (held_collections, fine) in [(8, true), (7, false)] {
        let gic = Gic::new(Config { tables: TWO, held_collections, ..Config::V4_0 });
        let few = tables().map(|table| Table { entries: 8, ..table });
        let result = Its::new(gic.its()).enable(few, cbaser(1), POLLS);
        assert_eq!(result.is_ok(), fine, "{result:?}");
        assert_eq!(gic.take_violations(), []);
    }
}

#[test]
fn vpes_that_move_need_an_its_that_tells_the_others() {
    let config = Config { single_vmovp: false, ..Config::V4_0 };
    let its = Its::new(Gic::new(config).its());
    let fine = expect(&config);
    assert_eq!(its.verify(&fine), Ok(()));
    let (register, field, expected, found) = ("GITS_TYPER", "VMOVP", AtLeast(1), 0);
    let differs = Err(Error::Differs { register, field, expected, found });
    assert_eq!(its.verify(&Expect { moves: true, ..fine }), differs);
    // And the model would see it.
    let mut board = Board::with_vpes(config, 1);
    let to = board.config.redistributor(1);
    board.queue.run(&board.non_resident(0).move_to(vpe(0), to)).unwrap();
    assert_eq!(board.gic.take_violations(), [Violation::VmovpNotCoordinated { vpe: vpe(0) }]);
}

#[test]
fn an_its_is_brought_up_again() {
    let mut board = Board::with_vpes(Config::V4_0, 1);
    Its::new(board.gic.its()).enable(tables(), cbaser(2), POLLS).unwrap();
    board.queue = gicv4::queue::Queue::new(board.gic.its(), board.gic.queue(QUEUE, 256), POLLS);
    for _ in 0..300 {
        board.run(&[Command::Sync { redistributor: board.config.redistributor(0) }]);
    }
    board.clean();
}

#[test]
fn redistributor_that_is_not_what_was_expected() {
    let config = Config { cpus: 20, ..Config::V4_0 };
    let gic = Gic::new(config);
    let redist = Redist::new(gic.redistributor(17));
    let fine = redist::Expect {
        mpidr: config.mpidr(17),
        processor: Some(17),
        lpis: true,
        stride: stride(true),
        virtual_lpis: Some(Version::V4_0),
        v41: None,
    };
    assert_eq!(redist.verify(&fine), Ok(()));
    assert_eq!(redist.processor_number(), 17);
    let differs = |field, expected, found| {
        Err(Error::Differs { register: "GICR_TYPER", field, expected, found })
    };
    let other = redist::Expect { mpidr: 3, ..fine };
    assert_eq!(redist.verify(&other), differs("Affinity_Value", Exactly(3), 0x101));
    let v41 = redist::Expect { virtual_lpis: Some(Version::V4_1), ..fine };
    assert_eq!(redist.verify(&v41), differs("RVPEID, which GICv4.1 has", Exactly(1), 0));
    let fourth = redist::Expect { mpidr: config.mpidr(3), processor: Some(3), ..fine };
    let by_position = Redist::new(gic.redistributor(3)).verify(&fourth);
    assert_eq!(by_position, differs("Processor_Number", Exactly(3), 106));
    assert_eq!(redist.verify(&redist::Expect { processor: None, ..fine }), Ok(()));
    let wide = "VLPIS, which decides the stride";
    for (field, bit, expected) in [("PLPIS", 1, AtLeast(1)), (wide, 2, Exactly(1))] {
        let redist = Redist::new(altered(gic.redistributor(17), gicr::offset::TYPER, bit, 0));
        assert_eq!(redist.verify(&fine), differs(field, expected, 0));
        let stride = stride(bit != 2);
        let without = redist::Expect { lpis: false, stride, virtual_lpis: None, ..fine };
        assert_eq!(redist.verify(&without), Ok(()));
        let none = redist::Expect { lpis: false, stride, ..fine };
        let expected = if bit == 2 { differs("VLPIS", Exactly(1), 0) } else { Ok(()) };
        assert_eq!(redist.verify(&none), expected);
    }
    let narrow = redist::Expect { stride: stride(false), virtual_lpis: None, ..fine };
    assert_eq!(redist.verify(&narrow), differs(wide, Exactly(0), 1));
    assert_eq!(affinity_value(0x12_8034_5678), 0x1234_5678);
    assert_eq!((stride(false), stride(true)), (0x2_0000, 0x4_0000));
}

#[test]
fn a_redistributor_that_sleeps_on() {
    let gic = powered(Config::V4_0);
    let redist = Redist::new(altered(gic.redistributor(0), gicr::offset::WAKER, 0, 4));
    assert_eq!(
        redist.wake(10),
        Err(Error::Timeout { wait: Wait::RedistributorAwake, register: 4 })
    );
}

#[test]
fn lpi_tables_of_firmware_are_replaced_or_refused() {
    let (propbaser, pendbaser) = (propbaser(), pendbaser(0, true));
    for (clear_enable_lpis, fine) in [(true, true), (false, false)] {
        let gic = Gic::new(Config { clear_enable_lpis, ..Config::V4_0 });
        gic.power_up(0);
        gic.redistributor(0).write(gicr::PROPBASER, model::base(0x8000_000f));
        gic.redistributor(0).write(gicr::PENDBASER, model::base(0x8100_0000));
        gic.redistributor(0).write(gicr::CTLR, 1);
        let result = Redist::new(gic.redistributor(0)).enable_lpis(propbaser, pendbaser, POLLS);
        assert_eq!(result.is_ok(), fine, "{result:?}");
        let used = Err(Error::LpisInUse(LpisInUse {
            config: 0x8000_0000,
            config_bytes: 0xe000,
            pending: 0x8100_0000,
            pending_bytes: 0x2000,
        }));
        assert_eq!(result == used, !fine);
        assert_eq!(gic.take_violations(), []);
    }
    // One that forces other attributes.
    let gic = powered(Config::V4_0);
    let redist = Redist::new(altered(gic.redistributor(0), gicr::offset::PROPBASER, 3 << 10, 0));
    let error = redist.enable_lpis(propbaser, pendbaser, POLLS).unwrap_err();
    let register = "GICR_PROPBASER";
    assert!(
        matches!(error, Error::Differs { register: found, field: "Shareability", .. } if found == register)
    );
}

#[test]
fn pending_lpis_survive_disabling() {
    let mut board = Board::new(Config::V4_0);
    configure(&mut board.lpis, lpi(3), LpiConfig::new(PRIORITY, true));
    let collection = CollectionId::new(0);
    board.run(&[Command::Mapti { device: DEVICE, event: event(0), intid: lpi(3), collection }]);
    board.msi(0);
    assert_eq!(board.gic.signal(0).map(|signal| signal.intid), Some(lpi(3)));
    let (propbaser, pendbaser) = (propbaser(), pendbaser(0, false));
    Redist::new(board.gic.redistributor(0)).enable_lpis(propbaser, pendbaser, POLLS).unwrap();
    assert_eq!(board.interrupt(0), Some(lpi(3)));
    board.clean();
}

#[test]
fn a_vpe_that_firmware_left_resident_is_evicted() {
    let board = Board::with_vpes(Config { dirty_polls: 4, idai: false, ..Config::V4_0 }, 1);
    core::mem::forget(board.non_resident(0).enter(board.vacant(0)));
    assert_eq!(board.gic.resident(0), Some(vpe(0)));
    let vacant = board.vacant(0);
    assert_eq!(board.gic.resident(0), None);
    let _resident = board.non_resident(0).enter(vacant);
    board.clean();
}

#[test]
fn private_interrupts() {
    let gic = powered(Config { write_polls: 3, ..Config::V4_0 });
    let redist = Redist::new(gic.redistributor(0));
    let frame = gic.redistributor(0);
    redist.reset_private(0xa0, POLLS).unwrap();
    let extended = [1, 2].map(|n| frame.read_at(gicr::ICENABLER, n));
    assert_eq!(extended, [0, 0], "firmware's extended PPIs are off");
    assert_eq!(
        (frame.read(gicr::IGROUPR0), frame.read_at(gicr::IPRIORITYR, 7)),
        (u32::MAX, 0xa0a0_a0a0)
    );
    let timer = IntId::ppi(27).unwrap();
    redist.set_priority(timer, 0x20);
    assert_eq!(frame.read_at(gicr::IPRIORITYR, 6), 0x20a0_a0a0);
    redist.set_edge(timer, true);
    assert_eq!(frame.read(gicr::ICFGR1), 0x0080_0000);
    redist.set_edge(timer, false);
    assert_eq!(frame.read(gicr::ICFGR1), 0);
    redist.enable(timer);
    redist.set_pending(timer);
    redist.set_active(timer);
    assert!(redist.is_enabled(timer) && redist.is_pending(timer) && redist.is_active(timer));
    redist.disable(timer);
    redist.clear_pending(timer);
    redist.clear_active(timer);
    assert!(!redist.is_enabled(timer) && !redist.is_pending(timer) && !redist.is_active(timer));
    redist.wait_for_writes(POLLS).unwrap();
    // An SPI is none of its business.
    let spi = IntId::new(33);
    redist.enable(spi);
    redist.set_priority(spi, 0);
    redist.set_edge(spi, true);
    assert!(!redist.is_enabled(spi));
    assert_eq!((frame.read(gicr::ISENABLER0), gic.take_violations()), (0, vec![]));
}

#[test]
fn shared_interrupts() {
    let gic = Gic::new(Config { write_polls: 3, ..Config::V4_0 });
    let (dist, frame) = (Dist::new(gic.distributor()), gic.distributor());
    let fine = dist::Expect {
        spis: 256,
        lpis: true,
        virtual_lpis: true,
        intid_bits: 16,
        vpe_id_bits: None,
    };
    assert_eq!(dist.verify(&fine), Ok(()));
    let differs = |field, expected, found| {
        Err(Error::Differs { register: "GICD_TYPER", field, expected, found })
    };
    assert_eq!(
        dist.verify(&dist::Expect { spis: 257, ..fine }),
        differs("SPIs (ITLinesNumber)", AtLeast(257), 256)
    );
    let wide = dist::Expect { intid_bits: 17, ..fine };
    assert_eq!(dist.verify(&wide), differs("IDbits + 1", AtLeast(17), 16));
    for (field, bit) in [("LPIS", 1 << 17), ("DVIS", 1 << 18)] {
        let dist = Dist::new(altered(gic.distributor(), gicd::offset::TYPER, bit, 0));
        assert_eq!(dist.verify(&fine), differs(field, AtLeast(1), 0));
    }
    let old = Dist::new(altered(gic.distributor(), gicd::offset::PIDR2, 0xf0, 0x20));
    assert!(matches!(old.verify(&fine), Err(Error::Differs { register: "GICD_PIDR2", .. })));

    frame.write_at(gicd::ISENABLER, 1, u32::MAX);
    dist.enable(0xa0, POLLS).unwrap();
    assert_eq!(frame.read(gicd::CTLR) & 0x13, 0x12);
    let extended = [0, 1].map(|n| frame.read_at(gicd::ICENABLER_E, n));
    assert_eq!(extended, [0, 0], "firmware's extended SPIs are off");
    let spi = IntId::spi(287).unwrap();
    assert!(!dist.is_enabled(spi) && !dist.is_enabled(IntId::new(32)));
    dist.enable_spi(spi);
    dist.set_pending(spi);
    dist.set_active(spi);
    assert!(dist.is_enabled(spi) && dist.is_pending(spi) && dist.is_active(spi));
    assert_eq!(frame.read_at(gicd::ISENABLER, 8), 1 << 31);
    dist.disable_spi(spi);
    dist.wait_for_writes(POLLS).unwrap();
    dist.clear_pending(spi);
    dist.clear_active(spi);
    assert!(!dist.is_enabled(spi) && !dist.is_pending(spi) && !dist.is_active(spi));
    dist.set_priority(spi, 0x40);
    assert_eq!(frame.read_at(gicd::IPRIORITYR, 71), 0x40a0_a0a0);
    dist.set_edge(spi, true);
    assert_eq!(frame.read_at(gicd::ICFGR, 17), 1 << 31);
    dist.set_edge(spi, false);
    assert_eq!(frame.read_at(gicd::ICFGR, 17), 0);
    dist.route(spi, 0x8000_0103);
    assert_eq!(frame.read_at(gicd::IROUTER, 287), 0x103);
    // Private interrupts and LPIs are none of its business.
    for other in [27, 1020, 4096, 8192].map(IntId::new) {
        dist.enable_spi(other);
        dist.set_priority(other, 0);
        dist.route(other, 0);
        dist.set_edge(other, true);
        assert!(!dist.is_enabled(other));
    }
    assert_eq!((dist.spis(), gic.take_violations()), (256, vec![]));
    assert!(matches!(
        Dist::new(altered(gic.distributor(), gicd::offset::CTLR, 0, 1 << 31)).enable(0, 5),
        Err(Error::Timeout { wait: Wait::RegisterWrites, .. })
    ));
}

#[test]
fn a_pending_table_that_never_gets_clean() {
    let mut board = Board::with_vpes(Config { dirty_polls: 50, ..Config::V4_0 }, 1);
    board.map(0, 1, 0);
    let timeout = |error| matches!(error, Error::Timeout { wait: Wait::PendingTableClean, .. });
    let resident = board.non_resident(0).enter(board.vacant(0));
    // Stuck twice, the state comes back each time, and in the end it works.
    let stuck = resident.leave(10).unwrap_err();
    assert!(timeout(stuck.error));
    let leaving = stuck.state.leave(POLLS).unwrap();
    let stuck = leaving.finish(10).unwrap_err();
    assert!(timeout(stuck.error));
    assert!(stuck.state.finish(POLLS).is_ok());
    board.clean();
    // Or it goes on: something counts as pending, and what is pending comes when the vPE is back.
    board.msi(0);
    let stuck = board.non_resident(0).enter(board.vacant(0)).leave(10).unwrap_err();
    let left = stuck.state.leave_unsettled().finish(10).unwrap_err().state.give_up();
    assert!(left.pending);
    assert_eq!(board.gic.resident(0), None);
    for _ in 0..100 {
        board.gic.vlpis(0).read(vlpi::VPENDBASER);
    }
    core::mem::forget(left.vpe.enter(left.redistributor));
    assert_eq!(board.take(0), Some(lpi(1)));
    let frame = altered(board.gic.vlpis(0), vlpi::offset::VPENDBASER, 0, 1 << 60);
    assert!(timeout(gicv4::vpe::Vacant::take(frame, BITS, 10).unwrap_err()));
}

#[test]
fn interrupts_that_firmware_keeps_are_told() {
    let gic = powered(Config { write_polls: 3, ..Config::V4_0 });
    let redist = Redist::new(gic.redistributor(0));
    let bits = 1 << 0 | 1 << 15 | 1 << 27 | 1 << 29;
    assert_eq!(redist.not_ours(bits, POLLS), Ok(1 << 15 | 1 << 29));
    assert_eq!(gic.redistributor(0).read(gicr::ISENABLER0), 0);
    let dist = Dist::new(gic.distributor());
    let ours = |intid| {
        let ours = dist.is_ours(IntId::new(intid), POLLS);
        dist.set_edge(IntId::new(intid), true);
        ours
    };
    assert_eq!([285, 286, 287].map(ours), [Ok(true), Ok(false), Ok(true)]);
    assert!(!dist.is_enabled(IntId::new(287)));
    assert_eq!(gic.take_violations(), []);
    dist.enable_spi(IntId::new(287));
    dist.set_edge(IntId::new(287), false);
    dist.disable_spi(IntId::new(287));
    dist.set_edge(IntId::new(287), true);
    let twice = [287, 287].map(|intid| Violation::TriggerOfEnabled { intid: IntId::new(intid) });
    assert_eq!(gic.take_violations(), twice);
    let gic = powered(Config::QEMU);
    assert_eq!(Redist::new(gic.redistributor(1)).not_ours(bits, POLLS), Ok(0));
    assert_eq!(gic.take_violations(), []);
}

/// A GIC on which a kernel before left LPIs on for good, at the redistributors of `cpus`.
fn inherited(cpus: &[u16], propbaser: u64) -> Gic {
    let gic = powered(Config { clear_enable_lpis: false, ..Config::V4_0 });
    for &cpu in cpus {
        let frame = gic.redistributor(cpu);
        let pendbaser = 0x8100_0000 + u64::from(cpu) * 0x1_0000;
        frame.write(gicr::PROPBASER, model::base(propbaser));
        frame.write(gicr::PENDBASER, model::base(pendbaser));
        frame.write(gicr::WAKER, 0);
        frame.write(gicr::CTLR, 1);
    }
    gic
}

#[test]
fn lpi_tables_left_on_for_good_are_taken_over() {
    let (config, room) = (0x8000_0000, 0x8000_0000..0x8102_0000);
    let left = layout::propbaser(config, 16, Attributes::COHERENT).unwrap();
    let bring_up = |gic: &Gic, cpu: u16, ranges: &[(u64, u64)]| {
        let tables = CpuTables {
            priority: 0xa0,
            lpis: Some((propbaser(), pendbaser(cpu, true))),
            inherited: ranges,
        };
        let residency = Some((gic.vlpis(cpu), BITS));
        boot::redistributor::<Direct<false>, _, _>(
            &gic.redistributor(cpu),
            residency,
            &tables,
            POLLS,
        )
        .map(|(ready, _)| ready)
    };
    let all = [(room.start, room.end - room.start)];
    let gic = inherited(&[0, 1], left);
    let assembly = Assembly::new(2);
    assert!(assembly.arrive(bring_up(&gic, 1, &all).unwrap()).unwrap().is_none());
    let everyone = assembly.arrive(bring_up(&gic, 0, &all).unwrap()).unwrap().unwrap();
    assert_eq!(everyone.lpi_config(), config);

    // Our own configuration, written there, is what counts: with the script's INVALL it is in use.
    let mut table = gic.config_table(config, 8192);
    configure(&mut table, lpi(3), LpiConfig::new(PRIORITY, true));
    let queue = (cbaser(1), gic.queue(QUEUE, 128));
    let collection = CollectionId::new(0);
    let redistributor = Config::V4_0.redistributor(0);
    let script = [
        Command::Mapc { collection, redistributor: Some(redistributor) },
        Command::Mapd { device: DEVICE, itt: Some(itt(DEVICE, 5)) },
        Command::Mapti { device: DEVICE, event: event(0), intid: lpi(3), collection },
        Command::Invall { collection },
        Command::Sync { redistributor },
    ];
    let script = model::vet(&script.map(|command| command.encode()));
    boot::translation_service(&everyone, gic.its(), tables(), queue, &script, POLLS).unwrap();
    gic.msi(DEVICE, event(0)).unwrap();
    assert_eq!(gic.acknowledge(0).map(|signal| signal.intid), Some(lpi(3)));
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));

    // Not those that lie elsewhere, in whole or in part, nor smaller or less shareable ones.
    let used = |gic: &Gic, ranges: &[(u64, u64)]| {
        assert!(matches!(bring_up(gic, 0, ranges), Err(Error::LpisInUse(_))));
    };
    used(&gic, &[]);
    used(&gic, &[(config, 0x1_0000)]);
    used(&gic, &[(config, 0xdfff), (0x8100_0000, 0x1_0000)]);
    used(&gic, &[(0x8100_0000, 0x1_0000)]);
    let two = [(config, 0xe000), (0x8100_0000, 0x2000)];
    assert!(bring_up(&gic, 0, &two).is_ok(), "to the byte");
    used(&inherited(&[0], left & !0x1f | 12), &all);
    used(&inherited(&[0], layout::propbaser(config, 16, Attributes::UNCACHED).unwrap()), &all);

    // Nor at some redistributors only.
    let gic = inherited(&[1], left);
    let assembly = Assembly::new(2);
    assert!(assembly.arrive(bring_up(&gic, 0, &all).unwrap()).is_ok());
    let refused = assembly.arrive(bring_up(&gic, 1, &all).unwrap());
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
}
