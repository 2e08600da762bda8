// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A software GIC: distributor, redistributors and one ITS, of GICv4.0 or GICv4.1, to test drivers
//! against.
//!
//! [`Gic`] is a handle; its frames implement [`crate::Frame`], so that the driver runs on it
//! unchanged. It is stricter than any hardware: what the manual calls UNPREDICTABLE is recorded as
//! a [`Violation`], a command that fails as a [`CommandError`]. What commands do is complete no
//! sooner than at SYNC or VSYNC, what CPUs store counts only once it is published. Configuration
//! bytes are cached as greedily as the architecture allows, so that a forgotten INV is seen: a
//! change in memory has no effect before INV, INVALL, VINVALL, or (GICv4.0, virtual) before the vPE
//! becomes resident again.
//!
//! | in model memory, at the addresses the driver programs | in the model's own state |
//! |---|---|
//! | command queue, configuration bytes, virtual and physical pending tables, level-1 device tables | device, collection, vPE and translation tables: their memory is neither read nor written, only its size is checked |
//!
//! Signalled to a CPU are LPIs (among them doorbells) and what its resident vPE has pending. SGIs,
//! PPIs and SPIs have their registers, nothing raises them. No Security states, of DirectLPI only
//! the invalidation registers, one ITS.

mod cpu;
mod dist;
mod execute;
mod execute_virtual;
mod its;
mod late;
mod memory;
mod redist;
mod report;
mod residency;
mod state;
mod vpe_table;

pub use cpu::Signal;
pub use dist::DistFrame;
pub use its::{ItsFrame, ItsSgiFrame};
pub use memory::{ModelQueue, ModelTable};
pub use redist::{RedistFrame, VlpiFrame};
pub use report::{Cause, CommandError, Violation};

use crate::command::{Encoded, Version};
use crate::error::Error;
use crate::frame::{self, Frame};
use crate::given::{Base, Memory, Vetted};
use crate::intid::{DeviceId, EventId, RdBase, VpeId};
use crate::layout::{PageSize, TableKind};
use crate::queue::Queue;
use crate::regs::vlpi::GICR_VPROPBASER_V41;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec::Vec;

/// A value of a base register that names memory of the model.
pub const fn base<L>(bits: u64) -> Base<L> {
    Base::known(bits)
}

/// Memory of the model.
pub const fn memory(address: u64, bytes: u64) -> Memory {
    Memory::known(address, bytes)
}

impl<F: Frame<Block = frame::Its>> Queue<F, ModelQueue> {
    /// [`Queue::run`], with commands that name memory of the model.
    pub fn run_words(&mut self, commands: &[Encoded]) -> Result<(), Error> {
        self.run(&vet(commands))
    }
}

/// Commands that name memory of the model.
pub fn vet(commands: &[Encoded]) -> Vec<Vetted> {
    commands.iter().copied().map(Vetted::known).collect()
}

/// What the ITS does at a command that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Records it and goes on, as QEMU does.
    Ignore,
    /// Records it and stalls: GITS_CREADR.Stalled.
    Stall,
}

/// A GITS_BASERn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRegister {
    /// Its Type field.
    pub kind: TableKind,
    /// Bytes of an entry, at most 32.
    pub entry_bytes: u8,
    /// The only page size it has; None: all of them.
    pub page: Option<PageSize>,
}

impl TableRegister {
    /// `entry_bytes` at most 32.
    pub const fn new(kind: TableKind, entry_bytes: u8, page: Option<PageSize>) -> Self {
        Self { kind, entry_bytes, page }
    }
}

