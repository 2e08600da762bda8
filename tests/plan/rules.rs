// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every plan must hold, whatever the system.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use codegen::plan::{MmioKind, PciFunction, PciHost, Plan, Span};
use gicv4::command::{Command, SgiChange, Version, VpeMapping, VpeMappingV41};

use crate::stage2::mapped;

/// Panics at the first rule that `plan` breaks.
pub fn hold(plan: &Plan) {
    ram_has_one_owner_each(plan);
    tables_are_apart_and_aligned(plan);
    memory_is_written_before_it_is_read(plan);
    guests_reach_their_own_only(plan);
    crate::stage1::hold(plan);
    bars_lie_in_their_windows(plan);
    bridges_pass_on_what_is_behind(plan);
    hosts_show_what_is_the_guests_own(plan);
    numbers_are_given_once(plan);
    the_script_is_in_order(plan);
    crate::schedule::hold(plan);
}

/// Panics if two of `ranges` overlap.
fn apart(what: &str, ranges: impl IntoIterator<Item = (String, Range<u64>)>) {
    let mut ranges: Vec<_> = ranges.into_iter().collect();
    ranges.sort_by_key(|(_, range)| range.start);
    for pair in ranges.windows(2) {
        assert!(pair[0].1.end <= pair[1].1.start, "{what}: {:x?} and {:x?}", pair[0], pair[1]);
    }
}

fn ram_has_one_owner_each(plan: &Plan) {
    let areas = || {
        plan.memory_map.iter().map(|area| (area, area.base.value()..area.base.value() + area.bytes))
    };
    apart("RAM", areas().map(|(area, range)| (format!("{} {}", area.owner, area.what), range)));
    for (area, range) in areas() {
        let mut ram = plan.board.ram.iter();
        let inside = ram.any(|ram| {
            range.start >= ram.base.value() && range.end <= ram.base.value() + ram.bytes
        });
        assert!(inside, "{area:?} is not in RAM");
        assert_eq!((range.start | area.bytes) % 4096, 0, "{area:?}");
    }
}

fn tables_are_apart_and_aligned(plan: &Plan) {
    let own = &plan.hypervisor;
    let range = |base: u64, bytes: u64| base..base + bytes;
    apart(
        "tables",
        own.items.iter().map(|item| (item.name.clone(), range(item.base.value(), item.bytes))),
    );
    let cleared: Vec<_> =
        own.cleared.iter().map(|span| range(span.base.value(), span.bytes)).collect();
    for item in &own.items {
        let (at, end) = (item.base.value(), item.base.value() + item.bytes);
        let align = match item.name.as_str() {
            name if name.contains("pending table") || name.contains("queue") => 0x1_0000,
            name if name.starts_with("ITT") => 256,
            name if name.starts_with("copy of") => 64,
            name if name.starts_with("root of") => item.bytes,
            _ => 4096,
        };
        assert_eq!(at % align, 0, "{item:?}");
        let after = at >= own.tables.value() && end <= own.tables.value() + own.tables_bytes;
        let before = item.zero && at >= own.base.value() && end <= own.image.value();
        assert!(after || before, "{item:?}");
        let clears = cleared.iter().filter(|range| at < range.end && range.start < end).count();
        assert_eq!(clears, usize::from(item.zero), "{item:?} and what boot clears");
        assert!(
            item.zero || end <= own.tables.value() + own.tables_loaded,
            "{item:?} is not in tables.bin"
        );
    }
    assert!(cleared.iter().all(|range| (range.start | range.end) % 64 == 0));
    assert_eq!(own.tables_bin.len() as u64, own.tables_loaded);
    assert_eq!(own.image.value() + own.room, own.tables.value());
    assert!(own.tables.value() + own.tables_bytes <= own.base.value() + own.bytes);
    let loads = plan.vms.iter().flat_map(|vm| &vm.loads);
    for load in loads {
        let at = (load.bytes.copy.value() - own.tables.value()) as usize;
        assert!(own.tables_bin[at..].starts_with(&load.bytes.data), "the copy of {}", load.what);
    }
}

