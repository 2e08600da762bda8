// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The types that a system's generated tables are made of.
//!
//! codegen decides everything and writes one `static PLAN: Plan`; the EL2 image includes it and
//! copies it into hardware. Nothing here computes: the only functions are constructors, accessors
//! and table look-ups by index. Addresses, sizes and register values are final. A field's doc gives
//! its unit and the manual section it follows; IHI 0069 is the GIC's manual, DDI 0487 the Armv8-A
//! one.
//!
//! This source is two crates. `plan` is the image's: no_std, constants, slices. `plan-host`
//! (codegen/plan, with feature `host`) is codegen's: the same fields, of vectors and strings, and
//! those that only people read. It prints a plan as JSON and writes it as constants of `plan`.
#![cfg_attr(not(feature = "host"), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod board;
#[cfg(feature = "host")]
pub mod constant;
mod cpu;
mod features;
mod hypervisor;
mod its;
#[cfg(feature = "host")]
mod json;
pub mod log;
mod masked;
mod memory;
mod mode;
mod number;
mod pci;
mod schedule;
mod shape;
mod smmu;
pub mod translation;
mod uart;
mod vm;
mod vpe;

pub use board::{Board, Conduit, Console, Identity, PowerOff, Quirk, Ram, Timer};
#[cfg(feature = "host")]
pub use cpu::ppm;
pub use cpu::{Cpu, Schedule};
pub use features::{Feature, Features};
pub use hypervisor::Hypervisor;
#[cfg(feature = "host")]
pub use hypervisor::{Area, Item};
#[cfg(feature = "host")]
pub use its::ItsDevice;
pub use its::{EventRoute, GicV41, Its, ItsTable};
pub use log::Log;
pub use masked::Masked;
#[cfg(feature = "host")]
pub use memory::{GuestSpan, NamedSpan};
pub use memory::{Mapping, Span};
pub use mode::{Mode, ModeIndex, ModeSwitch, Modes, Move, Placement};
pub use number::{CpuIndex, Ipa, Pa, VmId, VmIndex, VpeIndex};
pub use pci::{
    Bar, BridgeView, ConfigSpace, ConfigWrite, Messages, Msix, PciBridge, PciFunction, StandIn,
};
#[cfg(feature = "host")]
pub use pci::{Intx, MsiRange, PciHost, PciWindow, View};
#[cfg(feature = "host")]
pub use schedule::Turn;
pub use schedule::{Budget, Frame, PrioritySlot, Rest, SLOTS, Window, ticks};
pub use shape::*;
pub use smmu::{ClosedSmmu, DmaFault, Leaf, Master, Smmu};
#[cfg(feature = "host")]
pub use smmu::{SmmuScript, SmmuStep};
pub use uart::{Early, Store, Uart, UartKind};
#[cfg(feature = "host")]
pub use vm::MemoryRole;
pub use vm::{
    ChannelEnd, Fault, Flash, ItsAllowance, ItsPolicy, Load, Mmio, MmioKind, Restarts,
    SharedMemory, Vm, Watchdog,
};
pub use vpe::{Doorbell, Vpe, VpeTables};

/// A whole system, decided.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Plan {
    /// Name of the system, as in its TOML.
    pub system: Text,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub description: Text,
    /// First 8 bytes of the SHA-256 of everything the plan was made from, printed in the banner.
    pub digest: Hex,
    pub board: Board,
    pub hypervisor: Hypervisor,
    /// CPUs in the board's order; `CpuIndex` indexes it. CPU 0 is the one that boots.
    pub cpus: List<Cpu>,
    /// VMs in the order of the TOML; `VmIndex` indexes it.
    pub vms: List<Vm>,
    /// All vPEs of all VMs, those of one VM side by side; `VpeIndex` indexes it and is the vPEID.
    pub vpes: List<Vpe>,
    /// None: everything stays where `cpus` and `vpes` have it.
    pub modes: Option<Modes>,
    /// None: the board has no ITS, or nothing in the system needs it.
    pub its: Option<Its>,
    /// Every event, sorted by (device, event): those of devices, then what rings channels.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Vec::is_empty"))]
    pub events: List<EventRoute>,
    /// SMMUs that VMs' devices are behind.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Vec::is_empty"))]
    pub smmus: List<Smmu>,
    /// The board's other SMMUs.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Vec::is_empty"))]
    pub closed_smmus: List<ClosedSmmu>,
    /// Leaves of their stream tables, those of one side by side, in the order of StreamIDs.
    #[cfg_attr(feature = "host", serde(skip))]
    pub leaves: List<Leaf>,
    /// Devices behind them, those of one VM side by side.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(feature = "host", constant(with = crate::smmu::held))]
    pub masters: List<Master>,
    /// Owner of each SPI: entry n is INTID 32 + n. As long as the board has SPIs.
    pub spis: List<Option<SpiRoute>>,
    /// PCI bridges that VMs need; none stands before the one that it is behind.
    pub bridges: List<PciBridge>,
    /// PCI functions of all VMs, those of one VM side by side.
    pub functions: List<PciFunction>,
    /// Flashes of all VMs.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Vec::is_empty"))]
    pub flashes: List<Flash>,
    /// Memory of every channel.
    pub shared_memory: List<SharedMemory>,
    /// Ends of channels, those of one VM side by side.
    pub channel_ends: List<ChannelEnd>,
    /// Key that, typed on the board's console, starts a command to the hypervisor (0x1d is Ctrl-]).
    pub escape: u8,
    /// VM that gets the console's input first.
    pub focus: VmIndex,
    /// CPU that takes the board UART's interrupt.
    pub console_cpu: CpuIndex,
    /// What happens when every VM is off or failed.
    #[cfg_attr(
        feature = "host",
        serde(rename = "power_off", serialize_with = "crate::json::is_power_off")
    )]
    pub when_all_off: PowerOff,
    /// Every range of RAM that somebody owns, by address.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub memory_map: List<Area>,
    /// What it relies on and boot cannot see.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub assumptions: List<Text>,
}

