// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's own description: no two things at one place, sizes and numbers as the architecture
//! has them.

use super::memory::hypervisor;
use super::range::{self, BLOCK, FRAME, PAGE, Range, hex};
use crate::diag::{Report, rules};
use crate::emit::stage2::PHYSICAL_BITS;
use crate::emit::translation::MOST_BITS;
use crate::model::{At, Board, Conduit, Cpu, DeviceKind, GicVersion, System, Trigger};
use crate::units::Size;

/// Affinity fields of MPIDR_EL1: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0 (DDI 0487, MPIDR_EL1).
const AFFINITY: u64 = 0xff_00ff_ffff;

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    sizes(board, report);
    overlaps(system, report);
    redistributors(board, report);
    affinities(board, report);
    table_pages(board, report);
    frames(board, report);
    intids(board, report);
    psci(board, report);
    addresses(board, report);
}

/// What a CPU must reach lies below the end of its addresses. PCI windows are cut there instead;
/// another rule says when one is too small then.
fn addresses(board: &Board, report: &mut Report) {
    let bits = &board.address_bits;
    if !PHYSICAL_BITS.contains(&bits.value) {
        let next = PHYSICAL_BITS.iter().rev().find(|&&known| known < bits.value).unwrap_or(&32);
        report.push(
            rules::ADDRESS_BITS
                .says(format!("no CPU has physical addresses of {} bits", bits.value))
                .label(bits, "ID_AA64MMFR0_EL1.PARange has 32, 36, 40, 42, 44 and 48")
                .help(format!("write address_bits = {next}")),
        );
        return;
    }
    let ram =
        board.ram.iter().map(|ram| Range::of(format!("RAM `{}`", ram.name.value), &ram.region));
    let gic = &board.gic;
    let mut all: Vec<Range> = ram.collect();
    all.push(Range::of("the distributor", &gic.distributor));
    all.extend(range::redistributors(board));
    all.extend(gic.its.iter().map(|its| Range::of("the ITS", &its.region)));
    let uarts = board.uarts.iter();
    all.extend(uarts.map(|uart| Range::of(format!("UART `{}`", uart.name.value), &uart.region)));
    let hosts = board.pcie.iter();
    all.extend(hosts.map(|host| Range::of(format!("ECAM of `{}`", host.name.value), &host.ecam)));
    all.extend(range::devices(board));
    for beyond in all.iter().filter(|range| range.end > board.address_end()) {
        let needed = PHYSICAL_BITS.iter().find(|&&bits| 1 << bits >= beyond.end);
        let help = match needed {
            Some(needed) => {
                format!("write address_bits = {needed} in [board], if its CPUs have as many")
            }
            None => format!("write an address below {}", hex(1 << MOST_BITS)),
        };
        report.push(
            rules::ADDRESS_BITS
                .says(format!("{} is beyond what the board's CPUs can address", beyond.owner))
                .label(&beyond.at, beyond.label())
                .label(bits, format!("addresses of {} bits", bits.value))
                .help(help),
        );
    }
}

/// HVC at EL2 is EL2's own exception: firmware below cannot be called by it.
fn psci(board: &Board, report: &mut Report) {
    if board.psci.value == Conduit::Hvc {
        report.push(
            rules::PSCI_CONDUIT
                .says(format!("firmware of board `{}` cannot be called by HVC", board.name.value))
                .label(&board.psci, "HVC is answered by EL2, where the hypervisor itself runs")
                .help("write psci = \"smc\"; firmware that offers HVC alone leaves no EL2 to the hypervisor"),
        );
    }
}

