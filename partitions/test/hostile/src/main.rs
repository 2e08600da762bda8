// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tries everything that a guest must not do, and counts what was refused.
//!
//! For `seconds=` (2), from `seed=` (1) on, in an order that the seed decides:
//!
//! * loads and stores of every width anywhere in 39 bits of address, most of all around the GIC,
//!   the ITS and other VMs' RAM, and accesses that the hypervisor cannot decode (pairs, SIMD,
//!   exclusives, write-back, cache maintenance);
//! * all-ones and random words to every register of the distributor and the redistributors;
//! * MSIs written by hand to the ITS's translation register;
//! * SGIs to every affinity by ICC_SGI0R, ICC_SGI1R and ICC_ASGI1R;
//! * HVC and SMC with random functions, arguments and immediates, CPU_ON of vPEs that are not its
//!   own;
//! * reads of every system register encoding, writes of all that cannot hurt the guest itself,
//!   EL2's and EL3's among them;
//! * cache maintenance by set and way;
//! * all-ones and random words to the configuration space of every PCI bridge it can see, which
//!   must not change.
//!
//! With `only=gic` it keeps to the emulated GIC, on every vPE of its VM: registers of all frames by
//! every width, SGIs, and its CPU interface, EOImode, acknowledges, ends and deactivations in any
//! order.
//!
//! What would only end the guest itself (CPU_OFF, SYSTEM_OFF, its own SCTLR) is left out;
//! SYSTEM_RESET is tried once with `reset=yes`, when the first life is half over; the
//! second life does not repeat it. Something that was answered and must not have been is a hole,
//! and fails; otherwise to be still there at the end is to pass. Whether the neighbours noticed is
//! theirs to say.
#![no_std]
#![no_main]

mod bridges;
mod odd;
mod tally;

use abi::hypercall::{REPORT, SHOW_COUNTERS};
use abi::psci::{self as psci_calls, SMC64};
use abi::smccc::SUCCESS;
use rt::dma::Arena;
use rt::machine::Region;
use rt::probe::{self, Width};
use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, println, psci, smp, timer};
use rt::{interface, interrupts};

use bridges::Bridges;
use tally::{Known, Tally};

rt::entry!(main);

const HOLE: u32 = 2;
/// Attempts between looks at the clock.
const BATCH: u64 = 256;
/// Bits of address that stage 1 here and stage 2 below can express.
const ADDRESS_BITS: u32 = 39;
/// Where boards of QEMU's kind keep what a guest must not reach: GIC and ITS, devices, RAM, PCI
/// configuration.
const TEMPTING: [(u64, u64); 5] = [
    (0x0800_0000, 0x0200_0000),
    (0x0900_0000, 0x0100_0000),
    (0x1000_0000, 0x1000_0000),
    (0x4000_0000, 0x8000_0000),
    (0x40_1000_0000, 0x1000_0000),
];
const GITS_TRANSLATER: u64 = 0x0809_0040;
const REDISTRIBUTOR: u64 = 0x2_0000;

/// The first of PSCI's functions, and CPU_ON.
const PSCI: u64 = psci_calls::VERSION as u64;
const CPU_ON: u64 = (psci_calls::CPU_ON | SMC64) as u64;
/// PSCI functions, by number, that end or stop the caller: SUSPEND, OFF, SYSTEM_OFF, SYSTEM_RESET,
/// FREEZE, DEFAULT_SUSPEND, NODE_HW_STATE's neighbour SYSTEM_SUSPEND, SYSTEM_RESET2, and MIGRATE;
/// CPU_ON has its own attempt.
const ENDING: [u32; 10] = [1, 2, 3, 5, 8, 9, 0xb, 0xc, 0xe, 0x12];
/// Hypercalls that would spoil the result or fill the console: REPORT and SHOW_COUNTERS.
const SPOILING: [u32; 2] = [REPORT, SHOW_COUNTERS];

/// Instruction words without a register: MRS, MSR and SYS of op0 2, and HVC and SMC.
const MRS: u32 = 0xd530_0000;
const MSR: u32 = 0xd510_0000;
const SYS: u32 = 0xd508_0000;
const HVC: u32 = 0xd400_0002;
const SMC: u32 = 0xd400_0003;

struct Hostile {
    random: Random,
    known: Known,
    machine: &'static Machine,
    tally: Tally,
    bridges: Bridges,
    /// Nothing but the GIC.
    only_gic: bool,
}

