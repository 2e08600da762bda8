// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A redistributor: waking it, its LPI tables, and its CPU's SGIs and PPIs.
//!
//! Owns one CPU's RD and SGI frames (its VLPI frame belongs to [`crate::vpe`]). Bring-up is done by
//! that CPU; the bit-per-INTID operations may come from any CPU. Follows IHI 0069H 12.11 and 5.1.
//!
//! 1. `verify`: GICR_TYPER names this CPU and has the features that are relied on.
//! 2. `wake`: GICR_WAKER.ProcessorSleep = 0, wait for ChildrenAsleep = 0.
//! 3. `reset_private`: all SGIs and PPIs Group 1, disabled, not pending, not active.
//! 4. `enable_lpis`: PROPBASER, PENDBASER, readback, EnableLPIs = 1. Where LPIs are on already and
//!    cannot be stopped their tables stay: they are taken over if they lie in memory that is given
//!    for that and serve as well, else refused.
//!
//! Of the DirectLPI registers only those that invalidate are used, on GICv4.1. Not supported: Group
//! 0, extended PPIs (disabled).

use crate::command::Version;
use crate::error::Expected::{AtLeast, AtMost, Exactly};
use crate::error::{Error, Expected, LpisInUse, Wait, poll};
use crate::frame::{Frame, ReadWrite, Redistributor, Register};
use crate::intid::{IntId, VpeId};
use crate::regs::gicr::{
    self, GICR_CTLR, GICR_INVLPIR, GICR_PENDBASER, GICR_PROPBASER, GICR_SYNCR, GICR_TYPER,
    GICR_WAKER,
};
use crate::regs::gicr::{ConfigBase, PendingBase};
use tock_registers::LocalRegisterCopy;

/// What is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// MPIDR_EL1 of the CPU; only the affinity fields count.
    pub mpidr: u64,
    /// GICR_TYPER.ProcessorNumber, by which ITS commands name it; None: they do not.
    pub processor: Option<u16>,
    /// Physical LPIs.
    pub lpis: bool,
    /// Bytes from one redistributor to the next, as [`stride`] gives them.
    pub stride: usize,
    /// vPEs become resident here, in the form of this version; None: none do.
    pub virtual_lpis: Option<Version>,
    /// What is relied on of a GICv4.1 besides; None: it is no GICv4.1.
    pub v41: Option<ExpectV41>,
}

/// What is relied on of a GICv4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectV41 {
    /// As many affinity fields, from Aff3 on, are the same for all CPUs that are used, 0 to 3: they
    /// share a vPE table if GICR_TYPER.CommonLPIAff is not higher.
    pub common_affinity: u8,
    /// Virtual SGIs are used.
    pub virtual_sgis: bool,
    /// GICR_INVLPIR is used.
    pub invalidates: bool,
}

/// Fields of an affinity as GICR_TYPER.CommonLPIAff and GITS_TYPER.SVPET count them, from Aff3 on.
pub(crate) const fn affinity_fields(count: u64) -> u32 {
    match count {
        0 => 0,
        1 => 0xff00_0000,
        2 => 0xffff_0000,
        _ => 0xffff_ff00,
    }
}

/// How many of these fields agree: 0 to 3.
pub const fn common_affinity(one: u64, other: u64) -> u8 {
    let (one, other) = (affinity_value(one), affinity_value(other));
    let mut count = 3;
    while count > 0 && (one ^ other) & affinity_fields(count) != 0 {
        count -= 1;
    }
    count as u8
}

/// GICR_TYPER.Affinity_Value of a CPU with this MPIDR_EL1.
pub const fn affinity_value(mpidr: u64) -> u32 {
    ((mpidr >> 8) & 0xff00_0000) as u32 | (mpidr & 0x00ff_ffff) as u32
}

/// Bytes from one redistributor to the next (IHI 0069H 12.10): VLPIS adds two frames.
pub const fn stride(virtual_lpis: bool) -> usize {
    if virtual_lpis { 0x4_0000 } else { 0x2_0000 }
}

