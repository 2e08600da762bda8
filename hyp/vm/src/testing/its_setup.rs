// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a board with an ITS is made from: its kinds, its plan, and a GIC that boot has brought up.

use super::{GICD, GICR, leak};
use crate::router::physical;
use gicv4::{
    IntId, VpeId,
    command::{Command, ConfigAddress, VpeMappingV41, Vpt},
    its::{Its, Table},
    layout::{self, Attributes, Room, TableKind},
    model::{self, Config, Gic, ItsFrame, ModelQueue, VlpiFrame},
    queue::Queue,
    redist::Redist,
    vpe_table,
    vpe41::VacantV41,
};
use plan::{
    Doorbell, EventRoute, Ipa, ItsPolicy, Mapping, Mmio, MmioKind, Pa, Plan, Span, Vm, VmIndex,
    Vpe, VpeIndex, VpeTables,
};
use std::{collections::VecDeque, vec::Vec};

pub const GITS: u64 = 0x0808_0000;
/// Where a guest sees its memory, how much it is, and where it lets its tables lie.
pub const MEMORY: u64 = 0x4000_0000;
pub const MEMORY_BYTES: u64 = 0x20_0000;
pub const QUEUE: u64 = MEMORY + 0x1_0000;
pub const PROPERTIES: u64 = MEMORY + 0x2_0000;
pub const PENDING: u64 = MEMORY + 0x3_0000;

pub const POLLS: u32 = 1000;
pub const BITS: u8 = 14;
pub const DOORBELLS: u32 = 0x1fe;
pub const RINGS: u32 = 0x1ff;
/// (device, event, vINTID, vPE): what the plan says.
pub const EVENTS: [(u32, u32, u32, u16); 9] = [
    (0x10, 0, 8192, 0),
    (0x10, 1, 8193, 1),
    (0x10, 3, 8194, 0),
    (0x18, 0, 8195, 1),
    (0x20, 0, 8192, 2),
    (0x20, 1, 8193, 3),
    (0x20, 2, 8300, 2),
    (RINGS, 0, 8200, 0),
    (RINGS, 1, 8200, 2),
];

/// Physical memory of a VM, and its virtual configuration table.
pub const fn memory_of(vm: u64) -> u64 {
    0x6000_0000 + vm * 0x1000_0000
}
pub const fn config_of(vm: u64) -> u64 {
    0x5400_0000 + vm * 0x1_0000
}

/// How events are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    V4_0,
    V4_1,
    Listed,
}

pub const KINDS: [Kind; 3] = [Kind::V4_0, Kind::V4_1, Kind::Listed];

/// Configuration of physical LPIs.
pub const LPI_CONFIG: u64 = 0x5100_0000;

fn vm(number: u64, its: ItsPolicy) -> Vm {
    let region = |base, bytes, kind| Mmio { base: Ipa::new(base), bytes, kind };
    Vm {
        memory: leak([Mapping {
            ipa: Ipa::new(MEMORY),
            pa: Pa::new(memory_of(number)),
            bytes: MEMORY_BYTES,
        }]),
        mmio: leak([
            region(GICD, 0x1_0000, MmioKind::Distributor),
            region(GITS, 0x1_0000, MmioKind::Its),
            region(GICR, 0x4_0000, MmioKind::Redistributors),
        ]),
        vlpi_config: Span { base: Pa::new(config_of(number)), bytes: 0x2000 },
        ..super::vm("guest", 2 * number as u16, 2, 0, (0, 0), its)
    }
}

pub fn plan() -> &'static Plan {
    let vpe = |n: u16| Vpe {
        vm: VmIndex::new(n / 2),
        number: n % 2,
        cpu: plan::CpuIndex::new(n),
        slot: 0,
        tables: Some(VpeTables {
            vpropbaser: layout::vpropbaser(config_of(u64::from(n / 2)), BITS, Attributes::COHERENT)
                .unwrap(),
            vpendbaser: layout::vpendbaser(vpt(n), Attributes::COHERENT).unwrap(),
            doorbell: Doorbell {
                intid: 8192 + u32::from(n),
                device: DOORBELLS,
                event: u32::from(n),
            },
        }),
    };
    let events = EVENTS.map(|(device, event, vintid, vpe)| EventRoute {
        device,
        event,
        vintid,
        vpe: VpeIndex::new(vpe),
        source: "device",
        ring: device == RINGS,
    });
    let mut plan = super::plan_of(
        leak([vm(0, ItsPolicy::Remap), vm(1, ItsPolicy::Fixed)]),
        leak([0, 1, 2, 3].map(vpe)),
    );
    plan.events = leak(events);
    leak(plan)
}

pub const fn vpt(vpe: u16) -> u64 {
    0x5300_0000 + vpe as u64 * 0x1_0000
}

pub type Vacants = VecDeque<VacantV41<VlpiFrame>>;

pub fn bring_up(gic: &Gic, kind: Kind) -> (Queue<ItsFrame, ModelQueue>, Vacants) {
    for index in 0..0x2000 {
        let enabled = kind == Kind::Listed && index < EVENTS.len() as u64;
        gic.write_byte(LPI_CONFIG + index, physical(enabled).byte());
    }
    for cpu in 0..4u16 {
        gic.power_up(cpu);
        let redist = Redist::new(gic.redistributor(cpu));
        redist.wake(POLLS).unwrap();
        let propbaser = layout::propbaser(LPI_CONFIG, BITS, Attributes::COHERENT).unwrap();
        let pending = 0x5200_0000 + u64::from(cpu) * 0x1_0000;
        let pendbaser = layout::pendbaser(pending, true, Attributes::COHERENT).unwrap();
        let (propbaser, pendbaser) = (model::base(propbaser), model::base(pendbaser));
        redist.enable_lpis(propbaser, pendbaser, POLLS).unwrap();
    }
    let tables = [TableKind::Devices, TableKind::Collections, TableKind::Vpes];
    let tables = (0u64..).zip(tables).map(|(index, kind)| {
        let memory = model::memory(0x5000_0000 + index * 0x10_0000, 0x1_0000);
        let attributes = Attributes::COHERENT;
        Table { kind, memory, entries: 512, entry_bytes: 32, attributes }
    });
    let queue = Room { bytes: 0x1000, align: 0x1_0000 };
    let cbaser = model::base(layout::cbaser(0x5030_0000, queue, Attributes::COHERENT).unwrap());
    let mut vacants = VecDeque::new();
    let its = Its::new(gic.its());
    its.enable(tables.collect::<Vec<_>>(), cbaser, POLLS).unwrap();
    if kind == Kind::V4_1 {
        let take = |cpu| VacantV41::take(gic.vlpis(cpu), POLLS).unwrap();
        vacants.extend((0..4).map(take));
        vpe_table::install(&its, None, (0..4).map(|cpu| gic.vlpis(cpu))).unwrap();
    }
    (Queue::new(gic.its(), gic.queue(0x5030_0000, 128), POLLS), vacants)
}

/// VMAPP of a vPE in GICv4.1's form.
pub fn vmapp_v41(n: u16) -> Command {
    let (vpe, redistributor) = (VpeId::new(n), Config::V4_0.redistributor(n));
    let config = ConfigAddress::new(config_of(u64::from(n / 2))).unwrap();
    let (vpt, doorbell) = (Vpt::new(vpt(n), BITS).unwrap(), IntId::new(8192 + u32::from(n)));
    let mapping = VpeMappingV41 { redistributor, vpt, config, zeroed: true, doorbell };
    Command::VmappV41 { vpe, allocate: true, mapping: Some(mapping) }
}
