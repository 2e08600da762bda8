// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Synchronous exceptions of a guest: what it asked for, and who answers.
//!
//! The answers are `vm`'s; this module moves registers and does what an answer says. Nothing that a
//! guest can do here fails: unknown registers and exceptions of any other class are UNDEFINED to
//! it, unknown addresses external aborts, on fetches and walks of its tables as well, unknown calls
//! NOT_SUPPORTED. Only an abort that it cannot take ends its VM: its vector is what aborts
//! ([`deny_abort`]).

use super::interface;
use crate::cpu::{physical_timer, workarounds};
use crate::gic::hardware::Hardware;
use crate::gic::rings;
use crate::io::report;
use crate::life::flash::{self, Answer};
use crate::life::{action, fault, mode, watchdog};
use crate::run::cpu_loop;
use crate::state::cpu::Here;
use crate::state::parts::{FLASHES, SHARED};
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use crate::state::vpe::Vpe;
use crate::state::{ipi, vms};
use abi::smccc;
use arch::frame::{Frame, LAST_SAVED, Next};
use arch::region::Region;
use arch::sysreg::{dsb_sy, ticks, ticks_per_second};
use arch::this;
use arch::{guest, id};
use sched::Refused;
use vm::counters::Counter;
use vm::exit::{self, DataAbort, Exit, SysReg};
use vm::health::{Fault, Reason};
use vm::history::Past;
use vm::hypercall::{self, Outcome};
use vm::mmio::{self, Written};
use vm::set_way::Step;
use vm::sysreg::{self, Access};
use vm::{Guest, aarch32, psci, vgic};

/// What a handler leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Back to the guest; of its registers only x0-x18 may have changed.
    Guest,
    /// Back to the guest; any register may have changed.
    All,
    /// The vPE may have to wait, stop or begin anew.
    Settle,
    /// It executes the instruction again from this time on.
    Later(u64),
}

/// From the vectors: an HVC, with only caller-saved registers in the frame.
#[inline(always)]
pub fn hvc_fast(this: &Vpe, frame: &mut Frame) -> Next {
    let start = ticks();
    let guest = &this.guest;
    let Some(answer) = hypercall::fast(*frame.low(0) as u32) else { return Next::Full };
    *frame.low(0) = answer;
    leave(guest, Counter::ExitHvc, start)
}

/// From the vectors: a data abort, likewise. Plain words are done here if their register is in the
/// frame; those that a guest reads most, and what is known without the hardware, without a stack.
#[inline(always)]
pub fn abort_fast(this: &Vpe, esr: u64, frame: &mut Frame) -> Next {
    let start = ticks();
    let guest = &this.guest;
    let abort = DataAbort::new(esr as u32);
    if !exit::is_word(esr) {
        return Next::Full;
    }
    if abort.write() {
        return write_word(abort.rt(), frame, guest, start);
    }
    let rt = abort.rt();
    if rt > LAST_SAVED {
        return Next::Full;
    }
    let ipa = exit::fault_ipa(guest::hpfar(), guest::far());
    let Some(value) = mmio::quick_read(guest, ipa) else {
        return read_word(rt, frame, guest, ipa, start);
    };
    *frame.low(rt) = value;
    guest::skip();
    leave(guest, Counter::ExitMmio, start)
}

/// From the vectors: a system register, with all registers in the frame. An SGI that meets nothing
/// unusual is sent here.
#[inline(always)]
pub fn register_fast(this: &Vpe, esr: u64, frame: &mut Frame) -> Next {
    let start = ticks();
    let guest = &this.guest;
    let rt = SysReg::new(esr as u32).rt();
    if !exit::is_sgi(esr) || !vgic::try_send_sgi(guest, &mut Hardware, frame.get(rt)) {
        return Next::Full;
    }
    guest::skip();
    leave(guest, Counter::ExitSgi, start)
}

