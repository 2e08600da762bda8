// SPDX-License-Identifier: Apache-2.0 OR MIT
//! By which INTIDs a CPU signals: each source is made to ask, and GICR_ISPENDR0 is looked at.
//!
//! As boot of the EL2 image does it with the INTIDs of a plan (`hyp/boot/wires.rs`); here they are
//! not known. A level is pending while it asks, enabled or not (IHI 0069H 12.11.31).

use crate::gic::Found;
use crate::line::Out;
use crate::mmio::Probed;
use arch::wires::Source;
use arch::{gic, id, sysreg};
use gicv4::frame::Redistributor;
use gicv4::redist::Redist;
use vm::exit::SysReg;
use vm::text::Text;

/// Looks before a source counts as not connected: some milliseconds.
const LOOKS: u32 = 20_000;
/// INTIDs of a CPU's own peripherals; the others of the register are SGIs.
const PPIS: u32 = 0xffff_0000;

const TIMERS: [(&str, Source); 4] = [
    ("virtual", Source::VirtualTimer),
    ("physical", Source::PhysicalTimer),
    ("hypervisor", Source::HypervisorTimer),
    ("maintenance", Source::Maintenance),
];

type Own = Redist<Probed<Redistributor>>;

/// `[timer]` and `[pmu]`.
pub fn write(out: &mut Out, own: Option<Found>) {
    out.text("\n[timer]\n");
    out.number("frequency", sysreg::ticks_per_second());
    if gic::interface() == 0 {
        return out.wrong("ID_AA64PFR0_EL1.GIC = 0: the CPU has no GIC system registers");
    }
    let Some(own) = own else {
        return out.wrong("no redistributor has this CPU's affinity: no INTID is measured");
    };
    let redistributor = Redist::new(Probed::new(own.base));
    if redistributor.wake(LOOKS).is_err() {
        out.wrong("this CPU's redistributor does not wake up");
    }
    gic::initialise();
    for (key, source) in TIMERS {
        match wired(&redistributor, source) {
            Some(intid) => out.number(key, intid.into()),
            None => {
                out.text("#! no interrupt comes of timer.");
                out.text(key);
                out.text(": it is not connected, or firmware keeps it\n");
            }
        }
    }
    let version = id::read(SysReg::encode(3, 0, 0, 5, 0)) >> 8 & 0xf;
    if version != 0 && version != 0xf {
        match wired(&redistributor, Source::Overflow) {
            Some(intid) => {
                out.text("\n[pmu]\n");
                out.number("intid", intid.into());
            }
            None => out.text("# no interrupt comes of the PMU\n"),
        }
    }
}

/// The lowest INTID that becomes pending while the source asks.
fn wired(redistributor: &Own, source: Source) -> Option<u32> {
    source.release();
    redistributor.clear_pending_private(PPIS);
    let before = redistributor.pending_private();
    source.signal();
    let mut gained = 0;
    for _ in 0..LOOKS {
        gained = redistributor.pending_private() & !before & PPIS;
        if gained != 0 {
            break;
        }
    }
    source.release();
    redistributor.clear_pending_private(gained);
    (gained != 0).then(|| gained.trailing_zeros())
}
