// SPDX-License-Identifier: Apache-2.0 OR MIT
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

use std::path::Path;
use std::sync::LazyLock;

static ROOM: LazyLock<targets::Room> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let room = std::env::temp_dir().join(format!("bulkhead-fuzz-{}", std::process::id()));
    targets::Room::new(&tests, &room)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ROOM.run("import", bytes));
