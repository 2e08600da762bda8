// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes a device read and write memory that is not its VM's.
//!
//! The device is QEMU's `edu`, which copies between memory and a buffer of its own. First it copies
//! this VM's own memory, by the addresses that the guest has: that must arrive, byte for byte. Then
//! it reads and writes each address of `targets=` (hexadecimal, commas between, `+` before a number
//! of pages): no byte of those may arrive in the device. EL2's lines show that the writes were
//! refused. With `message=` it writes that EventID to the ITS, which takes it for an event of this
//! device's own. With `storm=` it writes so often to the first of them, after which even its own
//! memory must be out of reach, and resets itself: in its second life its memory must be in reach
//! again. With `late=` it tells the device to write a pattern to its own memory and resets itself
//! at once; in the second life bus mastering is on from the first moment, and for so many
//! milliseconds no byte may arrive. With `disk=1` the device is an NVMe disk (disk.rs).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod disk;

use rt::dma::{Arena, Buffer};
use rt::mmio::Registers;
use rt::pci::Function;
use rt::{Machine, Outcome, cpu, figure, println, psci, timer};

rt::entry!(main);

/// Vendor and device of `edu`.
const EDU: u32 = 0x11e8_1234;
const BAR_BYTES: u64 = 1 << 20;
/// Reads as the complement of what was written: which life this is. 0 at first.
const LIVENESS: u64 = 0x04;
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const COMMAND: u64 = 0x98;
const RUN: u64 = 1;
const TO_MEMORY: u64 = 2;
/// The device's buffer, as its DMA has it.
const INSIDE: u64 = 0x4_0000;
const BYTES: u64 = 8;
const PAGE: u64 = 4096;

/// GITS_TRANSLATER as every guest has it, what a message is, and how many are sent.
const TRANSLATER: u64 = 0x0809_0040;
const MESSAGE_BYTES: u64 = 4;
const MESSAGES: u64 = 8;

/// Microseconds between looks at the device.
const PAUSE: u64 = 5000;

const NO_DEVICE: u32 = 1;
const OWN_MEMORY: u32 = 2;
const HOLE: u32 = 3;
const NOT_CUT_OFF: u32 = 4;
const LEFT_OVER: u32 = 5;
/// Of what a former life left.
const PATTERN: u64 = 0xc3c3_5a5a_a5a5_3c3c;

struct Edu(Registers);

impl Edu {
    fn begin(&self, from: u64, to: u64, bytes: u64, direction: u64) {
        cpu::barrier();
        self.0.write64(SOURCE, from);
        self.0.write64(DESTINATION, to);
        self.0.write64(COUNT, bytes);
        self.0.write64(COMMAND, RUN | direction);
    }
    fn copy(&self, from: u64, to: u64, bytes: u64, direction: u64) {
        self.begin(from, to, bytes, direction);
        // It takes 100 ms. QEMU fails when a BAR of another VM goes away during a loop of reads.
        while self.0.read64(COMMAND) & RUN != 0 {
            let later = timer::now() + timer::microseconds(PAUSE);
            while timer::now() < later {
                core::hint::spin_loop();
            }
        }
        cpu::barrier();
    }
    fn read(&self, address: u64, bytes: u64) {
        self.copy(address, INSIDE, bytes, 0);
    }
    fn write(&self, address: u64, bytes: u64) {
        self.copy(INSIDE, address, bytes, TO_MEMORY);
    }
}

