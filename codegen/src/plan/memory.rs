// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where guests' memory and channels lie, physically and as guests see them.
//!
//! What the TOML fixes is taken out of the free RAM first, with the reserved ranges and the
//! hypervisor's region; then the rest is placed in the order of the TOML. Memory of 2 MiB and more
//! is aligned so that stage 2 needs blocks only.

use super::Arena;
use super::pci::Windows;
use crate::diag::{Diagnostic, Report, rules};
use crate::limits::REDISTRIBUTOR;
use crate::model::{At, DeviceKind, Memory, System};
use ::plan::{Ipa, Mapping, Pa};

const PAGE: u64 = 4096;
const MIB2: u64 = 2 << 20;
const GIB: u64 = 1 << 30;

/// Physical placement, by VM and by channel in the order of the TOML.
#[derive(Debug)]
pub struct Placed {
    /// Memory of each VM, in the order of the TOML.
    pub memory: Vec<Vec<Mapping>>,
    /// Physical address of each channel.
    pub channels: Vec<u64>,
}

/// Places all that lies in RAM.
pub fn place(system: &System, report: &mut Report) -> Option<Placed> {
    let mut ram = free_ram(system);
    let mut channels = Vec::new();
    let mut memory = Vec::new();
    for vm in &system.vms {
        let mut pieces = Vec::new();
        for piece in &vm.memory {
            let pa = match &piece.pa {
                Some(pa) => pa.value,
                None => match automatic(piece, &vm.memory, &mut ram) {
                    Some(pa) => pa,
                    None => {
                        report.push(no_room(
                            format!("the memory of \"{}\"", vm.name.value),
                            &piece.size,
                            &ram,
                        ));
                        continue;
                    }
                },
            };
            let ipa = piece.ipa.as_ref().map_or(pa, |ipa| ipa.value);
            pieces.push(Mapping {
                ipa: Ipa::new(ipa),
                pa: Pa::new(pa),
                bytes: piece.size.value,
                role: piece.role,
            });
        }
        memory.push(pieces);
    }
    for channel in &system.channels {
        let pa = channel.pa.as_ref().map(|pa| pa.value);
        let pa = pa.or_else(|| ram.take(channel.size.value, alignment(channel.size.value)));
        match pa {
            Some(pa) => channels.push(pa),
            None => report.push(no_room(
                format!("the memory of channel \"{}\"", channel.name.value),
                &channel.size,
                &ram,
            )),
        }
    }
    (!report.has_errors()).then_some(Placed { memory, channels })
}

/// The board's RAM without what the TOML already gave away.
fn free_ram(system: &System) -> Arena {
    let mut ram = Arena::default();
    for range in &system.board.ram {
        ram.add(range.region.start()..range.region.end());
    }
    for reserved in &system.board.reserved {
        ram.remove(reserved.region.start()..reserved.region.end().next_multiple_of(PAGE));
    }
    let own = &system.hypervisor;
    ram.remove(own.base..own.base + own.size.value);
    let pieces = system.vms.iter().flat_map(|vm| &vm.memory);
    for (pa, size) in pieces
        .map(|piece| (&piece.pa, &piece.size))
        .chain(system.channels.iter().map(|channel| (&channel.pa, &channel.size)))
    {
        if let Some(pa) = pa {
            ram.remove(pa.value..pa.value.saturating_add(size.value));
        }
    }
    ram
}

/// A place for `piece`. Identity memory must also keep clear of where the guest sees its other
/// pieces.
fn automatic(piece: &Memory, all: &[Memory], ram: &mut Arena) -> Option<u64> {
    let align = match &piece.ipa {
        Some(ipa) if ipa.value % GIB == 0 && piece.size.value >= GIB => GIB,
        _ => alignment(piece.size.value),
    };
    let mut candidates = ram.clone();
    if piece.identity {
        for other in all {
            if let Some(ipa) = &other.ipa {
                candidates.remove(ipa.value..ipa.value.saturating_add(other.size.value));
            }
        }
    }
    let pa = candidates
        .take(piece.size.value, align)
        .or_else(|| candidates.take(piece.size.value, alignment(piece.size.value)))?;
    ram.remove(pa..pa + piece.size.value);
    Some(pa)
}

