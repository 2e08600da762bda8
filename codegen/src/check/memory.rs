// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory: whose it is, where it is, and where a guest sees it.

use std::ops::RangeInclusive;

use super::range::{self, PAGE, Range, hex};
use crate::diag::{Report, Rule, rules};
use crate::limits::REDISTRIBUTOR;
use crate::model::{At, DeviceKind, ItsPolicy, Memory, MemoryRole, System, Vm};

/// Sizes of flashes.
const FLASH: RangeInclusive<u64> = 256 << 10..=64 << 20;

pub fn check(system: &System, report: &mut Report) {
    for vm in &system.vms {
        for memory in &vm.memory {
            piece(vm, memory, report);
        }
        no_ram(vm, report);
        guest_view(system, vm, report);
        dma(system, vm, report);
    }
    for channel in &system.channels {
        let name = &channel.name.value;
        range::some(report, &channel.size, &format!("the size of channel `{name}`"));
        range::aligned(report, &channel.size, PAGE, &format!("the size of channel `{name}`"));
        for address in
            channel.pa.iter().chain(channel.ends.iter().filter_map(|end| end.ipa.as_ref()))
        {
            range::aligned(report, address, PAGE, &format!("the address of channel `{name}`"));
        }
    }
    physical(system, report);
}

/// One piece by itself.
fn piece(vm: &Vm, memory: &Memory, report: &mut Report) {
    let name = &vm.name.value;
    if range::some(report, &memory.size, &format!("the size of VM `{name}`'s memory")) {
        range::aligned(report, &memory.size, PAGE, &format!("the size of VM `{name}`'s memory"));
    }
    flash_size(vm, memory, report);
    let same = memory.ipa.as_ref().zip(memory.pa.as_ref()).filter(|(ipa, pa)| ipa.span == pa.span);
    if let Some(pa) = &memory.pa {
        range::aligned(report, pa, PAGE, &format!("the address of VM `{name}`'s memory"));
    }
    // A defaulted IPA stands at the table and follows from its neighbour: nothing to align.
    let ipa = memory.ipa.as_ref().filter(|ipa| same.is_none() && ipa.span != memory.at.span);
    if let Some(ipa) = ipa {
        range::aligned(report, ipa, PAGE, &format!("the IPA of VM `{name}`'s memory"));
    }
    if let (true, Some(ipa), Some(pa)) = (memory.identity, &memory.ipa, &memory.pa)
        && ipa.value != pa.value
    {
        report.push(
            rules::IDENTITY
                .says(format!("identity memory of VM `{name}` has two addresses"))
                .label(ipa, format!("the guest sees it at {}", hex(ipa.value)))
                .label(pa, format!("it is at {}", hex(pa.value)))
                .help("leave out `ipa`: identity memory is seen where it is"),
        );
    }
}

/// The chips' query gives sizes as powers of two.
fn flash_size(vm: &Vm, memory: &Memory, report: &mut Report) {
    const KIB: u64 = 1 << 10;
    let size = memory.size.value;
    let flash = memory.role == MemoryRole::Flash;
    if !flash || size.is_power_of_two() && FLASH.contains(&size) {
        return;
    }
    let fits = size.clamp(*FLASH.start(), *FLASH.end()).next_power_of_two() / KIB;
    let fits = if fits < KIB { format!("{fits} KiB") } else { format!("{} MiB", fits / KIB) };
    report.push(
        rules::FLASH_SIZE
            .says(format!("a flash of VM `{}` has a size that is not supported", vm.name.value))
            .label(&memory.size, "not a power of two from 256 KiB to 64 MiB")
            .help(format!("write size = \"{fits}\"")),
    );
}

/// A device tree has to lie somewhere, and a guest to live.
fn no_ram(vm: &Vm, report: &mut Report) {
    if let (None, Some(first)) = (vm.first_ram(), vm.memory.first()) {
        report.push(
            rules::NO_RAM
                .says(format!("VM `{}` has memory, but no RAM", vm.name.value))
                .label(&first.at, format!("role = \"{}\"", first.role.name()))
                .help("add a piece without `role`, as { size = \"64 MiB\" }"),
        );
    }
}

