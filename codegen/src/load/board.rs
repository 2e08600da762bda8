// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board, resolved.

use std::path::Path;
use std::time::Duration;

use super::files::{Files, shown};
use super::payload::relative;
use crate::bounds;
use crate::diag::{FileId, rules};
use crate::model::quirk::{self, Quirk};
use crate::model::{self, At, Region, UNRESOLVED};
use crate::schema::board as toml;
use crate::schema::json::Kind;
use crate::schema::verify::{list, near};
use crate::schema::{Address, S};
use crate::tree::parse::parse;
use crate::units::{Size, Time};

/// Find and read the board that `name`, in the system TOML, stands for.
pub fn load(files: &mut Files, name: &At<String>) -> Option<model::Board> {
    let path = files.named(Kind::Board, name)?;
    let (board, file) = files.read::<toml::BoardFile>(&path, Kind::Board, Some(&name.with(())))?;
    Some(resolve(files, &board, file, &path))
}

/// The board in a file that no system names.
pub fn alone(files: &mut Files, path: &Path) -> Option<model::Board> {
    let (board, file) = files.read::<toml::BoardFile>(path, Kind::Board, None)?;
    Some(resolve(files, &board, file, path))
}

fn resolve(files: &mut Files, board: &toml::BoardFile, file: FileId, path: &Path) -> model::Board {
    let gic = gic(&board.gic, board.cpu.len(), file);
    let cpus = board
        .cpu
        .iter()
        .enumerate()
        .map(|(position, cpu)| cpu_at(cpu, position, &gic, file))
        .collect();
    let address_bits = match &board.board.address_bits {
        Some(bits) => bits.at(file),
        None => board.board.name.map(file, |_| model::Board::ADDRESS_BITS),
    };
    let smmus: Vec<_> = board.smmu.iter().map(|one| smmu(one, &address_bits, file)).collect();
    let iommus: Vec<_> = board.iommu.iter().map(|one| iommu(one, file)).collect();
    let guards = Guards { smmus: &smmus, iommus: &iommus };
    let pcie: Vec<_> = board.pcie.iter().map(|pcie| host(files, pcie, &guards, file)).collect();
    let uarts: Vec<_> = board.uart.iter().map(|one| uart(one, file)).collect();
    let console = board.board.uart.as_ref().map(|name| {
        let names: Vec<&str> = uarts.iter().map(|uart| uart.name.as_str()).collect();
        part(files, "UART", &name.at(file), &names)
    });
    let controllers: Vec<_> = board.controller.iter().map(|one| controller(one, file)).collect();
    let hosts = Hosts { pcie: &pcie, controllers: &controllers };
    let bridges = board.bridge.iter().map(|one| bridge(files, one, &hosts, file)).collect();
    let devices = board
        .device
        .iter()
        .map(|device| match &**device {
            toml::Device::Pci(device) => pci(files, device, &hosts, file),
            toml::Device::Platform(device) => platform(files, device, &guards, file),
        })
        .collect();
    model::Board {
        path: shown(path),
        name: board.board.name.at(file),
        description: board.board.description.clone().unwrap_or_default(),
        source: board.board.source.clone(),
        boot: board.board.boot.clone(),
        console,
        psci: board.board.psci.at(file),
        switch_time: match &board.board.switch_time {
            Some(time) => time.map(file, |time| time.0),
            None => board.board.name.map(file, |_| model::Board::SWITCH_TIME),
        },
        address_bits,
        tree: board.board.tree.as_ref().map(|tree| board_tree(files, tree, file)),
        mpam: board.board.mpam,
        hypervisor: board.hypervisor.as_ref().map(|place| place.base.map(file, |base| base.0)),
        cpus,
        ram: board
            .ram
            .iter()
            .map(|ram| model::Ram {
                name: ram.name.at(file),
                region: region(&ram.base, &ram.size, file),
            })
            .collect(),
        reserved: board
            .reserved
            .iter()
            .map(|reserved| model::Reserved {
                name: reserved.name.at(file),
                region: region(&reserved.base, &reserved.size, file),
                reason: reserved.reason.clone(),
                lpi_tables: reserved.lpi_tables,
            })
            .collect(),
        gic,
        timer: model::Timer {
            frequency: board.timer.frequency.at(file),
            virtual_ppi: board.timer.virtual_ppi.at(file),
            physical_ppi: match &board.timer.physical {
                Some(physical) => physical.at(file),
                None => board.timer.map(file, |_| model::Timer::PHYSICAL),
            },
            hypervisor_ppi: board.timer.hypervisor.at(file),
            maintenance_ppi: board.timer.maintenance.at(file),
        },
        pmu_ppi: board.pmu.as_ref().map(|pmu| pmu.intid.at(file)),
        uarts,
        pcie,
        controllers,
        bridges,
        smmus,
        iommus,
        devices,
        qemu: board.qemu.as_ref().map(|qemu| model::QemuDesc {
            machine: qemu.machine.clone(),
            cpu: qemu.cpu.clone(),
            args: qemu.args.clone(),
            secure_ram: qemu.secure_ram.as_ref().map(|ram| ram.0),
        }),
    }
}

