// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Virtual machines, and the channels between them.

use std::path::PathBuf;
use std::time::Duration;

use ::plan::Features;

use super::{Access, At, DmaFault, Fault, Feature, ItsPolicy, MemoryRole, Payload, WatchdogAction};
use crate::schema::{S, system as table};

#[derive(Clone, Debug)]
pub struct Vm {
    pub name: At<String>,
    /// Its table, for keys in which nothing has to be looked up ([`Vm::key`]).
    pub table: table::Vm,
    /// Name of its partition; None: the payload is given in place.
    pub partition: Option<At<String>>,
    pub payload: Payload,
    /// At least one; a vPE's number is its position.
    pub vpes: Vec<Vpe>,
    /// At least one; the first holds the payload and the first RAM the device tree, unless their
    /// addresses say otherwise.
    pub memory: Vec<Memory>,
    pub devices: Vec<DeviceUse>,
    /// Devices among `devices` that have events and get none, on purpose. Indices into
    /// `Board::devices`.
    pub polled: Vec<At<usize>>,
    /// Devices among `devices` that have events, and signal by their pins instead. Indices into
    /// `Board::devices`.
    pub intx: Vec<At<usize>>,
    pub events: Vec<EventUse>,
    /// It has an emulated UART.
    pub console: At<bool>,
    /// It reads the log of a board without a console.
    pub log: Option<At<bool>>,
    pub on_fault: Fault,
    /// How often it may be restarted by `on_fault`; None: as often as is usual.
    pub restarts: Option<At<Restarts>>,
    /// How often it may reset itself; None: as often as is usual.
    pub resets: Option<At<Restarts>>,
    /// Number of the mode that the system is switched to when it fails.
    pub mode_on_fault: Option<At<usize>>,
    /// What becomes of it when a device of its accesses what it does not have. None: it is
    /// recorded.
    pub on_dma_fault: Option<At<DmaFault>>,
    pub watchdog: Option<At<Watchdog>>,
    pub its: At<ItsPolicy>,
    /// What its vPEs have of their CPUs besides what every guest has.
    pub features: Vec<At<Feature>>,
    /// `/chosen/bootargs`: the VM's, or else its partition's.
    pub arguments: Option<At<String>>,
    /// IPA of the first instruction, overriding the payload's own.
    pub entry: Option<At<u64>>,
}

#[derive(Clone, Debug)]
pub struct Vpe {
    /// Index into `Board::cpus`; the span is the CPU's name.
    pub cpu: At<usize>,
}

/// A piece of memory. What is `None` the plan chooses.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Where the guest sees it: the key; or for identity memory `pa`; or else 0x4000_0000 for the
    /// first RAM and the end of the former one for other RAM. None: identity memory that the plan
    /// places.
    pub ipa: Option<At<u64>>,
    /// Where it is. None: the plan chooses.
    pub pa: Option<At<u64>>,
    /// Bytes, a multiple of 4 KiB.
    pub size: At<u64>,
    /// IPA = PA.
    pub identity: bool,
    pub role: MemoryRole,
    /// File that is loaded at its beginning.
    pub file: Option<At<PathBuf>>,
    /// Cleared before the first start.
    pub clear: bool,
    /// Where this piece is described.
    pub at: At<()>,
}

impl Vm {
    /// A key of its table, and where it is written.
    pub fn key<T: Clone>(&self, key: impl Fn(&table::Vm) -> &Option<S<T>>) -> Option<At<T>> {
        Some(key(&self.table).as_ref()?.at(self.name.file))
    }

    /// The piece that holds what the plan places: device tree and initial RAM disk.
    pub fn first_ram(&self) -> Option<&Memory> {
        self.memory.iter().find(|piece| piece.role == MemoryRole::Ram)
    }
}

/// A device given to the VM.
#[derive(Clone, Debug)]
pub struct DeviceUse {
    /// Index into `Board::devices`; the span is the name in the VM's list.
    pub device: At<usize>,
}

/// A device's event that becomes a vLPI.
#[derive(Clone, Debug)]
pub struct EventUse {
    /// Index into `Board::devices`.
    pub device: At<usize>,
    /// EventID.
    pub event: At<u32>,
    /// None: the plan chooses.
    pub vintid: Option<At<u32>>,
    /// Number of the vPE that takes it, by default 0.
    pub vpe: At<usize>,
}

/// What becomes of a VM that does not feed its watchdog.
#[derive(Clone, Debug)]
pub struct Watchdog {
    pub time: At<Duration>,
    pub action: WatchdogAction,
    /// Number of the mode that the system is switched to.
    pub mode: Option<At<usize>>,
    /// It is armed when the VM starts.
    pub from_start: bool,
}

/// How often a VM may be restarted, in which time.
#[derive(Clone, Debug)]
pub struct Restarts {
    pub most: u32,
    pub within: At<Duration>,
}

impl Vm {
    pub fn features(&self) -> Features {
        self.features.iter().fold(Features::NONE, |all, one| all.with(Features::of(one.value)))
    }

    /// Something restarts it, as long as that is not too often.
    pub fn is_restarted(&self) -> bool {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.value.action);
        self.on_fault == Fault::Restart || watchdog == Some(WatchdogAction::Restart)
    }
}

impl Restarts {
    /// What is usual: restarts, and the time for them.
    pub const USUAL: (u32, Duration) = (5, Duration::from_secs(10));
    /// The same for resets of its own.
    pub const USUAL_RESETS: (u32, Duration) = (20, Duration::from_secs(10));
}

/// Shared memory of two VMs, each of which can ring the other.
#[derive(Clone, Debug)]
pub struct Channel {
    pub name: At<String>,
    /// Bytes, a multiple of 4 KiB.
    pub size: At<u64>,
    /// Where the shared memory is. None: the plan chooses.
    pub pa: Option<At<u64>>,
    /// Cleared at boot.
    pub clear: bool,
    /// Two, in the order of the TOML: "first" and "second".
    pub ends: Vec<ChannelEnd>,
}

#[derive(Clone, Debug)]
pub struct ChannelEnd {
    /// Index into `System::vms`; the span is the VM's name.
    pub vm: At<usize>,
    pub access: At<Access>,
    /// Where this VM sees the memory. None: the plan chooses.
    pub ipa: Option<At<u64>>,
    /// vPE that the peer's ring interrupts, by default 0.
    pub vpe: At<usize>,
    /// vINTID of that interrupt. None: the plan chooses.
    pub vintid: Option<At<u32>>,
}
