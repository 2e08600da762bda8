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
use crate::state::parts::SHARED;
use crate::state::plan_data::{PLAN, SMMU_COUNT};
use crate::state::system::Built;
use crate::state::vms::{VMS, vm_of};
use crate::state::vpe::{self, Vpe};
use arch::mmu;
use arch::sysreg::ticks;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use gicv4::IntId;
use gicv4::dist::Dist;
use gicv4::frame::Distributor;
use gicv4::hw::MmioFrame;
use plan::{CpuIndex, DmaFault, Master, Smmu, VmIndex, VpeIndex};
use smmu::account::{MOST, Verdict};
use smmu::event::Event;
use vm::health::{Action, Fault, Reason};

/// Records that one interrupt takes.
const AT_ONCE: u32 = 16;

/// By SMMU: its interrupts are disabled until it is their time.
static PUT_OFF: [AtomicBool; SMMU_COUNT] = [const { AtomicBool::new(false) }; SMMU_COUNT];

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

/// One of the SMMUs' interrupts came, while this vPE had the CPU.
pub fn interrupt(intid: u32, running: Option<&Vpe>) {
    for (number, smmu) in PLAN.smmus.iter().enumerate() {
        if ![smmu.event_intid, smmu.error_intid].contains(&intid) {
            continue;
        }
        if SHARED && running.is_some_and(|vpe| vpe.shares() && !is_behind(vpe, number)) {
            put_off(number, smmu, intid);
            continue;
        }
        if intid == smmu.error_intid {
            dma::errors(number);
        }
        if intid == smmu.event_intid && take(number, AT_ONCE) == AT_ONCE {
            // Records may be left. The SMMU interrupts when its queue becomes non-empty (IHI 0070
            // 3.18), so the interrupt is made pending here. Others can be taken before.
            distributor().set_pending(IntId::new(intid));
        }
    }
}

/// A device of the vPE's VM is behind this SMMU.
fn is_behind(vpe: &Vpe, smmu: usize) -> bool {
    let vm = VmIndex::new(vm_of(vpe.index) as u16);
    masters(vm).any(|(_, master)| usize::from(master.smmu) == smmu)
}

/// The SMMU's interrupts stay pending until it is the time of a VM that has a device behind it, or
/// nobody's: no other VM's time is spent on them.
fn put_off(number: usize, smmu: &Smmu, intid: u32) {
    let Some(waits) = PUT_OFF.get(number) else { return };
    waits.store(true, Relaxed);
    let distributor = distributor();
    distributor.disable_spi(IntId::new(smmu.event_intid));
    distributor.disable_spi(IntId::new(smmu.error_intid));
    distributor.set_pending(IntId::new(intid));
}

/// This vPE, or nobody, has the CPU next: interrupts that were put off may come.
pub fn next_is(next: Option<&Vpe>, cpu: CpuIndex) {
    for (number, (smmu, waits)) in PLAN.smmus.iter().zip(&PUT_OFF).enumerate() {
        let ours = smmu.cpu == cpu && waits.load(Relaxed);
        if ours && next.is_none_or(|vpe| is_behind(vpe, number)) {
            waits.store(false, Relaxed);
            distributor().enable_spi(IntId::new(smmu.event_intid));
            distributor().enable_spi(IntId::new(smmu.error_intid));
        }
    }
}

fn distributor() -> Dist<MmioFrame<Distributor>> {
    Dist::new(mmu::distributor::<Built>())
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
