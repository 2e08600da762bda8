// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that made faults at an SMMU: how many, and what of them is to be told.
//!
//! Nothing is printed here: of each device that has something to tell the last fault waits for
//! whoever visits the console (printer.rs). What becomes of the device: life/dma.rs.

use super::pages;
use crate::state::plan_data::{MASTER_COUNT, PLAN};
use arch::sysreg::Pause;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use plan::DmaFault;
use smmu::account::Account;
use smmu::event::{Access, Event};
use spin::mutex::TicketMutex;
use vm::text::Text;

/// By device; the last one is everybody that no VM has.
static DEVICES: [Device; MASTER_COUNT + 1] = [const { Device::new() }; MASTER_COUNT + 1];
/// Records were lost, and that is to be told.
static LOST: AtomicBool = AtomicBool::new(false);
/// It was told once: that is enough.
static LOST_TOLD: AtomicBool = AtomicBool::new(false);

/// A device that an SMMU holds, or all that no VM has.
pub struct Device {
    pub account: Account,
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

impl Device {
    const fn new() -> Self {
        Self {
            account: Account::new(),
            note: TicketMutex::new(Note::NOTHING),
            untold: AtomicU32::new(0),
        }
    }

    /// The first fault that nobody has printed yet stays, and the others are counted.
    pub fn tell(&self, event: &Event) {
        let mut note = self.note.lock();
        if note.event.is_some() {
            self.untold.fetch_add(1, Relaxed);
        } else {
            note.event = Some(*event);
        }
    }

    /// It is cut off, and that is to be told.
    pub fn tell_cut_off(&self) {
        self.note.lock().cut_off = true;
    }
}

/// The plan's device `index`; None: all that no VM has.
pub fn device(index: Option<usize>) -> Option<&'static Device> {
    DEVICES.get(index.unwrap_or(MASTER_COUNT))
}

/// Records were lost.
pub fn lost() {
    if !LOST_TOLD.swap(true, Relaxed) {
        LOST.store(true, Relaxed);
        pages::ask(pages::DMA);
    }
}

/// What is to be told of device `index`, taken. None: there are no more devices.
pub fn note(index: usize) -> Option<Note> {
    DEVICES.get(index).map(|state| core::mem::replace(&mut *state.note.lock(), Note::NOTHING))
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
    let untold = DEVICES.get(index).map_or(0, |state| state.untold.swap(0, Relaxed));
    if untold != 0 {
        out.text("; after it, faults not told: ");
        out.decimal(untold.into());
    }
    out.text("\n");
}

/// Faults of device `index` since power-up, if it had any. False: there are no more devices.
pub fn count(index: usize, out: &mut impl Text) -> bool {
    let Some(state) = DEVICES.get(index) else { return false };
    let total = state.account.total();
    if total != 0 {
        out.text("bulkhead: figure dma-faults/");
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
        out.text(if state.account.is_cut_off() { " faults, cut off\n" } else { " faults\n" });
    }
    true
}
