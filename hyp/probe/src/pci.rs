// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI functions, and a `[[device]]` for each that the board has; the others as comments.
//!
//! Looked at are the first bus of each host and the buses that firmware has put behind bridges. A
//! BAR is sized while its function decodes neither memory nor I/O, and put back (PCI Local Bus 3.0
//! 6.2.5).

use crate::board::{BOARD, Function, Host};
use crate::line::Out;
use crate::mmio;
use vm::pci::capability;
use vm::text::Text;

const COMMAND: u16 = 0x04;
const CLASS: u16 = 0x08;
const KIND: u16 = 0x0c;
const BARS: u16 = 0x10;
const BUSES: u16 = 0x18;
const PIN: u16 = 0x3c;
/// Command: I/O and memory space.
const DECODES: u32 = 3;
/// The least that a VM can have of a BAR.
const PAGE: u64 = 4096;

/// One function that answered.
#[derive(Clone, Copy)]
struct Config {
    base: u64,
    bdf: u16,
}

/// A memory BAR.
struct Bar {
    index: u16,
    bytes: u64,
    wide: bool,
    prefetchable: bool,
}

impl Config {
    fn read(self, offset: u16) -> u32 {
        mmio::read32(self.base + u64::from(offset)).unwrap_or(u32::MAX)
    }

    fn write(self, offset: u16, value: u32) {
        mmio::write32(self.base + u64::from(offset), value);
    }

    fn bridge(self) -> bool {
        self.read(KIND) >> 16 & 0x7f == 1
    }

    /// What the register keeps of ones.
    fn kept(self, offset: u16) -> u32 {
        let before = self.read(offset);
        self.write(offset, u32::MAX);
        let kept = self.read(offset);
        self.write(offset, before);
        kept
    }

    /// Its memory BARs, each given to `take`.
    fn bars(self, mut take: impl FnMut(Bar)) {
        // The upper half is status, whose bits are cleared by ones alone.
        let command = self.read(COMMAND) & 0xffff;
        self.write(COMMAND, command & !DECODES);
        let count = if self.bridge() { 2 } else { 6 };
        let mut index = 0;
        while index < count {
            let offset = BARS + 4 * index;
            let low = self.kept(offset);
            let wide = low & 7 == 4;
            let high = if wide { self.kept(offset + 4) } else { u32::MAX };
            let mask = u64::from(high) << 32 | u64::from(low & !0xf);
            if low & 1 == 0 && low & !0xf != 0 {
                let bytes = mask.wrapping_neg();
                take(Bar { index, bytes, wide, prefetchable: low & 8 != 0 });
            }
            index += if wide { 2 } else { 1 };
        }
        self.write(COMMAND, command);
    }
}

pub fn write(out: &mut Out) {
    for (number, host) in BOARD.hosts.iter().enumerate() {
        if mmio::read32(host.ecam).is_none() {
            out.silent(host.ecam, "ecam base of [[pcie]]", host.name);
            continue;
        }
        out.text("\n# functions of [[pcie]] \"");
        out.text(host.name);
        out.text("\"\n");
        // Buses to look at: 256 bits.
        let mut buses = [0u64; 4];
        mark(&mut buses, host.first);
        for bus in host.first..=host.last {
            let marked = buses.get(usize::from(bus >> 6)).is_some_and(|w| w >> (bus & 63) & 1 != 0);
            if marked {
                each(host, bus, |config| {
                    if config.bridge() {
                        let secondary = (config.read(BUSES) >> 8) as u8;
                        if secondary > bus {
                            mark(&mut buses, secondary);
                        }
                    }
                    function(out, number, host, config);
                });
            }
        }
        for missing in BOARD.functions.iter().filter(|function| function.host == number) {
            let bus = (missing.address >> 8) as u8;
            let marked = buses.get(usize::from(bus >> 6)).is_some_and(|w| w >> (bus & 63) & 1 != 0);
            if !marked {
                out.text("# not looked at, as firmware has numbered no bus ");
                out.decimal(bus.into());
                out.text(": ");
                out.text(missing.name);
                out.text("\n");
            } else if at(host, missing.address).is_none() {
                out.text("#! no function at ");
                address(out, missing.address);
                out.text(" of ");
                out.text(host.name);
                out.text(": [[device]] or [[bridge]] \"");
                out.text(missing.name);
                out.text("\"\n");
            }
        }
    }
}

