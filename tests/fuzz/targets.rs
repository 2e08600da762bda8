// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is fuzzed: everything that is read from a user's files or from a board's console.
//!
//! One function a target, from bytes to nothing: it returns, whatever the bytes are, or there is a
//! fault. The same functions are called by cargo-fuzz (fuzz_targets/, on nightly) and by a short
//! run that is the same every time (tests/fuzz.rs).

use std::fs;
use std::path::{Path, PathBuf};

/// A room with the good system of tests/bad, whose files a target replaces.
pub struct Room {
    directory: PathBuf,
    /// tests/ of this tree.
    tests: PathBuf,
}

/// Names of all targets.
pub const TARGETS: [&str; 8] =
    ["system", "board", "tree", "overlay", "elf", "image", "report", "import"];

impl Room {
    pub fn new(tests: &Path, directory: &Path) -> Self {
        fs::create_dir_all(directory.join("boards")).expect("a directory");
        fs::create_dir_all(directory.join("partitions/one")).expect("a directory");
        let room = Self { directory: directory.to_owned(), tests: tests.to_owned() };
        for file in ["partitions/one/partition.toml", "partitions/one/one.txt", "payload.txt"] {
            fs::copy(tests.join("bad").join(file), directory.join(file)).expect("a copy");
        }
        // What seeds inherit.
        for (file, copy) in [("good.toml", "good.toml"), ("boards/base.toml", "boards/parent.toml")]
        {
            fs::copy(tests.join("bad").join(file), directory.join(copy)).expect("a copy");
        }
        room
    }

    /// Runs one target on `bytes`.
    pub fn run(&self, target: &str, bytes: &[u8]) {
        match target {
            "system" => self.judge(Some(bytes), None, &[]),
            "board" => self.judge(None, Some(bytes), &[]),
            "tree" => self.payload("dtb = \"file\", ", "raw", bytes),
            "overlay" => self.payload("overlay = \"file\", ", "raw", bytes),
            "elf" => self.payload("", "elf", bytes),
            "image" => self.payload("", "image", bytes),
            "report" => report(bytes),
            "import" => import(bytes),
            _ => panic!("there is no target {target}"),
        }
    }

    /// The second VM's payload, or something beside it, is `bytes`.
    fn payload(&self, key: &str, format: &str, bytes: &[u8]) {
        let own = format!("payload = {{ path = \"payload.txt\", format = \"{format}\" }}");
        let path = if key.is_empty() { "file" } else { "payload.txt" };
        let other = format!("payload = {{ {key}path = \"{path}\", format = \"{format}\" }}");
        let good =
            self.good("good.toml").replace("format = \"raw\"", &format!("format = \"{format}\""));
        let text = good.replace(&own, &other);
        assert_ne!(text, good);
        self.judge(Some(text.as_bytes()), None, bytes);
    }

    fn judge(&self, system: Option<&[u8]>, board: Option<&[u8]>, file: &[u8]) {
        let or = |bytes: Option<&[u8]>, name: &str| {
            bytes.map_or_else(|| self.good(name).into_bytes(), <[u8]>::to_vec)
        };
        let write = |name: &str, bytes: &[u8]| {
            fs::write(self.directory.join(name), bytes).expect("a file");
        };
        write("system.toml", &or(system, "good.toml"));
        write("boards/base.toml", &or(board, "boards/base.toml"));
        write("file", file);
        let report = match codegen::load(&self.directory.join("system.toml")) {
            Ok(system) => codegen::build::judge(&system, &self.directory),
            Err(report) => report,
        };
        let shown = report.render(false);
        assert!(report.diagnostics.is_empty() == shown.is_empty());
        assert!(report.json().starts_with('['));
    }

    fn good(&self, name: &str) -> String {
        fs::read_to_string(self.tests.join("bad").join(name)).expect("the good system")
    }
}