#[inline(never)]
fn write_word(rt: usize, frame: &mut Frame, guest: &Guest, start: u64) -> Next {
    if rt > LAST_SAVED {
        return Next::Full;
    }
    let value = *frame.low(rt);
    let ipa = exit::fault_ipa(guest::hpfar(), guest::far());
    if !mmio::quick_write(guest, &mut Hardware, ipa, value) {
        match mmio::write(guest, &mut Hardware, ipa, 4, value) {
            Written::Refused => return Next::Full,
            Written::Done => {}
            Written::Again => return leave(guest, Counter::ExitMmio, start),
            // What could be done is done; the full path finds the same, and waits.
            Written::Later(_) => return Next::Full,
        }
    }
    guest::skip();
    leave(guest, Counter::ExitMmio, start)
}

#[inline(never)]
fn read_word(rt: usize, frame: &mut Frame, guest: &Guest, ipa: u64, start: u64) -> Next {
    let known = mmio::peek(guest, ipa);
    let Some(value) = known.or_else(|| mmio::read(guest, &mut Hardware, ipa, 4)) else {
        return Next::Full;
    };
    *frame.low(rt) = value;
    guest::skip();
    leave(guest, Counter::ExitMmio, start)
}

/// Counts the exit and the time it took.
#[inline(always)]
fn leave(guest: &Guest, exit: Counter, start: u64) -> Next {
    guest.vpe.counters.count(exit);
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
    Next::Guest
}

/// Return to the guest behind an instruction of any length, and of an IT block, by its syndrome.
#[inline(always)]
fn skip(esr: u64) {
    if aarch32::is_aarch32(guest::state()) {
        skip_aarch32(esr);
    } else {
        guest::skip();
    }
}

#[cold]
fn skip_aarch32(esr: u64) {
    let (elr, spsr) = aarch32::skip(esr, guest::elr(), guest::state());
    guest::go_on(elr, spsr);
}

/// From the vectors: any other synchronous exception, with all registers in the frame.
#[inline(always)]
pub fn trap(this: &Vpe, esr: u64, frame: &mut Frame) -> Next {
    let start = ticks();
    let guest = &this.guest;
    keep(guest, esr);
    let after = match Exit::decode(esr) {
        Exit::DataAbort(abort) => data_abort(guest, frame, abort, esr),
        Exit::SysReg(register) => system_register(guest, frame, register, esr),
        other => uncommon(this, guest, frame, other, esr),
    };
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
    match after {
        After::Guest => Next::Guest,
        After::All => Next::Full,
        After::Settle => {
            cpu_loop::settle_for(this, frame);
            Next::Full
        }
        After::Later(time) => {
            cpu_loop::wait_for_its(this, time);
            cpu_loop::settle_for(this, frame);
            Next::Full
        }
    }
}

/// From the vectors: an SError while a guest ran. It is that guest's: what others left was charged
/// to them (serror.rs).
#[inline(always)]
pub fn error(this: &Vpe, esr: u64, frame: &mut Frame) {
    this.guest.vpe.counters.count(Counter::ExitOther);
    keep(&this.guest, esr);
    fail(&this.guest, Reason::SystemError, esr);
    cpu_loop::settle_for(this, frame);
}

/// For the report, should it be one of the guest's last.
#[inline(always)]
fn keep(guest: &Guest, esr: u64) {
    let (far, hpfar) = (guest::far(), guest::hpfar());
    guest.vpe.history.keep(Past { esr, elr: guest::elr(), far, hpfar });
}

