//! What only an AArch64 CPU at EL2 can do: registers, barriers, translation, vectors, firmware calls.
//!
//! Most of the image's unsafe code lives here, behind functions that are safe to call (docs/safety.md).

pub mod bytes;
pub mod context;
pub mod cpu;
pub mod debug;
pub mod gic;
pub mod guest;
pub mod head;
pub mod id;
pub mod log;
pub mod mmio;
pub mod mmu;
pub mod once;
pub mod pmu;
pub mod probe;
pub mod serror;
pub mod smc;
pub mod smmu;
pub mod stage2;
pub mod sysreg;
pub mod this;
pub mod timer;
pub mod vectors;
mod window;
pub mod wires;
