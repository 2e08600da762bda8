// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board: what there is to be divided.
//!
//! Everything here comes from the board TOML. Addresses are physical, sizes bytes, interrupts
//! INTIDs.

use std::path::PathBuf;
use std::time::Duration;

use crate::emit::translation::MOST_BITS;

use super::quirk::Quirk;
use super::{
    At, Bar, Bdf, Bridge, Conduit, Controller, GicVersion, Iommu, Msix, PciId, Pcie, Pin, RdBase,
    Region, Smmu, Trigger, Uart,
};

#[derive(Clone, Debug)]
pub struct Board {
    /// The board TOML, as found.
    pub path: PathBuf,
    pub name: At<String>,
    pub description: String,
    /// Where the description comes from, for people.
    pub source: Option<String>,
    /// How an image is started there, for people.
    pub boot: Option<String>,
    /// Index into `uarts`: the console that the hypervisor keeps. None: the board has no UART.
    pub console: Option<At<usize>>,
    pub psci: At<Conduit>,
    /// What handing a CPU from one vPE to another takes at most: the least window and budget.
    pub switch_time: At<Duration>,
    /// Bits of a physical address that every CPU has.
    pub address_bits: At<u32>,
    pub tree: Option<BoardTree>,
    /// EL2 may use the MPAM registers.
    pub mpam: bool,
    /// Where the hypervisor's memory begins, if the TOML says so.
    pub hypervisor: Option<At<u64>>,
    /// CPU 0 is the one that boots.
    pub cpus: Vec<Cpu>,
    /// Sorted as in the TOML.
    pub ram: Vec<Ram>,
    pub reserved: Vec<Reserved>,
    pub gic: Gic,
    pub timer: Timer,
    /// PPI of the performance monitors; None: not connected.
    pub pmu_ppi: Option<At<u32>>,
    pub uarts: Vec<Uart>,
    pub pcie: Vec<Pcie>,
    /// PCIe controllers without an ECAM.
    pub controllers: Vec<Controller>,
    pub bridges: Vec<Bridge>,
    pub smmus: Vec<Smmu>,
    pub iommus: Vec<Iommu>,
    pub devices: Vec<Device>,
    /// None: the board is not one that `bulkhead run` can start.
    pub qemu: Option<QemuDesc>,
}

impl Board {
    /// For a board that does not say: some 3,000 instructions of EL2, with cold caches and a
    /// redistributor that takes its time to write a pending table, on a slow core.
    pub const SWITCH_TIME: Duration = Duration::from_micros(20);
    /// For a board that does not say: no CPU for a GICv3 is known to have fewer.
    pub const ADDRESS_BITS: u32 = 40;

    /// First address that no CPU has.
    pub fn address_end(&self) -> u64 {
        1 << self.address_bits.value.min(MOST_BITS)
    }

    /// Where the hypervisor's memory begins, whatever the system is.
    pub fn hypervisor_base(&self) -> u64 {
        let first = || self.ram.first().map_or(0, |ram| ram.region.start());
        let told = self.hypervisor.as_ref().map(|base| base.value);
        told.unwrap_or_else(|| first().saturating_add(super::Hypervisor::OFFSET))
    }
}

#[derive(Clone, Debug)]
pub struct Cpu {
    pub name: At<String>,
    /// MPIDR_EL1 affinity fields: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0.
    pub mpidr: At<u64>,
    /// RD_base of its redistributor: the key, or its place in `redistributors`.
    pub redistributor: At<u64>,
    /// Its processor number in the GIC (GICR_TYPER 23:8).
    pub processor: At<u16>,
}

#[derive(Clone, Debug)]
pub struct Ram {
    pub name: At<String>,
    pub region: Region,
}

/// RAM that is nobody's: firmware, frame buffers of the boot chain.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub name: At<String>,
    pub region: Region,
    pub reason: String,
    /// Boot may take over LPI tables that lie here.
    pub lpi_tables: bool,
}