/// What GIC to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// GICv4.0 or GICv4.1.
    pub version: Version,
    /// CPUs, each with a redistributor.
    pub cpus: u16,
    /// GICR_TYPER.ProcessorNumber of each CPU; one beyond the list has its own number.
    pub processors: &'static [u16],
    /// Redistributors are off until [`Gic::power_up`], as where firmware's CPU_ON powers them.
    pub powered_off: bool,
    /// A multiple of 32, at most 960.
    pub spis: u32,
    /// INTIDs below 1020 that firmware keeps in a Secure group: their enables are RAZ/WI.
    pub secure: &'static [u32],
    /// Extended SPIs from INTID 4096 on, enabled as firmware left them: a multiple of 32, at most
    /// 1024.
    pub extended_spis: u32,
    /// Extended PPIs from INTID 1056 on, enabled as firmware left them: 0, 32 or 64.
    pub extended_ppis: u32,
    /// GITS_TYPER.Devbits + 1.
    pub device_id_bits: u8,
    /// GITS_TYPER.ID_bits + 1.
    pub event_id_bits: u8,
    /// GITS_TYPER.CIDbits + 1.
    pub collection_id_bits: u8,
    /// INTID bits of everything.
    pub intid_bits: u8,
    /// Bytes of an interrupt translation entry.
    pub entry_bytes: u8,
    /// GITS_BASERn from n = 0 on; all further ones are unimplemented.
    pub tables: &'static [TableRegister],
    /// Collections that the ITS holds without a table (GITS_TYPER.HCC).
    pub held_collections: u8,
    /// Base registers read back Shareability 0: the GIC's accesses are not coherent with caches.
    pub incoherent: bool,
    /// GITS_TYPER.VMOVP: one VMOVP to any ITS is enough. Without it a VMOVP must name this ITS in
    /// its list.
    pub single_vmovp: bool,
    /// What INV, CLEAR, MOVI, VMOVP and the like do takes effect as late as the architecture
    /// allows: at SYNC, VSYNC, or when another event for the same redistributor or vPE follows.
    pub late_effects: bool,
    /// GITS_TYPER.PTA: commands name redistributors by address.
    pub redistributor_addresses: bool,
    /// What the ITS does with a command that fails.
    pub on_error: OnError,
    /// Reads of GITS_CREADR until a command is consumed; 0: all are, when GITS_CWRITER is written.
    pub command_polls: u32,
    /// Reads of GICR_VPENDBASER for which Dirty stays set after each change of Valid.
    pub dirty_polls: u32,
    /// What GICR_VPENDBASER.IDAI says when a vPE has left (GICv4.0); the driver must give it back.
    pub idai: bool,
    /// Reads of a CTLR for which RWP stays set after a disable.
    pub write_polls: u32,
    /// GICR_CTLR.EnableLPIs may be cleared again.
    pub clear_enable_lpis: bool,
    /// GICv4.1: GICR_TYPER.CommonLPIAff, 0 to 3: how many affinity fields, from Aff3 on, are the
    /// same at redistributors that share a vPE table.
    pub common_affinity: u8,
    /// GICv4.1: GITS_TYPER.SVPET, 0 to 3: the same for the ITS, which stands beside CPU 0. 0: its
    /// vPE table is its own.
    pub shared_vpe_table: u8,
    /// GICv4.1: virtual SGIs (GITS_TYPER.VSGI, GICR_TYPER.VSGI).
    pub virtual_sgis: bool,
    /// GICR_INVLPIR, INVALLR and SYNCR are there (GICR_CTLR.IR).
    pub invalidation_registers: bool,
}

