// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is to be done for a target.

use std::path::{Path, PathBuf};

use codegen::schema::S;
use codegen::schema::targets::{self, Layout, Storage, Target};

use super::step::{FASTBOOT, LABGRID, OPENOCD, Source, UUU};
use super::xmodem::Serial;
use super::{Disk, FileAt, FlashError, Slot, Step, script, slot};
use crate::run::Line;

const TRIES: u8 = 3;
const BAUD: u32 = 115_200;
const PROMPT: &str = "=> ";

/// A built image and what is wanted of it.
pub struct Job {
    pub system: String,
    /// target/bulkhead/SYSTEM/bulkhead.bin.
    pub image: PathBuf,
    /// What it holds.
    pub flat: Vec<u8>,
    /// Where it runs.
    pub address: u64,
    /// Only this slot.
    pub slot: Option<Slot>,
    /// The key before a command to the hypervisor.
    pub escape: u8,
    pub time_limit: Option<std::time::Duration>,
}

impl Job {
    /// The disk image beside the image.
    pub fn disk(&self) -> PathBuf {
        self.image.with_file_name("disk.img")
    }
}

/// The steps for `target`, whose file is in `folder`. None: a disk image and no more.
pub fn steps(target: Option<&Target>, folder: &Path, job: &Job) -> Result<Vec<Step>, FlashError> {
    if job.slot.is_some() && !matches!(target, Some(Target::Disk(_))) {
        let why = "--slot is for a target of kind \"disk\" with two slots";
        return Err(FlashError::Other(why.into()));
    }
    let make = |layout: Option<&S<Layout>>| made(layout.map(|layout| &**layout), folder, job);
    let disk = job.disk().display().to_string();
    match target {
        None => Ok(vec![make(None)?]),
        Some(Target::Disk(target)) => on_disk(target, folder, job),
        Some(Target::Raw(target)) => Ok(vec![Step::Copy {
            from: Source::Image(job.flat.clone()),
            to: folder.join(&*target.device),
            at: target.at.0,
            part: true,
        }]),
        Some(Target::Tftp(target)) => {
            let path = format!("{}/bulkhead.bin", job.system);
            let room = folder.join(&*target.folder);
            let name = target.script.as_ref().map_or("boot.scr.uimg", |name| name.as_str());
            let text = script::packed(&script::of_tftp(&path));
            Ok(vec![
                Step::Write { path: room.join(path), bytes: job.flat.clone() },
                Step::Write { path: room.join(name), bytes: text },
            ])
        }
        Some(Target::Uuu(target)) => {
            let script = if *target.storage == Storage::Sd { "sd_all" } else { "emmc_all" };
            let bootloader = folder.join(&*target.bootloader).display().to_string();
            let arguments = vec!["-b".into(), script.into(), bootloader, disk];
            Ok(vec![make(target.layout.as_ref())?, Step::Run { tool: UUU, arguments }])
        }
        Some(Target::Openocd(target)) => Ok(vec![openocd(target, folder, job)]),
        Some(Target::Fastboot(target)) => {
            let alone = target.image_only == Some(true);
            let mut steps = Vec::new();
            if !alone {
                steps.push(make(target.layout.as_ref())?);
            }
            let serial = target.serial.iter().flat_map(|serial| ["-s".into(), (**serial).clone()]);
            let file = if alone { job.image.display().to_string() } else { disk };
            let words = ["flash".to_owned(), (*target.partition).clone(), file];
            steps.push(Step::Run { tool: FASTBOOT, arguments: serial.chain(words).collect() });
            Ok(steps)
        }
        Some(Target::Xmodem(target)) => Ok(vec![Step::Serial(Serial {
            system: job.system.clone(),
            line: Line::parse(&target.line).map_err(FlashError::Other)?,
            baud: target.baud.as_ref().map_or(BAUD, |baud| **baud),
            prompt: target.prompt.as_ref().map_or(PROMPT.into(), |prompt| (**prompt).clone()),
            bytes: job.flat.clone(),
            escape: job.escape,
            time_limit: job.time_limit,
        })]),
        Some(Target::Labgrid(target)) => {
            let mut steps = vec![make(target.layout.as_ref())?];
            let mut call = |words: &[&str]| {
                let place = ["-p", target.place.as_str()];
                let words = place.iter().chain(words);
                let arguments = words.map(|word| (*word).to_owned()).collect();
                steps.push(Step::Run { tool: LABGRID, arguments });
            };
            let (mux, power) = (target.mux == Some(true), target.power == Some(true));
            if power {
                call(&["power", "off"]);
            }
            if mux {
                call(&["sd-mux", "host"]);
            }
            call(&["write-image", &disk]);
            if mux {
                call(&["sd-mux", "dut"]);
            }
            if power {
                call(&["power", "on"]);
            }
            Ok(steps)
        }
    }
}

