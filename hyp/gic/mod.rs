//! The physical GIC on behalf of vPEs: residency and doorbells, ITS commands, list registers.

pub mod its;
pub mod platform;
pub mod residency;
pub mod rings;