/// Everything that has a place in physical memory.
fn physical(system: &System, report: &mut Report) {
    let board = &system.board;
    let vms = system.vms.iter().flat_map(|vm| {
        let pieces =
            vm.memory.iter().filter_map(|memory| Some((memory.pa.as_ref()?, memory.size.value)));
        pieces.map(|(pa, size)| Range::new(format!("VM `{}`", vm.name.value), pa, size))
    });
    let channels = system.channels.iter().filter_map(|channel| {
        let pa = channel.pa.as_ref()?;
        Some(Range::new(format!("channel `{}`", channel.name.value), pa, channel.size.value))
    });
    let users: Vec<Range> = vms.chain(channels).collect();
    for (later, earlier) in range::overlaps(&users) {
        clash(
            report,
            &rules::MEMORY_OVERLAP,
            later,
            earlier,
            "leave out `pa`: the plan finds a free place",
        );
    }
    let hypervisor = hypervisor(system);
    let fits = hypervisor_fits(system);
    let registers = range::registers(board);
    let reserved: Vec<Range> = board
        .reserved
        .iter()
        .map(|reserved| {
            Range::of(
                format!("`{}`, reserved ({})", reserved.name.value, reserved.reason),
                &reserved.region,
            )
        })
        .collect();
    let ram: Vec<Range> = board
        .ram
        .iter()
        .map(|ram| Range::of(format!("RAM `{}`", ram.name.value), &ram.region))
        .collect();
    for user in &users {
        if fits && user.overlaps(&hypervisor) {
            let help =
                format!("write an address from {} on, or leave out `pa`", hex(hypervisor.end));
            clash(report, &rules::MEMORY_HYPERVISOR, user, &hypervisor, &help);
        }
        let over = registers.iter().find(|frame| user.overlaps(frame));
        if let Some(frame) = over {
            let help = "give a device by `devices`; memory can only be RAM";
            clash(report, &rules::MEMORY_MMIO, user, frame, help);
        } else if !ram.iter().any(|ram| user.lies_in(ram)) {
            outside(report, user, &ram);
        }
        for taken in reserved.iter().filter(|taken| user.overlaps(taken)) {
            let help = format!("write an address from {} on, or leave out `pa`", hex(taken.end));
            clash(report, &rules::MEMORY_RESERVED, user, taken, &help);
        }
    }
}

/// The hypervisor's own memory, as a range.
pub fn hypervisor(system: &System) -> Range {
    let own = &system.hypervisor;
    let base = system.board.hypervisor.clone().unwrap_or_else(|| own.size.with(own.base));
    Range::new("the hypervisor's memory", &base, own.size.value)
}

/// It is in one RAM. If not, that is told once, and not again of each VM in its way.
pub fn hypervisor_fits(system: &System) -> bool {
    let own = hypervisor(system);
    system.board.ram.iter().any(|ram| own.lies_in(&Range::of("", &ram.region)))
}

fn clash(report: &mut Report, rule: &'static Rule, user: &Range, other: &Range, help: &str) {
    report.push(
        rule.says(format!("memory of {} overlaps {}", user.owner, other.owner))
            .label(&user.at, user.label())
            .label(&other.at, other.label())
            .help(help),
    );
}

fn outside(report: &mut Report, user: &Range, ram: &[Range]) {
    let near = ram.iter().find(|ram| user.overlaps(ram)).or(ram.first());
    let mut diagnostic = rules::OUTSIDE_RAM
        .says(format!("memory of {} is not in RAM", user.owner))
        .label(&user.at, user.label());
    if let Some(ram) = near {
        diagnostic = diagnostic.label(&ram.at, ram.label()).help(format!(
            "write an address between {} and {}",
            hex(ram.start),
            hex(ram.end.saturating_sub(user.end - user.start))
        ));
    }
    report.push(diagnostic);
}

/// What stands where in one guest's address space.
fn guest_view(system: &System, vm: &Vm, report: &mut Report) {
    let name = &vm.name.value;
    let pieces = vm.memory.iter().filter_map(|memory| {
        let ipa = memory.ipa.as_ref()?;
        Some(Range::new(format!("memory of VM `{name}`"), ipa, memory.size.value))
    });
    let mut ram: Vec<Range> = pieces.collect();
    for channel in &system.channels {
        let own = channel.ends.iter().filter(|end| {
            system.vms.get(end.vm.value).is_some_and(|owner| owner.name.value == *name)
        });
        let seen = own.filter_map(|end| end.ipa.as_ref());
        ram.extend(seen.map(|ipa| {
            Range::new(format!("channel `{}`", channel.name.value), ipa, channel.size.value)
        }));
    }
    for (later, earlier) in range::overlaps(&ram) {
        report.push(
            rules::IPA_OVERLAP
                .says(format!("VM `{name}` sees two things at one address"))
                .label(&later.at, later.label())
                .label(&earlier.at, earlier.label())
                .help("leave out `ipa`: it follows the piece before"),
        );
    }
    let frames = emulated(system, vm);
    reach(vm, &frames, report);
    for user in &ram {
        if let Some(frame) = frames.iter().find(|frame| user.overlaps(frame)) {
            report.push(
                rules::IPA_MMIO
                    .says(format!("{} stands where VM `{name}` sees {}", user.owner, frame.owner))
                    .label(&user.at, user.label())
                    .label(&frame.at, frame.label())
                    .help("write another `ipa`, as 0x4000_0000"),
            );
        }
        let (end, bits) = (system.board.address_end(), &system.board.address_bits);
        if user.end > end {
            report.push(
                rules::IPA_RANGE
                    .says(format!("{} is beyond what a guest can address", user.owner))
                    .label(&user.at, user.label())
                    .label(bits, format!("CPUs with addresses of {} bits", bits.value))
                    .help(format!("write an `ipa` below {}", hex(end))),
            );
        }
    }
}

