// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What each physical interrupt does.
//!
//! | INTID                | signalled by                  | handler               |
//! |----------------------|-------------------------------|-----------------------|
//! | SGI `KICK`           | a CPU, for a vPE here         | [`kick`]              |
//! | SGI `REVIEW`         | a CPU, for a vPE here         | [`review`]            |
//! | SGI `PRINTED`        | a CPU that left output        | [`printed`]           |
//! | SGI `ASKED`          | the console's CPU             | [`asked`]             |
//! | PPI, virtual timer   | the guest's timer             | [`guests_ppi`]        |
//! | PPI, physical timer  | the guest's timer             | [`guests_ppi`]        |
//! | PPI, PMU             | the guest's counters          | [`guests_ppi`]        |
//! | PPI, maintenance     | this CPU's virtual interface  | [`maintenance`]       |
//! | PPI, hypervisor's    | EL2's timer                   | [`hypervisor_timer`]  |
//! | SPI of the console   | the UART                      | `io::console`         |
//! | SPI of the SMMU      | its event queue, its errors   | `life::dma`           |
//! | other SPIs           | devices of VMs                | [`spi`]               |
//! | LPIs                 | doorbells of vPEs             | [`doorbell`]          |
//! | LPIs on a GICv3      | events of VMs' devices        | [`event`]             |
//!
//! vLPIs are not among them: the GIC gives them to the guest. The numbers are in state/intid.rs,
//! and for what the board wires, in the plan.
//!
//! The virtual timer, SPIs and kicks that meet nothing unusual are done in exits/interrupt.rs.
//! EOImode is 1 (arch/gic.rs): an interrupt for a guest is ended by the guest through its list
//! register, EL2's own are ended here.

use crate::cpu::snapshot;
use crate::gic::hardware::Hardware;
use crate::gic::{lpis, residency};
use crate::io::{console, halt};
use crate::life::{dma, mode, watchdog};
use crate::state::cpu::Here;
use crate::state::intid::{
    ASKED, FIRST_LPI, FIRST_SPECIAL, FIRST_SPI, HYPERVISOR_TIMER, KICK, MAINTENANCE,
    PHYSICAL_TIMER, PMU, PRINTED, REVIEW, VIRTUAL_TIMER, is_smmu,
};
use crate::state::parts::{LPIS, Router, SHARED, SMMU};
use crate::state::plan_data::PLAN;
use crate::state::running::Running;
use crate::state::system::Built;
use crate::state::vms::{self, VMS};
use crate::state::{ipi, places, vpe};
use arch::gic;
use arch::sysreg::ticks;
use plan::VpeIndex;
use vm::router::Arrival;
use vm::vgic;

/// What an interrupt means for the CPU that took it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nothing was pending.
    Nothing,
    /// Done; whoever runs goes on.
    Done,
    /// Somebody else may have to run.
    Decide,
}

/// Handles one that is acknowledged.
type Handler = fn(Here, u32) -> Taken;

/// An SGI or a PPI.
struct Private {
    intid: u32,
    handler: Handler,
    /// Guests have it; if not, it is EL2's own and always enabled.
    is_guests: bool,
}

const fn own(intid: u32, handler: Handler) -> Option<Private> {
    Some(Private { intid, handler, is_guests: false })
}

/// None: no VM has it.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn guests(intid: u32) -> Option<Private> {
    let mut vm = 0;
    while vm < PLAN.vms.len() {
        if PLAN.vms[vm].ppis >> intid & 1 != 0 {
            return Some(Private { intid, handler: guests_ppi, is_guests: true });
        }
        vm += 1;
    }
    None
}

/// Every SGI and PPI that EL2 takes.
const PRIVATE: [Option<Private>; 9] = [
    own(KICK as u32, kick),
    own(REVIEW as u32, review),
    own(PRINTED as u32, printed),
    own(ASKED as u32, asked),
    guests(VIRTUAL_TIMER),
    guests(PHYSICAL_TIMER),
    match PMU {
        Some(intid) => guests(intid),
        None => None,
    },
    own(MAINTENANCE, maintenance),
    own(HYPERVISOR_TIMER, hypervisor_timer),
];

/// EL2's own SGIs and PPIs, and those of guests, as bits of word 0.
pub const OWN: u32 = bits(false);
pub const GUESTS: u32 = bits(true);

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn bits(is_guests: bool) -> u32 {
    let (mut bits, mut n) = (0, 0);
    while n < PRIVATE.len() {
        if let Some(private) = &PRIVATE[n]
            && private.is_guests == is_guests
        {
            bits |= 1 << private.intid;
        }
        n += 1;
    }
    bits
}