/// Every line of a VM's memory is loaded as a whole, or cleared, or erased, or kept as the TOML
/// wants it; and nothing else is.
fn memory_is_written_before_it_is_read(plan: &Plan) {
    for vm in &plan.vms {
        let loaded = vm
            .loads
            .iter()
            .map(|load| load.to.value()..load.to.value() + load.bytes.len + load.clear);
        let whole = loaded.map(|range| range.start.next_multiple_of(64)..range.end / 64 * 64);
        let spans = |spans: &[Span]| -> Vec<_> {
            spans.iter().map(|span| span.base.value()..span.base.value() + span.bytes).collect()
        };
        let kept = spans(&vm.kept);
        let is_kept = |range: &Range<u64>| kept.iter().any(|kept| kept.contains(&range.start));
        let written = whole.filter(|range| !range.is_empty() && !is_kept(range));
        let own = plan.flashes.iter().filter(|flash| plan.vms[flash.vm].name == vm.name);
        let erased = own.filter(|flash| flash.erased);
        let erased = erased.map(|flash| flash.pa.value()..flash.pa.value() + flash.bytes);
        let all = written.chain(spans(&vm.cleared)).chain(erased).chain(kept.clone());
        let memory = vm.memory.iter().map(|piece| piece.pa.value()..piece.pa.value() + piece.bytes);
        assert_eq!(joined(all), joined(memory), "what {} finds in its memory", vm.name);
        assert!(vm.cleared.iter().all(|span| (span.base.value() | span.bytes) % 64 == 0));
    }
    for end in &plan.channel_ends {
        let shared = plan.shared_memory.iter().filter(|memory| memory.base == end.pa);
        assert_eq!(shared.map(|memory| memory.bytes).collect::<Vec<_>>(), [end.bytes]);
    }
}

/// `ranges` in order, those that touch made one. They must not overlap.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            last => {
                assert!(last.is_none_or(|last| last.end < range.start), "{range:x?} twice");
                out.push(range);
            }
        }
    }
    out
}

fn guests_reach_their_own_only(plan: &Plan) {
    let mut all = Vec::new();
    let mut shared = BTreeSet::new();
    for (number, vm) in plan.vms.iter().enumerate() {
        let mut wanted: Vec<(u64, Range<u64>)> = Vec::new();
        let mut want = |ipa: u64, pa: u64, bytes: u64| {
            wanted.extend((0..bytes).step_by(4096).map(|n| (ipa + n, pa + n..pa + n + 4096)));
        };
        vm.memory.iter().for_each(|piece| want(piece.ipa.value(), piece.pa.value(), piece.bytes));
        vm.registers
            .iter()
            .for_each(|region| want(region.base.value(), region.base.value(), region.bytes));
        for function in plan.vm_functions(vm) {
            let bars = function.bars.iter();
            bars.for_each(|bar| {
                want(bar.base.value(), bar.base.value(), bar.bytes.next_multiple_of(4096))
            });
        }
        // But for the MSI-X tables in them: all of each, and the page that it begins in.
        let tables = plan.vm_functions(vm).iter().filter_map(|function| {
            let msix = function.msix?;
            let bar = function.bars.iter().find(|bar| bar.index == msix.bar).unwrap();
            let start = bar.base.value() + u64::from(msix.offset);
            msix.pages.map(|_| start & !4095..start + 16 * u64::from(msix.vectors))
        });
        let tables: Vec<Range<u64>> = tables.collect();
        let in_table =
            |ipa: u64| tables.iter().any(|table| ipa < table.end && table.start < ipa + 4096);
        for end in plan.vm_channel_ends(vm) {
            want(end.ipa.value(), end.pa.value(), end.bytes);
            shared.insert(end.pa.value());
        }
        let log = vm.log.and(plan.board.console.log());
        for (seen, log) in vm.log.iter().zip(log) {
            want(seen.base.value(), log.base.value(), log.bytes);
        }
        let in_log = |pa: u64| {
            log.is_some_and(|log| (log.base.value()..log.base.value() + log.bytes).contains(&pa))
        };
        wanted.retain(|page| !in_table(page.0));
        wanted.sort_by_key(|page| page.0);
        let got = mapped(plan, number).into_iter().flat_map(|leaf| {
            let pages = (0..leaf.pa.end - leaf.pa.start).step_by(4096);
            pages.map(move |n| (leaf.ipa + n, leaf.pa.start + n..leaf.pa.start + n + 4096))
        });
        assert!(got.eq(wanted), "what {} reaches", vm.name);
        let channels =
            plan.vm_channel_ends(vm).iter().map(|end| end.pa.value()).collect::<BTreeSet<_>>();
        let own = mapped(plan, number).into_iter().map(|leaf| leaf.pa);
        all.extend(
            own.filter(|pa| !in_log(pa.start))
                .filter(|pa| !channels.iter().any(|&base| in_channel(plan, base, pa.start)))
                .map(|pa| (vm.name.clone(), pa)),
        );
        apart(
            "emulated",
            vm.mmio
                .iter()
                .map(|m| (format!("{:?}", m.kind), m.base.value()..m.base.value() + m.bytes)),
        );
    }
    let own = &plan.hypervisor;
    all.push(("hypervisor".into(), own.base.value()..own.base.value() + own.bytes));
    apart("what VMs reach", all);
}

