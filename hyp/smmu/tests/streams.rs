// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Streams of VMs: what each device reaches, and that the model sees what a driver forgets.

mod common;

use common::*;
use smmu::event::{Class, Kind, Stage};
use smmu::event_queue::EventQueue;
use smmu::model::{Config, ModelTable, Outcome, Smmu};
use smmu::ste::{Stage2, Ste};
use smmu::stream::Streams;
use smmu::unit::{Setup, Unit};
use smmu::{Error, StreamMemory};
use std::cell::Cell;
use std::rc::Rc;

const A: Space = Space::new(7);
const B: Space = Space::new(9);
const PAGE_A: u64 = 0x6000_0000;
const PAGE_B: u64 = 0x6100_0000;
const NIC: u32 = 0x18;
const DISK: u32 = 0x20;

/// Both VMs have a page at the same address, and each a device.
fn two_vms(config: Config) -> Board {
    let mut board = Board::new(config, linear());
    for (space, page, id) in [(A, PAGE_A, NIC), (B, PAGE_B, DISK)] {
        space.build(&board.smmu);
        space.page(&board.smmu, 0, Some((page, READ_WRITE)));
        space.page(&board.smmu, 1, Some((page + 0x1000, READ_ONLY)));
        board.attach(id, space).unwrap();
    }
    board
}

#[test]
fn a_device_reaches_its_own_vm_and_nothing_else() {
    for config in [Config::STRICT, Config::QEMU] {
        let mut board = two_vms(config);
        assert_eq!(board.arrives(write(NIC, WINDOW + 0x40)), Some(PAGE_A + 0x40));
        assert_eq!(board.arrives(write(DISK, WINDOW + 0x40)), Some(PAGE_B + 0x40));
        assert_eq!(board.drain(64).0, []);
        // The other VM's page, EL2's tables, beyond 39 bits, a device that nobody has.
        let elsewhere = [PAGE_B, TABLE, COMMANDS, A.root, 0x0800_0000, 0x80_0000_0000, u64::MAX];
        for address in elsewhere {
            assert_eq!(board.arrives(write(NIC, address)), None, "{address:#x}");
            let (events, _) = board.drain(64);
            let ipa = address & 0x000f_ffff_ffff_f000;
            assert_eq!(events.len(), 1);
            assert_eq!((events[0].kind, events[0].stream), (Kind::Translation, stream(NIC)));
            assert_eq!(events[0].address, Some(address));
            assert_eq!(events[0].stage, Some(Stage::Two { class: Class::Input, ipa }));
        }
        assert_eq!(board.arrives(write(0x28, WINDOW)), None);
        assert_eq!(board.drain(64).0, [], "abort is silent");
    }
}

#[test]
fn permissions_access_flags_and_sizes() {
    let mut board = two_vms(Config::STRICT);
    let page = |n, to| A.page(&board.smmu, n, Some(to));
    page(2, (PAGE_A, READ_WRITE & !(1 << 10)));
    page(3, (0x100_0000_0000, READ_WRITE));
    page(4, (PAGE_A, READ_WRITE & !(1 << 6)));
    for (dma, arrives, kind) in [
        (read(NIC, WINDOW + 0x1000), Some(PAGE_A + 0x1000), None),
        (write(NIC, WINDOW + 0x1000), None, Some(Kind::Permission)),
        (write(NIC, WINDOW + 0x2000), None, Some(Kind::AccessFlag)),
        (write(NIC, WINDOW + 0x3000), None, Some(Kind::AddressSize)),
        (write(NIC, WINDOW + 0x4000), Some(PAGE_A), None),
        (read(NIC, WINDOW + 0x4000), None, Some(Kind::Permission)),
        (read(NIC, WINDOW + 0x5000), None, Some(Kind::Translation)),
    ] {
        assert_eq!(board.arrives(dma), arrives, "{dma:?}");
        let (events, _) = board.drain(64);
        assert_eq!(events.first().map(|event| event.kind), kind, "{dma:?}");
        assert_eq!(events.first().and_then(|e| e.access).map(|a| a.write), kind.map(|_| dma.write));
    }
}

