// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nothing public is unused. The compiler sees that of one crate only.

use std::collections::HashMap;

use crate::files;

const KINDS: [&str; 7] = ["fn", "const", "static", "struct", "enum", "type", "trait"];

/// Drivers that are to be used elsewhere, too: registers and a model have all that hardware has.
const COMPLETE: [&str; 2] = ["gicv4/src/", "hyp/smmu/src/"];

fn words(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn every_public_item_is_used() {
    let sources =
        || files::all().iter().filter(|file| file.is(&[".rs"]) && file.folder() != "tests/plans");
    let mut count: HashMap<&str, usize> = HashMap::new();
    // A template uses what it inserts.
    let templates = files::all().iter().filter(|file| file.is(&[".html"]));
    for word in sources().chain(templates).flat_map(|file| file.text.lines().flat_map(words)) {
        *count.entry(word).or_default() += 1;
    }
    let mut unused = Vec::new();
    for file in sources().filter(|file| !COMPLETE.iter().any(|path| file.path.starts_with(path))) {
        for line in file.text.lines().filter(|line| line.trim_start().starts_with("pub")) {
            let mut words = words(line).skip_while(|word| !KINDS.contains(word)).skip(1);
            let name = words.find(|word| !KINDS.contains(word) && !word.is_empty());
            if let Some(name) = name.filter(|name| count[name] == 1) {
                unused.push(format!("{}: {name}", file.path));
            }
        }
    }
    assert!(unused.is_empty(), "public and never used: {unused:#?}");
}
