// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The TOML as it grows: lines, comments of the house's width, and what is still unknown.

use std::collections::HashSet;

const COLUMNS: usize = 100;
/// As board files have it: up to 31 letters, digits, `-`, `_` and `.`.
const NAME: usize = 31;

#[derive(Debug, Default)]
pub struct Text {
    pub lines: String,
    /// What a tree does not say.
    pub open: Vec<String>,
}

impl Text {
    pub fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// A comment, as many lines as it needs.
    pub fn note(&mut self, words: &str) {
        let mut line = String::from("#");
        // What a tree says may hold anything; a comment ends with its line.
        for word in words.split_whitespace() {
            let word: String = word.chars().filter(|letter| !letter.is_control()).collect();
            if line.len() > 1 && line.len() + 1 + word.len() > COLUMNS {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(&word);
        }
        self.line(&line);
    }

    /// A key with a value that the tree does not have; `what` names key and register.
    pub fn unknown(&mut self, what: &str, key: &str) {
        self.note(&format!("UNKNOWN {what}"));
        self.line(key);
        self.open.push(what.to_owned());
    }

    pub fn append(&mut self, other: Text) {
        self.lines.push_str(&other.lines);
        self.open.extend(other.open);
    }
}

/// 0x4000_0000.
pub fn hex(value: u64) -> String {
    let digits = format!("{value:x}");
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(4) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    format!("0x{grouped}")
}

/// A TOML string.
pub fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `text` as a name may be.
pub fn name_of(text: &str) -> String {
    let name: String = text
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_alphanumeric() || "_.".contains(letter) { letter } else { '-' }
            },
        )
        .take(NAME)
        .collect();
    match name.trim_matches('-') {
        "" => "unnamed".into(),
        name => name.into(),
    }
}

/// Names that were given: no two are the same.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    pub fn one(&mut self, text: &str) -> String {
        let mut name = name_of(text);
        let mut n = 2;
        while !self.0.insert(name.clone()) {
            let end = format!("-{n}");
            let begin: String = name_of(text).chars().take(NAME - end.len()).collect();
            name = begin + &end;
            n += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_different() {
        let mut names = Names::default();
        assert_eq!(names.one("serial@2800000"), "serial-2800000");
        assert_eq!(names.one("serial@2800000"), "serial-2800000-2");
        assert_eq!(names.one("\u{e9}"), "unnamed");
        let long = "a".repeat(40);
        assert_eq!(names.one(&long).len(), NAME);
        assert_eq!(names.one(&long), format!("{}-2", "a".repeat(NAME - 2)));
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 0xfff, 0x1_0000, 0x40_1000_0000].map(hex);
        assert_eq!(shown, ["0x0", "0xfff", "0x1_0000", "0x40_1000_0000"]);
    }

    #[test]
    fn a_comment_stays_one() {
        let mut text = Text::default();
        text.note(&format!("{} \u{b}x\n[gic]\r", "word ".repeat(40)));
        assert!(text.lines.lines().all(|line| line.starts_with("# ") && line.len() <= COLUMNS));
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\"");
    }
}
