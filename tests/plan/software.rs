// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A plan's ITS script on the software GIC: every event reaches its vPE, resident or not; where EL2
//! lists events, its vPE's CPU, as the LPI that says which one it is.

use codegen::plan::Plan;
use gicv4::boot::{self, Assembly, CpuTables};
use gicv4::command::{Command, Version};
use gicv4::dist::Dist;
use gicv4::its::{self, Its, Table};
use gicv4::layout::{Attributes, PageSize, TableKind};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{self, Config, Gic, TableRegister};
use gicv4::queue::Queue;
use gicv4::redist::{self, Redist};
use gicv4::residency::Direct;
use gicv4::vpe::{NonResident, Vacant};
use gicv4::{DeviceId, EventId, IntId, VpeId};

use crate::stand_in;

const POLLS: u32 = 1000;
const PRIORITY: u8 = 0xa0;

/// The GIC as boot leaves it, and the ITS's command queue. The strictest GIC that the plan allows,
/// brought up by the functions that boot uses, with CPUs that arrive in another order than they are
/// started.
pub fn boot(plan: &Plan) -> (Gic, ModelQueue) {
    let its = plan.its.as_ref().unwrap();
    let gic = Gic::new(strictest(plan));
    let fill = |base: u64, bytes: &[u8]| {
        (base..).zip(bytes).for_each(|(address, &byte)| gic.write_byte(address, byte));
    };
    fill(its.lpi_config.base.value(), &its.lpi_config_start);
    plan.vms.iter().for_each(|vm| fill(vm.vlpi_config.base.value(), &vm.vlpi_config_start));
    Its::new(gic.its()).verify(&expect(plan)).unwrap();
    Dist::new(gic.distributor()).enable(PRIORITY, POLLS).unwrap();
    let assembly = Assembly::new(plan.cpus.len() as u32);
    let mut everyone = None;
    for (number, cpu) in plan.cpus.iter().enumerate().rev() {
        gic.power_up(number as u16);
        let frame = gic.redistributor(number as u16);
        let processor = (!its.by_address).then_some(cpu.processor);
        let (lpis, virtual_lpis, stride) = (true, Some(Version::V4_0), redist::stride(true));
        let mpidr = gic_mpidr(number as u16);
        Redist::new(&frame)
            .verify(&redist::Expect { mpidr, processor, lpis, stride, virtual_lpis, v41: None })
            .unwrap();
        let tables = CpuTables {
            priority: PRIORITY,
            lpis: (cpu.propbaser.0 != 0)
                .then_some((model::base(cpu.propbaser.0), model::base(cpu.pendbaser.0))),
            inherited: &[],
        };
        let residency = (!plan.is_listed()).then(|| (gic.vlpis(number as u16), its.vintid_bits));
        let (ready, _) =
            boot::redistributor::<Direct<false>, _, _>(&frame, residency, &tables, POLLS).unwrap();
        everyone = assembly.arrive(ready).unwrap();
    }
    let everyone = everyone.expect("the last CPU is the last");
    let tables = its.tables.iter().map(|table| Table {
        kind: TableKind::from_field(table.kind.into()).unwrap(),
        memory: model::memory(table.memory.base.value(), table.memory.bytes),
        entries: table.entries.into(),
        entry_bytes: table.entry_bytes,
        attributes: if plan.board.gic_coherent {
            Attributes::COHERENT
        } else {
            Attributes::UNCACHED
        },
    });
    let slots = (its.queue.bytes / 32) as u32;
    let script: Vec<_> = its.script.iter().map(|line| line.words.map(|word| word.0)).collect();
    let script = model::vet(&script);
    let queue = (model::base(its.cbaser.0), gic.queue(its.queue.base.value(), slots));
    let tables = tables.collect::<Vec<_>>();
    let queue =
        boot::translation_service(&everyone, gic.its(), tables, queue, &script, POLLS).unwrap();
    assembly.open(everyone);
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));
    (gic, queue)
}

fn gic_mpidr(cpu: u16) -> u64 {
    Config::V4_0.mpidr(cpu)
}

/// Everything that the plan does not rely on is as unlike QEMU as it can be.
fn strictest(plan: &Plan) -> Config {
    let its = plan.its.as_ref().unwrap();
    let processors: Vec<u16> = plan.cpus.iter().map(|cpu| cpu.processor).collect();
    let register = |table: &codegen::plan::ItsTable| {
        let large = (table.memory.base.value() | table.memory.bytes).is_multiple_of(0x1_0000);
        let kind = TableKind::from_field(table.kind.into()).unwrap();
        TableRegister::new(kind, table.entry_bytes, large.then_some(PageSize::Kib64))
    };
    let tables: Vec<_> = its.tables.iter().rev().map(register).collect();
    Config {
        cpus: plan.cpus.len() as u16,
        processors: processors.leak(),
        tables: tables.leak(),
        single_vmovp: its.moves,
        incoherent: !plan.board.gic_coherent,
        // Each visit here makes its vPE anew, and cannot give IDAI back.
        idai: false,
        ..Config::V4_0
    }
}

/// Rings every event twice.
pub fn deliver(plan: &Plan) {
    let Some(its) = &plan.its else { return };
    let (gic, mut queue) = boot(plan);
    for (number, event) in its.events.iter().enumerate() {
        if plan.is_listed() {
            ring_listed(plan, &gic, number, event);
            continue;
        }
        ring_while_away(plan, &gic, &mut queue, event);
        ring_while_resident(plan, &gic, event);
    }
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));
}

