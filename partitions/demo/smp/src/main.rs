// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two vPEs that interrupt each other by SGIs and switch each other on and off.
//!
//! 1. vPE 1 is off; CPU_ON of it twice, of one that is not there, and of this one: what PSCI says
//!    each time.
//! 2. Every SGI from 0 to 15 to itself, then to vPE 1, which sends the same one back: each is
//!    counted on both sides.
//! 3. `count=` (1000) round trips with one SGI.
//! 4. SGIs to all others, and one to a vPE that is not there: nobody gets it.
//! 5. vPE 1 switches itself off, AFFINITY_INFO says so, and it is started again.
//! 6. CPU_SUSPEND to standby lasts until the timer's interrupt, which then is taken.
//! 7. vPE 1 switches itself off again. With an RTC: what becomes of its SPI (spi.rs).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod spi;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rt::interrupts::{self, IntId};
use rt::psci::{self, Power};
use rt::{Machine, Outcome, cpu, figure, println, smp, timer};

rt::entry!(main);

const SGIS: u32 = 16;
/// How long an interrupt may take.
const PATIENCE_US: u64 = 2_000_000;
/// How long to stand by.
const STANDBY_US: u64 = 5_000;
/// How long to wait for one that must not come.
const QUIET_US: u64 = 2_000;

/// SGIs taken, by vPE and number.
static TAKEN: [[AtomicU32; SGIS as usize]; 2] =
    [const { [const { AtomicU32::new(0) }; SGIS as usize] }; 2];
/// vPE 1 sends back what it gets.
static ECHO: AtomicBool = AtomicBool::new(true);
static STOP: AtomicBool = AtomicBool::new(false);
static STARTS: AtomicU32 = AtomicU32::new(0);

enum Failure {
    OneVpe,
    Psci { what: &'static str, got: Result<(), psci::Error> },
    Power { vpe: u32, wanted: Power },
    Lost { sgi: u32, vpe: u32, taken: u32, wanted: u32 },
    Unexpected(u32),
    Awake { slept: u64 },
    Spi(spi::Failure),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::OneVpe => f.write_str("this VM has one vPE only"),
            Failure::Psci { what, got } => write!(f, "{what}: {got:?}"),
            Failure::Power { vpe, wanted } => write!(f, "vPE {vpe} is not {wanted:?}"),
            Failure::Lost { sgi, vpe, taken, wanted } => {
                write!(f, "vPE {vpe} took SGI {sgi} {taken} times, not {wanted}")
            }
            Failure::Unexpected(count) => write!(f, "{count} interrupts without a handler"),
            Failure::Awake { slept } => write!(f, "standby ended after {slept} us"),
            Failure::Spi(failure) => write!(f, "SPI: {failure}"),
        }
    }
}

fn main(machine: &'static Machine) -> Outcome {
    run(machine).into()
}

fn run(machine: &'static Machine) -> Result<(), Failure> {
    if machine.vpes() < 2 {
        return Err(Failure::OneVpe);
    }
    timer::init(machine);
    listen();
    cpu::enable_interrupts();
    println!("{} vPEs", machine.vpes());

    check_power(machine.vpes())?;
    for sgi in 0..SGIS {
        interrupts::send(sgi, 0);
        wait_taken(0, sgi, 1)?;
        interrupts::send(sgi, 1);
        wait_taken(1, sgi, 1)?;
        wait_taken(0, sgi, 2)?;
    }
    println!("SGIs 0 to 15 to itself, to vPE 1 and back");

    let count = machine.number("count").unwrap_or(1000) as u32;
    let began = timer::now();
    for n in 1..=count {
        interrupts::send(1, 1);
        wait_taken(0, 1, 2 + n)?;
    }
    wait_taken(1, 1, 1 + count)?;
    let ticks = timer::now() - began;
    figure!("sgi-round-trips", count);
    figure!("sgi-round-trip-ns", timer::nanoseconds(ticks) / u64::from(count.max(1)), "ns");

    ECHO.store(false, Ordering::Release);
    interrupts::send_others(2);
    wait_taken(1, 2, 2)?;
    interrupts::send(3, machine.vpes() + 1);
    timer::sleep(QUIET_US);
    check_taken(0, 2, 2)?;
    check_taken(0, 3, 2)?;
    check_taken(1, 3, 1)?;

    stop_second()?;
    println!("vPE 1 switched itself off");
    STOP.store(false, Ordering::Release);
    ECHO.store(true, Ordering::Release);
    let echoes = taken(0, 4);
    psci_says("CPU_ON after CPU_OFF", smp::start(1, second), Ok(()))?;
    interrupts::send(4, 1);
    wait_taken(0, 4, echoes + 1)?;
    println!("vPE 1 runs again, start {}", STARTS.load(Ordering::Relaxed));

    stand_by()?;
    stop_second()?;
    spi::check(machine).map_err(Failure::Spi)?;

    match interrupts::unexpected() {
        0 => Ok(()),
        count => Err(Failure::Unexpected(count)),
    }
}