#[inline(always)]
fn data_abort(guest: &Guest, frame: &mut Frame, abort: DataAbort, esr: u64) -> After {
    // HPFAR_EL2 tells the address of a translation fault only; what is emulated is never mapped, so
    // nothing else is emulable.
    const TRANSLATION: u64 = 0b00_0100;
    if !abort.emulable() || esr & 0b11_1100 != TRANSLATION {
        return unanswered(guest, frame, esr);
    }
    let ipa = exit::fault_ipa(guest::hpfar(), guest::far());
    let rt = abort.rt() & 31;
    let mut after = After::Guest;
    let answered = if abort.write() {
        match mmio::write(guest, &mut Hardware, ipa, abort.bytes(), frame.get(rt)) {
            Written::Refused => false,
            Written::Done => true,
            Written::Again => {
                guest.vpe.counters.count(Counter::ExitMmio);
                return After::Guest;
            }
            Written::Later(time) => {
                guest.vpe.counters.count(Counter::ExitMmio);
                return After::Later(time);
            }
        }
    } else if let Some(value) = mmio::read(guest, &mut Hardware, ipa, abort.bytes()) {
        frame.set(rt, abort.extend(value));
        if rt > LAST_SAVED {
            after = After::All;
        }
        true
    } else {
        false
    };
    if !answered && mmio::again(guest) {
        guest.vpe.counters.count(Counter::ExitMmio);
        return After::Guest;
    }
    if !answered {
        return unanswered(guest, frame, esr);
    }
    guest.vpe.counters.count(Counter::ExitMmio);
    skip(esr);
    after
}

/// No emulated device takes an abort. A flash may.
fn unanswered(guest: &Guest, frame: &mut Frame, esr: u64) -> After {
    if FLASHES && let Some(after) = flash_answers(guest, frame, esr) {
        return after;
    }
    let reason =
        if exit::is_data_abort(esr) { Reason::DataAbort } else { Reason::InstructionAbort };
    deny_abort(guest, reason, esr)
}

#[inline(never)]
fn flash_answers(guest: &Guest, frame: &mut Frame, esr: u64) -> Option<After> {
    let vm = PLAN.vpes.get(this::get::<Built>()?.index.index())?.vm;
    let data = DataAbort::new(esr as u32);
    let rt = data.rt() & 31;
    let (far, hpfar) = (guest::far(), guest::hpfar());
    let abort = flash::Abort { esr, far, hpfar, elr: guest::elr(), value: frame.get(rt) };
    let answer = flash::abort(vm, &abort);
    match answer {
        Answer::Nobody => return None,
        Answer::Again => {}
        Answer::Written => skip(esr),
        Answer::Read(value) => {
            frame.set(rt, data.extend(value));
            skip(esr);
        }
    }
    guest.vpe.counters.count(Counter::ExitMmio);
    Some(After::All)
}

#[inline(always)]
fn system_register(guest: &Guest, frame: &mut Frame, register: SysReg, esr: u64) -> After {
    let rt = register.rt() & 31;
    if exit::is_sgi(esr) {
        vgic::send_sgi(guest, &mut Hardware, frame.get(rt));
        guest.vpe.counters.count(Counter::ExitSgi);
        guest::skip();
        return After::Guest;
    }
    other_register(guest, frame, register, esr)
}

#[inline(never)]
fn other_register(guest: &Guest, frame: &mut Frame, register: SysReg, esr: u64) -> After {
    if lends(guest, register) {
        return After::Guest;
    }
    if interface::group1(guest, register) {
        guest.vpe.counters.count(Counter::ExitSysReg);
        return After::Guest;
    }
    if interface_register(guest, frame, register) {
        guest.vpe.counters.count(Counter::ExitSysReg);
        guest::skip();
        return After::All;
    }
    match serve(guest, register, frame.get(register.rt())) {
        Access::Value(value) => frame.set(register.rt(), value),
        Access::Undefined => return deny_instruction(guest, esr),
        Access::SetWay if !set_way(guest, frame.get(register.rt())) => {
            guest.vpe.counters.count(Counter::ExitSysReg);
            return After::Guest;
        }
        Access::Ignored | Access::DebugControl | Access::SetWay => {}
    }
    guest.vpe.counters.count(Counter::ExitSysReg);
    guest::skip();
    After::All
}