fn board_tree(files: &mut Files, tree: &S<String>, file: FileId) -> model::BoardTree {
    let path = relative(files, tree, file);
    let unreadable = |why: String| {
        rules::BOARD_TREE
            .says(format!("cannot use the board's tree {}: {why}", path.value.display()))
            .label(&path, "named here")
            .help("write the path of a blob, relative to this file: dtc -O dtb makes it")
    };
    let read = bounds::read(&path.value, bounds::TREE).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    });
    let blob = match read.and_then(|blob| parse(&blob).map(drop).map(|()| blob)) {
        Ok(blob) => Some(blob),
        Err(why) => {
            files.push(unreadable(why));
            None
        }
    };
    model::BoardTree { path, blob }
}

fn uart(uart: &toml::Uart, file: FileId) -> model::Uart {
    let or = |key: &Option<S<u8>>, usual| match key {
        Some(key) => key.at(file),
        None => uart.kind.map(file, |_| usual),
    };
    model::Uart {
        name: uart.name.at(file),
        kind: uart.kind.at(file),
        region: region(&uart.base, &uart.size, file),
        intid: uart.intid.as_ref().map(|intid| intid.at(file)),
        reg_shift: or(&uart.reg_shift, 0),
        reg_io_width: or(&uart.reg_io_width, model::Uart::usual_width(*uart.kind)),
    }
}

fn quirk(quirk: &toml::Quirk) -> &'static Quirk {
    match quirk {
        toml::Quirk::Hisilicon161600802 => &quirk::HISILICON_161600802,
        toml::Quirk::Hisilicon162100801 => &quirk::HISILICON_162100801,
        toml::Quirk::Arm2941627 => &quirk::ARM_2941627,
        toml::Quirk::Rockchip3588001 => &quirk::ROCKCHIP_3588001,
        toml::Quirk::Rockchip3568002 => &quirk::ROCKCHIP_3568002,
        toml::Quirk::SocionextPreIts => &quirk::SOCIONEXT_PRE_ITS,
        toml::Quirk::NvidiaT241Fabric4 => &quirk::NVIDIA_T241_FABRIC_4,
    }
}

fn region(base: &S<Address>, size: &S<Size>, file: FileId) -> Region {
    Region { base: base.map(file, |a| a.0), size: size.map(file, |s| s.0) }
}

fn frame(frame: &toml::Frame, file: FileId) -> Region {
    region(&frame.base, &frame.size, file)
}

