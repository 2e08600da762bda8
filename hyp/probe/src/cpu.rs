// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The CPUs: who they are by their redistributors, and what each says of itself.

use crate::board::BOARD;
use crate::gic::{MOST, Redistributors};
use crate::line::Out;
use crate::mmio;
use abi::psci;
use arch::{cpu, id, sysreg};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use vm::exit::SysReg;
use vm::text::Text;

/// What a CPU says of itself. start.s has the order.
#[repr(C)]
pub struct Record {
    mpidr: AtomicU64,
    midr: AtomicU64,
    mmfr0: AtomicU64,
    frequency: AtomicU64,
    el: AtomicU64,
    vtr: AtomicU64,
    done: AtomicU64,
}

impl Record {
    const fn new() -> Self {
        Self {
            mpidr: AtomicU64::new(0),
            midr: AtomicU64::new(0),
            mmfr0: AtomicU64::new(0),
            frequency: AtomicU64::new(0),
            el: AtomicU64::new(0),
            vtr: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Relaxed) != 0
    }
}

static RECORDS: [Record; MOST] = [const { Record::new() }; MOST];

/// Affinity fields of MPIDR_EL1.
const AFFINITY: u64 = 0xff_00ff_ffff;

/// How long a CPU may take to come: a tenth of a second.
const PATIENCE: u64 = 10;

/// Feature registers that say what a board can do: name, CRm, op2.
const FEATURES: [(&str, u32, u32); 6] = [
    ("ID_AA64PFR0_EL1", 4, 0),
    ("ID_AA64PFR1_EL1", 4, 1),
    ("ID_AA64DFR0_EL1", 5, 0),
    ("ID_AA64MMFR0_EL1", 7, 0),
    ("ID_AA64MMFR1_EL1", 7, 1),
    ("ID_AA64MMFR2_EL1", 7, 2),
];

/// `[board]`, and a `[[cpu]]` for each redistributor.
pub fn write(out: &mut Out, found: &Redistributors) {
    let version = mmio::call(psci::VERSION, [0; 3]) as u32;
    for (redistributor, record) in found.all().zip(&RECORDS) {
        if redistributor.mpidr() == sysreg::affinity() {
            mmio::fill(record);
        } else if version != 0 {
            start(out, redistributor.mpidr(), record);
        }
    }
    let come = || RECORDS.iter().filter(|record| record.is_done());
    out.text("\n[board]\n");
    out.register("PSCI_VERSION", version.into());
    if version != 0 {
        out.word("psci", "smc");
    } else {
        out.wrong("no PSCI by SMC: PSCI_VERSION gives nothing");
    }
    let bits = come().map(|record| cpu::address_bits(record.mmfr0.load(Relaxed) & 0xf)).min();
    out.number("address_bits", bits.unwrap_or_else(cpu::physical_address_bits).into());
    for (name, crm, op2) in FEATURES {
        out.register(name, id::read(SysReg::encode(3, 0, 0, crm, op2)));
    }
    out.register("DC ZVA bytes", cpu::zeroed_bytes().unwrap_or(0));
    let boots = BOARD.cpus.first().map(|first| first.mpidr);
    if boots != Some(sysreg::affinity()) {
        out.text("#! the CPU with mpidr = ");
        out.hex(sysreg::affinity());
        out.text(" booted: it comes first in [[cpu]]\n");
    }
    for (place, (redistributor, record)) in found.all().zip(&RECORDS).enumerate() {
        let mpidr = redistributor.mpidr();
        out.text("\n[[cpu]]\nname = \"");
        name(out, found, place);
        out.text("\"\n");
        out.address("mpidr", mpidr);
        out.number("processor", redistributor.processor().into());
        out.address("redistributor", redistributor.base);
        out.register("GICR_TYPER", redistributor.typer);
        if record.is_done() {
            out.register("MIDR_EL1", record.midr.load(Relaxed));
            out.register("CNTFRQ_EL0", record.frequency.load(Relaxed));
            out.register("ICH_VTR_EL2", record.vtr.load(Relaxed));
            let el = record.el.load(Relaxed);
            if el != 2 {
                out.wrong("firmware starts this CPU at another level than EL2");
            }
            if record.mpidr.load(Relaxed) & AFFINITY != mpidr {
                out.wrong("MPIDR_EL1 of the CPU that was started is another one");
            }
            if record.frequency.load(Relaxed) as u32 != sysreg::ticks_per_second() as u32 {
                out.wrong("CNTFRQ_EL0 of this CPU is not the first one's");
            }
        }
    }
    for cpu in BOARD.cpus.iter().filter(|cpu| !found.all().any(|one| one.mpidr() == cpu.mpidr)) {
        out.text("#! no redistributor has the affinity ");
        out.hex(cpu.mpidr);
        out.text(" of [[cpu]] \"");
        out.text(cpu.name);
        out.text("\"\n");
    }
}

/// Has firmware start the CPU, and waits until it has said who it is.
fn start(out: &mut Out, mpidr: u64, record: &'static Record) {
    let place = core::ptr::addr_of!(*record) as u64;
    let arguments = [mpidr, mmio::entry_of_others(), place];
    let answer = mmio::call(psci::CPU_ON | psci::SMC64, arguments);
    if answer as i32 != 0 {
        out.text("#! PSCI CPU_ON of ");
        out.hex(mpidr);
        out.text(" gives -");
        out.decimal((answer as i32).unsigned_abs().into());
        out.text("\n");
        return;
    }
    let begun = sysreg::ticks();
    while !record.is_done() {
        if sysreg::ticks().wrapping_sub(begun) > sysreg::ticks_per_second() / PATIENCE {
            out.text("#! the CPU with mpidr = ");
            out.hex(mpidr);
            out.text(" was started and does not come\n");
            return;
        }
    }
}

/// Of the CPU at this place: the board's for its MPIDR; else that of a CPU of the board that is not
/// there; else a new one.
fn name(out: &mut Out, found: &Redistributors, place: usize) {
    let mpidr_at = |place: usize| found.all().nth(place).map(|one| one.mpidr());
    let known = |mpidr: Option<u64>| BOARD.cpus.iter().find(|cpu| Some(cpu.mpidr) == mpidr);
    if let Some(cpu) = known(mpidr_at(place)) {
        return out.text(cpu.name);
    }
    let before = (0..place).filter(|&other| known(mpidr_at(other)).is_none()).count();
    let absent = |mpidr: u64| !found.all().any(|one| one.mpidr() == mpidr);
    match BOARD.cpus.iter().filter(|cpu| absent(cpu.mpidr)).nth(before) {
        Some(cpu) => out.text(cpu.name),
        None => {
            out.text("new-cpu");
            out.decimal(place as u64);
        }
    }
}

/// Fewest list registers of a CPU that came.
pub fn list_registers() -> u64 {
    let come = RECORDS.iter().filter(|record| record.is_done());
    come.map(|record| (record.vtr.load(Relaxed) & 0x1f) + 1).min().unwrap_or(0)
}
