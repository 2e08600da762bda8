// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One device of several register regions and interrupts: virtio-mmio slots with entropy sources.
//!
//! A queue of one descriptor, with its available and used rings (Virtual I/O Device 1.2, 2.7,
//! 4.2.2, 5.4). Region n interrupts by interrupt n.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::dma::{Arena, Buffer};
use rt::interrupts::{self, IntId};
use rt::mmio::Registers;
use rt::{Machine, cpu, figure, println};
use spin::Once;

use crate::{Failure, soon};

/// What the test's board calls the device.
const COMPATIBLE: &str = "bulkhead,test-slots";
const MOST: usize = 4;
const PAGE: u64 = 4096;

const MAGIC: u64 = 0x00;
const VIRT: u32 = 0x7472_6976;
const DEVICE: u64 = 0x08;
const ENTROPY: u32 = 4;
const FEATURES: u64 = 0x20;
const FEATURES_SELECT: u64 = 0x24;
const QUEUE: u64 = 0x30;
const QUEUE_SIZE: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const NOTIFY: u64 = 0x50;
const INTERRUPTS: u64 = 0x60;
const INTERRUPTS_DONE: u64 = 0x64;
const STATUS: u64 = 0x70;
const QUEUE_DESCRIPTORS: u64 = 0x80;
const QUEUE_AVAILABLE: u64 = 0x90;
const QUEUE_USED: u64 = 0xa0;
/// Acknowledged, with a driver; its features; ready.
const DRIVER: u32 = 3;
const FEATURES_OK: u32 = 8;
const DRIVER_OK: u32 = 4;
/// VIRTIO_F_VERSION_1, of features 32 to 63.
const VERSION_1: u32 = 1;

/// 16 bytes each, at the start of the queue's page; then the rings.
const DESCRIPTORS: u32 = 4;
const AVAILABLE: u64 = 0x100;
const USED: u64 = 0x200;
/// The device writes.
const WRITE: u64 = 2;
const BYTES: u64 = 64;

static SLOTS: [Once<(u32, Registers)>; MOST] = [const { Once::new() }; MOST];
static TAKEN: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

fn rung(intid: IntId) {
    for (slot, taken) in SLOTS.iter().zip(&TAKEN) {
        let Some((_, registers)) = slot.get().filter(|(own, _)| *own == intid.value()) else {
            continue;
        };
        registers.write32(INTERRUPTS_DONE, registers.read32(INTERRUPTS));
        taken.fetch_add(1, Ordering::Release);
    }
}

pub fn run(machine: &'static Machine, count: usize, rounds: u64) -> Result<(), Failure> {
    let mut arena = Arena::take(machine).ok_or(Failure::Missing("memory"))?;
    let mut queues = [const { None }; MOST];
    for (number, queue) in queues.iter_mut().enumerate().take(count) {
        *queue = Some(open(machine, number, &mut arena)?);
    }
    for round in 1..=rounds {
        for (number, queue) in queues.iter().enumerate() {
            let Some((queue, buffer)) = queue else { continue };
            ask(number, queue, buffer, round);
            let done = || TAKEN[number].load(Ordering::Acquire) >= round;
            let used = || (queue.read32(USED) >> 16) as u64 & 0xffff;
            if !soon(|| done() && used() == round & 0xffff) {
                let got = TAKEN[number].load(Ordering::Acquire);
                return Err(Failure::Lost { what: "slot", number, got, wanted: round });
            }
        }
    }
    let filled = queues.iter().flatten().filter(|(_, buffer)| buffer.read64(0) != 0).count();
    if filled != count {
        return Err(Failure::Missing("what a device wrote"));
    }
    figure!("by-slot", TAKEN.iter().map(|taken| taken.load(Ordering::Acquire)).sum::<u64>());
    Ok(())
}

/// Registers of slot `number`, with its queue and a buffer.
fn open(
    machine: &'static Machine,
    number: usize,
    arena: &mut Arena,
) -> Result<(Buffer, Buffer), Failure> {
    let registers = Registers::of_part(machine, COMPATIBLE, number);
    let registers = registers.ok_or(Failure::Missing("a slot"))?;
    let intid = machine.device_interrupt(COMPATIBLE, number);
    let intid = intid.ok_or(Failure::Missing("the interrupt of a slot"))?;
    println!("slot {number} at {:#x}: SPI {intid}", registers.base());
    if registers.read32(MAGIC) != VIRT || registers.read32(DEVICE) != ENTROPY {
        return Err(Failure::Missing("the entropy source of a slot"));
    }
    let queue = arena.allocate(PAGE).ok_or(Failure::Missing("memory"))?;
    let buffer = arena.allocate(BYTES).ok_or(Failure::Missing("memory"))?;
    for (register, value) in [
        (STATUS, 0),
        (STATUS, DRIVER),
        (FEATURES_SELECT, 1),
        (FEATURES, VERSION_1),
        (STATUS, DRIVER | FEATURES_OK),
        (QUEUE, 0),
        (QUEUE_SIZE, DESCRIPTORS),
    ] {
        registers.write32(register, value);
    }
    for (register, offset) in
        [(QUEUE_DESCRIPTORS, 0), (QUEUE_AVAILABLE, AVAILABLE), (QUEUE_USED, USED)]
    {
        let address = queue.address() + offset;
        registers.write32(register, address as u32);
        registers.write32(register + 4, (address >> 32) as u32);
    }
    registers.write32(QUEUE_READY, 1);
    registers.write32(STATUS, DRIVER | FEATURES_OK | DRIVER_OK);
    SLOTS[number].call_once(|| (intid, registers));
    interrupts::set_handler(IntId::new(intid), rung);
    interrupts::enable(IntId::new(intid));
    Ok((queue, buffer))
}

/// Request `round`, counted from 1, by descriptor 0.
fn ask(number: usize, queue: &Buffer, buffer: &Buffer, round: u64) {
    queue.write64(0, buffer.address());
    queue.write64(8, BYTES | WRITE << 32);
    // The ring's entries are descriptor 0, all of them; its index follows.
    cpu::barrier();
    queue.write32(AVAILABLE, ((round & 0xffff) << 16) as u32);
    cpu::barrier();
    if let Some((_, registers)) = SLOTS[number].get() {
        registers.write32(NOTIFY, 0);
    }
}
