//! Making a plan: the order in which things are decided.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::decided::*;
use super::interrupts::{self, Interrupts};
use super::memory::{self, Placed};
use super::pci::{self, Windows};
use super::tables::{Id, Tables};
use super::{its, loads};
use crate::diag::{Report, rules};
use crate::emit::stage2::{self, Access, Stage2};
use crate::emit::translation::{Refused, Tree};
use crate::emit::{fdt, stage1};
use crate::image::Payloads;
use crate::model::{self, DeviceKind, System};

/// Bytes of each CPU's stack at EL2.
const STACK: u64 = 8 << 10;
/// Text, constants, data and bss: what the room for code holds besides stacks.
const CODE: u64 = 80 << 10;
const TABLES_ALIGN: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// A redistributor as a guest sees it: no VLPI frames.
const GUEST_REDISTRIBUTOR: u64 = 128 << 10;
const FRAME: u64 = 64 << 10;

/// Decides everything about a system that `check` has passed.
pub fn make(system: &System, payloads: &Payloads) -> Result<Decided, Report> {
    let mut report = Report { sources: system.sources.clone(), diagnostics: Vec::new() };
    match Maker::new(system, payloads, &mut report).and_then(|maker| maker.plan(&mut report)) {
        Some(decided) if !report.has_errors() => Ok(decided),
        _ => {
            report.sort();
            Err(report)
        }
    }
}

/// What is decided before the hypervisor's tables.
struct Maker<'a> {
    system: &'a System,
    payloads: &'a Payloads,
    placed: Placed,
    windows: Windows,
    interrupts: Interrupts,
    /// `[channel][end]`.
    channel_ipas: Vec<Vec<u64>>,
}

/// The hypervisor's tables with their contents.
struct Own {
    tables: Tables,
    /// Root of each VM's stage-2 tables, and their bytes.
    stage2: Vec<Span>,
    ttbr: u64,
    image_l3: u64,
    its: Option<its::Made>,
    room: u64,
    binary: Vec<u8>,
}

impl<'a> Maker<'a> {
    fn new(system: &'a System, payloads: &'a Payloads, report: &mut Report) -> Option<Self> {
        let windows = pci::place(system, report);
        let placed = memory::place(system, report);
        let (windows, placed) = (windows?, placed?);
        let channel_ipas = memory::channel_ipas(system, &placed, &windows, report)?;
        Some(Self {
            system,
            payloads,
            interrupts: interrupts::assign(system),
            placed,
            windows,
            channel_ipas,
        })
    }

    fn plan(self, report: &mut Report) -> Option<Decided> {
        let own = self.own(report)?;
        let vms = (0..self.system.vms.len()).map(|vm| self.vm(vm, &own)).collect();
        let mut decided = self.decided(vms, own);
        self.load(&mut decided, report)?;
        self.fits(&decided, report)?;
        decided.memory_map = self.memory_map(&decided);
        decided.digest = Hex(self.digest());
        Some(decided)
    }

    // The hypervisor's own memory ----------------------------------------------------------------------------------

