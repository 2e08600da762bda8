// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A software SMMU to test drivers against: stage 2 only.
//!
//! [`Smmu`] is a handle; its frame implements [`crate::Frame`], its memory the traits of tables and
//! queues, so that the driver runs on it unchanged. It is stricter than hardware:
//!
//! * Until CFGI_ALL and TLBI_NSNH_ALL its caches hold what a reset may leave: everything passes.
//! * It caches entries, invalid ones too, and translations, and forgets one only when a command
//!   says so and CMD_SYNC has been consumed, or in [`Smmu::evict`].
//! * What a CPU stores is seen once it is published, or ([`Config::leaky`]) at once; with
//!   [`Config::prefetch`] the SMMU reads every entry whenever it can see a change.
//! * With [`Config::torn`] an entry that changes meanwhile is read half old and half new.
//! * GBPA, CR0 and IRQ_CTRL are followed some reads later.
//! * A register written while the manual forbids it is a [`Violation`], and keeps its value.
//!
//! Stages of walks, permissions, access flags and address sizes are those of DDI 0487 D8. Not
//! modelled: stage 1, ATS, PRI, stalls, MSIs, Secure state.

mod commands;
mod memory;
mod registers;
mod state;
mod translate;

pub use memory::{ModelCommands, ModelEvents, ModelTable};
pub use registers::ModelFrame;
pub use translate::{Dma, Outcome};

use crate::number::StreamId;
use crate::unit::Ring;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec::Vec;

/// What SMMU to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// IDR1.SIDSIZE.
    pub stream_bits: u8,
    /// IDR0.ST_LEVEL.
    pub two_level: bool,
    /// IDR0.VMID16.
    pub vmid16: bool,
    /// IDR0.COHACC.
    pub coherent: bool,
    /// IDR0.MSI.
    pub msi: bool,
    /// IDR1.CMDQS and EVTQS.
    pub queue_bits: u8,
    /// IDR5.OAS: 5 is 48 bits.
    pub oas: u8,
    /// IDR5: 4, 16 and 64 KiB.
    pub granules: [bool; 3],
    /// SMMU_GERROR and SMMU_GERRORN as an earlier user left them.
    pub gerror: u32,
    /// SMMU_CR0 as an earlier user left it.
    pub cr0: u32,
    /// Reads for which an acknowledgement lags behind.
    pub ack_polls: u32,
    /// Reads of SMMU_CMDQ_CONS until a command is consumed; 0: at once.
    pub command_polls: u32,
    /// A full event queue raises EVENTQ_ABT_ERR, as QEMU does.
    pub full_is_error: bool,
    /// Stores are visible before they are published.
    pub leaky: bool,
    /// An entry is not read in one piece: what is stored after a CMD_SYNC may be seen of
    /// doubleword 0, and not yet of the others.
    pub torn: bool,
    /// Every change of memory that it can see makes it read all entries.
    pub prefetch: bool,
}

impl Config {
    /// Every freedom that the manual gives is used.
    pub const STRICT: Self = Self {
        stream_bits: 32,
        two_level: true,
        vmid16: true,
        coherent: true,
        msi: true,
        queue_bits: 19,
        oas: 5,
        granules: [true; 3],
        gerror: 0x1fd & !0x100,
        cr0: 0,
        ack_polls: 3,
        command_polls: 2,
        full_is_error: false,
        leaky: false,
        torn: true,
        prefetch: true,
    };
    /// As lenient as QEMU's virt board with `iommu=smmuv3`: what only works here is a defect.
    pub const QEMU: Self = Self {
        stream_bits: 16,
        oas: 4,
        msi: false,
        gerror: 0,
        ack_polls: 0,
        command_polls: 0,
        full_is_error: true,
        torn: false,
        prefetch: false,
        ..Self::STRICT
    };
}

/// What a driver did against the manual's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A register was written while CR0 or IRQ_CTRL guard it.
    Guarded { offset: usize },
    /// A register was written while its last change was under way.
    Pending { offset: usize },
    /// SMMU_GERRORN was toggled where no error is active.
    NotActive { bits: u32 },
    /// No such register, or a read-only one.
    Unknown { offset: usize },
    /// More commands than the queue holds.
    Overrun,
}

/// Interrupt wires that were raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    pub events: bool,
    pub global_error: bool,
}

/// Handle to a software SMMU. Clones are the same SMMU.
#[derive(Clone, Debug)]
pub struct Smmu {
    state: Arc<Mutex<State>>,
}

impl Smmu {
    pub fn new(config: Config) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(config))) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread's test is no reason to hide what the state was.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn frame(&self) -> ModelFrame {
        ModelFrame(self.clone())
    }
    pub fn commands(&self, ring: Ring) -> ModelCommands {
        ModelCommands::new(self.clone(), ring)
    }
    pub fn events(&self, ring: Ring) -> ModelEvents {
        ModelEvents::new(self.clone(), ring)
    }
    pub fn table(&self) -> ModelTable {
        ModelTable::new(self.clone())
    }
    pub fn read(&self, address: u64) -> u64 {
        self.state().memory.read(address)
    }
    /// Memory as a build leaves it, or a table that another driver changes.
    pub fn write(&self, address: u64, value: u64) {
        self.state().write(address, value);
    }

    /// A device's access of less than a page.
    pub fn dma(&self, dma: Dma) -> Outcome {
        self.state().dma(dma)
    }
    /// The SMMU reads what this access would need, and records nothing.
    pub fn prefetch(&self, dma: Dma) {
        self.state().prefetch(dma);
    }
    /// The SMMU forgets everything that it has cached, as it may at any time.
    pub fn evict(&self) {
        self.state().evict();
    }
    /// Whether the SMMU has this stream's entry cached.
    pub fn has_cached(&self, stream: StreamId) -> bool {
        self.state().entries.contains_key(&stream)
    }

    /// It stops consuming commands, or goes on: to test bounded waits.
    pub fn hang(&self, hang: bool) {
        self.state().hung = hang;
    }
    /// It stops following CR0, IRQ_CTRL and GBPA, or goes on.
    pub fn freeze(&self, freeze: bool) {
        self.state().frozen = freeze;
    }

    pub fn take_interrupts(&self) -> Interrupts {
        core::mem::take(&mut self.state().interrupts)
    }
    pub fn take_violations(&self) -> Vec<Violation> {
        core::mem::take(&mut self.state().violations)
    }
}
