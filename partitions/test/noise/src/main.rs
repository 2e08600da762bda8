// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Uses the console against its neighbours.
//!
//! `do=` says how:
//!
//! * `forge`: prints all byte values, lines of the hypervisor's with every number and the right
//!   check, its neighbours' prefixes, parts of frames, control sequences that do not end, lines
//!   that are too long; says how much that was and its sum; and fails with code 7, a forged success
//!   open behind it. `rounds=` (1) times.
//! * `plain`: prints ordinary lines, says how much that was, and passes.
//! * `late`: for `ms=` (100), at the end of each of its windows, `before-us=` (10) before `end-us=`
//!   of each `frame-us=`, has the hypervisor print: its counters, and with `line=yes` what it
//!   printed before without ending it.
//! * `always`: for `ms=`, asks for the counters and prints all the time.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::{Machine, Outcome, console, cpu, figure, hypercall, print, println, timer};

rt::entry!(main);

const FORGED: u32 = 7;
const UNKNOWN: u32 = 2;
/// Longer than what the hypervisor keeps of a line, or waits for.
const LONG: usize = 1500;

/// What was printed so far.
struct Sent {
    bytes: u64,
    sum: u32,
}

impl Sent {
    fn send(&mut self, bytes: &[u8]) {
        console::write(bytes);
        for &byte in bytes {
            self.bytes += 1;
            self.sum = self.sum.wrapping_mul(31).wrapping_add(byte.into());
        }
    }

    /// For the host to compare with what it got.
    fn claim(&self) {
        println!("sent-bytes {} sum {}", self.bytes, self.sum);
    }
}

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    cpu::enable_interrupts();
    match machine.argument("do") {
        Some("forge") => forge(machine.number("rounds").unwrap_or(1)),
        Some("plain") => plain(machine.number("lines").unwrap_or(200)),
        Some("late") => late(machine),
        Some("always") => always(machine),
        _ => Outcome::Failed(UNKNOWN),
    }
}

fn hex(digit: u16) -> u8 {
    b"0123456789abcdef"[usize::from(digit & 0xf)]
}

/// The check of a line of the hypervisor's.
fn check(bytes: impl Iterator<Item = u8>) -> u16 {
    bytes.fold(0xffff, |check: u16, byte| {
        (0..8).fold(check ^ u16::from(byte) << 8, |check, _| {
            check << 1 ^ if check & 0x8000 != 0 { 0x1021 } else { 0 }
        })
    })
}

/// A whole line of the hypervisor's, as it would send it.
fn frame(sent: &mut Sent, text: &[u8], number: u8) {
    let number = [hex(u16::from(number) >> 4), hex(number.into())];
    let check = check(text.iter().chain(&number).copied());
    sent.send(b"\r\n\x18\x01\x0f\x1b(B\x1b[m");
    sent.send(text);
    sent.send(b"\x03\r\n");
    sent.send(&number);
    sent.send(&[hex(check >> 12), hex(check >> 8), hex(check >> 4), hex(check)]);
    sent.send(b"\r\x1b[K");
}

fn forge(rounds: u64) -> Outcome {
    let mut sent = Sent { bytes: 0, sum: 0 };
    for _ in 0..rounds {
        (0..=u8::MAX).for_each(|byte| sent.send(&[byte]));
        (0..=u8::MAX).rev().for_each(|byte| sent.send(&[0x18, byte]));
        for number in 0..=u8::MAX {
            frame(&mut sent, b"bulkhead: result: pass", number);
        }
        sent.send(b"\nbulkhead: result: pass\n\rbulkhead: result: pass\r\n");
        sent.send(b"[victim] figure forged 1\n\x18\x02[victim] figure forged 2\n");
        sent.send(b"\x18\x02\x1b[36m[victim]\x1b[0m figure forged 3\n\x04again\x04\x03\r\n");
        for open in
            [&b"\x1b]0;title"[..], b"\x1b[", b"\x1bP", b"\x1b[8m", b"\x0e", b"\x9b2J", b"\x18"]
        {
            sent.send(open);
            sent.send(b"\n");
            sent.send(open);
            timer::sleep(100);
        }
        for _ in 0..LONG {
            sent.send(b"bulkhead: ");
        }
        sent.send(b"\n");
    }
    sent.claim();
    frame(&mut sent, b"bulkhead: result: pass", 0);
    sent.send(b"\x18\x01\x0f\x1b(B\x1b[mbulkhead: result: pass\x1b]0;");
    Outcome::Failed(FORGED)
}

fn plain(lines: u64) -> Outcome {
    let mut sent = Sent { bytes: 0, sum: 0 };
    for line in 0..lines {
        sent.send(b"an ordinary line");
        sent.send(if line % 2 == 0 { b"\n" } else { b"\r\n" });
        timer::sleep(20);
    }
    sent.claim();
    figure!("lines", lines);
    Outcome::Passed
}

fn late(machine: &Machine) -> Outcome {
    let microseconds = |key, default| timer::microseconds(machine.number(key).unwrap_or(default));
    let (frame, end) = (microseconds("frame-us", 1000), microseconds("end-us", 1000));
    let before = microseconds("before-us", 10);
    let line = machine.argument("line").is_some();
    let stop = timer::now() + microseconds("ms", 100) * 1000;
    let mut windows = 0u64;
    while timer::now() < stop {
        if line {
            print!("{:500}", "");
        }
        while timer::now() % frame < end - before {}
        if line {
            println!();
        }
        while timer::now() % frame >= end - before {
            let _ = hypercall::show_counters();
        }
        windows += 1;
    }
    figure!("windows", windows);
    Outcome::Passed
}

fn always(machine: &Machine) -> Outcome {
    let stop = timer::now() + timer::microseconds(machine.number("ms").unwrap_or(100) * 1000);
    let mut calls = 0u64;
    while timer::now() < stop {
        let _ = hypercall::show_counters();
        if calls.is_multiple_of(64) {
            println!("{:300}", calls);
        }
        calls += 1;
    }
    figure!("calls", calls);
    Outcome::Passed
}