fn in_channel(plan: &Plan, base: u64, pa: u64) -> bool {
    let bytes =
        plan.channel_ends.iter().find(|end| end.pa.value() == base).map_or(0, |end| end.bytes);
    (base..base + bytes).contains(&pa)
}

fn bars_lie_in_their_windows(plan: &Plan) {
    let mut bars = Vec::new();
    for function in &plan.functions {
        for bar in &function.bars {
            let (at, end, bus) = (bar.base.value(), bar.base.value() + bar.bytes, bar.bus.0);
            assert_eq!(bus % bar.bytes.max(4096), 0, "{bar:?}");
            assert_ne!(bus, 0, "a BAR that nobody has placed");
            let mut windows = plan.vms[function.vm].windows();
            let window = windows
                .find(|own| at >= own.base.value() && end <= own.base.value() + own.bytes)
                .unwrap();
            assert_eq!(
                (window.host, at - window.base.value()),
                (function.space.host, bus - window.bus.0)
            );
            bars.push((function.name.clone(), at..end));
            let offset = 0x10 + 4 * u16::from(bar.index);
            let held = |at: u16, word: u64| {
                function.setup.iter().any(|write| (write.offset, write.value.0) == (at, word))
            };
            assert!(held(offset, bus & 0xffff_ffff), "{bar:?}");
            assert!(!bar.wide || held(offset + 4, bus >> 32), "{bar:?}");
        }
        // Decoding is switched on only when every BAR has its place.
        assert_eq!(function.setup.last().map(|write| write.offset), Some(4));
    }
    apart("BARs", bars);
    for vm in &plan.vms {
        let Some(tree) = vm.loads.iter().find(|load| load.what == "device tree") else { continue };
        for window in vm.windows() {
            let space = if window.wide { 0x0300_0000u32 } else { 0x0200_0000 };
            let words = [window.bus.0, window.base.value(), window.bytes];
            let words = words.iter().flat_map(|word| word.to_be_bytes());
            let range: Vec<u8> = space.to_be_bytes().into_iter().chain(words).collect();
            assert!(
                tree.bytes.data.windows(28).any(|part| part == range),
                "{window:x?} of {}",
                vm.name
            );
        }
    }
}

