// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system, resolved.

use super::files::{Files, shown};
use super::{board, payload};
use crate::diag::{FileId, Rule, Sources, rules};
use crate::model::{
    self, At, Board, Fault, Hypervisor, ItsPolicy, Memory, MemoryRole, PowerOff, System,
    UNRESOLVED, WatchdogAction,
};
use crate::schema::json::Kind;
use crate::schema::verify::{list, near};
use crate::schema::{S, system as toml};

/// Default IPA of a VM's first memory (docs/guest-abi.md), where the board's GIC leaves it free.
const FIRST_IPA: u64 = 0x4000_0000;
/// Bytes from there on that are free of the GIC, or the board has another default.
const FIRST_BYTES: u64 = 0x4000_0000;
const INITIAL_MODE: &str = "initial";
/// Ctrl-].
const ESCAPE: u8 = 0x1d;

/// The system at `files.system`; names that do not exist are `UNRESOLVED` and reported.
pub fn load(files: &mut Files) -> Option<System> {
    let path = files.system.clone();
    let (system, file) = files.read::<toml::SystemFile>(&path, Kind::System, None)?;
    let table = &system.system;
    let board = board::load(files, &table.board.at(file));
    // Partitions are read even when there is no board to go with them: their mistakes are told in
    // the same run.
    let payloads: Vec<_> = system.vm.iter().map(|vm| payload::load(files, vm, file)).collect();
    let board = board?;
    let vm_names: Vec<&str> = system.vm.iter().map(|vm| vm.name.as_str()).collect();
    let initial_mode = match &table.initial_mode {
        Some(name) => name.at(file),
        None => table.map(file, |_| INITIAL_MODE.to_owned()),
    };
    let modes = system.mode.iter().map(|mode| mode.name.as_str());
    let modes: Vec<&str> = std::iter::once(initial_mode.as_str()).chain(modes).collect();
    let names = Names { board: &board, vms: &vm_names, modes: &modes, file };
    let vms =
        system.vm.iter().zip(payloads).map(|(vm, payload)| names.vm(files, vm, payload)).collect();
    let channels = system.channel.iter().map(|channel| names.channel(files, channel)).collect();
    let cpus = system.cpu.iter().map(|cpu| names.cpu_use(files, cpu)).collect();
    let modes = system.mode.iter().map(|mode| names.mode(files, mode)).collect();
    let switch_by = table.switch_by.as_ref().map(|name| names.find_vm(files, name));
    let named = table.focus.as_ref().map(|name| names.find_vm(files, name));
    let first = || {
        let with_console = |vm: &&S<toml::Vm>| vm.console.as_ref().is_none_or(|console| **console);
        let vm = system.vm.iter().find(with_console)?;
        let position = vm_names.iter().position(|name| *name == vm.name.as_str())?;
        Some(vm.name.map(file, |_| position))
    };
    let size = system.hypervisor.as_ref().and_then(|hypervisor| hypervisor.size.as_ref());
    let hypervisor = Hypervisor {
        base: board.hypervisor_base(),
        size: match size {
            Some(size) => size.map(file, |s| s.0),
            None => table.map(file, |_| Hypervisor::DEFAULT_SIZE),
        },
    };
    Some(System {
        path: shown(&path),
        sources: Sources::default(),
        name: table.name.at(file),
        description: table.description.clone().unwrap_or_default(),
        when_all_off: table.when_all_off.unwrap_or(PowerOff::PowerOff),
        dma_trusted: table.dma.as_ref().is_some_and(|dma| matches!(**dma, toml::Dma::Trusted)),
        time_limit: table.time_limit.as_ref().map(|time| time.0),
        focus: named.or_else(first),
        escape: table
            .escape
            .as_ref()
            .map_or_else(|| table.map(file, |_| ESCAPE), |key| key.map(file, |k| k.0)),
        hypervisor,
        board,
        vms,
        channels,
        cpus,
        modes,
        initial_mode,
        switch_by,
    })
}