/// Every base and size is some multiple, and no size is zero.
fn sizes(board: &Board, report: &mut Report) {
    let mut one = |region: &crate::model::Region, unit, what: String| {
        range::aligned(report, &region.base, unit, &format!("the address of {what}"));
        if range::some(report, &region.size, &format!("the size of {what}")) {
            range::aligned(report, &region.size, unit, &format!("the size of {what}"));
        }
    };
    for ram in &board.ram {
        one(&ram.region, BLOCK, format!("RAM `{}`", ram.name.value));
    }
    for reserved in &board.reserved {
        one(&reserved.region, PAGE, format!("`{}`", reserved.name.value));
    }
    one(&board.gic.distributor, FRAME, "the distributor".into());
    for (n, region) in board.gic.redistributors.regions().enumerate() {
        let what = match n {
            0 => "the redistributors".into(),
            _ => format!("region {} of the redistributors", n + 1),
        };
        one(region, FRAME, what);
    }
    if let Some(its) = &board.gic.its {
        // QEMU's sbsa-ref has one at 0x4408_1000.
        one(&its.region, PAGE, "the ITS".into());
    }
    for smmu in &board.smmus {
        one(&smmu.region, FRAME, format!("SMMU `{}`", smmu.name.value));
    }
    for device in &board.devices {
        if let DeviceKind::Platform { regions, .. } = &device.kind {
            for region in regions {
                let what = format!("the size of device `{}`", device.name.value);
                range::some(report, &region.size, &what);
            }
        }
    }
}

fn overlaps(system: &System, report: &mut Report) {
    let board = &system.board;
    let ram: Vec<Range> = board
        .ram
        .iter()
        .map(|ram| Range::of(format!("RAM `{}`", ram.name.value), &ram.region))
        .collect();
    let registers = range::registers(board);
    for (later, earlier) in range::overlaps(&ram).into_iter().chain(range::overlaps(&registers)) {
        report.push(
            rules::BOARD_OVERLAP
                .says(format!("{} and {} overlap", earlier.owner, later.owner))
                .label(&later.at, later.label())
                .label(&earlier.at, earlier.label())
                .help("one address has one owner: look both up in the board's manual"),
        );
    }
    let own = hypervisor(system);
    for frame in &registers {
        let Some(over) = ram.iter().find(|ram| frame.overlaps(ram)) else { continue };
        let (rule, other) = if frame.overlaps(&own) {
            (&rules::DEVICE_HYPERVISOR, &own)
        } else {
            (&rules::DEVICE_RAM, over)
        };
        report.push(
            rule.says(format!("registers of {} lie in {}", frame.owner, other.owner))
                .label(&frame.at, frame.label())
                .label(&other.at, other.label())
                .help(
                    "a device's registers are never RAM: look the address up in the board's manual",
                ),
        );
    }
    for reserved in &board.reserved {
        let range = Range::of(format!("`{}`", reserved.name.value), &reserved.region);
        if !ram.iter().any(|ram| range.lies_in(ram)) {
            report.push(
                rules::RESERVED_OUTSIDE
                    .says(format!("reserved range `{}` is not in RAM", reserved.name.value))
                    .label(&range.at, range.label())
                    .label(&ram[0].at, ram[0].label())
                    .help("only RAM need be reserved: leave this out, or correct the address"),
            );
        }
    }
}

fn redistributors(board: &Board, report: &mut Report) {
    let gic = &board.gic;
    let all = &gic.redistributors;
    let (least, version) = match gic.version.value {
        GicVersion::V3 => (2 * FRAME, "GICv3"),
        GicVersion::V4_0 | GicVersion::V4_1 => (4 * FRAME, "GICv4"),
    };
    let stride = all.stride.value;
    if stride < least || !stride.is_multiple_of(FRAME) {
        report.push(
            rules::GICR_SIZE
                .says(format!("the redistributors' stride cannot be {}", Size(stride)))
                .label(&all.stride, "distance from one CPU's to the next")
                .label(
                    &gic.version,
                    format!("a {version} redistributor has {} frames of 64 KiB", least / FRAME),
                )
                .help(format!("write stride = \"{}\"", Size(least))),
        );
        return;
    }
    let regions: Vec<Range> = range::redistributors(board).collect();
    let frames: Vec<Range> = board
        .cpus
        .iter()
        .map(|cpu| {
            Range::new(format!("redistributor of `{}`", cpu.name.value), &cpu.redistributor, least)
        })
        .collect();
    let beyond = |frame: &&Range| !regions.iter().any(|region| frame.lies_in(region));
    if let Some(beyond) = frames.iter().find(beyond) {
        let mut said = rules::GICR_SIZE
            .says(format!("the {} is not among the redistributors", beyond.owner))
            .label(&beyond.at, beyond.label());
        for region in &regions {
            said = said.label(&region.at, region.label());
        }
        let needed = Size(stride.saturating_mul(frames.len() as u64));
        report.push(said.help(match regions.len() {
            1 => format!("{} CPUs need size = \"{needed}\"", frames.len()),
            _ => format!("{} CPUs need \"{needed}\" in all", frames.len()),
        }));
    }
    for (later, earlier) in range::overlaps(&frames) {
        report.push(
            rules::GICR_SIZE
                .says(format!("the {} and the {} overlap", earlier.owner, later.owner))
                .label(&later.at, later.label())
                .label(&earlier.at, earlier.label())
                .help("each CPU has a redistributor of its own: correct one `redistributor`"),
        );
    }
}

