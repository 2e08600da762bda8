// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's one UART: everybody's output, and what is typed. A board without one has a log in
//! memory instead.
//!
//! Any CPU pumps what waits into the UART when its guest has printed, but only if nobody else does:
//! `pump` tries the lock and, failing that, leaves word for the holder. A visit sends a bounded
//! number of bytes and never waits for the FIFO; what is left goes out by the transmit interrupt on
//! the console CPU, which also takes the input. A line that does not end is looked at again by a
//! CPU of the VM that prints it, so that nobody else pays for it.
//!
//! Where the calling CPU is shared, a visit is a few hundred instructions, and less when another
//! vPE's turn is near; a shared console CPU comes back by its timer instead of the transmit
//! interrupt, so that a UART that is never full does not take the CPU from whoever has it.
//!
//! What EL2 says while guests run waits in printer.rs and is written part by part during visits.
//! Only at boot, at the end, and when EL2 has failed do its lines wait for room in the UART, within
//! bounds.

use super::pages;
use super::printer::{self, Printer};
use crate::devices::line::Line;
use crate::state::cpu::{self, Cpu};
use crate::state::parts::{SHARED, is_shared};
use crate::state::plan_data::PLAN;
use crate::state::vms::{self, VMS};
use crate::state::{ipi, places};
use abi::console::Check;
use arch::sysreg::{Pause, pause, ticks, ticks_per_second};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use plan::{CpuIndex, VmIndex, VpeIndex};
use sched::NEVER;
use spin::mutex::TicketMutex;
use spin::mutex::ticket::TicketMutexGuard;
use vm::console::{Input, Mux, begin_line, end_line};
use vm::text::Text;

const UART: Line = Line::of_board();

static CONSOLE: TicketMutex<Console, Pause> =
    TicketMutex::new(Console { mux: Mux::new(VmIndex::new(0), false), printer: Printer::new() });
/// Something was printed since the holder of `CONSOLE` last looked.
static WAITS: AtomicBool = AtomicBool::new(false);
/// The transmit interrupt is on.
static SENDING: AtomicBool = AtomicBool::new(false);
/// The console CPU comes back by its timer.
static PACED: AtomicBool = AtomicBool::new(false);

/// The UART's interrupt is off because its CPU found `CONSOLE` in use.
static DEAF: AtomicBool = AtomicBool::new(false);

/// VM whose CPU comes back for the rest of its line. Written under `CONSOLE`, or by that CPU, which
/// takes it back.
static AWAITED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

type Held = TicketMutexGuard<'static, Console, Pause>;

/// The console, if nobody has it.
#[inline(never)]
fn try_console() -> Option<Held> {
    CONSOLE.try_lock()
}

/// Part of a second after which a line that did not end is taken for a prompt.
const QUIET: u64 = 50;
/// Times that a visit looks again because others printed meanwhile.
const ROUNDS: u32 = 4;
/// Bytes taken from the receive FIFO at once, several times what it holds: those left would wait
/// for the next one typed.
const INPUT: u32 = 256;
/// Bytes that EL2 sends at most before it goes on with its own lines.
const PATIENT_BUDGET: u32 = 8192;
/// Tries for the lock before EL2's last words go to the UART directly.
const PATIENCE: u32 = 1_000_000;

/// What one visit may do.
#[derive(Clone, Copy)]
struct Budget {
    /// Bytes for the UART.
    bytes: u32,
    /// Parts of EL2's own lines, [`EFFORT`] each; [`EMPTY`] those that turn out to be empty. Who
    /// has used it up sends as few bytes as `NEAR` has.
    effort: u32,
}

const EFFORT: u32 = 4;
const EMPTY: u32 = 1;

impl Budget {
    /// A CPU's vPE pays for itself.
    const EXCLUSIVE: Self = Self { bytes: 256, effort: u32::MAX };
    /// What a vPE asked for, on its own CPU: all of a table, if the UART takes it.
    const ASKED: Self = Self { bytes: 16_384, effort: u32::MAX };
    const SHARED: Self = Self { bytes: 16, effort: EFFORT };
    /// Another vPE's turn is near.
    const NEAR: Self = Self { bytes: 4, effort: 0 };
}