/// What the names in a system TOML can mean.
pub struct Names<'a> {
    board: &'a Board,
    vms: &'a [&'a str],
    /// The first mode's name first.
    modes: &'a [&'a str],
    pub file: FileId,
}

impl Names<'_> {
    fn vm(&self, files: &mut Files, vm: &toml::Vm, payload: Option<model::Payload>) -> model::Vm {
        let file = self.file;
        let events = vm.event.iter().zip(0..);
        let events = events.flat_map(|(event, n)| {
            // A device that the board lacks is said once of a VM.
            let mut before = vm.event.iter().take(n).map(|event| &event.device);
            let told = vm.devices.iter().any(|name| **name == *event.device)
                || before.any(|name| **name == *event.device);
            let device = match told {
                true => self.told_device(&event.device),
                false => self.device(files, &event.device),
            };
            self.events(files, event, device, vm.vpes.len())
        });
        let events = events.collect();
        // No rule looks into a payload that could not be found, and the system never leaves `load`.
        let payload = payload.unwrap_or_else(|| model::Payload::nothing(vm.name.place(file)));
        let arguments = vm.arguments.as_ref().map(|arguments| arguments.at(file));
        let arguments = arguments.or_else(|| payload.arguments.clone());
        model::Vm {
            name: vm.name.at(file),
            table: vm.clone(),
            partition: vm.partition.as_ref().map(|name| name.at(file)),
            payload,
            vpes: vm.vpes.iter().map(|vpe| model::Vpe { cpu: self.cpu(files, &vpe.cpu) }).collect(),
            memory: memory(files, vm, first_ipa(self.board), file),
            devices: vm
                .devices
                .iter()
                .map(|name| model::DeviceUse { device: self.device(files, name) })
                .collect(),
            polled: vm.polled.iter().map(|name| self.device(files, name)).collect(),
            intx: vm.intx.iter().map(|name| self.device(files, name)).collect(),
            events,
            console: vm
                .console
                .as_ref()
                .map_or_else(|| vm.name.map(file, |_| true), |console| console.at(file)),
            log: vm.log.as_ref().map(|log| log.at(file)),
            on_fault: vm.on_fault.unwrap_or(Fault::Halt),
            restarts: vm.restarts.as_ref().map(|restarts| limit(restarts, file)),
            resets: vm.resets.as_ref().map(|resets| limit(resets, file)),
            watchdog: vm
                .watchdog
                .as_ref()
                .map(|own| own.map(file, |own| self.watchdog(files, own))),
            on_dma_fault: vm.on_dma_fault.as_ref().map(|choice| choice.at(file)),
            mode_on_fault: vm.mode_on_fault.as_ref().map(|name| self.find_mode(files, name)),
            its: match &vm.its {
                Some(its) => its.at(file),
                None => vm.name.map(file, |_| ItsPolicy::None),
            },
            features: vm.features.iter().map(|feature| feature.at(file)).collect(),
            arguments,
            entry: vm.entry.as_ref().map(|entry| entry.map(file, |a| a.0)),
        }
    }

    /// One event, or each of a run.
    fn events(
        &self,
        files: &mut Files,
        event: &toml::Event,
        device: At<usize>,
        vpes: usize,
    ) -> Vec<model::EventUse> {
        let file = self.file;
        let (numbers, at) = match (&event.event, &event.events) {
            (Some(event), None) => (**event..=**event, event.place(file)),
            (None, Some(run)) => (run.first..=run.last, run.place(file)),
            (Some(one), Some(run)) => {
                files.push(
                    rules::EVENT_CHOICE
                        .says(format!("an event of `{}` and a run of them in one", *event.device))
                        .label(&one.place(file), "one event")
                        .label(&run.place(file), "and several")
                        .help("leave out `event` or `events`"),
                );
                (**one..=**one, one.place(file))
            }
            (None, None) => {
                files.push(
                    rules::EVENT_CHOICE
                        .says(format!("no event of `{}` is named", *event.device))
                        .label(&device, "neither `event` nor `events`")
                        .help("add event = 0, or events = \"0..9\""),
                );
                (0..=0, device.with(()))
            }
        };
        let taker = |n: usize| match &event.vpe {
            Some(choice) => choice.map(file, |choice| choice.of(n, vpes)),
            None => device.with(0),
        };
        // A run may leave the numbers that there are: `check` says so of the first that does.
        let vintid = |n: usize| {
            let first = event.vintid.as_ref()?;
            Some(first.map(file, |vintid| vintid.saturating_add(n as u32)))
        };
        numbers
            .enumerate()
            .map(|(n, number)| model::EventUse {
                device: device.clone(),
                event: at.with(number),
                vintid: vintid(n),
                vpe: taker(n),
            })
            .collect()
    }

    fn watchdog(&self, files: &mut Files, watchdog: &toml::Watchdog) -> model::Watchdog {
        model::Watchdog {
            time: watchdog.time.map(self.file, |time| time.0),
            action: watchdog.action.unwrap_or(WatchdogAction::OnFault),
            mode: watchdog.mode.as_ref().map(|name| self.find_mode(files, name)),
            from_start: !matches!(watchdog.start, Some(toml::WatchdogStart::Feed)),
        }
    }

    fn channel(&self, files: &mut Files, channel: &toml::Channel) -> model::Channel {
        let file = self.file;
        let ends = channel.ends.iter().map(|end| model::ChannelEnd {
            vm: self.find_vm(files, &end.vm),
            access: end.access.at(file),
            ipa: end.ipa.as_ref().map(|ipa| ipa.map(file, |a| a.0)),
            vpe: vpe_number(end.vpe.as_ref(), &end.vm, file),
            vintid: end.vintid.as_ref().map(|vintid| vintid.at(file)),
        });
        model::Channel {
            name: channel.name.at(file),
            size: channel.size.map(file, |s| s.0),
            pa: channel.pa.as_ref().map(|pa| pa.map(file, |a| a.0)),
            clear: channel.clear.as_ref().is_none_or(|clear| **clear),
            ends: ends.collect(),
        }
    }

    pub fn cpu(&self, files: &mut Files, name: &S<String>) -> At<usize> {
        let names = self.board.cpus.iter().map(|cpu| cpu.name.as_str());
        let owner = format!("board `{}`", self.board.name.value);
        find(files, &rules::UNKNOWN_CPU, "CPU", &owner, &name.at(self.file), names)
    }

    fn device(&self, files: &mut Files, name: &S<String>) -> At<usize> {
        let names = self.board.devices.iter().map(|device| device.name.as_str());
        let owner = format!("board `{}`", self.board.name.value);
        find(files, &rules::UNKNOWN_DEVICE, "device", &owner, &name.at(self.file), names)
    }

    /// The same of a name of which that has been said.
    fn told_device(&self, name: &S<String>) -> At<usize> {
        let mut devices = self.board.devices.iter();
        let found = devices.position(|device| device.name.value == **name);
        name.map(self.file, |_| found.unwrap_or(UNRESOLVED))
    }

    fn find_mode(&self, files: &mut Files, name: &S<String>) -> At<usize> {
        let names = self.modes.iter().copied();
        find(files, &rules::UNKNOWN_MODE, "mode", "the system", &name.at(self.file), names)
    }

    pub fn find_vm(&self, files: &mut Files, name: &S<String>) -> At<usize> {
        find(
            files,
            &rules::UNKNOWN_VM,
            "VM",
            "the system",
            &name.at(self.file),
            self.vms.iter().copied(),
        )
    }
}

