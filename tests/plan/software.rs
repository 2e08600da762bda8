// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A plan's ITS script on the software GIC: every event reaches its vPE, resident or not, on a
//! GICv4.0 and on a GICv4.1; where EL2 lists events, its vPE's CPU, as the LPI that says which one
//! it is.

use codegen::plan::{Plan, VpeIndex};
use gicv4::boot::{self, Assembly, CpuTables};
use gicv4::command::{Command, SgiChange, Version};
use gicv4::dist::Dist;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::its::{self, Its, Table};
use gicv4::layout::{Attributes, PageSize, TableKind};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{self, Config, Gic, TableRegister, VlpiFrame};
use gicv4::queue::Queue;
use gicv4::redist::{self, Redist};
use gicv4::residency::{Direct, Form};
use gicv4::vpe41::{NonResidentV41, Reason, VacantV41, pending_sgis, send_sgi};
use gicv4::{DeviceId, EventId, IntId, VpeId};

use crate::stand_in;

const POLLS: u32 = 1000;
const PRIORITY: u8 = 0xa0;

/// A GIC as boot leaves it.
pub struct Machine {
    pub gic: Gic,
    pub queue: ModelQueue,
    /// GICv4.1: by CPU, while no vPE is resident.
    vacants: Vec<Option<VacantV41<VlpiFrame>>>,
}

impl Machine {
    /// The vPE is resident on `cpu` for a while, and then waits for its doorbell. Whether something
    /// is pending for it then.
    pub fn visit(
        &mut self,
        plan: &Plan,
        vpe: VpeIndex,
        cpu: u16,
        inside: impl FnOnce(&Gic),
    ) -> bool {
        let tables = plan.vpes[vpe].tables.unwrap();
        let (config, pending) =
            (model::base(tables.vpropbaser.0), model::base(tables.vpendbaser.0));
        let slow = || panic!("Dirty clears in time");
        let mut bell = Doorbell::Silent;
        if plan.v41().is_some() {
            type V41 = Direct<true>;
            let place = &mut self.vacants[usize::from(cpu)];
            let vacant = place.take().expect("nobody is resident");
            let absent = NonResidentV41::new(tables.vpendbaser.0);
            let (resident, todo) = V41::enter(absent, vacant, &mut bell);
            assert_eq!(todo, Todo::Nothing);
            inside(&self.gic);
            let (_, vacant, pending) = V41::leave(resident, Reason::Blocked, POLLS, slow);
            *place = Some(vacant);
            return pending;
        }
        type V40 = Direct<false>;
        let bits = plan.its.as_ref().unwrap().vintid_bits;
        let vacant = V40::take(self.gic.vlpis(cpu), bits, POLLS).unwrap();
        let (resident, _) = V40::enter(V40::absent(config, pending), vacant, &mut bell);
        inside(&self.gic);
        V40::leave(resident, Reason::Blocked, POLLS, slow).2
    }
}

/// The GIC as boot leaves it, and the ITS's command queue. The strictest GIC that the plan allows,
/// brought up by the functions that boot uses, with CPUs that arrive in another order than they are
/// started.
pub fn boot(plan: &Plan) -> Machine {
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
    let mut vacants: Vec<_> = plan.cpus.iter().map(|_| None).collect();
    for (number, cpu) in plan.cpus.iter().enumerate().rev() {
        gic.power_up(number as u16);
        let frame = gic.redistributor(number as u16);
        let processor = (!its.by_address).then_some(cpu.processor);
        let (lpis, virtual_lpis, stride) = (true, Some(version(plan)), redist::stride(true));
        let v41 = plan.v41().map(|v41| redist::ExpectV41 {
            common_affinity: v41.common_affinity,
            virtual_sgis: v41.virtual_sgis,
            invalidates: v41.invalidates,
        });
        let mpidr = gic_mpidr(number as u16);
        Redist::new(&frame)
            .verify(&redist::Expect { mpidr, processor, lpis, stride, virtual_lpis, v41 })
            .unwrap();
        let tables = CpuTables {
            priority: PRIORITY,
            lpis: (cpu.propbaser.0 != 0)
                .then_some((model::base(cpu.propbaser.0), model::base(cpu.pendbaser.0))),
            inherited: &[],
        };
        let residency = (!plan.is_listed()).then(|| (gic.vlpis(number as u16), its.vintid_bits));
        let ready = if plan.v41().is_some() {
            let (ready, vacant) =
                boot::redistributor::<Direct<true>, _, _>(&frame, residency, &tables, POLLS)
                    .unwrap();
            vacants[number] = vacant;
            ready
        } else {
            boot::redistributor::<Direct<false>, _, _>(&frame, residency, &tables, POLLS).unwrap().0
        };
        everyone = assembly.arrive(ready).unwrap();
    }
    let everyone = everyone.expect("the last CPU is the last");
    let tables = its.tables.iter().map(|table| given(plan, table));
    let slots = (its.queue.bytes / 32) as u32;
    let script: Vec<_> = its.script.iter().map(|line| line.words.map(|word| word.0)).collect();
    let script = model::vet(&script);
    let queue = (model::base(its.cbaser.0), gic.queue(its.queue.base.value(), slots));
    let tables = tables.collect::<Vec<_>>();
    let queue = match plan.v41() {
        Some(v41) => {
            let frames = (0..plan.cpus.len() as u16).map(|cpu| gic.vlpis(cpu));
            let own = v41.vpe_table.as_ref().map(|table| given(plan, table));
            let redistributors = (frames, own);
            let its = gic.its();
            boot::translation_service_v41(
                &everyone,
                its,
                tables,
                queue,
                redistributors,
                &script,
                POLLS,
            )
        }
        None => boot::translation_service(&everyone, gic.its(), tables, queue, &script, POLLS),
    };
    let queue = queue.unwrap();
    assembly.open(everyone);
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));
    Machine { gic, queue, vacants }
}

