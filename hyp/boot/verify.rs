// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Is this the hardware that the plan was made for? Asked before anything is written to it, but
//! what PCI must be told to answer.
//!
//! 1. this CPU: MPIDR, feature registers, list registers, address size, the block that DC ZVA
//!    clears;
//! 2. distributor: architecture revision, number of SPIs, LPIs, direct injection;
//! 3. redistributor of every CPU that the plan uses: there, with its affinity and processor number,
//!    virtual LPIs as its stride says, in the plan's form, on GICv4.1 with a vPE table that all of
//!    them share and the registers that invalidate;
//! 4. ITS: there, virtual LPIs in the plan's form, VMOVP if vPEs move, widths, entry size, on
//!    GICv4.1 whose vPE table it has;
//! 5. the GIC's quirks: those that the board lists, and no others, by GITS_IIDR and GICD_IIDR;
//! 6. RAM: the last word of each range that is not reserved answers;
//! 7. PCI bridges, those nearest to the host first: vendor and device, kind of header; then it is
//!    opened, since what is behind it cannot be asked before;
//! 8. PCI functions: vendor and device, BARs, MSI and MSI-X (`vm::pci::examine`).
//!
//! The first difference is the result: one line, then the system is off. Nothing is adapted, since
//! nothing that was checked at build time would hold for other hardware. Sources: IHI 0069H 12.9.38
//! (GICD_TYPER), 12.11 (GICR_TYPER), 12.19 (GITS_TYPER); DDI 0487 D24.2 (ID registers).

use crate::io::console::{self, Own};
use crate::io::halt;
use crate::state::parts::{INTX, V41, VIRTUAL_SGIS};
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use arch::device::Device;
use arch::{cpu, gic, id, probe, region, smc, sysreg};
use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use gicv4::command::Version;
use gicv4::dist::{self, Dist};
use gicv4::frame::{Block, Frame, Readable, Register, Width, Writable};
use gicv4::redist::{self, Redist};
use gicv4::regs::{gicd, gits};
use gicv4::{Error, Expected, its};
use plan::{Cpu, CpuIndex, Features, Identity, Its, Pa, PciBridge, Schedule};
use vm::exit::SysReg;
use vm::pci::{acs, examine};
use vm::text::Text;

/// What the plan relies on.
#[derive(Clone, Copy)]
enum Rule {
    Exactly(u64),
    AtLeast(u64),
    AtMost(u64),
    /// A read is answered.
    There,
    /// This INTID can be enabled.
    Ours(u32),
    /// The board's list has it, or not.
    Listed(bool),
    /// Vendor and device of something on PCI.
    Id(u32),
    /// A source interrupts by this INTID.
    Wired(u32),
}

impl From<Expected> for Rule {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Exactly(value) => Self::Exactly(value),
            Expected::AtLeast(value) => Self::AtLeast(value),
            Expected::AtMost(value) => Self::AtMost(value),
        }
    }
}

/// What a [`Difference`] is about.
enum What {
    Text(&'static str),
    /// A field of a register.
    Field(&'static str, &'static str),
}

impl What {
    fn say(&self, out: &mut Own) {
        match *self {
            Self::Text(text) => out.text(text),
            Self::Field(register, field) => {
                out.text(register);
                out.text(".");
                out.text(field);
            }
        }
    }
}

/// One thing that is not as planned.
pub struct Difference {
    what: What,
    name: &'static str,
    /// On PCI: bus, device, function and host.
    place: &'static str,
    at: Option<Pa>,
    rule: Rule,
    found: Option<u64>,
}

type Verdict = Result<(), Difference>;

impl Difference {
    /// The one line that says so; then the system is off. Of several CPUs that find something, the
    /// first one says it.
    pub fn end(&self) -> ! {
        static SAID: AtomicBool = AtomicBool::new(false);
        if SAID.swap(true, Relaxed) {
            smc::park()
        }
        console::write(&mut |out| self.line(out));
        smc::system_off::<Built>()
    }

