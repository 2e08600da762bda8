// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making a plan: the order in which things are decided.

use sha2::{Digest, Sha256};

use super::assume;
use super::host;
use super::interrupts::{self, Interrupts};
use super::its;
use super::loads::{self, Loads};
use super::log_view;
use super::memory::{self, Placed};
use super::messages;
use super::modes;
use super::own::{self, Own};
use super::pci::{self, Windows};
use super::schedule::{self, Layout};
use super::watchdog;
use crate::diag::{Diagnostic, Report, rules};
use crate::emit::stage2;
use crate::limits::REDISTRIBUTOR;
use crate::model::{self, DeviceKind, System, quirk};
use crate::payload::Payloads;
use crate::tree;
use ::plan::*;

const PAGE: u64 = 4096;
const FRAME: u64 = 64 << 10;

/// Decides everything about a system that `check` has passed; with what is odd about it, though it
/// works.
pub fn make(system: &System, payloads: &Payloads) -> Result<(Plan, Vec<Diagnostic>), Report> {
    let mut report = Report { sources: system.sources.clone(), ..Report::default() };
    match Maker::new(system, payloads, &mut report).and_then(|maker| maker.plan(&mut report)) {
        Some(decided) if !report.has_errors() => {
            report.sort();
            Ok((decided, report.diagnostics))
        }
        _ => {
            report.sort();
            Err(report)
        }
    }
}

/// What is decided before the hypervisor's tables.
pub struct Maker<'a> {
    pub system: &'a System,
    payloads: &'a Payloads,
    pub placed: Placed,
    pub windows: Windows,
    pub interrupts: Interrupts,
    /// By mode.
    pub layouts: Vec<Layout>,
    pub modes: Option<Modes>,
    /// `[channel][end]`.
    channel_ipas: Vec<Vec<u64>>,
    /// By VM.
    watchdogs: Vec<Option<Watchdog>>,
    /// IPA at which each VM reads the log.
    pub logs: Vec<Option<u64>>,
}

impl<'a> Maker<'a> {
    fn new(system: &'a System, payloads: &'a Payloads, report: &mut Report) -> Option<Self> {
        let windows = pci::place(system, report);
        let placed = memory::place(system, report);
        let (mut windows, placed) = (windows?, placed?);
        let interrupts = interrupts::assign(system);
        messages::assign(system, &interrupts, &mut windows.functions);
        let channel_ipas = memory::channel_ipas(system, &placed, &windows, report)?;
        let watchdogs = watchdog::place(system, &placed, &windows, &channel_ipas, report)?;
        let logs = log_view::place(system, &placed, &windows, (&channel_ipas, &watchdogs), report)?;
        let layouts = schedule::layouts(system);
        let modes = modes::decide(system, &layouts)
            .map_err(|why| {
                let impossible = rules::PLAN_IMPOSSIBLE.says(why);
                report.push(impossible.label(&system.name, "for this system"));
            })
            .ok()?;
        Some(Self {
            system,
            layouts,
            modes,
            payloads,
            interrupts,
            placed,
            windows,
            channel_ipas,
            watchdogs,
            logs,
        })
    }

    fn plan(self, report: &mut Report) -> Option<Plan> {
        // Device trees depend on everything but the hypervisor's own addresses, and these on the
        // trees' sizes.
        let draft = self.decided(self.own(&[], report)?);
        let loads = self.loads(&draft, report)?;
        let (copies, places) = self.distinct(&loads);
        let own = self.own(&copies, report)?;
        let addresses = own.copies.clone();
        let mut decided = self.decided(own);
        let mut places = places.into_iter();
        for (vm, placed) in decided.vms.iter_mut().zip(loads) {
            vm.entry = Ipa::new(placed.entry);
            vm.x0 = Hex(placed.tree);
            vm.loads = placed.loads;
            for (load, place) in vm.loads.iter_mut().zip(&mut places) {
                load.bytes.copy = Pa::new(addresses[place]);
                load.bytes.at = addresses[place] - decided.hypervisor.tables.value();
            }
            vm.cleared = loads::uncovered(&vm.cleared, &vm.loads);
        }
        for flash in &mut decided.flashes {
            let loads = decided.vms[flash.vm].loads.iter();
            let own =
                loads.filter(|load| load.to.value().wrapping_sub(flash.pa.value()) < flash.bytes);
            flash.loads = own.cloned().collect();
        }
        self.fits(&decided, report)?;
        decided.memory_map = self.memory_map(&decided);
        decided.assumptions = assume::assumptions(self.system, &decided);
        decided.digest = Hex(self.digest());
        Some(decided)
    }

