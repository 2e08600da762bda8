//! The GICv3 that a VM sees: distributor, redistributors, and what goes into list registers.
//!
//! vLPIs are not here: the hardware delivers them by itself. Group 1 only, affinity routing always on, one security state
//! (GICD_CTLR.DS = 1), five priority bits. IHI 0069H chapters 2, 4 and 12.
//!
//! ## Who holds what
//! | interrupt | enable, configuration | pending, active |
//! |---|---|---|
//! | SGI 0..15 | here | here until it is in a list register, then there |
//! | virtual timer's PPI | here, mirrored into the physical redistributor | physical, and list register 0 |
//! | physical timer's PPI, the PMU's if the VM has it | the same | physical; in a list register or waiting here it is physically active |
//! | SPI of the VM's | here (enable), mirrored into the physical distributor | physical; in a list register or waiting here it is physically active |
//! | UART's SPI | here | level of the line; sampled again when the guest ends it |
//! | watchdog's SPI | here | here, set once when its signal rises |
//!
//! Priorities are virtual. An interrupt that the VM does not own reads as zero and ignores writes.

mod distributor;
mod inject;
mod redistributor;
mod route;
mod sgi1r;
mod surrender;
mod view;
mod withdraw;

pub use distributor::Distributor;
pub use inject::{
    deliver, flush, hold_spi, holds_timer, inject_private, inject_spi, inject_timer, look_again,
    notify, raise, try_deliver, try_inject_spi,
};
pub use redistributor::Redistributor;
pub use sgi1r::{send_sgi, try_send_sgi};
pub use surrender::surrender;
pub use view::{again, leaves, returns};
pub use withdraw::{deactivate, holds};

/// Bits of a priority that exist; as many as the virtual CPU interface is required to have.
pub(crate) const PRIORITY_BITS: u8 = 0xf8;
/// GICD_PIDR2 and GICR_PIDR2: GICv3.
pub(crate) const PIDR2: u32 = 0x3b;
/// GICD_IIDR and GICR_IIDR: product 'B', the implementer code that guests expect of a GIC.
pub(crate) const IIDR: u32 = 0x4200_043b;

/// Word and bit of an INTID below 1024.
#[inline(always)]
pub(crate) const fn place(intid: u32) -> (usize, u32) {
    ((intid >> 5 & 31) as usize, 1 << (intid & 31))
}
