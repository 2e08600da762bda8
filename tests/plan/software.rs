//! A plan's ITS script on the software GIC: every event reaches its vPE, resident or not.

use codegen::plan::Decided;
use gicv4::command::{Command, Version};
use gicv4::its::{self, Its, Table};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{Config, Gic};
use gicv4::queue::Queue;
use gicv4::redist::Redist;
use gicv4::vpe::{NonResident, Vacant};
use gicv4::{DeviceId, EventId, IntId, VpeId};

use crate::stand_in;

const POLLS: u32 = 1000;

/// The GIC as boot leaves it, and the ITS's command queue.
pub fn boot(plan: &Decided) -> (Gic, ModelQueue) {
    let its = plan.its.as_ref().unwrap();
    let config = Config { cpus: plan.cpus.len() as u16, ..Config::V4_0 };
    let gic = Gic::new(config);
    let fill = |base: u64, bytes: &[u8]| {
        (base..).zip(bytes).for_each(|(address, &byte)| gic.write_byte(address, byte));
    };
    fill(its.lpi_config.base.0, &its.lpi_config_start);
    plan.vms.iter().for_each(|vm| fill(vm.vlpi_config.base.0, &vm.vlpi_config_start));
    for (number, cpu) in plan.cpus.iter().enumerate() {
        let redist = Redist::new(gic.redistributor(number as u16));
        redist.wake(POLLS).unwrap();
        if cpu.propbaser.0 != 0 {
            redist.enable_lpis(cpu.propbaser.0, cpu.pendbaser.0, POLLS).unwrap();
        }
    }
    let control = Its::new(gic.its());
    control.verify(&expect(plan)).unwrap();
    let tables = its.basers.iter().map(|baser| Table { index: baser.index, value: baser.value.0 });
    control.enable(tables.collect::<Vec<_>>(), its.cbaser.0, POLLS).unwrap();
    let slots = (its.queue.bytes / 32) as u32;
    let mut queue = Queue::new(gic.its(), gic.queue(its.queue.base.0, slots), POLLS);
    let script: Vec<_> = its.script.iter().map(|line| line.words.map(|word| word.0)).collect();
    queue.run(&script).unwrap();
    assert_eq!(gic.take_errors(), []);
    (gic, queue)
}

/// Rings every event twice.
pub fn deliver(plan: &Decided) {
    let Some(its) = &plan.its else { return };
    let (gic, mut queue) = boot(plan);
    for event in &its.events {
        ring_while_away(plan, &gic, &mut queue, event);
        ring_while_resident(plan, &gic, event);
    }
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));
}

fn expect(plan: &Decided) -> its::Expect {
    let its = plan.its.as_ref().unwrap();
    its::Expect {
        device_id_bits: its.device_id_bits,
        event_id_bits: its.event_id_bits,
        collection_id_bits: 4,
        entry_bytes: its.entry_bytes,
        virtual_lpis: true,
        v41: false,
        redistributor_addresses: false,
    }
}

pub type ModelQueue = Queue<gicv4::model::ItsFrame, gicv4::model::ModelQueue>;

/// The doorbell rings on the vPE's CPU once it is unmasked; the vLPI stays pending.
fn ring_while_away(
    plan: &Decided,
    gic: &Gic,
    queue: &mut ModelQueue,
    event: &codegen::plan::EventRoute,
) {
    let its = plan.its.as_ref().unwrap();
    let vpe = &plan.vpes[event.vpe];
    let (cpu, tables) = (vpe.cpu as u16, vpe.tables.unwrap());
    let (device, id) = (DeviceId::new(event.device), EventId::new(event.event));
    let proxy = (DeviceId::new(tables.proxy_device), EventId::new(tables.proxy_event));
    let bytes = its.lpi_config.bytes as u32;
    let mut config = gic.config_table(its.lpi_config.base.0, bytes);
    let doorbell = IntId::new(tables.doorbell);
    gic.msi(device, id).unwrap();
    assert_eq!(gic.signal(cpu), None, "doorbells begin masked");
    for enabled in [true, false] {
        config.store(doorbell, LpiConfig::new(0xa0, enabled));
        queue.run(&[Command::Inv { device: proxy.0, event: proxy.1 }.encode()]).unwrap();
        let signal = gic.signal(cpu).map(|signal| signal.intid);
        assert_eq!(signal, enabled.then_some(doorbell), "{event:?}");
    }
    queue.run(&[Command::Clear { device: proxy.0, event: proxy.1 }.encode()]).unwrap();
    for other in 0..plan.cpus.len() as u16 {
        assert_eq!(gic.signal(other), None);
    }
    assert!(gic.is_pending(VpeId::new(event.vpe as u16), IntId::new(event.vintid)));
}

/// What was pending arrives when the vPE becomes resident; what comes then arrives at once.
fn ring_while_resident(plan: &Decided, gic: &Gic, event: &codegen::plan::EventRoute) {
    let vpe = &plan.vpes[event.vpe];
    let (cpu, tables) = (vpe.cpu as u16, vpe.tables.unwrap());
    let vacant = Vacant::take(gic.redistributor(cpu), POLLS).unwrap();
    let away = NonResident::new(tables.vpropbaser.0, tables.vpendbaser.0);
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
