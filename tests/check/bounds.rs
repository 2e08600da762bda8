// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that are no description of anything: an answer all the same, and soon.

use super::*;

/// What is said of the good system in a room of its own, with `text` in the place of its TOML.
fn ids(name: &str, text: &str, prepare: impl FnOnce(&Path)) -> Vec<String> {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&room);
    fs::create_dir_all(room.join("boards")).unwrap();
    fs::create_dir_all(room.join("partitions/one")).unwrap();
    for file in [
        "boards/base.toml",
        "partitions/one/partition.toml",
        "partitions/one/one.txt",
        "payload.txt",
    ] {
        fs::copy(Path::new("bad").join(file), room.join(file)).unwrap();
    }
    prepare(&room);
    fs::write(room.join("system.toml"), text).unwrap();
    let report = judge(&room.join("system.toml"));
    let said = report.render(false);
    assert!(said.len() < 1 << 20, "{} bytes", said.len());
    let mut ids: Vec<String> = report.diagnostics.iter().map(|d| d.id[..4].to_owned()).collect();
    ids.dedup();
    ids
}

fn good() -> String {
    fs::read_to_string("bad/good.toml").unwrap()
}

#[test]
fn twenty_thousand_misspelt_tables() {
    let tables: String = (0..20_000).map(|n| format!("[vmm{n}]\nname = \"x\"\n")).collect();
    assert_eq!(ids("misspelt", &(good() + &tables), |_| {}), ["E002"]);
}

#[test]
fn a_toml_of_megabytes() {
    assert_eq!(ids("long", &(good() + &"# nothing\n".repeat(200_000)), |_| {}), ["E006"]);
}

#[test]
fn memory_that_all_overlaps() {
    let piece = "  { size = \"4 KiB\", ipa = 0x0, role = \"hidden\" },\n";
    let pieces = format!(
        "memory = [\n  {{ size = \"2 MiB\", pa = 0x4080_0000 }},\n{}]",
        piece.repeat(15_000)
    );
    let text = good().replace("memory = [{ size = \"2 MiB\", pa = 0x4080_0000 }]", &pieces);
    assert!(ids("overlapping", &text, |_| {}).contains(&"E208".into()));
}

#[test]
fn pipes_and_devices_as_files() {
    for (key, name) in [("path", "pipe"), ("path", "/dev/zero")] {
        let text = good().replace("\"payload.txt\"", &format!("\"{name}\""));
        assert_ne!(text, good(), "{key}");
        let make = |room: &Path| {
            let made = std::process::Command::new("mkfifo").arg(room.join("pipe")).status();
            assert!(made.unwrap().success());
        };
        assert_eq!(ids("pipes", &text, make), ["E602"], "{name}");
    }
    for key in ["initrd", "dtb", "overlay"] {
        let text =
            good().replace("format = \"raw\"", &format!("format = \"raw\", {key} = \"/dev/zero\""));
        assert_eq!(ids("pipes", &text, |_| {}), ["E602"], "{key}");
    }
}

#[test]
fn a_packed_file_of_a_gigabyte() {
    let text =
        good().replace("\"payload.txt\", format = \"raw\"", "\"bomb.gz\", format = \"image\"");
    // An operating system takes the disk's interrupts by an ITS, one for each CPU and one more.
    let text = text.replace("[\"disk\"]", "[\"disk\"]\nits = \"remap\"");
    let text = text.replace("event = 0\n", "events = \"0..1\"\n");
    let bomb = |room: &Path| {
        let file = fs::File::create(room.join("bomb.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let zeros = vec![0; 1 << 20];
        (0..1024).for_each(|_| std::io::Write::write_all(&mut packed, &zeros).unwrap());
        packed.finish().unwrap();
    };
    assert_eq!(ids("bomb", &text, bomb), ["E603"]);
}
