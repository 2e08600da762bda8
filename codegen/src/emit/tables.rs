//! plan.rs: the plan as constants of the `plan` crate's types.
//!
//! There is no logic in it, and nothing unsafe. It refers to `TABLES`, the bytes of tables.bin, which the file that
//! includes it declares: payload copies are slices of that.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::report::address;
use super::{its, schedule, smmu};
use crate::model::quirk;
use crate::plan::{
    Bar, Board, Bridge, ChannelEnd, Console, Cpu, Decided, Flash, Function, Hex, Hypervisor, Load,
    MmioKind, Restarts, Span, SpiRoute, Vm, Vpe, Watchdog,
};

const HEAD: &str =
    "// Generated from the system's TOML; `bulkhead plan` shows the same for people.\n\n";

/// The file.
pub fn file(plan: &Decided) -> String {
    match syn::parse2(tokens(plan)) {
        Ok(file) => format!("{HEAD}{}", prettyplease::unparse(&file)),
        // What `quote!` made above parses; should it not, the compiler's message is better than none.
        Err(_) => tokens(plan).to_string(),
    }
}

/// A literal in base 16.
pub fn hex(value: Hex) -> TokenStream {
    let text = format!("{:#x}", value.0);
    match text.parse() {
        Ok(tokens) => tokens,
        Err(_) => {
            let literal = Literal::u64_unsuffixed(value.0);
            quote!(#literal)
        }
    }
}

pub fn pa(value: Hex) -> TokenStream {
    let value = hex(value);
    quote!(plan::Pa::new(#value))
}

fn ipa(value: Hex) -> TokenStream {
    let value = hex(value);
    quote!(plan::Ipa::new(#value))
}

fn span(span: Span) -> TokenStream {
    let (base, bytes) = (pa(span.base), span.bytes);
    quote!((#base, #bytes))
}

/// A name as EL2 may print it: control characters could make two lines of one, or draw over another.
pub fn name(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn option<T>(value: Option<T>, tokens: impl Fn(T) -> TokenStream) -> TokenStream {
    match value.map(tokens) {
        None => quote!(None),
        Some(tokens) => quote!(Some(#tokens)),
    }
}

fn tokens(plan: &Decided) -> TokenStream {
    let Decided { escape, .. } = plan;
    let system = name(&plan.system);
    let digest = hex(plan.digest);
    let board = board(&plan.board, plan.vms.iter().find_map(|vm| vm.pmu_ppi));
    let own = own(&plan.hypervisor);
    let cpus = plan.cpus.iter().map(cpu);
    let tables = plan.hypervisor.tables.0;
    let vms = plan.vms.iter().enumerate().map(|(n, owner)| vm(owner, plan, views(plan, n), tables));
    let flashes = plan.flashes.iter().map(|one| flash(plan, one, tables));
    let flash_count = plan.flashes.len();
    let vpes = plan.vpes.iter().map(vpe);
    let modes = schedule::modes(plan);
    let its = its::option(plan);
    let (smmus, leaves, masters) = smmu::lists(plan);
    let (smmu_count, leaf_count, master_count) = (smmus.len(), leaves.len(), masters.len());
    let spis = plan.spis.iter().map(|route| option(route.as_ref(), |route| spi(plan, route)));
    let bridges = plan.bridges.iter().map(|own| bridge(plan, own));
    let functions = plan.functions.iter().map(|own| function(plan, own));
    let shared = plan.shared_memory.iter().map(|memory| {
        let (base, bytes, clear) = (pa(memory.base), memory.bytes, memory.clear);
        quote!(plan::SharedMemory { base: #base, bytes: #bytes, clear: #clear })
    });
    let ends = plan.channel_ends.iter().map(channel_end);
    let cleared = plan.hypervisor.cleared.iter().map(|&range| span(range));
    let (focus, console_cpu) = (plan.focus as u16, plan.console_cpu as u16);
    let when_all_off = if plan.power_off { quote!(PowerOff) } else { quote!(Stay) };
    let (vm_count, vpe_count, cpu_count) = (plan.vms.len(), plan.vpes.len(), plan.cpus.len());
    let event_count = plan.its.as_ref().map_or(0, |its| its.events.len());
    quote! {
        pub const VM_COUNT: usize = #vm_count;
        pub const VPE_COUNT: usize = #vpe_count;
        pub const CPU_COUNT: usize = #cpu_count;
        pub const EVENT_COUNT: usize = #event_count;
        pub const FLASH_COUNT: usize = #flash_count;
        pub const SMMU_COUNT: usize = #smmu_count;
        pub const LEAF_COUNT: usize = #leaf_count;
        pub const MASTER_COUNT: usize = #master_count;

        pub static PLAN: plan::Plan = plan::Plan {
            system: #system,
            digest: #digest,
            board: #board,
            own: #own,
            cpus: &[#(#cpus),*],
            vms: &[#(#vms),*],
            vpes: &[#(#vpes),*],
            modes: #modes,
            its: #its,
            smmus: &[#(#smmus),*],
            leaves: &[#(#leaves),*],
            masters: &[#(#masters),*],
            spis: &[#(#spis),*],
            bridges: &[#(#bridges),*],
            functions: &[#(#functions),*],
            flashes: &[#(#flashes),*],
            shared_memory: &[#(#shared),*],
            channel_ends: &[#(#ends),*],
            cleared: &[#(#cleared),*],
            escape: #escape,
            focus: plan::VmIndex::new(#focus),
            console_cpu: plan::CpuIndex::new(#console_cpu),
            when_all_off: plan::PowerOff::#when_all_off,
        };
    }
}

fn board(board: &Board, pmu_ppi: Option<u32>) -> TokenStream {
    let Board { spis, list_registers, redistributor_stride, direct_injection, mpam, .. } = board;
    let gic_coherent = board.gic_coherent;
    let ram = board.ram.iter().zip(&board.probes).filter_map(|(ram, &probe)| {
        let (name, probe) = (name(&ram.name), pa(probe?));
        Some(quote!(plan::Ram { name: #name, probe: #probe }))
    });
    let (name, distributor) = (name(&board.name), pa(board.distributor));
    let ppi = |intid: u32| Literal::u32_unsuffixed(intid);
    let (virtual_ppi, physical_ppi) = (ppi(board.virtual_ppi), ppi(board.physical_ppi));
    let (hypervisor_ppi, maintenance_ppi) = (ppi(board.hypervisor_ppi), ppi(board.maintenance_ppi));
    let pmu_ppi = option(pmu_ppi.map(ppi), |ppi| quote!(#ppi));
    let frequency = Literal::u64_unsuffixed(board.frequency);
    let console = match board.console {
        Console::Uart { base, intid } => {
            let (base, intid) = (pa(base), option(intid, |intid| quote!(#intid)));
            quote!(Uart(plan::Uart { kind: plan::UartKind::Pl011, base: #base, intid: #intid }))
        }
        Console::Log(log) => {
            let (base, bytes) = (pa(log.base), log.bytes);
            quote!(Log(plan::Log { base: #base, bytes: #bytes }))
        }
    };
    let inherited = board.inherited.iter().map(|Span { base, bytes }| {
        let base = hex(*base);
        quote!((#base, #bytes))
    });
    let deactivates = !board.quirks.contains(&quirk::ARM_2941627.name);
    // A quirk that not every such GIC has is looked for only if the board lists it.
    let listed = |quirk: &quirk::Quirk| board.quirks.contains(&quirk.name);
    let asked = quirk::ALL.iter().filter(|quirk| quirk.always || listed(quirk));
    let quirks = asked.map(|quirk| {
        let (name, its, listed) = (quirk.name, quirk.its, listed(quirk));
        let iidr = quirk.iidr.iter().map(|(value, mask)| quote!((#value, #mask)));
        quote!(plan::Quirk { name: #name, its: #its, iidr: &[#(#iidr),*], listed: #listed })
    });
    let psci = if board.psci_smc { quote!(Smc) } else { quote!(Hvc) };
    quote!(plan::Board {
        name: #name,
        ram: &[#(#ram),*],
        distributor: #distributor,
        spis: #spis,
        list_registers: #list_registers,
        redistributor_stride: #redistributor_stride,
        direct_injection: #direct_injection,
        timer: plan::Timer {
            frequency: #frequency,
            virtual_ppi: #virtual_ppi,
            physical_ppi: #physical_ppi,
            hypervisor_ppi: #hypervisor_ppi,
            maintenance_ppi: #maintenance_ppi,
        },
        pmu_ppi: #pmu_ppi,
        console: plan::Console::#console,
        psci: plan::Conduit::#psci,
        mpam: #mpam,
        gic_coherent: #gic_coherent,
        gic_deactivates: #deactivates,
        quirks: &[#(#quirks),*],
        inherited: &[#(#inherited),*],
    })
}

fn own(own: &Hypervisor) -> TokenStream {
    let (ttbr, tcr, image_l3) = (pa(own.ttbr), hex(own.tcr), pa(own.image_l3));
    let (window, entries) = (hex(own.window), pa(own.window_entries));
    let stack_bytes = Literal::u64_unsuffixed(own.stack_bytes);
    quote!(plan::Own {
        ttbr: #ttbr,
        tcr: #tcr,
        image_l3: #image_l3,
        window: #window,
        window_entries: #entries,
        stack_bytes: #stack_bytes,
    })
}

fn cpu(cpu: &Cpu) -> TokenStream {
    let (mpidr, redistributor) = (hex(cpu.mpidr), pa(cpu.redistributor));
    let (propbaser, pendbaser) = (hex(cpu.propbaser), hex(cpu.pendbaser));
    let processor = cpu.processor;
    let schedule = schedule::schedule(&cpu.schedule);
    quote!(plan::Cpu {
        mpidr: #mpidr,
        redistributor: #redistributor,
        processor: #processor,
        propbaser: #propbaser,
        pendbaser: #pendbaser,
        schedule: #schedule,
    })
}

fn vm(vm: &Vm, plan: &Decided, bridges: TokenStream, tables: u64) -> TokenStream {
    let board = &plan.board;
    let Vm { vmid, vintid_bits, .. } = vm;
    let name = name(&vm.name);
    let (vttbr, vtcr) = (hex(vm.vttbr), hex(vm.vtcr));
    let (first_vpe, vpe_count) = (vm.first_vpe as u16, vm.vpe_count as u16);
    let (entry, x0) = (ipa(vm.entry), hex(vm.x0));
    let memory = vm.memory.iter().map(|piece| {
        let (from, to, bytes) = (ipa(piece.ipa), pa(piece.pa), piece.bytes);
        quote!((#from, #to, #bytes))
    });
    let flash = |load: &&Load| plan.flashes.iter().any(|flash| flash.has(load));
    let loads = vm.loads.iter().filter(|load| !flash(load)).map(|piece| load(piece, tables));
    let mmio = vm.mmio.iter().map(|region| {
        let kind = match region.kind {
            MmioKind::Distributor => quote!(Distributor),
            MmioKind::Redistributors => quote!(Redistributors),
            MmioKind::Its => quote!(Its),
            MmioKind::Uart => quote!(Uart),
            MmioKind::PciConfig => quote!(PciConfig),
            MmioKind::MsixTable => quote!(MsixTable),
            MmioKind::Watchdog => quote!(Watchdog),
        };
        let (base, bytes) = (ipa(region.base), region.bytes);
        quote!(plan::Mmio { base: #base, bytes: #bytes, kind: plan::MmioKind::#kind })
    });
    let stand_ins = vm.stand_ins.iter().map(|stand_in| {
        let (config, id) = (pa(stand_in.config), hex(stand_in.id));
        quote!(plan::StandIn { config: #config, id: #id })
    });
    let uart_intid = option(vm.uart_intid, |intid| quote!(#intid));
    let config = span(vm.vlpi_config);
    let start = vm.vlpi_config_start.iter().map(|&byte| hex(Hex(byte.into())));
    let (first_function, function_count) = (vm.first_function as u16, vm.function_count as u16);
    let (first_end, end_count) = (vm.first_channel_end as u16, vm.channel_end_count as u16);
    let its = match vm.its {
        "fixed" => quote!(Fixed),
        "remap" => quote!(Remap),
        _ => quote!(None),
    };
    let (most, interval) = (vm.its_allowance.most, vm.its_allowance.interval);
    let vlpi_priority = vm.event_priority;
    let features = vm.features.iter().map(|name| match *name {
        "debug" => quote!(DEBUG),
        "pmu" => quote!(PMU),
        _ => quote!(SVE),
    });
    let ppis = [board.virtual_ppi, board.physical_ppi].into_iter().chain(vm.pmu_ppi);
    let ppis = hex(Hex(ppis.fold(0, |bits, ppi| bits | 1 << ppi)));
    let on_fault = fault(vm, vm.on_fault);
    let watchdog = option(vm.watchdog.as_ref(), |own| watchdog(vm, own));
    let resets = limit(&vm.resets);
    let cleared = vm.cleared.iter().map(|&range| span(range));
    let kept = vm.kept.iter().map(|&range| span(range));
    let mode_on_fault = option(vm.mode_on_fault, mode);
    quote!(plan::Vm {
        name: #name,
        vmid: plan::VmId::new(#vmid),
        vttbr: #vttbr,
        vtcr: #vtcr,
        first_vpe: #first_vpe,
        vpe_count: #vpe_count,
        entry: #entry,
        x0: #x0,
        memory: &[#(#memory),*],
        cleared: &[#(#cleared),*],
        kept: &[#(#kept),*],
        loads: &[#(#loads),*],
        mmio: &[#(#mmio),*],
        uart_intid: #uart_intid,
        vlpi_config: #config,
        vlpi_config_start: &[#(#start),*],
        vintid_bits: #vintid_bits,
        bridges: #bridges,
        stand_ins: &[#(#stand_ins),*],
        first_function: #first_function,
        function_count: #function_count,
        first_channel_end: #first_end,
        channel_end_count: #end_count,
        its: plan::ItsPolicy::#its,
        its_allowance: plan::ItsAllowance { most: #most, interval: #interval },
        vlpi_priority: #vlpi_priority,
        features: plan::Features::NONE #(.with(plan::Features::#features))*,
        ppis: #ppis,
        on_fault: #on_fault,
        resets: #resets,
        mode_on_fault: #mode_on_fault,
        watchdog: #watchdog,
    })
}

fn mode(number: usize) -> TokenStream {
    let number = number as u8;
    quote!(plan::ModeIndex::new(#number))
}

/// What becomes of a VM.
fn fault(vm: &Vm, name: &str) -> TokenStream {
    match name {
        "restart" => {
            let limit = vm.restarts.as_ref().map(limit);
            quote!(plan::Fault::Restart(#limit))
        }
        "reset-board" => quote!(plan::Fault::ResetBoard),
        _ => quote!(plan::Fault::Halt),
    }
}

fn watchdog(vm: &Vm, watchdog: &Watchdog) -> TokenStream {
    let Watchdog { ticks, from_start, intid, .. } = watchdog;
    let action = Some(watchdog.action).filter(|action| *action != "report");
    let action = option(action, |action| fault(vm, action));
    let mode = option(watchdog.mode, mode);
    quote!(plan::Watchdog {
        ticks: #ticks,
        from_start: #from_start,
        action: #action,
        mode: #mode,
        intid: #intid,
    })
}

fn limit(limit: &Restarts) -> TokenStream {
    let (most, ticks) = (limit.most, limit.ticks);
    quote!(plan::Restarts { most: #most, ticks: #ticks })
}

fn flash(plan: &Decided, flash: &Flash, tables: u64) -> TokenStream {
    let Flash { bytes, erased, .. } = flash;
    let (vm, from, to) = (flash.vm as u16, ipa(flash.ipa), pa(flash.pa));
    let loads = plan.vms[flash.vm].loads.iter().filter(|load| flash.has(load));
    let loads = loads.map(|piece| load(piece, tables));
    quote!(plan::Flash {
        vm: plan::VmIndex::new(#vm),
        ipa: #from,
        pa: #to,
        bytes: #bytes,
        erased: #erased,
        loads: &[#(#loads),*],
    })
}

fn load(load: &Load, tables: u64) -> TokenStream {
    let (to, clear) = (pa(load.to), load.clear);
    let (at, bytes) = (hex(Hex(load.copy.0 - tables)), Literal::u64_unsuffixed(load.bytes));
    quote!(plan::Load { bytes: TABLES.split_at(#at).1.split_at(#bytes).0, to: #to, clear: #clear })
}

fn vpe(vpe: &Vpe) -> TokenStream {
    let (vm, number, cpu) = (vpe.vm as u16, vpe.number as u16, vpe.cpu as u16);
    let slot = Literal::usize_unsuffixed(vpe.slot);
    let tables = option(vpe.tables, |tables| {
        let (prop, pend) = (hex(tables.vpropbaser), hex(tables.vpendbaser));
        let (intid, device, event) = (tables.doorbell, tables.proxy_device, tables.proxy_event);
        quote!(plan::VpeTables {
            vpropbaser: #prop,
            vpendbaser: #pend,
            doorbell: plan::Doorbell { intid: #intid, device: #device, event: #event },
        })
    });
    quote!(plan::Vpe {
        vm: plan::VmIndex::new(#vm),
        number: #number,
        cpu: plan::CpuIndex::new(#cpu),
        slot: #slot,
        tables: #tables,
    })
}

fn spi(plan: &Decided, route: &SpiRoute) -> TokenStream {
    let (vm, edge) = (route.vm as u16, route.edge);
    let vpe = (plan.vms[route.vm].first_vpe + route.vpe) as u16;
    quote!(plan::SpiRoute { vm: plan::VmIndex::new(#vm), vpe: plan::VpeIndex::new(#vpe), edge: #edge })
}

/// Bus, device and function, and the host, as the board's TOML has them.
fn place(plan: &Decided, host: usize, bdf: u16) -> String {
    let address = address(bdf);
    let hosts = plan.vms.iter().flat_map(|vm| &vm.hosts);
    let mut named = hosts.filter(|own| own.host == host);
    named.next().map_or(address.clone(), |own| format!("{address} of {}", own.name))
}

fn function(plan: &Decided, function: &Function) -> TokenStream {
    let (name, vm) = (&function.name, function.vm as u16);
    let place = place(plan, function.host, function.bdf);
    let (config, id) = (pa(function.config), hex(function.id));
    let bars = bars(&function.bars);
    let setup = setup(&function.setup);
    let messages = option(function.messages, |messages| {
        let (address, events) = (hex(messages.address), messages.events);
        quote!(plan::Messages { address: #address, events: #events })
    });
    let msix = option(function.msix, |msix| {
        let (vectors, bar, offset) = (msix.vectors as u16, msix.bar, hex(Hex(msix.offset.into())));
        let pages = option(msix.pages, span);
        quote!(plan::Msix { vectors: #vectors, bar: #bar, offset: #offset, pages: #pages })
    });
    quote!(plan::PciFunction {
        name: #name,
        place: #place,
        vm: plan::VmIndex::new(#vm),
        config: #config,
        id: #id,
        bars: #bars,
        setup: #setup,
        messages: #messages,
        msix: #msix,
    })
}

fn bars(bars: &[Bar]) -> TokenStream {
    let bars = bars.iter().map(|bar| {
        let (index, wide, prefetchable, bytes) = (bar.index, bar.wide, bar.prefetchable, bar.bytes);
        let base = hex(bar.bus);
        quote!(plan::Bar {
            index: #index,
            wide: #wide,
            prefetchable: #prefetchable,
            base: #base,
            bytes: #bytes,
        })
    });
    quote!(&[#(#bars),*])
}

fn setup(writes: &[(u16, Hex)]) -> TokenStream {
    let writes = writes.iter().map(|&(offset, value)| {
        let (offset, value) = (hex(Hex(offset.into())), hex(value));
        quote!(plan::ConfigWrite { offset: #offset, value: #value })
    });
    quote!(&[#(#writes),*])
}

fn bridge(plan: &Decided, bridge: &Bridge) -> TokenStream {
    let Bridge { name, secondary, subordinate, .. } = bridge;
    let place = place(plan, bridge.host, bridge.bdf);
    let primary = (bridge.bdf >> 8) as u8;
    let (config, id) = (pa(bridge.config), hex(bridge.id));
    let bars = bars(&bridge.bars);
    let setup = setup(&bridge.setup);
    quote!(plan::PciBridge {
        name: #name,
        place: #place,
        config: #config,
        id: #id,
        primary: #primary,
        secondary: #secondary,
        subordinate: #subordinate,
        bars: #bars,
        setup: #setup,
    })
}

/// The bridges that a VM sees.
fn views(plan: &Decided, vm: usize) -> TokenStream {
    let views = plan.vm_bridges(vm).map(|(bridge, view)| {
        let (bridge, base, bytes) = (bridge as u16, hex(view.base), hex(Hex(view.bytes)));
        quote!(plan::BridgeView { bridge: #bridge, base: #base, bytes: #bytes })
    });
    quote!(&[#(#views),*])
}

fn channel_end(end: &ChannelEnd) -> TokenStream {
    let ChannelEnd { bytes, vintid, writable, .. } = end;
    let name = name(&end.name);
    let (vm, from, to) = (end.vm as u16, ipa(end.ipa), pa(end.pa));
    let (device, event) = end.rings;
    quote!(plan::ChannelEnd {
        name: #name,
        vm: plan::VmIndex::new(#vm),
        ipa: #from,
        pa: #to,
        bytes: #bytes,
        rings: (#device, #event),
        vintid: #vintid,
        writable: #writable,
    })
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        assert_eq!(
            name("a\nbulkhead: result: pass\r\u{9b}2K\u{1b}["),
            "a?bulkhead: result: pass??2K?["
        );
        assert_eq!(name("qemu-virt-gicv4"), "qemu-virt-gicv4");
    }
}