/// It is the physical timer's, and the vPE has that from now on: the instruction is executed again.
#[inline(never)]
fn lends(guest: &Guest, register: SysReg) -> bool {
    let lends = sysreg::is_physical_timer(register)
        && this::get::<Built>().is_some_and(physical_timer::lend);
    if lends {
        guest.vpe.counters.count(Counter::ExitSysReg);
    }
    lends
}

/// What a register is for the guest, which writes `value` if it writes.
fn serve(guest: &Guest, register: SysReg, value: u64) -> Access {
    match sysreg::access(register, guest.config.features, id::read) {
        Access::DebugControl if register.write() => {
            guest::set_debug_control(value);
            Access::Ignored
        }
        Access::DebugControl => Access::Value(guest::debug_control()),
        answer => answer,
    }
}

/// Cache maintenance by set and way. False: there is more to do, and the guest is to try again.
fn set_way(guest: &Guest, operand: u64) -> bool {
    let tenth = ticks_per_second() / 10_000;
    match guest.vpe.set_way.step(guest.config.memory, operand, ticks(), tenth) {
        Step::Slice(base, bytes) => {
            if let Some(region) = Region::<Built>::of_vm(guest.config, base, bytes) {
                region.flush();
                dsb_sy();
            }
            false
        }
        Step::Done => true,
    }
}

/// A register as a program in AArch32 accesses it.
fn coprocessor(guest: &Guest, frame: &mut Frame, esr: u64) -> After {
    if aarch32::condition_holds(esr, guest::state()) {
        let Some(access) = aarch32::access(esr) else { return deny_instruction(guest, esr) };
        if lends(guest, access.register) {
            return After::Guest;
        }
        let (lower, upper) = (access.register.rt(), access.upper);
        let low = |register| frame.get(register) & u64::from(u32::MAX);
        let value = low(lower) | upper.map_or(0, |upper| low(upper) << 32);
        match serve(guest, access.register, value) {
            Access::Value(value) if upper.is_none() && aarch32::is_flags(lower) => {
                guest::go_on(guest::elr(), aarch32::with_flags(guest::state(), value));
            }
            Access::Value(value) => {
                frame.set(lower, value & u64::from(u32::MAX));
                if let Some(upper) = upper {
                    frame.set(upper, value >> 32);
                }
            }
            Access::Undefined => return deny_instruction(guest, esr),
            Access::Ignored | Access::DebugControl | Access::SetWay => {}
        }
    }
    guest.vpe.counters.count(Counter::ExitSysReg);
    skip(esr);
    After::All
}

/// One of the CPU interface's, which trap only while EL2 must see them.
fn interface_register(guest: &Guest, frame: &mut Frame, register: SysReg) -> bool {
    let rt = register.rt() & 31;
    if register.write() {
        return interface::write(guest, register, frame.get(rt));
    }
    interface::read(register).map(|value| frame.set(rt, value)).is_some()
}

/// Anything less frequent.
#[inline(never)]
fn uncommon(this: &Vpe, guest: &Guest, frame: &mut Frame, exit: Exit, esr: u64) -> After {
    let counters = &guest.vpe.counters;
    match exit {
        Exit::Hvc { .. } => {
            counters.count(Counter::ExitHvc);
            call(this, guest, frame)
        }
        Exit::Smc { .. } => {
            counters.count(Counter::ExitSmc);
            guest::skip();
            call(this, guest, frame)
        }
        Exit::Wfx { wait } => {
            counters.count(Counter::ExitWfx);
            let state = guest::state();
            let wait =
                wait && (!aarch32::is_aarch32(state) || aarch32::condition_holds(esr, state));
            skip(esr);
            match Here::of(this) {
                Some(here) if SHARED && wait && cpu_loop::wait(here, this) => After::Settle,
                _ => After::Guest,
            }
        }
        Exit::InstructionAbort => unanswered(guest, frame, esr),
        Exit::Coprocessor => coprocessor(guest, frame, esr),
        _ => deny_instruction(guest, esr),
    }
}

