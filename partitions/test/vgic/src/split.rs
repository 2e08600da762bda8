// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EOImode 1, and more active interrupts than list registers, with interrupts masked and every step
//! by hand.
//!
//! 1. Sixteen SGIs of one priority and the RTC's SPI are taken and dropped, then deactivated out of
//!    order: each ends by its own number, and no other with it.
//! 2. EOImode 0: sixteen SGIs nest, each of higher priority than the one before, and end one by
//!    one.
//! 3. Random SGIs, drops and deactivations beside a model of two masks, mode 0 and 1.
//! 4. GICR_ISACTIVER0 and GICD_ISACTIVER hold an interrupt back.
//! 5. A level that is ended before the device is quiet comes once.
//! 6. Registers of SPIs that are not this VM's, and an SPI that goes to an affinity of nobody.

use rt::interface::{self, NOTHING};
use rt::interrupts;
use rt::mmio::Registers;
use rt::random::Random;
use rt::{Machine, cpu, figure, println, timer};

use crate::{Failure, Frames, check};

const ISENABLER: u64 = 0x100;
const ISPENDR: u64 = 0x200;
const ISACTIVER: u64 = 0x300;
const ICACTIVER: u64 = 0x380;
const IROUTER: u64 = 0x6000;
const SGIS: u32 = 16;
const ALL: u32 = 0xffff;

const RTC: &str = "arm,pl031";
const DATA: u64 = 0x00;
const MATCH: u64 = 0x04;
const MASK: u64 = 0x10;
const CLEAR: u64 = 0x1c;
/// How long an SPI may take from the device to the CPU interface.
const PATIENCE_US: u64 = 100_000;

struct Split<'a> {
    frames: &'a Frames,
    vpe: u32,
    rtc: Option<(u32, Registers)>,
}

pub fn run(machine: &'static Machine, frames: &Frames) -> Result<(), Failure> {
    let rtc = machine.device(RTC).and_then(|(_, intid)| intid);
    let rtc = rtc.and_then(|intid| Some((intid, Registers::of_device(machine, RTC)?)));
    timer::init(machine);
    timer::stop();
    cpu::disable_interrupts();
    let split = Split { frames, vpe: cpu::vpe(), rtc };
    frames.set_private(split.vpe, ISENABLER, ALL);
    if let Some((intid, registers)) = &split.rtc {
        interrupts::enable(interrupts::IntId::new(*intid));
        registers.write32(MASK, 1);
    }
    split.one_priority()?;
    println!("sixteen of one priority end by their own numbers");
    split.nested()?;
    println!("sixteen nest");
    let seed = machine.number("seed").unwrap_or(1);
    let count = machine.number("count").unwrap_or(20_000);
    let mut random = Random::new(seed);
    println!("seed {seed}");
    for split_end in [true, false, true] {
        split.random(&mut random, count / 3, split_end)?;
    }
    figure!("random-steps", count);
    split.made_active()?;
    println!("what a register made active is held back");
    split.level()?;
    split.registers(machine)?;
    println!("registers hold what is written");
    interface::split_end(false);
    Ok(())
}

