//! What EL2 prints, and what its own devices report.

pub mod console;
pub mod dma;
pub mod faults;
pub mod report;
