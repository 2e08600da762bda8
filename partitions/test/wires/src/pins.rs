// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts by the pins of QEMU's edu devices.
//!
//! A store to RAISE sets bits of STATUS and asserts the pin, until a store to ACKNOWLEDGE has
//! cleared them all. While MSI is off the pin is all that it has.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::mmio::Registers;
use rt::pci::{Address, Function};
use rt::{Machine, cpu, figure, println};
use spin::Once;

use crate::{Failure, soon};

const EDU: u32 = 0x11e8_1234;
const EDU_BYTES: u64 = 0x1000;
const EDU_STATUS: u64 = 0x24;
const EDU_RAISE: u64 = 0x60;
const EDU_ACKNOWLEDGE: u64 = 0x64;
/// Devices at most.
const MOST: usize = 8;

static DEVICES: [Once<Registers>; MOST] = [const { Once::new() }; MOST];
static TAKEN: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Every device of the line may be the one.
fn rung(_: IntId) {
    for (device, taken) in DEVICES.iter().zip(&TAKEN) {
        let Some(device) = device.get() else { continue };
        let status = device.read32(EDU_STATUS);
        if status != 0 {
            device.write32(EDU_ACKNOWLEDGE, status);
            taken.fetch_add(1, Ordering::Release);
        }
    }
}

pub fn run(machine: &'static Machine, count: usize, rounds: u64) -> Result<(), Failure> {
    let mut found = 0;
    for host in machine.hosts() {
        for bdf in (u16::from(*host.buses.start()) << 8..).take(256) {
            let address = Address { domain: host.domain, bdf };
            let Some(function) = Function::at(machine, address) else { continue };
            if function.id() == EDU && found < MOST {
                open(&function, found)?;
                found += 1;
            }
        }
    }
    if found != count {
        return Err(Failure::Lost {
            what: "edu devices",
            number: found,
            got: found as u64,
            wanted: count as u64,
        });
    }
    for round in 1..=rounds {
        for number in 0..count {
            raise(number);
            expect(number, 2 * round - 1)?;
        }
        cpu::without_interrupts(|| (0..count).for_each(raise));
        (0..count).try_for_each(|number| expect(number, 2 * round))?;
    }
    figure!("by-pin", TAKEN.iter().map(|taken| taken.load(Ordering::Acquire)).sum::<u64>());
    Ok(())
}

fn open(function: &Function, number: usize) -> Result<(), Failure> {
    let intid = function.intx().ok_or(Failure::Missing("the SPI of a pin"))?;
    println!(
        "edu {:02x}:{:02x}.{}: SPI {intid}",
        function.address().bdf >> 8,
        function.address().bdf >> 3 & 31,
        function.address().bdf & 7
    );
    function.enable_by_pin();
    let registers = function.bar(0, EDU_BYTES).ok_or(Failure::Missing("BAR 0"))?;
    registers.write32(EDU_ACKNOWLEDGE, u32::MAX);
    DEVICES[number].call_once(|| registers);
    interrupts::set_handler(IntId::new(intid), rung);
    interrupts::enable(IntId::new(intid));
    Ok(())
}

fn raise(number: usize) {
    if let Some(device) = DEVICES[number].get() {
        device.write32(EDU_RAISE, 1 << number);
    }
}

fn expect(number: usize, wanted: u64) -> Result<(), Failure> {
    let taken = || TAKEN[number].load(Ordering::Acquire);
    match soon(|| taken() >= wanted) && taken() == wanted {
        true => Ok(()),
        false => Err(Failure::Lost { what: "edu", number, got: taken(), wanted }),
    }
}
