// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of a device that accesses memory which is not its VM's.
//!
//! A record of an SMMU is charged to the device whose StreamID it has. Its VM's `on_dma_fault`
//! decides: told, cut off, or the VM fails. Too many in one life cut the device off in any case
//! (`smmu::account`), so that none keeps EL2 busy; a StreamID that no device of the plan has is
//! then ignored.

use super::action;
use crate::io::faults::{self, Device};
use crate::io::{console, dma, pages, report};
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use crate::state::vms::VMS;
use crate::state::vpe;
use arch::mmu;
use arch::sysreg::ticks;
use gicv4::IntId;
use gicv4::dist::Dist;
use plan::{DmaFault, Master, VmIndex, VpeIndex};
use smmu::account::{MOST, Verdict};
use smmu::event::Event;
use vm::health::{Action, Fault, Reason};

/// Records that one interrupt takes.
const AT_ONCE: u32 = 16;

/// Devices of a VM, with their place among all.
fn masters(vm: VmIndex) -> impl Iterator<Item = (usize, &'static Master)> {
    PLAN.masters.iter().enumerate().filter(move |(_, master)| master.vm == vm)
}

/// The VM's device `number` reaches its memory from here on. False: it has no such device.
pub fn attach(vm: VmIndex, number: usize) -> bool {
    let Some((index, master)) = masters(vm).nth(number) else { return false };
    // What its former life did was charged to that.
    let smmu = usize::from(master.smmu);
    let bits = PLAN.smmus.get(smmu).map_or(0, |smmu| smmu.event_bits);
    take(smmu, 1 << bits);
    if let Some(device) = faults::device(Some(index)) {
        device.account.start();
    }
    dma::attach(master);
    true
}

/// Devices of a VM reach nothing from here on, and what they had begun is over.
pub fn detach(vm: VmIndex) {
    masters(vm).for_each(|(_, master)| dma::cut_off(master));
}

/// One of the SMMUs' interrupts came.
pub fn interrupt(intid: u32) {
    for (number, smmu) in PLAN.smmus.iter().enumerate() {
        if intid == smmu.event_intid {
            if take(number, AT_ONCE) == AT_ONCE {
                // Records may be left. The SMMU interrupts when its queue becomes non-empty (IHI
                // 0070 3.18), so the interrupt is made pending here. Others can be taken before.
                Dist::new(mmu::distributor::<Built>()).set_pending(IntId::new(smmu.event_intid));
            }
        } else if intid == smmu.error_intid {
            dma::errors(number);
        }
    }
}

/// Takes records, at most `limit`. How many there were.
fn take(smmu: usize, limit: u32) -> u32 {
    let mut taken = 0;
    while taken < limit
        && let Some(event) = dma::next(smmu)
    {
        charge(smmu, &event);
        taken = taken.wrapping_add(1);
    }
    taken
}

/// A fault is counted, told, and answered by the policy of the VM.
fn charge(smmu: usize, event: &Event) {
    let id = event.stream.value();
    let has = |master: &Master| usize::from(master.smmu) == smmu && master.streams.contains(&id);
    let index = PLAN.masters.iter().position(has);
    let Some(device) = faults::device(index) else { return };
    let master = index.and_then(|index| PLAN.masters.get(index));
    let most = master.map_or(MOST, |master| master.most_faults);
    let verdict = device.account.fault(event.address, most);
    match (master, verdict) {
        (Some(master), Verdict::Tell) => {
            device.tell(event);
            // Before what follows from it.
            pages::ask(pages::DMA);
            follow(master, device, event);
        }
        (None, Verdict::Tell) => device.tell(event),
        (Some(master), Verdict::CutOff) => cut_off(master, device),
        (None, Verdict::CutOff | Verdict::Late) => return dma::ignore(smmu, event.stream),
        (_, Verdict::Known | Verdict::Late) => return,
    }
    pages::ask(pages::DMA);
    console::pump();
}

/// What the VM's policy says besides telling.
fn follow(master: &Master, device: &Device, event: &Event) {
    match master.on_fault {
        DmaFault::Record => {}
        DmaFault::StopDevice => {
            if device.account.cut_off() {
                cut_off(master, device);
            }
        }
        DmaFault::Fail => fail(master, event),
    }
}

fn cut_off(master: &Master, device: &Device) {
    dma::cut_off(master);
    device.tell_cut_off();
}

/// The device's VM fails.
fn fail(master: &Master, event: &Event) {
    let (Some(vm), Some(state)) = (PLAN.vms.get(master.vm.index()), VMS.get(master.vm.index()))
    else {
        return;
    };
    let first = VpeIndex::new(vm.first_vpe);
    let Some(this) = vpe::of(first) else { return };
    let far = event.address.unwrap_or(0);
    let fault = Fault { reason: Reason::Dma, esr: 0, far, ipa: event.address, elr: 0 };
    let action = state.health.fail(fault, vm.on_fault, vm.restarts, ticks());
    if action != Action::Nothing {
        report::fault(&this.guest, &fault, action);
        action::act(&this.guest, action);
    }
}
