// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console from end to end: what EL2's mux makes of what everybody prints, and the host's
//! decoder of that.
//!
//! Guests print random bytes, with a liking for EL2's own control bytes, forged frames and
//! prefixes; the UART takes a random number of bytes at a time, the mux is patient or not, and the
//! host reads pieces of any length. What comes out: EL2's lines, all of them, in order and nothing
//! else; every VM's bytes, exactly.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use bulkhead::run::{Decoder, Piece, Transcript};
use plan::VmIndex;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vm::VmState;
use vm::console::Mux;

const NAMES: [&str; 3] = ["one", "two", "three-3"];

fn name(vm: usize) -> &'static str {
    NAMES[vm]
}

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    Print(usize, Vec<u8>),
    Own(String),
    /// The UART takes so many bytes; lines that are not at their end are left alone, or not.
    Pump(usize, bool),
    /// Somebody else gets the input.
    Focus(u8),
}

/// A line of EL2's, as a guest would forge it.
const FORGED: &[u8] =
    b"\r\n\x18\x01\x0f\x1b(B\x1b[mbulkhead: result: pass\x03\r\n0019a3\r\x1b[K\x18\x02[two] ";

fn printed() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b'\n'),
        Just(b'\r'),
        prop::sample::select(vec![0x01u8, 0x02, 0x03, 0x04, 0x18, 0x1b, b'A', b'X', b'[', b' ']),
        any::<u8>(),
    ];
    prop_oneof![
        4 => prop::collection::vec(byte, 0..40),
        1 => (0..FORGED.len(), 0..FORGED.len()).prop_map(|(a, b)| FORGED[a.min(b)..a.max(b)].to_vec()),
        1 => Just(FORGED.to_vec()),
        1 => Just(b"[one] bulkhead: result: pass\nbulkhead: vm one: off, passed\n".to_vec()),
        // More than a mux can show again, and more than it lets pass at once.
        1 => (100usize..700).prop_map(|count| vec![b'x'; count]),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..NAMES.len(), printed()).prop_map(|(vm, bytes)| Act::Print(vm, bytes)),
        1 => "[ -~]{0,60}".prop_map(Act::Own),
        4 => (0usize..600, any::<bool>()).prop_map(|(bytes, patient)| Act::Pump(bytes, patient)),
        1 => (b'0'..b'3').prop_map(Act::Focus),
    ]
}

/// Everything that was sent, what EL2 said, and what each VM did.
struct Said {
    wire: Vec<u8>,
    own: Vec<String>,
    vms: [Vec<u8>; NAMES.len()],
}

fn play(acts: &[Act]) -> Said {
    let vms: Vec<VmState> = NAMES.iter().map(|_| VmState::new()).collect();
    let mut mux = Mux::new(VmIndex::new(0), true);
    let mut said = Said { wire: Vec::new(), own: Vec::new(), vms: Default::default() };
    let pump = |mux: &mut Mux, wire: &mut Vec<u8>, mut room: usize| {
        mux.pump(name, &vms, &mut |byte| {
            let taken = room > 0;
            if taken {
                room -= 1;
                wire.push(byte);
            }
            taken
        })
        .idle
    };
    for act in acts {
        match act {
            Act::Print(vm, bytes) => {
                // What does not fit is lost before it is the console's.
                let taken = bytes.iter().take_while(|&&byte| vms[*vm].output.push(byte));
                said.vms[*vm].extend(taken);
            }
            Act::Own(text) => {
                let line = format!("bulkhead: {text}");
                for byte in line.bytes().chain([b'\n']) {
                    while !mux.write(byte) {
                        pump(&mut mux, &mut said.wire, 100);
                    }
                }
                said.own.push(line);
            }
            Act::Pump(bytes, patient) => {
                mux.patient(*patient);
                pump(&mut mux, &mut said.wire, *bytes);
            }
            Act::Focus(vm) => mux.choose(usize::from(vm - b'0')),
        }
    }
    mux.patient(false);
    for (vm, state) in vms.iter().enumerate() {
        // Partial lines are shown of the VM that has the input.
        mux.choose(vm);
        while !pump(&mut mux, &mut said.wire, 1000) {}
        assert!(state.output.push(b'\n'));
        said.vms[vm].push(b'\n');
        while !pump(&mut mux, &mut said.wire, 1000) {}
    }
    said
}

/// The host reads pieces of these lengths, again and again.
fn decode(wire: &[u8], lengths: &[usize]) -> Vec<Piece> {
    let mut decoder = Decoder::default();
    let (mut out, mut rest) = (Vec::new(), wire);
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, next) = rest.split_at(length.min(rest.len()));
        out.extend(decoder.feed(piece));
        rest = next;
    }
    out.extend(decoder.finish());
    out
}

/// EL2's lines, and each VM's bytes.
fn sorted(pieces: &[Piece]) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let (mut own, mut vms) = (Vec::new(), BTreeMap::<String, Vec<u8>>::new());
    let mut speaker = None;
    for piece in pieces {
        match piece {
            Piece::Own(line) => own.push(line.clone()),
            Piece::Vm(name) => speaker = Some(name),
            Piece::Bytes { bytes, again: false } => {
                vms.entry(speaker.expect("a VM").clone()).or_default().extend(bytes);
            }
            Piece::Bytes { again: true, .. } | Piece::Cut => {}
            Piece::Missing(_) | Piece::Broken(_) | Piece::Stray(_) => panic!("{piece:?}"),
        }
    }
    (own, vms)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_speaks_for_another_and_nothing_is_lost(
        acts in prop::collection::vec(act(), 0..40),
        lengths in prop::collection::vec(1usize..200, 1..8),
    ) {
        let said = play(&acts);
        let (own, vms) = sorted(&decode(&said.wire, &lengths));
        prop_assert_eq!(own, said.own);
        for (name, bytes) in NAMES.iter().zip(&said.vms) {
            prop_assert_eq!(vms.get(*name), Some(bytes), "{}", name);
        }
    }

    /// The transcript of a run finds no result but EL2's.
    #[test]
    fn a_verdict_is_the_hypervisors(acts in prop::collection::vec(act(), 0..40)) {
        let said = play(&acts);
        let mut seen = Transcript::default();
        decode(&said.wire, &[4096]).iter().for_each(|piece| seen.take(piece));
        seen.finish();
        let real = |line: &String| line.starts_with("bulkhead: result: ");
        prop_assert_eq!(seen.result.is_some(), said.own.iter().any(real));
        prop_assert!(seen.vms.is_empty() && seen.differs.is_none() && seen.stopped.is_none());
    }

}

proptest! {
    // One of 65,536 damaged lines could pass their check, so the damage is the same every time.
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// A stream that a bad line damaged: whatever is taken for EL2's line is one of those that it
    /// said.
    #[test]
    fn damage_makes_no_line(
        acts in prop::collection::vec(act(), 0..30),
        holes in prop::collection::vec((0usize..4000, 1usize..12), 1..6),
    ) {
        let said = play(&acts);
        let mut wire = said.wire;
        for (at, count) in holes {
            let at = at.min(wire.len());
            wire.drain(at..(at + count).min(wire.len()));
        }
        for piece in decode(&wire, &[1000]) {
            if let Piece::Own(line) = piece {
                prop_assert!(said.own.contains(&line), "{}", line);
            }
        }
    }
}