/// Between visits of a shared console CPU: 16 bytes each make 32,000 a second, three times what
/// 115,200 baud can carry.
const PACE: u64 = PLAN.board.timer.frequency / 2000;
/// So soon is near: 20 us.
const NEAR: u64 = PLAN.board.timer.frequency / 50_000;

struct Console {
    mux: Mux,
    printer: Printer,
}

impl Console {
    /// Writes and sends what waits, within the budget. The VMs that have room again, and whether
    /// nothing is left.
    fn visit(&mut self, budget: &mut Budget) -> (u64, bool) {
        let mut unblocked = 0;
        loop {
            let before = budget.effort;
            let more = self.compose(&mut budget.effort);
            if budget.effort == 0 && before != 0 {
                budget.bytes = budget.bytes.min(Budget::NEAR.bytes);
            }
            let pumped = self.mux.pump(name, &VMS, &mut |byte| {
                if budget.bytes == 0 || !UART.put(byte) {
                    return false;
                }
                budget.bytes -= 1;
                true
            });
            unblocked |= pumped.unblocked;
            if !pumped.idle || !more || budget.effort == 0 {
                return (unblocked, pumped.idle && !more);
            }
            if budget.effort == before {
                // EL2's lines fill their ring behind a line that may go on: `wait_for_rest`.
                return (unblocked, true);
            }
        }
    }

    /// Writes parts of EL2's lines while there is room. True: there are more.
    fn compose(&mut self, effort: &mut u32) -> bool {
        let mut more = self.printer.waits();
        while more && *effort != 0 && self.mux.room() >= printer::PART {
            let room = self.mux.room();
            more = self.printer.part(&mut self.mux);
            let cost = if self.mux.room() == room { EMPTY } else { EFFORT };
            *effort = effort.saturating_sub(cost);
        }
        more
    }

    /// Sends what waits, up to what VMs can print meanwhile, waiting for room in the UART.
    fn send_all(&mut self) {
        self.mux.patient(false);
        let mut left = PATIENT_BUDGET;
        let pumped = self.mux.pump(name, &VMS, &mut |byte| {
            if left == 0 {
                return false;
            }
            left -= 1;
            UART.put_patiently(byte);
            true
        });
        tell_room(pumped.unblocked);
    }
}

fn name(vm: usize) -> &'static str {
    PLAN.vms.get(vm).map_or("?", |vm| vm.name)
}

/// The UART as EL2 uses it. Once, at boot.
pub fn enable() {
    CONSOLE.lock().mux.configure(PLAN.focus, true);
    UART.enable();
    UART.interrupts(false);
}

/// Sends what waits, as far as that takes no waiting. A line that is not at its end may soon be,
/// and so waits for `QUIET`. Where CPUs are shared, their schedules have that timer and nothing
/// waits.
pub fn pump() {
    visit(!SHARED, Budget::EXCLUSIVE);
}

/// The same for something that the calling CPU's guest asked for.
pub fn pump_for_guest() {
    visit(!SHARED, Budget::ASKED);
}

/// The hypervisor's timer: no more came for what waits, or a shared CPU's next visit is due.
pub fn quiet() {
    call(None);
    visit(false, Budget::EXCLUSIVE);
}

