//! Judging a run: every expectation that does not hold, one line each.

use codegen::run::{Report, Transcript};

use crate::scenario::{Expect, Scenario};

/// What does not hold.
pub fn violations(scenario: &Scenario, report: &Report, seen: &Transcript) -> Vec<String> {
    let expect = &scenario.expect;
    let mut out = Vec::new();
    if report.verdict != expect.verdict {
        let (wanted, got) = (expect.verdict, report.verdict);
        out.push(format!("the verdict is {got:?} ({}), not {wanted:?}", report.reason));
    }
    console(expect, &seen.lines, &mut out);
    for (name, wanted) in &expect.vms {
        let line = report.vms.iter().find(|vm| vm.name == *name);
        let got = line.map_or("not reported".into(), |vm| format!("{}, {}", vm.state, vm.detail));
        if !got.starts_with(wanted.as_str()) {
            out.push(format!("vm {name} is \"{got}\", not \"{wanted}\""));
        }
    }
    for wanted in &expect.counter {
        let value = report.counter(&wanted.vpe, &wanted.counter);
        let what = format!("{} of {}", wanted.counter, wanted.vpe);
        range(&what, value, wanted.at_least, wanted.at_most, &mut out);
    }
    for wanted in &expect.figure {
        let value = report.figure(&wanted.vm, &wanted.name).map(|figure| figure.value);
        let what = format!("figure {} {}", wanted.vm, wanted.name);
        range(&what, value, wanted.at_least, wanted.at_most, &mut out);
    }
    let unexpected =
        report.log.iter().filter(|line| !scenario.log.iter().any(|known| line.contains(known)));
    out.extend(unexpected.take(5).map(|line| format!("QEMU logged: {line}")));
    out
}

fn console(expect: &Expect, lines: &[String], out: &mut Vec<String>) {
    let mut rest = lines.iter();
    for text in &expect.lines {
        if !rest.any(|line| line.contains(text)) {
            out.push(format!("no line with \"{text}\" in its place"));
            break;
        }
    }
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    for text in &expect.once {
        let found = count(text);
        if found != 1 {
            out.push(format!("{found} lines with \"{text}\" instead of one"));
        }
    }
    for text in &expect.absent {
        if count(text) > 0 {
            out.push(format!("a line with \"{text}\""));
        }
    }
}

fn range(what: &str, value: Option<u64>, least: u64, most: u64, out: &mut Vec<String>) {
    match value {
        None => out.push(format!("{what} is not reported")),
        Some(value) if value < least => out.push(format!("{what} is {value}, less than {least}")),
        Some(value) if value > most => out.push(format!("{what} is {value}, more than {most}")),
        Some(_) => {}
    }
}
