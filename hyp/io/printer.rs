// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own lines while guests run: counters, faults, places, keys.
//!
//! Whoever has something to say leaves word ([`pages::ask`], [`fault`]) and goes on; whoever visits
//! the console has [`Printer`] write it, a part at a time, from what is true then. So nothing has
//! to be kept but a bit for each kind of page, and a fault for each VM: of several that nobody has
//! printed yet the last is told, and how many were not.

use super::{faults, pages};
use crate::state::parts::{MODES, SHARED, SMMU, VIRTUAL_ITS, is_shared};
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::system::Built;
use crate::state::vms::{EVENTS, SNAPSHOTS, VMS, VPES};
use crate::state::{cpu, places};
use arch::mmu;
use arch::sysreg::{Pause, ticks_per_second};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use gicv4::frame::Frame;
use gicv4::regs::gicd;
use plan::{CpuIndex, Fault as Policy, ModeIndex, VpeIndex};
use sched::Latency;
use spin::mutex::TicketMutex;
use vm::console::{Mux, NO_CONSOLE as NO_CONSOLE_LINE, focus, key};
use vm::health::{Action, Fault, Reason};
use vm::pci;
use vm::report::Table;
use vm::snapshot;
use vm::text::Text;
use vm::vits::{Learned, View};

/// Bytes that one part has at most.
pub const PART: usize = 192;

/// Faults of each VM that were not told.
static UNTOLD: [AtomicU32; VM_COUNT] = [const { AtomicU32::new(0) }; VM_COUNT];
/// The fault of each VM that is to be told.
static NOTES: [TicketMutex<Option<Note>, Pause>; VM_COUNT] =
    [const { TicketMutex::new(None) }; VM_COUNT];

/// The mode that the system is in.
static MODE: AtomicU32 = AtomicU32::new(0);

/// A fault that is to be told.
#[derive(Clone, Copy)]
struct Note {
    /// vPE, by its number in its VM.
    number: u16,
    fault: Fault,
    action: Action,
}

/// A fault of a VM is to be told, by a vPE's number there. If not `now`, or instead of one that
/// waits, it is counted only.
pub fn fault(vm: usize, number: u16, fault: &Fault, action: Action, now: bool) {
    let (Some(untold), Some(note)) = (UNTOLD.get(vm), NOTES.get(vm)) else { return };
    if !now || note.lock().replace(Note { number, fault: *fault, action }).is_some() {
        untold.fetch_add(1, Relaxed);
    }
    if now {
        pages::ask(pages::FAULTS);
    }
}

/// The system is in this mode now. If `now`, a line says so.
pub fn mode(mode: ModeIndex, now: bool) {
    MODE.store(mode.index() as u32, Relaxed);
    if now {
        pages::ask(pages::MODE);
    }
}

/// Writes what was asked for, page by page. Beside the mux, under its lock.
pub struct Printer {
    page: Page,
    /// Part of the page, where the page does not know it by itself.
    part: usize,
}

/// What is being printed. The first one is all zero, so that a printer takes no room in the image.
enum Page {
    Nothing,
    Counters(Table),
    Wakes(VpeIndex),
    Windows(CpuIndex),
    Messages(usize),
    Its(usize, Learned),
    Fault(usize, Option<Note>),
    Dma(usize, faults::Note),
    DmaCounts,
    Place(usize),
    State(usize),
    Spis(usize),
    Events(usize),
    Keys,
}

impl Printer {
    pub const fn new() -> Self {
        Self { page: Page::Nothing, part: 0 }
    }

    /// There is something to write.
    #[inline(always)]
    pub fn waits(&self) -> bool {
        !matches!(self.page, Page::Nothing) || pages::any()
    }

    /// Writes the next part, at most [`PART`] bytes, often none. True: there are more.
    #[inline(never)]
    pub fn part(&mut self, mux: &mut Mux) -> bool {
        let mut out = Part(mux);
        let part = self.part;
        self.part += 1;
        let more = match &mut self.page {
            Page::Nothing => {
                self.next(&mut out);
                return self.waits();
            }
            Page::Counters(table) => table.part(&PLAN, &VPES, &mut out),
            Page::Wakes(vpe) => wakes(*vpe, part, &mut out),
            Page::Windows(cpu) => windows(*cpu, part, &mut out),
            Page::Messages(vm) => {
                if let Some((vm, state)) = PLAN.vms.get(*vm).zip(VMS.get(*vm)) {
                    pci::report(vm, &state.refusals.lock(), &mut out);
                }
                false
            }
            Page::Its(vm, learned) => {
                PLAN.vms.get(*vm).zip(VMS.get(*vm)).is_some_and(|(vm, state)| {
                    learned.part(View::new(&PLAN, vm, &EVENTS), state, &mut out)
                })
            }
            Page::Fault(vm, note) => {
                note.as_ref().is_some_and(|note| tell(*vm, note, part, &mut out))
            }
            Page::Dma(device, note) => SMMU && faults::tell(*device, note, part, &mut out),
            Page::DmaCounts => SMMU && faults::count(part, &mut out),
            Page::Place(vpe) => locate(*vpe, part, &mut out),
            Page::State(vpe) => SNAPSHOTS
                .get(*vpe)
                .is_some_and(|taken| taken.part(&PLAN, (&VMS, &VPES), *vpe, part, &mut out)),
            Page::Spis(vm) => {
                let word = part + 1;
                let pending = mmu::distributor::<Built>().read_at(gicd::ISPENDR, word & 31);
                snapshot::spis(&PLAN, (&VMS, &VPES), *vm, word, pending, &mut out)
            }
            Page::Events(vm) => PLAN.vms.get(*vm).is_some_and(|config| {
                VIRTUAL_ITS
                    && snapshot::event(
                        config.name,
                        View::new(&PLAN, config, &EVENTS),
                        part,
                        &mut out,
                    )
            }),
            Page::Keys => {
                let focus = out.0.focus();
                key(&PLAN, focus, part, &mut out)
            }
        };
        if !more {
            self.turn();
        }
        self.waits()
    }

