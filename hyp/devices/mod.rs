//! The devices that EL2 itself drives: one UART.

pub mod pl011;
