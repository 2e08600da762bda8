// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counts the instructions of every hot path from inside a guest.
//!
//! Made for `-icount shift=0` with a counter of 1 GHz, where one tick is one instruction of EL2 or
//! of the guest; it says so itself, by timing a thousand NOPs, and otherwise calls its figures
//! ticks. Each figure is the median of `samples=` (101) tries, with `-min` and `-max` beside it.
//! `read-overhead` is what two readings of the counter in a row show; it is contained in every
//! figure, as is the instruction that causes the event. Nothing is subtracted.
//!
//! | figure | from | to |
//! |---|---|---|
//! | boot | reset of the machine | the partition's first instruction |
//! | vlpi, or as `event=` says | store that makes the edu device send its MSI | handler's first instruction |
//! | timer, timer-wfi | CNTV_CVAL, spinning or in WFI | handler's first instruction |
//! | spi | store that makes the RTC's interrupt pending | handler's first instruction |
//! | sgi-self | write of ICC_SGI1R_EL1 | handler's first instruction |
//! | sgi-other | write of ICC_SGI1R_EL1 | handler's first instruction on the other vPE, or the sender's next one if that is later |
//! | sgi-send | write of ICC_SGI1R_EL1 | the sender's next instruction |
//! | hypercall, nothing | HVC with PSCI_VERSION, with NOTHING | the next instruction |
//! | mmio-read, mmio-write | load of GICD_TYPER, store to GICD_ISENABLER1 | the next instruction |
//! | gicd-control, gicd-priority, gicr-type, uart-flags | load of such a register | the next instruction |
//! | wfi | WFI with an interrupt pending and masked | the next instruction |
//!
//! With `role=turns` or `role=modes` it measures CPUs that several vPEs share instead (`turns`),
//! with `role=ring` and `role=rung` the two ends of a channel (`rings`), with `role=idle` it is
//! there and waits.
//!
//! sgi-other needs a VM of two vPEs, in which nothing else is measured. QEMU runs the CPUs of an
//! icount machine in turns, and the counter counts the instructions of all of them; the receiver
//! waits by WFI, the sender does so right after sending, and no third runs. So the difference is
//! what both CPUs executed: the sender's way in and out of EL2, two instructions to its WFI, then
//! the receiver's. A path whose device the VM does not have is left out and said so.
#![no_std]
#![no_main]

mod paths;
mod rings;
mod samples;
mod turns;
mod vectors;

use core::sync::atomic::Ordering;

use abi::hypercall::NOTHING;
use abi::psci;
use rt::interrupts::{self, IntId};
use rt::mmio::Registers;
use rt::pci::Function;
use rt::{Machine, Outcome, cpu, figure, hypercall, println, smp, timer};

use paths::{Call, Cause, Release};
use samples::Samples;

rt::entry!(main);

const EDU: u32 = 0x11e8_1234;
const EDU_BYTES: u64 = 0x1000;
const EDU_STATUS: u64 = 0x24;
const EDU_RAISE: u64 = 0x60;
const EDU_ACKNOWLEDGE: u64 = 0x64;
const RTC_DATA: u64 = 0x00;
const RTC_MATCH: u64 = 0x04;
const RTC_MASK: u64 = 0x10;
const RTC_CLEAR: u64 = 0x1c;
const GICD_TYPER: u64 = 0x4;
const GICD_ISENABLER1: u64 = 0x104;
const GICD_IPRIORITYR8: u64 = 0x420;
const GICR_TYPER: u64 = 0x8;
const UART_FLAGS: u64 = 0x18;
/// SGI 0 to this vPE, and SGI 1 to vPE 1.
const SGI_SELF: u64 = 1;
const SGI_OTHER: u64 = 1 << 24 | 2;
/// Ticks until a timer deadline.
const DISTANCE: u64 = 20_000;
/// Long enough for the other vPE to reach its WFI.
const SETTLING_US: u64 = 100;
const WRONG_INTERRUPT: u32 = 2;
const NOT_DONE: u32 = 3;

