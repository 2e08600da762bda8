//! Physical interrupts: what each is, and who gets it.
//!
//! `irq_fast` runs on every interrupt taken from a guest, with only caller-saved registers stored; it takes one, and a
//! second one that is pending comes right after. EOImode is 1 (arch/gic.rs): an interrupt for a guest is ended by the
//! guest through its list register, EL2's own are ended here.

use crate::arch::gic;
use crate::arch::sysreg::{ticks, wfi};
use crate::arch::this::this;
use crate::arch::vectors::{Frame, Next};
use crate::percpu::PerCpu;
use crate::plan_data::PLAN;
use crate::platform::{ATTENTION, Hardware, KICK};
use crate::{console, residency, run};
use vm::counters::Counter;
use vm::{Guest, power, vgic};

const TIMER: u32 = PLAN.board.timer.virtual_ppi as u32;
const MAINTENANCE: u32 = PLAN.board.timer.maintenance_ppi as u32;
const FIRST_LPI: u32 = 8192;

/// What an interrupt means for the CPU that took it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nothing was pending.
    Nothing,
    /// EL2's own business, done.
    Done,
    /// The vPE has something to wake up for.
    ForGuest,
    /// The state of the vPE or of its VM may have changed.
    Attention,
}

/// From the vectors: an interrupt came while the guest ran.
pub extern "C" fn irq_fast() -> Next {
    let start = ticks();
    let Some(guest) = &this().guest else { return Next::Full };
    let intid = gic::acknowledge();
    let next = if intid == TIMER {
        gic::drop_priority(intid);
        vgic::inject_timer(guest, &mut Hardware);
        Next::Guest
    } else {
        match take(guest, intid) {
            Taken::Attention => Next::Full,
            _ => Next::Guest,
        }
    };
    guest.vpe.counters.count(Counter::ExitInterrupt);
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
    next
}

/// From the vectors: `irq_fast` asked for everything to be saved.
pub extern "C" fn irq_slow(frame: &mut Frame) {
    run::settle(this(), frame);
}

/// Handles one acknowledged interrupt on a CPU whose vPE is on or asleep.
#[inline(always)]
fn take(guest: &Guest, intid: u32) -> Taken {
    if intid.wrapping_sub(32) < 988 && Some(intid) != PLAN.board.uart.intid {
        gic::drop_priority(intid);
        vgic::inject_spi(guest, &mut Hardware, intid);
        return Taken::ForGuest;
    }
    if intid == u32::from(KICK) {
        gic::drop_priority(intid);
        gic::deactivate(intid);
        vgic::deliver(guest, &mut Hardware);
        return Taken::ForGuest;
    }
    take_other(guest, intid)
}

#[inline(never)]
fn take_other(guest: &Guest, intid: u32) -> Taken {
    if intid == TIMER {
        gic::drop_priority(intid);
        vgic::inject_timer(guest, &mut Hardware);
        return Taken::ForGuest;
    }
    if intid == MAINTENANCE {
        vgic::flush(guest, &mut Hardware);
        gic::drop_priority(intid);
        gic::deactivate(intid);
        return Taken::Done;
    }
    take_own(intid)
}

/// Interrupts that are EL2's own, whatever runs on this CPU.
fn take_own(intid: u32) -> Taken {
    if intid >= FIRST_LPI {
        // An LPI has no active state. It is this CPU's vPE's doorbell: no other is routed here.
        gic::drop_priority(intid);
        return match residency::rang(this()) {
            Ok(true) => Taken::ForGuest,
            Ok(false) => Taken::Done,
            Err(error) => crate::broken(error),
        };
    }
    if intid >= gic::NOTHING {
        return Taken::Nothing;
    }
    if Some(intid) == PLAN.board.uart.intid {
        console::interrupt();
    }
    gic::drop_priority(intid);
    gic::deactivate(intid);
    if intid == u32::from(ATTENTION) { Taken::Attention } else { Taken::Done }
}

/// Sleeps until an interrupt comes, and takes all that are pending. True: the vPE has something to wake up for.
pub fn wait(this: &PerCpu) -> bool {
    wfi();
    let mut wake = false;
    loop {
        let intid = gic::acknowledge();
        let awake = this.guest.as_ref().filter(|guest| {
            matches!(guest.vpe.power.state(), power::State::On | power::State::Suspended)
        });
        let taken = match awake {
            Some(guest) => take(guest, intid),
            None => take_own(intid),
        };
        match taken {
            Taken::Nothing => return wake,
            Taken::ForGuest => wake = true,
            Taken::Done | Taken::Attention => {}
        }
    }
}
