// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM of the plan: what its registers hold, what it sees, and where.

use std::collections::BTreeSet;
use std::ops::Range;

use super::make::Maker;
use super::own::Own;
use super::{console, host, its, loads, messages, schedule, watchdog};
use crate::emit::stage2;
use crate::limits::REDISTRIBUTOR;
use crate::model::{self, DeviceKind};
use ::plan::*;

const FRAME: u64 = 64 << 10;

impl Maker<'_> {
    pub(super) fn vm(&self, vm: usize, own: &Own) -> Vm {
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
            settle_ms: self.settle_ms(owner),
            first_channel_end: before(&ends),
            channel_end_count: ends(vm),
            its_allowance: its::allowance(owner, &self.system.board.timer),
            vlpi_priority: its::priority(owner),
            features: owner.features(),
            pmu_ppi,
            ppis: Hex(ppis.fold(0, |bits, ppi| bits | 1 << ppi)),
            its: owner.its.value,
            on_fault: owner.on_fault,
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

    /// Of a VM's platform devices, the longest.
    fn settle_ms(&self, owner: &model::Vm) -> u32 {
        let all = &self.system.board.devices;
        let own = owner.devices.iter().filter_map(|given| all.get(given.device.value));
        own.filter(|device| device.is_platform()).map(model::Device::settle_ms).max().unwrap_or(0)
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
        out.extend(self.uarts[vm].map(|ipa| (ipa, console::BYTES, MmioKind::Uart)));
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

    /// Registers of a VM's platform devices, in whole pages. Pages that overlap are there once,
    /// with the names of all whose registers are in them.
    pub fn registers(&self, vm: usize) -> Vec<NamedSpan> {
        let mut out: Vec<(Range<u64>, Vec<&str>)> = Vec::new();
        for used in &self.system.vms[vm].devices {
            let device = &self.system.board.devices[used.device.value];
            let DeviceKind::Platform { regions, .. } = &device.kind else { continue };
            for region in regions {
                join(&mut out, region.pages(), &device.name.value);
            }
        }
        let span = |(pages, names): (Range<u64>, Vec<&str>)| NamedSpan {
            name: names.join(", "),
            base: Pa::new(pages.start),
            bytes: pages.end - pages.start,
        };
        out.into_iter().map(span).collect()
    }

    /// The PMU's PPI, if the VM has the PMU and the board its interrupt.
    pub(super) fn pmu_ppi(&self, vm: &model::Vm) -> Option<u8> {
        let has = vm.features.iter().any(|feature| feature.value == model::Feature::Pmu);
        let ppi = self.system.board.pmu_ppi.as_ref().filter(|_| has)?;
        Some(ppi.value as u8)
    }
}

/// Adds `pages` of `device` to `all`, of which no two overlap.
fn join<'a>(all: &mut Vec<(Range<u64>, Vec<&'a str>)>, mut pages: Range<u64>, device: &'a str) {
    let mut names: Vec<&str> = Vec::new();
    let mut place = all.len();
    let over = |(known, _): &(Range<u64>, Vec<&str>), pages: &Range<u64>| {
        known.start < pages.end && pages.start < known.end
    };
    while let Some(at) = all.iter().position(|known| over(known, &pages)) {
        let (known, owners) = all.remove(at);
        pages = pages.start.min(known.start)..pages.end.max(known.end);
        names.extend(owners);
        place = place.min(at);
    }
    names.push(device);
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    all.insert(place.min(all.len()), (pages, names));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_overlap_are_one() {
        let mut all = Vec::new();
        join(&mut all, 0x1000..0x2000, "a");
        join(&mut all, 0x4000..0x6000, "b");
        join(&mut all, 0x5000..0x6000, "a");
        assert_eq!(all, [(0x1000..0x2000, vec!["a"]), (0x4000..0x6000, vec!["b", "a"])]);
        join(&mut all, 0x1000..0x5000, "c");
        assert_eq!(all, [(0x1000..0x6000, vec!["a", "b", "c"])]);
        join(&mut all, 0x6000..0x7000, "a");
        assert_eq!(all.len(), 2, "neighbours stay apart");
    }
}
