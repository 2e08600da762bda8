// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE in its VM: the state, the plan's part, and where both are.

use crate::{
    affinity::{CLUSTER, affinity_of, number_of},
    allowance::Allowance,
    console::Ring,
    counters::Counters,
    health::Health,
    history::History,
    pci::{Refusals, Sizing},
    pl011::Uart,
    power::Power,
    set_way::SetWay,
    vgic::Distributor,
    vgic::Redistributor,
    vits::Event,
    vits::Its,
    vits::View,
    watchdog::Watchdog,
};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use plan::{Mmio, MmioKind, Pa, Plan, VpeIndex};
use spin::Mutex;

/// Bytes a VM may have printed that the board's UART has not taken yet.
pub const OUTPUT_ROOM: usize = 1024;

/// Where a region is that a VM does not have: no address that a guest can form comes near it.
pub const ABSENT: u64 = 1 << 63;

/// Everything of one VM that changes. One per entry of `Plan::vms`, in a static. In this order, as
/// what a guest reads most is at the start, where one instruction reaches it.
#[derive(Debug)]
#[repr(C)]
pub struct VmState {
    pub distributor: Distributor,
    pub health: Health,
    /// The emulated UART's registers. The only lock a trap takes; held for a few instructions,
    /// never across a wait.
    pub uart: Mutex<Uart>,
    /// What the guest printed. The producer holds `uart`; the mux is the consumer.
    pub output: Ring<OUTPUT_ROOM>,
    /// The guest found `output` full and wants to hear of room.
    pub blocked: AtomicBool,
    pub sizing: Sizing,
    /// Messages that it was not allowed. Who changes how its functions send any holds the lock.
    pub refusals: Mutex<Refusals>,
    pub its: Its,
    /// What it may cause at the physical ITS.
    pub allowance: Allowance,
    pub watchdog: Watchdog,
}

impl VmState {
    /// All zero. [`VmState::reset`] comes before the VM's first start.
    pub const fn new() -> Self {
        Self {
            distributor: Distributor::new(),
            health: Health::new(),
            uart: Mutex::new(Uart::unpowered()),
            output: Ring::new(),
            blocked: AtomicBool::new(false),
            sizing: Sizing::new(),
            refusals: Mutex::new(Refusals::new()),
            its: Its::new(),
            allowance: Allowance::new(),
            watchdog: Watchdog::new(),
        }
    }

    /// Makes all guest-visible state as at power-up, for the VM `config` of `plan`. While no vPE of
    /// the VM runs. What the guest printed stays.
    pub fn reset(&self, plan: &Plan, config: &plan::Vm) {
        (0..Self::reset_parts(plan)).for_each(|part| self.reset_part(plan, config, part));
    }

    /// Parts of a reset.
    pub fn reset_parts(plan: &Plan) -> usize {
        Distributor::words(plan)
    }

    /// Part `part` of a reset, from 0 on; each is short enough for an interrupt to wait.
    pub fn reset_part(&self, plan: &Plan, config: &plan::Vm, part: usize) {
        // Word 0 is nobody's: its turn is for the rest, when all other words are reset.
        let word = part.wrapping_add(1);
        if word < Distributor::words(plan) {
            return self.distributor.reset_word(plan, config, word);
        }
        self.distributor.reset_control(plan, config);
        *self.uart.lock() = Uart::new();
        self.blocked.store(false, Relaxed);
        self.sizing.reset();
        self.its.reset();
    }
}

impl Default for VmState {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything of one vPE that changes. One per entry of `Plan::vpes`, in a static.
#[derive(Debug)]
pub struct VpeState {
    pub redistributor: Redistributor,
    /// How far its pending table has been read ([`crate::vits::enable_lpis`]).
    pub(crate) pending_read: AtomicU32,
    pub counters: Counters,
    pub power: Power,
    pub history: History,
    pub set_way: SetWay,
}

impl VpeState {
    pub const fn new() -> Self {
        Self {
            redistributor: Redistributor::new(),
            pending_read: AtomicU32::new(0),
            counters: Counters::new(),
            power: Power::new(),
            history: History::new(),
            set_way: SetWay::new(),
        }
    }

    /// Makes all guest-visible state as at power-up; the counters go on, the power state is the
    /// caller's.
    pub fn reset(&self) {
        self.redistributor.reset();
        self.pending_read.store(0, Relaxed);
        self.history.clear();
        self.set_way.reset();
    }
}

impl Default for VpeState {
    fn default() -> Self {
        Self::new()
    }
}

/// One vPE with all that it may touch: made once for each vPE, kept by the CPU that runs it.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub plan: &'static Plan,
    /// The VM as planned.
    pub config: &'static plan::Vm,
    pub vm: &'static VmState,
    /// All vPEs of the VM, by number.
    pub vpes: &'static [VpeState],
    /// Every event of the plan's, beside `plan.events`; [`Guest::view`] picks the VM's.
    pub events: &'static [Event],
    /// This one: `vpes[number]`.
    pub vpe: &'static VpeState,
    /// Number of the vPE in its VM, which its affinity says (`affinity_of`).
    pub number: usize,
    /// Bit `number`, and the VM's vPEs, in a target list of SGIs to Aff1 0.
    pub own_target: u32,
    pub targets: u32,
    /// IPA and size of the emulated distributor, which stands first in the plan's table of regions,
    /// and the others there.
    pub distributor: (u64, u64),
    pub regions: &'static [Mmio],
}