impl Plan {
    /// EL2 puts events into list registers: the GIC delivers none itself. The plan's event `n` is
    /// the physical LPI 8192 + `n` if a device raises it; a ring is EL2's own, and no LPI.
    pub const fn is_listed(&self) -> bool {
        !self.events.is_empty() && !self.board.direct_injection
    }

    /// What is relied on of a GICv4.1. None: events are delivered otherwise.
    pub const fn v41(&self) -> Option<&GicV41> {
        match &self.its {
            Some(its) => its.v41.as_ref(),
            None => None,
        }
    }

    /// The VM may have its SGIs from the GIC, without an active state, if its guest asks for that
    /// (GICD_TYPER2.nASSGIcap). A single vPE interrupts nobody else, and has them listed.
    pub const fn has_virtual_sgis(&self, vm: &Vm) -> bool {
        match self.v41() {
            Some(v41) => v41.virtual_sgis && vm.vpe_count > 1,
            None => false,
        }
    }
}

/// Where a shared peripheral interrupt goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct SpiRoute {
    /// Owner. The guest sees the same INTID as the hardware.
    pub vm: VmIndex,
    /// vPE that takes it until the guest routes it elsewhere among its own.
    #[cfg_attr(feature = "host", serde(skip))]
    pub vpe: VpeIndex,
    /// Its number in the VM.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(rename = "vpe")]
    pub number: usize,
    /// Edge-triggered rather than level-sensitive.
    pub edge: bool,
    /// The device's name.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub source: Text,
}

#[cfg(feature = "host")]
impl Plan {
    /// "control/0".
    #[expect(clippy::indexing_slicing, reason = "an index lies within its table")]
    pub fn vpe_name(&self, vpe: VpeIndex) -> Text {
        let vpe = &self.vpes[vpe];
        format!("{}/{}", self.vms[vpe.vm].name, vpe.number)
    }

    /// Events that the ITS translates. Where EL2 lists them it raises rings by itself.
    pub fn translated(&self) -> impl Iterator<Item = &EventRoute> {
        self.events.iter().filter(|event| !(event.ring && self.is_listed()))
    }

    pub fn vm_functions(&self, vm: &Vm) -> &[PciFunction] {
        part(&self.functions, vm.first_function, vm.function_count)
    }

    /// Bridges that a VM sees: index among `bridges`, and how.
    pub fn vm_bridges(&self, vm: VmIndex) -> impl Iterator<Item = (usize, &View)> {
        let bridges = self.bridges.iter().enumerate();
        let views = bridges.flat_map(|(n, bridge)| bridge.views.iter().map(move |view| (n, view)));
        views.filter(move |(_, view)| view.vm == vm)
    }

    pub fn vm_channel_ends(&self, vm: &Vm) -> &[ChannelEnd] {
        part(&self.channel_ends, vm.first_channel_end, vm.channel_end_count)
    }
}

#[cfg(feature = "host")]
fn part<T>(list: &[T], first: u16, count: u16) -> &[T] {
    list.get(first.into()..).and_then(|rest| rest.get(..count.into())).unwrap_or_default()
}

/// A table is looked up by its index.
#[cfg(feature = "host")]
macro_rules! indexed {
    ($($entry:ty, $index:ty;)*) => {$(
        #[expect(clippy::indexing_slicing, reason = "an index lies within its table")]
        impl std::ops::Index<$index> for Vec<$entry> {
            type Output = $entry;

            fn index(&self, index: $index) -> &$entry {
                &self[index.index()]
            }
        }
    )*};
}
#[cfg(feature = "host")]
indexed! {
    Cpu, CpuIndex;
    Vm, VmIndex;
    Vpe, VpeIndex;
}
