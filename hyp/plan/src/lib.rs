//! The types that a system's generated tables are made of.
//!
//! codegen decides everything and writes one `static PLAN: Plan`; the EL2 image includes it and copies it into
//! hardware. Nothing here computes: the only functions are constructors, accessors and table look-ups by index.
//! Addresses, sizes and register values are final. A field's doc gives its unit and the manual section it follows;
//! IHI 0069 is the GIC's manual, DDI 0487 the Armv8-A one.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod board;
mod cpu;
mod features;
mod its;
pub mod log;
mod masked;
mod mode;
mod number;
mod own;
mod pci;
mod schedule;
mod smmu;
pub mod translation;
mod vm;
mod vpe;

pub use board::{Board, Conduit, Console, PowerOff, Quirk, Ram, Timer, Uart, UartKind};
pub use cpu::{Cpu, Schedule};
pub use features::Features;
pub use its::{EventRoute, Its, ItsTable};
pub use log::Log;
pub use masked::Masked;
pub use mode::{Mode, ModeIndex, ModeSwitch, Modes, Move, Placement};
pub use number::{CpuIndex, Ipa, Pa, VmId, VmIndex, VpeIndex};
pub use own::Own;
pub use pci::{Bar, BridgeView, ConfigWrite, Messages, Msix, PciBridge, PciFunction, StandIn};
pub use schedule::{Budget, Frame, PrioritySlot, Rest, SLOTS, Window, ticks};
pub use smmu::{DmaFault, Leaf, Master, Smmu};
pub use vm::{
    ChannelEnd, Fault, Flash, ItsAllowance, ItsPolicy, Load, Mmio, MmioKind, Restarts,
    SharedMemory, Vm, Watchdog,
};
pub use vpe::{Doorbell, Vpe, VpeTables};

/// A whole system, decided.
#[derive(Debug)]
pub struct Plan {
    /// Name of the system, as in its TOML.
    pub system: &'static str,
    /// First 8 bytes of the SHA-256 of everything the plan was made from, printed in the banner.
    pub digest: u64,
    pub board: Board,
    pub own: Own,
    /// CPUs in the board's order; `CpuIndex` indexes it. CPU 0 is the one that boots.
    pub cpus: &'static [Cpu],
    /// VMs in the order of the TOML; `VmIndex` indexes it.
    pub vms: &'static [Vm],
    /// All vPEs of all VMs, those of one VM side by side; `VpeIndex` indexes it and is the vPEID.
    pub vpes: &'static [Vpe],
    /// None: everything stays where `cpus` and `vpes` have it.
    pub modes: Option<Modes>,
    /// None: the board has no ITS, or nothing in the system needs it.
    pub its: Option<Its>,
    /// SMMUs that VMs' devices are behind.
    pub smmus: &'static [Smmu],
    /// Leaves of their stream tables, those of one side by side, in the order of StreamIDs.
    pub leaves: &'static [Leaf],
    /// Devices behind them, those of one VM side by side.
    pub masters: &'static [Master],
    /// Owner of each SPI: entry n is INTID 32 + n. As long as the board has SPIs.
    pub spis: &'static [Option<SpiRoute>],
    /// PCI bridges that VMs need; none stands before the one that it is behind.
    pub bridges: &'static [PciBridge],
    /// PCI functions of all VMs, those of one VM side by side.
    pub functions: &'static [PciFunction],
    /// Flashes of all VMs.
    pub flashes: &'static [Flash],
    /// Memory of every channel.
    pub shared_memory: &'static [SharedMemory],
    /// Ends of channels, those of one VM side by side.
    pub channel_ends: &'static [ChannelEnd],
    /// Memory that EL2 clears once at boot: the tables that hardware requires to be zero. (base, bytes), 64-byte multiples.
    pub cleared: &'static [(Pa, u64)],
    /// Key that, typed on the board's console, starts a command to the hypervisor (0x1d is Ctrl-]).
    pub escape: u8,
    /// VM that gets the console's input first.
    pub focus: VmIndex,
    /// CPU that takes the board UART's interrupt.
    pub console_cpu: CpuIndex,
    /// What happens when every VM is off or failed.
    pub when_all_off: PowerOff,
}

/// Where a shared peripheral interrupt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiRoute {
    /// Owner. The guest sees the same INTID as the hardware.
    pub vm: VmIndex,
    /// vPE that takes it until the guest routes it elsewhere among its own.
    pub vpe: VpeIndex,
    /// Edge-triggered rather than level-sensitive.
    pub edge: bool,
}
