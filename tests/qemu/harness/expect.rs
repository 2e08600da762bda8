// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Judging a run: every expectation that does not hold, one line each.

use bulkhead::run::{Report, Transcript};

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
    sent(expect, seen, &mut out);
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
    if let Some(wanted) = expect.learned.as_ref().filter(|wanted| **wanted != report.learned) {
        out.push(format!("the run teaches {:?}, not {wanted:?}", report.learned));
    }
    out.extend(seen.damage.iter().map(|damage| format!("console: {damage}")));
    let unexpected =
        report.log.iter().filter(|line| !scenario.log.iter().any(|known| line.contains(known)));
    out.extend(unexpected.take(5).map(|line| format!("QEMU logged: {line}")));
    out
}

fn console(expect: &Expect, lines: &[String], out: &mut Vec<String>) {
    let mut rest = lines.iter();
    for text in &expect.lines {
        if !rest.any(|line| has(line, text)) {
            out.push(format!("no line with \"{text}\" in its place"));
            break;
        }
    }
    let count = |text: &str| lines.iter().filter(|line| has(line, text)).count();
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

/// What begins with a speaker's mark is found where that speaker has it, at the start of the line,
/// not in what another says.
fn has(line: &str, text: &str) -> bool {
    if text.starts_with("bulkhead: ") || text.starts_with('[') {
        line.starts_with(text)
    } else {
        line.contains(text)
    }
}

/// A VM that says how many bytes it sent before, and their sum (times 31, plus the byte), sent
/// exactly these.
fn sent(expect: &Expect, seen: &Transcript, out: &mut Vec<String>) {
    const CLAIM: &[u8] = b"sent-bytes ";
    for (vm, least) in &expect.sent {
        let stream = seen.streams.get(vm).map_or(&[][..], Vec::as_slice);
        let Some(at) = stream.windows(CLAIM.len()).position(|text| text == CLAIM) else {
            out.push(format!("{vm} does not say what it sent"));
            continue;
        };
        let (before, rest) = stream.split_at(at);
        let sum =
            before.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let got = format!("sent-bytes {} sum {sum}", before.len());
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let said = String::from_utf8_lossy(line);
        if said.trim_end() != got {
            out.push(format!("{vm} says \"{said}\", and the console has \"{got}\""));
        }
        range(&format!("bytes sent by {vm}"), Some(before.len() as u64), *least, u64::MAX, out);
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
