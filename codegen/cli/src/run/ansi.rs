// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking terminal escape sequences out of a stream.
//!
//! Control sequences as ECMA-48 5.4 has them: ESC `[`, parameter and intermediate bytes, one final
//! byte 0x40..=0x7e.

/// A filter that remembers where it is, so that a sequence cut by a read is still taken out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    Escape,
    Sequence,
}

impl Plain {
    /// `bytes` without escape sequences.
    pub fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Escape, b'[') => State::Sequence,
                (State::Escape, _) => State::Text,
                (State::Sequence, 0x40..=0x7e) => State::Text,
                (State::Sequence, _) => State::Sequence,
                (State::Text, _) => {
                    out.push(byte);
                    State::Text
                }
            };
        }
        out
    }
}

/// One text without escape sequences.
pub fn plain(text: &str) -> String {
    String::from_utf8_lossy(&Plain::default().filter(text.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_goes_wherever_it_is_cut() {
        let text = b"\x1b[1;32m[hello]\x1b[0m hi\r\n";
        for cut in 0..text.len() {
            let mut filter = Plain::default();
            let mut out = filter.filter(&text[..cut]);
            out.extend(filter.filter(&text[cut..]));
            assert_eq!(out, b"[hello] hi\r\n");
        }
    }

    #[test]
    fn brackets_without_escape_stay() {
        assert_eq!(plain("[a] b[1m"), "[a] b[1m");
    }
}
