//! The life of a VM: load, start, stop, restart; modes and watchdogs.

pub mod load;
pub mod modes;
pub mod run;
pub mod watchdog;
