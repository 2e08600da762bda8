// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hypervisor's own memory: translation tables, interrupt tables and payload copies around the
//! code.
//!
//! Copies are asked for with the tables, because they fill the gaps that alignment leaves. The room
//! for code ends at a multiple of 64 KiB, where the first such table goes; what is left below the
//! code holds tables of zeros.

use std::ops::Range;

use ::plan::translation::{EL2_WINDOW_PAGES, el2_tcr};
use gicv4::layout::LayoutError;

use super::Arena;
use super::make::Maker;
use super::tables::{Id, Tables};
use super::{host, its, modes, smmu, smmu_script};
use crate::diag::{Diagnostic, Report, rules};
use crate::emit::stage1;
use crate::emit::stage2::{self, Access, Stage2};
use crate::emit::translation::{Refused, Tree};
use crate::model::{self, MemoryRole};
use ::plan::{Hex, Hypervisor, Log, Pa, Smmu, VmIndex};

/// Bytes of each CPU's stack at EL2.
const STACK: u64 = 8 << 10;
const WIDE: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// The hypervisor's tables with their contents.
pub struct Own {
    tables: Tables,
    /// By VM.
    pub stage2: Vec<Translation>,
    /// Address of each payload copy.
    pub copies: Vec<u64>,
    pub its: Option<its::Made>,
    pub smmus: Vec<::plan::Smmu>,
    pub masters: Vec<::plan::Master>,
    ttbr: u64,
    tcr: u64,
    image_l3: u64,
    window: u64,
    window_entries: u64,
    image: u64,
    room: u64,
    stacks: u64,
    binary: Vec<u8>,
}

/// Stage 2 of a VM, as registers want it.
#[derive(Default)]
pub struct Translation {
    pub root: u64,
    pub vtcr: u64,
    /// Of all its tables.
    pub bytes: u64,
}

/// Tables that have their places.
pub(super) struct Placed {
    root: Id,
    pages: Id,
    tree: Tree,
}

impl Placed {
    pub(super) fn ask(what: &str, tree: Tree, tables: &mut Tables) -> Self {
        let bytes = tree.root_bytes();
        let root = tables.content(format!("root of {what}"), bytes, bytes);
        Self { root, pages: tables.content(what, tree.bytes(), PAGE), tree }
    }

    fn contents(&self, tables: &Tables) -> [(Id, Vec<u8>); 2] {
        let pages = tables.address(self.pages);
        [(self.root, self.tree.encode_root(pages)), (self.pages, self.tree.encode(pages))]
    }

    /// The level-3 table for `address`, which is mapped by pages.
    fn level3(&self, tables: &Tables, address: u64) -> u64 {
        tables.address(self.pages) + self.tree.level3(address).unwrap_or(0)
    }

    pub(super) fn stage2(&self, tables: &Tables, system: &model::System) -> Translation {
        Translation {
            root: tables.address(self.root),
            vtcr: stage2::vtcr(self.tree.shape(), system.board.address_bits.value),
            bytes: self.tree.root_bytes() + self.tree.bytes(),
        }
    }
}