#[test]
fn blocks_and_concatenated_tables() {
    let mut board = Board::new(Config::STRICT, linear());
    // 40-bit IPAs: two level-1 tables side by side; a 1 GiB block in the second.
    let root = 0x5100_0000;
    let stage2 = Stage2::from_registers(5 << 48 | root, VTCR - 1).unwrap();
    board.smmu.write(root + 8 * 0x201, 0x40_0000_0000 | READ_WRITE | 1);
    board.smmu.write(root + 8, (root + 0x2000) | 3);
    board.smmu.write(root + 0x2008, 0x7e00_0000 | READ_WRITE | 1);
    board.streams.attach(stream(1), &stage2).unwrap();
    assert_eq!(board.arrives(write(1, 0x80_4123_4567)), Some(0x40_0123_4567));
    assert_eq!(board.arrives(write(1, 0x4023_4567)), Some(0x7e03_4567));
    assert_eq!(board.arrives(write(1, 0x4043_4567)), None);
}

#[test]
fn a_detached_stream_reaches_nothing() {
    for config in [Config::STRICT, Config::QEMU, Config { leaky: true, ..Config::STRICT }] {
        let mut board = two_vms(config);
        board.attach(0x19, A).unwrap();
        for id in [NIC, 0x19, DISK] {
            assert!(board.arrives(write(id, WINDOW)).is_some());
        }
        board.streams.detach([stream(NIC), stream(0x19)].into_iter(), A.vmid()).unwrap();
        assert_eq!(board.arrives(write(NIC, WINDOW)), None);
        assert_eq!(board.arrives(write(0x19, WINDOW)), None);
        assert_eq!(board.arrives(write(DISK, WINDOW)), Some(PAGE_B));
        // The next life has another page there: nothing of the old one is cached.
        A.page(&board.smmu, 0, Some((PAGE_A + 0x8000, READ_WRITE)));
        board.attach(NIC, A).unwrap();
        assert_eq!(board.arrives(write(NIC, WINDOW)), Some(PAGE_A + 0x8000));
        assert_eq!(board.smmu.take_violations(), []);
    }
}

#[test]
fn a_stream_beyond_the_table_is_an_error_and_aborted_silently() {
    let mut board = Board::new(Config::STRICT, two_level());
    A.build(&board.smmu);
    A.page(&board.smmu, 0, Some((PAGE_A, READ_WRITE)));
    for id in [0x3f, 0x140, 0x17f] {
        board.attach(id, A).unwrap();
        assert_eq!(board.arrives(write(id, WINDOW)), Some(PAGE_A), "{id:#x}");
    }
    for id in [0x40, 0x13f, 0x180, 0x1_0000] {
        assert_eq!(board.attach(id, A), Err(Error::NoEntry { stream: stream(id) }));
        assert_eq!(board.arrives(write(id, WINDOW)), None);
        assert_eq!(board.drain(64).0, []);
        board.streams.abort(stream(id)).unwrap();
    }
}

#[test]
fn a_stream_of_nobody_is_recorded_until_it_is_aborted() {
    for config in [Config::STRICT, Config::QEMU] {
        let mut board = Board::new(config, linear());
        for id in [STRANGE, STRANGE + 1] {
            for _ in 0..2 {
                assert_eq!(board.arrives(write(id, WINDOW)), None);
                assert_eq!(board.drain(64).0[0].kind, Kind::BadSte);
            }
        }
        board.streams.abort(stream(STRANGE)).unwrap();
        assert_eq!(board.arrives(write(STRANGE, WINDOW)), None);
        assert_eq!(board.drain(64).0, []);
        assert_eq!(board.arrives(write(STRANGE + 1, WINDOW)), None);
        assert_eq!(board.drain(64).0.len(), 1, "no other's");
        assert_eq!(board.smmu.take_violations(), []);
    }
}

/// A stream table whose every store a device accompanies by DMA.
struct Watched {
    table: ModelTable,
    smmu: Smmu,
    /// Where the device may get to.
    allowed: Rc<Cell<u64>>,
}

impl Watched {
    fn try_dma(&self) {
        self.smmu.evict();
        match self.smmu.dma(write(NIC, WINDOW)) {
            Outcome::Aborted => {}
            Outcome::Translated(page) => assert_eq!(page, self.allowed.get()),
            Outcome::Untranslated(address) => panic!("it passed to {address:#x}"),
        }
    }
}

impl StreamMemory for Watched {
    fn store(&mut self, address: u64, value: u64) {
        self.table.store(address, value);
        self.try_dma();
    }
    fn publish(&mut self) {
        self.table.publish();
        self.try_dma();
    }
}