/// Buses, windows and views; what is behind a bridge and what is not.
fn bridges_pass_on_what_is_behind(plan: &Plan) {
    const MIB: u64 = 1 << 20;
    let within = |base: u64, bytes: u64, outer: &Range<u64>| {
        bytes == 0 || base >= outer.start && base + bytes <= outer.end
    };
    for bridge in &plan.bridges {
        let window = bridge.base.0..bridge.base.0 + bridge.bytes;
        assert_eq!((window.start | window.end) % MIB, 0, "{bridge:?}");
        assert!(window.end <= 1 << 32);
        let behind = |host: usize, bdf: u16| {
            host == bridge.space.host
                && (bridge.secondary..=bridge.subordinate).contains(&((bdf >> 8) as u8))
        };
        // BARs behind it, and no others, lie in its window.
        let functions = plan.functions.iter().map(|f| (f.space.host, f.space.bdf, &f.bars));
        let bridges = plan.bridges.iter().map(|b| (b.space.host, b.space.bdf, &b.bars));
        for (host, bdf, bars) in functions.chain(bridges) {
            for bar in bars {
                let apart = bar.bus.0 + bar.bytes <= window.start || bar.bus.0 >= window.end;
                let right = match behind(host, bdf) {
                    true => within(bar.bus.0, bar.bytes, &window),
                    // Another host's buses have addresses of their own.
                    false => apart || host != bridge.space.host,
                };
                assert!(right, "{bar:?} of {bdf:#x} and {bridge:x?}");
            }
        }
        for other in plan.bridges.iter().filter(|other| behind(other.space.host, other.space.bdf)) {
            assert!(within(other.base.0, other.bytes, &window), "{other:?}");
            assert!(other.subordinate <= bridge.subordinate);
        }
        let numbers = u64::from_le_bytes([
            (bridge.space.bdf >> 8) as u8,
            bridge.secondary,
            bridge.subordinate,
            0,
            0,
            0,
            0,
            0,
        ]);
        assert!(bridge.setup.iter().any(|write| (write.offset, write.value.0) == (0x18, numbers)));
        let (first, last) = (bridge.setup.first(), bridge.setup.last());
        assert_eq!(first.map(|write| (write.offset, write.value.0)), Some((4, 0)), "off first");
        assert_eq!(last.map(|write| (write.offset, write.value.0)), Some((4, 0x406)), "on last");
        for view in &bridge.views {
            assert!(within(view.base.0, view.bytes, &window), "{view:?}");
            assert_eq!((view.base.0 | view.bytes) % MIB, 0);
            let own = plan
                .functions
                .iter()
                .filter(|f| f.vm == view.vm && behind(f.space.host, f.space.bdf));
            let seen = view.base.0..view.base.0 + view.bytes;
            for bar in own.flat_map(|function| &function.bars) {
                assert!(within(bar.bus.0, bar.bytes, &seen), "{bar:?} and {view:?}");
            }
        }
    }
    for function in &plan.functions {
        let way = plan.bridges.iter().filter(|bridge| {
            bridge.space.host == function.space.host
                && (bridge.secondary..=bridge.subordinate)
                    .contains(&((function.space.bdf >> 8) as u8))
        });
        let host = host_of(plan, function);
        let mut bus = u16::from(host.first_bus);
        for bridge in way {
            assert_eq!(bridge.space.bdf >> 8, bus, "{function:?} by {bridge:?}");
            assert!(bridge.views.iter().any(|view| view.vm == function.vm));
            bus = bridge.secondary.into();
        }
        assert_eq!(bus, function.space.bdf >> 8, "no way to {function:?}");
        let seen = plan.vm_bridges(function.vm).map(|(n, _)| &plan.bridges[n]);
        let mut seen = seen.filter(|bridge| bridge.space.host == function.space.host);
        assert!(seen.all(|bridge| bridge.subordinate <= host.last_bus), "ECAM too short");
    }
}

fn host_of<'a>(plan: &'a Plan, function: &PciFunction) -> &'a PciHost {
    let mut hosts = plan.vms[function.vm].hosts.iter();
    hosts.find(|host| host.host == function.space.host).unwrap()
}