impl Maker<'_> {
    /// Lays out everything, with room for `copies`.
    pub fn own(&self, copies: &[(String, Vec<u8>)], report: &mut Report) -> Option<Own> {
        let system = self.system;
        let mut tables = Tables::default();
        let copy_ids: Vec<Id> = copies
            .iter()
            .map(|(name, data)| tables.copy(name.clone(), data.len() as u64))
            .collect();
        let mut trees: Vec<Placed> = Vec::new();
        for (vm, owner) in system.vms.iter().enumerate() {
            match self.stage2(vm) {
                Ok(tree) => {
                    let what = format!("stage-2 tables of {}", owner.name.value);
                    trees.push(Placed::ask(&what, tree, &mut tables));
                }
                Err(refused) => report.push(cannot_see(owner, refused)),
            }
        }
        let behind = match self.ask_smmus(&mut tables) {
            Ok(asked) => asked,
            Err((vm, refused)) => {
                report.push(cannot_see(&system.vms[vm], refused));
                None
            }
        };
        let base = system.hypervisor.base;
        let region = base..base + system.hypervisor.size.value;
        let inherited: Vec<Range<u64>> =
            inherited(&system.board).map(|region| region.start()..region.end()).collect();
        let mut first = match stage1::tables(&region, &inherited, &self.el2_registers()) {
            Ok(tree) => tree,
            Err(refused) => {
                report.push(self.impossible(&why(refused)));
                return None;
            }
        };
        let stacks = self.homes().into_iter().flatten().max().unwrap_or(0) as u64 + 1;
        let Some(window) = first.room(EL2_WINDOW_PAGES * stacks) else {
            report.push(self.impossible("no address is left for EL2's windows"));
            return None;
        };
        let first = Placed::ask("EL2's own tables", first, &mut tables);
        let desc = system.board.gic.its.as_ref();
        let desc = desc.filter(|_| !self.interrupts.translated().is_empty());
        let asked = desc
            .map(|desc| its::ask(system, desc, &self.interrupts, self.homes(), &mut tables))
            .transpose();
        let asked = self.layout(asked, report)?;
        let room = self.code(stacks).next_multiple_of(PAGE) + STACK * stacks;
        let image = base + room.next_multiple_of(WIDE) - room;
        tables.place(base, image..image + room);
        let made = desc.zip(asked.as_ref()).map(|(desc, asked)| {
            its::make(system, desc, &self.interrupts, asked, &tables, self.modes.as_ref())
        });
        let its = self.layout(made.transpose(), report)?;
        let stage2 = trees.iter().map(|tree| tree.stage2(&tables, system)).collect();
        let (ttbr, tcr) = (tables.address(first.root), el2_tcr(first.tree.shape().t0sz()));
        let image_l3 = first.level3(&tables, base);
        let window_entries = first.level3(&tables, window) + (window / PAGE % 512) * 8;
        trees.push(first);
        let mut contents: Vec<(Id, Vec<u8>)> =
            trees.iter().flat_map(|tree| tree.contents(&tables)).collect();
        let made = behind.iter().flat_map(|asked| self.made_smmus(asked, &tables));
        let mut smmus: Vec<Smmu> = made.collect();
        let masters = self.masters(behind.as_ref(), &tables);
        for (number, smmu) in smmus.iter_mut().enumerate() {
            let held = masters.iter().filter(|master| master.is_behind(number));
            let scripts = smmu_script::scripts(smmu, held);
            let scripts = scripts.map_err(|error| self.impossible(&error.to_string()));
            smmu.scripts = scripts.map_err(|error| report.push(error)).ok()?;
        }
        contents.extend(behind.iter().flat_map(|asked| smmu::descriptors(asked, &tables)));
        let of_devices = behind.iter().flat_map(|asked| &asked.trees);
        contents.extend(of_devices.flat_map(|(_, tree)| tree.contents(&tables)));
        if let (Some(asked), Some(made)) = (&asked, &its) {
            contents.push((asked.lpi_config, made.its.lpi_config_start.clone()));
        }
        contents.extend(copy_ids.iter().copied().zip(copies.iter().map(|copy| copy.1.clone())));
        Some(Own {
            binary: tables.binary(&contents),
            copies: copy_ids.iter().map(|id| tables.address(*id)).collect(),
            tables,
            stage2,
            its,
            smmus,
            masters,
            ttbr,
            tcr,
            image_l3,
            window,
            window_entries,
            image,
            room,
            stacks,
        })
        .filter(|_| !report.has_errors())
    }

    /// CPU of each vPE in each mode, as the ITS knows it.
    fn homes(&self) -> Vec<Vec<usize>> {
        let modes = 0..self.layouts.len();
        let homes = |vpe| modes.clone().map(|mode| modes::home(&self.layouts, mode, vpe)).collect();
        (0..self.interrupts.reachable.len()).map(homes).collect()
    }

    fn layout<T>(&self, result: Result<T, LayoutError>, report: &mut Report) -> Option<T> {
        result.map_err(|error| report.push(self.impossible(&error.to_string()))).ok()
    }

    pub fn impossible(&self, why: &str) -> Diagnostic {
        rules::PLAN_IMPOSSIBLE
            .says(format!("a table of the plan cannot be made: {why}"))
            .label(&self.system.name, "for this system")
    }

    /// The last word of `ram` that nobody reserved, for boot to ask whether it is there.
    pub fn probe(&self, ram: &model::Ram) -> Option<u64> {
        let mut free = Arena::new(ram.region.start()..ram.region.end());
        for reserved in &self.system.board.reserved {
            free.remove(reserved.region.start()..reserved.region.end().next_multiple_of(PAGE));
        }
        free.ranges().last().map(|range| range.end - 8)
    }

    /// Registers that EL2 reaches.
    fn el2_registers(&self) -> Vec<Range<u64>> {
        let board = &self.system.board;
        let range = |region: &model::Region| region.start()..region.end();
        let mut out = vec![range(&board.gic.distributor)];
        let stride = board.gic.redistributors.stride.value;
        let used = board.cpus.iter().enumerate().filter(|(cpu, _)| self.starts(*cpu));
        out.extend(used.map(|(_, cpu)| cpu.redistributor.value..cpu.redistributor.value + stride));
        let its = board.gic.its.as_ref().filter(|_| !self.interrupts.translated().is_empty());
        out.extend(its.map(|its| range(&its.region)));
        out.extend(self.console().map(model::Uart::page));
        out.extend(board.smmus.iter().map(|smmu| range(&smmu.region)));
        let functions = self.windows.functions.iter();
        let bridges = self.windows.bridges.iter().map(|bridge| bridge.space.config);
        let configs = bridges.chain(functions.map(|function| function.space.config));
        out.extend(configs.map(|config| config.value()..config.value() + PAGE));
        let tables = self.windows.functions.iter().filter_map(|function| function.msix?.pages);
        out.extend(tables.map(|pages| pages.base.value()..pages.base.value() + pages.bytes));
        out
    }

    /// The CPU runs something in some mode, or boots.
    fn starts(&self, cpu: usize) -> bool {
        cpu == 0 || self.layouts.iter().any(|layout| layout.schedules[cpu].is_used())
    }

    /// All addresses that a VM has are below this one.
    pub(super) fn guest_end(&self, vm: usize) -> u64 {
        let memory = self.placed.memory[vm].iter().map(|piece| piece.ipa.value() + piece.bytes);
        let ends = self.channel_ends().filter(|end| end.vm == VmIndex::at(vm));
        let ends = ends.map(|end| end.ipa.value() + end.bytes).collect::<Vec<_>>();
        let registers = self.registers(vm);
        let registers = registers.iter().map(|region| region.base.value() + region.bytes);
        let windows =
            self.windows.of_vm[vm].iter().map(|window| window.base.value() + window.bytes);
        let hosts = host::seen(self.system, vm, &self.windows.of_vm[vm], &self.windows.functions);
        let emulated = self.mmio(vm, &hosts);
        let emulated = emulated.iter().map(|region| region.base.value() + region.bytes);
        let log = self.logs[vm].zip(self.log()).map(|(ipa, log)| ipa + log.bytes);
        let all = memory.chain(ends).chain(registers).chain(windows).chain(emulated).chain(log);
        all.max().unwrap_or(0)
    }

    /// What a VM reaches without the hypervisor.
    fn stage2(&self, vm: usize) -> Result<Tree, Refused> {
        let mut space = Stage2::new(self.guest_end(vm), self.system.board.address_bits.value);
        for piece in &self.placed.memory[vm] {
            let access = match piece.role {
                MemoryRole::Ram | MemoryRole::Hidden => Access::Ram,
                MemoryRole::Rom | MemoryRole::Flash => Access::Rom,
            };
            space.map(piece.ipa.value(), piece.pa.value(), piece.bytes, access)?;
        }
        if let (Some(ipa), Some(log)) = (self.logs[vm], self.log()) {
            space.map(ipa, log.base.value(), log.bytes, Access::SharedReadOnly)?;
        }
        for end in self.channel_ends().filter(|end| end.vm == VmIndex::at(vm)) {
            let access = match end.writable {
                true => Access::SharedReadWrite,
                false => Access::SharedReadOnly,
            };
            space.map(end.ipa.value(), end.pa.value(), end.bytes, access)?;
        }
        for region in self.registers(vm) {
            space.map(region.base.value(), region.base.value(), region.bytes, Access::Device)?;
        }
        let functions = self.windows.functions.iter();
        for bar in functions
            .filter(|function| function.vm == VmIndex::at(vm))
            .flat_map(|function| &function.bars)
        {
            let (start, end) =
                (bar.base.value(), bar.base.value() + bar.bytes.next_multiple_of(PAGE));
            // Without the pages of an MSI-X table in it.
            let tables = self.windows.functions.iter().filter_map(|function| function.msix?.pages);
            let (before, after) = tables
                .map(|pages| (pages.base.value(), pages.base.value() + pages.bytes))
                .find(|pages| start <= pages.0 && pages.1 <= end)
                .unwrap_or((end, end));
            let access = if bar.prefetchable { Access::Prefetchable } else { Access::Device };
            for (from, to) in [(start, before), (after, end)] {
                if from < to {
                    space.map(from, from, to - from, access)?;
                }
            }
        }
        Ok(space.tree)
    }
}

