// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's watchdog: an SBSA generic watchdog that EL2 keeps, and the time after which a VM counts
//! as hung.
//!
//! Two 4 KiB frames (DEN 0029, revision 1 registers): control, and 64 KiB above it refresh. A feed,
//! by either frame or by hypercall, is an explicit refresh. After WOR ticks without one WS0 rises
//! and its interrupt comes once; after as many again the watchdog expires, at the latest when the
//! plan's time since the last feed is over, whatever the guest wrote. Expiring is the image's
//! business; from then on until the next feed WS1 reads 1, also after a restart.
//!
//! Times are the physical counter's. The image looks when [`Watchdog::deadline`] has passed, and
//! not before: a feed only moves it. Who makes it earlier says so.

use abi::watchdog::{
    ENABLE, FRAME, REFRESH, W_IIDR, WCS, WCV, WCV_HIGH, WOR, WOR_HIGH, WRR, WS0, WS1,
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use plan::Watchdog as Plan;
use spin::Mutex;

/// No deadline.
pub const NEVER: u64 = u64::MAX;
/// From the control frame to the end of the refresh frame.
pub const BYTES: u64 = REFRESH + FRAME;

/// WRR, as offset from the control frame.
const REFRESH_WRR: u64 = REFRESH + WRR;
const REFRESH_IIDR: u64 = REFRESH + W_IIDR;

/// W_IIDR: product 'B', revision 1 of the registers, implementer as for the GIC.
const IIDR: u64 = 0x0421_043b;
/// WOR has 48 bits.
const OFFSET: u64 = (1 << 48) - 1;

/// What has become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// WS0 rose.
    Warning,
    Expired,
}

#[derive(Debug)]
pub struct Watchdog {
    deadline: AtomicU64,
    registers: Mutex<Registers>,
}

#[derive(Clone, Copy, Debug)]
struct Registers {
    enabled: bool,
    ws0: bool,
    /// It expired and was not fed since.
    expired: bool,
    /// No vPE of the VM has a CPU in this mode.
    paused: bool,
    /// WOR and WCV.
    offset: u64,
    compare: u64,
    /// The last explicit refresh.
    fed: u64,
}

impl Registers {
    const OFF: Self = Self {
        enabled: false,
        ws0: false,
        expired: false,
        paused: false,
        offset: 0,
        compare: 0,
        fed: 0,
    };

    fn refresh(&mut self, now: u64) {
        self.ws0 = false;
        self.expired = false;
        self.fed = now;
        self.compare = now.saturating_add(self.offset);
    }

    fn expires_at(&self, plan: &Plan) -> u64 {
        let second = if self.ws0 { 0 } else { self.offset };
        self.compare.saturating_add(second).min(self.fed.saturating_add(plan.ticks))
    }

    fn deadline(&self, plan: &Plan) -> u64 {
        match (self.enabled && !self.paused, self.ws0) {
            (false, _) => NEVER,
            (true, true) => self.expires_at(plan),
            (true, false) => self.expires_at(plan).min(self.compare),
        }
    }

    fn status(&self) -> u32 {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.enabled, ENABLE) | bit(self.ws0, WS0) | bit(self.expired, WS1)
    }
}

impl Watchdog {
    pub const fn new() -> Self {
        Self { deadline: AtomicU64::new(0), registers: Mutex::new(Registers::OFF) }
    }

    /// When the image is to look; `NEVER`: as it is now, not at all.
    #[inline]
    pub fn deadline(&self) -> u64 {
        self.deadline.load(Acquire)
    }

    /// True: the deadline is earlier than it was.
    fn change(&self, plan: &Plan, change: impl FnOnce(&mut Registers)) -> bool {
        let mut registers = self.registers.lock();
        let before = registers.deadline(plan);
        change(&mut registers);
        let deadline = registers.deadline(plan);
        self.deadline.store(deadline, Release);
        deadline < before
    }

    /// The VM starts, first or again.
    pub fn start(&self, plan: &Plan, now: u64) {
        self.change(plan, |registers| {
            let Registers { expired, paused, .. } = *registers;
            let offset = (plan.ticks / 2).min(OFFSET);
            *registers = Registers { enabled: plan.from_start, offset, paused, ..Registers::OFF };
            registers.refresh(now);
            registers.expired = expired;
        });
    }

