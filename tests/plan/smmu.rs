// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A plan's stream table and the devices' stage 2 on the software SMMU: each device reaches its
//! VM's memory by the VM's addresses, and nothing else.

use codegen::plan::{self, Master, Plan, SmmuStep};
use smmu::event::Kind;
use smmu::event_queue::EventQueue;
use smmu::model::{Config, Dma, ModelCommands, ModelFrame, ModelTable, Outcome, Smmu};
use smmu::ste::Stage2;
use smmu::stream::Streams;
use smmu::table::{Leaf, Shape, StreamTable};
use smmu::unit::{Ring, Setup, Unit};
use smmu::{Frame, StreamId, regs};

use crate::stand_in;

const SYSTEM: &str = "tests/qemu/systems/smmu.toml";
const POLLS: u32 = 100;
const TRANSLATER: u64 = 0x0809_0040;

type Driver = Streams<'static, ModelFrame, ModelCommands, ModelTable>;

/// As boot does it, with the functions that boot uses, on tables as the image holds them.
fn boot(plan: &Plan, number: usize) -> (Smmu, Driver) {
    let own = &plan.smmus[number];
    let smmu = Smmu::new(Config::STRICT);
    let tables = &plan.hypervisor;
    for (n, word) in tables.tables_bin.chunks_exact(8).enumerate() {
        let value = u64::from_le_bytes(word.try_into().unwrap());
        smmu.write(tables.tables.value() + 8 * n as u64, value);
    }
    let leaf = |leaf: &plan::Leaf| {
        assert_eq!(leaf.table.bytes, 64 << leaf.bits);
        Leaf { index: leaf.index, bits: leaf.bits, address: leaf.table.base.value() }
    };
    let leaves: Vec<Leaf> = own.leaves.iter().map(leaf).collect();
    let shape = match own.split {
        None => Shape::linear(own.table_bits).unwrap(),
        Some(split) => Shape::two_level(own.table_bits, split).unwrap(),
    };
    let table = StreamTable::new(own.table.base.value(), shape, leaves.leak()).unwrap();
    let commands = Ring::commands(own.commands.base.value(), own.command_bits).unwrap();
    let events = Ring::events(own.events.base.value(), own.event_bits).unwrap();
    assert_eq!(own.table.bytes, shape.bytes());
    assert_eq!((own.commands.bytes, own.events.bytes), (commands.bytes(), events.bytes()));
    let unit = Unit::new(smmu.frame());
    unit.abort_all(POLLS).unwrap();
    let setup = Setup { table, commands, events, coherent: own.coherent };
    let queue = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap();
    let mut streams = Streams::new(table, smmu.table(), queue);
    for master in held(plan, number) {
        let stage2 = Stage2::from_registers(master.vttbr.0, master.vtcr.0).unwrap();
        for &id in &master.streams {
            streams.attach(StreamId::new(id), &stage2).unwrap();
        }
    }
    (smmu, streams)
}

/// Does what a script of the plan says, by hand; waits as the manual has it.
fn replay(smmu: &Smmu, own: &plan::Smmu, script: &plan::SmmuScript, next: &mut u32) {
    let frame = smmu.frame();
    for step in &script.steps {
        match step {
            SmmuStep::Register { offset, value, bytes: 8, .. } => {
                frame.write64(offset.0 as usize, value.0);
            }
            SmmuStep::Register { offset, value, .. } => {
                frame.write32(offset.0 as usize, value.0 as u32);
                // What the SMMU follows later.
                for register in [regs::CR0ACK, regs::IRQ_CTRLACK, regs::GBPA] {
                    (0..POLLS).for_each(|_| _ = frame.read32(register));
                }
            }
            SmmuStep::Entry { address, value } => smmu.write(address.value(), value.0),
            SmmuStep::Command { words, .. } => {
                let slots = 1 << own.command_bits;
                let at = own.commands.base.value() + u64::from(*next & (slots - 1)) * 16;
                smmu.write(at, words[0].0);
                smmu.write(at + 8, words[1].0);
                *next = (*next + 1) & (2 * slots - 1);
                frame.write32(regs::CMDQ_PROD, *next);
                (0..POLLS).for_each(|_| _ = frame.read32(regs::CMDQ_CONS));
            }
        }
    }
    assert_eq!(smmu.take_violations(), [], "{}", script.when);
}

