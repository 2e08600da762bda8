// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GICR_VPROPBASER of GICv4.1: the vPE table, and who shares it.
//!
//! Redistributors whose affinities agree in as many fields as GICR_TYPER.CommonLPIAff says have one
//! table, and so has the ITS where GITS_TYPER.SVPET is not 0 (IHI 0069H 5.2.1, 12.11.34). All of
//! them have to be told the same table, before a command names a vPE.

use super::report::Violation;
use super::state::State;
use crate::intid::VpeId;
use crate::layout::{PageSize, TableKind, baser_address};
use crate::regs::gits::GITS_BASER;
use crate::regs::vlpi::GICR_VPROPBASER_V41 as VPROPBASER;
use tock_registers::LocalRegisterCopy;

type Table = LocalRegisterCopy<u64, VPROPBASER::Register>;

/// What decides which table it is: attributes and Z are each register's own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    address: u64,
    pages: u64,
    page: u64,
    entry_bytes: u64,
    indirect: bool,
}

impl Identity {
    /// None: not valid.
    fn of(value: u64) -> Option<Self> {
        let table = Table::new(value);
        table.is_set(VPROPBASER::Valid).then(|| Self {
            address: table.read(VPROPBASER::PhysicalAddress) << 12,
            pages: table.read(VPROPBASER::Size) + 1,
            page: table.read(VPROPBASER::PageSize),
            entry_bytes: 8 * (table.read(VPROPBASER::EntrySize) + 1),
            indirect: table.is_set(VPROPBASER::Indirect),
        })
    }

    fn page_bytes(&self) -> u64 {
        PageSize::from_field(self.page).map_or(0x1000, PageSize::bytes)
    }
}

impl State {
    /// Redistributors of these CPUs have one vPE table.
    pub(super) fn share_vpe_table(&self, one: usize, other: usize) -> bool {
        let group = |cpu: usize| self.config.affinity(cpu as u16, self.config.common_affinity);
        group(one) == group(other)
    }

    /// The ITS has that of this CPU's redistributor, too.
    fn shares_with_its(&self, cpu: usize) -> bool {
        let fields = self.config.shared_vpe_table;
        fields != 0 && self.config.affinity(cpu as u16, fields) == self.config.affinity(0, fields)
    }

    /// The ITS's vPE table.
    fn table_of_its(&self) -> Option<Identity> {
        self.its.basers.iter().find_map(|value| {
            let baser = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(*value);
            let is_ours = baser.is_set(GITS_BASER::Valid)
                && baser.read(GITS_BASER::Type) == TableKind::Vpes.field();
            is_ours.then(|| Identity {
                address: baser_address(*value),
                pages: baser.read(GITS_BASER::Size) + 1,
                page: baser.read(GITS_BASER::PageSize),
                entry_bytes: baser.read(GITS_BASER::EntrySize) + 1,
                indirect: baser.is_set(GITS_BASER::Indirect),
            })
        })
    }

    pub(super) fn write_vpe_table(&mut self, cpu: usize, value: u64) {
        let (number, register) = (cpu as u16, "GICR_VPROPBASER");
        let redist = &self.redists[cpu];
        if redist.vpendbaser >> 63 != 0 || redist.dirty > 0 {
            return self.violate(Violation::WriteWhileValid { cpu: number, register });
        }
        if !self.vpes.is_empty() && value != redist.vpropbaser {
            self.violate(Violation::VpeTableInUse { cpu: number });
        }
        // EntrySize is read-only, the page size and shareability may be.
        let fixed = VPROPBASER::EntrySize::SET.value;
        let mut kept = value & !fixed | self.config.vpe_entry();
        let vpes = self.config.tables.iter().find(|table| table.kind == TableKind::Vpes);
        if let Some(page) = vpes.and_then(|table| table.page) {
            kept &= !VPROPBASER::PageSize::SET.value;
            kept |= VPROPBASER::PageSize.val(page.field()).value;
        }
        if self.config.incoherent {
            kept &= !VPROPBASER::Shareability::SET.value;
        }
        self.redists[cpu].vpropbaser = kept & !VPROPBASER::Z::SET.value;
        let Some(table) = Identity::of(kept).filter(|table| value_page(value) == table.page) else {
            return;
        };
        if !table.address.is_multiple_of(table.page_bytes()) {
            self.violate(Violation::Misaligned { cpu: number, register });
        }
        let bytes = table.pages * table.page_bytes();
        let used = self.shares_with_its(cpu)
            || self.others(cpu).any(|other| Some(table) == other)
            || self.memory.bits(table.address, bytes, 0).next().is_some();
        if value & VPROPBASER::Z::SET.value != 0 && used {
            self.violate(Violation::VpeTableNotZero { cpu: number });
        }
    }

    /// Tables of the other redistributors that share this one's.
    fn others(&self, cpu: usize) -> impl Iterator<Item = Option<Identity>> {
        let group = (0..self.redists.len()).filter(move |&other| other != cpu);
        group
            .filter(move |&other| self.redists[other].powered && self.share_vpe_table(cpu, other))
            .map(|other| Identity::of(self.redists[other].vpropbaser))
    }

    /// GICv4.1: this redistributor, and all that share its vPE table, have one with an entry for
    /// the vPE.
    pub(super) fn needs_vpe_table(&mut self, cpu: usize, vpe: VpeId) {
        if !self.is_v41() {
            return;
        }
        let number = cpu as u16;
        let table = Identity::of(self.redists[cpu].vpropbaser);
        let holds = |table: Identity| {
            let entries = table.pages * table.page_bytes() / table.entry_bytes;
            table.indirect || u64::from(vpe.value()) < entries
        };
        if !table.is_some_and(holds) {
            return self.violate(Violation::NoVpeTable { cpu: number, vpe });
        }
        let its = self.shares_with_its(cpu).then(|| self.table_of_its());
        if self.others(cpu).any(|other| other != table) || its.is_some_and(|its| its != table) {
            self.violate(Violation::VpeTableDiffers { cpu: number });
        }
    }
}

fn value_page(value: u64) -> u64 {
    Table::new(value).read(VPROPBASER::PageSize)
}
