// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random histories: the driver on the model beside a naive reference.
//!
//! The reference is two maps, from streams to VMs and from a VM's pages to memory, and a list of
//! faults. After each step a device's access must end where the maps say, and be recorded as they
//! say, whatever the SMMU has cached, read ahead or thrown away meanwhile.

mod common;

use common::*;
use proptest::prelude::*;
use smmu::event::Kind;
use smmu::model::{Config, Dma};
use std::collections::{BTreeMap, BTreeSet};

const VMS: u16 = 3;
const PAGES: u64 = 4;
/// In the table, in its second leaf, and in no leaf.
const STREAMS: [u32; 6] = [0, 1, 0x3f, 0x140, 0x17f, 0x50];

#[derive(Clone, Debug)]
enum Op {
    Attach {
        stream: usize,
        vm: u16,
    },
    /// Every stream of a VM.
    Stop {
        vm: u16,
    },
    /// A stream of nobody, which has had enough faults.
    Ignore {
        stream: usize,
    },
    /// A page of a VM that is stopped, as between two lives.
    Map {
        vm: u16,
        page: u64,
        to: Option<(u64, bool)>,
    },
    Dma {
        stream: usize,
        page: u64,
        write: bool,
    },
    Prefetch {
        stream: usize,
        page: u64,
    },
    Evict,
    Drain {
        limit: u32,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (stream, vm, page) = (0..STREAMS.len(), 0..VMS, 0..PAGES);
    let to = prop::option::of((0..64u64, any::<bool>()));
    let dma = (stream.clone(), page.clone(), any::<bool>());
    let op = prop_oneof![
        4 => (stream.clone(), vm.clone()).prop_map(|(stream, vm)| Op::Attach { stream, vm }),
        1 => stream.clone().prop_map(|stream| Op::Ignore { stream }),
        2 => vm.clone().prop_map(|vm| Op::Stop { vm }),
        4 => (vm, page.clone(), to).prop_map(|(vm, page, to)| Op::Map { vm, page, to }),
        8 => dma.prop_map(|(stream, page, write)| Op::Dma { stream, page, write }),
        3 => (stream, page).prop_map(|(stream, page)| Op::Prefetch { stream, page }),
        1 => Just(Op::Evict),
        2 => (0u32..12).prop_map(|limit| Op::Drain { limit }),
    ];
    prop::collection::vec(op, 1..120)
}

/// What a person would write down.
#[derive(Default)]
struct Reference {
    streams: BTreeMap<u32, u16>,
    pages: BTreeMap<(u16, u64), (u64, bool)>,
    /// Streams with an entry that nobody has written yet.
    blank: BTreeSet<u32>,
    records: Vec<(Kind, u32)>,
    lost: bool,
}

impl Reference {
    fn dma(&mut self, id: u32, page: u64, write: bool) -> Option<u64> {
        let fault = if let Some(vm) = self.streams.get(&id) {
            match self.pages.get(&(*vm, page)) {
                Some((address, writable)) if *writable || !write => return Some(*address),
                Some(_) => Kind::Permission,
                None => Kind::Translation,
            }
        } else if self.blank.contains(&id) {
            Kind::BadSte
        } else {
            return None;
        };
        if self.records.len() < 1 << EVENT_BITS {
            self.records.push((fault, id));
        } else {
            self.lost = true;
        }
        None
    }
}

fn space(vm: u16) -> Space {
    Space::new(vm + 1)
}

fn run(config: Config, ops: &[Op]) {
    let mut board = Board::new(config, two_level());
    let blank = STREAMS.into_iter().filter(|&id| id >= STRANGE);
    let mut reference = Reference { blank: blank.collect(), ..Reference::default() };
    (0..VMS).for_each(|vm| space(vm).build(&board.smmu));
    for op in ops {
        match *op {
            Op::Attach { stream, vm } => {
                let id = STREAMS[stream];
                if let Some(old) = reference.streams.get(&id).copied() {
                    board
                        .streams
                        .detach([common::stream(id)].into_iter(), space(old).vmid())
                        .unwrap();
                }
                if board.attach(id, space(vm)).is_ok() {
                    reference.streams.insert(id, vm);
                    reference.blank.remove(&id);
                }
            }
            Op::Ignore { stream } => {
                let id = STREAMS[stream];
                if !reference.streams.contains_key(&id) {
                    board.streams.abort(common::stream(id)).unwrap();
                    reference.blank.remove(&id);
                }
            }
            Op::Stop { vm } => stop(&mut board, &mut reference, vm),
            Op::Map { vm, page, to } => {
                let streams: Vec<_> =
                    reference.streams.iter().filter(|s| *s.1 == vm).map(|s| *s.0).collect();
                stop(&mut board, &mut reference, vm);
                let to = to.map(|(frame, writable)| (0x6000_0000 + 0x1000 * frame, writable));
                let attributes = |writable| if writable { READ_WRITE } else { READ_ONLY };
                let leaf = to.map(|(pa, writable)| (pa, attributes(writable)));
                space(vm).page(&board.smmu, page, leaf);
                match to {
                    Some(to) => reference.pages.insert((vm, page), to),
                    None => reference.pages.remove(&(vm, page)),
                };
                for id in streams {
                    board.attach(id, space(vm)).unwrap();
                    reference.streams.insert(id, vm);
                }
            }
            Op::Dma { stream, page, write } => {
                let (stream, address) = (common::stream(STREAMS[stream]), WINDOW + 0x1000 * page);
                let expected = reference.dma(stream.value(), page, write);
                assert_eq!(board.arrives(Dma { stream, address, write }), expected, "{op:?}");
            }
            Op::Prefetch { stream, page } => {
                board.smmu.prefetch(read(STREAMS[stream], WINDOW + 0x1000 * page));
            }
            Op::Evict => board.smmu.evict(),
            Op::Drain { limit } => {
                let (events, drained) = board.drain(limit);
                let count = reference.records.len().min(limit as usize);
                let expected: Vec<_> = reference.records.drain(..count).collect();
                let found: Vec<_> = events.iter().map(|e| (e.kind, e.stream.value())).collect();
                assert_eq!(found, expected);
                assert_eq!(drained.left as usize, reference.records.len());
                assert_eq!(drained.lost, std::mem::take(&mut reference.lost));
            }
        }
        assert_eq!(board.smmu.take_violations(), []);
    }
}

fn stop(board: &mut Board, reference: &mut Reference, vm: u16) {
    let ids = reference.streams.iter().filter(|s| *s.1 == vm).map(|s| *s.0);
    let streams: Vec<_> = ids.map(common::stream).collect();
    board.streams.detach(streams.iter().copied(), space(vm).vmid()).unwrap();
    reference.streams.retain(|_, owner| *owner != vm);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_access_ends_where_the_maps_say(ops in ops()) {
        run(Config::STRICT, &ops);
    }

    #[test]
    fn and_where_stores_are_seen_before_they_are_published(ops in ops()) {
        run(Config { leaky: true, command_polls: 0, ..Config::STRICT }, &ops);
    }

    #[test]
    fn and_on_an_smmu_as_lenient_as_qemus(ops in ops()) {
        run(Config::QEMU, &ops);
    }
}