/// Physical addresses of a redistributor's LPI tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalTables {
    /// The configuration table (GICR_PROPBASER).
    pub config: u64,
    /// The pending table (GICR_PENDBASER).
    pub pending: u64,
}

/// One CPU's redistributor; `F` is the frame at RD_base.
#[derive(Debug)]
pub struct Redist<F> {
    frame: F,
}

impl<F: Frame<Block = Redistributor>> Redist<F> {
    /// Of the frame at RD_base. Reads and writes nothing.
    pub const fn new(frame: F) -> Self {
        Self { frame }
    }

    /// GICR_TYPER.
    pub fn typer(&self) -> LocalRegisterCopy<u64, GICR_TYPER::Register> {
        self.frame.fields(gicr::TYPER)
    }

    /// The number by which ITS commands name it when GITS_TYPER.PTA = 0.
    pub fn processor_number(&self) -> u16 {
        self.typer().read(GICR_TYPER::ProcessorNumber) as u16
    }

    /// Compares GICR_TYPER with what is expected; the first difference is the error.
    pub fn verify(&self, expect: &Expect) -> Result<(), Error> {
        let typer = self.typer();
        let check = |field, expected: Expected, found| expected.check("GICR_TYPER", field, found);
        let affinity = affinity_value(expect.mpidr).into();
        check("Affinity_Value", Exactly(affinity), typer.read(GICR_TYPER::AffinityValue))?;
        if let Some(number) = expect.processor {
            let found = typer.read(GICR_TYPER::ProcessorNumber);
            check("Processor_Number", Exactly(number.into()), found)?;
        }
        check("PLPIS", AtLeast(expect.lpis.into()), typer.read(GICR_TYPER::PLPIS))?;
        let stride = Exactly((expect.stride == stride(true)).into());
        check("VLPIS, which decides the stride", stride, typer.read(GICR_TYPER::VLPIS))?;
        if let Some(v41) = expect.virtual_lpis {
            check("VLPIS", Exactly(1), typer.read(GICR_TYPER::VLPIS))?;
            let v41 = Exactly((v41 == Version::V4_1).into());
            check("RVPEID, which GICv4.1 has", v41, typer.read(GICR_TYPER::RVPEID))?;
        }
        match &expect.v41 {
            Some(v41) => self.verify_v41(v41),
            None => Ok(()),
        }
    }

    fn verify_v41(&self, expect: &ExpectV41) -> Result<(), Error> {
        let typer = self.typer();
        let common = AtMost(expect.common_affinity.into());
        common.check("GICR_TYPER", "CommonLPIAff", typer.read(GICR_TYPER::CommonLPIAff))?;
        let vsgi = AtLeast(expect.virtual_sgis.into());
        vsgi.check("GICR_TYPER", "VSGI", typer.read(GICR_TYPER::VSGI))?;
        if expect.invalidates && !typer.is_set(GICR_TYPER::DirectLPI) {
            let found = self.control().read(GICR_CTLR::IR);
            AtLeast(1).check("GICR_CTLR", "IR, where GICR_TYPER.DirectLPI is 0", found.into())?;
        }
        Ok(())
    }

    /// The configuration byte of a physical LPI, or of a vPE's vLPI, is read anew, everywhere, on
    /// return (GICR_INVLPIR). GICv4.1; one caller at a time for each redistributor.
    ///
    /// `polls`: reads of GICR_SYNCR before and after. A vPE's redistributor is the one that VMAPP
    /// or VMOVP named.
    pub fn invalidate(&self, vpe: Option<VpeId>, intid: IntId, polls: u32) -> Result<(), Error> {
        self.wait_for_invalidation(polls)?;
        let named = match vpe {
            Some(vpe) => {
                GICR_INVLPIR::V::SET.value | GICR_INVLPIR::VPEID.val(vpe.value().into()).value
            }
            None => 0,
        };
        self.frame
            .write(gicr::INVLPIR, GICR_INVLPIR::INTID.val(intid.value().into()).value | named);
        self.wait_for_invalidation(polls)
    }

