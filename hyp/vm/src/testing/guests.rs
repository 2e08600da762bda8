// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The plan of the machine, and guests of two VMs on it.

use super::{
    BRIDGE, Cpu, ECAM, FAR_ECAM, FAR_FUNCTION, FOREIGN, FUNCTION, GICD, GICR, LIST_REGISTERS,
    Machine, PHYSICAL_TIMER, PMU, RAM, SPIS, STAND_IN, TABLE, TIMER, TRANSLATER, UART, UART_INTID,
    WATCHDOG, WATCHDOG_INTID,
};
use crate::{Guest, VmState, VpeState, mmio, power::Start, vits};
use core::cell::RefCell;
use plan::{
    Bar, Board, BridgeView, ChannelEnd, Conduit, ConfigSpace, CpuIndex, EventRoute, Fault, Ipa,
    Its, ItsPolicy, Mapping, Messages, Mmio, MmioKind, Msix, Pa, PciBridge, PciFunction, Plan,
    PowerOff, Restarts, Span, SpiRoute, StandIn, Vm, VmId, VmIndex, Vpe, VpeIndex,
};
use std::{boxed::Box, vec::Vec};

const WATCHDOG_OF_FIRST: plan::Watchdog = plan::Watchdog {
    ticks: 1000,
    from_start: true,
    action: None,
    mode: None,
    intid: WATCHDOG_INTID,
};

pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub fn vm(
    name: &'static str,
    first_vpe: u16,
    vpe_count: u16,
    functions: u16,
    ends: (u16, u16),
    its: ItsPolicy,
) -> Vm {
    let region = |base, bytes, kind| Mmio { base: Ipa::new(base), bytes, kind };
    Vm {
        name,
        vmid: VmId::new(first_vpe + 1),
        vttbr: 0,
        vtcr: 0,
        first_vpe,
        vpe_count,
        entry: Ipa::new(RAM),
        x0: 0,
        memory: leak([Mapping { ipa: Ipa::new(RAM), pa: Pa::new(RAM), bytes: 0x20_0000 }]),
        cleared: &[],
        kept: &[],
        loads: &[],
        mmio: leak([
            region(GICD, 0x1_0000, MmioKind::Distributor),
            region(GICR, u64::from(vpe_count) << 17, MmioKind::Redistributors),
            region(UART, 0x1000, MmioKind::Uart),
            region(WATCHDOG, crate::watchdog::BYTES, MmioKind::Watchdog),
            region(ECAM, 0x10_0000, MmioKind::PciConfig),
            region(FAR_ECAM, 0x10_0000, MmioKind::PciConfig),
            region(TABLE, if functions == 0 { 0 } else { 0x1000 }, MmioKind::MsixTable),
        ]),
        uart_intid: Some(UART_INTID),
        vlpi_config: Span { base: Pa::new(0), bytes: 0 },
        vlpi_config_start: &[],
        vintid_bits: 14,
        bridges: match functions {
            0 => &[],
            _ => leak([BridgeView { bridge: 0, base: 0x1010_0000, bytes: 0x20_0000 }]),
        },
        stand_ins: match functions {
            0 => &[],
            _ => leak([StandIn {
                space: ConfigSpace { config: Pa::new(STAND_IN), id: 0xffff_1b36 },
            }]),
        },
        first_function: 0,
        function_count: functions,
        settle_ms: 0,
        first_channel_end: ends.0,
        channel_end_count: ends.1,
        its,
        vlpi_priority: 0xa0,
        its_allowance: plan::ItsAllowance { most: 32, interval: 31_250 },
        features: plan::Features::NONE,
        ppis: 1 << TIMER | 1 << PHYSICAL_TIMER | 1 << PMU,
        on_fault: Fault::Halt,
        restarts: None,
        resets: Restarts { most: 5, ticks: 1000 },
        mode_on_fault: None,
        watchdog: (first_vpe == 0).then_some(WATCHDOG_OF_FIRST),
    }
}