impl Split<'_> {
    fn active(&self) -> u32 {
        self.frames.private(self.vpe, ISACTIVER) & ALL
    }

    fn take(&self, what: &'static str, wanted: u32) -> Result<(), Failure> {
        check(what, wanted, interface::acknowledge().into(), wanted.into())
    }

    /// The RTC's line goes up, and its interrupt is pending at this vPE.
    fn alarm(&self) -> Option<u32> {
        let (intid, registers) = self.rtc.as_ref()?;
        registers.write32(CLEAR, 1);
        registers.write32(MATCH, registers.read32(DATA));
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while !self.frames.bit(ISPENDR, *intid) && timer::now() < deadline {
            cpu::relax();
        }
        Some(*intid)
    }

    fn quiet(&self) {
        if let Some((_, registers)) = &self.rtc {
            registers.write32(CLEAR, 1);
        }
    }

    fn one_priority(&self) -> Result<(), Failure> {
        interface::split_end(true);
        for sgi in 0..SGIS {
            self.frames.set_private_priority(self.vpe, sgi, 0x80);
        }
        let alarm = self.alarm();
        if let Some(intid) = alarm {
            self.take("the RTC's SPI", intid)?;
            interface::end(intid);
            self.quiet();
        }
        for sgi in 0..SGIS {
            interrupts::send(sgi, self.vpe);
        }
        let mut active = 0u32;
        for _ in 0..SGIS {
            let intid = interface::acknowledge();
            if intid >= SGIS || active & 1 << intid != 0 {
                return Err(Failure {
                    what: "SGI",
                    number: intid,
                    got: active.into(),
                    wanted: ALL.into(),
                });
            }
            interface::end(intid);
            active |= 1 << intid;
        }
        self.take("nothing is left", NOTHING)?;
        check("the interface is idle", 0, interface::running_priority(), 0xff)?;
        check("EOImode", 0, interface::control() & 2, 2)?;
        for step in 0..SGIS {
            let sgi = step * 7 % SGIS;
            interface::deactivate(sgi);
            active &= !(1 << sgi);
            check("active after its end", sgi, self.active().into(), active.into())?;
            if let Some(intid) = alarm {
                check("the RTC's SPI is active", sgi, self.frames.bit(ISACTIVER, intid).into(), 1)?;
            }
        }
        if let Some(intid) = alarm {
            interface::deactivate(intid);
            check("the RTC's SPI is over", intid, self.frames.bit(ISACTIVER, intid).into(), 0)?;
            self.alarm();
            self.take("the RTC's SPI again", intid)?;
            self.quiet();
            interface::end(intid);
            interface::deactivate(intid);
        }
        Ok(())
    }

    fn nested(&self) -> Result<(), Failure> {
        interface::split_end(false);
        for sgi in 0..SGIS {
            self.frames.set_private_priority(self.vpe, sgi, 0xe0 - 8 * sgi as u8);
            interrupts::send(sgi, self.vpe);
            self.take("nested", sgi)?;
        }
        check("all active", 0, self.active().into(), ALL.into())?;
        interrupts::send(0, self.vpe);
        for sgi in (0..SGIS).rev() {
            interface::end(sgi);
            check("active below", sgi, self.active().into(), (1u64 << sgi) - 1)?;
        }
        self.take("sent while it was active", 0)?;
        interface::end(0);
        self.take("nothing is left", NOTHING)
    }

    /// SGI n has priority 8 * n + 8, a lower one is more urgent.
    fn random(&self, random: &mut Random, count: u64, split: bool) -> Result<(), Failure> {
        interface::split_end(split);
        for sgi in 0..SGIS {
            self.frames.set_private_priority(self.vpe, sgi, 8 * sgi as u8 + 8);
        }
        let (mut pending, mut active) = (0u32, 0u32);
        // Priorities that are not dropped yet, the innermost last.
        let mut running = [NOTHING; SGIS as usize + 1];
        let mut depth = 0;
        for step in 0..count as u32 {
            match random.below(6) {
                0..2 => {
                    let sgi = random.below(SGIS.into()) as u32;
                    interrupts::send(sgi, self.vpe);
                    pending |= 1 << sgi;
                }
                2..4 => {
                    let ready = pending & !active & ((1u32 << running[depth].min(SGIS)) - 1);
                    let wanted = if ready == 0 { NOTHING } else { ready.trailing_zeros() };
                    check("taken", step, interface::acknowledge().into(), wanted.into())?;
                    if wanted != NOTHING {
                        (pending, active) = (pending & !(1 << wanted), active | 1 << wanted);
                        depth += 1;
                        running[depth] = wanted;
                    }
                }
                4 if depth > 0 => {
                    interface::end(running[depth]);
                    if !split {
                        active &= !(1 << running[depth]);
                    }
                    depth -= 1;
                }
                _ => {
                    let held = running[1..=depth].iter().fold(0, |bits, sgi| bits | 1 << sgi);
                    let dropped = active & !held;
                    if dropped != 0 {
                        let mut sgi = random.below(SGIS.into()) as u32;
                        while dropped >> sgi & 1 == 0 {
                            sgi = (sgi + 1) % SGIS;
                        }
                        interface::deactivate(sgi);
                        active &= !(1 << sgi);
                    }
                    check("active", step, self.active().into(), active.into())?;
                    let seen = self.frames.private(self.vpe, ISPENDR) & ALL;
                    check("pending", step, seen.into(), pending.into())?;
                }
            }
        }
        while depth > 0 {
            interface::end(running[depth]);
            depth -= 1;
        }
        self.frames.set_private(self.vpe, ICACTIVER, ALL);
        self.frames.set_private(self.vpe, 0x280, ALL);
        self.take("nothing is left", NOTHING)
    }

    fn made_active(&self) -> Result<(), Failure> {
        interface::split_end(true);
        self.frames.set_private(self.vpe, ISACTIVER, 1 << 3);
        check("GICR_ISACTIVER0", 3, self.active().into(), 1 << 3)?;
        interrupts::send(3, self.vpe);
        self.take("held back", NOTHING)?;
        interface::deactivate(3);
        self.take("let go", 3)?;
        interface::end(3);
        interface::deactivate(3);
        if let Some((intid, _)) = self.rtc {
            self.frames.set_bit(ISACTIVER, intid);
            self.alarm();
            self.take("the RTC's SPI, held back", NOTHING)?;
            check("it is pending", intid, self.frames.bit(ISPENDR, intid).into(), 1)?;
            interface::deactivate(intid);
            self.take("the RTC's SPI, let go", intid)?;
            self.quiet();
            interface::end(intid);
            interface::deactivate(intid);
        }
        Ok(())
    }

    fn level(&self) -> Result<(), Failure> {
        interface::split_end(false);
        let Some(intid) = self.alarm() else { return Ok(()) };
        self.take("the RTC's SPI", intid)?;
        interface::end(intid);
        check("its line is high", intid, self.frames.bit(ISPENDR, intid).into(), 1)?;
        self.quiet();
        self.take("ended before its device was quiet", NOTHING)?;
        check("neither pending", intid, self.frames.bit(ISPENDR, intid).into(), 0)?;
        check("nor active", intid, self.frames.bit(ISACTIVER, intid).into(), 0)?;
        self.frames.distributor.write32(0x180 + 4 * u64::from(intid / 32), 1 << (intid % 32));
        self.alarm();
        check("a high line that is disabled", intid, self.frames.bit(ISPENDR, intid).into(), 1)?;
        self.quiet();
        self.frames.set_bit(ISENABLER, intid);
        println!("a level comes while it is high");
        Ok(())
    }

    fn registers(&self, machine: &Machine) -> Result<(), Failure> {
        let distributor = &self.frames.distributor;
        let last = 32 * ((distributor.read32(4) & 0x1f) + 1);
        for intid in 32..last.min(1020) {
            let place = 0x400 + u64::from(intid);
            let before = distributor.read8(place);
            distributor.write8(place, 0xff);
            check("priority bits", intid, distributor.read8(place).into(), 0xf8)?;
            distributor.write8(place, before);
        }
        if let Some((intid, _)) = self.rtc {
            let place = IROUTER + 8 * u64::from(intid);
            let nobody = cpu::affinity_of(machine.vpes());
            distributor.write64(place, nobody);
            check("GICD_IROUTER", intid, distributor.read64(place), nobody)?;
            self.alarm();
            self.take("routed to nobody", NOTHING)?;
            check("it is pending", intid, self.frames.bit(ISPENDR, intid).into(), 1)?;
            distributor.write64(place, cpu::affinity());
            self.alarm();
            self.take("routed back", intid)?;
            self.quiet();
            interface::end(intid);
        }
        Ok(())
    }
}
