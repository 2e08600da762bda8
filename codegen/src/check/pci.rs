//! PCIe hosts and functions: buses, addresses, BARs and windows.

use super::range::{self, hex};
use crate::diag::{Report, rules};
use crate::model::{At, Bar, Bdf, Board, Device, DeviceKind, Pcie, System};
use crate::units::Size;

const MEGABYTE: u64 = 1 << 20;
const FOUR_GIB: u64 = 1 << 32;
/// A smaller BAR would share its page with another's, or with nobody's.
const SMALLEST_BAR: u64 = 4 << 10;

pub fn check(system: &System, report: &mut Report) {
    for host in &system.board.pcie {
        ecam(host, report);
        windows(host, report);
        lines(host, report);
    }
    addresses(&system.board, report);
    for device in &system.board.devices {
        if let DeviceKind::Pci { bars, .. } = &device.kind {
            bar_sizes(device, bars, report);
        }
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
    if let Some(window) = host.window32.as_ref().filter(|window| window.end() > FOUR_GIB) {
        report.push(
            rules::WINDOW
                .says(format!("`window32` of `{name}` reaches beyond 4 GiB"))
                .label(&window.base, format!("it ends at {}", hex(window.end())))
                .help("a 32-bit BAR cannot be there: write it as `window64`"),
        );
    }
    if let Some(window) = host.window64.as_ref().filter(|window| window.start() < FOUR_GIB) {
        report.push(
            rules::WINDOW
                .says(format!("`window64` of `{name}` is below 4 GiB"))
                .label(&window.base, format!("it starts at {}", hex(window.start())))
                .help("write it as `window32`"),
        );
    }
}

fn lines(host: &Pcie, report: &mut Report) {
    if let (Some(first), true) = (host.intx.first(), host.intx.len() != 4) {
        report.push(
            rules::INTX
                .says(format!("`{}` has {} INTx lines", host.name.value, host.intx.len()))
                .label(first, "INTA, and so on")
                .help("write four INTIDs, INTA to INTD (the same one four times if the board joins them), or none"),
        );
    }
}

fn addresses(board: &Board, report: &mut Report) {
    let mut seen: Vec<(usize, &At<Bdf>, &Device)> = Vec::new();
    for device in &board.devices {
        let DeviceKind::Pci { host: position, address, .. } = &device.kind else { continue };
        let Some(host) = board.pcie.get(position.value) else { continue };
        if !(host.first_bus.value..=host.last_bus.value).contains(&address.bus) {
            report.push(
                rules::PCI_ADDRESS
                    .says(format!(
                        "device `{}` is on a bus that `{}` does not have",
                        device.name.value, host.name.value
                    ))
                    .label(address, format!("bus {}", address.bus))
                    .label(
                        &host.last_bus,
                        format!("buses {} to {}", host.first_bus.value, host.last_bus.value),
                    )
                    .help("write an address on one of these buses"),
            );
        }
        let same = |(other, place, _): &&(usize, &At<Bdf>, &Device)| {
            *other == position.value && place.value == address.value
        };
        if let Some((_, place, first)) = seen.iter().find(same) {
            report.push(
                rules::PCI_ADDRESS
                    .says(format!(
                        "devices `{}` and `{}` are one function",
                        first.name.value, device.name.value
                    ))
                    .label(address, format!("`{}` is at {}", device.name.value, address.value))
                    .label(place, format!("and so is `{}`", first.name.value))
                    .help("write another address"),
            );
        }
        seen.push((position.value, address, device));
    }
}

fn bar_sizes(device: &Device, bars: &[Bar], report: &mut Report) {
    let name = &device.name.value;
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
        } else if *taken(bar).end() > 5 {
            report.push(
                rules::BAR
                    .says(format!("BAR {} of `{name}` has no second half", bar.index.value))
                    .label(
                        &bar.index,
                        "a wide BAR takes this register and the next, and 5 is the last",
                    )
                    .help("write an index up to 4, or leave out `wide`"),
            );
        }
    }
}
