// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Address ranges with an owner, as the rules compare and name them.

use crate::bounds::DIAGNOSTICS;
use crate::diag::{Report, rules};
use crate::model::{At, Board, Region};

/// Sizes that addresses and sizes must be multiples of.
pub const PAGE: u64 = 4 << 10;
pub const FRAME: u64 = 64 << 10;
pub const BLOCK: u64 = 2 << 20;

/// A range of addresses and whose it is.
#[derive(Clone, Debug)]
pub struct Range {
    /// "VM `a`", "the distributor".
    pub owner: String,
    pub start: u64,
    /// One past the last.
    pub end: u64,
    pub at: At<()>,
}

impl Range {
    pub fn new(owner: impl Into<String>, base: &At<u64>, size: u64) -> Self {
        Self {
            owner: owner.into(),
            start: base.value,
            end: base.value.saturating_add(size),
            at: base.with(()),
        }
    }

    pub fn of(owner: impl Into<String>, region: &Region) -> Self {
        Self::new(owner, &region.base, region.size.value)
    }

    /// The pages that `region` touches.
    pub fn pages(owner: impl Into<String>, region: &Region) -> Self {
        let pages = region.pages();
        Self { owner: owner.into(), start: pages.start, end: pages.end, at: region.base.with(()) }
    }

    pub fn overlaps(&self, other: &Range) -> bool {
        self.start < other.end && other.start < self.end
    }

    pub fn lies_in(&self, other: &Range) -> bool {
        other.start <= self.start && self.end <= other.end
    }

    /// "VM `a`: 0x4000_0000 to 0x401f_ffff".
    pub fn label(&self) -> String {
        format!("{}: {}", self.owner, self.extent())
    }

    pub fn extent(&self) -> String {
        format!("{} to {}", hex(self.start), hex(self.end.saturating_sub(1)))
    }
}

/// Every two of `ranges` that overlap, the later one first; not more than anybody would read.
pub fn overlaps(ranges: &[Range]) -> Vec<(&Range, &Range)> {
    let mut pairs = Vec::new();
    for (n, a) in ranges.iter().enumerate() {
        let left = DIAGNOSTICS.saturating_sub(pairs.len());
        let over = ranges[..n].iter().filter(|b| a.overlaps(b)).map(|b| (a, b));
        pairs.extend(over.take(left));
    }
    pairs
}

/// The regions of the redistributors.
pub fn redistributors(board: &Board) -> impl Iterator<Item = Range> {
    let regions = board.gic.redistributors.regions();
    regions.enumerate().map(|(n, region)| match n {
        0 => Range::of("the redistributors", region),
        _ => Range::of(format!("region {} of the redistributors", n + 1), region),
    })
}

/// All registers on the board, by owner.
pub fn registers(board: &Board) -> Vec<Range> {
    let gic = &board.gic;
    let mut all = vec![Range::of("the distributor", &gic.distributor)];
    all.extend(redistributors(board));
    all.extend(gic.its.iter().map(|its| Range::of("the ITS", &its.region)));
    all.extend(
        board
            .uarts
            .iter()
            .map(|uart| Range::of(format!("UART `{}`", uart.name.value), &uart.region)),
    );
    let smmus = board.smmus.iter();
    all.extend(smmus.map(|one| Range::of(format!("SMMU `{}`", one.name.value), &one.region)));
    for host in &board.pcie {
        let name = &host.name.value;
        all.push(Range::of(format!("ECAM of `{name}`"), &host.ecam));
        let windows = host.windows().map(|window| &window.region);
        all.extend(windows.map(|window| Range::of(format!("PCI window of `{name}`"), window)));
    }
    all.extend(devices(board));
    all
}

/// Registers of the board's platform devices.
pub fn devices(board: &Board) -> Vec<Range> {
    let regions = board.devices.iter().flat_map(|device| match &device.kind {
        crate::model::DeviceKind::Platform { regions, .. } => regions
            .iter()
            .map(|region| Range::of(format!("device `{}`", device.name.value), region))
            .collect(),
        crate::model::DeviceKind::Pci { .. } => Vec::new(),
    });
    regions.collect()
}

/// `value` must be a multiple of `unit`; says so otherwise. `what` as in "the size of VM `a`'s
/// memory".
pub fn aligned(report: &mut Report, value: &At<u64>, unit: u64, what: &str) -> bool {
    let fine = value.value.is_multiple_of(unit);
    if !fine {
        let unit_text = crate::units::Size(unit);
        let down = value.value - value.value % unit;
        let up = down.saturating_add(unit);
        report.push(
            rules::MISALIGNED
                .says(format!("{what} is not a multiple of {unit_text}"))
                .label(value, format!("{} is between two of them", hex(value.value)))
                .help(format!(
                    "write {} or {}",
                    number(down, value, report),
                    number(up, value, report)
                )),
        );
    }
    fine
}

/// `size` must not be zero.
pub fn some(report: &mut Report, size: &At<u64>, what: &str) -> bool {
    if size.value == 0 {
        let empty = rules::EMPTY.says(format!("{what} is zero"));
        report
            .push(empty.label(size, "nothing").help("write a size, or leave the whole entry out"));
    }
    size.value != 0
}

/// A number in the notation of the place it replaces: a size in quotes or an address.
fn number(value: u64, at: &At<u64>, report: &Report) -> String {
    match report.sources.place(at.file, &at.span).text().starts_with(['"', '\'']) {
        true => format!("\"{}\"", crate::units::Size(value)),
        false => hex(value),
    }
}

/// 0x4000_0000.
pub fn hex(value: u64) -> String {
    let digits = format!("{value:x}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(4).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    format!("0x{}", groups.join("_"))
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn addresses_are_grouped_by_four() {
        assert_eq!(hex(0), "0x0");
        assert_eq!(hex(0x8080000), "0x808_0000");
        assert_eq!(hex(0x40_1000_0000), "0x40_1000_0000");
    }
}
