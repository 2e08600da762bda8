// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log of a board without a console, read out of QEMU's memory while it runs.
//!
//! What the log holds is what a console would have sent ([`abi::log`]). QEMU stays when the
//! board is off, and is ended when the last bytes have been read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::hang::exchange;
use abi::log;

/// Between two reads.
const PAUSE: Duration = Duration::from_millis(50);
/// So many reads without an answer mean that QEMU is gone.
const PATIENCE: u32 = 100;

/// Where the log is, and how much of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    base: u64,
    bytes: u64,
    seen: u64,
}

impl Follower {
    /// Of the image at `image`, by the plan beside it. None: the board has a console.
    pub fn of(image: &Path) -> Option<Self> {
        let plan = std::fs::read(image.with_file_name("plan.json")).ok()?;
        let plan: Value = serde_json::from_slice(&plan).ok()?;
        let log = plan.get("board")?.get("console")?.get("log")?;
        let base = log.get("base")?.as_str()?.strip_prefix("0x")?;
        let base = u64::from_str_radix(base, 16).ok()?;
        Some(Self { base, bytes: log.get("bytes")?.as_u64()?, seen: 0 })
    }

    /// What keeps QEMU there when the board is off.
    pub fn arguments(&self) -> [String; 1] {
        ["-no-shutdown".into()]
    }

    /// Gives everything that is written to `take`, until the board is off, or `take` answers false.
    pub fn follow(mut self, monitor: &Path, mut take: impl FnMut(Vec<u8>) -> bool) {
        let file = monitor.with_extension("log");
        let mut left = PATIENCE;
        while left > 0 {
            std::thread::sleep(PAUSE);
            left -= 1;
            // The state first: what was written before the board was off is in the memory that is
            // read after.
            let Some(answers) = exchange(monitor, &[json!({ "execute": "query-status" })]) else {
                continue;
            };
            let state = answers.first().and_then(|state| state.get("status")?.as_str());
            let off = state == Some("shutdown");
            if let Some(memory) = self.memory(monitor, &file) {
                left = PATIENCE;
                let new = self.read(&memory);
                if !new.is_empty() && !take(new) {
                    break;
                }
            }
            if off {
                exchange(monitor, &[json!({ "execute": "quit" })]);
                break;
            }
        }
        let _ = std::fs::remove_file(&file);
    }

    fn memory(&self, monitor: &Path, file: &PathBuf) -> Option<Vec<u8>> {
        let save = json!({
            "execute": "pmemsave",
            "arguments": { "val": self.base, "size": self.bytes, "filename": file },
        });
        exchange(monitor, &[save])?;
        std::fs::read(file).ok()
    }

    /// The bytes that were not there before. A ring that came round since has lost some.
    fn read(&mut self, memory: &[u8]) -> Vec<u8> {
        let word = |at: u64| {
            let bytes = memory.get(at as usize..at as usize + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let ring = memory.get(log::RING as usize..).unwrap_or(&[]);
        let (Some(log::MAGIC), Some(size), Some(head)) =
            (word(0), word(log::SIZE), word(log::HEAD))
        else {
            return Vec::new();
        };
        if size != ring.len() as u64 || size == 0 {
            return Vec::new();
        }
        if head < self.seen {
            self.seen = 0;
        }
        let from = self.seen.max(head.saturating_sub(size));
        self.seen = head;
        (from..head).map(|at| ring[(at % size) as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(head: u64, ring: &[u8]) -> Vec<u8> {
        let mut out = vec![0; log::RING as usize];
        out[..8].copy_from_slice(b"BULKLOG1");
        out[8..16].copy_from_slice(&(ring.len() as u64).to_le_bytes());
        out[16..24].copy_from_slice(&head.to_le_bytes());
        out.extend(ring);
        out
    }

    #[test]
    fn each_byte_is_read_once() {
        let mut follower = Follower { base: 0, bytes: 72, seen: 0 };
        assert_eq!(follower.read(&[0; 72]), b"", "nobody has written yet");
        assert_eq!(follower.read(&memory(3, b"abc\0\0\0\0\0")), b"abc");
        assert_eq!(follower.read(&memory(3, b"abc\0\0\0\0\0")), b"");
        assert_eq!(follower.read(&memory(10, b"ijcdefgh")), b"defghij");
        assert_eq!(follower.read(&memory(20, b"qrstmnop")), b"mnopqrst", "two were overwritten");
        assert_eq!(follower.read(&memory(2, b"xy\0\0\0\0\0\0")), b"xy", "a new log");
        let mut wrong = memory(9, b"xy");
        wrong[8] = 9;
        assert_eq!(follower.read(&wrong), b"", "another size than the plan's");
    }
}