/// The SMMU may read an entry at any time, and not in one piece: never does a device that goes from
/// one VM to another reach the first one's memory by half an entry, and never is half an entry
/// recorded as C_BAD_STE.
#[test]
fn an_entry_is_never_seen_half_made() {
    for leaky in [false, true] {
        let smmu = Smmu::new(Config { leaky, ..Config::STRICT });
        write_table(&smmu, linear());
        for (space, page) in [(A, PAGE_A), (B, PAGE_B)] {
            space.build(&smmu);
            space.page(&smmu, 0, Some((page, READ_WRITE)));
        }
        let unit = Unit::new(smmu.frame());
        unit.abort_all(POLLS).unwrap();
        let (commands, events) = rings();
        let setup = Setup { table: linear(), commands, events, coherent: true };
        let queue = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap();
        let allowed = Rc::new(Cell::new(0));
        let table = Watched { table: smmu.table(), smmu: smmu.clone(), allowed: allowed.clone() };
        let mut streams = Streams::new(linear(), table, queue);
        for round in 0..4 {
            let (space, page) = if round % 2 == 0 { (A, PAGE_A) } else { (B, PAGE_B) };
            allowed.set(page);
            streams.attach(stream(NIC), &space.stage2()).unwrap();
            assert_eq!(smmu.dma(write(NIC, WINDOW)), Outcome::Translated(page));
            streams.detach([stream(NIC)].into_iter(), space.vmid()).unwrap();
            assert_eq!(smmu.dma(write(NIC, WINDOW)), Outcome::Aborted);
        }
        let mut queue = EventQueue::new(smmu.frame(), smmu.events(events), EVENT_BITS);
        let drained = queue.drain(64, |event| panic!("{event}"));
        assert!(!drained.lost);
    }
}

/// The tests above can fail: each thing that a driver could forget is seen.
mod forgotten {
    use super::*;

    #[test]
    fn cfgi_after_a_change_of_an_entry() {
        let board = two_vms(Config::STRICT);
        let mut table = board.smmu.table();
        let entry = linear().entry(stream(NIC)).unwrap();
        board.arrives(write(NIC, WINDOW));
        table.store(entry, Ste::Abort.words()[0]);
        table.publish();
        assert_eq!(board.arrives(write(NIC, WINDOW)), Some(PAGE_A), "cached");
        board.smmu.evict();
        assert_eq!(board.arrives(write(NIC, WINDOW)), None);
    }

    #[test]
    fn a_barrier_after_a_store() {
        let board = two_vms(Config::STRICT);
        let mut table = board.smmu.table();
        table.store(linear().entry(stream(NIC)).unwrap(), Ste::Abort.words()[0]);
        board.smmu.evict();
        assert_eq!(board.arrives(write(NIC, WINDOW)), Some(PAGE_A), "not published");
    }

    #[test]
    fn tlbi_after_unmapping() {
        let mut board = two_vms(Config::STRICT);
        board.arrives(write(NIC, WINDOW));
        A.page(&board.smmu, 0, None);
        assert_eq!(board.arrives(write(NIC, WINDOW)), Some(PAGE_A), "cached");
        board.streams.detach([stream(DISK)].into_iter(), B.vmid()).unwrap();
        assert_eq!(board.arrives(write(NIC, WINDOW)), Some(PAGE_A), "another VM's TLBI");
        board.streams.detach([].into_iter(), A.vmid()).unwrap();
        assert_eq!(board.arrives(write(NIC, WINDOW)), None);
    }

    #[test]
    fn an_entry_of_zeros_is_recorded() {
        let mut board = Board::new(Config::STRICT, linear());
        let entry = linear().entry(stream(NIC)).unwrap();
        board.smmu.write(entry, 0);
        board.smmu.evict();
        assert_eq!(board.arrives(write(NIC, WINDOW)), None);
        assert_eq!(board.drain(64).0[0].kind, Kind::BadSte);
    }

    #[test]
    fn a_root_beyond_the_smmus_addresses() {
        let mut board = Board::new(Config { oas: 0, ..Config::STRICT }, linear());
        let stage2 = Stage2::from_registers(7 << 48 | 1 << 32, VTCR).unwrap();
        board.streams.attach(stream(NIC), &stage2).unwrap();
        assert_eq!(board.arrives(write(NIC, WINDOW)), None);
        assert_eq!(board.drain(64).0[0].kind, Kind::BadSte);
    }
}