/// Devices that an SMMU holds.
fn held(plan: &Plan, smmu: usize) -> impl Iterator<Item = &Master> {
    plan.masters.iter().filter(move |master| master.is_behind(smmu))
}

/// The device reaches all of its VM's memory, by the VM's addresses, and none of its neighbours.
fn reaches_its_own(plan: &Plan, smmu: &Smmu, master: &Master, id: u32) {
    let dma = |address, write| smmu.dma(Dma { stream: StreamId::new(id), address, write });
    for piece in &plan.vms[master.vm].memory {
        assert_ne!(piece.ipa.value(), piece.pa.value(), "identity would prove nothing");
        for offset in [0, 0x1234, piece.bytes - 1] {
            let reached = Outcome::Translated(piece.pa.value() + offset);
            assert_eq!(dma(piece.ipa.value() + offset, true), reached);
            assert_eq!(dma(piece.ipa.value() + offset, false), reached);
        }
        let end = piece.ipa.value() + piece.bytes;
        assert_eq!(dma(end, true), Outcome::Aborted, "behind its memory");
        assert_eq!(dma(piece.pa.value(), true), Outcome::Aborted, "as CPUs have it");
    }
}

#[test]
fn a_device_reaches_its_vms_memory_by_the_vms_addresses() {
    let plan = stand_in::at(SYSTEM);
    let (smmu, _streams) = boot(&plan, 0);
    let own = &plan.smmus[0];
    assert_eq!(plan.masters.len(), plan.functions.len());
    for master in held(&plan, 0) {
        let id = master.streams[0];
        let dma = |address, write| smmu.dma(Dma { stream: StreamId::new(id), address, write });
        reaches_its_own(&plan, &smmu, master, id);
        // Messages are written, and nothing is read there.
        assert_eq!(dma(TRANSLATER, false), Outcome::Aborted);
        assert_eq!(dma(TRANSLATER, true), Outcome::Translated(TRANSLATER));
        let gic = plan.board.distributor.value();
        let el2 = plan.hypervisor.image.value();
        for address in
            [gic, el2, own.table.base.value(), own.commands.base.value(), own.base.value()]
        {
            // Where EL2 has its tables, the VM may see memory of its own.
            assert_ne!(dma(address, true), Outcome::Translated(address), "{address:#x}");
        }
        for bar in plan.functions.iter().flat_map(|function| &function.bars) {
            assert_eq!(dma(bar.base.value(), true), Outcome::Aborted, "no device reaches another");
        }
    }
}

#[test]
fn the_scripts_of_the_plan_are_all_that_an_smmu_needs() {
    for system in [SYSTEM, "tests/plans/systems/smmus.toml"] {
        let plan = stand_in::at(system);
        for (number, own) in plan.smmus.iter().enumerate() {
            let (smmu, mut next) = (Smmu::new(Config { gerror: 0, ..Config::STRICT }), 0);
            let tables = &plan.hypervisor;
            for (n, word) in tables.tables_bin.chunks_exact(8).enumerate() {
                let value = u64::from_le_bytes(word.try_into().unwrap());
                smmu.write(tables.tables.value() + 8 * n as u64, value);
            }
            let nothing_passes = |when: &str| {
                for id in held(&plan, number).flat_map(|master| &master.streams) {
                    let address = plan.vms[0].memory[0].pa.value();
                    let dma = Dma { stream: StreamId::new(*id), address, write: true };
                    assert_eq!(smmu.dma(dma), Outcome::Aborted, "{id:#x}: {when}");
                }
            };
            let mut scripts = own.scripts.iter();
            replay(&smmu, own, scripts.next().unwrap(), &mut next);
            nothing_passes("boot");
            for master in held(&plan, number) {
                let (starts, stops) = (scripts.next().unwrap(), scripts.next().unwrap());
                assert_eq!(starts.when, format!("{} starts", master.name));
                replay(&smmu, own, starts, &mut next);
                for &id in &master.streams {
                    reaches_its_own(&plan, &smmu, master, id);
                }
                replay(&smmu, own, stops, &mut next);
                nothing_passes(&stops.when);
            }
            assert_eq!(scripts.next(), None);
        }
    }
}