fn end(vm: u16, event: u32) -> ChannelEnd {
    ChannelEnd {
        name: "samples",
        vm: VmIndex::new(vm),
        ipa: Ipa::new(0x5000_0000),
        pa: Pa::new(0x5000_0000),
        bytes: 0x1000,
        rings: event,
        vintid: 8192,
        writable: true,
    }
}

/// VM "one" with vPEs 0 and 1, two functions and a channel to VM "two" with vPE 2.
pub fn plan() -> &'static Plan {
    let vpe = |vm, number, cpu| Vpe {
        vm: VmIndex::new(vm),
        number,
        cpu: CpuIndex::new(cpu),
        slot: 0,
        tables: None,
    };
    leak(plan_of(
        leak([
            vm("one", 0, 2, 2, (0, 1), ItsPolicy::None),
            vm("two", 2, 1, 0, (1, 1), ItsPolicy::Fixed),
        ]),
        leak([vpe(0, 0, 0), vpe(0, 1, 1), vpe(1, 0, 2)]),
    ))
}

/// The board's UART.
static CONSOLE: plan::Uart = plan::Uart {
    kind: plan::UartKind::Pl011,
    base: Pa::new(UART),
    reg_shift: 0,
    reg_io_width: 4,
    intid: Some(33),
    early: plan::Early {
        status: 0x18,
        status_width: 4,
        bit: 5,
        ready: false,
        command: &[],
        data: 0,
        data_width: 4,
    },
};

/// A board with these VMs, its SPIs and devices shared out as [`plan`] has them.
pub fn plan_of(vms: &'static [Vm], vpes: &'static [Vpe]) -> Plan {
    let spi = |intid: u32| {
        let route = |vm, vpe| SpiRoute {
            vm: VmIndex::new(vm),
            vpe: VpeIndex::new(vpe),
            edge: intid.is_multiple_of(2),
        };
        match intid {
            FOREIGN => Some(route(1, 2)),
            _ if SPIS.contains(&intid) => Some(route(0, 0)),
            _ => None,
        }
    };
    let spis: Vec<Option<SpiRoute>> = (32..288).map(spi).collect();
    let bar = |index, wide, bus, bytes| Bar { index, wide, prefetchable: false, bus, bytes };
    let function = |config, bars: &'static [Bar]| PciFunction {
        name: "nvme0",
        place: "00:02.0 of pcie0",
        messages: None,
        msix: None,
        held: false,
        settle_ms: 7,
        pin: 0,
        vm: VmIndex::new(0),
        space: ConfigSpace { config: Pa::new(config), id: 0x0010_1b36 },
        bars,
        setup: &[],
    };
    let events = [(0x1ff, 0, 2), (0x1ff, 1, 0)].map(|(device, event, vpe)| EventRoute {
        device,
        event,
        vintid: 8192,
        vpe: VpeIndex::new(vpe),
        source: "samples",
        ring: true,
    });
    Plan {
        hypervisor: plan::Hypervisor {
            ttbr: Pa::new(0),
            tcr: 0,
            image_l3: Pa::new(0),
            window: 0,
            window_entries: Pa::new(0),
            stack_bytes: 0,
            cleared: &[],
        },
        system: "fake",
        digest: 0,
        board: Board {
            name: "fake",
            ram: &[],
            distributor: Pa::new(GICD),
            spis: 256,
            list_registers: LIST_REGISTERS as u8,
            redistributor_stride: 0x4_0000,
            direct_injection: true,
            timer: plan::Timer {
                frequency: 1_000_000_000,
                virtual_ppi: TIMER as u8,
                physical_ppi: PHYSICAL_TIMER as u8,
                hypervisor_ppi: 26,
                maintenance_ppi: 25,
            },
            pmu_ppi: Some(PMU as u8),
            console: plan::Console::Uart(&CONSOLE),
            psci: Conduit::Smc,
            mpam: false,
            gic_coherent: true,
            gic_deactivates: true,
            quirks: &[],
            inherited: &[],
        },
        cpus: &[],
        vms,
        vpes,
        modes: None,
        its: Some(Its {
            base: Pa::new(0),
            device_id_bits: 16,
            event_id_bits: 16,
            by_address: false,
            entry_bytes: 12,
            moves: false,
            collection_id_bits: 4,
            vintid_bits: 14,
            v41: None,
            tables: &[],
            cbaser: 0,
            queue: Span { base: Pa::new(0), bytes: 0 },
            script: &[],
            lpi_config: Span { base: Pa::new(0), bytes: 0 },
        }),
        events: leak(events),
        smmus: &[],
        closed_smmus: &[],
        masters: &[],
        leaves: &[],
        spis: Vec::leak(spis),
        bridges: leak([PciBridge {
            name: "port0",
            place: "00:01.0 of pcie0",
            space: ConfigSpace { config: Pa::new(BRIDGE), id: 0x000c_1b36 },
            primary: 0,
            secondary: 1,
            subordinate: 2,
            acs: false,
            bars: &[],
            setup: &[],
        }]),
        functions: leak([
            PciFunction {
                messages: Some(Messages { address: TRANSLATER, events: 3 }),
                msix: Some(Msix {
                    vectors: 4,
                    bar: 0,
                    offset: 0x2000,
                    pages: Some(Span { base: Pa::new(TABLE), bytes: 0x1000 }),
                }),
                ..function(
                    FUNCTION,
                    leak([
                        bar(0, true, 0x80_1000_4000, 0x4000),
                        bar(3, false, 0x1000_0000, 0x1000),
                    ]),
                )
            },
            function(FAR_FUNCTION, leak([bar(0, false, 0x2800_0000, 0x10_0000)])),
        ]),
        shared_memory: &[],
        flashes: &[],
        channel_ends: leak([end(0, 0), end(1, 1)]),
        escape: 0x1d,
        focus: VmIndex::new(0),
        console_cpu: CpuIndex::new(0),
        when_all_off: PowerOff::PowerOff,
    }
}

