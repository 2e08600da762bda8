// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SGIs that the GIC delivers itself (GICv4.1: IHI 0069H 5.6, VSGI in 5.3).
//!
//! Of a VM whose plan offers them and whose guest has asked (GICD_CTLR.nASSGIreq): they have no
//! active state, and the sender's exit writes GITS_SGIR. All others stand in list registers.
//!
//! | what | where |
//! |---|---|
//! | configuration | here; the GIC has a copy of what is enabled, by VSGI |
//! | pending | the GIC; GICR_VSGIR asks for it |
//! | priority | four bits, as VSGI has no more |
//!
//! 1. Nothing is enabled in the GIC while the guest has not asked, or its group is off: `follow`.
//! 2. The guest asks, or stops, while its group is off; what is pending goes along: `change`.
//! 3. An SGI that has a list register by then ends there, and is delivered once like any other.
//!
//! A command is a batch of the VM's allowance. A store that needs some is executed again later if
//! there is none ([`wait`]); what it needs beyond the first is owed.

use super::{
    Redistributor,
    distributor::{NO_ACTIVE_SGIS, TRIES},
};
use crate::{
    Guest, Platform, allowance::Allowance, bits::Bits, mmio::Written, platform::SGIS_UNCOUNTED,
};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use gicv4::{
    VpeId,
    command::{Command, SgiChange},
};
use plan::{Vm, VpeIndex};

/// SGIs, in word 0.
pub(super) const SGIS: u32 = 0xffff;
/// Of a virtual SGI's priority.
const PRIORITY_BITS: u8 = 0xf0;
const COUNT: usize = 16;

/// The VM has its SGIs from the GIC.
#[inline(always)]
pub(super) fn on<P: Platform>(guest: &Guest) -> bool {
    P::VIRTUAL_SGIS && guest.vm.distributor.groups() & NO_ACTIVE_SGIS != 0
}

/// The guest is about to write what may need commands.
#[inline]
pub(super) fn wait<P: Platform>(guest: &Guest, platform: &P) -> Written {
    let (now, limit) = (platform.ticks(), guest.config.its_allowance);
    match guest.vm.allowance.ready_at(limit) {
        time if time > now => Written::Later(time),
        _ => Written::Done,
    }
}

/// VSGI and VSYNC of one SGI.
fn command<P: Platform>(
    platform: &mut P,
    (vm, allowance): (&Vm, &Allowance),
    vpe: VpeIndex,
    sgi: u32,
    changes: &[SgiChange],
) {
    let vpe = VpeId::new(vpe.value());
    for &change in changes {
        let vsgi = Command::Vsgi { vpe, sgi: sgi as u8, change };
        platform.command(&[vsgi, Command::Vsync { vpe }].map(|command| command.encode()));
    }
    allowance.owe(vm.its_allowance, platform.ticks(), changes.len() as u64);
}

const DISABLED: SgiChange = SgiChange::Configure { enabled: false, group1: true, priority: 0 };

/// The GIC's copy follows what is live, and the priorities of `changed`, in the redistributor
/// `number`. Another vPE may change either meanwhile, and give its command first: then once more.
pub(super) fn follow<P: Platform>(guest: &Guest, platform: &mut P, number: usize, changed: u32) {
    let Some(this) = guest.vpes.get(number).map(|vpe| &vpe.redistributor) else { return };
    let wanted = || if on::<P>(guest) { this.live.load(SeqCst) & SGIS } else { 0 };
    for _ in 0..TRIES {
        let now = wanted();
        let bits = u32::from(this.in_gic.swap(now as u16, SeqCst)) ^ now | now & changed;
        for sgi in Bits(bits) {
            configure(guest, platform, number, sgi);
        }
        // No doorbell tells a vPE that waits of what was pending before it was enabled.
        if bits & now != 0 && number != guest.number {
            platform.kick(guest.vpe_index(number));
        }
        if wanted() == now {
            return;
        }
    }
}

fn configure<P: Platform>(guest: &Guest, platform: &mut P, number: usize, sgi: u32) {
    let Some(this) = guest.vpes.get(number).map(|vpe| &vpe.redistributor) else { return };
    for _ in 0..TRIES {
        let given = configuration(this, sgi);
        command(platform, account(guest), guest.vpe_index(number), sgi, &[given]);
        if configuration(this, sgi) == given {
            return;
        }
    }
}