fn main(machine: &'static Machine) -> Outcome {
    let seconds = machine.number("seconds").unwrap_or(2);
    let seed = machine.number("seed").unwrap_or(1);
    // Interrupts that it provokes stay pending for ever.
    cpu::disable_interrupts();
    let began = timer::now();
    let ticks = seconds * timer::frequency();
    let resets = machine.argument("reset").is_some() && first_life(machine);
    let reset_at = resets.then_some(began + ticks / 2);
    println!("{seconds} s of mischief, seed {seed}");
    let known = Known::of(machine);
    let mut hostile = Hostile {
        random: Random::new(seed),
        known,
        machine,
        tally: Tally::default(),
        bridges: Bridges::of(machine),
        only_gic: machine.argument("only") == Some("gic"),
    };
    if hostile.only_gic {
        for vpe in 1..machine.vpes() {
            if smp::start(vpe, other).is_err() {
                println!("vPE {vpe} does not start");
            }
        }
    }
    if !hostile.only_gic {
        hostile.sweep();
    }
    while timer::now() - began < ticks {
        for _ in 0..BATCH {
            hostile.attempt();
        }
        hostile.bridge();
        if reset_at.is_some_and(|time| timer::now() > time) {
            println!("resetting myself");
            psci::system_reset();
        }
    }
    hostile.tally.print();
    figure!("bridges", hostile.bridges.all().len());
    if hostile.tally.holes == 0 { Outcome::Passed } else { Outcome::Failed(HOLE) }
}

/// Memory is kept over a reset.
fn first_life(machine: &Machine) -> bool {
    let lived = Arena::take(machine).and_then(|mut arena| arena.allocate_kept(8));
    lived.is_some_and(|lived| {
        let first = lived.read64(0) == 0;
        lived.write64(0, 1);
        first
    })
}

/// What vPEs other than the first do, until the VM is off.
fn other() {
    let Some(machine) = Machine::get() else { return };
    cpu::disable_interrupts();
    let seed = machine.number("seed").unwrap_or(1) + u64::from(cpu::vpe()) * 1000;
    let mut hostile = Hostile {
        random: Random::new(seed),
        known: Known::of(machine),
        machine,
        tally: Tally::default(),
        bridges: Bridges::of(machine),
        only_gic: true,
    };
    loop {
        hostile.attempt();
    }
}

impl Hostile {
    /// All-ones to every word of the distributor and of this VM's redistributors, and the frames
    /// behind them.
    fn sweep(&mut self) {
        let Some((distributor, redistributors)) = self.machine.gic() else {
            return;
        };
        let mine = u64::from(self.machine.vpes()) * REDISTRIBUTOR;
        let redistributors = Region { bytes: redistributors.bytes.min(mine), ..redistributors };
        for region in [distributor, redistributors] {
            for address in (region.base..region.end()).step_by(4) {
                self.store(address, u64::MAX, Width::Word);
            }
        }
    }

    fn attempt(&mut self) {
        if self.only_gic {
            return match self.random.below(64) {
                0..32 => self.gic(),
                // An instruction made at run time, which takes an emulator long.
                32 => self.sgi(),
                _ => self.interface(),
            };
        }
        match self.random.below(17) {
            0..4 => self.anywhere(),
            4..6 => self.gic(),
            6 => self.odd(),
            7 => self.translater(),
            8 => self.sgi(),
            9..11 => self.call(),
            11 => self.immediate(),
            12 => self.cpu_on(),
            13 => self.read_register(),
            14 => self.write_register(),
            15 => self.system_instruction(),
            _ => self.set_and_way(),
        }
    }

    /// An address that no region of the device tree covers, aligned to the width but for one in 16.
    fn foreign_address(&mut self, width: Width) -> u64 {
        let address = match self.random.below(TEMPTING.len() as u64 + 1) {
            0 => self.random.below(1 << ADDRESS_BITS),
            n => {
                let (base, bytes) = TEMPTING[n as usize - 1];
                base + self.random.below(bytes)
            }
        };
        let address =
            if self.random.below(16) == 0 { address } else { address & !(width.bytes() - 1) };
        if self.known.contains(address) { GITS_TRANSLATER } else { address }
    }

    fn width(&mut self) -> Width {
        Width::ALL[self.random.below(4) as usize]
    }

    fn value(&mut self) -> u64 {
        match self.random.below(3) {
            0 => u64::MAX,
            1 => 0,
            _ => self.random.draw(),
        }
    }

    fn load(&mut self, address: u64, width: Width) -> bool {
        // SAFETY: the callers give addresses that are no memory of this VM; a fault comes back.
        let result = unsafe { probe::read(address, width) };
        self.tally.count(&result)
    }

