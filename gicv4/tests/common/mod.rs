// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board on the software GIC, brought up by the driver as a hypervisor would.
#![allow(dead_code, reason = "each test file uses its part")]

use gicv4::command::{Command, ConfigAddress, Itt, Version, VpeMapping, VpeMappingV41, Vpt};
use gicv4::dist::Dist;
use gicv4::doorbell::Proxy;
use gicv4::its::{self, Its, Table};
use gicv4::layout::{self, Attributes, Room, TableKind};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{self, Config, Gic, ItsFrame, ModelQueue, ModelTable, VlpiFrame};
use gicv4::queue::Queue;
use gicv4::redist::{self, Redist};
use gicv4::regs::gicr::{ConfigBase, PendingBase};
use gicv4::regs::gits::QueueBase;
use gicv4::vpe::{NonResident, Vacant};
use gicv4::vpe41::{NonResidentV41, VacantV41};
use gicv4::{CollectionId, DeviceId, EventId, IntId, VpeId, vpe_table};

pub const POLLS: u32 = 1000;
pub const BITS: u8 = 14;
pub const PRIORITY: u8 = 0xa0;

pub const DEVICES: u64 = 0x5000_0000;
pub const COLLECTIONS: u64 = 0x5010_0000;
pub const VPES: u64 = 0x5020_0000;
pub const OWN_VPES: u64 = 0x5028_0000;
pub const QUEUE: u64 = 0x5030_0000;
pub const LPI_CONFIG: u64 = 0x5100_0000;
const PENDING: u64 = 0x5200_0000;
const VPTS: u64 = 0x5300_0000;
const VCONFIGS: u64 = 0x5400_0000;
const ITTS: u64 = 0x5500_0000;

/// The proxy device; events are vPEIDs.
pub const PROXY: DeviceId = DeviceId::new(0x1ff);
/// The device whose events are mapped by tests.
pub const DEVICE: DeviceId = DeviceId::new(0x10);

pub const fn event(n: u32) -> EventId {
    EventId::new(n)
}
pub const fn vpe(n: u16) -> VpeId {
    VpeId::new(n)
}
pub const fn lpi(n: u32) -> IntId {
    IntId::new(8192 + n)
}

/// Pending table of a vPE.
pub const fn vpt(vpe: u16) -> u64 {
    VPTS + vpe as u64 * 0x1_0000
}
/// Virtual configuration table of a vPE.
pub const fn vconfig(vpe: u16) -> u64 {
    VCONFIGS + vpe as u64 * 0x1_0000
}
pub const fn pending(cpu: u16) -> u64 {
    PENDING + cpu as u64 * 0x1_0000
}
pub fn itt(device: DeviceId, event_bits: u8) -> Itt {
    Itt::new(ITTS + u64::from(device.value()) * 0x1000, event_bits).unwrap()
}
pub fn vpt_of(vpe: u16) -> Vpt {
    Vpt::new(vpt(vpe), BITS).unwrap()
}

pub fn expect(config: &Config) -> its::Expect {
    its::Expect {
        device_id_bits: 16,
        event_id_bits: 16,
        collection_id_bits: 8,
        entry_bytes: 12,
        virtual_lpis: true,
        v41: (config.version == Version::V4_1).then(|| its::ExpectV41 {
            shared_vpe_table: config.shared_vpe_table != 0,
            virtual_sgis: config.virtual_sgis,
            mpidr: config.mpidr(0),
        }),
        redistributor_addresses: config.redistributor_addresses,
        moves: config.single_vmovp,
    }
}

/// Memory for the model's three tables, in pages of any size: at least 512 devices, collections and
/// vPEs.
pub fn tables() -> [Table; 3] {
    let table = |kind, address| Table {
        kind,
        memory: model::memory(address, 0x1_0000),
        entries: 512,
        entry_bytes: 32,
        attributes: Attributes::COHERENT,
    };
    [
        table(TableKind::Devices, DEVICES),
        table(TableKind::Collections, COLLECTIONS),
        table(TableKind::Vpes, VPES),
    ]
}

/// The vPE table of redistributors that do not share the ITS's.
pub fn own_vpe_table() -> Table {
    Table {
        kind: TableKind::Vpes,
        memory: model::memory(OWN_VPES, 0x1_0000),
        entries: 512,
        entry_bytes: 32,
        attributes: Attributes::COHERENT,
    }
}