    fn own(&self, report: &mut Report) -> Option<Own> {
        let system = self.system;
        let mut tables = Tables::default();
        let mut trees: Vec<(Id, Tree)> = Vec::new();
        for vm in 0..system.vms.len() {
            let name = &system.vms[vm].name;
            match self.stage2(vm) {
                Ok(tree) => trees.push((
                    tables.content(format!("stage-2 tables of {}", name.value), tree.bytes()),
                    tree,
                )),
                Err(refused) => report.push(
                    rules::PLAN_IMPOSSIBLE
                        .says(format!(
                            "\"{}\" cannot be given what it is to see: {}",
                            name.value,
                            why(refused)
                        ))
                        .label(name, "this VM")
                        .help("give its memory or its channels other guest addresses (`ipa`)"),
                ),
            }
        }
        let base = system.hypervisor.base;
        let first = match stage1::tables(base, &self.el2_ram(), &self.el2_registers()) {
            Ok(tree) => tree,
            Err(refused) => {
                report.push(self.impossible(&why(refused)));
                return None;
            }
        };
        let stage1_id = tables.content("EL2's own tables", first.bytes());
        let desc = system.board.gic.its.as_ref();
        let desc = desc.filter(|_| !self.interrupts.events.is_empty());
        let asked =
            desc.map(|desc| its::ask(system, desc, &self.interrupts, &mut tables)).transpose();
        let asked = self.layout(asked, report)?;
        let room = (CODE + STACK * system.board.cpus.len() as u64).next_multiple_of(TABLES_ALIGN);
        tables.place(base + room);
        let made = desc
            .zip(asked.as_ref())
            .map(|(desc, asked)| its::make(system, desc, &self.interrupts, asked, &tables));
        let its = self.layout(made.transpose(), report)?;
        let stage2 = trees.iter().map(|(id, _)| tables.span(*id)).collect();
        trees.push((stage1_id, first));
        let mut contents: Vec<(Id, Vec<u8>)> =
            trees.iter().map(|(id, tree)| (*id, tree.encode(tables.address(*id)))).collect();
        if let (Some(asked), Some(made)) = (&asked, &its) {
            contents.push((asked.lpi_config, made.its.lpi_config_start.clone()));
        }
        let ttbr = tables.address(stage1_id);
        let offset = trees.last().and_then(|(_, tree)| tree.level3(base));
        Some(Own {
            binary: tables.binary(&contents),
            tables,
            stage2,
            ttbr,
            image_l3: ttbr + offset.unwrap_or(0),
            its,
            room,
        })
        .filter(|_| !report.has_errors())
    }

    fn layout<T>(
        &self,
        result: Result<T, gicv4::layout::LayoutError>,
        report: &mut Report,
    ) -> Option<T> {
        result.map_err(|error| report.push(self.impossible(&error.to_string()))).ok()
    }

    fn impossible(&self, why: &str) -> crate::diag::Diagnostic {
        rules::PLAN_IMPOSSIBLE
            .says(format!("a table of the plan cannot be made: {why}"))
            .label(&self.system.name, "for this system")
    }

    /// RAM that EL2 reaches: its own, everything that is a VM's, and the last page of each RAM, which boot probes.
    fn el2_ram(&self) -> Vec<Range<u64>> {
        let own = &self.system.hypervisor;
        let ram = self.system.board.ram.iter().map(|ram| ram.region.end());
        let mut out: Vec<Range<u64>> = ram.map(|end| end - PAGE..end).collect();
        out.push(own.base..own.base + own.size.value);
        let pieces = self.placed.memory.iter().flatten();
        out.extend(pieces.map(|piece| piece.pa.0..piece.pa.0 + piece.bytes));
        let channels = self.system.channels.iter().zip(&self.placed.channels);
        out.extend(channels.map(|(channel, &pa)| pa..pa + channel.size.value));
        out
    }

    /// Registers that EL2 reaches.
    fn el2_registers(&self) -> Vec<Range<u64>> {
        let board = &self.system.board;
        let range = |region: &model::Region| region.start()..region.end();
        let mut out = vec![range(&board.gic.distributor), range(&board.gic.redistributors.region)];
        let stride = board.gic.redistributors.stride.value;
        out.extend(
            board.cpus.iter().map(|cpu| cpu.redistributor.value..cpu.redistributor.value + stride),
        );
        out.extend(board.gic.its.iter().map(|its| range(&its.region)));
        out.extend(self.console().map(|uart| range(&uart.region)));
        let functions = self.windows.functions.iter();
        out.extend(functions.map(|function| function.config.0..function.config.0 + PAGE));
        out
    }

    fn console(&self) -> Option<&model::Uart> {
        let board = &self.system.board;
        board.console.as_ref().map(|uart| &board.uarts[uart.value])
    }