impl Config {
    /// The strictest GIC of the version: each freedom that the architecture gives is used, and each
    /// size differs from QEMU's.
    pub const V4_0: Self = Self {
        version: Version::V4_0,
        cpus: 2,
        processors: &[3, 1, 0, 106],
        powered_off: true,
        spis: 256,
        secure: &[15, 29, 286],
        extended_spis: 64,
        extended_ppis: 64,
        device_id_bits: 16,
        event_id_bits: 16,
        collection_id_bits: 16,
        intid_bits: 16,
        entry_bytes: 12,
        tables: &[
            TableRegister::new(TableKind::Devices, 8, Some(PageSize::Kib64)),
            TableRegister::new(TableKind::Vpes, 32, Some(PageSize::Kib4)),
            TableRegister::new(TableKind::Collections, 2, Some(PageSize::Kib16)),
        ],
        held_collections: 0,
        incoherent: false,
        single_vmovp: true,
        late_effects: true,
        redistributor_addresses: false,
        on_error: OnError::Ignore,
        command_polls: 2,
        dirty_polls: 2,
        idai: true,
        write_polls: 2,
        clear_enable_lpis: true,
        common_affinity: 0,
        shared_vpe_table: 0,
        virtual_sgis: false,
        invalidation_registers: false,
    };
    /// The same as a GICv4.1 whose ITS shares its vPE table with the redistributors of its chip.
    pub const V4_1: Self = Self {
        version: Version::V4_1,
        common_affinity: 2,
        shared_vpe_table: 2,
        virtual_sgis: true,
        invalidation_registers: true,
        ..Self::V4_0
    };
    /// As lenient as QEMU's virt board with `gic-version=4`: what only works here is a defect.
    pub const QEMU: Self = Self {
        processors: &[],
        powered_off: false,
        secure: &[],
        extended_spis: 0,
        extended_ppis: 0,
        tables: &[
            TableRegister::new(TableKind::Devices, 8, None),
            TableRegister::new(TableKind::Collections, 8, None),
            TableRegister::new(TableKind::Vpes, 8, None),
        ],
        late_effects: false,
        command_polls: 0,
        dirty_polls: 0,
        idai: false,
        write_polls: 0,
        ..Self::V4_0
    };

    /// GICR_TYPER.ProcessorNumber of a CPU.
    pub fn processor(&self, cpu: u16) -> u16 {
        self.processors.get(usize::from(cpu)).copied().unwrap_or(cpu)
    }

    /// Bits of word `n` of INTIDs that are not Secure.
    fn open(&self, n: usize) -> u32 {
        let here = self.secure.iter().filter(|intid| **intid as usize / 32 == n);
        !here.fold(0, |bits, intid| bits | 1 << (intid % 32))
    }

    /// MPIDR_EL1 of a CPU: 16 to a cluster.
    pub const fn mpidr(&self, cpu: u16) -> u64 {
        (1 << 31) | ((cpu as u64 / 16) << 8) | (cpu as u64 % 16)
    }

    /// Affinity fields of a CPU, as many as `fields` from Aff3 on; the others are 0.
    pub(crate) const fn affinity(&self, cpu: u16, fields: u8) -> u32 {
        let kept = match fields {
            0 => 0,
            1 => 0xff00_0000,
            2 => 0xffff_0000,
            _ => 0xffff_ff00,
        };
        crate::redist::affinity_value(self.mpidr(cpu)) & kept
    }

    /// GICR_VPROPBASER.EntrySize, in its place: whole doublewords of a vPE table entry.
    pub(crate) fn vpe_entry(&self) -> u64 {
        let vpes = self.tables.iter().find(|table| table.kind == TableKind::Vpes);
        let doublewords = vpes.map_or(1, |table| u64::from(table.entry_bytes).div_ceil(8));
        GICR_VPROPBASER_V41::EntrySize.val(doublewords - 1).value
    }

    /// A CPU's redistributor as commands name it.
    pub fn redistributor(&self, cpu: u16) -> RdBase {
        if self.redistributor_addresses {
            RdBase::from_field(0x80a_0000 + u64::from(cpu) * 0x4_0000)
        } else {
            RdBase::processor(self.processor(cpu))
        }
    }
}

/// Handle to a software GIC. Clones are the same GIC; threads may share it.
#[derive(Clone, Debug)]
pub struct Gic {
    state: Arc<Mutex<State>>,
}