/// Two that come before the first is taken are one; it is nobody else's.
fn ring_listed(plan: &Plan, gic: &Gic, number: usize, event: &codegen::plan::EventRoute) {
    let cpu = plan.vpes[event.vpe].cpu.value();
    let lpi = IntId::new(8192 + number as u32);
    for _ in 0..2 {
        for _ in 0..2 {
            gic.msi(DeviceId::new(event.device), EventId::new(event.event)).unwrap();
        }
        gic.settle();
        for other in (0..plan.cpus.len() as u16).filter(|&other| other != cpu) {
            assert_eq!(gic.signal(other), None, "{event:?}");
        }
        let taken = gic.acknowledge(cpu).map(|signal| signal.intid);
        assert_eq!((taken, gic.signal(cpu)), (Some(lpi), None), "{event:?}");
    }
}

fn expect(plan: &Plan) -> its::Expect {
    let its = plan.its.as_ref().unwrap();
    its::Expect {
        device_id_bits: its.device_id_bits,
        event_id_bits: its.event_id_bits,
        collection_id_bits: its.collection_id_bits,
        entry_bytes: its.entry_bytes,
        virtual_lpis: true,
        v41: None,
        redistributor_addresses: its.by_address,
        moves: its.moves,
    }
}

pub type ModelQueue = Queue<gicv4::model::ItsFrame, gicv4::model::ModelQueue>;

/// The doorbell rings on the vPE's CPU once it is unmasked; the vLPI stays pending.
fn ring_while_away(
    plan: &Plan,
    gic: &Gic,
    queue: &mut ModelQueue,
    event: &codegen::plan::EventRoute,
) {
    let its = plan.its.as_ref().unwrap();
    let vpe = &plan.vpes[event.vpe];
    let (cpu, tables) = (vpe.cpu.value(), vpe.tables.unwrap());
    let (device, id) = (DeviceId::new(event.device), EventId::new(event.event));
    let proxy = (DeviceId::new(tables.doorbell.device), EventId::new(tables.doorbell.event));
    let bytes = its.lpi_config.bytes as u32;
    let mut config = gic.config_table(its.lpi_config.base.value(), bytes);
    let doorbell = IntId::new(tables.doorbell.intid);
    gic.msi(device, id).unwrap();
    assert_eq!(gic.signal(cpu), None, "doorbells begin masked");
    for enabled in [true, false] {
        config.store(doorbell, LpiConfig::new(0xa0, enabled));
        config.publish();
        queue.run_words(&[Command::Inv { device: proxy.0, event: proxy.1 }.encode()]).unwrap();
        gic.settle();
        let signal = gic.signal(cpu).map(|signal| signal.intid);
        assert_eq!(signal, enabled.then_some(doorbell), "{event:?}");
    }
    queue.run_words(&[Command::Clear { device: proxy.0, event: proxy.1 }.encode()]).unwrap();
    gic.settle();
    for other in 0..plan.cpus.len() as u16 {
        assert_eq!(gic.signal(other), None);
    }
    assert!(gic.is_pending(VpeId::new(event.vpe.value()), IntId::new(event.vintid)));
}

/// What was pending arrives when the vPE becomes resident; what comes then arrives at once.
fn ring_while_resident(plan: &Plan, gic: &Gic, event: &codegen::plan::EventRoute) {
    let vpe = &plan.vpes[event.vpe];
    let (cpu, tables) = (vpe.cpu.value(), vpe.tables.unwrap());
    let bits = plan.its.as_ref().unwrap().vintid_bits;
    let vacant = Vacant::take(gic.vlpis(cpu), bits, POLLS).unwrap();
    let away = NonResident::new(model::base(tables.vpropbaser.0), model::base(tables.vpendbaser.0));
    let resident = away.enter(vacant);
    for again in [true, false] {
        let signal = gic.acknowledge_virtual(cpu).map(|signal| signal.intid);
        assert_eq!(signal, Some(IntId::new(event.vintid)), "{event:?}");
        assert_eq!(gic.virtual_signal(cpu), None);
        if again {
            gic.msi(DeviceId::new(event.device), EventId::new(event.event)).unwrap();
        }
    }
    for other in (0..plan.cpus.len() as u16).filter(|&other| other != cpu) {
        assert_eq!((gic.virtual_signal(other), gic.signal(other)), (None, None));
    }
    let left = resident.leave(POLLS).unwrap().finish(POLLS).unwrap();
    drop(left);
}

#[test]
fn every_event_of_the_demo_reaches_its_vpe() {
    let plan = stand_in::of("demo");
    assert!(plan.its.as_ref().unwrap().events.len() >= 4);
    deliver(&plan);
}

#[test]
fn a_script_without_its_order_fails() {
    let mut plan = stand_in::of("demo");
    let its = plan.its.as_mut().unwrap();
    let is_vmapp = |words: [u64; 4]| {
        matches!(Command::decode_for(words, Version::V4_0), Ok(Command::Vmapp { .. }))
    };
    its.script.retain(|line| !is_vmapp(line.words.map(|word| word.0)));
    assert!(std::panic::catch_unwind(|| deliver(&plan)).is_err());
    assert!(std::panic::catch_unwind(|| crate::rules::hold(&plan)).is_err());
}
