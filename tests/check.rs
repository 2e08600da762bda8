// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every check rule: a bad TOML and the exact words it gets, and the good one beside it.
//!
//! tests/bad/ID-name.toml is tests/bad/good.toml, another good one there or a board with one fault;
//! ID is the rule's. ID-name.txt is what `bulkhead check` says of it. After a deliberate change run
//! with BLESS=1 and read the difference.

#[path = "check/any_input.rs"]
mod any_input;
#[path = "check/bounds.rs"]
mod bounds;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use codegen::diag::{Report, rules};

/// Everything that is wrong with the system at `path`, in one report.
fn judge(path: &Path) -> Report {
    LazyLock::force(&TREES);
    if has_targets(path) {
        return codegen::targets(path).err().unwrap_or_default();
    }
    match codegen::load(path) {
        Ok(system) => codegen::build::judge(&system, Path::new("nothing is built here")),
        Err(report) => report,
    }
}

/// It is no system's TOML but a file of targets.
fn has_targets(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains("\n[[target]]"))
}

/// What the rules alone say of it, which look into no payload but its header.
fn by_rules(path: &Path) -> Report {
    match codegen::load(path) {
        Ok(system) => codegen::check::run(&system),
        Err(report) => report,
    }
}

/// Made from bad/trees/NAME.dts: device trees and overlays, as NAME.dtb.
static TREES: LazyLock<()> = LazyLock::new(|| {
    tests::compile_trees(Path::new("bad/trees"), "").unwrap();
    // Cut off in the middle of its strings.
    let good = fs::read("bad/trees/good.dtb").unwrap();
    fs::write("bad/trees/damaged.dtb", &good[..good.len() - 8]).unwrap();
});

/// Paths of the bad systems, sorted.
fn bad() -> Vec<PathBuf> {
    let entries = fs::read_dir("bad").unwrap().map(|entry| entry.unwrap().path());
    let numbered = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".toml") && name.starts_with(['E', 'W'])
    };
    let mut paths: Vec<PathBuf> = entries.filter(numbered).collect();
    paths.sort();
    paths
}

#[test]
fn good_systems_are_good() {
    let shared = ["../configs/shared.toml", "plans/systems/modes.toml"];
    let trees = [
        "bad/good-tree.toml",
        "bad/good-overlay.toml",
        "bad/good-tree-its.toml",
        "bad/good-hosts.toml",
        "bad/good-memory.toml",
        "bad/good-nodes.toml",
        "bad/good-targets.toml",
        "qemu/systems/smmu.toml",
    ];
    let good = ["bad/good.toml", "../configs/demo.toml"].into_iter().chain(shared);
    for path in good.chain(trees) {
        let report = judge(Path::new(path));
        assert!(report.diagnostics.is_empty(), "{path}:\n{}", report.render(false));
    }
}

/// The fault of a bad system is its own, or its board's.
#[test]
fn bad_systems_inherit_good_ones() {
    for path in bad() {
        let text = fs::read_to_string(&path).unwrap();
        let parent = text.lines().find_map(|line| line.strip_prefix("inherit = \""));
        let Some(parent) = parent.and_then(|rest| rest.strip_suffix(".toml\"")) else { continue };
        // One inherits itself.
        let own = path.file_stem().is_some_and(|stem| stem == parent);
        assert!(own || parent.starts_with("good"), "{} inherits {parent}", path.display());
    }
}

