//! The board's one UART: everybody's output, and what is typed.
//!
//! Any CPU pumps what waits into the UART when its guest has printed, but only if nobody else does: `pump` tries the lock
//! and, failing that, leaves word for the holder. It sends `BUDGET` bytes at most and never waits for the FIFO; what is
//! left goes out by the transmit interrupt on the console CPU, which also takes the input. A line that does not end is
//! looked at again by a CPU of the VM that prints it, so that nobody else pays for it. EL2's own lines wait for room,
//! within bounds.

use crate::devices::pl011::Pl011;
use crate::percpu::{self, VMS, VPES};
use crate::plan_data::PLAN;
use crate::platform::{Hardware, attention, attention_cpu};
use crate::{report, shared};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use plan::{VmIndex, VpeIndex};
use spin::mutex::TicketMutex;
use spin::mutex::ticket::TicketMutexGuard;
use vm::Platform;
use vm::console::{Input, Mux};
use vm::text::Text;

use crate::arch::sysreg::{Pause, pause, ticks, ticks_per_second};

const UART: Pl011 = Pl011::new(PLAN.board.uart.base);

static MUX: TicketMutex<Mux, Pause> = TicketMutex::new(Mux::new(VmIndex::new(0), false));
/// Something was printed since the holder of `MUX` last looked.
static WAITS: AtomicBool = AtomicBool::new(false);
/// The transmit interrupt is on.
static SENDING: AtomicBool = AtomicBool::new(false);

/// The UART's interrupt is off because its CPU found `MUX` in use.
static DEAF: AtomicBool = AtomicBool::new(false);

/// VM whose CPU comes back for the rest of its line. Written under `MUX`, or by that CPU, which takes it back.
static AWAITED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

type Held = TicketMutexGuard<'static, Mux, Pause>;

/// Part of a second after which a line that did not end is taken for a prompt.
const QUIET: u64 = 50;
/// Bytes that one guest's exit sends at most.
const BUDGET: u32 = 256;
/// Times that it looks again because others printed meanwhile.
const ROUNDS: u32 = 4;
/// Bytes taken from the receive FIFO at once, several times what it holds: those left would wait for the next one typed.
const INPUT: u32 = 256;
/// Bytes that EL2 sends at most before it goes on with its own lines.
const PATIENT_BUDGET: u32 = 8192;
/// Tries for the lock before EL2's last words go to the UART directly.
const PATIENCE: u32 = 1_000_000;

/// The UART as EL2 uses it. Once, at boot.
pub fn enable() {
    MUX.lock().configure(PLAN.focus, true);
    UART.enable();
    UART.interrupts(false);
}

/// Sends what waits, as far as that takes no waiting. A line that is not at its end may soon be, and so waits for `QUIET`.
/// Where CPUs are shared, their schedules have that timer and nothing waits.
pub fn pump() {
    pump_lines(!shared::ANY);
}

/// The hypervisor's timer: no more came for what waits.
pub fn quiet() {
    shared::call_console(None);
    pump_lines(false);
}

fn pump_lines(patient: bool) {
    WAITS.store(true, SeqCst);
    for _ in 0..ROUNDS {
        let Some(mut mux) = MUX.try_lock() else { return stop_waiting() };
        WAITS.store(false, SeqCst);
        mux.patient(patient);
        let mut left = BUDGET;
        let pumped = mux.pump(&PLAN, &VMS, &mut |byte| {
            if left == 0 || !UART.put(byte) {
                return false;
            }
            left -= 1;
            true
        });
        if SENDING.swap(!pumped.idle, SeqCst) == pumped.idle {
            UART.interrupts(!pumped.idle);
        }
        wait_for_rest(mux.defers(&VMS));
        drop(mux);
        listen();
        tell_room(pumped.unblocked);
        if !pumped.idle || !WAITS.load(SeqCst) {
            return;
        }
    }
    attention_cpu(PLAN.console_cpu);
}

