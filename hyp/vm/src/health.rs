// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a VM is: running, off or failed, what it reported, and what the whole system's result is.
//!
//! The first fault of a VM wins and is kept until it restarts. One that fails or resets itself too
//! often is not restarted any more: it would only keep its CPU, and the console, from being of use
//! to anybody. Any CPU may read.

use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use plan::{Fault as Policy, Restarts};

/// What stopped a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// An abort of EL2's stage 2 that nothing emulates and that the guest cannot take: no vector
    /// yet, or its first instruction is what aborts.
    InstructionAbort = 1,
    DataAbort = 2,
    /// SError taken on its account.
    SystemError = 4,
    /// Stopped from the console or by a rule of the plan.
    Stopped = 5,
    /// It reset itself more often than the plan lets it.
    Resets = 6,
    /// It did not feed its watchdog.
    Watchdog = 7,
    /// A device of its accessed memory that is not its own.
    Dma = 8,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::InstructionAbort => "instruction abort",
            Self::DataAbort => "data abort",
            Self::SystemError => "system error",
            Self::Stopped => "stopped",
            Self::Resets => "too many resets",
            Self::Watchdog => "watchdog",
            Self::Dma => "DMA fault",
        }
    }

    const fn from(value: u32) -> Self {
        match value {
            1 => Self::InstructionAbort,
            2 => Self::DataAbort,
            4 => Self::SystemError,
            6 => Self::Resets,
            7 => Self::Watchdog,
            8 => Self::Dma,
            _ => Self::Stopped,
        }
    }
}

/// A VM's fault, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub esr: u64,
    pub far: u64,
    pub elr: u64,
    /// Of an abort, where HPFAR_EL2 tells: the guest physical address.
    pub ipa: Option<u64>,
}

/// Life of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Not started yet, or powered off.
    Off,
    Running,
    /// Its vPEs are being collected for a new start.
    Restarting,
    Failed(Fault),
}

/// What the image does about a fault or a request of the VM's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop all its vPEs; when it was the last VM, end the system.
    Stop,
    /// Stop all its vPEs, renew everything, start again.
    Restart,
    /// PSCI SYSTEM_RESET of the board.
    ResetBoard,
    /// Somebody else is already stopping or restarting it: this vPE only stops.
    Nothing,
}

const OFF: u32 = 0;
const RUNNING: u32 = 1;
const RESTARTING: u32 = 2;
const FAILING: u32 = 3;
const FAILED: u32 = 4;

/// No IPA has more bits than 52.
const NO_IPA: u64 = u64::MAX;

/// Not reported yet. Codes are kept plus one, so that a VM in its first state is all zero and takes
/// no room in the image.
const SILENT: u64 = 0;

#[derive(Debug)]
pub struct Health {
    state: AtomicU32,
    reason: AtomicU32,
    esr: AtomicU64,
    far: AtomicU64,
    elr: AtomicU64,
    /// `NO_IPA`: none.
    ipa: AtomicU64,
    reported: AtomicU64,
    /// Restarts after faults, and resets of its own.
    restarts: Count,
    resets: Count,
}

/// How often something was, and since when. Written by whoever stops the VM.
#[derive(Debug)]
struct Count {
    /// In ticks.
    since: AtomicU64,
    many: AtomicU32,
}

impl Count {
    const fn new() -> Self {
        Self { since: AtomicU64::new(0), many: AtomicU32::new(0) }
    }

    /// Once more. False: that is too often.
    #[inline(never)]
    fn again(&self, limit: Restarts, now: u64) -> bool {
        let many = self.many.load(Relaxed);
        if many == 0 || now.wrapping_sub(self.since.load(Relaxed)) >= limit.ticks {
            self.since.store(now, Relaxed);
            self.many.store(1, Relaxed);
            return limit.most != 0;
        }
        self.many.store(many.saturating_add(1), Relaxed);
        many < limit.most
    }
}

