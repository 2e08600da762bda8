// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a page names: code in backticks, targets of links, commands.

/// The text of a page without its blocks of code, and those blocks.
pub fn split(text: &str) -> (String, String) {
    let (mut prose, mut code, mut inside) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
            continue;
        }
        let part = if inside { &mut code } else { &mut prose };
        part.push_str(line);
        part.push('\n');
    }
    (prose, code)
}

/// What stands in backticks.
pub fn quoted(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// Targets of links: `[text](target)`.
pub fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// `a{b,c}d` as `abd` and `acd`.
pub fn expand(name: &str) -> Vec<String> {
    let Some((start, rest)) = name.split_once('{') else { return vec![name.to_string()] };
    let Some((choices, end)) = rest.split_once('}') else { return vec![name.to_string()] };
    choices.split(',').flat_map(|choice| expand(&format!("{start}{choice}{end}"))).collect()
}

/// Whether it is written as a path is: no other letters, and a folder of the top or a known ending.
pub fn is_path(name: &str, top: &[&str]) -> bool {
    const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".sh", ".dts", ".schema.json"];
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "_-.*{},/".contains(letter);
    !name.is_empty()
        && name.chars().all(letters)
        && name.chars().any(|letter| letter.is_ascii_alphanumeric())
        && !name.starts_with(['/', '.'])
        && (ENDINGS.iter().any(|ending| name.ends_with(ending) && name != *ending)
            || name.split_once('/').is_some_and(|(first, _)| top.contains(&first)))
}

/// A word in capitals stands for any name.
pub fn pattern(name: &str) -> String {
    ["NAME", "SYSTEM", "BOARD", "TARGET", "GROUP", "VM"]
        .iter()
        .fold(name.to_string(), |name, word| name.replace(word, "*"))
}

/// A heading as a link to it is written.
pub fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}
