//! The devices that EL2 itself drives: one UART, or none.
//!
//! May call: `arch`, `state`.

pub mod line;
pub mod pl011;
