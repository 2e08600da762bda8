//! The devices that EL2 itself drives: one UART, or none.

pub mod line;
pub mod pl011;
