// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end of a CPU: EL2 cannot go on there, and says why.

use super::console::{self, Own};
use arch::smc;
use gicv4::{Error, Expected};
use vm::text::Text;

/// EL2 cannot go on on this CPU: one line that says why, and nothing more happens here.
pub fn stop(why: &mut dyn FnMut(&mut Own)) -> ! {
    console::write(&mut |out| {
        out.text("bulkhead: stopped: ");
        why(out);
        out.text("\n");
    });
    smc::park()
}

/// The GIC did not do what it was told.
pub fn broken(error: Error) -> ! {
    stop(&mut |out| match error {
        Error::Differs { register, field, expected, found } => {
            differs(out, register, field, expected.value(), found);
            out.text(match expected {
                Expected::Exactly(_) => "",
                Expected::AtLeast(_) => " or more",
                Expected::AtMost(_) => " or less",
            });
            if field == "Shareability" {
                out.text(": the board's [gic] wants coherent = false");
            }
        }
        Error::Timeout { register, .. } => {
            out.text("the GIC took too long, a register reads ");
            out.hex(register);
        }
        Error::Stalled { slot } => {
            out.text("the ITS stalled at queue slot ");
            out.decimal(slot.into());
        }
        Error::LpisInUse(tables) => {
            out.text("firmware left LPIs on that cannot be turned off; the board must reserve");
            for (table, bytes) in
                [(tables.config, tables.config_bytes), (tables.pending, tables.pending_bytes)]
            {
                out.text(" { base = ");
                out.hex(table);
                out.text(", size = \"");
                out.decimal(bytes.div_ceil(4096) * 4);
                out.text(" KiB\", lpi_tables = true }");
            }
            out.text(", those of every CPU, for as many LPIs as the plan has");
        }
        Error::Unsupported { what } => {
            out.text("this GIC cannot do: ");
            out.text(what);
        }
    })
}

/// A register's field is not what it was to be.
pub fn differs(out: &mut Own, register: &str, field: &str, expected: u64, found: u64) {
    out.text(register);
    out.text(" ");
    out.text(field);
    out.text(" is ");
    out.hex(found);
    out.text(", not ");
    out.hex(expected);
}

/// From the vectors: an exception in EL2 itself.
pub fn stopped(esr: u64, elr: u64, far: u64) -> ! {
    stop(&mut |out| {
        out.text("exception in EL2, esr ");
        out.hex(esr);
        out.text(", elr ");
        out.hex(elr);
        out.text(", far ");
        out.hex(far);
    })
}
