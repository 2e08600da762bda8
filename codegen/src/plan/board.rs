// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board of the plan, its CPUs, and the vPEs on them.

use super::console;
use super::make::Maker;
use super::own::{self, Own};
use crate::model::quirk;
use ::plan::*;

impl Maker<'_> {
    pub(super) fn board(&self, direct_injection: bool) -> Board {
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
                Some(uart) => Console::Uart(Box::new(console::uart(uart))),
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

    /// The CPUs, and the one that takes the console's interrupt: of those in use the first that is
    /// not cyclic and has no device interrupts of its own.
    pub(super) fn cpus(&self, own: &Own) -> (Vec<Cpu>, usize) {
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

    pub(super) fn vpes(&self, own: &Own) -> Vec<Vpe> {
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
}