/// Index of a name; `UNRESOLVED`, and a report, when there is none.
fn find<'a>(
    files: &mut Files,
    rule: &'static Rule,
    what: &str,
    owner: &str,
    name: &At<String>,
    names: impl Iterator<Item = &'a str> + Clone,
) -> At<usize> {
    let found = names.clone().position(|known| known == name.value);
    if found.is_none() {
        let help = match near(name, names.clone()) {
            Some(near) => format!("did you mean \"{near}\"? There are {}", list(names)),
            None if names.clone().next().is_none() => {
                format!("leave this out: {owner} has no {what} at all")
            }
            None => format!("there are {}", list(names)),
        };
        let unknown = rule.says(format!("{owner} has no {what} \"{}\"", name.value));
        files.push(unknown.label(name, format!("no such {what}")).help(help));
    }
    name.with(found.unwrap_or(UNRESOLVED))
}

/// The vPE that takes an event, by default 0; then the place is that of the device or VM.
pub fn vpe_number(vpe: Option<&S<u32>>, name: &S<String>, file: FileId) -> At<usize> {
    vpe.map_or_else(|| name.map(file, |_| 0), |vpe| vpe.map(file, |n| *n as usize))
}

fn limit(limit: &S<toml::Restarts>, file: FileId) -> At<model::Restarts> {
    limit.map(file, |limit| model::Restarts {
        most: *limit.most,
        within: limit.within.map(file, |time| time.0),
    })
}