impl Guest {
    /// The guest of vPE `index`. `vms`, `vpes` and `events` stand beside `plan.vms`, `plan.vpes`
    /// and `plan.events`. None: no such vPE.
    pub fn new(
        plan: &'static Plan,
        vms: &'static [VmState],
        vpes: &'static [VpeState],
        events: &'static [Event],
        index: VpeIndex,
    ) -> Option<Self> {
        let vpe = plan.vpes.get(index.index())?;
        let config = plan.vms.get(vpe.vm.index())?;
        let first = usize::from(config.first_vpe);
        let vpes = vpes.get(first..first + usize::from(config.vpe_count))?;
        let number = usize::from(vpe.number);
        let (distributor, regions) = match config.mmio.split_first() {
            Some((first, others)) if first.kind == MmioKind::Distributor => {
                ((first.base.value(), first.bytes), others)
            }
            _ => ((ABSENT, 0), config.mmio),
        };
        Some(Self {
            plan,
            config,
            vm: vms.get(vpe.vm.index())?,
            vpes,
            events,
            vpe: vpes.get(number)?,
            number,
            own_target: if number < CLUSTER { 1 << number } else { 0 },
            targets: (1 << vpes.len().min(CLUSTER)) - 1,
            distributor,
            regions,
        })
    }

    /// Index in the plan of the VM's vPE `number`.
    #[inline]
    pub fn vpe_index(&self, number: usize) -> VpeIndex {
        VpeIndex::new(self.config.first_vpe.wrapping_add(number as u16))
    }

    /// PPIs that the guest wants, as bits of word 0: what the physical enables must be while the
    /// vPE runs.
    #[inline]
    pub fn enabled_ppis(&self) -> u32 {
        self.vpe.redistributor.enabled_ppis(self.config.ppis)
    }

    /// MPIDR_EL1 as the vPE reads it (VMPIDR_EL2): bit 31 is RES1.
    pub const fn mpidr(&self) -> u64 {
        1 << 31 | affinity_of(self.number) as u64
    }

    /// Number of the VM's vPE with these affinity fields, as in MPIDR_EL1 or PSCI's target_cpu.
    pub fn by_affinity(&self, affinity: u64) -> Option<usize> {
        // Aff3 39:32 and Aff2 23:16 are 0 for every vPE; other bits must be 0 in PSCI.
        let number = number_of(u32::try_from(affinity).ok()?);
        (number < self.vpes.len()).then_some(number)
    }

    /// The VM's events.
    pub fn view(&self) -> View {
        View::new(self.plan, self.config, self.events)
    }

    /// Where `bytes` of the guest's memory at `ipa` are; None: not all of them are its memory, in
    /// one piece.
    pub fn memory(&self, ipa: u64, bytes: u64) -> Option<Pa> {
        self.config.memory.iter().find_map(|piece| {
            let offset = ipa.checked_sub(piece.ipa.value())?;
            let fits = offset < piece.bytes && bytes <= piece.bytes - offset;
            fits.then(|| piece.pa.offset(offset))
        })
    }

    /// The guest has memory at `ipa`.
    #[inline(never)]
    pub fn has_memory(&self, ipa: u64) -> bool {
        self.config.memory.iter().any(|piece| ipa.wrapping_sub(piece.ipa.value()) < piece.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{affinity_of, number_of};
    use crate::{
        mmio,
        testing::{Cpu, GICD, Machine, guests},
    };

    #[test]
    fn affinities() {
        let [first, second, other] = guests();
        assert_eq!(
            (first.mpidr(), second.mpidr(), other.mpidr()),
            (0x8000_0000, 0x8000_0001, 0x8000_0000)
        );
        assert_eq!(other.vpe_index(0).index(), 2);
        assert_eq!((first.by_affinity(1), other.by_affinity(1)), (Some(1), None));
    }

    /// Sixteen vPEs for each Aff1, and every other affinity is nobody's.
    #[test]
    fn affinities_beyond_sixteen() {
        for number in 0..4096 {
            assert_eq!(number_of(affinity_of(number)), number);
        }
        assert_eq!([15, 16, 33].map(affinity_of), [0x00f, 0x100, 0x201]);
        for affinity in [0x10, 0x1f, 0x110, 0x1_0000, 0x100_0000, u32::MAX] {
            assert_eq!(number_of(affinity), usize::MAX, "{affinity:#x}");
        }
    }

    #[test]
    fn a_restart_forgets_everything() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for offset in [0, 0x104, 0x428, 0x6000 + 8 * 40] {
            mmio::write(&guest, &mut cpu, GICD + offset, 4, u64::MAX);
        }
        mmio::write(&guest, &mut cpu, GICD + 0x204, 4, u64::MAX);
        guest.vm.distributor.quiesce(&mut cpu);
        guest.vm.reset(guest.plan, guest.config);
        for offset in [0x104, 0x204, 0x304, 0x428] {
            assert_eq!(mmio::read(&guest, &mut cpu, GICD + offset, 4), Some(0), "{offset:#x}");
        }
        assert_eq!(mmio::read(&guest, &mut cpu, GICD, 4), Some(0x50));
        assert!(
            machine
                .borrow()
                .lines
                .iter()
                .all(|line| !line.enabled && !line.pending && !line.active)
        );
    }
}