pub fn cbaser(pages: u64) -> QueueBase {
    let room = Room { bytes: pages * 0x1000, align: 0x1_0000 };
    model::base(layout::cbaser(QUEUE, room, Attributes::COHERENT).unwrap())
}

/// GICR_PROPBASER of every CPU.
pub fn propbaser() -> ConfigBase {
    model::base(layout::propbaser(LPI_CONFIG, BITS, Attributes::COHERENT).unwrap())
}

/// GICR_PENDBASER of a CPU, whose table is zero or not.
pub fn pendbaser(cpu: u16, zero: bool) -> PendingBase {
    model::base(layout::pendbaser(pending(cpu), zero, Attributes::COHERENT).unwrap())
}

/// The doorbell of a vPE is the LPI of the same number.
pub fn proxy(vpe: u16) -> Proxy {
    Proxy::new(lpi(vpe.into()), PROXY, event(vpe.into()))
}

/// Writes a configuration byte, as far as memory: the GIC still has its old copy.
pub fn configure(table: &mut ModelTable, intid: IntId, config: LpiConfig) {
    table.store(intid, config);
    table.publish();
}

pub struct Board {
    pub gic: Gic,
    pub config: Config,
    pub queue: Queue<ItsFrame, ModelQueue>,
    pub lpis: ModelTable,
    /// GICv4.1: redistributors that nobody is resident on.
    vacants: Vec<Option<VacantV41<VlpiFrame>>>,
}

impl Board {
    /// A GIC with redistributors and the ITS enabled, a collection for each CPU, DEVICE (32 events)
    /// and PROXY mapped.
    pub fn new(config: Config) -> Self {
        let gic = Gic::new(config);
        Dist::new(gic.distributor()).enable(PRIORITY, POLLS).unwrap();
        let is_v41 = config.version == Version::V4_1;
        let mut vacants = Vec::new();
        for cpu in 0..config.cpus {
            gic.power_up(cpu);
            let redist = Redist::new(gic.redistributor(cpu));
            let expect = redist::Expect {
                mpidr: config.mpidr(cpu),
                processor: Some(config.processor(cpu)),
                lpis: true,
                stride: redist::stride(true),
                virtual_lpis: Some(config.version),
                v41: is_v41.then_some(redist::ExpectV41 {
                    common_affinity: 3.min(config.common_affinity),
                    virtual_sgis: config.virtual_sgis,
                    invalidates: config.invalidation_registers,
                }),
            };
            redist.wake(POLLS).unwrap();
            redist.verify(&expect).unwrap();
            redist.reset_private(PRIORITY, POLLS).unwrap();
            redist.enable_lpis(propbaser(), pendbaser(cpu, true), POLLS).unwrap();
            if is_v41 {
                vacants.push(Some(VacantV41::take(gic.vlpis(cpu), POLLS).unwrap()));
            } else {
                Vacant::take(gic.vlpis(cpu), BITS, POLLS).unwrap();
            }
        }
        let its = Its::new(gic.its());
        its.verify(&expect(&config)).unwrap();
        its.enable(tables(), cbaser(1), POLLS).unwrap();
        if is_v41 {
            let frames = (0..config.cpus).map(|cpu| gic.vlpis(cpu));
            vpe_table::install(&its, Some(own_vpe_table()), frames).unwrap();
        }
        let queue = Queue::new(gic.its(), gic.queue(QUEUE, 128), POLLS);
        let lpis = gic.config_table(LPI_CONFIG, 8192);
        let mut board = Self { gic, config, queue, lpis, vacants };
        for cpu in 0..config.cpus {
            let redistributor = Some(config.redistributor(cpu));
            board.run(&[Command::Mapc { collection: CollectionId::new(cpu), redistributor }]);
        }
        board.run(&[
            Command::Mapd { device: DEVICE, itt: Some(itt(DEVICE, 5)) },
            Command::Mapd { device: PROXY, itt: Some(itt(PROXY, 5)) },
        ]);
        board
    }

