// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console that firmware and Linux use: `stdout-path` of /chosen.

use std::collections::HashSet;

use super::memory::Taken;
use super::part::{Interrupt, Part, Parts};
use super::text::{Text, hex};
use crate::tree::bus::text;

const PAGE: u64 = 4 << 10;

pub struct Console {
    /// Base and interrupt of a kind that EL2 has a driver for.
    own: Option<(u64, Option<Interrupt>)>,
    /// What it is, or why there is none.
    said: String,
}

impl Console {
    /// The hypervisor can write to it.
    pub fn usable(&self) -> bool {
        self.own.is_some()
    }
}

pub fn console(parts: &Parts) -> Console {
    let none = |said: String| Console { own: None, said };
    let Some(uart) = chosen(parts) else {
        return none("/chosen names no stdout-path".into());
    };
    let Some((base, _)) = uart.regions().first().copied() else {
        return none(format!("{} has no registers that a CPU can address", uart.path()));
    };
    let kind = uart.compatible.first().cloned().unwrap_or_default();
    if !uart.is("arm,pl011") {
        return none(format!(
            "{} is a {kind} at {}: EL2 has no driver for it",
            uart.path(),
            hex(base)
        ));
    }
    if !base.is_multiple_of(PAGE) {
        return none(format!("{} is not at the start of a page of 4 KiB", uart.path()));
    }
    let interrupt = parts.interrupts(uart).and_then(|all| all.first().copied());
    Console { own: Some((base, interrupt)), said: uart.path() }
}

/// The node of `stdout-path`, which may be an alias, and may have options behind a colon.
fn chosen<'p, 'a>(parts: &'p Parts<'a>) -> Option<&'p Part<'a>> {
    let path = text(&parts.by_path("/chosen")?.node, "stdout-path");
    let path = path.split(':').next().filter(|path| !path.is_empty())?;
    if path.starts_with('/') {
        return parts.by_path(path);
    }
    parts.by_path(&text(&parts.by_path("/aliases")?.node, path))
}

pub fn write(out: &mut Text, console: &Console, taken: &mut Taken, intids: &mut HashSet<u32>) {
    out.line("");
    let Some((base, interrupt)) = console.own else {
        out.note(&format!(
            "No [[uart]]: {}. The hypervisor's lines go to a log in memory; VMs have \
             console = false.",
            console.said
        ));
        return;
    };
    taken.take((base, PAGE));
    out.line("[[uart]]");
    out.line("name = \"uart0\"");
    out.line("kind = \"pl011\"");
    out.line(&format!("base = {}", hex(base)));
    out.line("size = \"4 KiB\"");
    match interrupt.filter(|one| one.intid >= 32 && intids.insert(one.intid)) {
        Some(interrupt) => out.line(&format!("intid = {}", interrupt.intid)),
        None => out.note(&format!("{} has no interrupt at the GIC: no input.", console.said)),
    }
}
