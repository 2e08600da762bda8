//! What a CPU does between two stays in a guest: interrupts, and who runs next.

pub mod irq;
pub mod turns;
