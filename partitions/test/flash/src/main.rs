// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tells a NOR flash what to do, rightly and wrongly, and reads it.
//!
//! The flash is the device tree's `cfi-flash`. Its first 8 bytes are `begins=NUMBER`, the rest of
//! it is erased.
//!
//! 1. Programming, erasing, status, identity and query.
//! 2. Accesses that the flash does not support are refused; reads of the array by any instruction
//!    are not.
//! 3. Another vPE, if there is one, has the same answers.
//! 4. `count=` (5000) random commands, data and reads of all widths; the first two sectors are left
//!    alone.
//! 5. Erasures of one sector for the rest of `ms=` (0) milliseconds, while the other vPE reads.
//! 6. It resets itself while the flash answers a query. The next life finds the array, and in it
//!    what this one left.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rt::probe::{self, Width};
use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, println, psci, smp, timer};

rt::entry!(main);

const SECTOR: u64 = 256 << 10;
/// Both chips are ready.
const READY: u64 = 0x0080_0080;
/// Where the first life leaves a message for the next one.
const WORD: u64 = SECTOR + 0x40;
const LEFT: u64 = 0x5ec0_0d11;

static AT: AtomicU64 = AtomicU64::new(0);
static TURN: AtomicU32 = AtomicU32::new(0);
/// vPE 1 reads whatever the flash answers.
const ERASURES: u32 = 7;
const LAST_TURN: u32 = 8;
static SEEN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

fn put(at: u64, value: u64) {
    // SAFETY: nothing of this program lies there.
    let result = unsafe { probe::write(at, value, Width::Word) };
    assert!(result.is_ok(), "a store to {at:#x}: {result:?}");
}

/// The word there; None if it is refused.
fn get(at: u64) -> u64 {
    // SAFETY: nothing of this program lies there.
    unsafe { probe::read(at, Width::Word) }.unwrap_or(u64::MAX)
}

fn double(at: u64) -> Option<u64> {
    // SAFETY: nothing of this program lies there.
    unsafe { probe::read(at, Width::Double) }.ok()
}

/// An instruction with its address in x0 that changes nothing else.
fn refused(instruction: u32, at: u64) -> bool {
    // SAFETY: the callers' do.
    unsafe { probe::run(instruction, at) }.is_err_and(|syndrome| syndrome.is_external_abort())
}

const STORE_PAIR: u32 = 0xa900_7c1f; // stp xzr, xzr, [x0]
const LOAD_PAIR: u32 = 0xa940_7c00; // ldp x0, xzr, [x0]
const SWAP: u32 = 0xb8ff_801f; // swpal wzr, wzr, [x0]
const STORE_WORD: u32 = 0xb900_001f; // str wzr, [x0]
const STORE_DOUBLE: u32 = 0xf900_001f; // str xzr, [x0]

fn array(base: u64) {
    put(base, 0x00ff_00ff);
}

fn wait(base: u64) -> u64 {
    loop {
        let status = get(base);
        if status & READY == READY {
            return status;
        }
    }
}

fn program(base: u64, at: u64, value: u64) -> u64 {
    put(base, 0x0040_0040);
    put(at, value);
    let status = wait(base);
    array(base);
    status
}

fn erase(base: u64, at: u64) -> u64 {
    put(at, 0x0020_0020);
    put(at, 0x00d0_00d0);
    let status = wait(base);
    array(base);
    status
}

fn watcher() {
    let at = AT.load(Ordering::Acquire);
    for (seen, turn) in SEEN.iter().zip((0..).step_by(2)) {
        while TURN.load(Ordering::Acquire) != turn + 1 {
            cpu::relax();
        }
        seen.store(get(at), Ordering::Relaxed);
        TURN.store(turn + 2, Ordering::Release);
    }
    while TURN.load(Ordering::Acquire) != LAST_TURN {
        if TURN.load(Ordering::Acquire) == ERASURES {
            get(at);
        }
    }
}

/// What the other vPE reads when it is its turn.
fn other(turn: u32) -> u64 {
    TURN.store(2 * turn + 1, Ordering::Release);
    while TURN.load(Ordering::Acquire) != 2 * turn + 2 {
        cpu::relax();
    }
    SEEN[turn as usize].load(Ordering::Relaxed)
}