    /// The same of all its vLPIs (GICR_INVALLR).
    pub fn invalidate_all(&self, vpe: VpeId, polls: u32) -> Result<(), Error> {
        self.wait_for_invalidation(polls)?;
        let named = GICR_INVLPIR::V::SET.value | GICR_INVLPIR::VPEID.val(vpe.value().into()).value;
        self.frame.write(gicr::INVALLR, named);
        self.wait_for_invalidation(polls)
    }

    /// Writing while Busy is CONSTRAINED UNPREDICTABLE.
    fn wait_for_invalidation(&self, polls: u32) -> Result<(), Error> {
        poll(polls, Wait::Invalidation, || {
            let busy = self.frame.fields(gicr::SYNCR);
            if busy.is_set(GICR_SYNCR::Busy) { Err(u64::from(busy.get())) } else { Ok(()) }
        })
    }

    /// Clears GICR_WAKER.ProcessorSleep and waits, with `polls` reads at most, until the
    /// redistributor is awake.
    pub fn wake(&self, polls: u32) -> Result<(), Error> {
        let waker = self.frame.read(gicr::WAKER);
        self.frame.write(gicr::WAKER, waker & !GICR_WAKER::ProcessorSleep::SET.value);
        poll(polls, Wait::RedistributorAwake, || {
            let waker = self.frame.fields(gicr::WAKER);
            if waker.is_set(GICR_WAKER::ChildrenAsleep) {
                Err(u64::from(waker.get()))
            } else {
                Ok(())
            }
        })
    }

    /// Points the redistributor at its LPI tables, which hold valid bytes and zeros, and enables
    /// LPIs.
    pub fn enable_lpis(
        &self,
        propbaser: ConfigBase,
        pendbaser: PendingBase,
        polls: u32,
    ) -> Result<(), Error> {
        self.enable_or_inherit_lpis(propbaser, pendbaser, &[], polls).map(|_| ())
    }

    /// The same. Tables of an earlier user that cannot be replaced are taken over if they lie in
    /// `inherited` (address and bytes of each range), are as large and as shareable. The result is
    /// the address of the configuration table in use: its bytes are then still the earlier user's,
    /// and LPIs of it may be pending.
    pub fn enable_or_inherit_lpis(
        &self,
        propbaser: ConfigBase,
        pendbaser: PendingBase,
        inherited: &[(u64, u64)],
        polls: u32,
    ) -> Result<u64, Error> {
        if !self.disable_lpis(polls)? {
            return self.inherit_lpis(propbaser, inherited);
        }
        self.frame.write(gicr::PROPBASER, propbaser);
        self.frame.write(gicr::PENDBASER, pendbaser);
        // The registers read with their reserved bits as zero, and PTZ is write-only. Cacheability
        // may read back otherwise: it is a hint where shareability is what was asked for.
        let propbaser_fields = GICR_PROPBASER::IDbits::SET.value
            | GICR_PROPBASER::Shareability::SET.value
            | GICR_PROPBASER::PhysicalAddress::SET.value;
        let pendbaser_fields =
            GICR_PENDBASER::Shareability::SET.value | GICR_PENDBASER::PhysicalAddress::SET.value;
        for (register, read, written, fields) in [
            (
                "GICR_PROPBASER",
                self.frame.read(gicr::PROPBASER),
                propbaser.bits(),
                propbaser_fields,
            ),
            (
                "GICR_PENDBASER",
                self.frame.read(gicr::PENDBASER),
                pendbaser.bits(),
                pendbaser_fields,
            ),
        ] {
            let (expected, found) = (written & fields, read & fields);
            // Bits 11:10 in both.
            let shareability = GICR_PROPBASER::Shareability::SET.value;
            let only = (expected ^ found) & !shareability == 0;
            let field = if only { "Shareability" } else { "readback" };
            Exactly(expected).check(register, field, found)?;
        }
        self.frame.write(gicr::CTLR, GICR_CTLR::EnableLPIs::SET.value);
        Ok(propbaser.bits() & GICR_PROPBASER::PhysicalAddress::SET.value)
    }