    /// As [`Self::new`], with vPEs 0..`vpes`, all on CPU 0, all vLPIs enabled, doorbells mapped and
    /// masked.
    pub fn with_vpes(config: Config, vpes: u16) -> Self {
        let mut board = Self::new(config);
        for n in 0..vpes {
            board.enable_vlpis(n);
            let mask = proxy(n).mask(&mut board.lpis, config.redistributor(0));
            board.run(&[proxy(n).map(CollectionId::new(0)), board.vmapp(n)]);
            board.queue.run(mask.as_slice()).unwrap();
            board.run(&[Command::Vinvall { vpe: vpe(n) }, Command::Vsync { vpe: vpe(n) }]);
        }
        board
    }

    pub fn vmapp(&self, n: u16) -> Command {
        let redistributor = self.config.redistributor(0);
        let (vpe, vpt) = (vpe(n), vpt_of(n));
        if self.is_v41() {
            let config = ConfigAddress::new(vconfig(n)).unwrap();
            let doorbell = lpi(n.into());
            let mapping = VpeMappingV41 { redistributor, vpt, config, zeroed: true, doorbell };
            Command::VmappV41 { vpe, allocate: true, mapping: Some(mapping) }
        } else {
            Command::Vmapp { vpe, mapping: Some(VpeMapping { redistributor, vpt }) }
        }
    }

    pub fn is_v41(&self) -> bool {
        self.config.version == Version::V4_1
    }

    pub fn enable_vlpis(&mut self, n: u16) {
        let mut table = self.vconfigs(n);
        for intid in 0..64 {
            table.store(lpi(intid), LpiConfig::new(PRIORITY, true));
        }
        table.publish();
    }
    pub fn vconfigs(&self, n: u16) -> ModelTable {
        self.gic.config_table(vconfig(n), 8192)
    }

    /// Maps event `n` of DEVICE to vLPI 8192 + `vintid` on a vPE, with its doorbell.
    pub fn map(&mut self, n: u32, vintid: u32, to: u16) {
        let doorbell = if self.is_v41() { IntId::NONE } else { lpi(to.into()) };
        self.run(&[
            Command::Vmapti {
                device: DEVICE,
                event: event(n),
                vintid: lpi(vintid),
                vpe: vpe(to),
                doorbell,
            },
            Command::Vsync { vpe: vpe(to) },
        ]);
    }

    pub fn run(&mut self, commands: &[Command]) {
        let encoded: Vec<_> = commands.iter().map(Command::encode).collect();
        self.lpis.publish();
        self.queue.run_words(&encoded).unwrap();
        self.gic.settle();
    }

    /// Event `n` of DEVICE, as the device raises it.
    pub fn msi(&self, n: u32) {
        self.gic.msi(DEVICE, event(n)).unwrap();
    }

    pub fn unmask(&mut self, n: u16, cpu: u16) {
        let batch = proxy(n).unmask(&mut self.lpis, self.config.redistributor(cpu));
        self.queue.run(batch.as_slice()).unwrap();
    }

    pub fn vacant(&self, cpu: u16) -> Vacant<VlpiFrame> {
        Vacant::take(self.gic.vlpis(cpu), BITS, POLLS).unwrap()
    }
    pub fn non_resident(&self, n: u16) -> NonResident {
        NonResident::new(
            model::base(layout::vpropbaser(vconfig(n), BITS, Attributes::COHERENT).unwrap()),
            model::base(layout::vpendbaser(vpt(n), Attributes::COHERENT).unwrap()),
        )
    }
    /// Once for each CPU.
    pub fn vacant_v41(&mut self, cpu: u16) -> VacantV41<VlpiFrame> {
        self.vacants[usize::from(cpu)].take().unwrap()
    }
    pub fn non_resident_v41(&self, n: u16) -> NonResidentV41 {
        NonResidentV41::new(layout::vpendbaser_v41(vpe(n), false))
    }

    /// INTID that the CPU's resident vPE takes.
    pub fn take(&self, cpu: u16) -> Option<IntId> {
        self.gic.acknowledge_virtual(cpu).map(|signal| signal.intid)
    }
    /// LPI that the CPU itself takes.
    pub fn interrupt(&self, cpu: u16) -> Option<IntId> {
        self.gic.acknowledge(cpu).map(|signal| signal.intid)
    }

    /// No command failed, no rule was broken.
    #[track_caller]
    pub fn clean(&self) {
        assert_eq!(self.gic.take_errors(), []);
        assert_eq!(self.gic.take_violations(), []);
    }
}