/// Somebody comes back after `QUIET` for the line of `vm` that is not at its end: its own CPU, so that no other is
/// interrupted for it. Under `MUX`.
fn wait_for_rest(vm: Option<VmIndex>) {
    let Some(vm) = vm else {
        AWAITED.store(NOBODY, SeqCst);
        return shared::call_console(None);
    };
    if shared::ANY || is_here(vm.index()) {
        AWAITED.store(vm.index(), SeqCst);
        return shared::call_console(Some(ticks_per_second() / QUIET));
    }
    shared::call_console(None);
    if AWAITED.swap(vm.index(), SeqCst) != vm.index()
        && let Some(vm) = PLAN.vms.get(vm.index())
    {
        attention(VpeIndex::new(vm.first_vpe));
    }
}

/// Whoever has the mux sees to everything that waits, and tells this CPU if it is to come back.
fn stop_waiting() {
    let vm = AWAITED.load(SeqCst);
    if !shared::ANY && is_here(vm) {
        shared::call_console(None);
        let _ = AWAITED.compare_exchange(vm, NOBODY, SeqCst, SeqCst);
    }
}

/// This CPU is one of the VM's.
fn is_here(vm: usize) -> bool {
    let here = percpu::calling();
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
    let first = usize::from(vm.first_vpe);
    let Some(vpes) = VPES.get(first..first.wrapping_add(usize::from(vm.vpe_count))) else { return };
    if let Some(number) = change(state, vpes) {
        Hardware.kick(VpeIndex::new(vm.first_vpe.wrapping_add(number as u16)));
    }
}

/// The UART's interrupt, on the console CPU. While somebody else has the mux it is off; whoever gives the mux back turns
/// it on again. It is acknowledged before the first byte is read, so that one that comes later raises it again.
pub fn interrupt() {
    let Some(mut mux) = try_input() else { return };
    UART.acknowledge();
    let mut show = false;
    for _ in 0..INPUT {
        let Some(byte) = UART.get() else { break };
        match mux.input(&PLAN, byte) {
            Input::Nothing => {}
            Input::Deliver(vm, byte) => {
                with_vm(VmIndex::index(vm), |state, vpes| state.receive(vpes, byte))
            }
            Input::ShowCounters => show = true,
        }
    }
    drop(mux);
    if show {
        report::counters();
    }
    pump();
}

/// The mux, or None: the UART's interrupt is off until its holder has given it back.
fn try_input() -> Option<Held> {
    MUX.try_lock().or_else(|| {
        UART.mask();
        DEAF.store(true, SeqCst);
        // It may have been given back just before.
        let mux = MUX.try_lock()?;
        listen();
        Some(mux)
    })
}

/// Turns the UART's interrupt on if it is off.
fn listen() {
    if DEAF.swap(false, SeqCst) {
        UART.interrupts(SENDING.load(SeqCst));
    }
}

/// Where EL2 writes its own lines. Waits for room in the UART.
pub enum Own<'a> {
    Through(&'a mut Mux),
    /// EL2 failed while the mux was in use: the UART as it is.
    Directly,
}

impl Text for Own<'_> {
    fn byte(&mut self, byte: u8) {
        match self {
            Self::Through(mux) => {
                while !mux.write(byte) {
                    send_all(mux);
                }
            }
            Self::Directly => UART.put_patiently(byte),
        }
    }
}

/// Sends what waits, up to what VMs can print meanwhile.
fn send_all(mux: &mut Mux) {
    mux.patient(false);
    let mut left = PATIENT_BUDGET;
    let pumped = mux.pump(&PLAN, &VMS, &mut |byte| {
        if left == 0 {
            return false;
        }
        left -= 1;
        UART.put_patiently(byte);
        true
    });
    tell_room(pumped.unblocked);
}

/// Writes EL2's own lines, all of them, behind what VMs have printed so far.
pub fn write(lines: &mut dyn FnMut(&mut Own)) {
    for _ in 0..PATIENCE {
        if let Some(mut mux) = MUX.try_lock() {
            send_all(&mut mux);
            lines(&mut Own::Through(&mut mux));
            send_all(&mut mux);
            drop(mux);
            listen();
            return;
        }
        pause();
    }
    lines(&mut Own::Directly);
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
