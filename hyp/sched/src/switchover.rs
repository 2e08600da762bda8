// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From one mode to another: agreed once, carried out by the CPUs concerned, the same way every
//! time.
//!
//! 1. `request` sets the moment: the next boundary of the current mode, counted from the epoch. The
//!    caller sends the CPUs concerned an SGI, so that each looks at `deadline` besides its
//!    scheduler's.
//! 2. At that time each of them makes its vPE non-resident, lets `CpuScheduler::leave` put every
//!    task with its vPE, calls `leave`, forgets the moment under the same lock (a `request` for the
//!    same mode may have set it once more), and waits.
//! 3. The last one to leave gets the moves and the ITS commands for them (IHI 0069 5.3; VMOVP only
//!    while the vPE is resident nowhere), waits until the ITS has carried them out, and calls
//!    `moved`.
//! 4. Each takes its new schedule from `enter` and the tasks from the vPEs.
//!
//! A wake between 2 and 4 goes to the task where it lies. A doorbell or a kick that reaches a CPU
//! which no longer has the vPE is passed on. CPUs whose schedule is the same in both modes take no
//! part and lose no time. The caller holds one lock around each call and waits outside of it.

use plan::{CpuIndex, Mode, ModeIndex, ModeSwitch, Modes, Placement, Schedule, VmIndex, VpeIndex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Steady,
    /// These CPUs leave their schedules, from `at` on.
    Leaving {
        to: ModeIndex,
        at: u64,
        cpus: u64,
    },
    /// Nobody concerned runs; one CPU carries out the moves.
    Moving {
        to: ModeIndex,
    },
    /// These CPUs take their new schedules.
    Entering {
        cpus: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another VM may ask, or none.
    NotAllowed,
    NoSuchMode,
    /// Another switch is not over yet.
    Busy,
}

/// What a CPU that has left does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Departure {
    /// Wait until `enter` has a schedule for it.
    Wait,
    /// Carry out the moves of this switch, call `moved` and tell the others.
    Move(&'static ModeSwitch),
}

/// When a switch takes effect, and who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub at: u64,
    /// Bit n: CPU n takes part. Without any, the switch is over already.
    pub cpus: u64,
}

/// The mode of a system, and the way to the next one.
#[derive(Clone, Copy, Debug)]
pub struct Switchover {
    modes: &'static Modes,
    epoch: u64,
    current: ModeIndex,
    phase: Phase,
    /// What the hypervisor asked for while another switch was under way.
    wanted: Option<ModeIndex>,
}

impl Switchover {
    /// In mode 0.
    pub const fn new(modes: &'static Modes, epoch: u64) -> Self {
        Self { modes, epoch, current: ModeIndex::new(0), phase: Phase::Steady, wanted: None }
    }

    /// The old mode until the moves are done.
    pub const fn current(&self) -> ModeIndex {
        self.current
    }

    /// Where the vPE belongs in the current mode. None: nowhere.
    pub fn placement(&self, vpe: VpeIndex) -> Option<Placement> {
        let mode = self.mode(self.current)?;
        mode.placements.get(vpe.index()).copied().flatten()
    }

    /// A VM asks for a mode, or with None the hypervisor itself, on a fault. A fault's mode is not
    /// given up because another switch is under way: it comes after it ([`Self::wanted`]).
    pub fn request(
        &mut self,
        asker: Option<VmIndex>,
        to: ModeIndex,
        now: u64,
    ) -> Result<Agreed, Refused> {
        if asker.is_some() && asker != self.modes.asker {
            return Err(Refused::NotAllowed);
        }
        let (Some(from), Some(_)) = (self.mode(self.current), self.mode(to)) else {
            return Err(Refused::NoSuchMode);
        };
        match self.phase {
            Phase::Steady => {}
            Phase::Leaving { to: same, at, cpus } if same == to => return Ok(Agreed { at, cpus }),
            _ => {
                if asker.is_none() {
                    self.wanted = Some(to);
                }
                return Err(Refused::Busy);
            }
        }
        let cpus = from.switches.get(to.index()).map_or(0, |switch| switch.cpus);
        if cpus == 0 {
            self.current = to;
            return Ok(Agreed { at: now, cpus });
        }
        let beyond = now.saturating_sub(self.epoch) % from.boundary;
        let at = if beyond == 0 { now } else { now.saturating_add(from.boundary.get() - beyond) };
        self.phase = Phase::Leaving { to, at, cpus };
        Ok(Agreed { at, cpus })
    }

    /// The mode to request next, once: what a fault asked for during the switch that is over now.
    pub fn wanted(&mut self) -> Option<ModeIndex> {
        if self.phase == Phase::Steady { self.wanted.take() } else { None }
    }

    /// When this CPU has to leave its schedule.
    pub fn deadline(&self, cpu: CpuIndex) -> Option<u64> {
        match self.phase {
            Phase::Leaving { at, cpus, .. } if cpus & bit(cpu) != 0 => Some(at),
            _ => None,
        }
    }

    /// The CPU runs nobody any more.
    pub fn leave(&mut self, cpu: CpuIndex) -> Departure {
        if let Phase::Leaving { to, at, cpus } = self.phase {
            let cpus = cpus & !bit(cpu);
            if cpus != 0 {
                self.phase = Phase::Leaving { to, at, cpus };
            } else {
                self.phase = Phase::Moving { to };
                return Departure::Move(self.switch_to(to));
            }
        }
        Departure::Wait
    }

    /// The moves are done.
    pub fn moved(&mut self) {
        if let Phase::Moving { to } = self.phase {
            let cpus = self.switch_to(to).cpus;
            self.current = to;
            self.phase = Phase::Entering { cpus };
        }
    }

    /// The CPU's new schedule, once. None: not yet.
    pub fn enter(&mut self, cpu: CpuIndex) -> Option<Schedule> {
        let Phase::Entering { cpus } = self.phase else {
            return None;
        };
        if cpus & bit(cpu) == 0 {
            return None;
        }
        let cpus = cpus & !bit(cpu);
        self.phase = if cpus == 0 { Phase::Steady } else { Phase::Entering { cpus } };
        let mode = self.mode(self.current)?;
        Some(mode.schedules.get(cpu.index()).copied().unwrap_or(Schedule::Unused))
    }

    fn mode(&self, mode: ModeIndex) -> Option<&'static Mode> {
        self.modes.modes.get(mode.index())
    }

    fn switch_to(&self, to: ModeIndex) -> &'static ModeSwitch {
        let switch = self.mode(self.current).and_then(|mode| mode.switches.get(to.index()));
        switch.unwrap_or(&ModeSwitch { cpus: 0, moves: &[], script: &[] })
    }
}

fn bit(cpu: CpuIndex) -> u64 {
    1u64.checked_shl(cpu.value().into()).unwrap_or(0)
}
