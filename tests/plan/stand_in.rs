// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payloads of fixed content, and plans made with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use codegen::build::decide;
use codegen::diag::Report;
use codegen::model::{GicVersion, Payload, PayloadKind, System};
use codegen::plan::Plan;

/// A program segment of a made-up ELF file.
pub struct Segment {
    pub address: u64,
    pub bytes: Vec<u8>,
    pub memory: u64,
}

pub const ET_EXEC: u16 = 2;
pub const ET_DYN: u16 = 3;
pub const EM_AARCH64: u16 = 183;

/// A 64-bit little-endian ELF file (System V ABI, chapters 4 and 5): header, program headers,
/// contents.
pub fn elf(kind: u16, machine: u16, entry: u64, segments: &[Segment]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    let half = |out: &mut Vec<u8>, value: u16| out.extend(value.to_le_bytes());
    let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
    let long = |out: &mut Vec<u8>, value: u64| out.extend(value.to_le_bytes());
    half(&mut out, kind);
    half(&mut out, machine);
    word(&mut out, 1);
    long(&mut out, entry);
    long(&mut out, 64);
    long(&mut out, 0);
    word(&mut out, 0);
    for value in [64, 56, segments.len() as u16, 64, 0, 0] {
        half(&mut out, value);
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for segment in segments {
        word(&mut out, 1);
        word(&mut out, 7);
        let bytes = segment.bytes.len() as u64;
        for value in [offset, segment.address, segment.address, bytes, segment.memory, 1] {
            long(&mut out, value);
        }
        offset += bytes;
    }
    for segment in segments {
        out.extend(&segment.bytes);
    }
    out
}

/// What stands for a Rust partition: 12 KiB of code, a little data, 64 KiB of bss.
pub fn partition(name: &str) -> Vec<u8> {
    let code = name.bytes().cycle().take(12 << 10).collect();
    let segments = [
        Segment { address: 0, bytes: code, memory: 12 << 10 },
        Segment { address: 0x3000, bytes: vec![1; 64], memory: 64 << 10 },
    ];
    elf(ET_DYN, EM_AARCH64, 0, &segments)
}

/// A directory for one test's files.
pub fn directory(test: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Stand-ins for a system's Rust partitions, in `directory`.
pub fn partitions(system: &System, directory: &Path) {
    for vm in &system.vms {
        if let PayloadKind::Rust { package, .. } = &vm.payload.kind {
            let path = directory.join(format!("{}.elf", package.value));
            fs::write(path, partition(&package.value)).unwrap();
        }
    }
}

/// QEMU's board with other texts: what its TOML says, and what instead.
pub fn board(changes: &[(&str, &str)]) -> String {
    let path = tests::root().join("boards/qemu-virt-gicv4.toml");
    let mut board = fs::read_to_string(path).unwrap();
    for (here, there) in changes {
        assert!(board.contains(here), "{here}");
        board = board.replace(here, there);
    }
    board
}

/// A system in `directory`, whose `board` is "board.toml".
pub fn written(directory: &Path, system: &str, board: &str) -> Result<System, Report> {
    fs::write(directory.join("board.toml"), board).unwrap();
    let path = directory.join("system.toml");
    fs::write(&path, system).unwrap();
    codegen::load(&path)
}

/// What should be there, or the report as a user sees it.
pub fn good<T>(result: Result<T, Report>) -> T {
    result.unwrap_or_else(|report| panic!("{}", report.render(false)))
}

/// The plan of a loaded system, with stand-ins for its Rust partitions.
pub fn plan(system: &System, directory: &Path) -> Result<Plan, Report> {
    partitions(system, directory);
    decide(system, directory).map(|decided| decided.plan)
}

/// Every kind of CPU, and modes.
pub const MODES: &str = "tests/plans/systems/modes.toml";

/// Two PCIe hosts, and two VMs with functions behind both.
pub const HOSTS: &str = "tests/qemu/systems/hosts.toml";

/// A system of this tree.
pub fn load(path: &str) -> System {
    good(codegen::load(&tests::root().join(path)))
}

/// The plan of a system in configs/.
pub fn of(name: &str) -> Plan {
    at(&format!("configs/{name}.toml"))
}

/// The plan of a system of this tree. Tests run side by side: each call has a directory of its own.
pub fn at(path: &str) -> Plan {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let directory = directory(&format!("of-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
    good(plan(&load(path), &directory))
}

/// The plan of a system of this tree as it is on a GICv4.1. `differs`: the redistributors have a
/// vPE table of their own, no registers that invalidate, and there are no virtual SGIs.
pub fn of_v41(path: &str, differs: bool) -> Plan {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let directory = directory(&format!("v41-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
    let mut system = load(path);
    let gic = &mut system.board.gic;
    gic.version.value = GicVersion::V4_1;
    if let Some(its) = &mut gic.its {
        // It has two frames more.
        (its.region.base.value, its.region.size.value) = (0x0b00_0000, 256 << 10);
    }
    if let Some(its) = gic.its.as_mut().filter(|_| differs) {
        its.shared_vpe_table = Some(gic.at.with(false));
        its.virtual_sgis = Some(gic.at.with(false));
        gic.invalidation_registers = Some(gic.at.with(false));
    }
    // What comes from elsewhere may not be here: what runs there is not what is tried.
    for vm in &mut system.vms {
        if !matches!(vm.payload.kind, PayloadKind::Rust { .. }) {
            vm.payload = Payload::nothing(gic.at.clone());
            vm.payload.kind = load("configs/demo.toml").vms[0].payload.kind.clone();
        }
    }
    good(plan(&system, &directory))
}