/// Anything, anywhere but in the first two sectors.
fn random(base: u64, bytes: u64, count: u64) {
    const COMMANDS: [u64; 12] =
        [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff, 0x1f];
    let seed = 1;
    println!("seed {seed}, {count} times");
    let mut random = Random::new(seed);
    for _ in 0..count {
        let width = Width::ALL[random.below(4) as usize];
        let room = bytes - 2 * SECTOR;
        let at = base
            + 2 * SECTOR
            + random.below(room / 8) * 8
            + random.below(8 / width.bytes()) * width.bytes();
        let value = match random.below(3) {
            0 => random.draw(),
            _ => COMMANDS[random.below(12) as usize],
        };
        match random.below(3) {
            // SAFETY: nothing of this program lies there, and a refusal is an answer, too.
            0 => drop(unsafe { probe::read(at, width) }),
            // SAFETY: the same.
            _ => drop(unsafe { probe::write(at, value, width) }),
        }
        if random.below(20) == 0 {
            let instruction = [STORE_PAIR, LOAD_PAIR, SWAP, STORE_DOUBLE][random.below(4) as usize];
            // SAFETY: they change nothing but x0 and the flash.
            let _ = unsafe { probe::run(instruction, at & !15) };
        }
    }
    // Whatever is under way: the words of a buffer, or a second cycle.
    for _ in 0..34 {
        put(base + 2 * SECTOR, 0x00ff_00ff);
    }
    put(base, 0x0050_0050);
    array(base);
}

fn main(machine: &'static Machine) -> Outcome {
    let Some((flash, _)) = machine.device("cfi-flash") else { return Outcome::Failed(2) };
    let (base, bytes) = (flash.base, flash.bytes);
    let begins = machine.number("begins");
    let mut wrong = 0;
    let mut expect = |what: &str, holds: bool| {
        println!("{what}: {}", if holds { "yes" } else { "NO" });
        wrong += u32::from(!holds);
    };
    if double(base) == begins && get(base + WORD) == LEFT {
        expect("the second life finds the array", double(base + 16) == Some(u64::MAX));
        expect("nothing is under way", program(base, base + 24, 0) == READY);
        return if wrong == 0 { Outcome::Passed } else { Outcome::Failed(wrong) };
    }
    expect("it begins with its file", double(base) == begins);
    expect("the rest is erased", double(base + 16) == Some(u64::MAX));
    expect("its end, too", double(base + bytes - 8) == Some(u64::MAX));

    let at = base + SECTOR + 0x100;
    expect("a word is programmed", program(base, at, 0x1234_ffff) == READY);
    expect("bits are cleared", program(base, at, 0xffff_5678) == READY && get(at) == 0x1234_5678);
    expect("a sector is erased", erase(base, at) == READY && get(at) == 0xffff_ffff);
    expect("and no other", double(base) == begins);
    put(base, 0x00e8_00e8);
    expect("a buffer is there", wait(base) == READY);
    put(at, 0x0001_0001);
    put(at, 1);
    put(at + 4, 2);
    put(base, 0x00d0_00d0);
    expect("it is programmed", wait(base) == READY);
    array(base);
    expect("as a whole", double(at) == Some(0x2_0000_0001) && get(at + 8) == 0xffff_ffff);
    put(base + 0x154, 0x0098_0098);
    expect("a query is answered", get(base + 0x40) == 0x0051_0051);
    put(base, 0x0090_0090);
    expect("and who it is", get(base) == 0x0089_0089);

    expect(
        "wide loads of an answer are refused",
        double(base).is_none() && refused(LOAD_PAIR, base),
    );
    array(base);
    expect("those of the array are not", double(base) == begins && !refused(LOAD_PAIR, base));
    expect("a pair cannot be stored", refused(STORE_PAIR, base));
    expect("nor a double word", refused(STORE_DOUBLE, base));
    expect("nor swapped", refused(SWAP, base));
    array(base);
    expect(
        "a load may stand where a store is later",
        !refused(LOAD_PAIR, base) && !refused(STORE_WORD, base),
    );
    expect("which changes nothing", double(base) == begins);

    if machine.vpes() > 1 {
        AT.store(base, Ordering::Release);
        expect("vPE 1 starts", smp::start(1, watcher).is_ok());
        expect("it reads the array", other(0) == begins.unwrap_or(0) & 0xffff_ffff);
        put(base, 0x0070_0070);
        expect("and a status", other(1) == READY && get(base) == READY);
        array(base);
        expect("and the array", other(2) == begins.unwrap_or(0) & 0xffff_ffff);
    }

    random(base, bytes, machine.number("count").unwrap_or(5000));
    expect("after all that it is as before", double(base) == begins && get(at) == 1);
    erase(base, base + 2 * SECTOR);
    expect("and can be erased", get(base + 3 * SECTOR - 4) == 0xffff_ffff);
    let end = timer::microseconds(machine.number("ms").unwrap_or(0) * 1000);
    let mut erasures = 0;
    TURN.store(ERASURES, Ordering::Release);
    while timer::now() < end {
        erase(base, base + 2 * SECTOR);
        erasures += 1;
    }
    TURN.store(LAST_TURN, Ordering::Release);
    figure!("erasures", erasures);
    if wrong != 0 {
        return Outcome::Failed(wrong);
    }
    program(base, base + WORD, LEFT);
    put(base, 0x0098_0098);
    println!("resets itself");
    psci::system_reset();
}
