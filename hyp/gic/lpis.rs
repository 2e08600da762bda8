// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events of devices that EL2 lists, of vPEs on shared CPUs: one that comes while another vPE has
//! the CPU is masked, so that each takes that vPE's time once.
//!
//! 1. `mask`: the LPI came, and its event waits for its vPE. What its device sends from here on is
//!    pending in the GIC alone.
//! 2. `unmask`: that vPE is about to run. What has come is signalled then.
//!
//! A bit that is left over, of an event that was configured or moved meanwhile, costs one INV.
//! Without shared CPUs, and on a GIC with direct injection, nothing of this is in the image.

use crate::gic::its;
use crate::state::parts::{LISTED_LPIS, SHARED};
use crate::state::plan_data::PLAN;
use crate::state::vms::{EVENTS, config_of};
use core::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Relaxed};
use gicv4::Error;
use plan::VpeIndex;
use vm::vits::View;

/// A bit for each of the plan's events.
const WORDS: usize = if SHARED { LISTED_LPIS.div_ceil(32) } else { 0 };
static MASKED: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];

/// The event is not signalled until its vPE runs.
pub fn mask(event: usize) -> Result<(), Error> {
    match MASKED.get(event / 32) {
        Some(word) => {
            word.fetch_or(1 << (event % 32), AcqRel);
            its::enable(event, false)
        }
        None => Ok(()),
    }
}

/// What was masked of the vPE is as its guest has it.
#[inline(always)]
pub fn unmask(vpe: VpeIndex) -> Result<(), Error> {
    for (n, word) in MASKED.iter().enumerate() {
        if word.load(Relaxed) != 0 {
            unmask_some(vpe, n, word)?;
        }
    }
    Ok(())
}

#[inline(never)]
fn unmask_some(vpe: VpeIndex, n: usize, word: &AtomicU32) -> Result<(), Error> {
    let Some(config) = config_of(vpe) else { return Ok(()) };
    let view = View::new(&PLAN, config, &EVENTS);
    let number = vpe.value().wrapping_sub(config.first_vpe);
    let masked = word.load(Relaxed);
    for bit in (0..32).filter(|bit| masked >> bit & 1 != 0) {
        let event = n * 32 + bit;
        let Some(lpi) = view.lpi(event).filter(|lpi| lpi.number == number) else { continue };
        word.fetch_and(!(1 << bit), AcqRel);
        its::enable(event, lpi.enabled)?;
    }
    Ok(())
}