fn stop_second() -> Result<(), Failure> {
    STOP.store(true, Ordering::Release);
    interrupts::send(0, 1);
    wait_power(1, Power::Off)
}

fn stand_by() -> Result<(), Failure> {
    let began = timer::now();
    cpu::without_interrupts(|| {
        timer::set(began + timer::microseconds(STANDBY_US));
        psci_says("CPU_SUSPEND to standby", psci::cpu_standby(), Ok(()))
    })?;
    let slept = timer::nanoseconds(timer::now() - began) / 1000;
    if slept < STANDBY_US || timer::expired_at().is_none() {
        return Err(Failure::Awake { slept });
    }
    println!("stood by until the timer's interrupt");
    Ok(())
}

fn check_power(vpes: u32) -> Result<(), Failure> {
    wait_power(0, Power::On)?;
    wait_power(1, Power::Off)?;
    psci_says(
        "AFFINITY_INFO of a vPE that is not there",
        smp::power(vpes).map(drop),
        Err(psci::Error::InvalidParameters),
    )?;
    psci_says("CPU_ON of this vPE", smp::start(0, second), Err(psci::Error::AlreadyOn))?;
    psci_says(
        "CPU_ON of a vPE that is not there",
        smp::start(vpes, second),
        Err(psci::Error::InvalidParameters),
    )?;
    psci_says("CPU_ON", smp::start(1, second), Ok(()))?;
    wait_power(1, Power::On)?;
    wait_until("vPE 1 never began", || STARTS.load(Ordering::Acquire) == 1)?;
    psci_says("CPU_ON of a vPE that is on", smp::start(1, second), Err(psci::Error::AlreadyOn))
}

/// What vPE 1 runs.
fn second() {
    listen();
    STARTS.fetch_add(1, Ordering::Release);
    cpu::wait_until(|| STOP.load(Ordering::Acquire));
}

fn listen() {
    for sgi in 0..SGIS {
        interrupts::set_handler(IntId::new(sgi), take);
        interrupts::enable(IntId::new(sgi));
    }
}

fn take(intid: IntId) {
    let vpe = cpu::vpe();
    if let Some(count) = TAKEN.get(vpe as usize).and_then(|row| row.get(intid.value() as usize)) {
        count.fetch_add(1, Ordering::Release);
    }
    if vpe == 1 && ECHO.load(Ordering::Acquire) {
        interrupts::send(intid.value(), 0);
    }
}

fn taken(vpe: u32, sgi: u32) -> u32 {
    TAKEN[vpe as usize][sgi as usize].load(Ordering::Acquire)
}

fn check_taken(vpe: u32, sgi: u32, wanted: u32) -> Result<(), Failure> {
    match taken(vpe, sgi) {
        count if count == wanted => Ok(()),
        count => Err(Failure::Lost { sgi, vpe, taken: count, wanted }),
    }
}

/// Waits until a vPE took an SGI so many times: by WFI, since what vPE 1 takes is answered to this
/// one, else by polling.
fn wait_taken(vpe: u32, sgi: u32, wanted: u32) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    if vpe == cpu::vpe() {
        timer::set(deadline);
        cpu::wait_until(|| taken(vpe, sgi) >= wanted || timer::expired_at().is_some());
        timer::stop();
    } else {
        while taken(vpe, sgi) < wanted && timer::now() < deadline {
            cpu::relax();
        }
    }
    check_taken(vpe, sgi, wanted)
}

fn wait_power(vpe: u32, wanted: Power) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while timer::now() < deadline {
        if smp::power(vpe) == Ok(wanted) {
            return Ok(());
        }
        cpu::relax();
    }
    Err(Failure::Power { vpe, wanted })
}

fn wait_until(what: &'static str, done: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while !done() {
        if timer::now() > deadline {
            return Err(Failure::Psci { what, got: Ok(()) });
        }
        cpu::relax();
    }
    Ok(())
}

fn psci_says(
    what: &'static str,
    got: Result<(), psci::Error>,
    wanted: Result<(), psci::Error>,
) -> Result<(), Failure> {
    if got == wanted { Ok(()) } else { Err(Failure::Psci { what, got }) }
}
