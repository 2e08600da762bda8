// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The distributor: bring-up, and operations on shared peripheral interrupts.
//!
//! Owns the GICD frame. One CPU brings it up; afterwards any CPU may use the operations of distinct
//! SPIs, except `set_edge`, which reads and writes a register of 16 SPIs: callers that share one
//! keep a lock. Follows IHI 0069H 12.9.
//!
//! 1. `verify`: GICD_TYPER and PIDR2.
//! 2. `enable`: groups off, wait; affinity routing on; every SPI Group 1, disabled, not pending,
//!    not active, one priority; extended SPIs disabled; wait; Group 1 on. Affinity routing comes
//!    before everything that it changes the meaning of.
//!
//! Not supported: Group 0 and Secure interrupts, message-based SPIs, extended SPIs (disabled),
//! legacy operation (ARE = 0).

use crate::error::Expected::AtLeast;
use crate::error::{Error, Wait, poll};
use crate::frame::{Bank, Distributor, Frame, ReadWrite};
use crate::intid::{IntId, Kind};
use crate::regs::gicd::{self, GICD_CTLR, GICD_TYPER, GICD_TYPER2, PIDR2};
use tock_registers::LocalRegisterCopy;

/// What is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// SPIs at least: INTIDs 32..32 + spis.
    pub spis: u32,
    /// GICD_TYPER.LPIS.
    pub lpis: bool,
    /// GICD_TYPER.DVIS: direct injection of virtual LPIs.
    pub virtual_lpis: bool,
    /// INTID bits at least.
    pub intid_bits: u8,
    /// GICv4.1: vPEID bits at least; None: it is no GICv4.1.
    pub vpe_id_bits: Option<u8>,
}

/// The distributor's frame.
#[derive(Debug)]
pub struct Dist<F> {
    frame: F,
}

impl<F: Frame<Block = Distributor>> Dist<F> {
    /// Of the frame at GICD_base. Reads and writes nothing.
    pub const fn new(frame: F) -> Self {
        Self { frame }
    }

    /// GICD_TYPER.
    pub fn typer(&self) -> LocalRegisterCopy<u32, GICD_TYPER::Register> {
        self.frame.fields(gicd::TYPER)
    }

    /// Number of SPIs, at most 988.
    pub fn spis(&self) -> u32 {
        (self.typer().read(GICD_TYPER::ITLinesNumber) * 32).min(988)
    }

    /// Number of extended SPIs, INTIDs from 4096 on.
    fn extended_spis(&self) -> u32 {
        let typer = self.typer();
        if typer.is_set(GICD_TYPER::ESPI) {
            (typer.read(GICD_TYPER::ESPI_range) + 1) * 32
        } else {
            0
        }
    }

    /// Compares GICD_PIDR2 and GICD_TYPER with what is expected; the first difference is the error.
    pub fn verify(&self, expect: &Expect) -> Result<(), Error> {
        let revision = self.frame.fields(gicd::PIDR2).read(PIDR2::ArchRev);
        let needed = if expect.virtual_lpis { 4 } else { 3 };
        AtLeast(needed).check("GICD_PIDR2", "ArchRev", revision.into())?;
        let typer = self.typer();
        for (field, expected, found) in [
            ("SPIs (ITLinesNumber)", expect.spis, self.spis()),
            ("LPIS", u32::from(expect.lpis), typer.read(GICD_TYPER::LPIS)),
            ("DVIS", u32::from(expect.virtual_lpis), typer.read(GICD_TYPER::DVIS)),
            ("IDbits + 1", u32::from(expect.intid_bits), typer.read(GICD_TYPER::IDbits) + 1),
        ] {
            AtLeast(expected.into()).check("GICD_TYPER", field, found.into())?;
        }
        match expect.vpe_id_bits {
            Some(bits) => self.verify_vpe_ids(bits),
            None => Ok(()),
        }
    }

    /// Without VIL vPEIDs have 16 bits.
    fn verify_vpe_ids(&self, bits: u8) -> Result<(), Error> {
        let typer2 = self.frame.fields(gicd::TYPER2);
        let found =
            if typer2.is_set(GICD_TYPER2::VIL) { typer2.read(GICD_TYPER2::VID) + 1 } else { 16 };
        AtLeast(bits.into()).check("GICD_TYPER2", "VID + 1", found.into())
    }

    /// Brings the distributor up with all SPIs disabled at `priority`. The routes of SPIs are left
    /// as they are.
    pub fn enable(&self, priority: u8, polls: u32) -> Result<(), Error> {
        // The groups off first: ARE may change only then, and never from 1 to 0 (12.9.4).
        let routing = self.frame.read(gicd::CTLR) & GICD_CTLR::ARE::SET.value;
        self.frame.write(gicd::CTLR, routing);
        self.wait_for_writes(polls)?;
        self.frame.write(gicd::CTLR, GICD_CTLR::ARE::SET.value);
        self.wait_for_writes(polls)?;
        for n in 1..=self.spis().div_ceil(32) as usize {
            self.frame.write_at(gicd::ICENABLER, n, u32::MAX);
            self.frame.write_at(gicd::ICPENDR, n, u32::MAX);
            self.frame.write_at(gicd::ICACTIVER, n, u32::MAX);
            self.frame.write_at(gicd::IGROUPR, n, u32::MAX);
            self.frame.write_at(gicd::IGRPMODR, n, 0);
            for word in 8 * n..8 * (n + 1) {
                self.frame.write_at(gicd::IPRIORITYR, word, u32::from_ne_bytes([priority; 4]));
            }
        }
        for n in 0..(self.extended_spis() / 32) as usize {
            self.frame.write_at(gicd::ICENABLER_E, n, u32::MAX);
        }
        self.wait_for_writes(polls)?;
        self.frame.write(gicd::CTLR, GICD_CTLR::ARE::SET.value | GICD_CTLR::EnableGrp1::SET.value);
        self.wait_for_writes(polls)
    }

