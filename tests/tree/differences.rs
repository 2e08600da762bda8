// SPDX-License-Identifier: Apache-2.0 OR MIT
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

/// Fields that `verify` of a file of the driver compares, each behind its register.
fn fields(path: &str, typer: &str, pidr2: &str) -> Vec<String> {
    let from_verify = text(path).split("pub fn verify(").nth(1).unwrap_or_default();
    let verify = from_verify.split("\n    }\n").next().unwrap_or_default();
    let literals = verify.split('"').skip(1).step_by(2);
    let fields = literals.filter(|text| !text.starts_with("GIC") && !text.starts_with("GITS"));
    let register = |field: &str| if field == "ArchRev" { pidr2.into() } else { typer.to_string() };
    fields.map(|field| format!("{}.{field}", register(field))).collect()
}

#[test]
fn every_difference_has_a_key() {
    let verify = text("hyp/boot/verify.rs");
    let mut lines = texts(verify, &["expect(", "What::Text(", "let what = ", "identify("]);
    lines.extend(texts(text("hyp/boot/order.rs"), &["not_ours(intid, ", "=> "]));
    for examines in ["hyp/vm/src/pci/examine.rs", "hyp/vm/src/pci/acs.rs"] {
        let examined = text(examines).split("#[cfg(test)]").next();
        let literals = examined.unwrap_or_default().split('"').skip(1).step_by(2);
        lines.extend(literals.filter(|text| text.ends_with(" of")));
    }
    let driver = [
        fields("gicv4/src/dist.rs", "GICD_TYPER", "GICD_PIDR2"),
        fields("gicv4/src/redist.rs", "GICR_TYPER", ""),
        fields("gicv4/src/its.rs", "GITS_TYPER", "GITS_PIDR2"),
    ]
    .concat();
    assert_eq!(driver.len(), 21, "{driver:#?}");
    lines.extend(driver.iter().map(String::as_str));
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