    fn store(&mut self, address: u64, value: u64, width: Width) -> bool {
        // SAFETY: as for loads.
        let result = unsafe { probe::write(address, value, width) };
        self.tally.count(&result)
    }

    fn anywhere(&mut self) {
        let width = self.width();
        let address = self.foreign_address(width);
        let value = self.value();
        let answered = if self.random.below(2) == 0 {
            self.load(address, width)
        } else {
            self.store(address, value, width)
        };
        if answered {
            self.hole("access", address);
        }
    }

    fn gic(&mut self) {
        let Some((distributor, redistributors)) = self.machine.gic() else {
            return;
        };
        let region = if self.random.below(2) == 0 { distributor } else { redistributors };
        let width = self.width();
        let offset = match self.random.below(4) {
            // Where most registers are: in the first page of the distributor, and of the SGI
            // frames.
            0..3 if region.base == distributor.base => self.random.below(0x1000),
            0..3 => {
                let vpe = self.random.below(self.machine.vpes().into());
                vpe * REDISTRIBUTOR + REDISTRIBUTOR / 2 + self.random.below(0x1000)
            }
            _ => self.random.below(region.bytes),
        };
        let address = (region.base + offset % region.bytes) & !(width.bytes() - 1);
        let value = self.value();
        if self.random.below(4) == 0 {
            self.load(address, width);
        } else {
            self.store(address, value, width);
        }
    }

    /// One of the bridges, at one place of its configuration space.
    fn bridge(&mut self) {
        let Some(bridge) = self.bridges.pick(&mut self.random) else { return };
        let width = self.width();
        // The header most of all.
        let bytes = if self.random.below(4) == 0 { bridges::BYTES } else { 0x40 };
        let offset = self.random.below(bytes) & !(width.bytes() - 1);
        let value = self.value();
        self.store(bridge.at + offset, value, width);
        if !bridge.is_unchanged() {
            self.hole("bridge", bridge.at + offset);
        }
    }

    /// At a foreign address, or in the distributor.
    fn odd(&mut self) {
        let foreign = self.foreign_address(Width::Double) & !15;
        let inside = self
            .machine
            .gic()
            .map(|(region, _)| (region.base + self.random.below(region.bytes)) & !15);
        let address = if self.random.below(2) == 0 { inside.unwrap_or(foreign) } else { foreign };
        // SAFETY: neither is memory of this VM.
        let syndrome = unsafe { odd::access(self.random.draw(), address) };
        self.tally.attempts += 1;
        if syndrome == 0 {
            self.tally.answered += 1;
        } else {
            self.tally.aborts += 1;
        }
    }

    fn translater(&mut self) {
        let address = self.machine.its_translater().unwrap_or(GITS_TRANSLATER);
        let event = self.random.below(4);
        if self.store(address, event, Width::Word) {
            self.hole("MSI by hand", address);
        }
    }

    /// ICC_SGI1R_EL1, ICC_ASGI1R_EL1 or ICC_SGI0R_EL1.
    fn sgi(&mut self) {
        let register = 5 + self.random.below(3) as u32;
        let value = match self.random.below(3) {
            0 => u64::MAX,
            1 => 1 << 40 | self.random.below(16) << 24,
            _ => self.random.draw(),
        };
        self.run(MSR | 1 << 19 | 12 << 12 | 11 << 8 | register << 5, value);
    }

    /// This vPE's CPU interface: EOImode, priority mask, acknowledges, ends, deactivations, and
    /// SGIs to any vPE of the VM.
    fn interface(&mut self) {
        let intid = match self.random.below(3) {
            0 => self.random.below(16),
            1 => self.random.below(128),
            _ => self.random.below(1 << 14),
        } as u32;
        self.tally.attempts += 1;
        match self.random.below(10) {
            0 => interface::split_end(self.random.below(2) == 0),
            1 => interface::set_mask(0x80 + self.random.below(0x80) as u8),
            2 => interrupts::send_others(intid & 15),
            3 | 4 => {
                interrupts::send(intid & 15, self.random.below(self.machine.vpes().into()) as u32)
            }
            5 => interface::end(intid),
            6 | 7 => interface::deactivate(intid),
            _ => {
                interface::acknowledge();
            }
        }
    }