    fn line(&self, out: &mut Own) {
        out.text("bulkhead: hardware differs from the plan: ");
        self.what.say(out);
        if !self.name.is_empty() {
            out.text(" ");
            out.text(self.name);
        }
        if !self.place.is_empty() {
            out.text(" (");
            out.text(self.place);
            out.text(")");
        }
        if let Some(at) = self.at {
            out.text(" at ");
            out.hex(at.value());
        }
        if let Rule::Ours(intid) = self.rule {
            out.text(": INTID ");
            out.decimal(intid.into());
            return out.text(
                " cannot be enabled: firmware keeps it in a Secure group, or the GIC lacks it\n",
            );
        }
        let (says, value, also) = match self.rule {
            Rule::Exactly(value) => (": the plan says ", Some(value), ""),
            Rule::AtLeast(value) => (": the plan needs ", Some(value), " or more"),
            Rule::AtMost(value) => (": the plan has room for ", Some(value), ""),
            Rule::Listed(true) => (": the board has it", None, ""),
            Rule::Listed(false) => (": the board lacks it", None, ""),
            Rule::There | Rule::Ours(_) => (": the plan has it", None, ""),
            Rule::Id(id) => (": the plan says ", Some(id.into()), ""),
            Rule::Wired(intid) => (": the plan says INTID ", Some(intid.into()), ""),
        };
        out.text(says);
        if let Some(value) = value {
            self.value(value, out);
        }
        out.text(also);
        match self.found {
            Some(found) => {
                out.text(", found ");
                self.value(found, out);
            }
            None if matches!(self.rule, Rule::Wired(_)) => out.text(", none came"),
            None => out.text(", found nothing there"),
        }
        out.text("\n");
    }

    /// An id as TOMLs and lspci write it, anything else as a number.
    fn value(&self, value: u64, out: &mut Own) {
        if let Rule::Id(_) = self.rule {
            word(value as u16, out);
            out.text(":");
            word((value >> 16) as u16, out);
        } else if let Rule::Wired(_) = self.rule {
            out.decimal(value);
        } else {
            out.hex(value);
        }
    }
}

/// Four digits.
fn word(value: u16, out: &mut Own) {
    for nibble in [value >> 12, value >> 8 & 15, value >> 4 & 15, value & 15] {
        out.byte(b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'?'));
    }
}

/// A field that must follow `rule`. `found` is None if the read was answered with an abort.
fn expect(
    what: &'static str,
    name: &'static str,
    at: Option<Pa>,
    rule: Rule,
    found: Option<u64>,
) -> Verdict {
    let holds = match (rule, found) {
        (_, None) => false,
        (Rule::Exactly(value), Some(found)) => found == value,
        (Rule::AtLeast(value), Some(found)) => found >= value,
        (Rule::AtMost(value), Some(found)) => found <= value,
        (Rule::There | Rule::Ours(_) | Rule::Listed(_), Some(_)) => true,
        (Rule::Id(id) | Rule::Wired(id), Some(found)) => found == u64::from(id),
    };
    if holds {
        Ok(())
    } else {
        Err(Difference { what: What::Text(what), name, place: "", at, rule, found })
    }
}

/// A frame of the GIC that may not be there. It is only read; what gives no answer reads as 0.
struct Probed<B> {
    base: Pa,
    silent: Cell<bool>,
    block: PhantomData<B>,
}

impl<B: Block> Probed<B> {
    fn new(base: Pa) -> Self {
        Self { base, silent: Cell::new(false), block: PhantomData }
    }

    /// What `gicv4` found of `owner`.
    fn judge(&self, result: Result<(), Error>, owner: &'static str) -> Verdict {
        let at = Some(self.base);
        let there = (!self.silent.get()).then_some(0);
        match result {
            Ok(()) => expect(B::NAME, "", at, Rule::There, there),
            Err(Error::Differs { register, field, expected, found }) => Err(Difference {
                what: What::Field(register, field),
                name: owner,
                place: "",
                at,
                rule: expected.into(),
                found: there.map(|_| found),
            }),
            Err(other) => halt::broken(other),
        }
    }

