// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The QEMU machine that stands for a board.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Firmware, Options, RunError};
use codegen::model::{Board, System};

/// A board as QEMU knows it: `[qemu]` of the board, and `qemu`/`scratch` of the devices that the
/// system uses.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// `-machine`.
    pub machine: String,
    /// `-cpu`.
    pub cpu: String,
    /// `-smp`.
    pub cpus: usize,
    /// `-m`, all of the board's RAM.
    pub ram_bytes: u64,
    /// Arguments of the board itself.
    pub args: Vec<String>,
    /// Arguments of the devices, in the board's order. `{scratch}` stands for the directory of
    /// scratch files.
    pub devices: Vec<String>,
    /// Files the devices need, made anew (all zero) for every run.
    pub scratch: Vec<Scratch>,
    /// What enters the image; None: QEMU does.
    pub firmware: Option<Firmware>,
}

/// A file that a device needs, such as a disk.
#[derive(Clone, Debug)]
pub struct Scratch {
    pub file: String,
    pub bytes: u64,
}

impl Machine {
    /// The machine for a system; None: its board's TOML has no `[qemu]`.
    pub fn of(system: &System) -> Option<Self> {
        let board = &system.board;
        let behind =
            |index: usize| system.vms.iter().any(|vm| board.bridges_of(vm).contains(&index));
        let used = |index: usize| {
            let mut uses = system.vms.iter().flat_map(|vm| &vm.devices);
            uses.any(|used| used.device.value == index)
        };
        Self::with(board, behind, used)
    }

    /// The machine with all that the board has; None: its TOML has no `[qemu]`.
    pub fn whole(board: &Board) -> Option<Self> {
        Self::with(board, |_| true, |_| true)
    }

    /// The machine with the bridges and devices at these places.
    fn with(
        board: &Board,
        bridges: impl Fn(usize) -> bool,
        devices: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let qemu = board.qemu.as_ref()?;
        let mut out = Self {
            machine: qemu.machine.clone(),
            cpu: qemu.cpu.clone(),
            cpus: board.cpus.len(),
            ram_bytes: board.ram.iter().map(|ram| ram.region.size.value).sum(),
            args: qemu.args.clone(),
            ..Self::default()
        };
        for (index, bridge) in board.bridges.iter().enumerate() {
            if bridges(index) {
                out.devices.extend(bridge.qemu.iter().cloned());
            }
        }
        for (index, device) in board.devices.iter().enumerate() {
            if devices(index) {
                out.devices.extend(device.qemu.iter().cloned());
                out.scratch.extend(
                    device
                        .scratch
                        .iter()
                        .map(|file| Scratch { file: file.file.value.clone(), bytes: file.size }),
                );
            }
        }
        Some(out)
    }

    /// Arguments of one run of `image`, without the program's name.
    ///
    /// QEMU merges repeated `-machine`, `-smp` and `-m`, the later wins: `options.qemu_args`, which
    /// stand last, can make the machine another one than the board says.
    pub fn arguments(&self, image: &Path, scratch: &Path, options: &Options) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut push = |items: &[&str]| out.extend(items.iter().map(|item| (*item).to_owned()));
        push(&["-machine", &self.machine, "-cpu", &self.cpu]);
        push(&["-smp", &self.cpus.to_string()]);
        push(&["-m", &format!("{}M", self.ram_bytes >> 20)]);
        let directory = scratch.display().to_string();
        for arg in self.args.iter().chain(&self.devices) {
            push(&[&arg.replace("{scratch}", &directory)]);
        }
        let kernel = image.display().to_string();
        let loads = match &self.firmware {
            Some(firmware) => firmware.arguments(image, scratch),
            None => vec!["-kernel".into(), kernel],
        };
        for arg in &loads {
            push(&[arg]);
        }
        if options.icount {
            push(&["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm"]);
        }
        if options.gdb {
            push(&["-gdb", "tcp:127.0.0.1:1234", "-S"]);
        }
        let mut log = String::from("guest_errors,unimp");
        if let Some(trace) = &options.trace {
            log = format!("{log},{trace}");
        }
        push(&["-d", &log, "-D", &log_file(scratch).display().to_string()]);
        for arg in &options.qemu_args {
            push(&[&arg.replace("{scratch}", &directory)]);
        }
        out
    }

    /// Makes the directory of scratch files and the files in it.
    pub fn prepare(&self, scratch: &Path) -> Result<(), RunError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |error| RunError::File { path, error }
        };
        fs::create_dir_all(scratch).map_err(failed(scratch))?;
        let log = log_file(scratch);
        File::create(&log).map_err(failed(&log))?;
        if let Some(firmware) = &self.firmware {
            firmware.prepare(scratch)?;
        }
        for wanted in &self.scratch {
            let path = scratch.join(&wanted.file);
            File::create(&path)
                .and_then(|file| file.set_len(wanted.bytes))
                .map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Where QEMU writes what guests (EL2 among them) did wrong.
pub(super) fn log_file(scratch: &Path) -> PathBuf {
    scratch.join("qemu.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            machine: "virt,gic-version=4".into(),
            cpu: "cortex-a76".into(),
            cpus: 4,
            ram_bytes: 1 << 30,
            args: vec!["-nodefaults".into()],
            devices: vec!["-drive".into(), "file={scratch}/nvme0.img,id=nvme0".into()],
            scratch: vec![Scratch { file: "nvme0.img".into(), bytes: 4096 }],
            firmware: None,
        }
    }

    #[test]
    fn the_command_line_is_the_boards_then_the_runs() {
        let options = Options {
            icount: true,
            qemu_args: vec!["-smp".into(), "2".into()],
            ..Options::default()
        };
        let line =
            machine().arguments(Path::new("/i/bulkhead.bin"), Path::new("/s"), &options).join(" ");
        assert_eq!(
            line,
            "-machine virt,gic-version=4 -cpu cortex-a76 -smp 4 -m 1024M -nodefaults -drive \
             file=/s/nvme0.img,id=nvme0 -kernel /i/bulkhead.bin -icount shift=0,sleep=off -rtc \
             base=2026-01-01,clock=vm -d guest_errors,unimp -D /s/qemu.log -smp 2"
        );
    }

    #[test]
    fn scratch_files_start_empty_every_time() {
        let directory =
            std::env::temp_dir().join(format!("bulkhead-machine-{}", std::process::id()));
        for _ in 0..2 {
            machine().prepare(&directory).expect("scratch");
            let disk = directory.join("nvme0.img");
            assert_eq!(fs::read(&disk).expect("disk"), vec![0; 4096]);
            fs::write(&disk, b"used").expect("write");
        }
        fs::remove_dir_all(&directory).expect("remove");
    }
}