fn affinities(board: &Board, report: &mut Report) {
    for (n, cpu) in board.cpus.iter().enumerate() {
        if cpu.mpidr.value & !AFFINITY != 0 {
            report.push(
                rules::MPIDR
                    .says(format!(
                        "the MPIDR of `{}` has bits outside the affinity fields",
                        cpu.name.value
                    ))
                    .label(&cpu.mpidr, "Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0")
                    .help(format!("write {}", hex(cpu.mpidr.value & AFFINITY))),
            );
        }
        if let Some(first) =
            board.cpus[..n].iter().find(|other| other.mpidr.value == cpu.mpidr.value)
        {
            report.push(
                rules::MPIDR
                    .says(format!(
                        "`{}` and `{}` have the same MPIDR",
                        first.name.value, cpu.name.value
                    ))
                    .label(&cpu.mpidr, format!("of `{}`", cpu.name.value))
                    .label(&first.mpidr, format!("of `{}`", first.name.value))
                    .help("every CPU has its own: look them up in the firmware's device tree"),
            );
        }
        let same = |other: &&Cpu| other.processor.value == cpu.processor.value;
        if let Some(first) = board.cpus[..n].iter().find(same) {
            report.push(
                rules::PROCESSOR_TWICE
                    .says(format!(
                        "`{}` and `{}` have the same processor number, {}",
                        first.name.value, cpu.name.value, cpu.processor.value
                    ))
                    .label(&cpu.processor, format!("of `{}`", cpu.name.value))
                    .label(&first.processor, format!("of `{}`", first.name.value))
                    .help("GICR_TYPER of each redistributor has its number in bits 23:8"),
            );
        }
    }
}

/// Page sizes that GITS_BASERn.Page_Size can say.
fn table_pages(board: &Board, report: &mut Report) {
    let Some(its) = &board.gic.its else { return };
    let page = &its.table_page;
    if ![0x1000, 0x4000, 0x1_0000].contains(&page.value) {
        report.push(
            rules::TABLE_PAGE
                .says(format!("the ITS's tables cannot have pages of {}", Size(page.value)))
                .label(page, "no size of GITS_BASERn.Page_Size")
                .help("write \"4 KiB\", \"16 KiB\" or \"64 KiB\", or leave it out"),
        );
    }
}

fn frames(board: &Board, report: &mut Report) {
    let its_size = match board.gic.version.value {
        GicVersion::V4_1 => 4 * FRAME,
        GicVersion::V3 | GicVersion::V4_0 => 2 * FRAME,
    };
    let its = board.gic.its.iter().map(|its| ("ITS", &its.region.size, its_size));
    for (what, size, right) in its.chain([("distributor", &board.gic.distributor.size, FRAME)]) {
        if size.value != right && size.value != 0 {
            report.push(
                rules::ITS_FRAME
                    .says(format!("the {what} cannot be {}", Size(size.value)))
                    .label(size, format!("the {what}'s frames"))
                    .label(&board.gic.version, format!("have {} in this version", Size(right)))
                    .help(format!("write size = \"{}\"", Size(right))),
            );
        }
    }
}