    /// What a VM reaches without the hypervisor.
    fn stage2(&self, vm: usize) -> Result<Tree, Refused> {
        let mut space = Stage2::default();
        for piece in &self.placed.memory[vm] {
            space.map(piece.ipa.0, piece.pa.0, piece.bytes, Access::Ram)?;
        }
        for end in self.channel_ends().filter(|end| end.vm == vm) {
            let access = match end.writable {
                true => Access::SharedReadWrite,
                false => Access::SharedReadOnly,
            };
            space.map(end.ipa.0, end.pa.0, end.bytes, access)?;
        }
        for region in self.registers(vm) {
            space.map(region.base.0, region.base.0, region.bytes, Access::Device)?;
        }
        let functions = self.windows.functions.iter();
        for bar in
            functions.filter(|function| function.vm == vm).flat_map(|function| &function.bars)
        {
            let bytes = bar.bytes.next_multiple_of(PAGE);
            space.map(bar.base.0, bar.base.0, bytes, Access::Device)?;
        }
        Ok(space.tree)
    }

    /// Registers of a VM's platform devices, in whole pages.
    fn registers(&self, vm: usize) -> Vec<NamedSpan> {
        let mut out = Vec::new();
        for used in &self.system.vms[vm].devices {
            let device = &self.system.board.devices[used.device.value];
            if let DeviceKind::Platform { regions, .. } = &device.kind {
                out.extend(regions.iter().map(|region| NamedSpan {
                    name: device.name.value.clone(),
                    base: Hex(region.start()),
                    bytes: region.size.value.next_multiple_of(PAGE),
                }));
            }
        }
        out
    }

