// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The pages of docs/adr: numbered from 1 without holes, each with its four parts.

use crate::files;

const PARTS: [&str; 4] =
    ["**Context.**", "**Choice.**", "**Alternatives.**", "**What would change our mind.**"];

#[test]
fn decisions_are_numbered_without_holes() {
    let pages = files::all().iter().filter(|file| file.folder() == "docs/adr");
    let mut count = 0;
    for (number, page) in (1..).zip(pages) {
        let name = format!("docs/adr/{number:04}-");
        assert!(page.path.starts_with(&name), "{} is not {name}...", page.path);
        let title = format!("# {number}. ");
        assert!(page.text.starts_with(&title), "{} does not begin with `{title}`", page.path);
        for part in PARTS {
            assert!(page.text.contains(part), "{} has no {part}", page.path);
        }
        count = number;
    }
    for file in files::all().iter().filter(|file| file.is(&[".md", ".rs", ".toml", ".txt"])) {
        let words: Vec<&str> = file.text.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0].ends_with("ADR")) {
            let digits: String = pair[1].chars().take_while(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse::<u32>() {
                assert!((1..=count).contains(&number), "{} names ADR {number}", file.path);
            }
        }
    }
}

/// A page that a reader of this tree cannot have is no reason.
#[test]
fn nothing_refers_to_a_page_outside_of_the_tree() {
    let outside = ["DESIGN", "STYLE", "GICV4"].map(|name| format!("{name}.md"));
    for file in files::all().iter().filter(|file| file.folder() != "tests/tree") {
        for (number, line) in (1..).zip(file.text.lines()) {
            let names = outside.iter().any(|name| line.contains(name))
                || line.match_indices("shared/").any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before
                        .is_some_and(|letter| letter.is_alphanumeric() || "/_-.".contains(letter))
                });
            assert!(!names, "{}:{number}: {line}", file.path);
        }
    }
}