/// Each host that a VM sees has functions of the VM, all in its ECAM by their bus, each with its
/// DeviceID.
fn hosts_show_what_is_the_guests_own(plan: &Plan) {
    let mut configs = BTreeSet::new();
    for function in &plan.functions {
        let host = host_of(plan, function);
        let place = u64::from(function.space.bdf) - (u64::from(host.first_bus) << 8);
        assert_eq!(function.space.config.value(), host.ecam.base.value() + place * 4096);
        assert!(configs.insert(function.space.config.value()), "{function:?}: a place twice");
        let own = host.msi_map.iter().filter_map(|range| {
            let place = u32::from(function.space.bdf).checked_sub(range.requester)?;
            (place < range.count).then(|| range.device_id + place)
        });
        assert_eq!(own.collect::<Vec<_>>(), [function.device_id], "{function:?}");
    }
    for vm in &plan.vms {
        let ecams = vm.mmio.iter().filter(|region| region.kind == MmioKind::PciConfig);
        let ecams: BTreeSet<_> = ecams.map(|region| (region.base.value(), region.bytes)).collect();
        let hosts: BTreeSet<_> =
            vm.hosts.iter().map(|host| (host.ecam.base.value(), host.ecam.bytes)).collect();
        assert_eq!(ecams, hosts);
        for host in &vm.hosts {
            let buses = u64::from(host.last_bus - host.first_bus) + 1;
            assert_eq!(host.ecam.bytes, buses << 20);
            let mut own = plan.vm_functions(vm).iter();
            assert!(
                own.any(|function| function.space.host == host.host),
                "nothing behind {host:?}"
            );
            assert!(host.windows.iter().all(|window| window.host == host.host));
        }
    }
}

fn numbers_are_given_once(plan: &Plan) {
    let vmids: BTreeSet<u16> = plan.vms.iter().map(|vm| vm.vmid.value()).collect();
    assert!(vmids.len() == plan.vms.len() && !vmids.contains(&0));
    let mut vintids = BTreeSet::new();
    let mut events = BTreeSet::new();
    for (number, event) in plan.events.iter().enumerate() {
        let vpe = &plan.vpes[event.vpe];
        assert!(events.insert((event.device, event.event)), "{event:?} twice");
        assert!(vintids.insert((vpe.vm, event.vintid)), "{event:?}: its vINTID twice");
        assert!((8192..1 << plan.vms[vpe.vm].vintid_bits).contains(&event.vintid), "{event:?}");
        if plan.is_listed() {
            let start = plan.its.as_ref().map(|its| its.lpi_config_start[number] & 1);
            let known = plan.translated().any(|known| known == event);
            assert_eq!(start.filter(|_| known), known.then_some(1), "{event:?} is enabled");
            assert!(vpe.tables.is_none(), "{event:?} is no vLPI");
            continue;
        }
        let start = &plan.vms[vpe.vm].vlpi_config_start;
        let enabled = plan.vms[vpe.vm].vlpi_priority | 3;
        assert_eq!(start[event.vintid as usize - 8192], enabled, "{event:?} is enabled");
        assert!(vpe.tables.is_some(), "{event:?} has nowhere to wait");
    }
    assert!(plan.events.is_sorted_by_key(|event| (event.device, event.event)));
    let doorbells: BTreeSet<u32> =
        plan.vpes.iter().filter_map(|vpe| Some(vpe.tables?.doorbell.intid)).collect();
    let reachable = plan.vpes.iter().filter(|vpe| vpe.tables.is_some()).count();
    assert_eq!(doorbells.len(), reachable);
    // Both ends of a channel ring the other.
    for end in &plan.channel_ends {
        let rung = &plan.events[end.rings as usize];
        assert!(rung.ring);
        let peer = plan
            .channel_ends
            .iter()
            .find(|peer| peer.channel == end.channel && peer.role != end.role);
        let peer = peer.unwrap();
        assert_eq!((plan.vpes[rung.vpe].vm, rung.vintid), (peer.vm, peer.vintid));
    }
}