#[test]
fn a_device_that_no_vm_has_is_aborted_and_recorded_on_a_bus_of_the_table() {
    let plan = stand_in::at(SYSTEM);
    let (smmu, _streams) = boot(&plan, 0);
    let own = &plan.smmus[0];
    let ring = Ring::events(own.events.base.value(), own.event_bits).unwrap();
    let mut events = EventQueue::new(smmu.frame(), smmu.events(ring), own.event_bits);
    for (id, kind) in [(0x8, Some(Kind::BadSte)), (0xff, Some(Kind::BadSte)), (0x1000, None)] {
        let dma = Dma { stream: StreamId::new(id), address: 0x4000_0000, write: true };
        assert_eq!(smmu.dma(dma), Outcome::Aborted);
        let mut seen = Vec::new();
        events.drain(8, |event| seen.push((event.kind, event.stream.value())));
        assert_eq!(seen, kind.map(|kind| (kind, id)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn each_smmu_holds_its_own_devices() {
    let plan = stand_in::at("tests/plans/systems/smmus.toml");
    let shapes: Vec<_> = plan.smmus.iter().map(|smmu| (smmu.table_bits, smmu.split)).collect();
    assert_eq!(shapes, [(8, None), (16, Some(8))]);
    let wires: Vec<_> = plan.smmus.iter().map(|smmu| (smmu.error_intid, smmu.edge)).collect();
    assert_eq!(wires, [(41, true), (43, false)], "the second has one for both");
    let leaves: Vec<_> = plan.smmus[1].leaves.iter().map(|leaf| (leaf.index, leaf.bits)).collect();
    // A PCI function at 81:00.0; a platform device's 0x0305 and 0x0340.
    assert_eq!(leaves, [(3, 7), (0x81, 0)]);
    for number in 0..plan.smmus.len() {
        let (smmu, _streams) = boot(&plan, number);
        let mut count = 0;
        for master in held(&plan, number) {
            for &id in &master.streams {
                reaches_its_own(&plan, &smmu, master, id);
                count += 1;
            }
        }
        assert_eq!(count, [1, 3][number]);
        let other = held(&plan, 1 - number).flat_map(|master| &master.streams);
        for &id in other {
            let dma = Dma { stream: StreamId::new(id), address: 0x4000_0000, write: true };
            assert_eq!(smmu.dma(dma), Outcome::Aborted, "{id:#x} of the other one");
        }
    }
}

#[test]
fn without_an_smmu_the_plan_differs_in_what_devices_reach_and_nothing_else() {
    let with = stand_in::at("tests/plans/systems/held.toml");
    let without = stand_in::at("tests/plans/systems/trusted.toml");
    assert!(with.masters.iter().all(|master| !master.trusted));
    assert!(without.masters.iter().all(|master| master.trusted));
    // All but where EL2's own tables lie, and where copies of payloads do.
    let rest = |plan: &Plan| {
        let mut plan = serde_json::to_value(plan).unwrap();
        for vm in plan["vms"].as_array_mut().unwrap() {
            let vm = vm.as_object_mut().unwrap();
            for key in ["vttbr", "loads"] {
                vm.remove(key).unwrap();
            }
        }
        let keys =
            ["vms", "functions", "bridges", "spis", "shared_memory", "channel_ends", "events"];
        (keys.map(|key| plan[key].clone()), plan["its"]["device_id_bits"].clone())
    };
    assert_eq!(rest(&with), rest(&without));
}

#[test]
fn an_smmu_of_nobodys_is_closed_and_an_unsupported_one_is_named() {
    let plan = stand_in::at("tests/qemu/systems/smmu-closed.toml");
    assert_eq!((plan.smmus.len(), plan.closed_smmus.len()), (0, 1));
    assert_eq!(plan.closed_smmus[0].base.value(), 0x0905_0000);
    let text = codegen::emit::report::text(&plan);
    assert!(text.contains("  smmu0: aborts everything, no VM's device is behind it\n"), "{text}");
    let plan = stand_in::at("tests/bad/W844-iommu.toml");
    let text = codegen::emit::report::text(&plan);
    let says = "trusted: can reach all memory; iommu0, an SMMUv2, is not supported";
    assert!(text.contains(says), "{text}");
}

#[test]
fn nothing_of_an_smmu_is_planned_where_no_device_is_behind_one() {
    for name in ["demo", "msix", "hello"] {
        let plan = stand_in::of(name);
        assert!(plan.smmus.is_empty());
        assert!(plan.masters.iter().all(|master| master.trusted));
        let items = &plan.hypervisor.items;
        assert!(items.iter().all(|item| !item.name.contains("stream table")));
    }
}