    /// FEED. True: the deadline is earlier than it was, since it was not armed.
    pub fn feed(&self, plan: &Plan, now: u64) -> bool {
        self.change(plan, |registers| {
            registers.enabled = true;
            registers.refresh(now);
        })
    }

    /// A mode has a CPU for the VM, or none. Its time stands still meanwhile, and begins anew.
    /// True: the deadline is earlier.
    pub fn pause(&self, plan: &Plan, paused: bool, now: u64) -> bool {
        self.change(plan, |registers| {
            if registers.paused && !paused {
                let expired = registers.expired;
                registers.refresh(now);
                registers.expired = expired;
            }
            registers.paused = paused;
        })
    }

    /// What is due at `now`, once.
    pub fn look(&self, plan: &Plan, now: u64) -> Due {
        let mut due = Due::Nothing;
        self.change(plan, |registers| {
            if !registers.enabled || registers.paused {
                return;
            }
            if now >= registers.expires_at(plan) {
                registers.enabled = false;
                registers.expired = true;
                due = Due::Expired;
            } else if !registers.ws0 && now >= registers.compare {
                registers.ws0 = true;
                registers.compare = registers.compare.saturating_add(registers.offset);
                due = Due::Warning;
            }
        });
        due
    }

    /// Reads `bytes` at `offset` from the control frame; None: refused.
    pub(crate) fn read(&self, offset: u64, bytes: u32) -> Option<u64> {
        if bytes < 4 || offset & !0xfff & !REFRESH != 0 {
            return None;
        }
        let registers = *self.registers.lock();
        let value = match offset {
            WCS => registers.status().into(),
            WOR => registers.offset,
            WOR_HIGH => registers.offset >> 32,
            WCV => registers.compare,
            WCV_HIGH => registers.compare >> 32,
            W_IIDR | REFRESH_IIDR => IIDR,
            _ => 0,
        };
        match (bytes, offset) {
            (8, WOR | WCV) => Some(value),
            (8, _) => None,
            _ => Some(u64::from(value as u32)),
        }
    }

