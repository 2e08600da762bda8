//! A plan's stream table and the devices' stage 2 on the software SMMU: each device reaches its VM's
//! memory by the VM's addresses, and nothing else.

use codegen::plan::Decided;
use smmu::StreamId;
use smmu::event::Kind;
use smmu::event_queue::EventQueue;
use smmu::model::{Config, Dma, ModelCommands, ModelFrame, ModelTable, Outcome, Smmu};
use smmu::ste::Stage2;
use smmu::stream::Streams;
use smmu::table::{Shape, StreamTable};
use smmu::unit::{Ring, Setup, Unit};

use crate::stand_in;

const SYSTEM: &str = "tests/qemu/systems/smmu.toml";
const POLLS: u32 = 100;
const TRANSLATER: u64 = 0x0809_0040;

type Driver = Streams<'static, ModelFrame, ModelCommands, ModelTable>;

/// As boot does it, with the functions that boot uses, on tables as the image holds them.
fn boot(plan: &Decided) -> (Smmu, Driver) {
    let own = plan.smmu.as_ref().unwrap();
    let smmu = Smmu::new(Config::STRICT);
    let tables = &plan.hypervisor;
    for (n, word) in tables.tables_bin.chunks_exact(8).enumerate() {
        let value = u64::from_le_bytes(word.try_into().unwrap());
        smmu.write(tables.tables.0 + 8 * n as u64, value);
    }
    let table = Shape::linear(own.table_bits).unwrap();
    let table = StreamTable::linear(own.table.base.0, table).unwrap();
    let commands = Ring::commands(own.commands.base.0, own.command_bits).unwrap();
    let events = Ring::events(own.events.base.0, own.event_bits).unwrap();
    assert_eq!(own.table.bytes, 64 << own.table_bits);
    assert_eq!(own.commands.bytes, 16 << own.command_bits);
    assert_eq!(own.events.bytes, 32 << own.event_bits);
    let unit = Unit::new(smmu.frame());
    unit.abort_all(POLLS).unwrap();
    let setup = Setup { table, commands, events, coherent: true };
    let queue = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap();
    let mut streams = Streams::new(table, smmu.table(), queue);
    for stream in &own.streams {
        let stage2 = Stage2::from_registers(stream.vttbr.0, stream.vtcr.0).unwrap();
        streams.attach(StreamId::new(stream.id), &stage2).unwrap();
    }
    (smmu, streams)
}

#[test]
fn a_device_reaches_its_vms_memory_by_the_vms_addresses() {
    let plan = stand_in::at(SYSTEM);
    let (smmu, _streams) = boot(&plan);
    let own = plan.smmu.as_ref().unwrap();
    assert_eq!(own.streams.len(), plan.functions.len());
    for stream in &own.streams {
        let vm = &plan.vms[plan.functions[stream.function].vm];
        let dma =
            |address, write| smmu.dma(Dma { stream: StreamId::new(stream.id), address, write });
        for piece in &vm.memory {
            assert_ne!(piece.ipa, piece.pa, "identity would prove nothing");
            for offset in [0, 0x1234, piece.bytes - 1] {
                let reached = Outcome::Translated(piece.pa.0 + offset);
                assert_eq!(dma(piece.ipa.0 + offset, true), reached);
                assert_eq!(dma(piece.ipa.0 + offset, false), reached);
            }
            let end = piece.ipa.0 + piece.bytes;
            assert_eq!(dma(end, true), Outcome::Aborted, "behind its memory");
            assert_eq!(dma(piece.pa.0, true), Outcome::Aborted, "as CPUs have it");
        }
        // Messages are written, and nothing is read there.
        assert_eq!(dma(TRANSLATER, false), Outcome::Aborted);
        assert_eq!(dma(TRANSLATER, true), Outcome::Translated(TRANSLATER));
        let gic = plan.board.distributor.0;
        let el2 = plan.hypervisor.image.0;
        for address in [gic, el2, own.table.base.0, own.commands.base.0, own.base.0] {
            // Where EL2 has its tables, the VM may see memory of its own.
            assert_ne!(dma(address, true), Outcome::Translated(address), "{address:#x}");
        }
        for bar in plan.functions.iter().flat_map(|function| &function.bars) {
            assert_eq!(dma(bar.base.0, true), Outcome::Aborted, "no device reaches another");
        }
    }
}

#[test]
fn a_device_that_no_vm_has_is_aborted_and_recorded() {
    let plan = stand_in::at(SYSTEM);
    let (smmu, _streams) = boot(&plan);
    let own = plan.smmu.as_ref().unwrap();
    let ring = Ring::events(own.events.base.0, own.event_bits).unwrap();
    let mut events = EventQueue::new(smmu.frame(), smmu.events(ring), own.event_bits);
    for (id, kind) in [(0x8, Kind::BadSte), (0x1000, Kind::BadStreamId)] {
        let dma = Dma { stream: StreamId::new(id), address: 0x4000_0000, write: true };
        assert_eq!(smmu.dma(dma), Outcome::Aborted);
        let mut seen = Vec::new();
        events.drain(8, |event| seen.push((event.kind, event.stream.value())));
        assert_eq!(seen, [(kind, id)]);
    }
}

#[test]
fn nothing_of_an_smmu_is_planned_where_no_device_is_behind_one() {
    for name in ["demo", "msix", "hello"] {
        let plan = stand_in::of(name);
        assert!(plan.smmu.is_none());
        assert!(plan.hypervisor.items.iter().all(|item| !item.name.contains("SMMU")));
    }
}