    #[cold]
    fn inherit_lpis(&self, propbaser: ConfigBase, inherited: &[(u64, u64)]) -> Result<u64, Error> {
        type Fields = LocalRegisterCopy<u64, GICR_PROPBASER::Register>;
        let (planned, found) = (Fields::new(propbaser.bits()), self.frame.fields(gicr::PROPBASER));
        let PhysicalTables { config, pending } = self.physical_tables();
        let intids = 2u64 << found.read(GICR_PROPBASER::IDbits);
        let (config_bytes, pending_bytes) = (intids.saturating_sub(8192), intids / 8);
        let lies = |from: u64, bytes: u64| {
            let end = from.checked_add(bytes);
            inherited.iter().any(|&(base, size)| {
                base <= from && end.is_some_and(|end| end <= base.saturating_add(size))
            })
        };
        let serves = found.read(GICR_PROPBASER::IDbits) >= planned.read(GICR_PROPBASER::IDbits)
            && found.read(GICR_PROPBASER::Shareability)
                == planned.read(GICR_PROPBASER::Shareability);
        if serves && lies(config, config_bytes) && lies(pending, pending_bytes) {
            return Ok(config);
        }
        Err(Error::LpisInUse(LpisInUse { config, config_bytes, pending, pending_bytes }))
    }

    /// False: they cannot be disabled.
    fn disable_lpis(&self, polls: u32) -> Result<bool, Error> {
        let control = self.control();
        if !control.is_set(GICR_CTLR::EnableLPIs) {
            return Ok(true);
        }
        self.frame.write(gicr::CTLR, control.get() & !GICR_CTLR::EnableLPIs::SET.value);
        // Until RWP is 0, EnableLPIs may still read as 1 where it can be cleared.
        self.wait_for_writes(polls)?;
        Ok(!self.control().is_set(GICR_CTLR::EnableLPIs))
    }

    /// Where GICR_PROPBASER and GICR_PENDBASER point.
    pub fn physical_tables(&self) -> PhysicalTables {
        PhysicalTables {
            config: self.frame.read(gicr::PROPBASER) & GICR_PROPBASER::PhysicalAddress::SET.value,
            pending: self.frame.read(gicr::PENDBASER) & GICR_PENDBASER::PhysicalAddress::SET.value,
        }
    }

    /// SGIs and PPIs: Group 1, disabled, not pending, not active, priority `priority`. Extended
    /// PPIs: disabled.
    pub fn reset_private(&self, priority: u8, polls: u32) -> Result<(), Error> {
        self.frame.write(gicr::ICENABLER0, u32::MAX);
        // PPInum: 0, or 32 or 64 extended PPIs; other values are reserved.
        for n in 1..=self.typer().read(GICR_TYPER::PPInum).min(2) as usize {
            self.frame.write_at(gicr::ICENABLER, n, u32::MAX);
        }
        self.wait_for_writes(polls)?;
        self.frame.write(gicr::ICPENDR0, u32::MAX);
        self.frame.write(gicr::ICACTIVER0, u32::MAX);
        self.frame.write(gicr::IGROUPR0, u32::MAX);
        self.frame.write(gicr::IGRPMODR0, 0);
        for word in 0..8 {
            self.frame.write_at(gicr::IPRIORITYR, word, u32::from_ne_bytes([priority; 4]));
        }
        Ok(())
    }

    /// Waits until disables have taken effect.
    pub fn wait_for_writes(&self, polls: u32) -> Result<(), Error> {
        poll(polls, Wait::RegisterWrites, || {
            let control = self.control();
            if control.is_set(GICR_CTLR::RWP) { Err(u64::from(control.get())) } else { Ok(()) }
        })
    }

    fn control(&self) -> LocalRegisterCopy<u32, GICR_CTLR::Register> {
        self.frame.fields(gicr::CTLR)
    }
}

/// A register with a bit for each SGI and PPI.
type Bits = Register<Redistributor, u32, ReadWrite>;