fn gic(gic: &S<toml::Gic>, cpus: usize, file: FileId) -> model::Gic {
    let redistributors = &gic.redistributors;
    let stride = redistributors.stride.map(file, |s| s.0);
    let size = match &redistributors.size {
        Some(size) => size.map(file, |s| s.0),
        None => stride.with(stride.value.saturating_mul(cpus as u64)),
    };
    let entry_size = |its: &toml::Its, of_kind: &Option<S<u8>>| {
        of_kind.as_ref().unwrap_or(&its.table_entry_size).at(file)
    };
    model::Gic {
        at: gic.place(file),
        version: gic.version.at(file),
        spis: gic.spis.at(file),
        list_registers: gic.list_registers.at(file),
        distributor: frame(&gic.distributor, file),
        redistributors: model::Redistributors {
            region: Region { base: redistributors.base.map(file, |a| a.0), size },
            more: redistributors.more.iter().map(|one| frame(one, file)).collect(),
            stride,
        },
        coherent: gic.coherent,
        quirks: gic.quirks.iter().map(|one| one.map(file, quirk)).collect(),
        invalidation_registers: gic.invalidation_registers.as_ref().map(|key| key.at(file)),
        its: gic.its.as_ref().map(|its| model::ItsDesc {
            shared_vpe_table: its.shared_vpe_table.as_ref().map(|key| key.at(file)),
            virtual_sgis: its.virtual_sgis.as_ref().map(|key| key.at(file)),
            region: region(&its.base, &its.size, file),
            device_id_bits: its.device_id_bits.at(file),
            event_id_bits: its.event_id_bits.at(file),
            entry_size: its.entry_size.at(file),
            device_entry_size: entry_size(its, &its.device_entry_size),
            collection_entry_size: entry_size(its, &its.collection_entry_size),
            vpe_entry_size: entry_size(its, &its.vpe_entry_size),
            table_page: match &its.table_page {
                Some(page) => page.map(file, |size| size.0),
                None => its.base.map(file, |_| 0x1_0000),
            },
            rdbase: its.rdbase,
        }),
    }
}

fn cpu_at(cpu: &S<toml::Cpu>, position: usize, gic: &model::Gic, file: FileId) -> model::Cpu {
    let place = || cpu.map(file, |_| gic.redistributors.place(position));
    model::Cpu {
        name: cpu.name.at(file),
        mpidr: cpu.mpidr.map(file, |a| a.0),
        redistributor: cpu.redistributor.as_ref().map_or_else(place, |r| r.map(file, |a| a.0)),
        processor: match &cpu.processor {
            Some(number) => number.at(file),
            None => cpu.map(file, |_| position.min(usize::from(u16::MAX)) as u16),
        },
    }
}

fn window(window: &toml::Window, file: FileId) -> model::PciWindow {
    let bus = window.bus.as_ref().unwrap_or(&window.base);
    model::PciWindow {
        region: region(&window.base, &window.size, file),
        bus: bus.map(file, |address| address.0),
    }
}

fn smmu(smmu: &toml::Smmu, address_bits: &At<u32>, file: FileId) -> model::Smmu {
    let size = smmu.base.map(file, |_| model::Smmu::BYTES);
    model::Smmu {
        name: smmu.name.at(file),
        region: Region { base: smmu.base.map(file, |a| a.0), size },
        stream_id_bits: smmu.stream_id_bits.at(file),
        event_intid: smmu.event_intid.at(file),
        error_intid: smmu.error_intid.at(file),
        trigger: smmu.trigger,
        coherent: smmu.coherent,
        two_level: smmu.two_level,
        address_bits: match &smmu.address_bits {
            Some(bits) => bits.at(file),
            None => smmu.name.map(file, |_| address_bits.value),
        },
    }
}

fn iommu(iommu: &toml::Iommu, file: FileId) -> model::Iommu {
    model::Iommu { name: iommu.name.at(file), kind: iommu.kind }
}

fn controller(controller: &toml::Controller, file: FileId) -> model::Controller {
    model::Controller { name: controller.name.at(file), compatible: controller.compatible.clone() }
}

/// What functions can be behind.
struct Hosts<'a> {
    pcie: &'a [model::Pcie],
    controllers: &'a [model::Controller],
}

