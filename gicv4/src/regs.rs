//! Register offsets and bit fields, by frame.
//!
//! Offsets are bytes from the frame's base. Field modules are made by `tock_registers::register_bitfields!` and are used with
//! `LocalRegisterCopy` on values that came through a [`crate::frame::Frame`]. Names are the manual's (IHI 0069H, chapter 12).

pub mod gicd;
pub mod gicr;
pub mod gits;
pub mod ich;
pub mod vlpi;