    fn channel_ends(&self) -> impl Iterator<Item = ChannelEnd> + '_ {
        self.system.channels.iter().enumerate().flat_map(move |(n, channel)| {
            channel.ends.iter().enumerate().map(move |(side, end)| {
                let rings = &self.interrupts.rings[n];
                let peer = rings.get(1 - side.min(1)).map_or(0, |ring| ring.event);
                ChannelEnd {
                    name: channel.name.value.clone(),
                    channel: n,
                    role: if side == 0 { "first" } else { "second" },
                    vm: end.vm.value,
                    ipa: Hex(self.channel_ipas[n][side]),
                    pa: Hex(self.placed.channels[n]),
                    bytes: channel.size.value,
                    rings: (self.interrupts.channel_device, peer),
                    vintid: rings[side].vintid,
                    vpe: end.vpe.value,
                    writable: end.access.value == model::Access::ReadWrite,
                }
            })
        })
    }

    // VMs ----------------------------------------------------------------------------------------------------------

    fn vm(&self, vm: usize, own: &Own) -> Vm {
        let owner = &self.system.vms[vm];
        let vmid = vm as u16 + 1;
        let mut memory = self.placed.memory[vm].clone();
        memory.sort_by_key(|piece| piece.ipa);
        let before = |count: &dyn Fn(usize) -> usize| (0..vm).map(count).sum::<usize>();
        let functions =
            |vm| self.windows.functions.iter().filter(|function| function.vm == vm).count();
        let ends = |vm| self.channel_ends().filter(|end| end.vm == vm).count();
        let vlpis = own.its.as_ref().and_then(|its| its.vms[vm].clone());
        let (config, start, bits) =
            vlpis.unwrap_or((Span { base: Hex(0), bytes: 0 }, Vec::new(), 14));
        let console = if owner.console.value { self.console() } else { None };
        Vm {
            name: owner.name.value.clone(),
            vmid,
            vttbr: Hex(stage2::vttbr(vmid, own.stage2[vm].base.0)),
            vtcr: Hex(stage2::VTCR),
            first_vpe: self.interrupts.first_vpe[vm],
            vpe_count: owner.vpes.len(),
            entry: Hex(0),
            x0: Hex(0),
            memory,
            loads: Vec::new(),
            mmio: self.mmio(vm),
            uart_intid: console.and_then(|uart| uart.intid.as_ref()).map(|intid| intid.value),
            vlpi_config: config,
            vlpi_config_start: start,
            vintid_bits: bits,
            first_function: before(&functions),
            function_count: functions(vm),
            first_channel_end: before(&ends),
            channel_end_count: ends(vm),
            its: match owner.its.value {
                model::ItsPolicy::None => "none",
                model::ItsPolicy::Fixed => "fixed",
                model::ItsPolicy::Remap => "remap",
            },
            on_fault: match owner.on_fault {
                model::Fault::Halt => "halt",
                model::Fault::Restart => "restart",
                model::Fault::ResetBoard => "reset-board",
            },
            registers: self.registers(vm),
            windows: self.windows.of_vm[vm].clone(),
            arguments: owner.arguments.as_ref().map(|text| text.value.clone()),
            initrd: loads::initrd(&self.placed.memory[vm], &self.payloads.blobs[vm]),
            stage2_bytes: own.stage2[vm].bytes,
        }
    }

    fn mmio(&self, vm: usize) -> Vec<Mmio> {
        let owner = &self.system.vms[vm];
        let gic = &self.system.board.gic;
        let mut out = vec![
            (gic.distributor.start(), FRAME, MmioKind::Distributor),
            (
                gic.redistributors.region.start(),
                GUEST_REDISTRIBUTOR * owner.vpes.len() as u64,
                MmioKind::Redistributors,
            ),
        ];
        if let Some(uart) = self.console().filter(|_| owner.console.value) {
            out.push((uart.region.start(), PAGE, MmioKind::Uart));
        }
        if let (Some(its), true) = (&gic.its, owner.its.value != model::ItsPolicy::None) {
            out.push((its.region.start(), FRAME, MmioKind::Its));
        }
        for (host, pcie) in self.system.board.pcie.iter().enumerate() {
            let functions = self.windows.functions.iter();
            let own = functions.filter(|function| function.vm == vm && function.host == host);
            if let Some(last) = own.map(|function| function.bdf >> 8).max() {
                let buses = u64::from(last) - u64::from(pcie.first_bus.value) + 1;
                out.push((pcie.ecam.start(), buses << 20, MmioKind::PciConfig));
            }
        }
        out.sort_by_key(|region| region.0);
        let mmio = |(base, bytes, kind)| Mmio { base: Hex(base), bytes, kind };
        out.into_iter().map(mmio).collect()
    }

    // The whole ----------------------------------------------------------------------------------------------------

    fn decided(&self, vms: Vec<Vm>, own: Own) -> Decided {
        let system = self.system;
        let base = system.hypervisor.base;
        let mut ends: Vec<ChannelEnd> = self.channel_ends().collect();
        ends.sort_by_key(|end| (end.vm, end.channel, end.role));
        let (cpus, console_cpu) = self.cpus(&own);
        let vpes = self.vpes(&own);
        let tables_bytes = own.tables.bytes();
        Decided {
            system: system.name.value.clone(),
            description: system.description.clone(),
            digest: Hex(0),
            board: self.board(own.its.is_some()),
            cpus,
            vms,
            vpes,
            its: own.its.map(|made| made.its),
            spis: self.interrupts.spis.clone(),
            functions: self.windows.functions.clone(),
            channel_ends: ends,
            escape: system.escape.value,
            focus: system.focus.as_ref().map_or(0, |vm| vm.value),
            console_cpu,
            power_off: system.when_all_off == model::PowerOff::PowerOff,
            hypervisor: Hypervisor {
                base: Hex(base),
                bytes: system.hypervisor.size.value,
                room: own.room,
                stack_bytes: STACK,
                stacks: system.board.cpus.len() as u64,
                tables: Hex(base + own.room),
                tables_loaded: own.tables.loaded(),
                tables_bytes,
                payloads: Hex(base + own.room + tables_bytes),
                payloads_bytes: 0,
                ttbr: Hex(own.ttbr),
                image_l3: Hex(own.image_l3),
                items: own.tables.items(),
                cleared: own.tables.cleared(),
                kept: own.room + tables_bytes,
                tables_bin: own.binary,
            },
            memory_map: Vec::new(),
        }
    }

    fn board(&self, direct_injection: bool) -> Board {
        let board = &self.system.board;
        let uart = self.console();
        Board {
            name: board.name.value.clone(),
            ram: board
                .ram
                .iter()
                .map(|ram| NamedSpan {
                    name: ram.name.value.clone(),
                    base: Hex(ram.region.start()),
                    bytes: ram.region.size.value,
                })
                .collect(),
            distributor: Hex(board.gic.distributor.start()),
            redistributors: Hex(board.gic.redistributors.region.start()),
            redistributor_stride: board.gic.redistributors.stride.value,
            spis: board.gic.spis.value,
            list_registers: board.gic.list_registers.value,
            direct_injection,
            virtual_ppi: board.timer.virtual_ppi.value,
            hypervisor_ppi: board.timer.hypervisor_ppi.value,
            maintenance_ppi: board.timer.maintenance_ppi.value,
            uart: Hex(uart.map_or(0, |uart| uart.region.start())),
            uart_intid: uart.and_then(|uart| uart.intid.as_ref()).map(|intid| intid.value),
            psci_smc: board.psci == model::Conduit::Smc,
        }
    }

    /// The CPUs, and the one that takes the console's interrupt: the first in use without device interrupts of its own.
    fn cpus(&self, own: &Own) -> (Vec<Cpu>, usize) {
        let vpes: Vec<usize> =
            self.system.vms.iter().flat_map(|vm| &vm.vpes).map(|vpe| vpe.cpu.value).collect();
        let cpus: Vec<Cpu> = self
            .system
            .board
            .cpus
            .iter()
            .enumerate()
            .map(|(n, cpu)| {
                let (propbaser, pendbaser) = own.its.as_ref().map_or((0, 0), |its| its.cpus[n]);
                Cpu {
                    name: cpu.name.value.clone(),
                    mpidr: Hex(cpu.mpidr.value),
                    redistributor: Hex(cpu.redistributor.value),
                    processor: cpu.processor,
                    propbaser: Hex(propbaser),
                    pendbaser: Hex(pendbaser),
                    vpe: vpes.iter().position(|&of| of == n),
                }
            })
            .collect();
        let used = |cpu: &Cpu| cpu.vpe.is_some();
        let quiet = cpus.iter().position(|cpu| used(cpu) && cpu.pendbaser.0 == 0);
        let console = quiet.or_else(|| cpus.iter().position(used)).unwrap_or(0);
        (cpus, console)
    }

    fn vpes(&self, own: &Own) -> Vec<Vpe> {
        let vms = self.system.vms.iter().enumerate();
        let all = vms.flat_map(|(vm, owner)| {
            let vpes = owner.vpes.iter().enumerate();
            vpes.map(move |(number, vpe)| (vm, number, vpe.cpu.value))
        });
        all.enumerate()
            .map(|(n, (vm, number, cpu))| Vpe {
                vm,
                number,
                cpu,
                tables: own.its.as_ref().and_then(|its| its.vpes[n]),
            })
            .collect()
    }

    /// Device trees, and everything else that is copied into VMs.
    fn load(&self, decided: &mut Decided, report: &mut Report) -> Option<()> {
        let mut blobs: Vec<Vec<u8>> = Vec::new();
        for vm in 0..decided.vms.len() {
            let blob = &self.payloads.blobs[vm];
            let tree = match &blob.dtb {
                Some(own) => own.clone(),
                None => fdt::tree(self.system, decided, vm)
                    .map_err(|error| report.push(self.impossible(&format!("device tree: {error}"))))
                    .ok()?,
            };
            let placed =
                loads::place(&self.system.vms[vm], &self.placed.memory[vm], blob, tree, report);
            let Some(mut placed) = placed else { continue };
            for load in &mut placed.loads {
                let known = blobs.iter().position(|data| *data == load.data);
                load.blob = known.unwrap_or(blobs.len());
                if known.is_none() {
                    blobs.push(load.data.clone());
                }
            }
            let vm = &mut decided.vms[vm];
            vm.entry = Hex(placed.entry);
            vm.x0 = Hex(placed.tree);
            vm.loads = placed.loads;
        }
        // The linker puts each blob at a multiple of 16.
        let bytes: u64 = blobs.iter().map(|data| (data.len() as u64).next_multiple_of(16)).sum();
        decided.hypervisor.payloads_bytes = bytes.next_multiple_of(PAGE);
        Some(())
    }

    fn fits(&self, decided: &Decided, report: &mut Report) -> Option<()> {
        let own = &decided.hypervisor;
        let needed = own.kept + own.payloads_bytes;
        if needed <= own.bytes {
            return Some(());
        }
        let size = &self.system.hypervisor.size;
        let enough = needed.div_ceil(2 << 20) * 2;
        report.push(
            rules::HYPERVISOR_ROOM
                .says(format!(
                    "the hypervisor needs {} KiB, {} KiB of them for payload copies, and has {} KiB",
                    needed.div_ceil(1024),
                    own.payloads_bytes.div_ceil(1024),
                    own.bytes / 1024
                ))
                .label(size, "its memory")
                .help(format!("write `size = \"{enough} MiB\"` in [hypervisor]")),
        );
        None
    }

    fn memory_map(&self, decided: &Decided) -> Vec<Area> {
        let own = &decided.hypervisor;
        let area = |base: u64, bytes: u64, owner: &str, what: String| Area {
            base: Hex(base),
            bytes,
            owner: owner.to_owned(),
            what,
        };
        let mut out = vec![
            area(own.base.0, own.room, "hypervisor", "code, data, stacks".into()),
            area(own.tables.0, own.tables_bytes, "hypervisor", "tables".into()),
            area(own.payloads.0, own.payloads_bytes, "hypervisor", "payload copies".into()),
        ];
        let end = own.payloads.0 + own.payloads_bytes;
        let free = own.base.0 + own.bytes - end;
        if free > 0 {
            out.push(area(end, free, "hypervisor", "free".into()));
        }
        for reserved in &self.system.board.reserved {
            let what = format!("{}: {}", reserved.name.value, reserved.reason);
            out.push(area(reserved.region.start(), reserved.region.size.value, "reserved", what));
        }
        for vm in &decided.vms {
            out.extend(vm.memory.iter().map(|piece| {
                area(piece.pa.0, piece.bytes, &vm.name, format!("memory, seen at {}", piece.ipa))
            }));
        }
        for (channel, &pa) in self.system.channels.iter().zip(&self.placed.channels) {
            let ends =
                channel.ends.iter().map(|end| self.system.vms[end.vm.value].name.value.as_str());
            let owner = ends.collect::<Vec<_>>().join(" + ");
            out.push(area(
                pa,
                channel.size.value,
                &owner,
                format!("channel {}", channel.name.value),
            ));
        }
        out.sort_by_key(|area| area.base);
        out
    }

    /// First 8 bytes of the SHA-256 of every TOML and every payload.
    fn digest(&self) -> u64 {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for source in self.system.sources.iter() {
            add(source.text.as_bytes());
        }
        for blob in &self.payloads.blobs {
            blob.segments.iter().for_each(|segment| add(&segment.bytes));
            blob.initrd.iter().chain(&blob.dtb).for_each(|bytes| add(bytes));
        }
        let hash = hash.finalize();
        hash.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
    }
}

fn why(refused: Refused) -> String {
    match refused {
        Refused::Misaligned => "an address or a size is not a multiple of 4 KiB".into(),
        Refused::TooHigh => "an address is not below 2^39".into(),
        Refused::Twice(address) => format!("{address:#x} would be two things"),
    }
}