impl Hosts<'_> {
    fn find(&self, files: &mut Files, name: &At<String>) -> At<usize> {
        let Some(controller) = self.controllers.iter().find(|one| one.name.value == name.value)
        else {
            let names: Vec<&str> = self.pcie.iter().map(|host| host.name.as_str()).collect();
            return part(files, "PCIe host", name, &names);
        };
        let what = format!("a {}, whose configuration space is no ECAM", controller.compatible);
        files.push(
            rules::NO_ECAM
                .says(format!(
                    "what is behind PCIe controller `{}` cannot be given to a VM",
                    name.value
                ))
                .label(name, "behind this one")
                .label(&controller.name, what)
                .help("leave it out: the hypervisor has no driver for the controller"),
        );
        name.with(UNRESOLVED)
    }
}

/// What can stand between devices and memory.
struct Guards<'a> {
    smmus: &'a [model::Smmu],
    iommus: &'a [model::Iommu],
}

impl Guards<'_> {
    fn smmu(&self, files: &mut Files, name: &Option<S<String>>, file: FileId) -> Option<At<usize>> {
        let names: Vec<&str> = self.smmus.iter().map(|smmu| smmu.name.as_str()).collect();
        name.as_ref().map(|name| part(files, "SMMU", &name.at(file), &names))
    }

    fn iommu(
        &self,
        files: &mut Files,
        name: &Option<S<String>>,
        file: FileId,
    ) -> Option<At<usize>> {
        let names: Vec<&str> = self.iommus.iter().map(|iommu| iommu.name.as_str()).collect();
        name.as_ref().map(|name| part(files, "IOMMU", &name.at(file), &names))
    }
}

fn host(files: &mut Files, pcie: &toml::Pcie, guards: &Guards, file: FileId) -> model::Pcie {
    let first = || pcie.buses.first.map(file, |bus| u32::from(*bus) << 8);
    model::Pcie {
        name: pcie.name.at(file),
        ecam: frame(&pcie.ecam, file),
        first_bus: pcie.buses.first.at(file),
        last_bus: pcie.buses.last.at(file),
        window32: pcie.window32.as_ref().map(|one| window(one, file)),
        window64: pcie.window64.as_ref().map(|one| window(one, file)),
        intx: pcie.intx.iter().map(|intid| intid.at(file)).collect(),
        device_id_base: match &pcie.device_id_base {
            Some(base) => base.at(file),
            None => first(),
        },
        smmu: guards.smmu(files, &pcie.smmu, file),
        iommu: guards.iommu(files, &pcie.iommu, file),
        stream_id_base: match &pcie.stream_id_base {
            Some(base) => base.at(file),
            None => first(),
        },
        coherent: pcie.coherent,
    }
}

fn pci(files: &mut Files, device: &toml::PciDevice, hosts: &Hosts, file: FileId) -> model::Device {
    let host = hosts.find(files, &device.host.at(file));
    let hosts = hosts.pcie;
    let address = device.address.at(file);
    let device_id = match (&device.device_id, hosts.get(host.value)) {
        (Some(id), _) => Some(id.at(file)),
        (None, host) => host.map(|host| address.with(host.device_id(address.value))),
    };
    let coherent = hosts.get(host.value).is_none_or(|host| host.coherent);
    let bars = bars(&device.bars, file);
    let pin = device.pin.as_ref().map(|pin| pin.at(file));
    let msix = device.msix.as_ref().map(|msix| model::Msix {
        vectors: msix.vectors.at(file),
        bar: msix.bar.at(file),
        table: msix.table.at(file),
        trusted: msix.trusted.as_ref().map(|trusted| trusted.at(file)),
    });
    model::Device {
        name: device.name.at(file),
        kind: model::DeviceKind::Pci { host, address, id: device.id.at(file), bars, msix, pin },
        dma: device.dma,
        settles: settles(&device.settles),
        coherent,
        device_id,
        events: events(&device.events, &device.name, file),
        qemu: device.qemu.clone(),
        scratch: scratch(&device.scratch, file),
    }
}

