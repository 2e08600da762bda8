// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits: more than the board has of anything.

use super::memory::{hypervisor, hypervisor_fits};
use super::range::{self, BLOCK, Range, hex};
use crate::diag::{Report, rules};
use crate::limits::{CHANNELS, CONSOLES, CPUS, MODES, VMS, VPES};
use crate::model::{At, Board, DeviceKind, PciWindow, Pcie, System};
use crate::units::Size;

pub fn check(system: &System, report: &mut Report) {
    counts(system, report);
    room(system, report);
    if hypervisor_fits(system) {
        ram(system, report);
    }
    for (position, host) in system.board.pcie.iter().enumerate() {
        windows(system, position, host, report);
    }
}

/// What is counted by the numbers that hardware and generated tables have for it.
fn counts(system: &System, report: &mut Report) {
    let vpes = system.vms.iter().flat_map(|vm| &vm.vpes);
    let one_too_many = [
        ("VMs", VMS, system.vms.len(), system.vms.get(VMS).map(|vm| vm.name.with(()))),
        (
            "CPUs",
            CPUS,
            system.board.cpus.len(),
            system.board.cpus.get(CPUS).map(|cpu| cpu.name.with(())),
        ),
        ("vPEs", VPES, vpes.clone().count(), vpes.clone().nth(VPES).map(|vpe| vpe.cpu.with(()))),
        (
            "modes",
            MODES,
            system.modes.len() + 1,
            system.mode_names().nth(MODES).map(|name| name.with(())),
        ),
        (
            "channels",
            CHANNELS,
            system.channels.len(),
            system.channels.get(CHANNELS).map(|channel| channel.name.with(())),
        ),
    ];
    for (what, most, count, place) in one_too_many {
        let Some(place) = place else { continue };
        report.push(
            rules::TOO_MANY
                .says(format!("{count} {what}, of which the hypervisor can have {most}"))
                .label(&place, "this is one too many")
                .help(format!("keep to {most} {what}")),
        );
    }
    let late = system.vms.iter().skip(CONSOLES).find(|vm| vm.console.value);
    if let Some(vm) = late {
        report.push(
            rules::TOO_MANY
                .says(format!(
                    "VM `{}` has a console, which the first {CONSOLES} VMs can have",
                    vm.name.value
                ))
                .label(&vm.console, "a console, unless console = false")
                .help("move the VM further up in the file, or write console = false"),
        );
    }
}

/// The hypervisor's memory must be RAM that nobody reserved.
fn room(system: &System, report: &mut Report) {
    let own = hypervisor(system);
    range::some(report, &system.hypervisor.size, "the hypervisor's size");
    range::aligned(report, &system.hypervisor.size, BLOCK, "the hypervisor's size");
    if let Some(base) = &system.board.hypervisor {
        range::aligned(report, base, BLOCK, "the address of the hypervisor's memory");
    }
    let Some(first) = system.board.ram.first() else { return };
    let ram = Range::of(format!("RAM `{}`", first.name.value), &first.region);
    let reserved = system
        .board
        .reserved
        .iter()
        .map(|r| Range::of(format!("`{}`, reserved", r.name.value), &r.region));
    let taken = reserved.into_iter().find(|taken| taken.overlaps(&own));
    let other = if hypervisor_fits(system) { taken } else { Some(ram) };
    if let Some(other) = other {
        report.push(
            rules::HYPERVISOR_ROOM
                .says(format!("the hypervisor's memory does not fit {}", other.owner))
                .label(&own.at, own.label())
                .label(&other.at, other.label())
                .help(match &system.board.hypervisor {
                    Some(_) => {
                        "write another [hypervisor] base in the board's TOML, or a smaller \
                         [hypervisor] size in the system's"
                    }
                    None => {
                        "the hypervisor stands 2 MiB above the start of the first RAM: write a \
                         smaller [hypervisor] size, or [hypervisor] base in the board's TOML"
                    }
                }),
        );
    }
}

