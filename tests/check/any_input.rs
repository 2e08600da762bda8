// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whatever the files hold: a system or a report.

use super::*;
use proptest::prelude::*;

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Cut(usize, usize),
    Copy(usize, usize, usize),
    Swap(usize, usize),
    Number(usize, i64),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(a, b)| Change::Byte(a, b)),
        (at(), 0..60usize).prop_map(|(a, n)| Change::Cut(a, n)),
        (at(), 0..200usize, at()).prop_map(|(a, n, b)| Change::Copy(a, n, b)),
        (at(), at()).prop_map(|(a, b)| Change::Swap(a, b)),
        (at(), any::<i64>()).prop_map(|(a, n)| Change::Number(a, n)),
        (at(), -1..5i64).prop_map(|(a, n)| Change::Number(a, n)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change) {
    let len = text.len().max(1);
    match change {
        Change::Byte(at, byte) if !text.is_empty() => text[at % len] = *byte,
        Change::Cut(at, n) => {
            let start = at % len;
            text.drain(start.min(text.len())..(start + n).min(text.len()));
        }
        Change::Copy(from, n, to) => {
            let piece: Vec<u8> = text.iter().skip(from % len).take(*n).copied().collect();
            let to = (to % len).min(text.len());
            text.splice(to..to, piece);
        }
        // Whole lines, which keep a text TOML.
        Change::Swap(a, b) => {
            let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            let n = lines.len();
            lines.swap(a % n, b % n);
            *text = lines.join(&b'\n');
        }
        // Another number where a number was.
        Change::Number(at, number) => {
            let starts: Vec<usize> = (1..text.len())
                .filter(|i| text[*i].is_ascii_digit() && text[i - 1] == b' ')
                .collect();
            if let Some(start) = starts.get(at % starts.len().max(1)) {
                let rest = text[*start..]
                    .iter()
                    .position(|b| !b.is_ascii_alphanumeric() && *b != b'_')
                    .unwrap_or(0);
                text.splice(*start..start + rest, number.to_string().into_bytes());
            }
        }
        Change::Byte(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a device tree and an overlay hold, the answer is a report.
    #[test]
    fn gives_an_answer_to_any_tree(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        overlay in any::<bool>(),
    ) {
        let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("any-tree");
        LazyLock::force(&TREES);
        fs::create_dir_all(room.join("boards")).unwrap();
        fs::create_dir_all(room.join("partitions/one")).unwrap();
        for file in [
            "good.toml",
            "boards/base.toml",
            "partitions/one/partition.toml",
            "partitions/one/one.txt",
            "payload.txt",
        ] {
            fs::copy(Path::new("bad").join(file), room.join(file)).unwrap();
        }
        let (system, tree) = match overlay {
            true => ("bad/good-overlay.toml", "overlay.dtb"),
            false => ("bad/good-tree.toml", "good.dtb"),
        };
        let mut bytes = fs::read(Path::new("bad/trees").join(tree)).unwrap();
        for (at, byte) in &changes {
            *at.get_mut(&mut bytes) = *byte;
        }
        fs::create_dir_all(room.join("trees")).unwrap();
        fs::write(room.join("trees").join(tree), bytes).unwrap();
        fs::copy(system, room.join("system.toml")).unwrap();
        let report = judge(&room.join("system.toml"));
        prop_assert!(report.diagnostics.is_empty() == report.render(false).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the files hold, the answer is a system or a report, and the report can be shown.
    #[test]
    fn gives_an_answer(changes in prop::collection::vec(change(), 1..6), which in 0..4) {
        let room = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let good = match which {
            2 => "../configs/demo.toml",
            3 => "plans/systems/modes.toml",
            _ => "bad/good.toml",
        };
        let mut system = fs::read(good).unwrap();
        let mut board = fs::read("bad/boards/base.toml").unwrap();
        for change in &changes {
            apply(if which == 0 { &mut board } else { &mut system }, change);
        }
        fs::create_dir_all(room.join("boards")).unwrap();
        fs::write(room.join("boards/base.toml"), board).unwrap();
        fs::write(room.join("any.toml"), system).unwrap();
        let report = by_rules(&room.join("any.toml"));
        prop_assert!(report.diagnostics.is_empty() == (report.render(false).is_empty()));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&report.json()).is_ok());
    }
}