    /// A register: its address, and its value if there is an answer.
    fn ask<A: Readable, L>(&self, register: Register<B, u32, A, L>) -> (Pa, Option<u32>) {
        let value = self.read(register);
        let at = self.base.offset(register.offset() as u64);
        (at, (!self.silent.get()).then_some(value))
    }
}

impl<B: Block> Frame for Probed<B> {
    type Block = B;

    fn read<W: Width, A: Readable, L>(&self, register: Register<B, W, A, L>) -> W {
        let at = self.base.offset(register.offset() as u64);
        let value = match W::BYTES {
            8 => probe::read64::<Built>(at),
            _ => probe::read32::<Built>(at).map(u64::from),
        };
        if value.is_none() {
            self.silent.set(true);
        }
        W::from_bits(value.unwrap_or(0))
    }

    fn write<W: Width, A: Writable<W, L>, L>(&self, _: Register<B, W, A, L>, _: A::Value) {}
}

/// Vendor and device. A host answers for a function that is not there, with ones.
fn identify(
    what: &'static str,
    (name, place): (&'static str, &'static str),
    config: Device,
    id: u32,
) -> Verdict {
    let found = config.try_read(0).filter(|&found| found != u32::MAX).map(u64::from);
    expect(what, name, Some(config.base()), Rule::Id(id), found)
        .map_err(|difference| Difference { place, ..difference })
}

/// The whole machine, from the first CPU.
pub fn machine() -> Verdict {
    if let Some(first) = PLAN.cpus.first() {
        this_cpu(first)?;
    }
    distributor()?;
    for cpu in PLAN.cpus.iter().filter(|cpu| cpu.schedule != Schedule::Unused) {
        redistributor(cpu)?;
    }
    if let Some(its) = &PLAN.its {
        translation_service(its)?;
    }
    quirks()?;
    for ram in PLAN.board.ram {
        if ram.probe.is_some() {
            let word = region::probe_ram::<Built>(ram);
            expect("the last word of RAM", ram.name, ram.probe, Rule::There, word)?;
        }
    }
    PLAN.bridges.iter().try_for_each(bridge)?;
    for function in PLAN.functions {
        let title = (function.name, function.place);
        let what = "vendor and device of the PCI function";
        let config = Device::function::<Built>(function);
        identify(what, title, config, function.space.id)?;
        examine::function(&mut Config(config), function)
            .map_err(|difference| unlike(&difference, title, function.space.config))?;
        if INTX {
            examine::pin(&Config(config), function)
                .map_err(|difference| unlike(&difference, title, function.space.config))?;
        }
    }
    Ok(())
}

fn bridge(bridge: &PciBridge) -> Verdict {
    let title = (bridge.name, bridge.place);
    let config = Device::bridge::<Built>(bridge);
    identify("vendor and device of the PCI bridge", title, config, bridge.space.id)?;
    examine::bridge(&mut Config(config), bridge.bars)
        .and_then(|()| acs::port(&mut Config(config), bridge.acs))
        .map_err(|difference| unlike(&difference, title, bridge.space.config))?;
    for write in bridge.setup {
        config.write(write.offset.into(), write.value);
    }
    Ok(())
}

/// Configuration space that answered before.
struct Config(Device);

impl examine::Config for Config {
    fn read(&self, offset: u16) -> u32 {
        self.0.read(offset.into())
    }
    fn write(&mut self, offset: u16, value: u32) {
        self.0.write(offset.into(), value);
    }
    fn wait(&mut self, milliseconds: u64) {
        let end = sysreg::ticks().wrapping_add(sysreg::ticks_per_second() / 1000 * milliseconds);
        while end.wrapping_sub(sysreg::ticks()) as i64 > 0 {
            sysreg::pause();
        }
    }
}

fn unlike(
    found: &examine::Difference,
    (name, place): (&'static str, &'static str),
    at: Pa,
) -> Difference {
    let rule = match found.at_least {
        true => Rule::AtLeast(found.planned),
        false => Rule::Exactly(found.planned),
    };
    let (what, found) = (What::Text(found.what), Some(found.found));
    Difference { what, name, place, at: Some(at), rule, found }
}