/// HVC or SMC, by SMCCC.
fn call(this: &Vpe, guest: &Guest, frame: &mut Frame) -> After {
    match hypercall::call(guest, frame.call(), vms::runs) {
        Outcome::Return(value) => frame.set(0, value),
        Outcome::ReturnTwo(values) => frame.answer(&values),
        Outcome::ReturnFour(values) => frame.answer(&values),
        Outcome::StartVpe(vpe) => {
            frame.set(0, 0);
            ipi::review(vpe);
        }
        Outcome::Suspend(psci::Suspend { resume }) => {
            frame.set(0, 0);
            if let Some(here) = Here::of(this) {
                cpu_loop::suspend(here, this, resume, frame);
            }
            return After::Settle;
        }
        Outcome::StopSelf => return stop(this),
        Outcome::VmOff => {
            action::act(guest, guest.vm.health.power_off());
            return stop(this);
        }
        Outcome::VmReset => {
            fault::reset(guest);
            return After::Settle;
        }
        Outcome::AskWorkaround(function) => frame.set(0, workarounds::serve(function, false)),
        Outcome::Workaround(function) => frame.set(0, workarounds::serve(function, true)),
        Outcome::ShowCounters => {
            frame.set(0, 0);
            report::counters_for_guest();
        }
        Outcome::SwitchMode(mode) => {
            let vm = PLAN.vpes.get(this.index.index()).map(|vpe| vpe.vm);
            frame.set(
                0,
                match mode::request(vm, mode) {
                    Ok(()) => smccc::SUCCESS,
                    Err(Refused::Busy) => smccc::BUSY,
                    Err(Refused::NotAllowed) => smccc::DENIED,
                    Err(Refused::NoSuchMode) => smccc::INVALID_PARAMETERS,
                },
            );
        }
        Outcome::Feed(watchdog) => {
            frame.set(0, 0);
            watchdog::feed(guest, watchdog);
        }
        Outcome::Ring(bell) => {
            rings::ring(this, bell);
            frame.set(0, 0);
        }
    }
    After::Guest
}

/// The vPE is off from here on.
fn stop(this: &Vpe) -> After {
    if let Some(here) = Here::of(this) {
        cpu_loop::retire(here, this);
    }
    After::Settle
}

/// Nothing answers at this address: an external abort to the guest, if it can take one.
///
/// It cannot when there is no memory at its vector, or when the first instruction there is what
/// aborts: then nothing of the guest's would ever run again, and its VM fails instead. Any other
/// endless chain of aborts is the guest's own time.
#[inline(never)]
fn deny_abort(guest: &Guest, reason: Reason, esr: u64) -> After {
    let vector = guest::vector(guest::state());
    let again = reason == Reason::InstructionAbort && guest::elr() == vector;
    if again || guest::mmu_off() && !guest.has_memory(vector) {
        guest.vpe.counters.count(Counter::ExitOther);
        fail(guest, reason, esr);
        return After::Settle;
    }
    guest.vpe.counters.count(Counter::ExitDenied);
    guest::raise(exit::external_abort(esr, guest::from_el0()), Some(guest::far()));
    After::Guest
}

/// The instruction does not exist for the guest.
fn deny_instruction(guest: &Guest, esr: u64) -> After {
    guest.vpe.counters.count(Counter::ExitDenied);
    guest::raise(exit::undefined(esr), None);
    After::Guest
}

/// The VM fails where the guest is.
fn fail(guest: &Guest, reason: Reason, esr: u64) {
    let (far, elr) = (guest::far(), guest::elr());
    let ipa = exit::abort_ipa(esr, guest::hpfar(), far);
    fault::fail(guest, Fault { reason, esr, far, elr, ipa });
}