fn intids(board: &Board, report: &mut Report) {
    let timer = &board.timer;
    let ppis = [
        ("virtual timer", &timer.virtual_ppi),
        ("physical timer", &timer.physical_ppi),
        ("hypervisor timer", &timer.hypervisor_ppi),
        ("maintenance interrupt", &timer.maintenance_ppi),
    ];
    let ppis = ppis.into_iter().chain(board.pmu_ppi.as_ref().map(|ppi| ("PMU", ppi)));
    let mut all: Vec<(String, &At<u32>)> = Vec::new();
    for (what, intid) in ppis {
        intid_range(report, what, intid, 16, 31, &board.gic.at);
        all.push((format!("the {what}"), intid));
    }
    let mut spis: Vec<(String, &At<u32>)> = Vec::new();
    spis.extend(
        board
            .uarts
            .iter()
            .filter_map(|uart| Some((format!("UART `{}`", uart.name.value), uart.intid.as_ref()?))),
    );
    for smmu in &board.smmus {
        let name = format!("SMMU `{}`", smmu.name.value);
        spis.push((name.clone(), &smmu.event_intid));
        spis.push((name, &smmu.error_intid));
    }
    let shareable = shareable(board);
    for (what, intid) in spis.iter().chain(shareable.iter().map(|(line, _)| line)) {
        intid_range(report, what, intid, 32, 31 + board.gic.spis.value, &board.gic.spis.with(()));
    }
    all.extend(spis);
    for (n, (what, intid)) in all.iter().enumerate() {
        // An SMMU's two may be one.
        let same =
            |(other, first): &&(String, &At<u32>)| first.value == intid.value && other != what;
        if let Some(first) = all[..n].iter().find(same) {
            twice(report, first, (what, intid), "one interrupt has one owner");
        }
    }
    for (n, ((what, intid), trigger)) in shareable.iter().enumerate() {
        let mut own = all.iter().filter(|(_, first)| first.value == intid.value);
        let mut others = shareable[..n].iter().filter(|((_, first), _)| first.value == intid.value);
        if let Some(first) = own.next() {
            twice(report, first, (what, intid), "what is the hypervisor's is nobody else's");
        } else if let Some((first, _)) = others.find(|(_, other)| other != trigger) {
            let help = "devices that share a line have one `trigger`";
            twice(report, first, (what, intid), help);
        }
    }
}

/// The SPIs that several devices may share, and how they are signalled.
fn shareable(board: &Board) -> Vec<((String, &At<u32>), Trigger)> {
    let mut all = Vec::new();
    for host in &board.pcie {
        let name = format!("PCIe host `{}`", host.name.value);
        all.extend(host.intx.iter().map(|intid| ((name.clone(), intid), Trigger::Level)));
    }
    for device in &board.devices {
        let DeviceKind::Platform { intids, .. } = &device.kind else { continue };
        let name = format!("device `{}`", device.name.value);
        all.extend(intids.iter().map(|irq| ((name.clone(), &irq.intid), irq.trigger)));
    }
    all
}

fn twice(
    report: &mut Report,
    (other, first): &(String, &At<u32>),
    (what, intid): (&str, &At<u32>),
    why: &str,
) {
    report.push(
        rules::INTID_TWICE
            .says(format!("{other} and {what} have the same INTID {}", intid.value))
            .label(intid, what)
            .label(first, other.as_str())
            .help(format!("{why}: look both up in the board's manual")),
    );
}

fn intid_range(
    report: &mut Report,
    what: &str,
    intid: &At<u32>,
    first: u32,
    last: u32,
    why: &At<()>,
) {
    if intid.value < first || intid.value > last {
        let (kind, help) = match first {
            16 => ("PPI", "a device tree's `1 11` is PPI 11, INTID 27: add 16"),
            _ => ("SPI", "a device tree's `0 1` is SPI 1, INTID 33: add 32"),
        };
        report.push(
            rules::INTID_RANGE
                .says(format!("INTID {} of {what} is no {kind}", intid.value))
                .label(intid, format!("not in {first} to {last}"))
                .label(why, format!("the {kind}s of this GIC"))
                .help(help),
        );
    }
}