/// How figures are taken here.
struct Bench {
    machine: &'static Machine,
    samples: usize,
    unit: &'static str,
    wrong: u32,
}

fn main(machine: &'static Machine) -> Outcome {
    let samples = machine.number("samples").unwrap_or(101) as usize;
    // SAFETY: NOPs.
    let nops = Samples::take(5, || unsafe { paths::call(Call::Nops) }).median();
    let unit = if nops == 1001 { "instructions" } else { "ticks" };
    let mut bench = Bench { machine, samples, unit, wrong: 0 };
    match machine.argument("role") {
        Some("idle") => {
            turns::idle(machine, machine.number("ms").unwrap_or(100));
            return Outcome::Passed;
        }
        Some("turns") => return outcome(turns::doorbells(machine, samples, unit)),
        Some("ring") => return outcome(rings::ring(machine, samples, unit)),
        Some("rung") => return outcome(rings::rung(machine, samples)),
        Some("modes") => return outcome(turns::modes(machine, samples, unit)),
        _ => {}
    }
    println!("{samples} samples each, in {unit}");
    bench.call("read-overhead", Call::Nothing);
    if machine.vpes() > 1 {
        bench.sgi_other();
    } else {
        figure!("boot", machine.entered(), unit);
        bench.calls();
        bench.timer();
        bench.sgi_self();
        bench.vlpi();
        bench.spi();
    }
    match bench.wrong {
        0 => Outcome::Passed,
        _ => Outcome::Failed(WRONG_INTERRUPT),
    }
}

fn outcome(done: Option<()>) -> Outcome {
    match done {
        Some(()) => Outcome::Passed,
        None => Outcome::Failed(NOT_DONE),
    }
}

impl Bench {
    fn call(&self, name: &str, call: Call) {
        // SAFETY: the calls below only ask, and the registers have no side effect but an enable
        // bit, which is written as it is.
        Samples::take(self.samples, || unsafe { paths::call(call) }).print(name, self.unit);
    }

    fn interrupt(&mut self, name: &str, intid: u32, cause: Cause, release: Release) {
        let mut wrong = 0;
        let samples = Samples::take(self.samples, || {
            // SAFETY: the callers below name registers of devices that are this VM's.
            let taken = unsafe { paths::interrupt(cause, release) };
            wrong += u32::from(taken.intid != u64::from(intid));
            taken.ticks
        });
        samples.print(name, self.unit);
        self.check(name, wrong);
    }

    fn check(&mut self, name: &str, wrong: u32) {
        if wrong != 0 {
            println!("{name}: {wrong} interrupts were others than expected");
            self.wrong += wrong;
        }
    }

    fn calls(&mut self) {
        self.call("hypercall", Call::Hvc(psci::VERSION));
        if hypercall::revision().is_ok() {
            self.call("nothing", Call::Hvc(NOTHING));
        }
        if let Some((distributor, _)) = self.machine.gic() {
            self.call("mmio-read", Call::Load(distributor.base + GICD_TYPER));
            self.call("mmio-write", Call::Store(distributor.base + GICD_ISENABLER1, 0));
            self.call("gicd-control", Call::Load(distributor.base));
            self.call("gicd-priority", Call::Load(distributor.base + GICD_IPRIORITYR8));
        }
        if let Some((_, redistributors)) = self.machine.gic() {
            self.call("gicr-type", Call::Load(redistributors.base + GICR_TYPER));
        }
        if let Some(uart) = self.machine.uart() {
            self.call("uart-flags", Call::Load(uart.base + UART_FLAGS));
        }
        // An SGI that stays pending lets every WFI fall through.
        interrupts::set_handler(IntId::new(0), |_| {});
        interrupts::enable(IntId::new(0));
        cpu::disable_interrupts();
        interrupts::send(0, 0);
        self.call("wfi", Call::Wfi);
        cpu::enable_interrupts();
        cpu::disable_interrupts();
    }