/// Names before uses, everything invalidated and synchronised at the end.
fn the_script_is_in_order(plan: &Plan) {
    let Some(its) = &plan.its else { return };
    let mut collections = BTreeMap::new();
    let (mut devices, mut vpes) = (BTreeMap::new(), BTreeMap::new());
    let (mut events, mut synced) = (BTreeSet::new(), BTreeSet::new());
    let (mut last, mut sgis) = (None, BTreeSet::new());
    let version = crate::software::version(plan);
    for line in &its.script {
        let command = Command::decode_strict(line.words.map(|word| word.0), version).unwrap();
        match command {
            Command::Mapc { collection, redistributor: Some(to) } => {
                assert!(collections.insert(collection, to).is_none());
            }
            Command::Mapd { device, itt: Some(itt) } => {
                assert!(devices.insert(device, itt).is_none());
            }
            Command::Mapti { device, event, collection, .. } => {
                assert!(
                    collections.contains_key(&collection)
                        && event.value() >> devices[&device].event_bits() == 0
                );
                assert!(events.insert((device, event)));
            }
            Command::Vmapp { vpe, mapping: Some(mapping) } => {
                assert!(vpes.insert(vpe, mapping).is_none());
            }
            Command::Vmapti { device, event, vpe, .. } => {
                assert!(
                    vpes.contains_key(&vpe) && event.value() >> devices[&device].event_bits() == 0
                );
                assert!(events.insert((device, event)));
                assert!(synced.is_empty(), "an event after the first VSYNC");
            }
            Command::VmappV41 { vpe, allocate: true, mapping: Some(mapping) } => {
                assert!(mapping.zeroed && mapping.doorbell.lpi_index().is_some());
                let VpeMappingV41 { redistributor, vpt, .. } = mapping;
                assert!(vpes.insert(vpe, VpeMapping { redistributor, vpt }).is_none());
            }
            Command::Vsgi { vpe, sgi, change } => {
                let off = SgiChange::Configure { enabled: false, group1: true, priority: 0 };
                assert!(vpes.contains_key(&vpe) && sgis.insert((vpe, sgi)) && change == off);
                assert!(synced.is_empty(), "an SGI after the first VSYNC");
            }
            Command::Vinvall { vpe } => assert!(vpes.contains_key(&vpe)),
            Command::Invdb { vpe } => assert_eq!(last, Some(Command::Vinvall { vpe })),
            Command::Vsync { vpe } => {
                let before = match version {
                    Version::V4_0 => Command::Vinvall { vpe },
                    Version::V4_1 => Command::Invdb { vpe },
                };
                assert_eq!(last, Some(before));
                synced.insert(vpe);
            }
            Command::Invall { collection } => assert!(collections.contains_key(&collection)),
            Command::Sync { redistributor } => {
                let Some(Command::Invall { collection }) = last else {
                    panic!("SYNC after {last:?}")
                };
                assert_eq!(collections.remove(&collection), Some(redistributor));
            }
            other => panic!("{other} has no place in a boot script"),
        }
        last = Some(command);
    }
    assert!(collections.is_empty(), "a collection that is never synchronised");
    assert_eq!(synced.len(), vpes.len());
    let offered = plan.vms.iter().filter(|vm| plan.has_virtual_sgis(vm));
    let offered: usize = offered.map(|vm| 16 * usize::from(vm.vpe_count)).sum();
    assert_eq!(sgis.len(), offered, "an SGI that nobody disables");
    let proxies = if version == Version::V4_0 { vpes.len() } else { 0 };
    assert_eq!(events.len(), plan.translated().count() + proxies);
    let real = plan.its.as_ref().unwrap().devices.len();
    assert_eq!(devices.len(), real);
    apart(
        "ITTs",
        devices.values().map(|itt| {
            let bytes = u64::from(its.entry_bytes) << itt.event_bits();
            (format!("{itt:?}"), itt.address()..itt.address() + bytes)
        }),
    );
}