    /// Writes, at the time `now`; None: refused. True: the deadline is earlier than it was.
    pub(crate) fn write(
        &self,
        plan: &Plan,
        now: u64,
        offset: u64,
        bytes: u32,
        value: u64,
    ) -> Option<bool> {
        if bytes < 4
            || offset & !0xfff & !REFRESH != 0
            || bytes == 8 && offset != WOR && offset != WCV
        {
            return None;
        }
        let put = |old: u64| match (bytes, offset) {
            (8, _) => value,
            (_, WOR_HIGH | WCV_HIGH) => old & u64::from(u32::MAX) | value << 32,
            _ => old >> 32 << 32 | u64::from(value as u32),
        };
        let earlier = self.change(plan, |registers| match offset {
            WCS => {
                registers.enabled = value as u32 & ENABLE != 0 || plan.from_start;
                registers.refresh(now);
            }
            WOR | WOR_HIGH => {
                registers.offset = put(registers.offset) & OFFSET;
                registers.refresh(now);
            }
            REFRESH_WRR => registers.refresh(now),
            WCV | WCV_HIGH => registers.compare = put(registers.compare),
            _ => {}
        });
        Some(earlier)
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::{self, Written};
    use crate::testing::{Cpu, Machine, WATCHDOG, guests};

    const PLAN: Plan = Plan { ticks: 1000, from_start: true, action: None, mode: None, intid: 34 };

    fn started(plan: &Plan) -> Watchdog {
        let watchdog = Watchdog::new();
        watchdog.start(plan, 100);
        watchdog
    }

    #[test]
    fn warns_then_expires_once() {
        let watchdog = started(&PLAN);
        assert_eq!(watchdog.deadline(), 600);
        assert_eq!(watchdog.look(&PLAN, 599), Due::Nothing);
        assert_eq!((watchdog.look(&PLAN, 610), watchdog.deadline()), (Due::Warning, 1100));
        assert_eq!(watchdog.look(&PLAN, 1099), Due::Nothing);
        assert_eq!((watchdog.look(&PLAN, 1100), watchdog.deadline()), (Due::Expired, NEVER));
        assert_eq!(watchdog.look(&PLAN, 9999), Due::Nothing);
        assert_eq!(watchdog.registers.lock().status(), WS0 | WS1);
        watchdog.start(&PLAN, 5000);
        assert_eq!(watchdog.registers.lock().status(), ENABLE | WS1, "the next life knows why");
        watchdog.feed(&PLAN, 5100);
        assert_eq!(watchdog.registers.lock().status(), ENABLE);
    }

    #[test]
    fn a_feed_moves_the_deadline_and_nothing_else() {
        let watchdog = started(&PLAN);
        for now in (200..10_000).step_by(400) {
            assert!(!watchdog.feed(&PLAN, now), "nobody need look earlier");
            assert_eq!(watchdog.look(&PLAN, now + 399), Due::Nothing);
        }
        assert_eq!(watchdog.look(&PLAN, 20_000), Due::Expired, "even if nobody looked at WS0");
    }

    #[test]
    fn starts_at_the_first_feed() {
        let plan = Plan { from_start: false, ..PLAN };
        let watchdog = started(&plan);
        assert_eq!(
            (watchdog.deadline(), watchdog.look(&plan, u64::MAX - 1)),
            (NEVER, Due::Nothing)
        );
        assert!(watchdog.feed(&plan, 2000), "somebody must look now");
        assert_eq!(watchdog.look(&plan, 3000), Due::Expired);
    }

    #[test]
    fn stands_still_without_a_cpu() {
        let watchdog = started(&PLAN);
        assert!(!watchdog.pause(&PLAN, true, 1000));
        assert_eq!((watchdog.deadline(), watchdog.look(&PLAN, 5000)), (NEVER, Due::Nothing));
        assert!(!watchdog.feed(&PLAN, 5000), "still without");
        assert!(watchdog.pause(&PLAN, false, 6000));
        assert_eq!(
            (watchdog.look(&PLAN, 6999), watchdog.look(&PLAN, 7000)),
            (Due::Warning, Due::Expired)
        );
        // A mode in which it goes on is no feed.
        watchdog.start(&PLAN, 100);
        watchdog.pause(&PLAN, false, 1000);
        assert_eq!(watchdog.look(&PLAN, 1100), Due::Expired);
    }

    #[test]
    fn a_guest_may_want_less_time_and_never_gets_more() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let plan = guest.config.watchdog.as_ref().unwrap();
        guest.vm.watchdog.start(plan, 0);
        let put = |cpu: &mut Cpu, offset, bytes, value| {
            assert_eq!(mmio::write(&guest, cpu, WATCHDOG + offset, bytes, value), Written::Done);
        };
        let get = |cpu: &mut Cpu, offset, bytes| {
            mmio::read(&guest, cpu, WATCHDOG + offset, bytes).expect("a register")
        };
        assert_eq!(get(&mut cpu, W_IIDR, 4) >> 16 & 0xf, 1, "revision 1");
        assert_eq!(get(&mut cpu, REFRESH_IIDR, 4), get(&mut cpu, W_IIDR, 4));
        assert_eq!(get(&mut cpu, WOR, 8), plan.ticks / 2);
        put(&mut cpu, WOR, 8, 30);
        assert_eq!(machine.borrow().deadlines, 1, "its CPU is to look earlier");
        assert_eq!(guest.vm.watchdog.deadline(), 30);
        put(&mut cpu, WOR, 4, 0xffff_ffff);
        put(&mut cpu, WOR_HIGH, 4, 0xffff_ffff);
        assert_eq!((get(&mut cpu, WOR, 8), get(&mut cpu, WOR_HIGH, 4)), (OFFSET, 0xffff));
        put(&mut cpu, WCV, 8, u64::MAX);
        assert_eq!(guest.vm.watchdog.deadline(), plan.ticks, "the plan's time stands");
        put(&mut cpu, WCS, 4, 0);
        assert_eq!(
            get(&mut cpu, WCS, 4),
            u64::from(ENABLE),
            "armed from the start is armed for good"
        );
        put(&mut cpu, REFRESH_WRR, 4, 0);
        for (offset, bytes) in [(WCS, 1), (WCS, 8), (REFRESH_WRR, 2), (WOR_HIGH, 8)] {
            assert_eq!(mmio::read(&guest, &mut cpu, WATCHDOG + offset, bytes), None);
            let written = mmio::write(&guest, &mut cpu, WATCHDOG + offset, bytes, 0);
            assert_eq!(written, Written::Refused, "{offset:#x}");
        }
        for outside in [FRAME, REFRESH - 8, BYTES] {
            assert_eq!(mmio::read(&guest, &mut cpu, WATCHDOG + outside, 4), None);
        }
    }
}
