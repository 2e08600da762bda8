//! Fault records of SMMUs: whose they are, what becomes of the device, and what is told.
//!
//! A record is charged to the device whose StreamID it has. Its VM's `on_dma_fault` decides: told,
//! cut off, or the VM fails. Too many in one life cut the device off in any case (`smmu::account`),
//! so that none keeps EL2 busy; a StreamID that no device of the plan has is then ignored. Nothing
//! is printed here: of each device that has something to tell the last fault waits for whoever
//! visits the console (report.rs).

use crate::io::{console, dma, report};
use crate::life::run;
use crate::state::percpu::{self, VMS};
use crate::state::plan_data::{MASTER_COUNT, PLAN};
use arch::sysreg::{Pause, ticks};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use plan::{DmaFault, Master, VpeIndex};
use smmu::account::{Account, Verdict};
use smmu::event::{Access, Event};
use spin::mutex::TicketMutex;
use vm::health::{Action, Fault, Reason};
use vm::text::Text;

/// By device; the last one is everybody that no VM has.
static STATES: [State; MASTER_COUNT + 1] = [const { State::new() }; MASTER_COUNT + 1];
/// Records were lost, and that is to be told.
static LOST: AtomicBool = AtomicBool::new(false);
/// It was told once: that is enough.
static LOST_TOLD: AtomicBool = AtomicBool::new(false);

struct State {
    account: Account,
    note: TicketMutex<Note, Pause>,
    /// Faults that were to be told and were not.
    untold: AtomicU32,
}

/// What is to be told of a device.
#[derive(Clone, Copy)]
pub struct Note {
    event: Option<Event>,
    cut_off: bool,
}

impl Note {
    const NOTHING: Self = Self { event: None, cut_off: false };
}

impl State {
    const fn new() -> Self {
        Self {
            account: Account::new(),
            note: TicketMutex::new(Note::NOTHING),
            untold: AtomicU32::new(0),
        }
    }

    /// The first fault that nobody has printed yet stays, and the others are counted.
    fn tell(&self, event: &Event) {
        let mut note = self.note.lock();
        if note.event.is_some() {
            self.untold.fetch_add(1, Relaxed);
        } else {
            note.event = Some(*event);
        }
    }
}

/// The VM of the plan's device `index` starts.
pub fn start(index: usize) {
    if let Some(state) = STATES.get(index) {
        state.account.start();
    }
}

/// Records were lost.
pub fn lost() {
    if !LOST_TOLD.swap(true, Relaxed) {
        LOST.store(true, Relaxed);
        report::ask(report::DMA);
    }
}

/// A fault is counted, told, and answered by the policy of the VM.
pub fn charge(smmu: usize, event: &Event) {
    let id = event.stream.value();
    let has = |master: &Master| usize::from(master.smmu) == smmu && master.streams.contains(&id);
    let index = PLAN.masters.iter().position(has);
    let Some(state) = STATES.get(index.unwrap_or(MASTER_COUNT)) else { return };
    let verdict = state.account.fault(event.address);
    match (index.and_then(|index| PLAN.masters.get(index)), verdict) {
        (Some(master), Verdict::Tell) => {
            state.tell(event);
            follow(master, state, event);
        }
        (None, Verdict::Tell) => state.tell(event),
        (Some(master), Verdict::CutOff) => cut_off(master, state),
        (None, Verdict::CutOff | Verdict::Late) => return dma::ignore(smmu, event.stream),
        (_, Verdict::Known | Verdict::Late) => return,
    }
    report::ask(report::DMA);
    console::pump();
}

/// What the VM's policy says besides telling.
fn follow(master: &Master, state: &State, event: &Event) {
    match master.on_fault {
        DmaFault::Record => {}
        DmaFault::StopDevice => {
            if state.account.cut_off() {
                cut_off(master, state);
            }
        }
        DmaFault::Fail => fail(master, event),
    }
}

fn cut_off(master: &Master, state: &State) {
    dma::cut_off(master);
    state.note.lock().cut_off = true;
}

/// The device's VM fails.
fn fail(master: &Master, event: &Event) {
    let (Some(vm), Some(state)) = (PLAN.vms.get(master.vm.index()), VMS.get(master.vm.index()))
    else {
        return;
    };
    let first = VpeIndex::new(vm.first_vpe);
    let Some(this) = percpu::of(first) else { return };
    let far = event.address.unwrap_or(0);
    let fault = Fault { reason: Reason::Dma, esr: 0, far, ipa: event.address, elr: 0 };
    let action = state.health.fail(fault, vm.on_fault, ticks());
    if action != Action::Nothing {
        report::fault(&this.guest, &fault, action);
        run::act(&this.guest, action);
    }
}

/// What is to be told of device `index`, taken. None: there are no more devices.
pub fn note(index: usize) -> Option<Note> {
    STATES.get(index).map(|state| core::mem::replace(&mut *state.note.lock(), Note::NOTHING))
}

/// Writes a part of a note of device `index`. False: that was the last.
pub fn tell(index: usize, note: &Note, part: usize, out: &mut impl Text) -> bool {
    match (part, &note.event) {
        (0, _) => {
            if index == 0 && LOST.swap(false, Relaxed) {
                out.text("bulkhead: SMMU: fault records were lost\n");
            }
        }
        (1, Some(event)) => access(index, event, out),
        (2, Some(event)) => reason(index, event, out),
        (3, _) if note.cut_off => {
            begin(index, out);
            out.text(" is cut off until its VM starts again");
            let policy = PLAN.masters.get(index).map(|master| master.on_fault);
            out.text(match policy {
                Some(DmaFault::StopDevice) => "\n",
                _ => ": too many faults\n",
            });
        }
        (1..=3, _) => {}
        _ => return false,
    }
    true
}

fn begin(index: usize, out: &mut impl Text) {
    out.text("bulkhead: ");
    let Some(master) = PLAN.masters.get(index) else {
        return out.text("a device that no VM has");
    };
    out.text(master.name);
    out.text(" of VM ");
    out.text(PLAN.vms.get(master.vm.index()).map_or("?", |vm| vm.name));
}

fn access(index: usize, event: &Event, out: &mut impl Text) {
    begin(index, out);
    out.text(match event.access {
        Some(Access { write: true, .. }) => ": DMA write to ",
        Some(_) => ": DMA read of ",
        None => ": DMA",
    });
    if let Some(address) = event.address {
        out.hex(address);
    }
    out.text(" refused");
}

fn reason(index: usize, event: &Event, out: &mut impl Text) {
    out.text(": ");
    out.text(event.kind.text());
    out.text(", StreamID ");
    out.hex(event.stream.value().into());
    let untold = STATES.get(index).map_or(0, |state| state.untold.swap(0, Relaxed));
    if untold != 0 {
        out.text("; after it, faults not told: ");
        out.decimal(untold.into());
    }
    out.text("\n");
}

/// Faults of device `index` since power-up, if it had any. False: there are no more devices.
pub fn count(index: usize, out: &mut impl Text) -> bool {
    let Some(state) = STATES.get(index) else { return false };
    let total = state.account.total();
    if total != 0 {
        out.text("bulkhead: dma-faults ");
        match PLAN.masters.get(index) {
            Some(master) => {
                out.text(PLAN.vms.get(master.vm.index()).map_or("?", |vm| vm.name));
                out.text("/");
                out.text(master.name);
            }
            None => out.text("-/-"),
        }
        out.text(" ");
        out.decimal(total);
        out.text(if state.account.is_cut_off() { ", cut off\n" } else { "\n" });
    }
    true
}