/// What every CPU checks of itself.
pub fn this_cpu(cpu: &Cpu) -> Verdict {
    expect("MPIDR_EL1 of this CPU", "", None, Rule::Exactly(cpu.mpidr), Some(sysreg::affinity()))?;
    // 3: virtual SGIs, too.
    let needed = if VIRTUAL_SGIS { 3 } else { 1 };
    expect("ID_AA64PFR0_EL1.GIC", "", None, Rule::AtLeast(needed), Some(gic::interface()))?;
    let list_registers = Some(gic::list_registers().into());
    expect(
        "list registers in ICH_VTR_EL2",
        "",
        None,
        Rule::AtLeast(PLAN.board.list_registers.into()),
        list_registers,
    )?;
    expect("DCZID_EL0, bytes", "", None, Rule::Exactly(64), cpu::zeroed_bytes())?;
    expect(
        "CNTFRQ_EL0",
        "",
        None,
        Rule::Exactly(PLAN.board.timer.frequency),
        Some(sysreg::ticks_per_second()),
    )?;
    let bits = Some(cpu::physical_address_bits().into());
    features(cpu)?;
    let given = PLAN.vms.iter().map(|vm| cpu::address_bits(vm.vtcr >> 16 & 7));
    let needed = given.max().unwrap_or(0).into();
    expect("ID_AA64MMFR0_EL1.PARange, bits", "", None, Rule::AtLeast(needed), bits)
}

/// What the plan gives to the guests of this CPU.
fn features(cpu: &Cpu) -> Verdict {
    let known = [
        (Features::PMU, "ID_AA64DFR0_EL1.PMUVer for VM", 5, 0, 8),
        (Features::SVE, "ID_AA64PFR0_EL1.SVE for VM", 4, 0, 32),
    ];
    let is_here =
        |index: CpuIndex| PLAN.cpus.get(index.index()).map(|cpu| cpu.mpidr) == Some(cpu.mpidr);
    let modes = PLAN.modes.as_ref().map_or(&[][..], |modes| modes.modes);
    for (number, vpe) in PLAN.vpes.iter().enumerate() {
        let placed = |mode: &plan::Mode| mode.placements.get(number).copied().flatten();
        if !is_here(vpe.cpu) && !modes.iter().filter_map(placed).any(|place| is_here(place.cpu)) {
            continue;
        }
        let Some(vm) = PLAN.vms.get(vpe.vm.index()) else { continue };
        for (feature, what, crm, op2, lowest) in known {
            if vm.features.has(feature) {
                let value = id::read(SysReg::encode(3, 0, 0, crm, op2)) >> lowest & 0xf;
                expect(what, vm.name, None, Rule::AtLeast(1), Some(value))?;
            }
        }
    }
    Ok(())
}

/// INTID bits of doorbells, by GICR_PROPBASER.IDbits of any CPU.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const LPI_BITS: u8 = {
    let (mut most, mut cpu) = (0, 0);
    while cpu < PLAN.cpus.len() {
        let bits = (PLAN.cpus[cpu].propbaser & 0x1f) as u8 + 1;
        if bits > most {
            most = bits;
        }
        cpu += 1;
    }
    most
};

fn distributor() -> Verdict {
    let frame = Probed::new(PLAN.board.distributor);
    let direct = PLAN.board.direct_injection;
    let planned = dist::Expect {
        spis: PLAN.board.spis,
        lpis: PLAN.its.is_some(),
        virtual_lpis: direct,
        intid_bits: LPI_BITS,
        vpe_id_bits: PLAN.v41().map(|v41| v41.vpe_id_bits),
    };
    frame.judge(Dist::new(&frame).verify(&planned), "")?;
    if direct {
        let missing = Some(gic::no_direct_injection().into());
        expect("ICH_VTR_EL2.nV4", "", None, Rule::Exactly(0), missing)?;
    }
    Ok(())
}

