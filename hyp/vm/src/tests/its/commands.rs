// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Streams of commands, wrong ones among them, of two VMs, beside a naive model.

use super::{driver::*, model::Naive};
use crate::counters::Counter;
use crate::testing::{
    GICR,
    its_board::{Board, EVENTS, GITS, KINDS, Kind, PROPERTIES, QUEUE, RINGS},
};
use gicv4::command::Encoded;
use plan::ItsPolicy;
use proptest::prelude::*;
use std::{vec, vec::Vec};

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
    fn new(kind: Kind) -> Self {
        let board = Board::of(kind);
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
        // No MSI of a device that nobody has mapped is an error of the hypervisor's: only its own
        // commands are recorded.
        self.board.clean();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every event is delivered where the naive model says, and never anything else; a restart puts
    /// all back.
    #[test]
    fn as_in_a_naive_model(
        steps in prop::collection::vec((step(), prop::bool::weighted(0.3)), 1..80),
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let mut world = World::new(kind);
        for (step, looks) in &steps {
            world.step(step);
            if *looks {
                world.compare();
            }
        }
        for vm in 0..2 {
            world.step(&Step::Restart { vm });
        }
        for event in 0..EVENTS.len() {
            world.step(&Step::Ring { event });
        }
        world.compare();
    }

    /// Random register writes and a queue of random bytes: nothing of the neighbour's changes, no
    /// command of the hypervisor's fails, and a restart puts all back.
    #[test]
    fn random_writes_touch_nobody_else(
        memory in prop::collection::vec(words(), 128),
        writes in prop::collection::vec((0..2usize, register(), any::<bool>(), value()), 1..60),
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let board = Board::of(kind);
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