/// By INTID.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static HANDLERS: [Handler; FIRST_SPI as usize] = {
    let mut handlers: [Handler; FIRST_SPI as usize] = [done; FIRST_SPI as usize];
    let mut n = 0;
    while n < PRIVATE.len() {
        if let Some(private) = &PRIVATE[n] {
            handlers[private.intid as usize] = private.handler;
        }
        n += 1;
    }
    handlers
};

/// Handles one acknowledged interrupt, whoever runs.
pub fn take(here: Here, intid: u32) -> Taken {
    if let Some(handler) = HANDLERS.get(intid as usize) {
        return handler(here, intid);
    }
    match intid {
        FIRST_LPI.. if LPIS => match <Router as vm::Router<Hardware>>::arrival(intid) {
            Arrival::Event(number) => event(here, intid, number),
            Arrival::Doorbell => doorbell(here, intid),
        },
        _ if Some(intid) == PLAN.board.console.intid() => {
            console::interrupt();
            done(here, intid)
        }
        _ if SMMU && is_smmu(intid) => {
            dma::interrupt(intid, here.running().present());
            done(here, intid)
        }
        FIRST_SPI..FIRST_SPECIAL => spi(here, intid),
        _ if gic::is_nothing(intid) => Taken::Nothing,
        _ => done(here, intid),
    }
}

/// Ends an interrupt of EL2's own.
#[inline(always)]
pub fn end(intid: u32) {
    gic::drop_priority(intid);
    gic::deactivate::<Built>(intid);
}

/// Ends it; nothing else is to be done about it.
fn done(_: Here, intid: u32) -> Taken {
    end(intid);
    Taken::Done
}

/// Something waits in the software state of a vPE.
fn kick(here: Here, intid: u32) -> Taken {
    end(intid);
    let mut running = here.running();
    if let Some(present) = running.present()
        && !present.shares()
    {
        vgic::deliver(&present.guest, &mut Hardware);
        return rouse(&mut running, present);
    }
    look(here, &mut running);
    Taken::Decide
}

/// The power state of a vPE, or its VM, may have changed, or a mode may end: the run loop looks.
fn review(_: Here, intid: u32) -> Taken {
    end(intid);
    Taken::Decide
}

/// Output waits.
fn printed(_: Here, intid: u32) -> Taken {
    end(intid);
    console::pump();
    Taken::Done
}

/// Somebody asks where everybody is.
fn asked(here: Here, intid: u32) -> Taken {
    end(intid);
    snapshot::take(here);
    console::pump();
    Taken::Done
}

/// A PPI of guests: for the vPE whose registers are in the CPU.
fn guests_ppi(here: Here, intid: u32) -> Taken {
    gic::drop_priority(intid);
    let mut running = here.running();
    let has = |present: &&vpe::Vpe| present.guest.config.ppis >> intid & 1 != 0;
    let Some(present) = running.present().filter(has) else {
        gic::deactivate::<Built>(intid);
        return Taken::Done;
    };
    if intid == VIRTUAL_TIMER {
        vgic::inject_timer(&present.guest, &mut Hardware);
    } else {
        vgic::inject_private(&present.guest, &mut Hardware, intid);
    }
    rouse(&mut running, present)
}

/// List registers want to be looked at.
fn maintenance(here: Here, intid: u32) -> Taken {
    if let Some(present) = here.running().present() {
        vgic::flush(&present.guest, &mut Hardware);
    }
    done(here, intid)
}

/// EL2 wanted to be called.
fn hypervisor_timer(here: Here, intid: u32) -> Taken {
    let due = here.timer.take(ticks());
    end(intid);
    if due.console {
        console::quiet();
    }
    if due.watchdog {
        watchdog::look(here.local.index);
    }
    Taken::Decide
}

/// An SPI goes to the vPE that its VM chose; it is active in hardware until that vPE ends it.
fn spi(here: Here, intid: u32) -> Taken {
    gic::drop_priority(intid);
    let owner = PLAN.spis.get(intid.wrapping_sub(FIRST_SPI) as usize).copied().flatten();
    let Some((vm, state)) =
        owner.and_then(|owner| Some((PLAN.vms.get(owner.vm.index())?, VMS.get(owner.vm.index())?)))
    else {
        gic::deactivate::<Built>(intid);
        return Taken::Done;
    };
    let distributor = &state.distributor;
    let mut running = here.running();
    let number = distributor.route_of(intid);
    if let Some(present) = running.present()
        && number < usize::from(vm.vpe_count)
        && present.index == vms::vpe(vm, number)
    {
        vgic::inject_spi(&present.guest, &mut Hardware, intid);
        return rouse(&mut running, present);
    }
    if let Some(number) = vgic::hold_spi(distributor, &mut Hardware, vms::states(vm), intid) {
        wake(here, &mut running, vms::vpe(vm, number), ticks());
    }
    Taken::Decide
}