fn bridge(files: &mut Files, bridge: &toml::Bridge, hosts: &Hosts, file: FileId) -> model::Bridge {
    let secondary = bridge.secondary.at(file);
    let subordinate = bridge.subordinate.as_ref().map(|bus| bus.at(file));
    model::Bridge {
        name: bridge.name.at(file),
        host: hosts.find(files, &bridge.host.at(file)),
        address: bridge.address.at(file),
        id: bridge.id.at(file),
        subordinate: subordinate.unwrap_or_else(|| secondary.clone()),
        secondary,
        conventional: bridge.conventional,
        acs: bridge.acs,
        bars: bars(&bridge.bars, file),
        qemu: bridge.qemu.clone(),
    }
}

fn bars(bars: &[S<toml::Bar>], file: FileId) -> Vec<model::Bar> {
    let bar = |bar: &S<toml::Bar>| model::Bar {
        index: bar.index.at(file),
        size: bar.size.map(file, |s| s.0),
        wide: bar.wide.unwrap_or(false),
        prefetchable: bar.prefetchable.unwrap_or(false),
    };
    bars.iter().map(bar).collect()
}

fn platform(
    files: &mut Files,
    device: &toml::PlatformDevice,
    guards: &Guards,
    file: FileId,
) -> model::Device {
    model::Device {
        name: device.name.at(file),
        kind: model::DeviceKind::Platform {
            compatible: device.compatible.at(file),
            regions: device.regions.iter().map(|one| region(&one.base, &one.size, file)).collect(),
            region_names: device
                .regions
                .iter()
                .filter_map(|one| Some(one.name.as_ref()?.at(file)))
                .collect(),
            intids: device
                .intids
                .iter()
                .map(|irq| model::PlatformIrq {
                    intid: irq.intid.at(file),
                    trigger: irq.trigger,
                    name: irq.name.as_ref().map(|name| name.at(file)),
                })
                .collect(),
            copy: device.node.as_ref().map(|node| model::NodeCopy {
                node: node.at(file),
                fixed_clocks: device.fixed_clocks.iter().map(|rate| rate.at(file)).collect(),
                drop: device.drop.iter().map(|property| property.at(file)).collect(),
            }),
            smmu: guards.smmu(files, &device.smmu, file),
            streams: device.streams.iter().map(|stream| stream.at(file)).collect(),
            iommu: guards.iommu(files, &device.iommu, file),
        },
        dma: device.dma.unwrap_or(false),
        settles: settles(&device.settles),
        coherent: device.coherent,
        device_id: device.device_id.as_ref().map(|id| id.at(file)),
        events: events(&device.events, &device.name, file),
        qemu: device.qemu.clone(),
        scratch: scratch(&device.scratch, file),
    }
}

fn settles(time: &Option<S<Time>>) -> Duration {
    // As long as a Function Level Reset may take.
    time.as_ref().map_or(Duration::from_millis(100), |time| time.0)
}

fn events(events: &Option<S<u32>>, name: &S<String>, file: FileId) -> At<u32> {
    events.as_ref().map_or_else(|| name.map(file, |_| 0), |events| events.at(file))
}

fn scratch(files: &[S<toml::Scratch>], file: FileId) -> Vec<model::Scratch> {
    files.iter().map(|f| model::Scratch { file: f.file.at(file), size: f.size.0 }).collect()
}

/// Index of a part of the board by its name.
fn part(files: &mut Files, what: &str, name: &At<String>, names: &[&str]) -> At<usize> {
    let found = names.iter().position(|known| *known == name.value);
    if found.is_none() {
        let help = match near(name, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the board has {}", list(names.iter().copied())),
        };
        let unknown =
            rules::UNKNOWN_PART.says(format!("the board has no {what} \"{}\"", name.value));
        files.push(unknown.label(name, format!("no such {what}")).help(help));
    }
    name.with(found.unwrap_or(UNRESOLVED))
}
