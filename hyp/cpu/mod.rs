//! One CPU: the registers of whoever has it, timers, counters, SErrors.

pub mod alarm;
pub mod away;
pub mod counters;
pub mod physical;
pub mod serror;
pub mod switch;
pub mod workarounds;