/// Operations on one SGI or PPI. Any other INTID does nothing, and reads as false.
impl<F: Frame<Block = Redistributor>> Redist<F> {
    #[inline]
    fn set_bit(&self, register: Bits, intid: IntId) {
        if intid.value() < 32 {
            self.frame.write(register, 1 << intid.value());
        }
    }
    #[inline]
    fn bit(&self, register: Bits, intid: IntId) -> bool {
        intid.value() < 32 && self.frame.read(register) & (1 << intid.value()) != 0
    }
    /// Sets the enable of an SGI or PPI. As with all that follow, any other INTID changes nothing.
    #[inline]
    pub fn enable(&self, intid: IntId) {
        self.set_bit(gicr::ISENABLER0, intid);
    }
    /// Takes effect when [`Self::wait_for_writes`] is over.
    #[inline]
    pub fn disable(&self, intid: IntId) {
        self.set_bit(gicr::ICENABLER0, intid);
    }
    /// Makes it pending.
    #[inline]
    pub fn set_pending(&self, intid: IntId) {
        self.set_bit(gicr::ISPENDR0, intid);
    }
    /// Takes its pending state away; a level that is high comes back.
    #[inline]
    pub fn clear_pending(&self, intid: IntId) {
        self.set_bit(gicr::ICPENDR0, intid);
    }
    /// Makes it active.
    #[inline]
    pub fn set_active(&self, intid: IntId) {
        self.set_bit(gicr::ISACTIVER0, intid);
    }
    /// Deactivates it.
    #[inline]
    pub fn clear_active(&self, intid: IntId) {
        self.set_bit(gicr::ICACTIVER0, intid);
    }
    /// Enables SGIs and PPIs by bits of word 0.
    #[inline]
    pub fn enable_private(&self, bits: u32) {
        self.frame.write(gicr::ISENABLER0, bits);
    }
    /// The same, disabled: complete after `wait_for_writes`.
    #[inline]
    pub fn disable_private(&self, bits: u32) {
        self.frame.write(gicr::ICENABLER0, bits);
    }
    /// SGIs and PPIs of `bits` that cannot be enabled: firmware keeps them in a Secure group, which
    /// we neither see nor change (GICD_CTLR.DS = 0), or the GIC lacks them. The others are disabled
    /// again.
    pub fn not_ours(&self, bits: u32, polls: u32) -> Result<u32, Error> {
        self.enable_private(bits);
        let not_ours = bits & !self.frame.read(gicr::ISENABLER0);
        self.disable_private(bits);
        self.wait_for_writes(polls)?;
        Ok(not_ours)
    }
    /// SGIs and PPIs that are pending, a level also while it is disabled (IHI 0069H 12.11.31).
    pub fn pending_private(&self) -> u32 {
        self.frame.read(gicr::ISPENDR0)
    }
    /// Those of `bits` are not pending any more, unless a level asks for them.
    pub fn clear_pending_private(&self, bits: u32) {
        self.frame.write(gicr::ICPENDR0, bits);
    }
    /// Whether its enable is set.
    pub fn is_enabled(&self, intid: IntId) -> bool {
        self.bit(gicr::ISENABLER0, intid)
    }
    /// Whether it is pending, by its latch or its level.
    pub fn is_pending(&self, intid: IntId) -> bool {
        self.bit(gicr::ISPENDR0, intid)
    }
    /// Whether it is active.
    pub fn is_active(&self, intid: IntId) -> bool {
        self.bit(gicr::ISACTIVER0, intid)
    }
    /// Its priority; lower is more urgent. Low bits that the GIC lacks are dropped.
    pub fn set_priority(&self, intid: IntId, priority: u8) {
        self.frame.write_at(gicr::IPRIORITYR_BYTES, intid.value() as usize, priority);
    }
    /// Edge-triggered or level-sensitive; only PPIs have a choice, and only while disabled.
    pub fn set_edge(&self, intid: IntId, edge: bool) {
        if let 16..32 = intid.value() {
            let bit = 2 << (2 * (intid.value() - 16));
            let config = self.frame.read(gicr::ICFGR1);
            self.frame.write(gicr::ICFGR1, if edge { config | bit } else { config & !bit });
        }
    }
}
