// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The order in which a machine's interrupt hardware comes up.
//!
//! Puts the steps of [`crate::dist`], [`crate::redist`], [`crate::its`] and [`crate::vpe`] or
//! [`crate::vpe41`] into the order that every GIC allows. Called once by each CPU that is used:
//!
//! 1. The first CPU brings up the distributor ([`crate::dist::Dist::enable`]), then has firmware
//!    start the others: a redistributor may have no power before its CPU's CPU_ON.
//! 2. Every CPU brings up its own [`redistributor`]: awake, private interrupts reset, LPIs on,
//!    nobody resident.
//! 3. Each says so by [`Assembly::arrive`]. The last one gets [`Everyone`], with which it runs the
//!    ITS's script ([`translation_service`]): commands name redistributors, and a SYNC of one that
//!    is off or asleep may never return (IHI 0069H 5.3). Then it opens the gate.
//! 4. All go on once [`Assembly::is_open`]. No guest runs before, so no vLPI is lost to a
//!    redistributor that is not ready.

use crate::error::Error;
use crate::frame::{self, Frame};
use crate::given::Vetted;
use crate::its::{Its, Table};
use crate::queue::{Queue, QueueMemory};
use crate::redist::Redist;
use crate::regs::gicr::{ConfigBase, PendingBase};
use crate::regs::gits::QueueBase;
use crate::residency::Form;
use crate::vpe_table;
use core::fmt::Debug;
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

/// What a CPU's redistributor is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTables<'a> {
    /// Priority of all its SGIs and PPIs.
    pub priority: u8,
    /// GICR_PROPBASER and GICR_PENDBASER; None: the CPU takes no LPIs.
    pub lpis: Option<(ConfigBase, PendingBase)>,
    /// Memory, by address and bytes, whose LPI tables are taken over if an earlier user left them
    /// on for good.
    pub inherited: &'a [(u64, u64)],
}

/// A redistributor is up.
#[derive(Debug)]
pub struct Ready {
    /// Its LPI configuration table; 0: it takes no LPIs.
    config: u64,
}

/// Brings up the calling CPU's redistributor.
///
/// `residency`: its VLPI frame, if vPEs become resident here in the form `R`, and their vINTID
/// bits. It comes back ready for them; on GICv4.1 after [`translation_service_v41`].
pub fn redistributor<R, F, V>(
    frame: &F,
    residency: Option<(V, u8)>,
    tables: &CpuTables<'_>,
    polls: u32,
) -> Result<(Ready, Option<R::Vacant<V>>), Error>
where
    R: Form,
    F: Frame<Block = frame::Redistributor>,
    V: Frame<Block = frame::VirtualLpis> + Debug,
{
    let redistributor = Redist::new(frame);
    redistributor.wake(polls)?;
    redistributor.reset_private(tables.priority, polls)?;
    let config = match tables.lpis {
        Some((propbaser, pendbaser)) => {
            redistributor.enable_or_inherit_lpis(propbaser, pendbaser, tables.inherited, polls)?
        }
        None => 0,
    };
    let vacant = match residency {
        Some((frame, bits)) => Some(R::take(frame, bits, polls)?),
        None => None,
    };
    Ok((Ready { config }, vacant))
}

/// Where CPUs wait until all of their redistributors are up and the ITS has its script.
#[derive(Debug)]
pub struct Assembly {
    missing: AtomicU32,
    open: AtomicBool,
    /// The LPI configuration table of all that take LPIs; 0: none has come.
    config: AtomicU64,
}

/// Every redistributor is up.
#[derive(Debug)]
pub struct Everyone {
    config: u64,
}

impl Everyone {
    /// Address of the LPI configuration table that all redistributors use: the plan's, or one that
    /// was taken over. 0: none takes LPIs.
    pub const fn lpi_config(&self) -> u64 {
        self.config
    }
}

impl Assembly {
    /// Of `cpus` CPUs.
    pub const fn new(cpus: u32) -> Self {
        Self {
            missing: AtomicU32::new(cpus),
            open: AtomicBool::new(false),
            config: AtomicU64::new(0),
        }
    }

    /// The calling CPU's redistributor is up. Once by each CPU; the last one is to run the script
    /// and open the gate. Refused where an earlier user's tables were taken over at some
    /// redistributors only: there is one configuration table.
    pub fn arrive(&self, ready: Ready) -> Result<Option<Everyone>, Error> {
        let Ready { config } = ready;
        if config != 0
            && let Err(other) = self.config.compare_exchange(0, config, AcqRel, Acquire)
            && other != config
        {
            let what = "LPIs that were left on at some redistributors only";
            return Err(Error::Unsupported { what });
        }
        let last = self.missing.fetch_sub(1, AcqRel) == 1;
        Ok(last.then(|| Everyone { config: self.config.load(Acquire) }))
    }

    /// Lets all CPUs go on.
    pub fn open(&self, _: Everyone) {
        self.open.store(true, Release);
    }

    /// The gate is open: the ITS has run its script.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }
}

/// Enables the ITS on zeroed tables and runs its script. What is left is the queue for later
/// commands.
///
/// `cbaser` names the memory that `memory` writes.
pub fn translation_service<F: Frame<Block = frame::Its>, M: QueueMemory>(
    _: &Everyone,
    frame: F,
    tables: impl IntoIterator<Item = Table>,
    (cbaser, memory): (QueueBase, M),
    script: &[Vetted],
    polls: u32,
) -> Result<Queue<F, M>, Error> {
    Its::new(&frame).enable(tables, cbaser, polls)?;
    let mut queue = Queue::new(frame, memory, polls);
    queue.run(script)?;
    Ok(queue)
}

/// The same on GICv4.1: before the script, `redistributors`, the VLPI frames of all CPUs, get the
/// vPE table: the ITS's, or `own` where GITS_TYPER.SVPET is 0.
pub fn translation_service_v41<F, V, M>(
    _: &Everyone,
    frame: F,
    tables: impl IntoIterator<Item = Table>,
    (cbaser, memory): (QueueBase, M),
    (redistributors, own): (impl IntoIterator<Item = V>, Option<Table>),
    script: &[Vetted],
    polls: u32,
) -> Result<Queue<F, M>, Error>
where
    F: Frame<Block = frame::Its>,
    V: Frame<Block = frame::VirtualLpis>,
    M: QueueMemory,
{
    let its = Its::new(&frame);
    its.enable(tables, cbaser, polls)?;
    vpe_table::install(&its, own, redistributors)?;
    let mut queue = Queue::new(frame, memory, polls);
    queue.run(script)?;
    Ok(queue)
}