fn alignment(bytes: u64) -> u64 {
    if bytes >= MIB2 { MIB2 } else { PAGE }
}

fn no_room(what: String, size: &At<u64>, ram: &Arena) -> Diagnostic {
    rules::RAM_FULL
        .says(format!("{what} does not fit into what is left of the board's RAM"))
        .label(size, format!("{:#x} bytes wanted", size.value))
        .help(format!(
            "the largest free range has {:#x} bytes; make this or another memory smaller",
            ram.largest()
        ))
}

/// Where each end of each channel appears: `[channel][end]`. Above the VM's memory, unless the TOML
/// says where.
pub fn channel_ipas(
    system: &System,
    placed: &Placed,
    windows: &Windows,
    report: &mut Report,
) -> Option<Vec<Vec<u64>>> {
    let mut spaces: Vec<Arena> =
        (0..system.vms.len()).map(|vm| free_ipas(system, placed, windows, vm)).collect();
    let mut out = Vec::new();
    for channel in &system.channels {
        let mut ends = Vec::new();
        for end in &channel.ends {
            let align = alignment(channel.size.value).max(64 << 10);
            let automatic = || spaces[end.vm.value].take(channel.size.value, align);
            match end.ipa.as_ref().map(|ipa| ipa.value).or_else(automatic) {
                Some(ipa) => ends.push(ipa),
                None => {
                    let (vm, channel) = (&system.vms[end.vm.value].name.value, &channel.name.value);
                    report.push(
                        rules::IPA_RANGE
                            .says(format!(
                                "\"{vm}\" has no room for channel \"{channel}\" below 2^{}",
                                system.board.address_bits.value
                            ))
                            .label(&end.vm, "this end")
                            .help("write `ipa` for this end"),
                    );
                }
            }
        }
        out.push(ends);
    }
    (!report.has_errors()).then_some(out)
}

/// IPAs above a VM's memory that nothing of it uses, its channels' ends (`[channel][end]`)
/// included.
pub fn beside_channels(
    system: &System,
    placed: &Placed,
    windows: &Windows,
    channels: &[Vec<u64>],
    vm: usize,
) -> Arena {
    let mut space = free_ipas(system, placed, windows, vm);
    for (channel, ends) in system.channels.iter().zip(channels) {
        for (_, ipa) in channel.ends.iter().zip(ends).filter(|(end, _)| end.vm.value == vm) {
            space.remove(*ipa..ipa.saturating_add(channel.size.value));
        }
    }
    space
}

/// IPAs above a VM's memory that nothing of it uses but channels that have no `ipa`.
fn free_ipas(system: &System, placed: &Placed, windows: &Windows, vm: usize) -> Arena {
    let memory = &placed.memory[vm];
    let top = memory.iter().map(|piece| piece.ipa.value() + piece.bytes).max();
    let mut space = Arena::new(top.unwrap_or(0).next_multiple_of(MIB2)..system.board.address_end());
    for window in &windows.of_vm[vm] {
        space.remove(window.base.value()..window.base.value() + window.bytes);
    }
    for host in &system.board.pcie {
        space.remove(host.ecam.start()..host.ecam.end());
    }
    for device in &system.vms[vm].devices {
        if let DeviceKind::Platform { regions, .. } =
            &system.board.devices[device.device.value].kind
        {
            for region in regions {
                space.remove(region.pages());
            }
        }
    }
    let gic = &system.board.gic;
    space.remove(gic.distributor.start()..gic.distributor.end());
    // A VM may have more of them than the board.
    let redistributors = gic.redistributors.region.start();
    let own = REDISTRIBUTOR * system.vms[vm].vpes.len() as u64;
    let end = gic.redistributors.region.end().max(redistributors.saturating_add(own));
    space.remove(redistributors..end);
    if let Some(its) = &gic.its {
        space.remove(its.region.start()..its.region.end());
    }
    for uart in &system.board.uarts {
        space.remove(uart.pages());
    }
    for channel in &system.channels {
        for end in channel.ends.iter().filter(|end| end.vm.value == vm) {
            if let Some(ipa) = &end.ipa {
                space.remove(ipa.value..ipa.value.saturating_add(channel.size.value));
            }
        }
    }
    space
}
