// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI bridges that this VM sees, and what they were at first.

use rt::Machine;
use rt::probe::{self, Width};
use rt::random::Random;

/// Configuration space of one function.
pub const BYTES: u64 = 4096;
/// Header, and the first capability.
const WORDS: usize = 32;
const AT_MOST: usize = 8;
/// Header type, in the word at 0x0c.
const HEADER: usize = 3;
const KIND: u32 = 0x7f << 16;
const BRIDGE: u32 = 1 << 16;

#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    pub at: u64,
    words: [u32; WORDS],
}

#[derive(Debug)]
pub struct Bridges {
    found: [Bridge; AT_MOST],
    count: usize,
}

impl Bridges {
    pub fn of(machine: &Machine) -> Self {
        let mut out = Self { found: [Bridge { at: 0, words: [0; WORDS] }; AT_MOST], count: 0 };
        let ecams = machine.hosts().map(|host| host.ecam.base..host.ecam.end());
        for at in ecams.flat_map(|ecam| ecam.step_by(BYTES as usize)) {
            let bridge = Bridge { at, words: read(at) };
            if bridge.words[0] == u32::MAX || bridge.words[HEADER] & KIND != BRIDGE {
                continue;
            }
            if let Some(slot) = out.found.get_mut(out.count) {
                *slot = bridge;
                out.count += 1;
            }
        }
        out
    }

    pub fn all(&self) -> &[Bridge] {
        &self.found[..self.count]
    }

    pub fn pick(&self, random: &mut Random) -> Option<Bridge> {
        if self.count == 0 {
            return None;
        }
        self.all().get(random.below(self.count as u64) as usize).copied()
    }
}

impl Bridge {
    pub fn is_unchanged(&self) -> bool {
        read(self.at) == self.words
    }
}

/// Ones where a read is refused.
fn read(at: u64) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (n, word) in words.iter_mut().enumerate() {
        // SAFETY: configuration space of this VM; a fault comes back.
        let value = unsafe { probe::read(at + 4 * n as u64, Width::Word) };
        *word = value.map_or(u32::MAX, |value| value as u32);
    }
    words
}
