//! The demo's plan, reviewed as code.

use std::{env, fs};

use codegen::emit::{link, report, tables};

use crate::stand_in;

fn compare(name: &str, text: &str) {
    let path = tests::root().join("tests/plans").join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let first = text.lines().zip(expected.lines()).find(|(new, old)| new != old);
    assert!(
        text == expected,
        "{} is not what the plan is now; first difference (new, old): {first:#?}; BLESS=1 writes it",
        path.display()
    );
}

#[test]
fn the_demo_is_planned_as_before() {
    let plan = stand_in::of("demo");
    // The digest changes with every comment in a TOML: no one could review that.
    let text = report::text(&plan).replace(&format!("{:016x}", plan.digest.0), "DIGEST");
    compare("demo.txt", &text);
    compare("demo.ld", &link::fragment(&plan));
    let code = tables::file(&plan).replace(&format!("{:#x}", plan.digest.0), "DIGEST");
    compare("demo.rs", &code);
}