/// A board's device tree: what comes of it is a TOML.
fn import(bytes: &[u8]) {
    let ram = [(0x8000_0000, 1 << 30)];
    let source = codegen::import::Source {
        blob: bytes,
        origin: "fuzz",
        name: "fuzz",
        messages: std::str::from_utf8(bytes).ok(),
        ram: &ram[..bytes.len() % 2],
        tree: bytes.len().is_multiple_of(3).then_some("board.dtb"),
    };
    if let Ok(imported) = codegen::import::import(&source) {
        let parsed = imported.toml.parse::<toml::Table>();
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}

/// What a board's console says.
fn report(bytes: &[u8]) {
    let mut decoder = bulkhead::run::Decoder::default();
    let mut transcript = bulkhead::run::Transcript::default();
    let mut pieces = decoder.feed(bytes);
    pieces.extend(decoder.finish());
    pieces.iter().for_each(|piece| transcript.take(piece));
    transcript.finish();
    assert!(transcript.lines.iter().all(|line| !line.contains('\n')));
}

/// Inputs to begin with, good ones most of all.
pub fn seeds(tests: &Path, target: &str) -> Vec<Vec<u8>> {
    let read =
        |path: &str| fs::read(tests.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    match target {
        "system" => [
            "bad/good.toml",
            "bad/good-memory.toml",
            "bad/all.toml",
            "plans/systems/modes.toml",
            "../configs/linux.toml",
        ]
        .map(read)
        .to_vec(),
        "board" => {
            let hosts = String::from_utf8(read("bad/boards/hosts.toml")).expect("UTF-8");
            let hosts = hosts.replace("inherit = \"base\"", "inherit = \"parent\"");
            let whole = ["bad/boards/base.toml", "../boards/qemu-virt-gicv4.toml"].map(read);
            whole.into_iter().chain([hosts.into_bytes()]).collect()
        }
        "tree" => vec![read("bad/trees/good.dtb")],
        "import" => vec![read("bad/trees/good.dtb"), imported(tests)],
        "overlay" => vec![read("bad/trees/overlay.dtb")],
        "elf" => vec![elf(2), elf(3), packed(&elf(2))],
        "image" => vec![read("bad/image.img"), packed(&read("bad/image.img"))],
        _ => vec![CONSOLE.as_bytes().to_vec()],
    }
}

/// A tree that is a board.
fn imported(tests: &Path) -> Vec<u8> {
    let mut dtc = std::process::Command::new("dtc");
    dtc.args(["-q", "-I", "dts", "-O", "dtb", "-o", "-"]).arg(tests.join("import/pcie.dts"));
    dtc.output().expect("dtc").stdout
}

/// A file of one segment at 0x40a0_0000, or, of type 3, at 0.
fn elf(kind: u8) -> Vec<u8> {
    let mut bytes = vec![0; 124];
    let address: u64 = if kind == 2 { 0x40a0_0000 } else { 0 };
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, byte) in [
        (16, kind),
        (18, 183),
        (20, 1),
        (32, 64),
        (52, 64),
        (54, 56),
        (56, 1),
        (64, 1),
        (72, 120),
        (96, 4),
        (104, 8),
    ] {
        bytes[at] = byte;
    }
    for at in [24, 80, 88] {
        bytes[at..at + 8].copy_from_slice(&address.to_le_bytes());
    }
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut out, bytes).expect("memory");
    out.finish().expect("memory")
}

const CONSOLE: &str = "\
bulkhead: system demo on board, plan 0x1, 7 ticks from entry\r
\x1b[36m[control]\x1b[0m figure jitter-max 412 ns\r
bulkhead: counters\r
bulkhead: | counter          | control/0 | msix/0 |\r
bulkhead: | exits            |       123 |     17 |\r
bulkhead: vm control: off, passed\r
bulkhead: vm x: failed, instruction abort at 0x1000, esr 0x82000007, far 0x1000\r
bulkhead: result: fail\r
";