/// Memory of the plan's for the GIC.
fn given(plan: &Plan, table: &codegen::plan::ItsTable) -> Table {
    Table {
        kind: TableKind::from_field(table.kind.into()).unwrap(),
        memory: model::memory(table.memory.base.value(), table.memory.bytes),
        entries: table.entries.into(),
        entry_bytes: table.entry_bytes,
        attributes: match plan.board.gic_coherent {
            true => Attributes::COHERENT,
            false => Attributes::UNCACHED,
        },
    }
}

pub fn version(plan: &Plan) -> Version {
    if plan.v41().is_some() { Version::V4_1 } else { Version::V4_0 }
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
        ..strictest_of_version(plan)
    }
}

fn strictest_of_version(plan: &Plan) -> Config {
    let Some(v41) = plan.v41() else { return Config::V4_0 };
    Config {
        // The model's CPUs have affinities of their own, which agree in two fields.
        common_affinity: v41.common_affinity.min(2),
        shared_vpe_table: if v41.vpe_table.is_none() { 2 } else { 0 },
        virtual_sgis: v41.virtual_sgis,
        invalidation_registers: v41.invalidates,
        ..Config::V4_1
    }
}

/// Rings every event twice.
pub fn deliver(plan: &Plan) {
    if plan.its.is_none() {
        return;
    }
    let mut machine = boot(plan);
    for (number, event) in plan.translated().enumerate() {
        if plan.is_listed() {
            ring_listed(plan, &machine.gic, number, event);
            continue;
        }
        if plan.v41().is_some() {
            ring_while_it_waits(plan, &mut machine, event);
        } else {
            ring_while_away(plan, &machine.gic.clone(), &mut machine.queue, event);
        }
        ring_while_resident(plan, &mut machine, event);
        reconfigure(plan, &mut machine, event);
    }
    send_sgis(plan, &mut machine);
    let gic = &machine.gic;
    assert_eq!((gic.take_errors(), gic.take_violations()), (vec![], vec![]));
}