fn on_disk(target: &targets::Disk, folder: &Path, job: &Job) -> Result<Vec<Step>, FlashError> {
    let to = folder.join(&*target.device);
    let layout = target.layout.as_deref();
    if let Some(slot) = job.slot {
        if layout.is_none_or(|layout| slots(layout) < 2) {
            let name = &*target.name;
            let why = format!("target `{name}` has one slot: write layout = {{ slots = 2 }}");
            return Err(FlashError::Other(why));
        }
        let image = job.flat.clone();
        return Ok(vec![Step::Slot { path: to, slot, image, tries: tries(layout) }]);
    }
    let copy = Step::Copy { from: Source::File(job.disk()), to, at: 0, part: false };
    Ok(vec![made(layout, folder, job)?, copy])
}

fn slots(layout: &Layout) -> u8 {
    layout.slots.as_ref().map_or(1, |slots| **slots)
}

fn tries(layout: Option<&Layout>) -> u8 {
    layout.and_then(|layout| layout.tries.as_ref()).map_or(TRIES, |tries| **tries)
}

/// Making the disk image. The first image is in both slots, so that the other one is never empty.
fn made(layout: Option<&Layout>, folder: &Path, job: &Job) -> Result<Step, FlashError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| FlashError::File { path: path.to_owned(), error })
    };
    let image = job.flat.clone();
    let two = layout.is_some_and(|layout| slots(layout) == 2);
    let text = if two { script::of_slots() } else { script::of_disk() };
    let mut files = vec![("boot.scr".to_owned(), script::packed(&text))];
    if two {
        files.extend([Slot::A, Slot::B].map(|slot| (slot.file(), image.clone())));
        let state = slot::state(Slot::A, false, tries(layout));
        files.push((slot::STATE.into(), state.into_bytes()));
    } else {
        files.push(("bulkhead.bin".into(), image));
    }
    let mut disk = Disk { files, ..Disk::default() };
    if let Some(layout) = layout {
        disk.partition = layout.partition.as_ref().map(|size| size.0);
        let place =
            |raw: &S<targets::RawFile>| FileAt { file: folder.join(&*raw.file), at: raw.at.0 };
        disk.raw = layout.raw.iter().map(place).collect();
        for file in &layout.files {
            let path = folder.join(&**file);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            disk.files.push((name, read(&path)?));
        }
    }
    Ok(Step::Make { disk, path: job.disk() })
}

/// Stop, load, compare, start. What must happen before (which core, which exception level) is the
/// board's.
fn openocd(target: &targets::Openocd, folder: &Path, job: &Job) -> Step {
    let mut arguments = Vec::new();
    for config in &target.config {
        let path = folder.join(&**config);
        let config = if path.is_file() { path.display().to_string() } else { (**config).clone() };
        arguments.extend(["-f".into(), config]);
    }
    let image = std::path::absolute(&job.image).unwrap_or_else(|_| job.image.clone());
    let (image, address) = (image.display(), job.address);
    let own = [
        "halt".to_owned(),
        format!("load_image {{{image}}} {address:#x} bin"),
        format!("verify_image {{{image}}} {address:#x} bin"),
        format!("resume {address:#x}"),
        "shutdown".to_owned(),
    ];
    let before = target.before.iter().map(|command| (**command).clone());
    for command in std::iter::once("init".to_owned()).chain(before).chain(own) {
        arguments.extend(["-c".into(), command]);
    }
    Step::Run { tool: OPENOCD, arguments }
}
