// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same input gives the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use codegen::emit::report;

use crate::stand_in;

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Emits the demo to a new directory.
fn emit(name: &str) -> BTreeMap<String, Vec<u8>> {
    let payloads = stand_in::directory(&format!("{name}-payloads"));
    stand_in::partitions(&stand_in::load("configs/demo.toml"), &payloads);
    let out = stand_in::directory(name);
    fs::remove_dir_all(&out).unwrap();
    let system = tests::root().join("configs/demo.toml");
    let emitted = codegen::build::emit(&system, &payloads, &out).unwrap();
    let mut files = files(&out);
    files.insert("plan.json".into(), report::json(&emitted.plan).into_bytes());
    files.insert("plan.txt".into(), report::text(&emitted.plan).into_bytes());
    files
}

#[test]
fn emitted_twice_the_same() {
    let (one, two) = (emit("bytes-one"), emit("bytes-two"));
    assert!(one.len() == 5, "{:?}", one.keys());
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(*bytes == two[name], "{name} differs");
        let place = env!("CARGO_TARGET_TMPDIR").as_bytes();
        assert!(
            !bytes.windows(place.len()).any(|part| part == place),
            "{name} says where it was made"
        );
    }
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let out = stand_in::directory("bytes-again");
    codegen::build::write(&out, "file", b"one").unwrap();
    let written = || fs::metadata(out.join("file")).unwrap().modified().unwrap();
    let before = written();
    codegen::build::write(&out, "file", b"one").unwrap();
    assert_eq!(before, written());
    codegen::build::write(&out, "file", b"two").unwrap();
    assert_eq!(fs::read(out.join("file")).unwrap(), b"two");
}
