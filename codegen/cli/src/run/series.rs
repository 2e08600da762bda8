// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Figures that several systems measure, side by side: what grows with the system, and what does
//! not.
//!
//! A series is one figure from systems that differ in one number only, such as how many vPEs share
//! a CPU. A flat one may spread by [`FLAT_PER_MILLE`] and no more; of a growing one the last column
//! says what each further one costs.

use std::fmt;

use serde::Serialize;

use super::Figure;
use super::bench::grouped;

/// How far apart the least and the most of a flat series may lie, in thousandths of the least.
pub const FLAT_PER_MILLE: u64 = 100;

/// What is expected of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The same however large the number.
    Flat,
    /// So much for each.
    Grows,
}

/// A series as it is to be measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Wanted {
    /// Name of the figure.
    pub figure: &'static str,
    pub about: &'static str,
    pub shape: Shape,
    /// What the numbers count.
    pub of: &'static str,
    /// The VM that measures, and its system's number.
    pub points: &'static [(&'static str, u64)],
}

const TURNS: &[(&str, u64)] = &[("turns-2", 2), ("turns-8", 8), ("turns-32", 32)];
const MODES: &[(&str, u64)] = &[("modes-1", 1), ("modes-4", 4)];
const SHARING: &str = "on a CPU that vPEs share, by their number";
const MOVING: &str = "in a mode switch, by vPEs that it moves";

const fn flat(figure: &'static str, about: &'static str) -> Wanted {
    Wanted { figure, about, shape: Shape::Flat, of: SHARING, points: TURNS }
}

/// Every series of the bench, in its table's order.
pub const SERIES: [Wanted; 4] = [
    flat("doorbell-idle", "doorbell to guest, every vPE idle"),
    flat("doorbell-busy", "doorbell to guest, a lower vPE running"),
    flat("wait-to-next", "residency switch, WFI to the next vPE"),
    Wanted {
        figure: "mode-switch",
        about: "MODE_SWITCH to a vPE's new CPU",
        shape: Shape::Grows,
        of: MOVING,
        points: MODES,
    },
];

/// A series as it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    #[serde(flatten)]
    pub wanted: Wanted,
    /// One for each point; None: no system measured it.
    pub values: Vec<Option<u64>>,
}

impl Series {
    /// The series' figures among all.
    pub fn of(wanted: Wanted, figures: &[Figure]) -> Self {
        let value = |&(vm, _): &(&str, u64)| {
            let mut same =
                figures.iter().filter(|figure| figure.vm == vm && figure.name == wanted.figure);
            same.next().map(|figure| figure.value)
        };
        Self { wanted, values: wanted.points.iter().map(value).collect() }
    }

    /// Whether a figure is a part of this series.
    pub fn has(&self, figure: &Figure) -> bool {
        figure.name == self.wanted.figure
            && self.wanted.points.iter().any(|&(vm, _)| vm == figure.vm)
    }

    /// Most less least, in thousandths of the least. None: not measured.
    pub fn spread(&self) -> Option<u64> {
        let values = self.values.iter().copied().collect::<Option<Vec<u64>>>()?;
        let (least, most) = (*values.iter().min()?, *values.iter().max()?);
        Some((most - least) * 1000 / least.max(1))
    }

    /// What one more costs, from the first to the last point. None: not measured.
    pub fn each(&self) -> Option<u64> {
        let (first, last) = (self.wanted.points.first()?.1, self.wanted.points.last()?.1);
        let (one, all) = ((*self.values.first()?)?, (*self.values.last()?)?);
        Some(all.saturating_sub(one) / (last - first).max(1))
    }

    /// What is flat is flat, as far as it was measured.
    pub fn holds(&self) -> bool {
        self.wanted.shape == Shape::Grows
            || self.spread().is_none_or(|spread| spread <= FLAT_PER_MILLE)
    }

    /// The line above series of the same systems.
    pub fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<42}", self.wanted.of)?;
        for (_, number) in self.wanted.points {
            write!(f, " {:>9}", grouped(*number))?;
        }
        let last = if self.wanted.shape == Shape::Flat { "spread" } else { "each more" };
        writeln!(f, " {last:>9}")
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<40}", self.wanted.about)?;
        let text = |value: Option<u64>| value.map_or("-".into(), grouped);
        for value in &self.values {
            write!(f, " {:>9}", text(*value))?;
        }
        match self.wanted.shape {
            Shape::Grows => writeln!(f, " {:>9}", text(self.each())),
            Shape::Flat => {
                let spread = self
                    .spread()
                    .map_or("-".into(), |spread| format!("{}.{} %", spread / 10, spread % 10));
                let missed = if self.holds() { "" } else { "  not flat" };
                writeln!(f, " {spread:>9}{missed}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[u64]) -> Vec<Figure> {
        let figure = |(&value, &(vm, _)): (&u64, &(&str, u64))| Figure {
            vm: vm.into(),
            name: SERIES[0].figure.into(),
            value,
            unit: "instructions".into(),
        };
        values.iter().zip(TURNS).map(figure).collect()
    }

    #[test]
    fn flat_is_within_a_tenth() {
        let series = Series::of(SERIES[0], &figures(&[1000, 1100, 1050]));
        assert_eq!(series.spread(), Some(100));
        assert!(series.holds());
        assert!(series.to_string().ends_with("    1,000     1,100     1,050    10.0 %\n"));
        let series = Series::of(SERIES[0], &figures(&[1000, 1050, 1101]));
        assert!(!series.holds());
        assert!(series.to_string().ends_with("10.1 %  not flat\n"));
    }

    #[test]
    fn a_system_that_was_not_measured_is_a_hole() {
        let series = Series::of(SERIES[0], &figures(&[1000]));
        assert_eq!(series.values, [Some(1000), None, None]);
        assert_eq!(series.spread(), None);
        assert!(series.holds() && series.to_string().contains('-'));
    }

    #[test]
    fn what_grows_has_a_price_for_each() {
        let wanted = SERIES[3];
        let series = Series { wanted, values: vec![Some(20_000), Some(29_000)] };
        assert_eq!(series.each(), Some(3000));
        assert!(series.to_string().ends_with("   20,000    29,000     3,000\n"));
    }
}