/// The same on a GICv4.1 with virtual SGIs.
pub fn plan_v41() -> &'static Plan {
    let mut plan = plan_of(plan().vms, plan().vpes);
    if let Some(its) = &mut plan.its {
        its.v41 = Some(plan::GicV41 {
            vpe_id_bits: 2,
            common_affinity: 3,
            invalidates: true,
            virtual_sgis: true,
            vpe_table: None,
        });
    }
    leak(plan)
}

/// Guests of all vPEs, in the state of a VM that just starts.
pub fn guests() -> [Guest; 3] {
    guests_of(plan())
}

pub fn guests_of(plan: &'static Plan) -> [Guest; 3] {
    let vms: &'static [VmState] = leak([const { VmState::new() }; 2]);
    let vpes: &'static [VpeState] = leak([const { VpeState::new() }; 3]);
    for (vm, config) in vms.iter().zip(plan.vms) {
        vm.reset(plan, config);
        vm.health.start();
    }
    let events: &'static [vits::Event] = leak([const { vits::Event::new() }; 2]);
    [0, 1, 2]
        .map(|index| Guest::new(plan, vms, vpes, events, VpeIndex::new(index)).expect("it exists"))
}

pub fn write(guest: &Guest, cpu: &mut Cpu, ipa: u64, bytes: u32, value: u64) {
    assert_eq!(mmio::write(guest, cpu, ipa, bytes, value), mmio::Written::Done);
}

/// Both vPEs on, SGIs and word 1 enabled.
pub fn pair(machine: &RefCell<Machine>) -> [(Guest, Cpu<'_>); 2] {
    let [first, second, _] = guests();
    let mut cpu = Cpu { machine, index: 0 };
    for guest in [first, second] {
        let _ = guest.vpe.power.turn_on(Start { entry: 0, context: 0 });
        guest.vpe.power.take_start();
    }
    for (ipa, value) in [(GICD, 2), (GICR + 0x1_0100, 0xffff_ffff), (GICD + 0x104, 0xffff_ffff)] {
        write(&first, &mut cpu, ipa, 4, value);
    }
    [(first, cpu), (second, Cpu { machine, index: 1 })]
}
