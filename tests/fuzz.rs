// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A short run of every fuzz target, the same every time; `FUZZ_SEED` and `FUZZ_ROUNDS` ask for
//! another or a longer one.
//!
//! Inputs are seeds with a few changes. One that panics is left in target/tmp/fuzz-TARGET.bin, for
//! `cargo +nightly fuzz run TARGET` in tests/fuzz as well, and its seed and round are printed.

#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::LazyLock;
use std::{env, fs};

use targets::{Room, seeds};

/// Seeds of the targets `tree` and `overlay`. The targets run side by side.
static TREES: LazyLock<()> = LazyLock::new(|| {
    tests::compile_trees(Path::new("bad/trees"), "").unwrap();
});

/// A linear congruential generator (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// One change; texts and binaries alike.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let (at, len) = (random.below(bytes.len()), 1 + random.below(16));
    let end = (at + len).min(bytes.len());
    match random.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        // Numbers that are on an edge: of a word, big- or little-endian.
        4 if bytes.len() >= at + 4 => {
            let edges = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0xffff, 0x1_0000];
            let word: u32 = edges[random.below(edges.len())];
            let word = if random.below(2) == 0 { word.to_le_bytes() } else { word.to_be_bytes() };
            bytes[at..at + 4].copy_from_slice(&word);
        }
        // Another number where a number was.
        5 => {
            let digits: Vec<usize> =
                (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if let Some(at) = digits.get(random.below(digits.len())) {
                let number = [0, 1, 17, 4096, u64::from(u32::MAX), 1 << 52][random.below(6)];
                bytes.splice(*at..*at + 1, number.to_string().into_bytes());
            }
        }
        _ => bytes.truncate(bytes.len() - random.below(bytes.len().min(64))),
    }
}

fn number(key: &str, usual: u64) -> u64 {
    env::var(key).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn fuzz(target: &str, rounds: u64) {
    let (seed, rounds) = (number("FUZZ_SEED", 1), number("FUZZ_ROUNDS", rounds));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    LazyLock::force(&TREES);
    let room = Room::new(tests, &tmp.join(format!("fuzz-{target}")));
    let seeds = seeds(tests, target);
    // Seeds as they are first: a target that refuses them all looks at nothing.
    seeds.iter().for_each(|bytes| room.run(target, bytes));
    for round in 0..rounds {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(round));
        random.next();
        let mut bytes = seeds[random.below(seeds.len())].clone();
        (0..=random.below(6)).for_each(|_| change(&mut bytes, &mut random));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| room.run(target, &bytes))) {
            let path = tmp.join(format!("fuzz-{target}.bin"));
            fs::write(&path, &bytes).unwrap();
            eprintln!("{target}: seed {seed}, round {round}: {}", path.display());
            resume_unwind(panic);
        }
    }
    println!("{target}: {rounds} rounds from seed {seed}");
}

#[test]
fn any_system() {
    fuzz("system", 200);
}

#[test]
fn any_board() {
    fuzz("board", 200);
}

#[test]
fn any_tree() {
    fuzz("tree", 500);
}

#[test]
fn any_overlay() {
    fuzz("overlay", 500);
}

#[test]
fn any_elf() {
    fuzz("elf", 1000);
}

#[test]
fn any_image() {
    fuzz("image", 1000);
}

#[test]
fn any_report() {
    fuzz("report", 10_000);
}

#[test]
fn any_import() {
    fuzz("import", 1000);
}

/// cargo-fuzz has a program for each target.
#[test]
fn every_target_has_its_program() {
    for target in targets::TARGETS {
        let path = Path::new("fuzz/fuzz_targets").join(format!("{target}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(&format!("run(\"{target}\", bytes)")), "{}", path.display());
    }
}
