// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a vPE runs: its power state, changed by any CPU without a lock.
//!
//! ```text
//!           CPU_ON claims              arguments stored               its own CPU takes them
//!   Off ------------------> Claimed ----------------------> OnPending --------------------> On
//!    ^                                                                                      |  ^ |
//!    +--- its own CPU has taken it out --- Leaving <--- CPU_OFF ----------------------------+  | |
//!    +------------------------------ VM stopped --------------------------------------------+  | |
//!                                                              wake up: Suspended <--------------+
//! ```
//!
//! The first vPE of a VM goes from Off to Loading when its VM is to start, and from there to
//! OnPending: in between its CPU loads the VM's memory in its stead, in the time that the vPE has.
//!
//! A vPE that leaves is on for others until nothing of it is left in its CPU: whoever waits for Off
//! finds its residency over.
//!
//! Of several CPU_ON calls for one vPE exactly one finds it Off; the others get ON_PENDING or
//! ALREADY_ON (DEN 0022 5.1.4). The arguments are the target's, stored before it may see OnPending.

use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};

/// Power state of a vPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PowerState {
    Off = 0,
    /// A CPU_ON won and is storing its arguments.
    Claimed = 1,
    /// Its CPU will enter the guest.
    OnPending = 2,
    On = 3,
    /// Sleeps in CPU_SUSPEND or in a trapped WFI.
    Suspended = 4,
    /// CPU_OFF was called; its CPU takes it out.
    Leaving = 5,
    /// Its VM is about to start: memory, devices and interrupts are being made ready, on its CPU
    /// and in its time.
    Loading = 6,
}

/// Where a vPE begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Program counter, an IPA: MMU off.
    pub entry: u64,
    /// x0.
    pub context: u64,
}

#[derive(Debug)]
pub struct Power {
    state: AtomicU32,
    entry: AtomicU64,
    context: AtomicU64,
}

impl Power {
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(PowerState::Off as u32),
            entry: AtomicU64::new(0),
            context: AtomicU64::new(0),
        }
    }

    pub fn state(&self) -> PowerState {
        match self.state.load(SeqCst) {
            0 => PowerState::Off,
            1 => PowerState::Claimed,
            2 => PowerState::OnPending,
            3 => PowerState::On,
            4 => PowerState::Suspended,
            5 => PowerState::Leaving,
            _ => PowerState::Loading,
        }
    }

    /// Turns the vPE on; the error is the state that stands in the way. On success its CPU is to
    /// call [`Power::take_start`].
    pub fn turn_on(&self, start: Start) -> Result<(), PowerState> {
        match self.state.compare_exchange(
            PowerState::Off as u32,
            PowerState::Claimed as u32,
            AcqRel,
            Acquire,
        ) {
            Ok(_) => {
                self.entry.store(start.entry, Relaxed);
                self.context.store(start.context, Relaxed);
                self.state.store(PowerState::OnPending as u32, Release);
                Ok(())
            }
            Err(_) => Err(match self.state() {
                // It went off between the two looks: somebody else's CPU_ON may still win, ours
                // lost.
                PowerState::Off => PowerState::OnPending,
                state => state,
            }),
        }
    }

    /// Its VM is to start. False: it is not off.
    pub fn load(&self) -> bool {
        let loading = PowerState::Loading as u32;
        self.state.compare_exchange(PowerState::Off as u32, loading, AcqRel, Acquire).is_ok()
    }

    /// The vPE's CPU does the VM's loading in its stead.
    #[inline]
    pub fn loads(&self) -> bool {
        self.state.load(Acquire) == PowerState::Loading as u32
    }

    /// On its own CPU: all is loaded, the vPE begins at `start`.
    pub fn loaded(&self, start: Start) {
        self.entry.store(start.entry, Relaxed);
        self.context.store(start.context, Relaxed);
        self.state.store(PowerState::OnPending as u32, Release);
    }

    /// On the vPE's own CPU: where to begin, once, after somebody turned it on.
    pub fn take_start(&self) -> Option<Start> {
        self.state
            .compare_exchange(PowerState::OnPending as u32, PowerState::On as u32, AcqRel, Acquire)
            .ok()?;
        Some(Start { entry: self.entry.load(Relaxed), context: self.context.load(Relaxed) })
    }

    /// The vPE called CPU_OFF; its CPU takes it out and then calls [`Power::turn_off`].
    pub fn leave(&self) {
        self.state.store(PowerState::Leaving as u32, SeqCst);
    }

    /// The vPE has ended: by CPU_OFF, or with its VM.
    pub fn turn_off(&self) {
        self.state.store(PowerState::Off as u32, SeqCst);
    }

    /// Takes back a [`Power::leave`] of its own CPU.
    pub fn stay(&self) {
        let _ = self.state.compare_exchange(
            PowerState::Leaving as u32,
            PowerState::On as u32,
            SeqCst,
            Relaxed,
        );
    }

    /// On to Suspended, by its own CPU.
    pub fn suspend(&self) {
        let _ = self.state.compare_exchange(
            PowerState::On as u32,
            PowerState::Suspended as u32,
            SeqCst,
            Relaxed,
        );
    }

    /// Suspended to On, by its own CPU.
    pub fn resume(&self) {
        let _ = self.state.compare_exchange(
            PowerState::Suspended as u32,
            PowerState::On as u32,
            SeqCst,
            Relaxed,
        );
    }
}

impl Default for Power {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicUsize;
    use std::thread;

    #[test]
    fn nobody_turns_on_a_vpe_that_loads() {
        let power = Power::new();
        assert!(power.load() && power.loads());
        assert!(!power.load(), "once");
        let start = Start { entry: 0x4000_0000, context: 7 };
        assert_eq!(power.turn_on(Start { entry: 1, context: 1 }), Err(PowerState::Loading));
        assert_eq!(power.take_start(), None);
        power.loaded(start);
        assert_eq!(power.take_start(), Some(start));
        assert!(!power.load(), "it is on");
    }

    #[test]
    fn one_start_each() {
        let power = Power::new();
        assert_eq!(power.take_start(), None);
        let start = Start { entry: 0x4000_0000, context: 7 };
        assert_eq!(power.turn_on(start), Ok(()));
        assert_eq!(power.turn_on(Start { entry: 1, context: 1 }), Err(PowerState::OnPending));
        assert_eq!(power.take_start(), Some(start));
        assert_eq!(power.take_start(), None);
        assert_eq!(power.turn_on(start), Err(PowerState::On));
        power.suspend();
        assert_eq!(power.turn_on(start), Err(PowerState::Suspended));
        power.resume();
        power.leave();
        assert_eq!(power.turn_on(start), Err(PowerState::Leaving));
        power.turn_off();
        power.stay();
        assert_eq!(power.state(), PowerState::Off);
        power.suspend();
        assert_eq!(power.state(), PowerState::Off);
    }

    /// Two CPUs turn the same vPE on: one wins, and the target begins with the winner's arguments,
    /// never a mixture.
    #[test]
    fn race_has_one_winner() {
        for round in 0..300 {
            let power = Power::new();
            let winners = AtomicUsize::new(0);
            thread::scope(|scope| {
                for caller in 1..=2u64 {
                    let (power, winners) = (&power, &winners);
                    scope.spawn(move || {
                        if power.turn_on(Start { entry: caller, context: caller }).is_ok() {
                            winners.fetch_add(1, Relaxed);
                        }
                    });
                }
            });
            let start = power.take_start().unwrap();
            assert_eq!(winners.load(Relaxed), 1, "round {round}");
            assert_eq!(start.entry, start.context);
        }
    }
}
