// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making a plan: the order in which things are decided.

use sha2::{Digest, Sha256};

use super::assume;
use super::console;
use super::interrupts::{self, Interrupts};
use super::its;
use super::loads::{self, Loads};
use super::log_view;
use super::memory::{self, Placed};
use super::messages;
use super::modes;
use super::own::Own;
use super::pci::{self, Windows};
use super::schedule::{self, Layout};
use super::smmu;
use super::watchdog;
use crate::diag::{Diagnostic, Report, rules};
use crate::model::{self, System};
use crate::payload::Payloads;
use crate::tree;
use ::plan::*;

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
    pub payloads: &'a Payloads,
    pub placed: Placed,
    pub windows: Windows,
    pub interrupts: Interrupts,
    /// By mode.
    pub layouts: Vec<Layout>,
    pub modes: Option<Modes>,
    /// `[channel][end]`.
    pub channel_ipas: Vec<Vec<u64>>,
    /// By VM.
    pub watchdogs: Vec<Option<Watchdog>>,
    /// IPA of each VM's UART.
    pub uarts: Vec<Option<u64>>,
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
        let beside = (channel_ipas.as_slice(), watchdogs.as_slice());
        let uarts = console::place(system, &placed, &windows, beside, report)?;
        let logs = log_view::place(system, &placed, &windows, beside, report)?;
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
            uarts,
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

    pub(super) fn log_memory(&self) -> Log {
        let own = &self.system.hypervisor;
        let end = own.base + own.size.value;
        Log { base: Pa::new(end - log::BYTES), bytes: log::BYTES }
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

    fn decided(&self, own: Own) -> Plan {
        let system = self.system;
        let vms = (0..system.vms.len()).map(|vm| self.vm(vm, &own)).collect();
        let mut ends: Vec<ChannelEnd> = self.channel_ends().collect();
        ends.sort_by_key(|end| (end.vm, end.channel, end.role));
        let (cpus, console_cpu) = self.cpus(&own);
        let vpes = self.vpes(&own);
        let direct = own.its.is_some() && system.board.gic.direct_injection();
        let board = self.board(direct);
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
            events: self.interrupts.events.clone(),
            leaves: smmus.iter().flat_map(|smmu| &smmu.leaves).copied().collect(),
            smmus,
            closed_smmus: smmu::closed(system),
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
        self.system.board.tree.iter().flat_map(|tree| &tree.blob).for_each(|blob| add(blob));
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