/// `exclusive`: what it may do if this CPU is not shared.
fn visit(patient: bool, exclusive: Budget) {
    let shared = if SHARED { cpu::calling_index().filter(|&index| is_shared(index)) } else { None };
    let mut budget = match shared.and_then(cpu::of) {
        None => exclusive,
        Some(cpu) if decides_soon(cpu) => Budget::NEAR,
        Some(_) => Budget::SHARED,
    };
    WAITS.store(true, SeqCst);
    for _ in 0..ROUNDS {
        let Some(mut console) = try_console() else { return stop_waiting() };
        WAITS.store(false, SeqCst);
        console.mux.patient(patient);
        let (unblocked, idle) = console.visit(&mut budget);
        come_back(shared, idle);
        if !SHARED {
            wait_for_rest(console.mux.defers(&VMS));
        }
        drop(console);
        listen();
        tell_room(unblocked);
        if !idle || !WAITS.load(SeqCst) {
            return;
        }
    }
    ipi::printed(PLAN.console_cpu);
}

/// Another vPE's turn is near.
fn decides_soon(cpu: &Cpu) -> bool {
    cpu.timer.decision().saturating_sub(ticks()) < NEAR
}

/// The calling CPU comes back once so many ticks have passed; None: it does not.
fn call(after: Option<u64>) {
    if let Some(cpu) = cpu::calling() {
        cpu.timer.visit_at(after.map_or(NEVER, |after| ticks().wrapping_add(after)));
    }
}

/// Somebody sees to what is left: the transmit interrupt calls the console CPU, which has a timer
/// if it is shared. Under `CONSOLE`.
fn come_back(shared: Option<CpuIndex>, idle: bool) {
    if shared == Some(PLAN.console_cpu) {
        PACED.store(!idle, SeqCst);
        call(if idle { None } else { Some(PACE) });
    }
    let waits = SHARED && PACED.load(SeqCst);
    let sending = !(idle || waits);
    if SENDING.swap(sending, SeqCst) != sending {
        UART.interrupts(sending);
    }
}

/// Somebody comes back after `QUIET` for the line of `vm` that is not at its end: its own CPU, so
/// that no other is interrupted for it. Under `CONSOLE`, where no CPU is shared.
fn wait_for_rest(vm: Option<VmIndex>) {
    let Some(vm) = vm else {
        AWAITED.store(NOBODY, SeqCst);
        return call(None);
    };
    if is_here(vm.index()) {
        AWAITED.store(vm.index(), SeqCst);
        return call(Some(ticks_per_second() / QUIET));
    }
    call(None);
    if AWAITED.swap(vm.index(), SeqCst) != vm.index()
        && let Some(vm) = PLAN.vms.get(vm.index())
        && let Some(cpu) = places::cpu_of(VpeIndex::new(vm.first_vpe))
    {
        ipi::printed(cpu);
    }
}

/// Whoever has the mux sees to everything that waits, and tells this CPU if it is to come back.
fn stop_waiting() {
    let vm = AWAITED.load(SeqCst);
    if !SHARED && is_here(vm) {
        call(None);
        let _ = AWAITED.compare_exchange(vm, NOBODY, SeqCst, SeqCst);
    }
}

/// This CPU is one of the VM's.
fn is_here(vm: usize) -> bool {
    let here = cpu::calling_index();
    PLAN.vpes.iter().any(|vpe| vpe.vm.index() == vm && Some(vpe.cpu) == here)
}

/// VMs whose output has room again hear of it.
fn tell_room(unblocked: u64) {
    let mut rest = unblocked;
    while rest != 0 {
        let vm = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        with_vm(vm, |state, vpes| state.has_room(vpes));
    }
}