fn account(guest: &Guest) -> (&'static Vm, &'static Allowance) {
    (guest.config, &guest.vm.allowance)
}

fn configuration(this: &Redistributor, sgi: u32) -> SgiChange {
    if this.in_gic.load(SeqCst) & 1 << sgi == 0 {
        return DISABLED;
    }
    let priority = this.priority[sgi as usize].load(SeqCst);
    SgiChange::Configure { enabled: true, group1: true, priority }
}

/// The guest has asked, or has stopped asking: what is pending goes to where it now belongs.
#[inline(never)]
pub(super) fn change<P: Platform>(guest: &Guest, platform: &mut P) {
    for (number, vpe) in guest.vpes.iter().enumerate() {
        let (this, index) = (&vpe.redistributor, guest.vpe_index(number));
        if on::<P>(guest) {
            for priority in this.priority.iter().take(COUNT) {
                priority.fetch_and(PRIORITY_BITS, SeqCst);
            }
            for sgi in Bits(this.waiting[0].fetch_and(!SGIS, AcqRel) & SGIS) {
                platform.send_sgi(index, sgi);
            }
        } else {
            let pending = platform.pending_sgis(index) & SGIS;
            this.waiting[0].fetch_or(pending, AcqRel);
            clear_pending(guest, platform, number, pending);
        }
    }
}

/// Of the vPE `number`, as the GIC has them.
pub(super) fn pending<P: Platform>(guest: &Guest, platform: &mut P, number: usize) -> u32 {
    if on::<P>(guest) { platform.pending_sgis(guest.vpe_index(number)) & SGIS } else { 0 }
}

/// The guest makes SGIs of the vPE `number` not pending.
pub(super) fn clear<P: Platform>(guest: &Guest, platform: &mut P, number: usize, bits: u32) {
    if on::<P>(guest) {
        let pending = platform.pending_sgis(guest.vpe_index(number)) & bits & SGIS;
        clear_pending(guest, platform, number, pending);
    }
}

fn clear_pending<P: Platform>(guest: &Guest, platform: &mut P, number: usize, bits: u32) {
    for sgi in Bits(bits) {
        let vpe = guest.vpe_index(number);
        command(platform, account(guest), vpe, sgi, &[SgiChange::Clear]);
    }
}

/// What the calling CPU's [`super::flush`] sets besides: ends of SGIs that are in no list register
/// are not counted, and none of them is active any more.
pub(super) fn uncounted<P: Platform>(guest: &Guest) -> u32 {
    if !on::<P>(guest) {
        return 0;
    }
    guest.vpe.redistributor.parked[0].fetch_and(!SGIS, Relaxed);
    SGIS_UNCOUNTED
}

/// Priorities as the guest may write them.
pub(super) fn priority_bits<P: Platform>(guest: &Guest, intid: usize) -> u8 {
    if on::<P>(guest) && intid < COUNT { PRIORITY_BITS } else { super::bank::PRIORITY_BITS }
}

/// How far the SGIs of a VM that starts again are put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retreat {
    /// vPE, and SGI of it.
    position: usize,
}

impl Retreat {
    /// One SGI is disabled and not pending, as boot leaves it. None: all are. While no vPE of the
    /// VM runs, and before its registers are reset. Err: nothing before this time.
    pub fn step<P: Platform>(
        &mut self,
        guest: &Guest,
        platform: &mut P,
    ) -> Option<Result<(), u64>> {
        let number = self.position / COUNT;
        if !on::<P>(guest) || number >= guest.vpes.len() {
            return None;
        }
        if let Written::Later(time) = wait(guest, platform) {
            return Some(Err(time));
        }
        let sgi = (self.position % COUNT) as u32;
        let changes = [DISABLED, SgiChange::Clear];
        command(platform, account(guest), guest.vpe_index(number), sgi, &changes);
        if let Some(vpe) = guest.vpes.get(number) {
            vpe.redistributor.in_gic.fetch_and(!(1 << sgi), Relaxed);
        }
        self.position += 1;
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests;