/// Where boot may take over LPI tables, on a board whose GIC delivers events.
pub fn inherited(board: &model::Board) -> impl Iterator<Item = &model::Region> {
    let ranges = board.reserved.iter().filter(|range| range.lpi_tables);
    ranges.filter(|_| board.gic.its.is_some()).map(|range| &range.region)
}

impl Own {
    /// For the plan; `bytes` is what the TOML gives.
    pub fn hypervisor(self, base: u64, bytes: u64, log: Option<Log>) -> Hypervisor {
        let tables = self.image + self.room;
        let copies = self.tables.copies();
        Hypervisor {
            base: Pa::new(base),
            bytes,
            image: Pa::new(self.image),
            room: self.room,
            stack_bytes: STACK,
            stacks: self.stacks,
            tables: Pa::new(tables),
            tables_loaded: self.tables.loaded(),
            tables_bytes: self.tables.bytes(),
            copies,
            ttbr: Pa::new(self.ttbr),
            tcr: Hex(self.tcr),
            image_l3: Pa::new(self.image_l3),
            window: Hex(self.window),
            window_entries: Pa::new(self.window_entries),
            items: self.tables.items(),
            cleared: self.tables.cleared(),
            kept: tables + self.tables.bytes() - base - copies + log.map_or(0, |log| log.bytes),
            tables_bin: self.binary,
        }
    }
}

fn cannot_see(vm: &model::Vm, refused: Refused) -> Diagnostic {
    let name = &vm.name;
    rules::PLAN_IMPOSSIBLE
        .says(format!("\"{}\" cannot be given what it is to see: {}", name.value, why(refused)))
        .label(name, "this VM")
        .help("give its memory or its channels other guest addresses (`ipa`)")
}

fn why(refused: Refused) -> String {
    match refused {
        Refused::Misaligned(it) => format!("{it:#x} is not a multiple of 4 KiB"),
        Refused::TooHigh(address, bits) => {
            format!("what begins at {address:#x} ends above 2^{bits}")
        }
        Refused::Twice(address) => format!("{address:#x} would be two things"),
    }
}
