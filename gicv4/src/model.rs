//! A software GIC: distributor, redistributors and one ITS, of GICv4.0 or GICv4.1, to test drivers against.
//!
//! [`Gic`] is a handle; its frames implement [`crate::Frame`], so that the driver runs on it unchanged. It is stricter than any
//! hardware: what the manual calls UNPREDICTABLE is recorded as a [`Violation`], a command that fails as a [`CommandError`].
//! Configuration bytes are cached as greedily as the architecture allows, so that a forgotten INV is seen: a change in memory
//! has no effect before INV, INVALL, VINVALL, or (GICv4.0, virtual) before the vPE becomes resident again.
//!
//! | in model memory, at the addresses the driver programs | in the model's own state |
//! |---|---|
//! | command queue, configuration bytes, virtual and physical pending tables, level-1 device tables | device, collection, vPE and translation tables: their memory is neither read nor written, only its size is checked |
//!
//! Signalled to a CPU are LPIs (among them doorbells) and what its resident vPE has pending. SGIs, PPIs and SPIs have their
//! registers, nothing raises them. No Security states, no DirectLPI, one ITS.

mod cpu;
mod dist;
mod execute;
mod execute_virtual;
mod its;
mod memory;
mod redist;
mod report;
mod residency;
mod state;

pub use cpu::Signal;
pub use its::ItsFrame;
pub use memory::{ModelQueue, ModelTable};
pub use report::{Cause, CommandError, Violation};
pub use {dist::DistFrame, redist::RedistFrame};

use crate::command::Version;
use crate::intid::{DeviceId, EventId, RdBase, VpeId};
use state::State;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec::Vec;

/// What the ITS does at a command that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Records it and goes on, as QEMU does.
    Ignore,
    /// Records it and stalls: GITS_CREADR.Stalled.
    Stall,
}

/// What GIC to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub version: Version,
    pub cpus: u16,
    /// A multiple of 32, at most 960.
    pub spis: u32,
    pub device_id_bits: u8,
    pub event_id_bits: u8,
    pub collection_id_bits: u8,
    /// INTID bits of everything.
    pub intid_bits: u8,
    /// Bytes of an interrupt translation entry.
    pub entry_bytes: u8,
    /// Bytes of a device, collection or vPE table entry.
    pub table_entry_bytes: u8,
    /// GITS_TYPER.PTA: commands name redistributors by address.
    pub redistributor_addresses: bool,
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
}

impl Config {
    /// Like QEMU's virt board with a GICv4, two CPUs, and commands consumed at once.
    pub const V4_0: Self = Self {
        version: Version::V4_0,
        cpus: 2,
        spis: 256,
        device_id_bits: 16,
        event_id_bits: 16,
        collection_id_bits: 16,
        intid_bits: 16,
        entry_bytes: 12,
        table_entry_bytes: 8,
        redistributor_addresses: false,
        on_error: OnError::Ignore,
        command_polls: 0,
        dirty_polls: 0,
        idai: false,
        write_polls: 0,
        clear_enable_lpis: true,
    };
    pub const V4_1: Self = Self { version: Version::V4_1, ..Self::V4_0 };

    /// MPIDR_EL1 of a CPU: 16 to a cluster.
    pub const fn mpidr(&self, cpu: u16) -> u64 {
        (1 << 31) | ((cpu as u64 / 16) << 8) | (cpu as u64 % 16)
    }

    /// A CPU's redistributor as commands name it.
    pub const fn redistributor(&self, cpu: u16) -> RdBase {
        if self.redistributor_addresses {
            RdBase::from_field(0x80a_0000 + cpu as u64 * 0x4_0000)
        } else {
            RdBase::processor(cpu)
        }
    }
}

/// Handle to a software GIC. Clones are the same GIC; threads may share it.
#[derive(Clone, Debug)]
pub struct Gic {
    state: Arc<Mutex<State>>,
}

impl Gic {
    pub fn new(config: Config) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(config))) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread's test is no reason to hide what the state was.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn distributor(&self) -> DistFrame {
        DistFrame(self.clone())
    }
    /// The RD, SGI and VLPI frames of a CPU's redistributor.
    pub fn redistributor(&self, cpu: u16) -> RedistFrame {
        RedistFrame { gic: self.clone(), cpu: usize::from(cpu) }
    }
    pub fn its(&self) -> ItsFrame {
        ItsFrame(self.clone())
    }

    /// A command queue in model memory.
    pub fn queue(&self, address: u64, slots: u32) -> ModelQueue {
        ModelQueue { gic: self.clone(), address, slots }
    }
    /// An LPI configuration table in model memory.
    pub fn config_table(&self, address: u64, bytes: u32) -> ModelTable {
        ModelTable { gic: self.clone(), address, bytes }
    }
    pub fn read_byte(&self, address: u64) -> u8 {
        self.state().memory.read(address)
    }
    pub fn write_byte(&self, address: u64, byte: u8) {
        self.state().memory.write(address, byte);
    }
    pub fn write_u64(&self, address: u64, value: u64) {
        for (offset, byte) in (0..).zip(value.to_le_bytes()) {
            self.write_byte(address + offset, byte);
        }
    }

    /// A device writes its EventID to GITS_TRANSLATER. What becomes of nothing says why.
    pub fn msi(&self, device: DeviceId, event: EventId) -> Result<(), Cause> {
        self.state().translate(device, event)
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
    /// The highest-priority vLPI or vSGI that is signalled to the vPE resident on this CPU; equal priorities: the lowest INTID.
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
    /// Whether a virtual LPI is pending for a vPE, in its table or in the redistributor it is resident on.
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
