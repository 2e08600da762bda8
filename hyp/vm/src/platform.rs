// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the emulation asks of the hardware and of the image.
//!
//! The image implements these traits once, on an empty type, and every path is compiled for that
//! type: nothing here is dynamic. Tests implement them on a model. Bits and words passed in are
//! already masked to what the VM owns.

use crate::router::Router;
use plan::VpeIndex;

pub use crate::hardware::{
    BATCH, ConfigSpace, ListRegisters, NO_PENDING, NOT_PRESENT, PhysicalGic, PhysicalIts,
    SGIS_UNCOUNTED, TRAP_DIR, TRAP_GROUP1, UNDERFLOW,
};

/// Everything the emulation needs.
pub trait Platform: ListRegisters + PhysicalGic + PhysicalIts + ConfigSpace + Sized {
    /// How events reach vPEs.
    type Router: Router<Self>;
    /// Some VM has a virtual ITS. If none has, its code is not in the image.
    const VIRTUAL_ITS: bool;
    /// Commands have GICv4.1's forms: a doorbell is a vPE's, not an event's.
    const V41: bool;
    /// Some VM may have its SGIs from the GIC. If none may, its code is not in the image.
    const VIRTUAL_SGIS: bool;
    /// [`PhysicalIts::invalidate`] does what INV and VSYNC would.
    const INVALIDATES: bool;
    /// Some VM has an MSI-X table that EL2 looks after. Likewise.
    const MSIX: bool;
    /// Some function signals by its pin. Likewise.
    const INTX: bool;
    /// Some VM has several vPEs. If none has, what one does to another is not in the image.
    const SEVERAL_VPES: bool;
    /// Some VM has a watchdog. If none has, its code is not in the image.
    const WATCHDOG: bool;
    /// INTIDs of the EL1 timers' PPIs: the board's, virtual and physical alike.
    const VIRTUAL_TIMER: u32;
    const PHYSICAL_TIMER: u32;
    /// Makes the CPU of `vpe` call [`crate::vgic::deliver`] soon; wakes the vPE if it sleeps. Never
    /// `vpe` itself.
    fn kick(&mut self, vpe: VpeIndex);
    /// The deadline of the watchdog of `vpe`'s VM is earlier than it was: its CPU is to look.
    fn deadline_moved(&mut self, vpe: VpeIndex);
    /// A VM's console ring has bytes: pump the mux when convenient.
    fn output_waits(&mut self);
}
