// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console that firmware and Linux use: `stdout-path` of /chosen.

use std::collections::HashSet;

use super::memory::Taken;
use super::part::{Interrupt, Part, Parts};
use super::text::{Text, hex};
use crate::tree::bus::{cell, text};
use crate::units::Size;

/// Compatible strings and the kind of each; the first one of a node that is here counts.
const KINDS: [(&str, &str); 28] = [
    ("arm,pl011", "pl011"),
    ("arm,sbsa-uart", "sbsa"),
    ("ns16550", "16550"),
    ("ns16550a", "16550"),
    ("ns8250", "16550"),
    ("snps,dw-apb-uart", "16550"),
    ("nvidia,tegra20-uart", "16550"),
    ("ti,am654-uart", "16550"),
    ("ti,am64-uart", "16550"),
    ("ti,k3-uart", "16550"),
    ("mediatek,mt6577-uart", "16550"),
    ("fsl,ns16550", "16550"),
    ("fsl,imx6q-uart", "imx"),
    ("fsl,imx7ulp-lpuart", "lpuart"),
    ("fsl,imx8qxp-lpuart", "lpuart"),
    ("fsl,imx8ulp-lpuart", "lpuart"),
    ("fsl,imx93-lpuart", "lpuart"),
    ("qcom,geni-debug-uart", "geni"),
    ("renesas,rcar-gen2-hscif", "hscif"),
    ("renesas,rcar-gen3-hscif", "hscif"),
    ("renesas,rcar-gen4-hscif", "hscif"),
    ("renesas,rcar-gen3-scif", "scif"),
    ("renesas,rcar-gen4-scif", "scif"),
    ("cdns,uart-r1p12", "cadence"),
    ("xlnx,xuartps", "cadence"),
    ("amlogic,meson-gx-uart", "meson"),
    ("amlogic,meson-s4-uart", "meson"),
    ("amlogic,meson-ao-uart", "meson"),
];

/// 16550s whose registers are four bytes apart, which their trees do not say.
const WORDS: [&str; 4] = ["ti,am654-uart", "ti,am64-uart", "ti,k3-uart", "mediatek,mt6577-uart"];

const PAGE: u64 = 4 << 10;

struct Own {
    kind: &'static str,
    base: u64,
    size: u64,
    interrupt: Option<Interrupt>,
    shift: Option<u32>,
    width: Option<u32>,
}

pub struct Console {
    /// A kind that EL2 has a driver for.
    own: Option<Own>,
    /// What it is, or why there is none.
    said: String,
}

impl Console {
    /// The hypervisor can write to it.
    pub fn usable(&self) -> bool {
        self.own.is_some()
    }
}

/// Finds the console and takes its registers.
pub fn console(parts: &Parts, taken: &mut Taken) -> Console {
    let none = |said: String| Console { own: None, said };
    let Some(uart) = chosen(parts) else {
        return none("/chosen names no stdout-path".into());
    };
    let Some((base, size)) = uart.regions().first().copied() else {
        return none(format!("{} has no registers that a CPU can address", uart.path()));
    };
    let known = |name: &String| KINDS.iter().find(|(known, _)| known == name);
    let Some((_, kind)) = uart.compatible.iter().find_map(known) else {
        let kind = uart.compatible.first().cloned().unwrap_or_default();
        let place = hex(base);
        return none(format!("{} is a {kind} at {place}: EL2 has no driver for it", uart.path()));
    };
    let first = base / PAGE * PAGE;
    let end = base.saturating_add(size).checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    if !taken.take((first, end - first)) {
        return none(format!("the registers of {} lie where something else is", uart.path()));
    }
    let own = Own {
        kind,
        base,
        size,
        interrupt: parts.interrupts(uart).and_then(|all| all.first().copied()),
        shift: cell(&uart.node, "reg-shift")
            .or(WORDS.iter().any(|name| uart.is(name)).then_some(2))
            .filter(|_| *kind == "16550"),
        width: cell(&uart.node, "reg-io-width"),
    };
    Console { own: Some(own), said: uart.path() }
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

pub fn write(out: &mut Text, console: &Console, intids: &mut HashSet<u32>) {
    out.line("");
    let Some(own) = &console.own else {
        out.note(&format!(
            "No [[uart]]: {}. The hypervisor's lines go to a log in memory; VMs have \
             console = false.",
            console.said
        ));
        return;
    };
    out.line("[[uart]]");
    out.line("name = \"uart0\"");
    out.line(&format!("kind = \"{}\"", own.kind));
    out.line(&format!("base = {}", hex(own.base)));
    out.line(&format!("size = \"{}\"", Size(own.size)));
    match own.interrupt.filter(|one| one.intid >= 32 && intids.insert(one.intid)) {
        Some(interrupt) => out.line(&format!("intid = {}", interrupt.intid)),
        None => out.note(&format!("{} has no interrupt at the GIC: no input.", console.said)),
    }
    if let Some(shift) = own.shift.filter(|shift| *shift <= 4) {
        out.line(&format!("reg_shift = {shift}"));
    }
    match own.width {
        Some(width @ (1 | 2 | 4)) if ["16550", "pl011"].contains(&own.kind) => {
            out.line(&format!("reg_io_width = {width}"));
        }
        _ => {}
    }
}