/// An event of a VM's device, which no GIC delivers by itself. An LPI has no active state.
fn event(here: Here, intid: u32, event: usize) -> Taken {
    gic::drop_priority(intid);
    let mut running = here.running();
    if let Some(present) = running.present()
        && vgic::inject_lpi(&present.guest, &mut Hardware, event)
    {
        return rouse(&mut running, present);
    }
    let Some(vpe) = vms::hold_lpi(event) else { return Taken::Done };
    if running.current.is_some_and(|current| current.index != vpe) {
        lpis::mask(event).unwrap_or_else(|error| halt::broken(error));
    }
    wake(here, &mut running, vpe, ticks());
    Taken::Decide
}

/// The vPE whose doorbell has this INTID has work. An LPI has no active state.
fn doorbell(here: Here, intid: u32) -> Taken {
    gic::drop_priority(intid);
    let vpe = if SHARED { vpe_of_doorbell(intid) } else { here.owner() };
    let Some(this) = vpe.and_then(vpe::of) else { return Taken::Done };
    match residency::rang(this, here.local) {
        Ok(true) => {
            let mut running = here.running();
            if !SHARED {
                return rouse(&mut running, this);
            }
            wake(here, &mut running, this.index, ticks());
            // In another's window it is only marked.
            let window = running.scheduler.window();
            if window.is_some_and(|owner| owner != Some(this.index)) {
                Taken::Done
            } else {
                Taken::Decide
            }
        }
        Ok(false) => Taken::Done,
        Err(error) => halt::broken(error),
    }
}

/// Looks at what waits in software for vPEs of a shared CPU. True: there was something.
pub fn look(here: Here, running: &mut Running) -> bool {
    let now = ticks();
    here.take_kicks(|vpe| {
        if let Some(current) = running.current
            && current.index == vpe
        {
            ipi::looks(vpe);
            vgic::deliver(&current.guest, &mut Hardware);
            here.enable_ppis(current.guest.enabled_ppis());
        } else {
            wake(here, running, vpe, now);
        }
    })
}

/// An interrupt was listed for the vPE, which may sleep on a CPU that it has for good.
#[inline(never)]
fn rouse(running: &mut Running, vpe: &vpe::Vpe) -> Taken {
    if running.is_current(vpe.index) {
        return Taken::Done;
    }
    if let Some(slot) = places::slot_of(vpe.index) {
        running.scheduler.wake(slot, ticks());
    }
    Taken::Decide
}

/// An interrupt is pending for `vpe`, which does not run.
fn wake(here: Here, running: &mut Running, vpe: VpeIndex, now: u64) {
    if !here.has(vpe) {
        // Its mail came late, or an SPI was routed to it while it was taken here.
        return ipi::kick_again(vpe);
    }
    match places::slot_of(vpe) {
        Some(slot) => running.scheduler.wake(slot, now),
        None => mode::parked(vpe, |task| task.wake(now)),
    }
}

/// vPE of each doorbell, from LPI 8192 on.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static DOORBELLS: [u16; doorbells()] = {
    let mut vpes = [u16::MAX; doorbells()];
    let mut vpe = 0;
    while vpe < PLAN.vpes.len() {
        if let Some(tables) = &PLAN.vpes[vpe].tables
            && SHARED
        {
            vpes[(tables.doorbell.intid - FIRST_LPI) as usize] = vpe as u16;
        }
        vpe += 1;
    }
    vpes
};

/// How many entries there are: up to the highest doorbell.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn doorbells() -> usize {
    let (mut count, mut vpe) = (0, 0);
    while vpe < PLAN.vpes.len() && SHARED {
        if let Some(tables) = &PLAN.vpes[vpe].tables {
            let index = (tables.doorbell.intid - FIRST_LPI) as usize;
            count = if index < count { count } else { index + 1 };
        }
        vpe += 1;
    }
    count
}

fn vpe_of_doorbell(intid: u32) -> Option<VpeIndex> {
    let vpe = *DOORBELLS.get(intid.wrapping_sub(FIRST_LPI) as usize)?;
    (vpe != u16::MAX).then_some(VpeIndex::new(vpe))
}
