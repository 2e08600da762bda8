//! From firmware to the first instruction of every guest.

pub mod order;
mod verify;
mod wires;