/// A VM may have more redistributors than the board: they must not reach what else it sees.
fn reach(vm: &Vm, frames: &[Range], report: &mut Report) {
    let name = &vm.name.value;
    for (later, earlier) in range::overlaps(frames) {
        let (own, other) = match frames.get(1) {
            Some(own) if std::ptr::eq(own, earlier) => (earlier, later),
            Some(own) if std::ptr::eq(own, later) => (later, earlier),
            _ => continue,
        };
        let most = other.start.saturating_sub(own.start) / REDISTRIBUTOR;
        // Below them the board's own redistributors overlap it: another rule says that.
        let Some(one) = vm.vpes.get(most as usize).filter(|_| most > 0) else { continue };
        report.push(
            rules::FRAMES_REACH
                .says(format!("the redistributors of VM `{name}` reach {}", other.owner))
                .label(&one.cpu, format!("with this vPE they end at {}", hex(own.end)))
                .label(&other.at, other.label())
                .help(format!("give the VM {most} vPEs at most")),
        );
        return;
    }
}

/// Frames that a guest sees where the board has them.
fn emulated(system: &System, vm: &Vm) -> Vec<Range> {
    let board = &system.board;
    let gic = &board.gic;
    let redistributors = REDISTRIBUTOR * vm.vpes.len() as u64;
    let mut frames = vec![
        Range::of("the distributor", &gic.distributor),
        Range::new("the redistributors", &gic.redistributors.region.base, redistributors),
    ];
    if vm.its.value != ItsPolicy::None {
        frames.extend(gic.its.iter().map(|its| Range::of("the ITS", &its.region)));
    }
    let uart = board.console.as_ref().and_then(|console| board.uarts.get(console.value));
    if let Some(uart) = uart.filter(|uart| vm.console.value && uart.is_seen()) {
        frames.push(Range::of("its UART", &uart.region));
    }
    for device in vm.devices.iter().filter_map(|given| board.devices.get(given.device.value)) {
        match &device.kind {
            DeviceKind::Platform { regions, .. } => {
                frames.extend(
                    regions.iter().map(|region| {
                        Range::pages(format!("device `{}`", device.name.value), region)
                    }),
                );
            }
            DeviceKind::Pci { .. } => {}
        }
    }
    for (number, host) in board.pcie.iter().enumerate() {
        let Some(buses) = board.buses_of(vm, number) else { continue };
        let bytes = (buses.len() as u64) << 20;
        frames.push(Range::new("PCIe configuration space", &host.ecam.base, bytes));
        let windows = host.windows().map(|window| &window.region);
        frames.extend(windows.map(|window| Range::of("the PCI window", window)));
    }
    frames
}

/// A device that reaches memory by itself uses the guest's addresses as they are. An event is a
/// write to memory, too.
fn dma(system: &System, vm: &Vm, report: &mut Report) {
    let signals = |device: usize| vm.events.iter().any(|event| event.device.value == device);
    let masters = vm.devices.iter().filter_map(|given| {
        let device = system.board.devices.get(given.device.value)?;
        // An SMMU translates by the VM's own tables.
        let masters = device.dma || signals(given.device.value);
        (masters && system.board.smmu(device).is_none()).then_some((&given.device, device))
    });
    let Some((place, device)) = masters.max_by_key(|(_, device)| device.dma) else { return };
    let how = match device.dma {
        true => "reads and writes memory by itself",
        false => "its events are writes to memory",
    };
    let ram = vm.memory.iter().filter(|memory| memory.role == MemoryRole::Ram);
    for memory in ram.filter(|memory| !memory.identity) {
        report.push(
            rules::DMA_IDENTITY
                .says(format!(
                    "device `{}` would reach memory that is not VM `{}`'s",
                    device.name.value, vm.name.value
                ))
                .label(&memory.at, "the guest sees this memory elsewhere than it is")
                .label(place, format!("{how}, and it is behind no SMMU"))
                .help("add identity = true to this memory"),
        );
    }
}

/// The piece of `vm`'s memory that holds the address, if their places are known.
pub fn holding(vm: &Vm, ipa: &At<u64>) -> Option<bool> {
    let mut all_known = true;
    for memory in &vm.memory {
        match &memory.ipa {
            Some(base) if ipa.value >= base.value && ipa.value - base.value < memory.size.value => {
                return Some(true);
            }
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(false)
}
