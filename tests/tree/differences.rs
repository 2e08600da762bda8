//! Every difference that boot finds has a key of the TOML, and a row in docs/bring-up.md.

use crate::files;
use bulkhead::run::differs;

fn text(path: &str) -> &'static str {
    files::all().iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

/// Texts behind any of these, wherever the line breaks.
fn texts<'t>(source: &'t str, before: &[&str]) -> Vec<&'t str> {
    let found = before.iter().flat_map(|before| source.split(before).skip(1));
    let text = |rest: &'t str| rest.trim_start().strip_prefix('"')?.split('"').next();
    found.filter_map(text).collect()
}

#[test]
fn every_difference_has_a_key() {
    let verify = text("hyp/boot/verify.rs");
    let mut lines =
        texts(verify, &["expect(", "what: ", "let what = ", "identify(", "(what, rule) = ("]);
    lines.extend(texts(text("hyp/boot/order.rs"), &["not_ours(intid, ", "=> "]));
    let examined = text("hyp/vm/src/pci/examine.rs").split("#[cfg(test)]").next();
    let literals = examined.unwrap_or_default().split('"').skip(1).step_by(2);
    lines.extend(literals.filter(|text| text.ends_with(" of")));
    assert!(lines.len() > 40, "{lines:#?}");
    let page = text("docs/bring-up.md");
    for line in lines {
        let key = differs::key(line).unwrap_or_else(|| panic!("no key for `{line}`"));
        assert!(page.contains(&format!(" | {key} |")), "docs/bring-up.md lacks `{key}`");
    }
    for (start, key) in differs::KEYS {
        assert!(page.contains(&format!("| {start} | {key} |")), "docs/bring-up.md lacks `{start}`");
    }
}