/// Calls `change` on a VM, and makes the CPU of the vPE that it answers look.
fn with_vm(
    index: usize,
    change: impl FnOnce(&vm::VmState, &'static [vm::VpeState]) -> Option<usize>,
) {
    let (Some(vm), Some(state)) = (PLAN.vms.get(index), VMS.get(index)) else { return };
    if let Some(number) = change(state, vms::states(vm)) {
        ipi::kick(vms::vpe(vm, number));
    }
}

/// The UART's interrupt, on the console CPU. While somebody else has the console it is off; whoever
/// gives the console back turns it on again. It is acknowledged before the first byte is read, so
/// that one that comes later raises it again.
pub fn interrupt() {
    let Some(mut console) = try_input() else { return };
    UART.acknowledge();
    for _ in 0..INPUT {
        let Some(byte) = UART.get() else { break };
        match console.mux.input(&PLAN, byte) {
            Input::Nothing => {}
            Input::Deliver(vm, byte) => {
                with_vm(VmIndex::index(vm), |state, vpes| state.receive(vpes, byte))
            }
            Input::ShowCounters => pages::ask(pages::COUNTERS),
            Input::ShowPlaces => {
                pages::ask(pages::PLACES);
                ipi::ask_all();
            }
            Input::ShowFocus => pages::ask(pages::FOCUS),
            Input::NoConsole => pages::ask(pages::NO_CONSOLE),
            Input::ShowKeys => pages::ask(pages::KEYS),
        }
    }
    drop(console);
    pump();
}

/// The console, or None: the UART's interrupt is off until its holder has given it back.
fn try_input() -> Option<Held> {
    try_console().or_else(|| {
        UART.mask();
        DEAF.store(true, SeqCst);
        // It may have been given back just before.
        let console = try_console()?;
        listen();
        Some(console)
    })
}

/// Turns the UART's interrupt on if it is off.
#[inline(never)]
fn listen() {
    if DEAF.swap(false, SeqCst) {
        UART.interrupts(SENDING.load(SeqCst));
    }
}

/// Where EL2 writes its own lines. Waits for room in the UART.
pub struct Own<'a>(Way<'a>);

enum Way<'a> {
    Through(&'a mut Console),
    /// EL2 failed while the console was in use: the UART as it is. The check of the line so far;
    /// None: between lines.
    Directly(Option<Check>),
}

impl Text for Own<'_> {
    fn byte(&mut self, byte: u8) {
        match &mut self.0 {
            Way::Through(console) => {
                while !console.mux.write(byte) {
                    console.send_all();
                }
            }
            Way::Directly(check) => {
                let so_far = check.unwrap_or_else(|| {
                    begin_line(&mut Uart);
                    Check::START
                });
                *check = if byte == b'\n' {
                    end_line(&mut Uart, so_far, None);
                    None
                } else {
                    UART.put_patiently(byte);
                    Some(so_far.with(byte))
                };
            }
        }
    }
}

/// The UART, whoever else writes there.
struct Uart;

impl Text for Uart {
    fn byte(&mut self, byte: u8) {
        UART.put_patiently(byte);
    }
}

/// Writes EL2's own lines, all of them, behind what VMs have printed so far, and waits until they
/// are sent: while no guest that could mind runs on this CPU.
#[inline(never)]
pub fn write(lines: &mut dyn FnMut(&mut Own)) {
    write_now(false, lines);
}

/// The same, behind all that was asked for.
#[inline(never)]
pub fn write_last(lines: &mut dyn FnMut(&mut Own)) {
    write_now(true, lines);
}

fn write_now(all: bool, lines: &mut dyn FnMut(&mut Own)) {
    for _ in 0..PATIENCE {
        if let Some(mut console) = try_console() {
            let mut effort = u32::MAX;
            console.send_all();
            while all && console.compose(&mut effort) {
                console.send_all();
            }
            let unfinished = console.mux.unfinished();
            let mut out = Own(Way::Through(&mut console));
            if unfinished {
                out.byte(b'\n');
            }
            lines(&mut out);
            console.send_all();
            drop(console);
            UART.drain();
            listen();
            return;
        }
        pause();
    }
    lines(&mut Own(Way::Directly(None)));
    UART.drain();
}

/// Says what was booted, and how long that took so far.
pub fn banner(entered: u64) {
    write(&mut |out| {
        out.text("bulkhead: system ");
        out.text(PLAN.system);
        out.text(" on ");
        out.text(PLAN.board.name);
        out.text(", plan ");
        out.hex(PLAN.digest);
        out.text(", ");
        out.decimal(ticks().wrapping_sub(entered));
        out.text(" ticks from entry\n");
    });
}
