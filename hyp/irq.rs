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
use crate::{console, residency, run, shared, turns};
use vm::counters::Counter;
use vm::{Guest, power, vgic};

pub const TIMER: u32 = PLAN.board.timer.virtual_ppi as u32;
pub const MAINTENANCE: u32 = PLAN.board.timer.maintenance_ppi as u32;
pub const FIRST_LPI: u32 = 8192;

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

/// From the vectors: an interrupt came while the guest ran. The virtual timer, an SPI and a kick that meet nothing
/// unusual are done here, without a stack; what is left is `irq_other`'s.
pub extern "C" fn irq_fast() -> Next {
    let start = ticks();
    let guest = &this().guest;
    let intid = gic::acknowledge();
    if intid == TIMER {
        gic::drop_priority(intid);
        vgic::inject_timer(guest, &mut Hardware);
    } else if is_spi(intid) && !(shared::ANY && this().takes_turns) {
        gic::drop_priority(intid);
        if !vgic::try_inject_spi(guest, &mut Hardware, intid) {
            return spi_waits(guest, intid, start);
        }
    } else if intid == u32::from(KICK) {
        end(intid);
        if !vgic::try_deliver(guest, &mut Hardware) {
            return kick_waits(guest, start);
        }
    } else {
        return irq_other(guest, intid, start);
    }
    leave(guest, start)
}

/// Counts the interrupt and the time it took.
#[inline(always)]
fn leave(guest: &Guest, start: u64) -> Next {
    guest.vpe.counters.count(Counter::ExitInterrupt);
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
    Next::Guest
}

#[inline(never)]
fn spi_waits(guest: &Guest, intid: u32, start: u64) -> Next {
    vgic::inject_spi(guest, &mut Hardware, intid);
    leave(guest, start)
}

#[inline(never)]
fn kick_waits(guest: &Guest, start: u64) -> Next {
    vgic::deliver(guest, &mut Hardware);
    leave(guest, start)
}

#[inline(never)]
fn irq_other(guest: &Guest, intid: u32, start: u64) -> Next {
    if let Some(decide) = turns::interrupted(intid) {
        let next = leave(guest, start);
        return if decide { Next::Full } else { next };
    }
    let taken = take(guest, intid);
    let next = leave(guest, start);
    if taken == Taken::Attention { Next::Full } else { next }
}

/// One of the VM's own devices.
#[inline(always)]
pub fn is_spi(intid: u32) -> bool {
    intid.wrapping_sub(32) < 988 && Some(intid) != PLAN.board.uart.intid
}

/// Ends an interrupt of EL2's own.
#[inline(always)]
pub fn end(intid: u32) {
    gic::drop_priority(intid);
    gic::deactivate(intid);
}

/// From the vectors: `irq_fast` asked for everything to be saved.
pub extern "C" fn irq_slow(frame: &mut Frame) {
    run::settle(this(), frame);
}

/// Handles one acknowledged interrupt on a CPU whose vPE is on or asleep.
fn take(guest: &Guest, intid: u32) -> Taken {
    if intid == TIMER {
        gic::drop_priority(intid);
        vgic::inject_timer(guest, &mut Hardware);
        return Taken::ForGuest;
    }
    if is_spi(intid) {
        gic::drop_priority(intid);
        vgic::inject_spi(guest, &mut Hardware, intid);
        return Taken::ForGuest;
    }
    if intid == u32::from(KICK) {
        end(intid);
        vgic::deliver(guest, &mut Hardware);
        return Taken::ForGuest;
    }
    if intid == MAINTENANCE {
        vgic::flush(guest, &mut Hardware);
        end(intid);
        return Taken::Done;
    }
    take_own(Some(this()), intid)
}

/// Interrupts that are EL2's own, whatever runs on this CPU.
fn take_own(this: Option<&PerCpu>, intid: u32) -> Taken {
    if intid >= FIRST_LPI {
        // An LPI has no active state. It is this CPU's vPE's doorbell: no other is routed here.
        gic::drop_priority(intid);
        let Some((this, cpu)) = this.and_then(|this| Some((this, this.physical()?))) else {
            return Taken::Done;
        };
        return match residency::rang(this, cpu) {
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
    end(intid);
    if intid == u32::from(ATTENTION) { Taken::Attention } else { Taken::Done }
}

/// Sleeps until an interrupt comes, and takes all that are pending. True: the vPE has something to wake up for.
pub fn wait(this: &PerCpu) -> bool {
    wfi();
    let guest = &this.guest;
    let mut wake = false;
    loop {
        let intid = gic::acknowledge();
        let taken = match guest.vpe.power.state() {
            power::State::On | power::State::Suspended => take(guest, intid),
            _ => take_own(Some(this), intid),
        };
        match taken {
            Taken::Nothing => return wake,
            Taken::ForGuest => wake = true,
            Taken::Done | Taken::Attention => {}
        }
    }
}

/// For a CPU without a vPE: takes EL2's own interrupts for ever.
pub fn serve() -> ! {
    loop {
        console::pump();
        wfi();
        while take_own(None, gic::acknowledge()) != Taken::Nothing {}
    }
}
