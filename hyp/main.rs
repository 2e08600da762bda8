//! The EL2 image of a system: boot, traps, and the little that remains at run time.
//!
//! docs/safety.md says where unsafe code may be. Everything that a guest can see is decided in the crate `vm`, everything
//! that the GIC must be told in `gicv4`, everything else by codegen before the image was built.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod arch;
mod boot;
mod console;
mod devices;
mod irq;
mod its;
mod percpu;
#[allow(unsafe_code)]
mod plan_data;
mod platform;
mod report;
mod residency;
mod run;
mod text;
mod trap;
mod verify;

use arch::smc;
use gicv4::Error;
use text::Line;

/// EL2 cannot go on on this CPU: one line, and nothing more happens here.
pub fn stop(line: Line) -> ! {
    console::say(line);
    smc::park()
}

/// The GIC did not do what it was told.
pub fn broken(error: Error) -> ! {
    let line = Line::new().text("stopped: ");
    stop(match error {
        Error::Differs { register, field, expected, found } => line
            .text(register)
            .text(" ")
            .text(field)
            .text(" is ")
            .hex(found)
            .text(", not ")
            .hex(expected),
        Error::Timeout { register, .. } => {
            line.text("the GIC took too long, a register reads ").hex(register)
        }
        Error::Stalled { slot } => line.text("the ITS stalled at queue slot ").number(slot.into()),
        Error::Unsupported { what } => line.text("this GIC cannot do: ").text(what),
    })
}

/// From the vectors: an exception in EL2 itself.
pub extern "C" fn stopped(esr: u64, elr: u64, far: u64) -> ! {
    stop(
        Line::new()
            .text("stopped: exception in EL2, esr ")
            .hex(esr)
            .text(", elr ")
            .hex(elr)
            .text(", far ")
            .hex(far),
    )
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let line = Line::new().text("stopped: panic");
    stop(match info.location() {
        Some(place) => line.text(" at ").text(place.file()).text(":").number(place.line().into()),
        None => line,
    })
}