#[test]
fn every_fault_is_told_in_the_words_pinned_here() {
    let bless = env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for path in bad() {
        let report = judge(&path);
        let said = report.render(false);
        let pinned = path.with_extension("txt");
        if bless {
            fs::write(&pinned, &said).unwrap();
        }
        let expected = fs::read_to_string(&pinned).unwrap_or_default();
        if said != expected {
            wrong.push_str(&format!(
                "== {}\n-- expected\n{expected}\n-- said\n{said}\n",
                path.display()
            ));
        }
        let name = path.file_name().unwrap().to_string_lossy();
        let id = report.diagnostics.first().map_or("", |found| &found.id[..4]);
        if !name.starts_with(&format!("{id}-")) {
            wrong.push_str(&format!("== {}: its rule is {id}\n", path.display()));
        }
        if report.diagnostics.len() != 1 {
            wrong.push_str(&format!(
                "== {}: one fault, {} diagnostics\n{said}\n",
                path.display(),
                report.diagnostics.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_has_a_bad_system() {
    let told: BTreeSet<&str> =
        bad().iter().flat_map(|path| judge(path).diagnostics).map(|d| d.id).collect();
    // What only the plan can find out has its tests there.
    let checked = rules::ALL.iter().map(|rule| rule.id).filter(|id| !id.contains(" plan-"));
    let untold: Vec<&str> = checked.filter(|id| !told.contains(id)).collect();
    assert!(untold.is_empty(), "no bad system for {untold:?}");
    assert!(bad().len() >= 45);
}

#[test]
fn every_message_says_what_to_write() {
    for path in bad() {
        for diagnostic in judge(&path).diagnostics {
            assert!(diagnostic.help.is_some(), "{}: no help", path.display());
            assert!(!diagnostic.labels.is_empty(), "{}: no place", path.display());
        }
    }
}

#[test]
fn all_faults_are_told_in_one_run() {
    let report = judge(Path::new("bad/all.toml"));
    let ids: Vec<&str> = report.diagnostics.iter().map(|d| &d.id[..4]).collect();
    assert_eq!(ids, ["E002", "E103", "E201", "E104", "E504", "E701"], "{}", report.render(false));
}

#[test]
fn a_report_is_json_too() {
    let report = judge(Path::new("bad/E201-memory-overlap.toml"));
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let first = &json[0];
    assert_eq!(first["id"], "E201");
    assert_eq!(first["severity"], "error");
    assert_eq!(first["labels"][0]["file"], "bad/E201-memory-overlap.toml");
    assert_eq!(
        (&first["labels"][0]["line"], &first["labels"][0]["column"]),
        (&7.into(), &34.into())
    );
    assert_eq!(first["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn generated_files_are_current() {
    for (path, text) in codegen::schema::manual::generated() {
        let there = fs::read_to_string(Path::new("..").join(&path)).unwrap_or_default();
        assert!(there == text, "{path} is out of date: run `just schema`");
    }
}

/// Payloads that cannot be committed as text: what an ELF's segments and an Image's header say of
/// them.
mod payload {
    use super::*;

    /// The good system with `bytes` as the payload of VM `a`, whose memory is 2 MiB at 0x4000_0000.
    fn with(name: &str, bytes: &[u8], keys: &str) -> Vec<&'static str> {
        let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(room.join("boards")).unwrap();
        fs::copy("bad/boards/base.toml", room.join("boards/base.toml")).unwrap();
        fs::copy("bad/payload.txt", room.join("payload.txt")).unwrap();
        fs::write(room.join("payload.bin"), bytes).unwrap();
        let payload = format!("payload = {{ path = \"payload.bin\", {keys} }}");
        let text =
            fs::read_to_string("bad/good.toml").unwrap().replace("partition = \"one\"", &payload);
        fs::write(room.join("system.toml"), text).unwrap();
        by_rules(&room.join("system.toml")).diagnostics.iter().map(|d| d.id).collect()
    }

    fn elf(kind: u8, address: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = kind;
        bytes[18] = 183;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 1;
        bytes[88..96].copy_from_slice(&address.to_le_bytes());
        bytes[104..112].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    #[test]
    fn elf_segments_lie_in_memory() {
        let format = "format = \"elf\"";
        assert!(with("elf-good", &elf(2, 0x4008_0000, 0x1000), format).is_empty());
        assert!(with("elf-pie", &elf(3, 0, 0x20_0000), format).is_empty());
        assert_eq!(with("elf-hole", &elf(2, 0x8000_0000, 0x1000), format), ["E213 ipa-hole"]);
        assert_eq!(
            with("elf-beyond", &elf(2, 0x4008_0000, 0x20_0000), format),
            ["E604 payload-too-big"]
        );
        assert_eq!(with("elf-pie-big", &elf(3, 0, 0x20_0001), format), ["E604 payload-too-big"]);
        let moved = "format = \"elf\", load_offset = \"1 MiB\"";
        assert!(with("elf-moved", &elf(3, 0, 0x10_0000), moved).is_empty());
        assert_eq!(with("elf-moved-big", &elf(3, 0, 0x10_0001), moved), ["E604 payload-too-big"]);
        assert_eq!(
            with("elf-fixed", &elf(2, 0x4000_0000, 0x10_0000), moved),
            ["E603 payload-format"]
        );
    }

    #[test]
    fn images_stand_where_their_header_says() {
        let mut image = vec![0; 64];
        image[10] = 8; // text_offset 512 KiB
        image[18] = 0x10; // image_size 1 MiB
        image[56..60].copy_from_slice(b"ARM\x64");
        let format = "format = \"image\"";
        assert!(with("image-good", &image, format).is_empty());
        let there = "format = \"image\", load_offset = \"512 KiB\"";
        assert!(with("image-there", &image, there).is_empty());
        let elsewhere = "format = \"image\", load_offset = \"4 KiB\"";
        assert_eq!(with("image-elsewhere", &image, elsewhere), ["E605 payload-misaligned"]);
        image[18] = 0x20;
        assert_eq!(with("image-big", &image, format), ["E604 payload-too-big"]);
    }
}

/// Each limit has a bad system that exceeds it.
#[test]
fn every_limit_has_a_bad_system() {
    let said: String = fs::read_dir("bad")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect();
    for limit in codegen::limits::all() {
        assert!(said.contains(&format!("[{}]", limit.rule.id)), "{limit:?}");
    }
}

/// The short form says what the long one says.
#[test]
fn a_run_of_events_is_each_of_them() {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs");
    fs::create_dir_all(room.join("boards")).unwrap();
    fs::create_dir_all(room.join("partitions/one")).unwrap();
    for file in ["boards/base.toml", "partitions/one/partition.toml", "payload.txt"] {
        fs::copy(Path::new("bad").join(file), room.join(file)).unwrap();
    }
    let with = |events: &str| {
        let good = fs::read_to_string("bad/good.toml").unwrap();
        let good = good.replace(
            "vpes = [{ cpu = \"cpu1\" }]",
            "vpes = [{ cpu = \"cpu1\" }, { cpu = \"cpu0\" }]",
        );
        let long = "[[vm.event]]\ndevice = \"disk\"\nevent = 0\nvintid = 8192\n";
        assert!(good.contains(long));
        fs::write(room.join("system.toml"), good.replace(long, events)).unwrap();
        let system = codegen::load(&room.join("system.toml")).unwrap();
        let events = system.vms[1].events.iter();
        let numbers = events.map(|event| {
            (event.event.value, event.vintid.as_ref().map(|vintid| vintid.value), event.vpe.value)
        });
        numbers.collect::<Vec<_>>()
    };
    let run =
        |keys: &str| with(&format!("[[vm.event]]\ndevice = \"disk\"\nevents = \"0..3\"\n{keys}\n"));
    let each = |vpes: [usize; 4], vintid: bool| {
        let one = |n: usize| {
            let vintid = if vintid { format!("vintid = {}\n", 8192 + n) } else { String::new() };
            format!("[[vm.event]]\ndevice = \"disk\"\nevent = {n}\nvpe = {}\n{vintid}", vpes[n])
        };
        with(&(0..4).map(one).collect::<String>())
    };
    assert_eq!(run(""), each([0; 4], false));
    assert_eq!(run("vintid = 8192\nvpe = 1"), each([1; 4], true));
    assert_eq!(run("vpe = \"spread\""), each([0, 1, 0, 1], false));
    assert_eq!(run("vpe = [1, 1, 0]"), each([1, 1, 0, 1], false));
}

#[test]
fn rows_of_generated_tables_are_whole() {
    let mut rows = 0;
    for (name, text) in codegen::schema::manual::generated() {
        for line in text.lines().filter(|line| line.starts_with('|')) {
            assert!(line.ends_with(" |") || line.ends_with("-|"), "{name}: {line}");
            rows += 1;
        }
    }
    assert!(rows > 300, "{rows}");
}

/// JSON Schema defines these formats: a tool that knows them would refuse our values ("time" is RFC
/// 3339's).
#[test]
fn no_format_has_a_meaning_elsewhere() {
    const TAKEN: [&str; 19] = [
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ];
    fn walk(value: &serde_json::Value, seen: &mut Vec<String>) {
        if let Some(format) = value.get("format").and_then(|format| format.as_str()) {
            seen.push(format.to_owned());
        }
        match value {
            serde_json::Value::Object(map) => map.values().for_each(|value| walk(value, seen)),
            serde_json::Value::Array(items) => items.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let mut seen = Vec::new();
    for kind in codegen::schema::json::Kind::ALL {
        walk(kind.schema(), &mut seen);
    }
    assert!(seen.iter().any(|format| format == "size"));
    let bad = seen.iter().find(|format| TAKEN.contains(&format.as_str()));
    assert_eq!(bad, None);
}

/// Each TOML of ours begins with the path of its schema, so that an editor finds it.
#[test]
fn every_toml_names_its_schema() {
    let rooms = [
        ("../configs", "system"),
        ("../boards", "board"),
        ("bad", "system"),
        ("bad/boards", "board"),
        ("qemu/systems", "system"),
        ("plans/systems", "system"),
    ];
    let mut files: Vec<(PathBuf, &str)> = Vec::new();
    for (room, kind) in rooms {
        files.extend(
            fs::read_dir(room).into_iter().flatten().map(|entry| (entry.unwrap().path(), kind)),
        );
    }
    for room in ["demo", "test", "bench", "elsewhere"]
        .map(|group| format!("../partitions/{group}"))
        .into_iter()
        .chain(["bad/partitions".into()])
    {
        let recipes =
            fs::read_dir(room).unwrap().map(|entry| entry.unwrap().path().join("partition.toml"));
        files.extend(recipes.filter(|path| path.exists()).map(|path| (path, "partition")));
    }
    let mut seen = 0;
    for (path, kind) in
        files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "toml"))
    {
        let text = fs::read_to_string(path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let schema = first
            .strip_prefix("#:schema ")
            .unwrap_or_else(|| panic!("{}: no schema in its first line", path.display()));
        let kind = if has_targets(path) { "targets" } else { kind };
        let target = path.parent().unwrap().join(schema);
        let heir = if text.contains("\ninherit = ") { "inheriting-" } else { "" };
        let right = Path::new("../configs").join(format!("{heir}{kind}.schema.json"));
        assert_eq!(
            fs::canonicalize(target).ok(),
            fs::canonicalize(right).ok(),
            "{}: {schema}",
            path.display()
        );
        seen += 1;
    }
    assert!(seen > 50);
}
