//! Making a plan: the order in which things are decided.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::assume;
use super::decided::*;
use super::host;
use super::interrupts::{self, Interrupts};
use super::its;
use super::loads::{self, Loads};
use super::log;
use super::memory::{self, Placed};
use super::messages;
use super::modes::{self, Modes};
use super::own::{self, Own};
use super::pci::{self, Windows};
use super::schedule::{self, Layout, Schedule};
use super::watchdog;
use crate::diag::{Report, rules};
use crate::emit::stage2;
use crate::limits::REDISTRIBUTOR;
use crate::model::{self, At, DeviceKind, System};
use crate::payload::Payloads;
use crate::tree;
use crate::units::Time;

const PAGE: u64 = 4096;
const FRAME: u64 = 64 << 10;

/// Decides everything about a system that `check` has passed.
pub fn make(system: &System, payloads: &Payloads) -> Result<Decided, Report> {
    let mut report = Report { sources: system.sources.clone(), ..Report::default() };
    match Maker::new(system, payloads, &mut report).and_then(|maker| maker.plan(&mut report)) {
        Some(decided) if !report.has_errors() => {
            report.sort();
            Ok(Decided { warnings: report.diagnostics, ..decided })
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
        let logs = log::place(system, &placed, &windows, (&channel_ipas, &watchdogs), report)?;
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

    fn plan(self, report: &mut Report) -> Option<Decided> {
        // Device trees depend on everything but the hypervisor's own addresses, and these on the trees' sizes.
        let draft = self.decided(self.own(&[], report)?);
        let loads = self.loads(&draft, report)?;
        let (copies, places) = self.distinct(&loads);
        let own = self.own(&copies, report)?;
        let addresses = own.copies.clone();
        let mut decided = self.decided(own);
        let mut places = places.into_iter();
        for (vm, placed) in decided.vms.iter_mut().zip(loads) {
            vm.entry = Hex(placed.entry);
            vm.x0 = Hex(placed.tree);
            vm.loads = placed.loads;
            for (load, place) in vm.loads.iter_mut().zip(&mut places) {
                load.copy = Hex(addresses[place]);
            }
            vm.cleared = loads::uncovered(&vm.cleared, &vm.loads);
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
    pub fn log(&self) -> Option<Span> {
        self.console().is_none().then(|| self.log_span())
    }

    fn log_span(&self) -> Span {
        let own = &self.system.hypervisor;
        let end = own.base + own.size.value;
        Span { base: Hex(end - log::BYTES), bytes: log::BYTES }
    }

    /// Registers of a VM's platform devices, in whole pages.
    pub fn registers(&self, vm: usize) -> Vec<NamedSpan> {
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

    pub fn channel_ends(&self) -> impl Iterator<Item = ChannelEnd> + '_ {
        self.system.channels.iter().enumerate().flat_map(move |(n, channel)| {
            channel.ends.iter().enumerate().map(move |(side, end)| {
                let rings = &self.interrupts.rings[n];
                let peer = rings.get(1 - side.min(1)).map_or(0, |ring| ring.event);
                ChannelEnd {
                    name: channel.name.value.clone(),
                    channel: n,
                    role: if side == 0 { abi::tree::FIRST } else { abi::tree::SECOND },
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

    fn shared_memory(&self) -> Vec<SharedMemory> {
        let channels = self.system.channels.iter().zip(&self.placed.channels);
        let memory = channels.map(|(channel, &base)| SharedMemory {
            base: Hex(base),
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
                vm,
                ipa: at.ipa,
                pa: at.pa,
                bytes: at.bytes,
                erased: piece.clear,
            })
            .collect()
    }

    // VMs ----------------------------------------------------------------------------------------------------------

    fn vm(&self, vm: usize, own: &Own) -> Vm {
        let owner = &self.system.vms[vm];
        let vmid = vm as u16 + 1;
        let mut memory = self.placed.memory[vm].clone();
        let ram = memory.iter().find(|piece| piece.role == model::MemoryRole::Ram);
        let main = ram.map(|piece| piece.ipa);
        memory.sort_by_key(|piece| piece.ipa);
        let main_memory = memory.iter().position(|piece| Some(piece.ipa) == main).unwrap_or(0);
        let before = |count: &dyn Fn(usize) -> usize| (0..vm).map(count).sum::<usize>();
        let functions =
            |vm| self.windows.functions.iter().filter(|function| function.vm == vm).count();
        let ends = |vm| self.channel_ends().filter(|end| end.vm == vm).count();
        let vlpis = own.its.as_ref().and_then(|its| its.vms[vm].clone());
        let (config, start, bits) =
            vlpis.unwrap_or((Span { base: Hex(0), bytes: 0 }, Vec::new(), 14));
        let console = if owner.console.value { self.console() } else { None };
        let windows = &self.windows;
        let hosts = host::seen(self.system, vm, &windows.of_vm[vm], &windows.functions);
        Vm {
            name: owner.name.value.clone(),
            vmid,
            vttbr: Hex(stage2::vttbr(vmid, own.stage2[vm].root)),
            vtcr: Hex(own.stage2[vm].vtcr),
            first_vpe: self.interrupts.first_vpe[vm],
            vpe_count: owner.vpes.len(),
            entry: Hex(0),
            x0: Hex(0),
            memory,
            main_memory,
            loads: Vec::new(),
            cleared: self.pieces(vm, true),
            kept: self.pieces(vm, false),
            mmio: self.mmio(vm, &hosts),
            uart_intid: console.and_then(|uart| uart.intid.as_ref()).map(|intid| intid.value),
            log: self.logs[vm].map(|ipa| Span { base: Hex(ipa), bytes: log::BYTES }),
            vlpi_config: config,
            vlpi_config_start: start,
            vintid_bits: bits,
            first_function: before(&functions),
            function_count: functions(vm),
            first_channel_end: before(&ends),
            channel_end_count: ends(vm),
            its_allowance: its::allowance(owner, &self.system.board.timer),
            event_priority: its::priority(owner),
            features: owner.features.iter().map(|feature| feature.value.name()).collect(),
            pmu_ppi: self.pmu_ppi(owner),
            its: match owner.its.value {
                model::ItsPolicy::None => "none",
                model::ItsPolicy::Fixed => "fixed",
                model::ItsPolicy::Remap => "remap",
            },
            on_fault: watchdog::name(owner.on_fault),
            restarts: owner
                .is_restarted()
                .then(|| self.limit(owner.restarts.as_ref(), model::Restarts::USUAL)),
            resets: self.limit(owner.resets.as_ref(), model::Restarts::USUAL_RESETS),
            mode_on_fault: owner.mode_on_fault.as_ref().map(|mode| mode.value),
            watchdog: self.watchdogs[vm].clone(),
            registers: self.registers(vm),
            hosts,
            stand_ins: messages::stand_ins(self.system, vm, &windows.functions, &windows.bridges),
            arguments: owner.arguments.as_ref().map(|text| text.value.clone()),
            initrd: loads::initrd(&self.placed.memory[vm], &self.payloads.blobs[vm]),
            stage2_bytes: own.stage2[vm].bytes,
        }
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

    /// How often a VM may start again, by what the TOML says or what is usual.
    fn limit(&self, limit: Option<&At<model::Restarts>>, usual: (u32, Duration)) -> Restarts {
        let (most, within) =
            limit.map_or(usual, |limit| (limit.value.most, limit.value.within.value));
        let ticks = self.system.board.timer.ticks(within);
        Restarts { most, within: Time(within).to_string(), ticks }
    }

    pub fn mmio(&self, vm: usize, hosts: &[Host]) -> Vec<Mmio> {
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
            out.push((watchdog.base.0, watchdog::BYTES, MmioKind::Watchdog));
        }
        let ecams = hosts.iter().map(|host| &host.ecam);
        out.extend(ecams.map(|ecam| (ecam.base.0, ecam.bytes, MmioKind::PciConfig)));
        let own = self.windows.functions.iter().filter(|function| function.vm == vm);
        let tables = own.filter_map(|function| function.msix?.pages);
        out.extend(tables.map(|pages| (pages.base.0, pages.bytes, MmioKind::MsixTable)));
        out.sort_by_key(|region| region.0);
        let mmio = |(base, bytes, kind)| Mmio { base: Hex(base), bytes, kind };
        out.into_iter().map(mmio).collect()
    }

    // The whole ----------------------------------------------------------------------------------------------------

    fn decided(&self, own: Own) -> Decided {
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
        Decided {
            system: system.name.value.clone(),
            description: system.description.clone(),
            digest: Hex(0),
            board,
            cpus,
            vms,
            vpes,
            modes,
            its,
            smmus,
            masters,
            spis: self.interrupts.spis.clone(),
            bridges: self.windows.bridges.clone(),
            functions: self.windows.functions.clone(),
            flashes: self.flashes(),
            shared_memory: self.shared_memory(),
            channel_ends: ends,
            escape: system.escape.value,
            focus: system.focus.as_ref().map_or(0, |vm| vm.value),
            console_cpu,
            power_off: system.when_all_off == model::PowerOff::PowerOff,
            hypervisor: own.hypervisor(region.base, region.size.value, self.log()),
            memory_map: Vec::new(),
            assumptions: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn board(&self, direct_injection: bool) -> Board {
        let board = &self.system.board;
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
            probes: board.ram.iter().map(|ram| self.probe(ram).map(Hex)).collect(),
            distributor: Hex(board.gic.distributor.start()),
            redistributors: Hex(board.gic.redistributors.region.start()),
            redistributor_stride: board.gic.redistributors.stride.value,
            spis: board.gic.spis.value,
            list_registers: board.gic.list_registers.value,
            direct_injection,
            frequency: u64::from(board.timer.frequency.value),
            virtual_ppi: board.timer.virtual_ppi.value,
            physical_ppi: board.timer.physical_ppi.value,
            hypervisor_ppi: board.timer.hypervisor_ppi.value,
            maintenance_ppi: board.timer.maintenance_ppi.value,
            console: match self.console() {
                Some(uart) => Console::Uart {
                    base: Hex(uart.region.start()),
                    intid: uart.intid.as_ref().map(|intid| intid.value),
                },
                None => Console::Log(self.log_span()),
            },
            psci_smc: board.psci.value == model::Conduit::Smc,
            mpam: board.mpam,
            gic_coherent: board.gic.coherent,
            quirks: board.gic.quirks.iter().map(|quirk| quirk.value.name).collect(),
            inherited: own::inherited(board)
                .map(|region| Span { base: Hex(region.start()), bytes: region.size.value })
                .collect(),
        }
    }

    /// The PMU's PPI, if the VM has the PMU and the board its interrupt.
    fn pmu_ppi(&self, vm: &model::Vm) -> Option<u32> {
        let has = vm.features.iter().any(|feature| feature.value == model::Feature::Pmu);
        let ppi = self.system.board.pmu_ppi.as_ref().filter(|_| has)?;
        Some(ppi.value)
    }

    /// The CPUs, and the one that takes the console's interrupt: of those in use the first that is not cyclic and has
    /// no device interrupts of its own.
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
                    redistributor: Hex(cpu.redistributor.value),
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
            vm,
            number,
            cpu: vpe.cpu.value,
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
    fn loads(&self, draft: &Decided, report: &mut Report) -> Option<Vec<Loads>> {
        let mut out = Vec::new();
        for (vm, owner) in self.system.vms.iter().enumerate() {
            let blob = &self.payloads.blobs[vm];
            let Some(tree) = tree::blob(self.system, draft, vm, blob, report) else { continue };
            out.extend(loads::place(owner, &self.placed.memory[vm], blob, tree, report));
        }
        (!report.has_errors()).then_some(out)
    }

    fn fits(&self, decided: &Decided, report: &mut Report) -> Option<()> {
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

    fn memory_map(&self, decided: &Decided) -> Vec<Area> {
        let own = &decided.hypervisor;
        let area = |base: u64, bytes: u64, owner: &str, what: String| Area {
            base: Hex(base),
            bytes,
            owner: owner.to_owned(),
            what,
        };
        let tables = own.image.0 + own.room;
        let end = tables + own.tables_bytes;
        let log = decided.board.console.log();
        let top = own.base.0 + own.bytes - log.map_or(0, |log| log.bytes);
        let mut out = vec![
            area(own.base.0, own.image.0 - own.base.0, "hypervisor", "tables".into()),
            area(own.image.0, own.room, "hypervisor", "code, data, stacks".into()),
            area(tables, own.tables_bytes, "hypervisor", "tables and payload copies".into()),
            area(end, top - end, "hypervisor", "free".into()),
        ];
        out.extend(log.map(|log| area(log.base.0, log.bytes, "hypervisor", "log".into())));
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
                area(piece.pa.0, piece.bytes, &vm.name, format!("{what}, seen at {}", piece.ipa))
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
                let known = pieces.iter().position(|(_, data)| *data == load.data);
                places.push(known.unwrap_or(pieces.len()));
                if known.is_none() {
                    let name = format!("copy of {}'s {}", vm.name.value, load.what);
                    pieces.push((name, load.data.clone()));
                }
            }
        }
        (pieces, places)
    }
}