/// To each vPE that may have them from the GIC: off as boot leaves them, then one that its guest
/// has enabled, while it waits and while it is resident.
fn send_sgis(plan: &Plan, machine: &mut Machine) {
    let offered = |vpe: &&codegen::plan::Vpe| plan.has_virtual_sgis(&plan.vms[vpe.vm]);
    for (number, vpe) in (0..).zip(&plan.vpes).filter(|(_, vpe)| offered(vpe)) {
        let (index, id, cpu) = (VpeIndex::new(number), VpeId::new(number), vpe.cpu.value());
        let gic = machine.gic.clone();
        let (frames, change) = (gic.its_sgis(), |enabled| SgiChange::Configure {
            enabled,
            group1: true,
            priority: PRIORITY,
        });
        let bell = IntId::new(vpe.tables.unwrap().doorbell.intid);
        assert!(!machine.visit(plan, index, cpu, |_| ()), "nothing is pending");
        (0..16).for_each(|sgi| send_sgi(&frames, id, sgi));
        assert_eq!(gic.acknowledge(cpu), None, "disabled");
        assert_eq!(pending_sgis(&gic.vlpis(cpu), id, POLLS), Ok(0xffff));
        let clear = (1..16).map(|sgi| (sgi, SgiChange::Clear));
        for (sgi, change) in clear.chain([(0, change(true))]) {
            let commands = [Command::Vsgi { vpe: id, sgi, change }, Command::Vsync { vpe: id }];
            machine.queue.run_words(&commands.map(|command| command.encode())).unwrap();
        }
        let taken = |gic: &Gic| gic.acknowledge_virtual(cpu).map(|signal| signal.intid.value());
        let pending = machine.visit(plan, index, cpu, |gic| {
            assert_eq!((taken(gic), taken(gic)), (Some(0), None));
            send_sgi(&frames, id, 0);
            assert_eq!((taken(gic), taken(gic)), (Some(0), None));
        });
        assert!(!pending);
        send_sgi(&frames, id, 0);
        assert_eq!(gic.acknowledge(cpu).map(|signal| signal.intid), Some(bell), "it waits");
        machine.visit(plan, index, cpu, |gic| assert_eq!(taken(gic), Some(0)));
    }
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
        v41: plan.v41().map(|v41| its::ExpectV41 {
            shared_vpe_table: v41.vpe_table.is_none(),
            virtual_sgis: v41.virtual_sgis,
            mpidr: gic_mpidr(0),
        }),
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

/// GICv4.1: the default doorbell of a vPE that waits rings once, and no command unmasks it.
fn ring_while_it_waits(plan: &Plan, machine: &mut Machine, event: &codegen::plan::EventRoute) {
    let (cpu, tables) = (plan.vpes[event.vpe].cpu.value(), plan.vpes[event.vpe].tables.unwrap());
    let (device, id) = (DeviceId::new(event.device), EventId::new(event.event));
    assert!(!machine.visit(plan, event.vpe, cpu, |_| ()), "nothing is pending");
    let gic = &machine.gic;
    for rings in [true, false] {
        gic.msi(device, id).unwrap();
        let doorbell = gic.acknowledge(cpu).map(|signal| signal.intid);
        assert_eq!(doorbell, rings.then_some(IntId::new(tables.doorbell.intid)), "{event:?}");
    }
    assert!(gic.is_pending(VpeId::new(event.vpe.value()), IntId::new(event.vintid)));
}

/// What was pending arrives when the vPE becomes resident; what comes then arrives at once.
fn ring_while_resident(plan: &Plan, machine: &mut Machine, event: &codegen::plan::EventRoute) {
    let cpu = plan.vpes[event.vpe].cpu.value();
    let pending = machine.visit(plan, event.vpe, cpu, |gic| {
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
    });
    assert!(!pending);
}

/// The guest masks the event and unmasks it, by the register or by commands as the plan says.
fn reconfigure(plan: &Plan, machine: &mut Machine, event: &codegen::plan::EventRoute) {
    let (vpe, cpu) = (VpeId::new(event.vpe.value()), plan.vpes[event.vpe].cpu.value());
    let (device, id) = (DeviceId::new(event.device), EventId::new(event.event));
    let table = plan.vms[plan.vpes[event.vpe].vm].vlpi_config;
    let (gic, vintid) = (machine.gic.clone(), IntId::new(event.vintid));
    for enabled in [false, true] {
        let mut config = gic.config_table(table.base.value(), table.bytes as u32);
        config.store(vintid, LpiConfig::new(PRIORITY, enabled));
        config.publish();
        if plan.v41().is_some_and(|v41| v41.invalidates) {
            Redist::new(gic.redistributor(cpu)).invalidate(Some(vpe), vintid, POLLS).unwrap();
        } else {
            let commands = [Command::Inv { device, event: id }, Command::Vsync { vpe }];
            machine.queue.run_words(&commands.map(|command| command.encode())).unwrap();
        }
        gic.msi(device, id).unwrap();
        let found = |gic: &Gic| gic.acknowledge_virtual(cpu).map(|signal| signal.intid);
        let mut taken = None;
        machine.visit(plan, event.vpe, cpu, |gic| taken = found(gic));
        assert_eq!(taken, enabled.then_some(vintid), "{event:?}");
    }
    // GICv4.0's doorbell has rung, masked.
    if plan.v41().is_none() {
        let bell = plan.vpes[event.vpe].tables.unwrap().doorbell;
        let (device, event) = (DeviceId::new(bell.device), EventId::new(bell.event));
        machine.queue.run_words(&[Command::Clear { device, event }.encode()]).unwrap();
        gic.settle();
    }
    while gic.acknowledge(cpu).is_some() {}
}

#[test]
fn every_event_of_the_demo_reaches_its_vpe() {
    let plan = stand_in::of("demo");
    assert!(plan.events.len() >= 4);
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

/// Systems that a user sees on a GICv4.0, with a GICv4.1: with its vPE table at the redistributors
/// or one of their own, with registers that invalidate or without.
#[test]
fn every_system_runs_on_a_gicv41() {
    let configs = tests::root().join("configs");
    let (mut tried, mut sgis) = (0, 0);
    for entry in std::fs::read_dir(configs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        if !stand_in::load(&format!("configs/{name}.toml")).board.gic.direct_injection() {
            continue;
        }
        for differs in [false, true] {
            let plan = stand_in::of_v41(&format!("configs/{name}.toml"), differs);
            crate::rules::hold(&plan);
            assert_eq!(plan.v41().is_some(), plan.its.is_some(), "{name}");
            deliver(&plan);
            tried += usize::from(plan.its.is_some());
            sgis += usize::from(plan.v41().is_some_and(|v41| v41.virtual_sgis));
        }
    }
    assert!(tried >= 16 && sgis >= 2, "{tried}, {sgis} with virtual SGIs");
}
