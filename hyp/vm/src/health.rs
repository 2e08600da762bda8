//! How a VM is: running, off or failed, what it reported, and what the whole system's result is.
//!
//! The first fault of a VM wins and is kept until it restarts. Any CPU may read.

use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use plan::Fault as Policy;

/// What stopped a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// An abort of EL2's stage 2 that nothing emulates and that the guest cannot handle (no vector yet).
    InstructionAbort = 1,
    DataAbort = 2,
    /// Exception class that no guest may cause.
    Exception = 3,
    /// SError taken on its account.
    SystemError = 4,
    /// Stopped from the console or by a rule of the plan.
    Stopped = 5,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::InstructionAbort => "instruction abort",
            Self::DataAbort => "data abort",
            Self::Exception => "exception",
            Self::SystemError => "system error",
            Self::Stopped => "stopped",
        }
    }

    const fn from(value: u32) -> Self {
        match value {
            1 => Self::InstructionAbort,
            2 => Self::DataAbort,
            4 => Self::SystemError,
            5 => Self::Stopped,
            _ => Self::Exception,
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
}

/// Life of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
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

/// Not reported yet. Codes are kept plus one, so that a VM in its first state is all zero and takes no room in the image.
const SILENT: u64 = 0;

#[derive(Debug)]
pub struct Health {
    state: AtomicU32,
    reason: AtomicU32,
    esr: AtomicU64,
    far: AtomicU64,
    elr: AtomicU64,
    reported: AtomicU64,
}

impl Health {
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(OFF),
            reason: AtomicU32::new(0),
            esr: AtomicU64::new(0),
            far: AtomicU64::new(0),
            elr: AtomicU64::new(0),
            reported: AtomicU64::new(SILENT),
        }
    }

    pub fn state(&self) -> State {
        match self.state.load(Acquire) {
            OFF => State::Off,
            RUNNING | FAILING => State::Running,
            RESTARTING => State::Restarting,
            _ => State::Failed(Fault {
                reason: Reason::from(self.reason.load(Relaxed)),
                esr: self.esr.load(Relaxed),
                far: self.far.load(Relaxed),
                elr: self.elr.load(Relaxed),
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

    /// The VM resets itself: PSCI SYSTEM_RESET.
    pub fn reset(&self) -> Action {
        self.leave(RESTARTING, Action::Restart)
    }

    /// Records the fault of a running VM and decides by its policy. Later faults change nothing.
    pub fn fail(&self, fault: Fault, policy: Policy) -> Action {
        if self.state.compare_exchange(RUNNING, FAILING, AcqRel, Relaxed).is_err() {
            return Action::Nothing;
        }
        self.reason.store(fault.reason as u32, Relaxed);
        self.esr.store(fault.esr, Relaxed);
        self.far.store(fault.far, Relaxed);
        self.elr.store(fault.elr, Relaxed);
        let (next, action) = match policy {
            Policy::Halt => (FAILED, Action::Stop),
            Policy::Restart => (RESTARTING, Action::Restart),
            Policy::ResetBoard => (FAILED, Action::ResetBoard),
        };
        self.state.store(next, Release);
        action
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
        self.state() == State::Off && self.reported().unwrap_or(0) == 0
    }

    /// The VM will not run again by itself.
    pub fn ended(&self) -> bool {
        matches!(self.state(), State::Off | State::Failed(_))
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

    const FAULT: Fault = Fault { reason: Reason::DataAbort, esr: 1, far: 2, elr: 3 };

    #[test]
    fn first_fault_wins() {
        let health = Health::new();
        health.start();
        assert_eq!(health.fail(FAULT, Policy::Halt), Action::Stop);
        assert_eq!(health.fail(Fault { esr: 9, ..FAULT }, Policy::ResetBoard), Action::Nothing);
        assert_eq!(health.state(), State::Failed(FAULT));
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
            assert_eq!(health.fail(FAULT, policy), action);
            assert!(!health.running());
        }
    }

    #[test]
    fn results() {
        let (one, two) = (Health::new(), Health::new());
        one.start();
        two.start();
        assert_eq!(result([&one, &two].into_iter()), None);
        assert_eq!(one.power_off(), Action::Stop);
        assert_eq!(two.reset(), Action::Restart);
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