/// Where the GIC differs from the architecture, by GITS_IIDR and GICD_IIDR.
#[cold]
fn quirks() -> Verdict {
    for quirk in PLAN.board.quirks {
        let (at, found) = match &PLAN.its {
            Some(its) if quirk.its => Probed::new(its.base).ask(gits::IIDR),
            None if quirk.its => continue,
            _ => Probed::new(PLAN.board.distributor).ask(gicd::IIDR),
        };
        let is = |of: &Identity| found.is_some_and(|found| found & of.mask == of.value);
        if found.is_none() || quirk.iidr.iter().any(is) != quirk.listed {
            let rule = Rule::Listed(quirk.listed);
            let what = What::Text("GIC quirk");
            let found = found.map(u64::from);
            let (name, at) = (quirk.name, Some(at));
            return Err(Difference { what, name, place: "", at, rule, found });
        }
    }
    Ok(())
}

/// In whose form vPEs are resident.
const VERSION: Version = if V41 { Version::V4_1 } else { Version::V4_0 };

fn redistributor(cpu: &Cpu) -> Verdict {
    let frame = Probed::new(cpu.redistributor);
    let by_number = PLAN.its.as_ref().is_some_and(|its| !its.by_address);
    let planned = redist::Expect {
        mpidr: cpu.mpidr,
        processor: by_number.then_some(cpu.processor),
        lpis: cpu.propbaser != 0,
        stride: PLAN.board.redistributor_stride as usize,
        virtual_lpis: PLAN.board.direct_injection.then_some(VERSION),
        v41: PLAN.v41().map(|v41| redist::ExpectV41 {
            common_affinity: v41.common_affinity,
            virtual_sgis: v41.virtual_sgis,
            invalidates: v41.invalidates,
        }),
    };
    frame.judge(Redist::new(&frame).verify(&planned), "of the CPU's redistributor")
}

fn translation_service(its: &Its) -> Verdict {
    let frame = Probed::new(its.base);
    let planned = its::Expect {
        device_id_bits: its.device_id_bits,
        event_id_bits: its.event_id_bits,
        collection_id_bits: its.collection_id_bits,
        entry_bytes: its.entry_bytes,
        virtual_lpis: PLAN.board.direct_injection,
        v41: PLAN.v41().map(|v41| its::ExpectV41 {
            shared_vpe_table: v41.vpe_table.is_none(),
            virtual_sgis: v41.virtual_sgis,
            mpidr: PLAN.cpus.first().map_or(0, |cpu| cpu.mpidr),
        }),
        redistributor_addresses: its.by_address,
        moves: its.moves,
    };
    frame.judge(its::Its::new(&frame).verify(&planned), "of the ITS")
}

/// A CPU's own interrupt, by its key in the board, comes by another INTID or not at all.
pub fn wired(key: &'static str, intid: u32, found: Option<u32>, redistributor: Pa) -> Difference {
    Difference {
        what: What::Text("how the CPU with this redistributor signals"),
        name: key,
        place: "",
        at: Some(redistributor),
        rule: Rule::Wired(intid),
        found: found.map(u64::from),
    }
}

/// A CPU that firmware said it started has not come.
pub fn absent_cpu(cpu: &Cpu) -> Difference {
    Difference {
        what: What::Text("the CPU with this redistributor, which firmware has started"),
        name: "",
        place: "",
        at: Some(cpu.redistributor),
        rule: Rule::There,
        found: None,
    }
}

/// Firmware would not start a CPU that the plan uses; `answer` is PSCI's.
pub fn missing_cpu(cpu: &Cpu, answer: i64) -> Difference {
    Difference {
        what: What::Text("PSCI CPU_ON of the CPU with this redistributor"),
        name: "",
        place: "",
        at: Some(cpu.redistributor),
        rule: Rule::Exactly(0),
        found: Some(answer as u64),
    }
}

/// An interrupt that cannot be enabled. `at`: the redistributor of a private one.
#[cold]
#[inline(never)]
pub fn not_ours(intid: u32, what: &'static str, name: &'static str, at: Option<Pa>) -> Difference {
    let (what, rule) = (What::Text(what), Rule::Ours(intid));
    Difference { what, name, place: "", at, rule, found: None }
}