/// Default IPA of first memories: 0x4000_0000. A guest sees the GIC where the board has it; where
/// that is in this GiB, it is the first address of the board's RAM, in which no registers are.
fn first_ipa(board: &Board) -> u64 {
    let gic = &board.gic;
    let its = gic.its.as_ref().map(|its| &its.region);
    let taken =
        [&gic.distributor, &gic.redistributors.region].into_iter().chain(its).any(|frame| {
            frame.start() < FIRST_IPA + FIRST_BYTES
                && frame.start().saturating_add(frame.size.value) > FIRST_IPA
        });
    let ram = board.ram.first().map(|ram| ram.region.start());
    ram.filter(|_| taken).unwrap_or(FIRST_IPA)
}

/// Pieces of memory, with the IPAs that follow from what is written.
fn memory(files: &mut Files, vm: &toml::Vm, first: u64, file: FileId) -> Vec<Memory> {
    let all_clear = vm.clear.as_ref().is_none_or(|clear| **clear);
    let mut next = Some(first);
    let mut memory = Vec::new();
    for piece in &vm.memory {
        let role = piece.role.as_ref().map_or(MemoryRole::Ram, |given| **given);
        let at = piece.place(file);
        let size = piece.size.map(file, |s| s.0);
        let pa = piece.pa.as_ref().map(|pa| pa.map(file, |a| a.0));
        let identity = piece.identity.as_ref().is_some_and(|identity| **identity);
        if let (None, false, Some(given)) = (&piece.ipa, identity, &piece.role)
            && role != MemoryRole::Ram
        {
            files.push(
                rules::MISSING_KEY
                    .says("memory that is not RAM needs an address")
                    .label(&given.place(file), "the device tree does not mention it")
                    .help("add ipa = ...: where the payload expects it"),
            );
        } else if piece.ipa.is_none() && !identity && next.is_none() {
            let unknown =
                rules::MISSING_KEY.says("this memory follows a piece that the plan places");
            files.push(
                unknown
                    .label(&at, "`ipa` is missing here")
                    .help("add ipa = ...: where the guest sees this piece"),
            );
        }
        let ipa = match &piece.ipa {
            Some(ipa) => Some(ipa.map(file, |a| a.0)),
            None if identity => pa.clone(),
            None => next.map(|next| at.with(next)),
        };
        // Identity memory that is nowhere yet may be given an IPA, and that is its PA.
        let pa = if identity { pa.or_else(|| ipa.clone()) } else { pa };
        // Other RAM follows RAM; what is none stands for itself.
        if role == MemoryRole::Ram {
            next = ipa.as_ref().map(|ipa| ipa.value.saturating_add(size.value));
        }
        let file = piece.file.as_ref().map(|path| payload::relative(files, path, file));
        let clear = piece.clear.as_ref().map_or(all_clear, |clear| **clear);
        memory.push(Memory { ipa, pa, size, identity, role, file, clear, at });
    }
    memory
}