    fn call(&mut self) {
        let function = match self.random.below(6) {
            0 => self.random.draw(),
            1 => PSCI + self.random.below(0x20),
            2 => PSCI + u64::from(SMC64) + self.random.below(0x20),
            3 => u64::from(REPORT) - 1 + self.random.below(0x10),
            4 => 0x8600_ff00 + self.random.below(0x10),
            _ => 0x8000_0000 + self.random.below(8) + (self.random.below(64) << 24),
        };
        if ends_the_caller(function) {
            return;
        }
        let arguments = [self.value(), self.value(), self.value()];
        let smc = self.random.below(2) == 0;
        // SAFETY: nothing that starts code or stops this vPE is called, and no function writes to
        // the caller's memory.
        let result = unsafe { probe::call(smc, function, arguments) };
        self.tally.count(&result);
        if result.is_ok_and(|value| (value as i32) < 0) {
            self.tally.refused += 1;
        }
    }

    /// HVC and SMC with an immediate other than 0, and a function that does not exist.
    fn immediate(&mut self) {
        let immediate = self.random.below(1 << 16) as u32;
        let call = if self.random.below(2) == 0 { HVC } else { SMC };
        // SAFETY: no such function exists; what x1 to x3 hold afterwards is of no interest.
        let result = unsafe { probe::run(call | immediate << 5, 0xffff_ffff) };
        self.tally.count(&result);
    }

    fn cpu_on(&mut self) {
        let mine = u64::from(self.machine.vpes());
        let target = match self.random.below(2) {
            0 => mine + self.random.below(16),
            _ => self.random.draw() | 1 << 63,
        };
        let arguments = [target, self.random.draw(), self.random.draw()];
        // SAFETY: the target is no vPE of this VM, so nothing of it starts.
        let result = unsafe { probe::call(self.random.below(2) == 0, CPU_ON, arguments) };
        self.tally.count(&result);
        match result {
            Ok(SUCCESS) => self.hole("CPU_ON", target),
            Ok(_) => self.tally.refused += 1,
            Err(_) => {}
        }
    }

    fn read_register(&mut self) {
        let encoding = self.random.below(1 << 15) as u32;
        self.run(MRS | encoding << 5, 0);
    }

    /// The CPU interface, PMU, timers, debug, what is implementation defined, and everything of EL2
    /// and EL3.
    fn write_register(&mut self) {
        let field = |random: &mut Random, bound| random.below(bound) as u32;
        let random = &mut self.random;
        let (crm, op2) = (field(random, 16), field(random, 8));
        let (op0, op1, crn, crm) = match random.below(6) {
            0 => (3, 0, 12, 8 + crm % 5),
            1 => (3, if op2 < 4 { 0 } else { 3 }, 9, 12 + crm % 4),
            2 => (3, 3, 14, crm),
            3 => (2, field(random, 8), field(random, 16), crm),
            4 => (3, field(random, 8), if op2 < 4 { 11 } else { 15 }, crm),
            _ => (3, 4 + 2 * field(random, 2), field(random, 16), crm),
        };
        let value = self.value();
        self.run(MSR | (op0 - 2) << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5, value);
    }

    /// TLB maintenance and address translation that belong to EL2 and EL3.
    fn system_instruction(&mut self) {
        let op1 = 4 + 2 * self.random.below(2) as u32;
        let rest = self.random.below(1 << 11) as u32;
        let crn = if self.random.below(2) == 0 { 8 } else { 7 };
        self.run(SYS | op1 << 16 | crn << 12 | (rest & 0x7f) << 5, 0);
    }

    /// DC ISW, CSW or CISW of any level, set and way: bursts, and single ones.
    fn set_and_way(&mut self) {
        let crm = [6, 10, 14][self.random.below(3) as usize];
        let operand = self.random.draw();
        for set in 0..self.random.below(16) {
            self.run(SYS | 7 << 12 | crm << 8 | 2 << 5, operand.wrapping_add(set << 6));
        }
    }

    fn run(&mut self, instruction: u32, value: u64) {
        // SAFETY: the callers leave out what changes this vPE's own translation, stack, mask or
        // flow; the register is x0.
        let result = unsafe { probe::run(instruction, value) };
        self.tally.count(&result);
    }

    fn hole(&mut self, what: &str, place: u64) {
        self.tally.holes += 1;
        if self.tally.holes <= 8 {
            println!("{what} at {place:#x} was answered");
        }
    }
}

fn ends_the_caller(function: u64) -> bool {
    let function = function as u32;
    let psci = function & !(SMC64 | 0x1f) == psci_calls::VERSION;
    psci && ENDING.contains(&(function & 0x1f)) || SPOILING.contains(&function)
}
