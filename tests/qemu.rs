// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU scenarios: each boots a real image and judges it by its console.
//!
//! A scenario is a file in `qemu/scenarios` (docs/testing.md says how to write one); what no
//! console can show, such as two builds giving the same bytes, is a function in
//! `qemu/harness/builds.rs`, and what is read over a line in `qemu/harness/lines.rs`. Two run at a
//! time: a scenario keeps up to four host threads busy. Each image is built once, by the command
//! line tool, before the first scenario that needs it.
#![forbid(unsafe_code)]

#[path = "qemu/harness/aliasing.rs"]
mod aliasing;
#[path = "qemu/harness/builds.rs"]
mod builds;
#[path = "qemu/harness/disks.rs"]
mod disks;
#[path = "qemu/harness/efi.rs"]
mod efi;
#[path = "qemu/harness/el2.rs"]
mod el2;
#[path = "qemu/harness/expect.rs"]
mod expect;
#[path = "qemu/harness/firmware.rs"]
mod firmware;
#[path = "qemu/harness/fit.rs"]
mod fit;
#[path = "qemu/harness/images.rs"]
mod images;
#[path = "qemu/harness/lines.rs"]
mod lines;
#[path = "qemu/harness/plan_json.rs"]
mod plan_json;
#[path = "qemu/harness/play.rs"]
mod play;
#[path = "qemu/harness/probes.rs"]
mod probes;
#[path = "qemu/harness/scenario.rs"]
mod scenario;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let images = Arc::new(images::Images::new());
    let mut trials = Vec::new();
    for found in scenario::all(&tests::root().join("tests/qemu/scenarios")) {
        let images = Arc::clone(&images);
        let long = found.scenario.as_ref().is_ok_and(|scenario| scenario.long);
        let play = move || play::play(&found.name, &found.scenario?, &images).map_err(Into::into);
        trials.push(Trial::test(found.title, play).with_ignored_flag(long));
    }
    for (title, test) in builds::ALL.iter().chain(probes::ALL) {
        trials.push(Trial::test(*title, move || test().map_err(Into::into)));
    }
    for (title, test) in lines::ALL.iter().chain(disks::ALL) {
        let images = Arc::clone(&images);
        trials.push(Trial::test(*title, move || test(&images).map_err(Into::into)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
