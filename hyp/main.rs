// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The EL2 image of a system: boot, traps, and the little that remains at run time.
//!
//! docs/safety.md says where unsafe code may be. Everything that a guest can see is decided in the
//! crate `vm`, everything that the GIC must be told in `gicv4`, everything else by codegen before
//! the image was built.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod boot;
mod cpu;
mod devices;
mod exits;
mod gic;
mod io;
mod life;
mod run;
mod state;

use vm::text::Text;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    io::halt::stop(&mut |out| {
        out.text("panic");
        if let Some(place) = info.location() {
            out.text(" at ");
            out.text(place.file());
            out.text(":");
            out.decimal(place.line().into());
        }
    })
}