    fn timer(&mut self) {
        timer::init(self.machine);
        let intid = u64::from(self.machine.timer_intid());
        for (name, wfi) in [("timer", false), ("timer-wfi", true)] {
            let mut wrong = 0;
            let samples = Samples::take(self.samples, || {
                let taken = paths::timer(DISTANCE, wfi);
                wrong += u32::from(taken.intid != intid);
                taken.ticks
            });
            samples.print(name, self.unit);
            self.check(name, wrong);
        }
    }

    fn sgi_self(&mut self) {
        self.interrupt("sgi-self", 0, Cause::Sgi(SGI_SELF), Release::none());
    }

    fn vlpi(&mut self) {
        let device = Function::find(self.machine, EDU);
        let event = device.as_ref().and_then(|device| {
            self.machine.events().find(|event| event.function == Some(device.address()))
        });
        let (Some(device), Some(event), Some(translater)) =
            (device, event, self.machine.its_translater())
        else {
            println!("no edu device with an event here: no vlpi");
            return;
        };
        let Some(registers) = device.bar(0, EDU_BYTES) else {
            println!("the edu device has no BAR: no vlpi");
            return;
        };
        device.enable();
        if device.enable_msi(translater, event.event_id).is_none() {
            println!("the edu device has no MSI: no vlpi");
            return;
        }
        let cause = Cause::Store { address: registers.base() + EDU_RAISE, value: 1 };
        let release = Release {
            address: registers.base() + EDU_ACKNOWLEDGE,
            value: 1,
            look: registers.base() + EDU_STATUS,
        };
        let name = self.machine.argument("event").unwrap_or("vlpi");
        self.interrupt(name, event.vintid, cause, release);
        device.disable_msi();
    }

    /// A write of RTCMR with the time that it is makes the RTC's interrupt pending at once.
    fn spi(&mut self) {
        let Some((region, Some(intid))) = self.machine.device("arm,pl031") else {
            println!("no RTC here: no spi");
            return;
        };
        let Some(registers) = Registers::of_device(self.machine, "arm,pl031") else {
            return;
        };
        interrupts::enable(IntId::new(intid));
        registers.write32(RTC_MASK, 1);
        let release =
            Release { address: region.base + RTC_CLEAR, value: 1, look: region.base + RTC_MATCH };
        let mut wrong = 0;
        let samples = Samples::take(self.samples, || {
            let now = registers.read32(RTC_DATA);
            let cause = Cause::Store { address: region.base + RTC_MATCH, value: now };
            // SAFETY: registers of the RTC, which is this VM's.
            let taken = unsafe { paths::interrupt(cause, release) };
            wrong += u32::from(taken.intid != u64::from(intid));
            taken.ticks
        });
        samples.print("spi", self.unit);
        self.check("spi", wrong);
        registers.write32(RTC_MASK, 0);
    }

    fn sgi_other(&mut self) {
        timer::init(self.machine);
        if let Err(error) = smp::start(1, || {
            interrupts::enable(IntId::new(1));
            paths::receive();
        }) {
            println!("CPU_ON: {error}");
            self.wrong += 1;
            return;
        }
        let mut sent = 0;
        let mut sends = [0; samples::MOST];
        let all = Samples::take(self.samples, || {
            sent += 1;
            while paths::READY.load(Ordering::Acquire) < sent {
                timer::sleep(SETTLING_US);
            }
            timer::sleep(SETTLING_US);
            paths::ARRIVED.store(0, Ordering::Release);
            cpu::disable_interrupts();
            timer::set(timer::now() + timer::microseconds(SETTLING_US));
            let (began, ended) = paths::send(SGI_OTHER);
            cpu::enable_interrupts();
            while paths::ARRIVED.load(Ordering::Acquire) == 0 {
                timer::sleep(SETTLING_US);
            }
            let arrived = paths::ARRIVED.load(Ordering::Acquire);
            if let Some(send) = sends.get_mut(sent as usize - 1) {
                *send = ended - began;
            }
            arrived.max(ended) - began
        });
        all.print("sgi-other", self.unit);
        let mut sends = sends.into_iter();
        Samples::take(self.samples, || sends.next().unwrap_or(0)).print("sgi-send", self.unit);
    }
}
