// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a board is, measured: an image of its own, which prints a board TOML.
//!
//! No device tree has all that `[gic]`, `[timer]` and `[[smmu]]` want, and what it has may be
//! wrong. The probe is entered as the EL2 image is, with the addresses of one board's TOML inside
//! (`board.rs`), and prints on that board's UART:
//!
//! 1. a TOML that inherits the board and says what was measured, keys that a board can have;
//! 2. registers beside them, as comments `# NAME = 0x...`;
//! 3. what is not as the board says and has no key, as comments that begin with `#!`.
//!
//! `bulkhead probe` compares the text with the board's TOML. It runs on one CPU, MMU and caches
//! off, interrupts masked. Other CPUs are started one by one, say who they are and turn off. A read
//! that is answered with an abort is one line. Written are: the GIC's CPU interface, a sleeping
//! redistributor's GICR_WAKER, GITS_BASER while the ITS is off, and BARs while the function decodes
//! no memory; the last two are put back.
#![no_std]
#![no_main]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod board;
mod cpu;
mod gic;
mod its;
mod line;
mod mmio;
mod pci;
mod smmu;
mod wires;

use board::BOARD;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use line::Out;
use vm::text::Text;

global_asm!(
    include_str!("start.s"),
    sctlr_off = const arch::head::SCTLR_OFF,
    hcr = const arch::cpu::HCR_BOOT,
    cpu_off = const abi::psci::CPU_OFF,
    main = sym main,
    lost = sym lost,
    errors = sym ERRORS,
);

/// SErrors that no read waited for.
static ERRORS: AtomicU32 = AtomicU32::new(0);

/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;

/// The first CPU, at exception level `el`, with the image at `at`.
extern "C" fn main(el: u64, at: u64, hcr: u64) -> ! {
    let mut out = Out::begin();
    if el != 2 {
        line::stop("not entered at EL2");
    }
    if at != BOARD.base {
        line::stop("not loaded where the board puts it (RAM base + text_offset)");
    }
    mmio::unmask_errors();
    out.text("inherit = \"");
    out.text(BOARD.file);
    out.text("\"\n");
    if hcr & E2H != 0 {
        out.wrong("HCR_EL2.E2H cannot be cleared: the CPU has no FEAT_E2H0, Bulkhead cannot run");
    }
    let found = gic::Redistributors::find(&mut out);
    cpu::write(&mut out, &found);
    let translation = BOARD.its.and_then(|base| its::Its::ask(&mut out, base));
    gic::write(&mut out, &found, translation.as_ref());
    wires::write(&mut out, found.own());
    smmu::write(&mut out);
    pci::write(&mut out);
    let errors = ERRORS.load(Relaxed);
    if errors != 0 {
        out.text("#! ");
        out.decimal(errors.into());
        out.text(" SErrors came that belong to no read\n");
    }
    out.end()
}

/// An exception that no read waited for.
extern "C" fn lost(esr: u64, elr: u64, far: u64) -> ! {
    line::stop_at("exception", &[("ESR_EL2", esr), ("ELR_EL2", elr), ("FAR_EL2", far)])
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    line::stop("panic")
}