    pub fn console(&self) -> Option<&model::Uart> {
        let board = &self.system.board;
        board.console.as_ref().map(|uart| &board.uarts[uart.value])
    }

    /// Where the log is, on a board without a console: at the end of the hypervisor's memory,
    /// whatever else is in there.
    pub fn log(&self) -> Option<Log> {
        self.console().is_none().then(|| self.log_memory())
    }

    fn log_memory(&self) -> Log {
        let own = &self.system.hypervisor;
        let end = own.base + own.size.value;
        Log { base: Pa::new(end - log::BYTES), bytes: log::BYTES }
    }

    /// Registers of a VM's platform devices, in whole pages.
    pub fn registers(&self, vm: usize) -> Vec<NamedSpan> {
        let mut out = Vec::new();
        for used in &self.system.vms[vm].devices {
            let device = &self.system.board.devices[used.device.value];
            if let DeviceKind::Platform { regions, .. } = &device.kind {
                out.extend(regions.iter().map(|region| NamedSpan {
                    name: device.name.value.clone(),
                    base: Pa::new(region.start()),
                    bytes: region.size.value.next_multiple_of(PAGE),
                }));
            }
        }
        out
    }

    pub fn channel_ends(&self) -> impl Iterator<Item = ChannelEnd> + '_ {
        self.system.channels.iter().enumerate().flat_map(move |(n, channel)| {
            channel.ends.iter().enumerate().map(move |(side, end)| {
                let rings = &self.interrupts.rings[n];
                let peer = rings.get(1 - side.min(1)).map_or(0, |ring| ring.event);
                ChannelEnd {
                    name: channel.name.value.clone(),
                    channel: n,
                    role: if side == 0 { abi::tree::FIRST } else { abi::tree::SECOND },
                    vm: VmIndex::at(end.vm.value),
                    ipa: Ipa::new(self.channel_ipas[n][side]),
                    pa: Pa::new(self.placed.channels[n]),
                    bytes: channel.size.value,
                    rings: RingEvent { device: self.interrupts.channel_device, event: peer },
                    vintid: rings[side].vintid,
                    vpe: end.vpe.value,
                    writable: end.access.value == model::Access::ReadWrite,
                }
            })
        })
    }

    fn shared_memory(&self) -> Vec<SharedMemory> {
        let channels = self.system.channels.iter().zip(&self.placed.channels);
        let memory = channels.map(|(channel, &base)| SharedMemory {
            base: Pa::new(base),
            bytes: channel.size.value,
            clear: channel.clear,
        });
        memory.collect()
    }

    fn flashes(&self) -> Vec<Flash> {
        let vms = self.system.vms.iter().zip(&self.placed.memory).enumerate();
        let pieces = vms.flat_map(|(vm, (owner, placed))| {
            owner.memory.iter().zip(placed).map(move |(piece, at)| (vm, piece, at))
        });
        let flashes = pieces.filter(|(_, piece, _)| piece.role == model::MemoryRole::Flash);
        flashes
            .map(|(vm, piece, at)| Flash {
                vm: VmIndex::at(vm),
                ipa: at.ipa,
                pa: at.pa,
                bytes: at.bytes,
                erased: piece.clear,
                loads: Vec::new(),
            })
            .collect()
    }

    // VMs
    // ---------------------------------------------------------------------------------------------

    fn vm(&self, vm: usize, own: &Own) -> Vm {
        let owner = &self.system.vms[vm];
        let vmid = vm as u16 + 1;
        let mut memory = self.placed.memory[vm].clone();
        let ram = memory.iter().find(|piece| piece.role == model::MemoryRole::Ram);
        let main = ram.map(|piece| piece.ipa);
        memory.sort_by_key(|piece| piece.ipa);
        let main_memory = memory.iter().position(|piece| Some(piece.ipa) == main).unwrap_or(0);
        let before = |count: &dyn Fn(usize) -> u16| (0..vm).map(count).sum::<u16>();
        let functions = |vm| {
            let functions = self.windows.functions.iter();
            functions.filter(|function| function.vm.index() == vm).count() as u16
        };
        let ends = |vm| self.channel_ends().filter(|end| end.vm.index() == vm).count() as u16;
        let vlpis = own.its.as_ref().and_then(|its| its.vms[vm].clone());
        let (config, start, bits) =
            vlpis.unwrap_or((Span { base: Pa::new(0), bytes: 0 }, Vec::new(), 14));
        let console = if owner.console.value { self.console() } else { None };
        let windows = &self.windows;
        let timer = &self.system.board.timer;
        let restarts = schedule::limit(timer, owner.restarts.as_ref(), model::Restarts::USUAL);
        let pmu_ppi = self.pmu_ppi(owner);
        let timers = [timer.virtual_ppi.value as u8, timer.physical_ppi.value as u8];
        let ppis = timers.into_iter().chain(pmu_ppi);
        let hosts = host::seen(self.system, vm, &windows.of_vm[vm], &windows.functions);
        Vm {
            name: owner.name.value.clone(),
            vmid: VmId::new(vmid),
            vttbr: Hex(stage2::vttbr(vmid, own.stage2[vm].root)),
            vtcr: Hex(own.stage2[vm].vtcr),
            first_vpe: self.interrupts.first_vpe[vm] as u16,
            vpe_count: owner.vpes.len() as u16,
            entry: Ipa::new(0),
            x0: Hex(0),
            memory,
            main_memory,
            loads: Vec::new(),
            cleared: self.pieces(vm, true),
            kept: self.pieces(vm, false),
            mmio: self.mmio(vm, &hosts),
            uart_intid: console.and_then(|uart| uart.intid.as_ref()).map(|intid| intid.value),
            log: self.logs[vm].map(|ipa| GuestSpan { base: Ipa::new(ipa), bytes: log::BYTES }),
            vlpi_config: config,
            vlpi_config_start: start,
            vintid_bits: bits,
            first_function: before(&functions),
            function_count: functions(vm),
            first_channel_end: before(&ends),
            channel_end_count: ends(vm),
            its_allowance: its::allowance(owner, &self.system.board.timer),
            vlpi_priority: its::priority(owner),
            features: owner.features(),
            pmu_ppi,
            ppis: Hex(ppis.fold(0, |bits, ppi| bits | 1 << ppi)),
            its: owner.its.value,
            on_fault: watchdog::fault(owner.on_fault, &restarts),
            restarts: owner.is_restarted().then_some(restarts),
            resets: schedule::limit(timer, owner.resets.as_ref(), model::Restarts::USUAL_RESETS),
            mode_on_fault: owner.mode_on_fault.as_ref().map(|mode| ModeIndex::at(mode.value)),
            watchdog: self.watchdogs[vm].clone(),
            registers: self.registers(vm),
            hosts,
            bridges: self.bridges(vm),
            stand_ins: messages::stand_ins(self.system, vm, &windows.functions, &windows.bridges),
            arguments: owner.arguments.as_ref().map(|text| text.value.clone()),
            initrd: loads::initrd(&self.placed.memory[vm], &self.payloads.blobs[vm]),
            stage2_bytes: own.stage2[vm].bytes,
        }
    }

    /// Bridges that a VM sees.
    fn bridges(&self, vm: usize) -> Vec<BridgeView> {
        let bridges = self.windows.bridges.iter().enumerate();
        let views = bridges.flat_map(|(n, bridge)| bridge.views.iter().map(move |view| (n, view)));
        let own = views.filter(|(_, view)| view.vm.index() == vm);
        own.map(|(n, view)| BridgeView {
            bridge: n as u16,
            base: view.base,
            bytes: Hex(view.bytes),
        })
        .collect()
    }

    /// Pieces of a VM's memory that are cleared before its first start, or those that are kept, by
    /// guest address. A flash to clear is left out: the first start erases it.
    fn pieces(&self, vm: usize, clear: bool) -> Vec<Span> {
        let pieces = self.system.vms[vm].memory.iter().zip(&self.placed.memory[vm]);
        let mut pieces: Vec<_> = pieces
            .filter(|(piece, _)| piece.clear == clear)
            .filter(|(piece, _)| !(clear && piece.role == model::MemoryRole::Flash))
            .collect();
        pieces.sort_by_key(|(_, at)| at.ipa);
        pieces.iter().map(|(_, at)| Span { base: at.pa, bytes: at.bytes }).collect()
    }

    pub fn mmio(&self, vm: usize, hosts: &[PciHost]) -> Vec<Mmio> {
        let owner = &self.system.vms[vm];
        let gic = &self.system.board.gic;
        let mut out = vec![
            (gic.distributor.start(), FRAME, MmioKind::Distributor),
            (
                gic.redistributors.region.start(),
                REDISTRIBUTOR * owner.vpes.len() as u64,
                MmioKind::Redistributors,
            ),
        ];
        if let Some(uart) = self.console().filter(|_| owner.console.value) {
            out.push((uart.region.start(), PAGE, MmioKind::Uart));
        }
        if let (Some(its), true) = (&gic.its, owner.its.value != model::ItsPolicy::None) {
            out.push((its.region.start(), FRAME, MmioKind::Its));
        }
        if let Some(watchdog) = &self.watchdogs[vm] {
            out.push((watchdog.base.value(), watchdog::BYTES, MmioKind::Watchdog));
        }
        let ecams = hosts.iter().map(|host| &host.ecam);
        out.extend(ecams.map(|ecam| (ecam.base.value(), ecam.bytes, MmioKind::PciConfig)));
        let own = self.windows.functions.iter().filter(|function| function.vm == VmIndex::at(vm));
        let tables = own.filter_map(|function| function.msix?.pages);
        out.extend(tables.map(|pages| (pages.base.value(), pages.bytes, MmioKind::MsixTable)));
        out.sort_by_key(|region| region.0);
        let mmio = |(base, bytes, kind)| Mmio { base: Ipa::new(base), bytes, kind };
        out.into_iter().map(mmio).collect()
    }

    // The whole
    // ---------------------------------------------------------------------------------------------

    fn decided(&self, own: Own) -> Plan {
        let system = self.system;
        let vms = (0..system.vms.len()).map(|vm| self.vm(vm, &own)).collect();
        let mut ends: Vec<ChannelEnd> = self.channel_ends().collect();
        ends.sort_by_key(|end| (end.vm, end.channel, end.role));
        let (cpus, console_cpu) = self.cpus(&own);
        let vpes = self.vpes(&own);
        let board = self.board(own.its.is_some());
        let its = own.its.as_ref().map(|made| made.its.clone());
        let modes = self.modes(own.its.as_ref());
        let (smmus, masters) = (own.smmus.clone(), own.masters.clone());
        let region = &system.hypervisor;
        Plan {
            system: system.name.value.clone(),
            description: system.description.clone(),
            digest: Hex(0),
            board,
            cpus,
            vms,
            vpes,
            modes,
            its,
            leaves: smmus.iter().flat_map(|smmu| &smmu.leaves).copied().collect(),
            smmus,
            masters,
            spis: self.interrupts.spis.clone(),
            bridges: self.windows.bridges.clone(),
            functions: self.windows.functions.clone(),
            flashes: self.flashes(),
            shared_memory: self.shared_memory(),
            channel_ends: ends,
            escape: system.escape.value,
            focus: VmIndex::at(system.focus.as_ref().map_or(0, |vm| vm.value)),
            console_cpu: CpuIndex::at(console_cpu),
            when_all_off: system.when_all_off,
            hypervisor: own.hypervisor(region.base, region.size.value, self.log()),
            memory_map: Vec::new(),
            assumptions: Vec::new(),
        }
    }

    fn board(&self, direct_injection: bool) -> Board {
        let board = &self.system.board;
        Board {
            name: board.name.value.clone(),
            ram: board
                .ram
                .iter()
                .map(|ram| Ram {
                    name: ram.name.value.clone(),
                    base: Pa::new(ram.region.start()),
                    bytes: ram.region.size.value,
                    probe: self.probe(ram).map(Pa::new),
                })
                .collect(),
            distributor: Pa::new(board.gic.distributor.start()),
            redistributors: Pa::new(board.gic.redistributors.region.start()),
            redistributor_stride: board.gic.redistributors.stride.value,
            spis: board.gic.spis.value,
            list_registers: board.gic.list_registers.value,
            direct_injection,
            timer: Timer {
                frequency: u64::from(board.timer.frequency.value),
                virtual_ppi: board.timer.virtual_ppi.value as u8,
                physical_ppi: board.timer.physical_ppi.value as u8,
                hypervisor_ppi: board.timer.hypervisor_ppi.value as u8,
                maintenance_ppi: board.timer.maintenance_ppi.value as u8,
            },
            pmu_ppi: self.system.vms.iter().find_map(|vm| self.pmu_ppi(vm)),
            console: match self.console() {
                Some(uart) => Console::Uart(Uart {
                    kind: UartKind::Pl011,
                    base: Pa::new(uart.region.start()),
                    intid: uart.intid.as_ref().map(|intid| intid.value),
                }),
                None => Console::Log(self.log_memory()),
            },
            psci: board.psci.value,
            mpam: board.mpam,
            gic_coherent: board.gic.coherent,
            gic_deactivates: !board.gic.has(&quirk::ARM_2941627),
            quirks: quirk::asked(&board.gic),
            inherited: own::inherited(board)
                .map(|region| Span { base: Pa::new(region.start()), bytes: region.size.value })
                .collect(),
        }
    }

    /// The PMU's PPI, if the VM has the PMU and the board its interrupt.
    fn pmu_ppi(&self, vm: &model::Vm) -> Option<u8> {
        let has = vm.features.iter().any(|feature| feature.value == model::Feature::Pmu);
        let ppi = self.system.board.pmu_ppi.as_ref().filter(|_| has)?;
        Some(ppi.value as u8)
    }

    /// The CPUs, and the one that takes the console's interrupt: of those in use the first that is
    /// not cyclic and has no device interrupts of its own.
    fn cpus(&self, own: &Own) -> (Vec<Cpu>, usize) {
        let first = &self.layouts[0];
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
                    redistributor: Pa::new(cpu.redistributor.value),
                    processor: cpu.processor.value,
                    propbaser: Hex(propbaser),
                    pendbaser: Hex(pendbaser),
                    schedule: first.schedules[n].clone(),
                }
            })
            .collect();
        let used = cpus.iter().enumerate().filter(|(_, cpu)| cpu.schedule.is_used());
        let console = used.min_by_key(|(n, cpu)| {
            let of_modes = self.layouts.iter().map(|layout| &layout.schedules[*n]);
            let mut cyclic = of_modes.map(|schedule| matches!(schedule, Schedule::Cyclic { .. }));
            (cyclic.any(|cyclic| cyclic), cpu.pendbaser.0 != 0, *n)
        });
        let console = console.map_or(0, |(n, _)| n);
        (cpus, console)
    }

    fn vpes(&self, own: &Own) -> Vec<Vpe> {
        let places = &self.layouts[0].placements;
        let vpes = self.system.vpes().enumerate();
        vpes.map(|(n, (vm, number, vpe))| Vpe {
            vm: VmIndex::at(vm),
            number: number as u16,
            cpu: CpuIndex::at(vpe.cpu.value),
            slot: places[n].map_or(0, |place| place.slot),
            tables: own.its.as_ref().and_then(|its| its.vpes[n]),
        })
        .collect()
    }

    /// With the ITS commands of each switch.
    fn modes(&self, its: Option<&its::Made>) -> Option<Modes> {
        let mut modes = self.modes.clone()?;
        for (from, mode) in modes.modes.iter_mut().enumerate() {
            for (to, switch) in mode.switches.iter_mut().enumerate() {
                switch.script = its.map_or(Vec::new(), |its| its.switches[from][to].clone());
            }
        }
        Some(modes)
    }

    /// Device trees, and everything else that is copied into VMs.
    fn loads(&self, draft: &Plan, report: &mut Report) -> Option<Vec<Loads>> {
        let mut out = Vec::new();
        for (vm, owner) in self.system.vms.iter().enumerate() {
            let blob = &self.payloads.blobs[vm];
            let Some(tree) = tree::blob(self.system, draft, vm, blob, report) else { continue };
            out.extend(loads::place(owner, &self.placed.memory[vm], blob, tree, report));
        }
        (!report.has_errors()).then_some(out)
    }

    fn fits(&self, decided: &Plan, report: &mut Report) -> Option<()> {
        let own = &decided.hypervisor;
        let needed = own.kept + own.copies;
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
                    own.copies.div_ceil(1024),
                    own.bytes / 1024
                ))
                .label(size, "its memory")
                .help(format!("write `size = \"{enough} MiB\"` in [hypervisor]")),
        );
        None
    }

    fn memory_map(&self, decided: &Plan) -> Vec<Area> {
        let own = &decided.hypervisor;
        let area = |base: u64, bytes: u64, owner: &str, what: String| Area {
            base: Pa::new(base),
            bytes,
            owner: owner.to_owned(),
            what,
        };
        let tables = own.image.value() + own.room;
        let end = tables + own.tables_bytes;
        let log = decided.board.console.log();
        let top = own.base.value() + own.bytes - log.map_or(0, |log| log.bytes);
        let mut out = vec![
            area(
                own.base.value(),
                own.image.value() - own.base.value(),
                "hypervisor",
                "tables".into(),
            ),
            area(own.image.value(), own.room, "hypervisor", "code, data, stacks".into()),
            area(tables, own.tables_bytes, "hypervisor", "tables and payload copies".into()),
            area(end, top - end, "hypervisor", "free".into()),
        ];
        out.extend(log.map(|log| area(log.base.value(), log.bytes, "hypervisor", "log".into())));
        out.retain(|area| area.bytes > 0);
        for reserved in &self.system.board.reserved {
            let what = format!("{}: {}", reserved.name.value, reserved.reason);
            let inherits = reserved.lpi_tables && self.system.board.gic.direct_injection();
            let owner = if inherits { "LPI tables" } else { "reserved" };
            out.push(area(reserved.region.start(), reserved.region.size.value, owner, what));
        }
        for vm in &decided.vms {
            out.extend(vm.memory.iter().map(|piece| {
                let what = match piece.role {
                    model::MemoryRole::Ram => "memory",
                    role => role.name(),
                };
                area(
                    piece.pa.value(),
                    piece.bytes,
                    &vm.name,
                    format!("{what}, seen at {}", piece.ipa),
                )
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
            blob.initrd.iter().chain(&blob.dtb).chain(&blob.overlay).for_each(|bytes| add(bytes));
            blob.files.iter().for_each(|(_, bytes)| add(bytes));
        }
        let hash = hash.finalize();
        hash.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    /// The distinct pieces of all loads, each with a name, and which of them each load is.
    fn distinct(&self, loads: &[Loads]) -> (Vec<(String, Vec<u8>)>, Vec<usize>) {
        let mut pieces: Vec<(String, Vec<u8>)> = Vec::new();
        let mut places = Vec::new();
        for (vm, placed) in self.system.vms.iter().zip(loads) {
            for load in &placed.loads {
                let known = pieces.iter().position(|(_, data)| *data == load.bytes.data);
                places.push(known.unwrap_or(pieces.len()));
                if known.is_none() {
                    let name = format!("copy of {}'s {}", vm.name.value, load.what);
                    pieces.push((name, load.bytes.data.clone()));
                }
            }
        }
        (pieces, places)
    }
}
