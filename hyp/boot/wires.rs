// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a CPU's own interrupts come by the INTIDs that the board says.
//!
//! No register tells how PPIs are wired, and a wrong one is not missed at once: without the timer
//! of EL2 no budget and no window ends. So boot makes each source ask once, on every CPU, and looks
//! at what GICR_ISPENDR0 gains: a level is pending while it asks, enabled or not (IHI 0069H
//! 12.11.31). Nothing is taken.

use super::verify::{self, Difference};
use crate::state::intid::{HYPERVISOR_TIMER, MAINTENANCE, PHYSICAL_TIMER, PMU, VIRTUAL_TIMER};
use arch::wires::Source;
use gicv4::frame::Redistributor;
use gicv4::hw::MmioFrame;
use gicv4::redist::Redist;
use plan::Pa;

/// Looks at GICR_ISPENDR0 before an interrupt counts as not coming: some milliseconds.
const LOOKS: u32 = 20_000;

/// Key of the board, its INTID, and who signals it.
const WIRES: [(&str, Option<u32>, Source); 5] = [
    ("timer.hypervisor", Some(HYPERVISOR_TIMER), Source::HypervisorTimer),
    ("timer.maintenance", Some(MAINTENANCE), Source::Maintenance),
    ("timer.virtual", Some(VIRTUAL_TIMER), Source::VirtualTimer),
    ("timer.physical", Some(PHYSICAL_TIMER), Source::PhysicalTimer),
    ("pmu.intid", PMU, Source::Overflow),
];

/// The calling CPU's, whose PPIs are all disabled.
#[cold]
pub fn verify(redistributor: &Redist<MmioFrame<Redistributor>>, at: Pa) -> Result<(), Difference> {
    WIRES.iter().try_for_each(|&(key, intid, source)| {
        let Some(intid) = intid else { return Ok(()) };
        let planned = 1 << (intid & 31);
        // Whoever was here before may have left it asking.
        source.release();
        let before = settled(redistributor, planned);
        source.signal();
        let gained = gained(redistributor, before, planned);
        source.release();
        redistributor.clear_pending_private(gained);
        match gained {
            _ if gained & planned != 0 => Ok(()),
            0 => Err(verify::wired(key, intid, None, at)),
            _ => Err(verify::wired(key, intid, Some(gained.trailing_zeros()), at)),
        }
    })
}

/// What is pending once `planned` is not any more, or there was time enough.
fn settled(redistributor: &Redist<MmioFrame<Redistributor>>, planned: u32) -> u32 {
    redistributor.clear_pending_private(planned);
    let mut pending = redistributor.pending_private();
    for _ in 0..LOOKS {
        if pending & planned == 0 {
            break;
        }
        pending = redistributor.pending_private();
    }
    pending
}

/// What became pending, as soon as that has `planned` or there was time enough.
fn gained(redistributor: &Redist<MmioFrame<Redistributor>>, before: u32, planned: u32) -> u32 {
    let mut gained = 0;
    for _ in 0..LOOKS {
        gained = redistributor.pending_private() & !before;
        if gained & planned != 0 {
            break;
        }
    }
    gained
}
