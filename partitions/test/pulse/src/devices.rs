// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices that interrupt: QEMU's edu, one for each vPE but the first.
//!
//! A store to an edu device's register RAISE sets bits of its STATUS and sends its MSI. vPE 0
//! stores the number of the ring there; the vPE that takes the interrupt reads STATUS, which must
//! be the next number, and acknowledges it to the device. STATUS zero is an interrupt taken twice,
//! a later number a loss.
//!
//! With `work-us=` each vPE computes for a random time, that long at most, after each interrupt: so
//! that those of lower priority are found ready as well as waiting.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::machine::Event;
use rt::mmio::Registers;
use rt::pci::Function;
use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, println, smp, timer};
use spin::Once;

use crate::source::{self, Bell};

const EDU_BYTES: u64 = 0x1000;
const EDU_STATUS: u64 = 0x24;
const EDU_RAISE: u64 = 0x60;
const EDU_ACKNOWLEDGE: u64 = 0x64;
/// vPEs at most.
const VPES: usize = 8;
/// How long an interrupt that comes twice may take for it.
const SETTLING_US: u64 = 10_000;

const WRONG: u32 = 1;
const NO_DEVICE: u32 = 5;

/// A vPE's device, and what the vPE has seen of it.
struct Lane {
    device: Once<(Registers, Event)>,
    taken: AtomicU64,
    twice: AtomicU64,
    lost: AtomicU64,
    /// Interrupts of another vPE's device.
    astray: AtomicU64,
}

static LANES: [Lane; VPES] = [const { Lane::new() }; VPES];
static WORK: AtomicU64 = AtomicU64::new(0);

impl Lane {
    const fn new() -> Self {
        Self {
            device: Once::new(),
            taken: AtomicU64::new(0),
            twice: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            astray: AtomicU64::new(0),
        }
    }

    fn of(vpe: u32) -> &'static Self {
        &LANES[vpe as usize % VPES]
    }
}

impl Bell for &'static Lane {
    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    fn ring(&self, number: u64) -> bool {
        let Some((device, _)) = self.device.get() else { return false };
        device.write32(EDU_RAISE, number as u32);
        true
    }
}

fn rung(intid: IntId) {
    let lane = Lane::of(cpu::vpe());
    let Some((device, _)) = lane.device.get().filter(|(_, event)| event.vintid == intid.value())
    else {
        lane.astray.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let number = u64::from(device.read32(EDU_STATUS));
    device.write32(EDU_ACKNOWLEDGE, number as u32);
    let taken = lane.taken.load(Ordering::Relaxed);
    match number.wrapping_sub(taken) {
        1 => {}
        _ if number == 0 => {
            lane.twice.fetch_add(1, Ordering::Relaxed);
            return;
        }
        more => {
            lane.lost.fetch_add(more.wrapping_sub(1), Ordering::Relaxed);
        }
    }
    lane.taken.store(number, Ordering::Release);
}

/// What every vPE but the first does.
fn listen() {
    let lane = Lane::of(cpu::vpe());
    let work = WORK.load(Ordering::Relaxed);
    let mut random = Random::new(cpu::vpe().into());
    let mut seen = 0;
    cpu::enable_interrupts();
    loop {
        cpu::wait_until(|| lane.taken.load(Ordering::Acquire) != seen);
        seen = lane.taken.load(Ordering::Acquire);
        if work != 0 {
            let end = timer::now() + random.below(work);
            while timer::now() < end {}
        }
    }
}

/// Rings every device until all is given and taken.
pub fn run(machine: &'static Machine) -> Outcome {
    WORK.store(timer::microseconds(machine.number("work-us").unwrap_or(0)), Ordering::Relaxed);
    for event in machine.events() {
        if let Err(what) = begin(machine, event) {
            println!("{} for vPE {}: {what}", event.device, event.vpe);
            return Outcome::Failed(NO_DEVICE);
        }
    }
    timer::init(machine);
    cpu::enable_interrupts();
    let lanes = || LANES.iter().filter(|lane| lane.device.is_completed());
    if let Err(outcome) = source::give(machine, lanes()) {
        return outcome;
    }
    timer::sleep(SETTLING_US);
    let sum = |cell: fn(&Lane) -> &AtomicU64| -> u64 {
        lanes().map(|lane| cell(lane).load(Ordering::Relaxed)).sum()
    };
    let (twice, lost) = (sum(|lane| &lane.twice), sum(|lane| &lane.lost));
    let astray = sum(|lane| &lane.astray) + u64::from(interrupts::unexpected());
    figure!("rings-taken", sum(|lane| &lane.taken));
    figure!("rings-twice", twice);
    figure!("rings-lost", lost);
    figure!("rings-astray", astray);
    if twice == 0 && lost == 0 && astray == 0 { Outcome::Passed } else { Outcome::Failed(WRONG) }
}

/// The device of an event gets ready, and its vPE starts.
fn begin(machine: &Machine, event: Event) -> Result<(), &'static str> {
    if event.vpe == 0 {
        return Err("vPE 0 is the one that rings");
    }
    let function = event.function.and_then(|address| Function::at(machine, address));
    let function = function.ok_or("no such function")?;
    let registers = function.bar(0, EDU_BYTES).ok_or("no BAR")?;
    let translater = machine.its_translater().ok_or("no ITS")?;
    function.enable();
    function.enable_msi(translater, event.event_id).ok_or("no MSI")?;
    interrupts::set_handler(IntId::new(event.vintid), rung);
    Lane::of(event.vpe).device.call_once(|| (registers, event));
    smp::start(event.vpe, listen).map_err(|_| "CPU_ON failed")
}