impl Health {
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(OFF),
            reason: AtomicU32::new(0),
            esr: AtomicU64::new(0),
            far: AtomicU64::new(0),
            elr: AtomicU64::new(0),
            ipa: AtomicU64::new(0),
            reported: AtomicU64::new(SILENT),
            restarts: Count::new(),
            resets: Count::new(),
        }
    }

    pub fn state(&self) -> Life {
        match self.state.load(Acquire) {
            OFF => Life::Off,
            RUNNING | FAILING => Life::Running,
            RESTARTING => Life::Restarting,
            _ => Life::Failed(Fault {
                reason: Reason::from(self.reason.load(Relaxed)),
                esr: self.esr.load(Relaxed),
                far: self.far.load(Relaxed),
                elr: self.elr.load(Relaxed),
                ipa: Some(self.ipa.load(Relaxed)).filter(|&ipa| ipa != NO_IPA),
            }),
        }
    }

    /// Its vPEs may enter the guest.
    #[inline]
    pub fn running(&self) -> bool {
        self.state.load(Acquire) == RUNNING
    }

    /// The VM starts, first or again; what it reported is forgotten.
    pub fn start(&self) {
        self.reported.store(SILENT, Relaxed);
        self.state.store(RUNNING, Release);
    }

    /// The VM powers itself off.
    pub fn power_off(&self) -> Action {
        self.leave(OFF, Action::Stop)
    }

    /// The VM resets itself: PSCI SYSTEM_RESET. More than `limit` is a fault of its own, whose
    /// policy cannot be another start.
    pub fn reset(&self, fault: Fault, limit: Restarts, policy: Policy, now: u64) -> Action {
        if self.state.compare_exchange(RUNNING, FAILING, AcqRel, Relaxed).is_err() {
            return Action::Nothing;
        }
        if self.resets.again(limit, now) {
            self.state.store(RESTARTING, Release);
            return Action::Restart;
        }
        let action = match policy {
            Policy::ResetBoard => Action::ResetBoard,
            Policy::Halt | Policy::Restart => Action::Stop,
        };
        self.record(fault);
        self.state.store(FAILED, Release);
        action
    }

    /// Records the fault of a running VM at the time `now` and decides by its policy; `limit` is of
    /// its restarts. Later faults change nothing.
    pub fn fail(&self, fault: Fault, policy: Policy, limit: Option<Restarts>, now: u64) -> Action {
        if self.state.compare_exchange(RUNNING, FAILING, AcqRel, Relaxed).is_err() {
            return Action::Nothing;
        }
        self.record(fault);
        let (next, action) = match policy {
            Policy::Halt => (FAILED, Action::Stop),
            Policy::Restart if limit.is_some_and(|limit| self.restarts.again(limit, now)) => {
                (RESTARTING, Action::Restart)
            }
            Policy::Restart => (FAILED, Action::Stop),
            Policy::ResetBoard => (FAILED, Action::ResetBoard),
        };
        self.state.store(next, Release);
        action
    }

    fn record(&self, fault: Fault) {
        self.reason.store(fault.reason as u32, Relaxed);
        self.esr.store(fault.esr, Relaxed);
        self.far.store(fault.far, Relaxed);
        self.elr.store(fault.elr, Relaxed);
        self.ipa.store(fault.ipa.unwrap_or(NO_IPA), Relaxed);
    }

    /// A restart that cannot be done: the VM stays down, with the recorded fault.
    pub fn give_up(&self) {
        self.state.store(FAILED, Release);
    }

    /// REPORT hypercall: 0 is a pass, anything else a failure code. The last one counts.
    pub fn report(&self, code: u64) {
        self.reported.store(code.saturating_add(1), Relaxed);
    }

    /// What it reported; None: nothing.
    pub fn reported(&self) -> Option<u64> {
        self.reported.load(Relaxed).checked_sub(1)
    }

    /// The VM has passed: it is off and reported 0 or nothing.
    pub fn passed(&self) -> bool {
        self.state() == Life::Off && self.reported().unwrap_or(0) == 0
    }

    /// The VM will not run again by itself.
    pub fn ended(&self) -> bool {
        matches!(self.state(), Life::Off | Life::Failed(_))
    }

    fn leave(&self, next: u32, action: Action) -> Action {
        match self.state.compare_exchange(RUNNING, next, AcqRel, Relaxed) {
            Ok(_) => action,
            Err(_) => Action::Nothing,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

/// Result of the system: None while a VM still runs, then whether every VM passed.
pub fn result<'a>(vms: impl Iterator<Item = &'a Health>) -> Option<bool> {
    let mut passed = true;
    for health in vms {
        if !health.ended() {
            return None;
        }
        passed &= health.passed();
    }
    Some(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Restarts = Restarts { most: 2, ticks: 100 };

    const FAULT: Fault = Fault { reason: Reason::DataAbort, esr: 1, far: 2, elr: 3, ipa: Some(0) };

    #[test]
    fn first_fault_wins() {
        let health = Health::new();
        health.start();
        assert_eq!(health.fail(FAULT, Policy::Halt, None, 0), Action::Stop);
        assert_eq!(
            health.fail(Fault { esr: 9, ..FAULT }, Policy::ResetBoard, None, 0),
            Action::Nothing
        );
        assert_eq!(health.state(), Life::Failed(FAULT));
        assert_eq!(health.power_off(), Action::Nothing);
        assert!(health.ended() && !health.passed());
    }

    #[test]
    fn policies() {
        for (policy, action) in [
            (Policy::Halt, Action::Stop),
            (Policy::Restart, Action::Restart),
            (Policy::ResetBoard, Action::ResetBoard),
        ] {
            let health = Health::new();
            health.start();
            assert_eq!(health.fail(FAULT, policy, Some(LIMIT), 0), action);
            assert!(!health.running());
        }
    }

    /// What becomes of a VM that fails at these times, and is started again whenever it may be.
    fn fates(limit: Restarts, times: &[u64]) -> std::vec::Vec<Action> {
        let health = Health::new();
        health.start();
        let fate = |&now: &u64| {
            let action = health.fail(FAULT, Policy::Restart, Some(limit), now);
            if action == Action::Restart {
                health.start();
            }
            action
        };
        times.iter().map(fate).collect()
    }

    #[test]
    fn too_many_restarts_are_the_end() {
        use Action::{Nothing, Restart, Stop};
        assert_eq!(fates(LIMIT, &[5, 6, 7, 8]), [Restart, Restart, Stop, Nothing]);
        assert_eq!(fates(LIMIT, &[5, 104, 105, 204, 205]), [Restart; 5], "the time begins anew");
        assert_eq!(fates(LIMIT, &[5, 103, 104]), [Restart, Restart, Stop]);
        assert_eq!(fates(Restarts { most: 0, ..LIMIT }, &[5]), [Stop]);
    }

    #[test]
    fn too_many_resets_are_a_fault_and_faults_are_counted_apart() {
        let resets = Fault { reason: Reason::Resets, ..FAULT };
        for (policy, end) in [
            (Policy::Halt, Action::Stop),
            (Policy::Restart, Action::Stop),
            (Policy::ResetBoard, Action::ResetBoard),
        ] {
            let health = Health::new();
            health.start();
            for now in [5, 104, 105, 106] {
                assert_eq!(health.reset(resets, LIMIT, policy, now), Action::Restart);
                assert_eq!(health.state(), Life::Restarting);
                assert_eq!(health.reset(resets, LIMIT, policy, now), Action::Nothing);
                health.start();
            }
            if policy == Policy::Restart {
                assert_eq!(health.fail(FAULT, policy, Some(LIMIT), 107), Action::Restart);
                health.start();
            }
            assert_eq!(health.reset(resets, LIMIT, policy, 108), end);
            assert_eq!(health.state(), Life::Failed(resets));
        }
    }

    #[test]
    fn results() {
        let (one, two) = (Health::new(), Health::new());
        one.start();
        two.start();
        assert_eq!(result([&one, &two].into_iter()), None);
        assert_eq!(one.power_off(), Action::Stop);
        assert_eq!(two.reset(FAULT, LIMIT, Policy::Halt, 0), Action::Restart);
        assert_eq!(result([&one, &two].into_iter()), None, "a restart is under way");
        two.start();
        two.report(0);
        two.power_off();
        assert_eq!(result([&one, &two].into_iter()), Some(true));
        two.start();
        two.report(u64::MAX);
        two.power_off();
        assert_eq!(two.reported(), Some(u64::MAX - 1));
        assert_eq!(result([&one, &two].into_iter()), Some(false));
    }
}