fn ram(system: &System, report: &mut Report) {
    let board = &system.board;
    let total: u64 = board.ram.iter().map(|ram| ram.region.size.value).fold(0, u64::saturating_add);
    let reserved: u64 = board
        .reserved
        .iter()
        .map(|reserved| reserved.region.size.value)
        .fold(0, u64::saturating_add);
    let pieces = system
        .vms
        .iter()
        .flat_map(|vm| vm.memory.iter().map(move |m| (format!("VM `{}`", vm.name.value), &m.size)));
    let channels = system
        .channels
        .iter()
        .map(|channel| (format!("channel `{}`", channel.name.value), &channel.size));
    let pieces: Vec<_> = pieces.chain(channels).collect();
    let all = pieces.iter().map(|(_, size)| size.value).fold(0, u64::saturating_add);
    let has = total.saturating_sub(reserved).saturating_sub(system.hypervisor.size.value);
    let mut wanted = 0u64;
    for (owner, size) in pieces {
        wanted = wanted.saturating_add(size.value);
        if wanted > has {
            let first: &At<u64> = &board.ram[0].region.size;
            report.push(
                rules::RAM_FULL
                    .says(format!("{owner} wants more RAM than the board has left"))
                    .label(size, format!("one of {}, which the VMs and channels need", Size(all)))
                    .label(first, format!("{} are left for them", Size(has)))
                    .help(format!("reduce them by {} in all", Size(all - has))),
            );
            return;
        }
    }
}

/// The window for 64-bit BARs, if part of it lies beyond what CPUs reach.
pub fn beyond<'a>(board: &Board, host: &'a Pcie) -> Option<&'a PciWindow> {
    host.window64.as_ref().filter(|window| window.region.end() > board.address_end())
}

/// BARs are placed at multiples of their sizes; when even their sum is too much, no order helps.
fn windows(system: &System, position: usize, host: &Pcie, report: &mut Report) {
    let used = system.vms.iter().flat_map(|vm| vm.devices.iter().map(|given| given.device.value));
    let bars: Vec<_> = used
        .filter_map(|device| match &system.board.devices.get(device)?.kind {
            DeviceKind::Pci { host: on, address, bars, .. } if on.value == position => {
                Some(bars.iter().map(move |bar| (bar, address.bus != host.first_bus.value)))
            }
            _ => None,
        })
        .flatten()
        .collect();
    // A 64-bit BAR may also lie low; behind a bridge it does. No guest sees one beyond a CPU's
    // addresses.
    let low = host.window32.as_ref().map_or(0, |window| window.region.size.value);
    let high = host.window64.as_ref().map_or(0, |PciWindow { region, .. }| {
        region.end().min(system.board.address_end()).saturating_sub(region.start())
    });
    let first = host.windows().next();
    let first = first.map_or_else(|| host.name.with(()), |window| window.region.size.with(()));
    let cut = beyond(&system.board, host);
    let mut wanted = (0u64, 0u64);
    for (bar, behind) in bars {
        let narrow = if bar.wide && !behind { 0 } else { bar.size.value };
        wanted = (wanted.0.saturating_add(narrow), wanted.1.saturating_add(bar.size.value));
        let narrow = wanted.0 > low;
        let (wanted, room) = if narrow { (wanted.0, low) } else { (wanted.1, low + high) };
        let size = format!("there are {} for them", Size(room));
        // The window may be large enough, but partly beyond the CPUs' addresses.
        if let (true, false, Some(window)) = (wanted > room, narrow, cut) {
            report.push(
                rules::WINDOW_FULL
                    .says(format!(
                        "the 64-bit BARs in use do not fit where CPUs reach the windows of `{}`",
                        host.name.value
                    ))
                    .label(&bar.size, format!("with this they need {}", Size(wanted)))
                    .label(
                        &window.region.base,
                        format!("CPUs reach addresses below {}", hex(system.board.address_end())),
                    )
                    .label(&first, size)
                    .help(
                        "write `window32` as big as the board's manual has it, or use fewer \
                           devices",
                    ),
            );
            return;
        }
        if wanted > room {
            report.push(
                rules::WINDOW_FULL
                    .says(format!(
                        "the BARs in use do not fit the windows of `{}`",
                        host.name.value
                    ))
                    .label(&bar.size, format!("with this they need {}", Size(wanted)))
                    .label(&first, size)
                    .help(
                        "write the window as big as the board's manual has it, or use fewer \
                           devices",
                    ),
            );
            return;
        }
    }
}