    /// Waits until disables and changes of CTLR have taken effect.
    #[inline(never)]
    pub fn wait_for_writes(&self, polls: u32) -> Result<(), Error> {
        poll(polls, Wait::RegisterWrites, || {
            let control = self.frame.fields(gicd::CTLR);
            if control.is_set(GICD_CTLR::RWP) { Err(u64::from(control.get())) } else { Ok(()) }
        })
    }
}

/// Registers with a bit for each INTID.
type Bits = Bank<Distributor, u32, ReadWrite>;

/// Operations on one SPI. Any other INTID does nothing, and reads as false.
impl<F: Frame<Block = Distributor>> Dist<F> {
    #[inline]
    fn set_bit(&self, bank: Bits, intid: IntId) {
        if let (32..1020, n) = (intid.value(), intid.value() as usize) {
            self.frame.write_at(bank, n / 32, 1 << (n % 32));
        }
    }
    #[inline]
    fn bit(&self, bank: Bits, intid: IntId) -> bool {
        match (intid.value(), intid.value() as usize) {
            (32..1020, n) => self.frame.read_at(bank, n / 32) & (1 << (n % 32)) != 0,
            _ => false,
        }
    }
    /// Sets the SPI's enable (GICD_ISENABLER). As with all that follow, an INTID that is no SPI
    /// changes nothing.
    #[inline]
    pub fn enable_spi(&self, intid: IntId) {
        self.set_bit(gicd::ISENABLER, intid);
    }
    /// It can be enabled, and is disabled again. False: firmware keeps it in a Secure group, which
    /// we neither see nor change (GICD_CTLR.DS = 0), or the GIC lacks it.
    pub fn is_ours(&self, intid: IntId, polls: u32) -> Result<bool, Error> {
        self.enable_spi(intid);
        let ours = self.is_enabled(intid);
        self.disable_spi(intid);
        self.wait_for_writes(polls)?;
        Ok(ours)
    }
    /// Takes effect when [`Self::wait_for_writes`] is over.
    #[inline]
    pub fn disable_spi(&self, intid: IntId) {
        self.set_bit(gicd::ICENABLER, intid);
    }
    /// Makes it pending (GICD_ISPENDR).
    #[inline]
    pub fn set_pending(&self, intid: IntId) {
        self.set_bit(gicd::ISPENDR, intid);
    }
    /// Takes its pending state away (GICD_ICPENDR); a level that is high comes back.
    #[inline]
    pub fn clear_pending(&self, intid: IntId) {
        self.set_bit(gicd::ICPENDR, intid);
    }
    /// Makes it active (GICD_ISACTIVER).
    #[inline]
    pub fn set_active(&self, intid: IntId) {
        self.set_bit(gicd::ISACTIVER, intid);
    }
    /// Deactivates it (GICD_ICACTIVER).
    #[inline]
    pub fn clear_active(&self, intid: IntId) {
        self.set_bit(gicd::ICACTIVER, intid);
    }
    /// Whether its enable is set.
    pub fn is_enabled(&self, intid: IntId) -> bool {
        self.bit(gicd::ISENABLER, intid)
    }
    /// Whether it is pending, by its latch or its level.
    pub fn is_pending(&self, intid: IntId) -> bool {
        self.bit(gicd::ISPENDR, intid)
    }
    /// Whether it is active.
    pub fn is_active(&self, intid: IntId) -> bool {
        self.bit(gicd::ISACTIVER, intid)
    }
    /// Its priority; lower is more urgent. Low bits that the GIC lacks are dropped.
    pub fn set_priority(&self, intid: IntId, priority: u8) {
        if intid.kind() == Kind::Spi && intid.value() < 1020 {
            self.frame.write_at(gicd::IPRIORITYR_BYTES, intid.value() as usize, priority);
        }
    }
    /// Routes the SPI to the CPU with this MPIDR_EL1; only the affinity fields count.
    pub fn route(&self, intid: IntId, mpidr: u64) {
        if intid.kind() == Kind::Spi && intid.value() < 1020 {
            let route = mpidr & 0xff_00ff_ffff;
            self.frame.write_at(gicd::IROUTER, intid.value() as usize, route);
        }
    }
    /// Edge-triggered or level-sensitive; only while disabled, and that has taken effect (IHI 0069H
    /// 12.9.9).
    pub fn set_edge(&self, intid: IntId, edge: bool) {
        if let (32..1020, n) = (intid.value(), intid.value() as usize) {
            let bit = 2 << (2 * (n % 16));
            let config = self.frame.read_at(gicd::ICFGR, n / 16);
            let config = if edge { config | bit } else { config & !bit };
            self.frame.write_at(gicd::ICFGR, n / 16, config);
        }
    }
}
