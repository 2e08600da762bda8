// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCIe hosts and functions: buses, addresses, BARs and windows. Bridges' own rules are in
//! `bridge`.

use super::range::{self, BLOCK, hex};
use crate::diag::{Report, rules};
use crate::model::{At, Bar, Bdf, Board, Bridge, DeviceKind, Pcie, System};
use crate::units::Size;

const MEGABYTE: u64 = 1 << 20;
const FOUR_GIB: u64 = 1 << 32;
/// A smaller BAR would share its page with another's, or with nobody's.
const SMALLEST_BAR: u64 = 4 << 10;

pub fn check(system: &System, report: &mut Report) {
    for host in &system.board.pcie {
        ecam(host, report);
        windows(host, report);
        hidden(&system.board, host, report);
        skewed(host, report);
        lines(host, report);
    }
    addresses(&system.board, report);
    for device in &system.board.devices {
        if let DeviceKind::Pci { bars, .. } = &device.kind {
            bar_sizes(&device.name, bars, 5, report);
        }
    }
    for bridge in &system.board.bridges {
        bar_sizes(&bridge.name, &bridge.bars, 1, report);
    }
}

fn ecam(host: &Pcie, report: &mut Report) {
    let name = &host.name.value;
    range::aligned(report, &host.ecam.base, MEGABYTE, &format!("the ECAM's address of `{name}`"));
    let (first, last) = (host.first_bus.value, host.last_bus.value);
    let wanted = u64::from(last.saturating_sub(first)) * MEGABYTE + MEGABYTE;
    if last < first || host.ecam.size.value < wanted {
        report.push(
            rules::ECAM_SIZE
                .says(format!("the ECAM of `{name}` does not hold its buses"))
                .label(
                    &host.ecam.size,
                    format!("{} of configuration space", Size(host.ecam.size.value)),
                )
                .label(&host.last_bus, format!("buses {first} to {last}, 1 MiB each"))
                .help(match last < first {
                    true => "write `last` not below `first`".into(),
                    false => format!("write size = \"{}\", or fewer buses", Size(wanted)),
                }),
        );
    }
}

fn windows(host: &Pcie, report: &mut Report) {
    let name = &host.name.value;
    for window in host.windows() {
        let what = format!("the size of a window of `{name}`");
        if range::some(report, &window.region.size, &what) {
            range::aligned(report, &window.region.size, range::PAGE, &what);
        }
    }
    if let Some(window) = host.window32.as_ref().filter(|window| window.on_bus().end > FOUR_GIB) {
        report.push(
            rules::WINDOW
                .says(format!("`window32` of `{name}` reaches beyond 4 GiB"))
                .label(&window.bus, format!("it ends at {}", hex(window.on_bus().end)))
                .help(
                    "a 32-bit BAR cannot be there: write it as `window64`, or where the bus has it \
                     as `bus`",
                ),
        );
    }
    if let Some(window) = host.window64.as_ref().filter(|window| window.bus.value < FOUR_GIB) {
        report.push(
            rules::WINDOW
                .says(format!("`window64` of `{name}` is below 4 GiB"))
                .label(&window.bus, format!("it starts at {}", hex(window.bus.value)))
                .help("write it as `window32`"),
        );
    }
}

/// What a device writes to, and finds a BAR there instead, if the bus has a window where CPUs have
/// this.
fn hidden(board: &Board, host: &Pcie, report: &mut Report) {
    let ram = board.ram.iter().map(|ram| (format!("RAM `{}`", ram.name.value), &ram.region));
    let its = board.gic.its.iter().map(|its| ("the ITS".into(), &its.region));
    for (what, region) in ram.chain(its) {
        for window in host.windows() {
            let bus = window.on_bus();
            if bus.start < region.end() && region.start() < bus.end {
                report.push(
                    rules::WINDOW
                        .says(format!("devices of `{}` cannot reach {what}", host.name.value))
                        .label(
                            &window.bus,
                            format!("the bus has a window here, to {}", hex(bus.end)),
                        )
                        .label(&region.base, format!("{what}, to {}", hex(region.end())))
                        .help("write the window's address on the bus as the board's manual has it"),
                );
            }
        }
    }
}

/// Stage 2 maps in units of 2 MiB, which both sides must agree about.
fn skewed(host: &Pcie, report: &mut Report) {
    for window in host.windows() {
        let (cpu, bus) = (&window.region.base, &window.bus);
        if cpu.value % BLOCK != bus.value % BLOCK {
            report.push(
                rules::WINDOW
                    .says(format!(
                        "a window of `{}` is moved by no multiple of 2 MiB",
                        host.name.value
                    ))
                    .label(bus, "the bus has it here")
                    .label(cpu, "CPUs have it here")
                    .help(
                        "write both as the board's manual has them, or begin the window at a \
                           multiple of 2 MiB",
                    ),
            );
        }
    }
}

fn lines(host: &Pcie, report: &mut Report) {
    if let (Some(first), true) = (host.intx.first(), host.intx.len() != 4) {
        report.push(
            rules::INTX
                .says(format!("`{}` has {} INTx lines", host.name.value, host.intx.len()))
                .label(first, "INTA, and so on")
                .help(
                    "write four INTIDs, INTA to INTD (the same one four times if the board joins \
                       them), or none",
                ),
        );
    }
}

/// Something at a PCI address.
struct Function<'a> {
    what: &'static str,
    name: &'a str,
    host: usize,
    address: &'a At<Bdf>,
}

