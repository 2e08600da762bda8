// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What of the plan is the GIC's: its tables, the values of its base registers, boot's script.
//!
//! `gicv4` takes memory for the GIC only from `unsafe` code (`gicv4::given`). The promise is the
//! plan's: codegen gives each of these ranges to the GIC alone, inside memory of EL2's own, and
//! compares every address in the script and in base registers with them (tests/plan/rules.rs). So
//! an entry that is not the plan's own gets nothing.

use crate::mmu;
use crate::system::{System, is_entry};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use gicv4::frame::Its;
use gicv4::given::Base;
use gicv4::hw::{LpiTable, MmioFrame, QueueRam};
use gicv4::its::Table;
use gicv4::layout::{Attributes, TableKind};
use gicv4::regs::gicr::{ConfigBase, PendingBase};
use gicv4::regs::gits::QueueBase;
use gicv4::residency::Form;
use gicv4::{Memory, Vetted};
use plan::{Cpu, ModeSwitch, Span, VpeIndex};

/// GICR_PROPBASER and GICR_PENDBASER. None: the CPU takes no LPIs.
pub fn lpi_tables<S: System>(cpu: &Cpu) -> Option<(ConfigBase, PendingBase)> {
    if cpu.propbaser == 0 || !is_entry(S::PLAN.cpus, cpu) {
        return None;
    }
    // SAFETY: the configuration table is the GIC's by the plan.
    let config = unsafe { Base::new(cpu.propbaser) };
    // SAFETY: the same of this redistributor's pending table.
    let pending = unsafe { Base::new(cpu.pendbaser) };
    Some((config, pending))
}

/// A vPE with its two tables, not resident. None: it has none, or the board no virtual LPIs.
pub fn vpe<S: System, R: Form>(index: VpeIndex) -> Option<R::NonResident> {
    let vpe = S::PLAN.vpes.get(index.index()).filter(|_| S::PLAN.board.direct_injection)?;
    let tables = vpe.tables.as_ref()?;
    // SAFETY: the VM's virtual configuration table is the GIC's by the plan.
    let config = unsafe { Base::new(tables.vpropbaser) };
    // SAFETY: the same of the vPE's pending table.
    let pending = unsafe { Base::new(tables.vpendbaser) };
    Some(R::absent(config, pending))
}

/// GICv4.1: the vPE table of redistributors that do not have the ITS's. Once, with [`its`].
pub fn vpe_table<S: System>() -> Option<Table> {
    let table = S::PLAN.v41()?.vpe_table.as_ref()?;
    let Span { base, bytes } = table.memory;
    Some(Table {
        kind: TableKind::Vpes,
        // SAFETY: the table is the GIC's by the plan.
        memory: unsafe { Memory::new(base.value(), bytes) },
        entries: table.entries.into(),
        entry_bytes: table.entry_bytes,
        attributes: attributes::<S>(),
    })
}

/// How the GIC accesses its tables.
fn attributes<S: System>() -> Attributes {
    if S::PLAN.board.gic_coherent { Attributes::COHERENT } else { Attributes::UNCACHED }
}

/// The ITS with what it gets at boot.
pub struct ItsBoot<T, const COHERENT: bool> {
    /// Its registers.
    pub frame: MmioFrame<Its>,
    /// Its tables.
    pub tables: T,
    /// GITS_CBASER.
    pub cbaser: QueueBase,
    /// The queue that CBASER names.
    pub queue: QueueRam<COHERENT>,
    /// The configuration table of physical LPIs.
    pub config: LpiTable<COHERENT>,
    /// Its first commands.
    pub script: &'static [Vetted],
}

/// The plan's ITS, once. `lpi_config`: the address of the configuration table that redistributors
/// use. None: the plan has no ITS, somebody has it already, or that table is neither the plan's nor
/// in memory that the board reserves for it.
pub fn its<S: System, const COHERENT: bool>(
    lpi_config: u64,
) -> Option<ItsBoot<impl Iterator<Item = Table>, COHERENT>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let its = S::PLAN.its.as_ref()?;
    if TAKEN.swap(true, Relaxed) {
        return None;
    }
    // SAFETY: the plan's ITS; this happens once, so nobody else has the queue.
    let queue = unsafe { mmu::its_queue(its) };
    // SAFETY: the same of the table.
    let config = unsafe { mmu::lpi_config::<S, COHERENT>(its, lpi_config) }?;
    let tables = its.tables.iter().filter_map(move |table| {
        let Span { base, bytes } = table.memory;
        Some(Table {
            kind: TableKind::from_field(table.kind.into())?,
            // SAFETY: the table is the GIC's by the plan.
            memory: unsafe { Memory::new(base.value(), bytes) },
            entries: table.entries.into(),
            entry_bytes: table.entry_bytes,
            attributes: attributes::<S>(),
        })
    });
    // SAFETY: the queue is the GIC's by the plan; boot has cleared it.
    let cbaser = unsafe { Base::new(its.cbaser) };
    // SAFETY: every table that these commands name is the GIC's by the plan.
    let script = unsafe { Vetted::trust(its.script) };
    Some(ItsBoot { frame: mmu::its(its), tables, cbaser, queue, config, script })
}

/// A mode switch's commands to the ITS.
pub fn switch_script<S: System>(switch: &'static ModeSwitch) -> &'static [Vetted] {
    let modes = S::PLAN.modes.as_ref().map_or(&[][..], |modes| modes.modes);
    if !modes.iter().any(|mode| is_entry(mode.switches, switch)) {
        return &[];
    }
    // SAFETY: they move vPEs and doorbells: none of them names memory.
    unsafe { Vetted::trust(switch.script) }
}