#[derive(Clone, Debug)]
pub struct Gic {
    /// The table `[gic]`.
    pub at: At<()>,
    pub version: At<GicVersion>,
    /// SPIs the distributor has: INTIDs 32..32 + spis.
    pub spis: At<u32>,
    /// List registers of every CPU (ICH_VTR_EL2.ListRegs + 1).
    pub list_registers: At<u8>,
    /// GICD frame.
    pub distributor: Region,
    pub redistributors: Redistributors,
    /// Its accesses to memory are coherent with the CPUs' caches.
    pub coherent: bool,
    pub quirks: Vec<At<&'static Quirk>>,
    /// GICv4.1 only: GICR_INVLPIR is there, unless this says no.
    pub invalidation_registers: Option<At<bool>>,
    pub its: Option<ItsDesc>,
}

impl Gic {
    /// It is said to have this quirk.
    pub fn has(&self, quirk: &Quirk) -> bool {
        self.quirks.iter().any(|one| one.value == quirk)
    }

    /// The GIC can deliver a vLPI to a guest without the hypervisor.
    pub fn direct_injection(&self) -> bool {
        self.version.value != GicVersion::V3 && self.its.is_some()
    }

    /// It does so in GICv4.1's forms.
    pub fn is_v41(&self) -> bool {
        self.version.value == GicVersion::V4_1 && self.its.is_some()
    }

    /// It delivers a guest's SGIs, too.
    pub fn virtual_sgis(&self) -> bool {
        let its = self.its.as_ref().filter(|_| self.is_v41());
        its.is_some_and(|its| its.virtual_sgis.as_ref().is_none_or(|has| has.value))
    }
}

#[derive(Clone, Debug)]
pub struct Redistributors {
    /// The first region; its size defaults to `stride` times the number of CPUs.
    pub region: Region,
    /// Further ones.
    pub more: Vec<Region>,
    /// Bytes from one CPU's redistributor to the next: 128 KiB (GICv3) or 256 KiB (with VLPI
    /// frames).
    pub stride: At<u64>,
}

impl Redistributors {
    /// All regions, in the order in which CPUs take their redistributors from them.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        std::iter::once(&self.region).chain(&self.more)
    }

    /// RD_base of the CPU at this position, unless the board says otherwise. Behind the last region
    /// if that is too small.
    pub fn place(&self, position: usize) -> u64 {
        let mut left = position as u64;
        let mut last = 0;
        for region in self.regions() {
            let held = region.size.value.checked_div(self.stride.value).unwrap_or(0);
            if left < held {
                return region.start().saturating_add(left.saturating_mul(self.stride.value));
            }
            left -= held;
            last = region.end();
        }
        last.saturating_add(left.saturating_mul(self.stride.value))
    }
}

#[derive(Clone, Debug)]
pub struct ItsDesc {
    /// Control frame and translation frame, 128 KiB in all (256 KiB for v4.1).
    pub region: Region,
    /// GICv4.1 only: its vPE table is the redistributors', too, unless this says no.
    pub shared_vpe_table: Option<At<bool>>,
    /// GICv4.1 only: virtual SGIs are there, unless this says no.
    pub virtual_sgis: Option<At<bool>>,
    /// GITS_TYPER.Devbits + 1.
    pub device_id_bits: At<u8>,
    /// GITS_TYPER.ID_bits + 1.
    pub event_id_bits: At<u8>,
    /// Bytes of one interrupt translation entry (GITS_TYPER.ITT_entry_size + 1).
    pub entry_size: At<u8>,
    /// Bytes of one device, collection and vPE table entry, at most (GITS_BASERn.Entry_Size + 1).
    pub device_entry_size: At<u8>,
    pub collection_entry_size: At<u8>,
    pub vpe_entry_size: At<u8>,
    /// Bytes of the largest page that GITS_BASERn.Page_Size may demand.
    pub table_page: At<u64>,
    /// What RDbase in commands means (GITS_TYPER.PTA).
    pub rdbase: RdBase,
}

/// The generic timer; its PPIs and the GIC's as INTIDs 16..32.
#[derive(Clone, Debug)]
pub struct Timer {
    /// Counter ticks in a second.
    pub frequency: At<u32>,
    pub virtual_ppi: At<u32>,
    pub physical_ppi: At<u32>,
    pub hypervisor_ppi: At<u32>,
    pub maintenance_ppi: At<u32>,
}

impl Timer {
    /// INTID of the physical timer where the TOML does not say: Arm's Base System Architecture (DEN
    /// 0094).
    pub const PHYSICAL: u32 = 30;
    const SECOND: u128 = 1_000_000_000;