    /// The page is over.
    fn turn(&mut self) {
        self.part = 0;
        self.page = match self.page {
            Page::Counters(_) if SHARED => Page::Wakes(VpeIndex::new(0)),
            Page::Counters(_) => first_messages(),
            Page::Wakes(vpe) if vpe.index() + 1 < PLAN.vpes.len() => {
                Page::Wakes(VpeIndex::new(vpe.value() + 1))
            }
            Page::Wakes(_) => Page::Windows(CpuIndex::new(0)),
            Page::Windows(cpu) if cpu.index() + 1 < PLAN.cpus.len() => {
                Page::Windows(CpuIndex::new(cpu.value() + 1))
            }
            Page::Windows(_) => first_messages(),
            Page::Messages(vm) if vm + 1 < VM_COUNT => Page::Messages(vm + 1),
            Page::Messages(_) => first_dma(),
            Page::DmaCounts => first_its(),
            Page::Dma(device, _) if SMMU => dma_of(device + 1),
            Page::Its(vm, _) if vm + 1 < VM_COUNT => Page::Its(vm + 1, Learned::START),
            Page::Fault(vm, _) if vm + 1 < VM_COUNT => fault_of(vm + 1),
            Page::Place(vpe) if vpe + 1 < PLAN.vpes.len() => Page::Place(vpe + 1),
            Page::State(vpe) if vpe + 1 < PLAN.vpes.len() => Page::State(vpe + 1),
            Page::State(_) => Page::Spis(0),
            Page::Spis(vm) if vm + 1 < VM_COUNT => Page::Spis(vm + 1),
            Page::Spis(_) if VIRTUAL_ITS => Page::Events(0),
            Page::Events(vm) if vm + 1 < VM_COUNT => Page::Events(vm + 1),
            _ => Page::Nothing,
        };
    }

    /// Begins the next page that was asked for.
    fn next(&mut self, out: &mut Part) {
        self.part = 0;
        match pages::next() {
            pages::FAULTS => self.page = fault_of(0),
            pages::DMA if SMMU => self.page = dma_of(0),
            pages::MODE if MODES => name_mode(out),
            pages::FOCUS => focus(&PLAN, out.0.focus(), out),
            pages::NO_CONSOLE => out.text(NO_CONSOLE_LINE),
            pages::KEYS => self.page = Page::Keys,
            pages::PLACES => {
                if MODES {
                    name_mode(out);
                }
                self.page = Page::Place(0);
            }
            pages::STATES => self.page = Page::State(0),
            pages::COUNTERS => self.page = Page::Counters(Table::START),
            _ => {}
        }
    }
}

fn first_messages() -> Page {
    if PLAN.functions.is_empty() { first_dma() } else { Page::Messages(0) }
}

fn first_dma() -> Page {
    if SMMU { Page::DmaCounts } else { first_its() }
}

fn first_its() -> Page {
    if VIRTUAL_ITS { Page::Its(0, Learned::START) } else { Page::Nothing }
}

fn dma_of(device: usize) -> Page {
    faults::note(device).map_or(Page::Nothing, |note| Page::Dma(device, note))
}

#[inline(never)]
fn fault_of(vm: usize) -> Page {
    Page::Fault(vm, NOTES.get(vm).and_then(|note| note.lock().take()))
}

/// EL2's own lines, as far as there is room: [`PART`] bytes.
struct Part<'a>(&'a mut Mux);

impl Text for Part<'_> {
    fn byte(&mut self, byte: u8) {
        self.0.write(byte);
    }
}

fn name_mode(out: &mut impl Text) {
    let modes = PLAN.modes.as_ref().map_or(&[][..], |modes| modes.modes);
    if let Some(mode) = modes.get(MODE.load(Relaxed) as usize) {
        out.text("bulkhead: mode ");
        out.text(mode.name);
        out.text("\n");
    }
}

