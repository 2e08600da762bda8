//! From firmware to the first instruction of every guest.

mod entry;
pub mod order;
mod verify;
mod wires;
