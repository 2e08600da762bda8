//! Physical interrupts: what each is, and who gets it.
//!
//! `irq_fast` runs on every interrupt taken from a guest, with only caller-saved registers stored, then `irq_rest` if it
//! was not enough. One interrupt is taken at a time; a second one that is pending comes right after. EOImode is 1 (arch/gic.rs): an interrupt for a guest is ended by the
//! guest through its list register, EL2's own are ended here.

use crate::cpu::alarm;
use crate::gic::platform::{ATTENTION, Hardware, KICK};
use crate::gic::{residency, rings};
use crate::io::{console, dma};
use crate::life::{run, watchdog};
use crate::run::turns;
use crate::state::percpu::PerCpu;
use crate::state::plan_data::PLAN;
use crate::state::shared;
use crate::state::system::Built;
use arch::gic;
use arch::sysreg::{ticks, wfi};
use arch::vectors::{Frame, Next};
use vm::counters::Counter;
use vm::{Guest, power, vgic};

pub const TIMER: u32 = PLAN.board.timer.virtual_ppi as u32;
pub const PHYSICAL_TIMER: u32 = PLAN.board.timer.physical_ppi as u32;
pub const MAINTENANCE: u32 = PLAN.board.timer.maintenance_ppi as u32;
pub const HYPERVISOR_TIMER: u32 = PLAN.board.timer.hypervisor_ppi as u32;
/// PPIs that guests have besides the virtual timer's, as bits of word 0.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const PRIVATE: u32 = {
    let (mut ppis, mut vm) = (0, 0);
    while vm < PLAN.vms.len() {
        ppis |= PLAN.vms[vm].ppis & !(1 << TIMER);
        vm += 1;
    }
    ppis
};
/// The PMU's PPI; `NOBODYS`: no VM has it.
pub const PMU: u32 = match PLAN.board.pmu_ppi {
    Some(intid) => intid as u32,
    None => NOBODYS,
};
pub const NOBODYS: u32 = u32::MAX;
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
/// unusual are done here, without a stack; 0 then. Anything else is answered by its INTID plus 1, acknowledged and no
/// more, for `irq_rest`.
#[inline(always)]
pub fn irq_fast(this: &PerCpu) -> u32 {
    let start = ticks();
    let taken = gic::acknowledge_register();
    let intid = taken as u32;
    // A copy, as the compiler would load everything again after each register that is written.
    let guest = &{ this.guest };
    if intid == TIMER {
        vgic::inject_timer(guest, &mut Hardware);
        gic::drop_priority_register(taken);
    } else if is_spi(intid)
        && !(shared::ANY && this.takes_turns)
        && vgic::try_inject_spi(guest, &mut Hardware, intid)
    {
        gic::drop_priority_register(taken);
    } else if intid == u32::from(KICK) && vgic::try_deliver(guest, &mut Hardware) {
        end(intid);
    } else {
        return intid.wrapping_add(1);
    }
    leave(guest, start);
    0
}

/// From the vectors: what `irq_fast` did not do, given its answer.
#[inline(always)]
pub fn irq_rest(this: &PerCpu, intid_plus_one: u32) -> Next {
    let start = ticks();
    let guest = &this.guest;
    let intid = intid_plus_one.wrapping_sub(1);
    if let Some(decide) = turns::interrupted(this, intid) {
        leave(guest, start);
        return if decide { Next::Full } else { Next::Guest };
    }
    let taken = take(this, intid);
    leave(guest, start);
    if taken == Taken::Attention { Next::Full } else { Next::Guest }
}

/// Counts the interrupt and the time it took.
#[inline(always)]
fn leave(guest: &Guest, start: u64) {
    guest.vpe.counters.count(Counter::ExitInterrupt);
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
}

/// One of the VM's own devices.
#[inline(always)]
pub fn is_spi(intid: u32) -> bool {
    intid.wrapping_sub(32) < 988
        && Some(intid) != PLAN.board.console.intid()
        && !(dma::ANY && dma::is_own(intid))
}

/// The physical timer's PPI, or the PMU's.
#[inline(always)]
pub fn is_private(intid: u32) -> bool {
    intid < 32 && PRIVATE >> intid & 1 != 0
}

/// Ends an interrupt of EL2's own.
#[inline(always)]
pub fn end(intid: u32) {
    gic::drop_priority(intid);
    gic::deactivate::<Built>(intid);
}

/// From the vectors: `irq_rest` asked for everything to be saved.
#[inline(always)]
pub fn irq_slow(this: &PerCpu, frame: &mut Frame) {
    run::settle(this, frame);
}

/// Handles one acknowledged interrupt on a CPU whose vPE is on or asleep.
fn take(this: &PerCpu, intid: u32) -> Taken {
    let guest = &this.guest;
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
    if is_private(intid) {
        gic::drop_priority(intid);
        vgic::inject_private(guest, &mut Hardware, intid);
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
    take_own(Some(this), intid)
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
    if gic::is_nothing(intid) {
        return Taken::Nothing;
    }
    if Some(intid) == PLAN.board.console.intid() {
        console::interrupt();
    } else if dma::ANY && dma::is_own(intid) {
        dma::interrupt(intid);
    } else if intid == HYPERVISOR_TIMER {
        let (console, rings, watchdog) = alarm::take();
        if console {
            console::quiet();
        }
        if watchdog::ANY && watchdog {
            watchdog::called();
        }
        if rings && let Some(this) = this {
            rings::deliver_due(this);
        }
    }
    end(intid);
    if intid == u32::from(ATTENTION) { Taken::Attention } else { Taken::Done }
}

/// Sleeps until an interrupt comes, and takes one. True: the vPE has something to wake up for.
pub fn wait(this: &PerCpu) -> bool {
    wfi();
    let intid = gic::acknowledge();
    let taken = match this.guest.vpe.power.state() {
        power::State::On | power::State::Suspended => take(this, intid),
        // A device's interrupt waits while the vPE is off: ended here, a level would come again for ever.
        _ if is_spi(intid) => hold(&this.guest, intid),
        // SGIs wait in the emulated redistributor until the vPE begins.
        _ => take_own(Some(this), intid),
    };
    taken == Taken::ForGuest
}

/// An SPI whose vPE is off.
fn hold(guest: &Guest, intid: u32) -> Taken {
    gic::drop_priority(intid);
    if let Some(number) = vgic::hold_spi(&guest.vm.distributor, &mut Hardware, guest.vpes, intid)
        && number != guest.number
    {
        vgic::notify(guest, &mut Hardware, number);
    }
    Taken::Done
}

/// For a CPU without a vPE: takes EL2's own interrupts for ever.
pub fn serve() -> ! {
    loop {
        console::pump();
        wfi();
        while take_own(None, gic::acknowledge()) != Taken::Nothing {}
    }
}