/// From when a vPE had reason to run to when it did.
fn wakes(vpe: VpeIndex, part: usize, out: &mut impl Text) -> bool {
    let (Some(index), Some(slot)) = (places::cpu_of(vpe), places::slot_of(vpe)) else {
        return false;
    };
    let Some(cpu) = cpu::of(index).filter(|_| is_shared(index)) else { return false };
    let figures = *cpu.running().scheduler.statistics(slot);
    if part == 0 {
        let (name, number) = vm::report::title(&PLAN, vpe.index());
        out.text("bulkhead: wake-to-run ");
        out.text(name);
        out.text("/");
        out.decimal(number);
    }
    latency(&figures.wake_to_run, part, out)
}

/// From a window's planned start to the first decision in it.
fn windows(cpu: CpuIndex, part: usize, out: &mut impl Text) -> bool {
    let Some(shared) = cpu::of(cpu).filter(|_| is_shared(cpu)) else { return false };
    let delay = *shared.running().scheduler.window_delay();
    if delay.count() == 0 {
        return false;
    }
    if part == 0 {
        out.text("bulkhead: window-delay CPU ");
        out.decimal(cpu.value().into());
    }
    latency(&delay, part, out)
}

/// In ticks; of the histogram, the buckets that are not empty, by the logarithm of what they count
/// from on.
fn latency(latency: &Latency, part: usize, out: &mut impl Text) -> bool {
    let summary = latency.min().zip(latency.mean()).zip(latency.max());
    match (part, summary) {
        (0, _) => {
            out.text(": count ");
            out.decimal(latency.count());
        }
        (1, Some(((min, mean), max))) => {
            for (name, value) in [(", min ", min), (", mean ", mean), (", max ", max)] {
                out.text(name);
                out.decimal(value);
            }
            out.text(" ticks; log2");
        }
        (part, summary) => {
            let buckets = if summary.is_some() { &latency.buckets()[..] } else { &[] };
            let power = part.wrapping_sub(2);
            let Some(&count) = buckets.get(power) else {
                out.text("\n");
                return false;
            };
            if count != 0 {
                out.text(" ");
                out.decimal(power as u64);
                out.text(":");
                out.decimal(count.into());
            }
        }
    }
    true
}

/// What a vPE does, then its last exits.
fn locate(vpe: usize, part: usize, out: &mut impl Text) -> bool {
    let Some(exit) = part.checked_sub(1) else {
        vm::report::place(&PLAN, &VPES, vpe, out);
        return true;
    };
    let past = VPES.get(vpe).and_then(|vpe| vpe.history.nth(exit));
    let (name, number) = vm::report::title(&PLAN, vpe);
    past.is_some_and(|past| {
        vm::report::exit(name, number, &past, out);
        true
    })
}

/// A VM's fault, and if it does not start again, its last exits.
fn tell(vm: usize, note: &Note, part: usize, out: &mut impl Text) -> bool {
    let Some(config) = PLAN.vms.get(vm) else { return false };
    let fault = &note.fault;
    match part {
        0 => {
            out.text("bulkhead: fault of ");
            out.text(config.name);
            out.text("/");
            out.decimal(note.number.into());
            out.text(": ");
            out.text(fault.reason.name());
        }
        1 => {
            for (name, value) in [(" at ", fault.elr), (", esr ", fault.esr), (", far ", fault.far)]
            {
                out.text(name);
                out.hex(value);
            }
            vm::report::ipa(fault.ipa, out);
        }
        2 => {
            out.text(match note.action {
                Action::Restart => "; it restarts",
                Action::ResetBoard => "; the board is reset",
                Action::Stop => "; it is stopped",
                Action::Nothing => "; it goes on",
            });
            let policy = match (fault.reason, &config.watchdog) {
                (Reason::Watchdog, Some(watchdog)) => watchdog.action,
                _ => Some(config.on_fault),
            };
            let limit = match policy {
                _ if fault.reason == Reason::Resets => Some((config.resets, " resets within ")),
                Some(Policy::Restart) if note.action == Action::Stop => {
                    config.restarts.map(|limit| (limit, " restarts within "))
                }
                _ => None,
            };
            if let Some((limit, what)) = limit {
                out.text(" after ");
                out.decimal(limit.most.into());
                out.text(what);
                out.decimal(limit.ticks / (ticks_per_second() / 1000).max(1));
                out.text(" ms");
            }
        }
        3 => {
            let untold = UNTOLD.get(vm).map_or(0, |untold| untold.swap(0, Relaxed));
            if untold != 0 {
                out.text("; before that, faults not told: ");
                out.decimal(untold.into());
            }
            out.text("\n");
        }
        _ => {
            let index = usize::from(config.first_vpe) + usize::from(note.number);
            let ended = note.action != Action::Restart;
            let past = VPES.get(index).and_then(|vpe| vpe.history.nth(part - 4));
            let Some(past) = past.filter(|_| ended) else { return false };
            vm::report::exit(config.name, note.number.into(), &past, out);
        }
    }
    true
}