fn main(machine: &'static Machine) -> Outcome {
    let targets = || {
        let list = machine.argument("targets").unwrap_or("").split(',');
        list.filter_map(pages).flatten()
    };
    if machine.number("disk").is_some() {
        return disk::run(machine, targets());
    }
    // Behind a bridge it is found by an event of its.
    let named = machine.events().find_map(|event| Function::at(machine, event.function?));
    let Some(edu) = named.or_else(|| Function::find(machine, EDU)).and_then(|function| {
        function.enable();
        function.bar(0, BAR_BYTES).map(Edu)
    }) else {
        println!("no device");
        return Outcome::Failed(NO_DEVICE);
    };
    let mut arena = match Arena::take(machine) {
        Some(arena) => arena,
        None => return Outcome::Failed(NO_DEVICE),
    };
    let (Some(source), Some(sink)) = (arena.allocate(BYTES), arena.allocate(BYTES)) else {
        return Outcome::Failed(NO_DEVICE);
    };
    if let Some(milliseconds) = machine.number("late") {
        if edu.0.read32(LIVENESS) == 0 {
            source.write64(0, PATTERN);
            edu.read(source.address(), BYTES);
            edu.0.write32(LIVENESS, 1);
            edu.begin(INSIDE, sink.address(), BYTES, TO_MEMORY);
            psci::system_reset();
        }
        let end = timer::now() + timer::microseconds(milliseconds * 1000);
        while timer::now() < end {
            if sink.read64(0) != 0 {
                println!("a former life's write arrived");
                return Outcome::Failed(LEFT_OVER);
            }
        }
        figure!("quiet", milliseconds, "ms");
    }
    if !arrives(&edu, &source, &sink) {
        println!("its own memory is out of reach");
        return Outcome::Failed(OWN_MEMORY);
    }
    println!("its own memory is reached");
    if edu.0.read32(LIVENESS) != 0 {
        println!("in a second life, too");
        return Outcome::Passed;
    }
    if let Some(event) = machine.number("message") {
        source.write64(0, event);
        edu.read(source.address(), MESSAGE_BYTES);
        for _ in 0..MESSAGES {
            edu.write(TRANSLATER, MESSAGE_BYTES);
        }
        figure!("messages", MESSAGES);
    }
    let mut tried = 0;
    for target in targets() {
        if !unreachable(&edu, target, &source, &sink) {
            println!("a hole at {target:#x}");
            return Outcome::Failed(HOLE);
        }
        tried += 1;
    }
    figure!("targets", tried);
    if let (Some(target), Some(storm)) = (targets().next(), machine.number("storm")) {
        for _ in 0..storm {
            edu.write(target, source.bytes());
        }
        if arrives(&edu, &source, &sink) {
            println!("not cut off");
            return Outcome::Failed(NOT_CUT_OFF);
        }
        edu.0.write32(LIVENESS, 1);
        psci::system_reset();
    }
    Outcome::Passed
}

/// The addresses of "48000000", or of "48000000+10": the first bytes of so many pages.
fn pages(text: &str) -> Option<impl Iterator<Item = u64> + use<>> {
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (base, count) = text.split_once('+').unwrap_or((text, "1"));
    let (base, count) = (number(base)?, number(count)?);
    Some((0..count).map(move |n| base + n * PAGE))
}

/// A pattern goes by way of the device from one buffer to another.
fn arrives(edu: &Edu, source: &Buffer, sink: &Buffer) -> bool {
    for offset in (0..BYTES).step_by(8) {
        source.write64(offset, 0x5a5a_0000_0000_0000 | offset);
        sink.write64(offset, 0);
    }
    edu.read(source.address(), BYTES);
    edu.write(sink.address(), BYTES);
    (0..BYTES).step_by(8).all(|offset| sink.read64(offset) == source.read64(offset))
}

/// What the device holds after a read of `target` is what it held before, or nothing.
fn unreachable(edu: &Edu, target: u64, source: &Buffer, sink: &Buffer) -> bool {
    for offset in (0..BYTES).step_by(8) {
        source.write64(offset, !0x1234_5678_0000_0000 ^ offset);
        sink.write64(offset, 0);
    }
    edu.read(source.address(), BYTES);
    edu.write(target, BYTES);
    edu.read(target, BYTES);
    edu.write(sink.address(), BYTES);
    (0..BYTES).step_by(8).all(|offset| {
        let found = sink.read64(offset);
        found == 0 || found == source.read64(offset)
    })
}