fn mark(buses: &mut [u64; 4], bus: u8) {
    if let Some(word) = buses.get_mut(usize::from(bus >> 6)) {
        *word |= 1 << (bus & 63);
    }
}

/// The function, if it is there.
fn at(host: &Host, bdf: u16) -> Option<Config> {
    let first = u64::from(host.first) << 20;
    let base = (host.ecam + (u64::from(bdf) << 12)).wrapping_sub(first);
    let id = mmio::read32(base)?;
    (id as u16 != 0xffff && id != 0).then_some(Config { base, bdf })
}

/// The functions of a bus.
fn each(host: &Host, bus: u8, mut take: impl FnMut(Config)) {
    for device in 0..32 {
        let bdf = u16::from(bus) << 8 | device << 3;
        let Some(first) = at(host, bdf) else { continue };
        let several = first.read(KIND) >> 23 & 1 != 0;
        for function in 0..if several { 8 } else { 1 } {
            if let Some(config) = at(host, bdf | function) {
                take(config);
            }
        }
    }
}

/// "00:02.0".
fn address(out: &mut Out, bdf: u16) {
    out.pair((bdf >> 8) as u8);
    out.text(":");
    out.pair((bdf >> 3 & 31) as u8);
    out.text(".");
    out.decimal((bdf & 7).into());
}

/// An entry for the function; one that the board does not have is there to be copied.
fn function(out: &mut Out, number: usize, host: &Host, config: Config) {
    let is = |one: &&Function| one.host == number && one.address == config.bdf;
    let known = BOARD.functions.iter().find(is);
    let mark = if known.is_some() { "" } else { "# " };
    let key = |out: &mut Out, key: &str| {
        out.text(mark);
        out.text(key);
        out.text(" = ");
    };
    let id = config.read(0);
    out.text("\n");
    out.text(mark);
    out.text(if config.bridge() { "[[bridge]]\n" } else { "[[device]]\n" });
    key(out, "name");
    out.text("\"");
    match known {
        Some(known) => out.text(known.name),
        None => {
            out.text("pci-");
            out.quad(config.bdf);
        }
    }
    out.text("\"\n");
    if known.is_none() {
        out.word("# host", host.name);
        out.text("# address = \"");
        address(out, config.bdf);
        out.text("\"\n");
    }
    key(out, "id");
    out.text("\"");
    out.quad(id as u16);
    out.text(":");
    out.quad((id >> 16) as u16);
    out.text("\"\n");
    bars(out, config, mark);
    if !config.bridge() {
        messages(out, config, mark);
    }
    out.register("class and revision", config.read(CLASS).into());
    let pin = (config.read(PIN) >> 8) as u8;
    if (1..=4).contains(&pin) {
        out.text("# interrupt pin ");
        out.byte(b'A' + pin - 1);
        out.text("\n");
    }
}

fn bars(out: &mut Out, config: Config, mark: &str) {
    out.text(mark);
    out.text("bars = [");
    let mut before = "";
    let mut small = 0;
    config.bars(|bar| {
        if bar.bytes < PAGE {
            small += 1;
            return;
        }
        out.text(before);
        before = ", ";
        out.text("{ index = ");
        out.decimal(bar.index.into());
        out.text(", size = ");
        out.size(bar.bytes);
        out.text(if bar.wide { ", wide = true" } else { "" });
        out.text(if bar.prefetchable { ", prefetchable = true" } else { "" });
        out.text(" }");
    });
    out.text("]\n");
    if small != 0 {
        out.text("# BARs of less than 4 KiB, which no VM can have: ");
        out.decimal(small);
        out.text("\n");
    }
}

/// Its MSI-X, and how many messages it has by MSI.
fn messages(out: &mut Out, config: Config, mark: &str) {
    for found in capability::list(|offset| config.read(offset)) {
        if found.id() == capability::MSI_X {
            let table = config.read(found.at + 4);
            out.text(mark);
            out.text("msix = { vectors = ");
            out.decimal(u64::from(found.control() & 0x7ff) + 1);
            out.text(", bar = ");
            out.decimal((table & 7).into());
            out.text(", table = ");
            out.hex((table & !7).into());
            out.text(" }\n");
        } else if found.id() == capability::MSI {
            out.text("# MSI vectors: ");
            out.decimal(1 << (found.control() >> 1 & 7));
            out.text("\n");
        }
    }
}
