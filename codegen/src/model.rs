// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system as a whole: names resolved, units gone, every value still knows its line.
//!
//! `load` makes a [`System`] from the TOML files; `check` and the plan read it and nobody changes
//! it. References between things are indices: a CPU or a device indexes [`Board`]'s lists, a VM
//! indexes [`System::vms`], a vPE is its number in its VM. After a successful `load` every index is
//! good and every VM has at least one vPE; [`UNRESOLVED`] occurs only inside `load`, so that the
//! other rules can still run over a system with a misspelt name. Nothing is decided here: what the
//! TOML leaves open is `None`.

mod board;
mod payload;
mod pci;
pub mod quirk;
mod schedule;
mod smmu;
mod uart;
mod vm;

pub use board::{
    Board, BoardTree, Cpu, Device, DeviceKind, Gic, ItsDesc, NodeCopy, PlatformIrq, QemuDesc, Ram,
    Redistributors, Reserved, Scratch, Timer,
};
pub use payload::{Payload, PayloadKind};
pub use pci::{Bar, Bdf, Bridge, Controller, Intx, Msix, PciId, Pcie, Window as PciWindow};
pub use schedule::{Budget, Claim, CpuUse, Frame, Mode, Sharing, VpeName, Window};
pub use smmu::{Iommu, Smmu};
pub use uart::Uart;
pub use vm::{Channel, ChannelEnd, DeviceUse, EventUse, Memory, Restarts, Vm, Vpe, Watchdog};

// Choices are one type from the TOML on: the plan's, or the schema's where the plan takes no such
// choice.
pub use crate::schema::board::{GicVersion, IommuKind, Pin, RdBase, Trigger};
pub use crate::schema::partition::Format;
pub use crate::schema::system::{Access, WatchdogAction};
pub use ::plan::{
    Conduit, DmaFault, Fault, Feature, ItsPolicy, MemoryRole, PowerOff, Rest, UartKind,
};

use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::time::Duration;

use crate::diag::{FileId, Sources};

/// Index of a name that does not exist. Never seen outside `load`.
pub const UNRESOLVED: usize = usize::MAX;

/// A value, and where it was written. A default points at the table that lacks the key.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub file: FileId,
    /// Bytes of the file.
    pub span: Range<usize>,
}

impl<T> At<T> {
    pub fn new(value: T, file: FileId, span: Range<usize>) -> Self {
        Self { value, file, span }
    }

    /// Another value, written in the same place.
    pub fn with<U>(&self, value: U) -> At<U> {
        At { value, file: self.file, span: self.span.clone() }
    }
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A range of addresses, as written.
#[derive(Clone, Debug)]
pub struct Region {
    pub base: At<u64>,
    /// Bytes.
    pub size: At<u64>,
}

impl Region {
    /// First byte.
    pub fn start(&self) -> u64 {
        self.base.value
    }

    /// One past the last byte, saturating at the top of the address space.
    pub fn end(&self) -> u64 {
        self.base.value.saturating_add(self.size.value)
    }

    /// The pages of 4 KiB that it touches: what a stage-2 table can map of it.
    pub fn pages(&self) -> Range<u64> {
        const PAGE: u64 = 4 << 10;
        self.start() & !(PAGE - 1)..self.end().checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
    }

    pub fn overlaps(&self, other: &Region) -> bool {
        self.start() < other.end() && other.start() < self.end()
    }
}

/// One system TOML, with the board and the partitions it names.
#[derive(Clone, Debug)]
pub struct System {
    /// The system TOML, as given.
    pub path: PathBuf,
    /// Text of every file that was read, for diagnostics and for the plan's digest.
    pub sources: Sources,
    /// Name of the system: `[system] name`.
    pub name: At<String>,
    pub description: String,
    pub when_all_off: PowerOff,
    /// VMs whose devices no SMMU holds may be trusted with the whole board.
    pub dma_trusted: bool,
    /// How long a run under QEMU may take. None: the runner's own default.
    pub time_limit: Option<Duration>,
    /// VM that gets the console's input first: the one named, or else the first VM with a console.
    /// None: none has one.
    pub focus: Option<At<usize>>,
    /// Control character that starts a console command (0x1d is Ctrl-]).
    pub escape: At<u8>,
    pub hypervisor: Hypervisor,
    pub board: Board,
    /// In the order of the TOML.
    pub vms: Vec<Vm>,
    /// In the order of the TOML.
    pub channels: Vec<Channel>,
    /// CPUs that are described, in the order of the TOML.
    pub cpus: Vec<CpuUse>,
    /// Modes other than the first, in the order of the TOML; mode n is `modes[n - 1]`.
    pub modes: Vec<Mode>,
    /// Name of the mode that boots.
    pub initial_mode: At<String>,
    /// Index into `vms`: who may ask for another mode.
    pub switch_by: Option<At<usize>>,
}

impl System {
    /// VM, number and description of every vPE, in order; its position is its index.
    pub fn vpes(&self) -> impl Iterator<Item = (usize, usize, &Vpe)> {
        let vms = self.vms.iter().enumerate();
        vms.flat_map(|(vm, owner)| owner.vpes.iter().enumerate().map(move |(n, vpe)| (vm, n, vpe)))
    }

    /// The SPIs of all VMs' devices, in their order.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let mut out = Vec::new();
        for (vm, owner) in self.vms.iter().enumerate() {
            for DeviceUse { device } in &owner.devices {
                let Some(described) = self.board.devices.get(device.value) else { continue };
                let line =
                    |intid: &At<u32>, trigger| Line { vm, device, intid: intid.clone(), trigger };
                match &described.kind {
                    DeviceKind::Platform { intids, .. } => {
                        out.extend(intids.iter().map(|irq| line(&irq.intid, irq.trigger)));
                    }
                    DeviceKind::Pci { .. } => {
                        let intx = self.board.intx(owner, device.value);
                        out.extend(intx.map(|intx| line(intx.intid, Trigger::Level)));
                    }
                }
            }
        }
        out
    }

    /// All names of modes, the first one's first.
    pub fn mode_names(&self) -> impl Iterator<Item = &At<String>> {
        std::iter::once(&self.initial_mode).chain(self.modes.iter().map(|mode| &mode.name))
    }
}

/// An SPI by which a VM's device signals.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Index into `System::vms`.
    pub vm: usize,
    /// Index into `Board::devices`; the span is the name in the VM's list.
    pub device: &'a At<usize>,
    pub intid: At<u32>,
    pub trigger: Trigger,
}

/// The memory that is the hypervisor's own: image, tables and payload copies.
#[derive(Clone, Debug)]
pub struct Hypervisor {
    /// Physical address of the image: `Board::ram[0].base` + 2 MiB.
    pub base: u64,
    /// Bytes from `base` on, a multiple of 2 MiB: `[hypervisor] size`, by default 4 MiB.
    pub size: At<u64>,
}

impl Hypervisor {
    /// Where it begins in the first RAM if the board's TOML does not say: room for what the boot
    /// chain keeps below it, and one block of stage 1.
    pub const OFFSET: u64 = 2 << 20;
    /// Size when the TOML says nothing.
    pub const DEFAULT_SIZE: u64 = 4 << 20;

    /// One past its last byte.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.size.value)
    }
}