impl Gic {
    /// As after a reset; memory is all zero.
    pub fn new(config: Config) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(config))) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread's test is no reason to hide what the state was.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The distributor's frame.
    pub fn distributor(&self) -> DistFrame {
        DistFrame(self.clone())
    }
    /// The RD and SGI frames of a CPU's redistributor.
    pub fn redistributor(&self, cpu: u16) -> RedistFrame {
        RedistFrame { gic: self.clone(), cpu: usize::from(cpu) }
    }
    /// The VLPI frame of a CPU's redistributor.
    pub fn vlpis(&self, cpu: u16) -> VlpiFrame {
        VlpiFrame { gic: self.clone(), cpu: usize::from(cpu) }
    }
    /// The control frame of the ITS.
    pub fn its(&self) -> ItsFrame {
        ItsFrame(self.clone())
    }
    /// The virtual SGI frame of the ITS, which only a GICv4.1 has.
    pub fn its_sgis(&self) -> ItsSgiFrame {
        ItsSgiFrame(self.clone())
    }

    /// A command queue in model memory.
    pub fn queue(&self, address: u64, slots: u32) -> ModelQueue {
        ModelQueue::new(self.clone(), address, slots)
    }
    /// An LPI configuration table in model memory.
    pub fn config_table(&self, address: u64, bytes: u32) -> ModelTable {
        ModelTable::new(self.clone(), address, bytes)
    }
    /// From model memory.
    pub fn read_byte(&self, address: u64) -> u8 {
        self.state().memory.read(address)
    }
    /// Into model memory.
    pub fn write_byte(&self, address: u64, byte: u8) {
        self.state().memory.write(address, byte);
    }
    /// Eight bytes, little-endian, at any address.
    pub fn write_u64(&self, address: u64, value: u64) {
        for (offset, byte) in (0..).zip(value.to_le_bytes()) {
            self.write_byte(address + offset, byte);
        }
    }

    /// A device writes its EventID to GITS_TRANSLATER. What becomes of nothing says why.
    pub fn msi(&self, device: DeviceId, event: EventId) -> Result<(), Cause> {
        self.state().translate(device, event)
    }

    /// Firmware powers a redistributor, as a part of CPU_ON: it sleeps.
    pub fn power_up(&self, cpu: u16) {
        if let Some(redist) = self.state().redists.get_mut(usize::from(cpu)) {
            redist.powered = true;
        }
    }

    /// What commands have left to be done is done, as time would: a driver must not rely on that.
    pub fn settle(&self) {
        self.state().settle();
    }

    /// The ITS stops consuming commands, or goes on: to test bounded waits.
    pub fn hang(&self, hang: bool) {
        self.state().its.hung = hang;
    }

    /// The highest-priority physical LPI that is signalled to this CPU.
    pub fn signal(&self, cpu: u16) -> Option<Signal> {
        self.state().physical_signal(usize::from(cpu))
    }
    /// Acknowledges it: it is not pending any more.
    pub fn acknowledge(&self, cpu: u16) -> Option<Signal> {
        self.state().acknowledge_physical(usize::from(cpu))
    }
    /// The highest-priority vLPI or vSGI that is signalled to the vPE resident on this CPU; equal
    /// priorities: the lowest INTID.
    pub fn virtual_signal(&self, cpu: u16) -> Option<Signal> {
        self.state().virtual_signal(usize::from(cpu))
    }
    /// Acknowledges it, as the guest does.
    pub fn acknowledge_virtual(&self, cpu: u16) -> Option<Signal> {
        self.state().acknowledge_virtual(usize::from(cpu))
    }

    /// The vPE that is resident on this CPU.
    pub fn resident(&self, cpu: u16) -> Option<VpeId> {
        self.state()
            .redists
            .get(usize::from(cpu))
            .and_then(|redist| redist.resident)
            .map(VpeId::new)
    }
    /// Whether a virtual LPI is pending for a vPE, in its table or in the redistributor it is
    /// resident on.
    pub fn is_pending(&self, vpe: VpeId, vintid: crate::IntId) -> bool {
        self.state().is_virtual_pending(vpe.value(), vintid.value())
    }

    /// Commands that failed since the last call.
    pub fn take_errors(&self) -> Vec<CommandError> {
        core::mem::take(&mut self.state().errors)
    }
    /// What was done against the architecture's rules since the last call.
    pub fn take_violations(&self) -> Vec<Violation> {
        core::mem::take(&mut self.state().violations)
    }
}