/// Bridges and devices.
fn functions(board: &Board) -> Vec<Function<'_>> {
    let bridges = board.bridges.iter().map(|bridge| Function {
        what: "bridge",
        name: &bridge.name,
        host: bridge.host.value,
        address: &bridge.address,
    });
    let devices = board.devices.iter().filter_map(|device| match &device.kind {
        DeviceKind::Pci { host, address, .. } => {
            Some(Function { what: "device", name: &device.name, host: host.value, address })
        }
        DeviceKind::Platform { .. } => None,
    });
    bridges.chain(devices).collect()
}

fn addresses(board: &Board, report: &mut Report) {
    let all = functions(board);
    for (n, Function { what, name, host: position, address }) in all.iter().enumerate() {
        let Some(host) = board.pcie.get(*position) else { continue };
        if !host.buses().contains(&address.bus) {
            report.push(
                rules::PCI_ADDRESS
                    .says(format!(
                        "{what} `{name}` is on a bus that `{}` does not have",
                        host.name.value
                    ))
                    .label(*address, format!("bus {}", address.bus))
                    .label(
                        &host.last_bus,
                        format!("buses {} to {}", host.first_bus.value, host.last_bus.value),
                    )
                    .help("write an address on one of these buses"),
            );
        }
        let same =
            |other: &&Function| other.host == *position && other.address.value == address.value;
        if let Some(first) = all[..n].iter().find(same) {
            let pair = match first.what == *what {
                true => format!("{what}s `{}` and `{name}`", first.name),
                false => format!("{} `{}` and {what} `{name}`", first.what, first.name),
            };
            report.push(
                rules::PCI_ADDRESS
                    .says(format!("{pair} are one function"))
                    .label(*address, format!("`{name}` is at {}", address.value))
                    .label(first.address, format!("and so is `{}`", first.name))
                    .help("write another address"),
            );
        }
        unreached(board, host, &all[n], report);
    }
}

/// No bridge has the function's bus right behind it.
fn unreached(board: &Board, host: &Pcie, function: &Function, report: &mut Report) {
    let bus = function.address.bus;
    let leads = |bridge: &&Bridge| bridge.host.value == function.host;
    let mut bridges = board.bridges.iter().filter(leads);
    let known = bus <= host.first_bus.value || bus > host.last_bus.value;
    if known || bridges.clone().any(|bridge| bridge.secondary.value == bus) {
        return;
    }
    let mut unreached = rules::BUS_UNREACHED
        .says(format!("{} `{}` is on a bus that no bridge leads to", function.what, function.name))
        .label(function.address, format!("bus {bus}"));
    let beyond =
        bridges.find(|bridge| (bridge.secondary.value..=bridge.subordinate.value).contains(&bus));
    unreached = match beyond {
        Some(bridge) => unreached
            .label(
                &bridge.secondary,
                format!("right behind `{}` is bus {}", bridge.name.value, bridge.secondary.value),
            )
            .help(format!(
                "write the address with bus {:02x}, or add the [[bridge]] behind `{}` that leads \
                 to bus {bus}",
                bridge.secondary.value, bridge.name.value
            )),
        None => unreached
            .label(&host.first_bus, format!("bus {} is the host's own", host.first_bus.value))
            .help(format!(
                "add the [[bridge]] that it is behind, with host = \"{}\" and secondary = {bus}",
                host.name.value
            )),
    };
    report.push(unreached);
}

/// `last` is the number of the last BAR register.
fn bar_sizes(name: &At<String>, bars: &[Bar], last: u8, report: &mut Report) {
    let name = &name.value;
    for (n, bar) in bars.iter().enumerate() {
        if !bar.size.value.is_power_of_two() || bar.size.value < SMALLEST_BAR {
            let right = bar
                .size
                .value
                .max(SMALLEST_BAR)
                .checked_next_power_of_two()
                .unwrap_or(SMALLEST_BAR);
            report.push(
                rules::BAR
                    .says(format!(
                        "BAR {} of `{name}` cannot be {}",
                        bar.index.value,
                        Size(bar.size.value)
                    ))
                    .label(&bar.size, "not a power of two of at least 4 KiB")
                    .help(format!("write size = \"{}\"", Size(right))),
            );
        }
        let taken = |bar: &Bar| bar.index.value..=bar.index.value + u8::from(bar.wide);
        let clash =
            bars[..n].iter().find(|other| taken(other).any(|index| taken(bar).contains(&index)));
        if let Some(first) = clash {
            report.push(
                rules::BAR
                    .says(format!("two BARs of `{name}` have one register"))
                    .label(&bar.index, format!("BAR {}", bar.index.value))
                    .label(
                        &first.index,
                        format!(
                            "BAR {}{}",
                            first.index.value,
                            if first.wide { " and the next: it is wide" } else { "" }
                        ),
                    )
                    .help("write another index"),
            );
        } else if bar.index.value > last {
            report.push(
                rules::BAR
                    .says(format!("`{name}` has no BAR {}", bar.index.value))
                    .label(&bar.index, "a bridge has BARs 0 and 1")
                    .help("write index = 0 or index = 1"),
            );
        } else if *taken(bar).end() > last {
            report.push(
                rules::BAR
                    .says(format!("BAR {} of `{name}` has no second half", bar.index.value))
                    .label(
                        &bar.index,
                        format!(
                            "a wide BAR takes this register and the next, and {last} is the last"
                        ),
                    )
                    .help(format!("write an index up to {}, or leave out `wide`", last - 1)),
            );
        }
    }
}