    /// Ticks in `time`, rounded down.
    pub fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos() * u128::from(self.frequency.value) / Self::SECOND;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Nothing is rounded.
    pub fn is_whole(&self, time: Duration) -> bool {
        (time.as_nanos() * u128::from(self.frequency.value)).is_multiple_of(Self::SECOND)
    }

    /// The shortest time that is whole ticks and whole nanoseconds.
    pub fn step(&self) -> Duration {
        let (mut a, mut b) = (1_000_000_000, self.frequency.value);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Duration::from_nanos(u64::from(1_000_000_000 / a.max(1)))
    }
}

/// A thing that can be given to one VM.
#[derive(Clone, Debug)]
pub struct Device {
    pub name: At<String>,
    pub kind: DeviceKind,
    /// It can reach memory by itself. Without an SMMU its VM's memory must be `identity`.
    pub dma: bool,
    /// What it does so is coherent with the CPUs' caches. Of a PCI function: its host's.
    pub coherent: bool,
    /// DeviceID that the ITS sees: the key, or for a PCI function what its host makes of its
    /// RequesterID. None: the device cannot signal an event.
    pub device_id: Option<At<u32>>,
    /// How many events it may be given: EventIDs 0..events.
    pub events: At<u32>,
    /// When what it was told is over, if it cannot be reset.
    pub settles: Duration,
    /// QEMU arguments that make it; `{scratch}` stands for the directory of scratch files.
    pub qemu: Vec<String>,
    /// Files that `bulkhead run` makes for it.
    pub scratch: Vec<Scratch>,
}

impl Device {
    /// Whole milliseconds until what it was told is over. One without DMA does nothing.
    pub fn settle_ms(&self) -> u32 {
        let settles = if self.dma { self.settles.as_nanos().div_ceil(1_000_000) } else { 0 };
        u32::try_from(settles).unwrap_or(u32::MAX)
    }

    /// A device at fixed addresses.
    pub fn is_platform(&self) -> bool {
        matches!(self.kind, DeviceKind::Platform { .. })
    }
}

#[derive(Clone, Debug)]
pub enum DeviceKind {
    Pci {
        /// Index into `Board::pcie`.
        host: At<usize>,
        address: At<Bdf>,
        /// What offset 0 of its configuration space must read.
        id: At<PciId>,
        bars: Vec<Bar>,
        msix: Option<Msix>,
        /// Its interrupt pin.
        pin: Option<At<Pin>>,
    },
    Platform {
        compatible: At<String>,
        regions: Vec<Region>,
        /// `reg-names`: one for each region, or none.
        region_names: Vec<At<String>>,
        /// Its SPIs.
        intids: Vec<PlatformIrq>,
        /// What its node in a VM's tree is made from; None: from what is here.
        copy: Option<NodeCopy>,
        /// Index into `Board::smmus`. None: it reaches all memory.
        smmu: Option<At<usize>>,
        /// Its StreamIDs there.
        streams: Vec<At<u32>>,
        /// Index into `Board::iommus`: what it has instead.
        iommu: Option<At<usize>>,
    },
}

/// A node of the board's tree that VMs have a copy of.
#[derive(Clone, Debug)]
pub struct NodeCopy {
    /// Its path.
    pub node: At<String>,
    /// Hz, one for each entry of its `clocks`, or none.
    pub fixed_clocks: Vec<At<u32>>,
    /// Properties that are left out.
    pub drop: Vec<At<String>>,
}

/// The board's device tree.
#[derive(Clone, Debug)]
pub struct BoardTree {
    pub path: At<PathBuf>,
    /// None: it could not be read, which was reported.
    pub blob: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct PlatformIrq {
    pub intid: At<u32>,
    pub trigger: Trigger,
    /// Its name in `interrupt-names`.
    pub name: Option<At<String>>,
}

/// A file that exists only for a run under QEMU.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// File name in the scratch directory.
    pub file: At<String>,
    /// Bytes.
    pub size: u64,
}

/// How `bulkhead run` starts the board.
#[derive(Clone, Debug)]
pub struct QemuDesc {
    /// `-M`.
    pub machine: String,
    /// `-cpu`.
    pub cpu: String,
    /// Further arguments.
    pub args: Vec<String>,
    /// Where firmware at EL3 keeps its data. None: QEMU enters the image itself.
    pub secure_ram: Option<u64>,
}
