// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bench: instructions of each hot path and bytes of the image, beside the marks to beat.
//!
//! Every subject runs twice under instruction counting, and the two consoles must be the same to
//! the last letter: what differs between two runs is no figure. What must not grow with the system
//! is measured in several sizes of it and compared ([`series`](super::series)). The marks are
//! medians of other hypervisors' runs of the same guest paths under the same QEMU, the lowest of
//! each row.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::report::write_json;
use super::series::{SERIES, Series};
use super::size::{Section, sections};
use super::{Figure, Machine, Options, Report, RunError, Verdict, run};

/// A built system to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub machine: Machine,
    /// bulkhead.bin.
    pub image: PathBuf,
    /// bulkhead.elf.
    pub elf: PathBuf,
    /// Memory that no guest can have because of the hypervisor, payload copies aside; from the
    /// plan.
    pub kept_bytes: u64,
}

/// A figure to beat: the lowest that others have.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mark {
    /// Name of the figure.
    pub figure: &'static str,
    pub about: &'static str,
    pub unit: &'static str,
    pub best: u64,
    /// Whose it is.
    pub holder: &'static str,
}

const fn mark(
    figure: &'static str,
    about: &'static str,
    unit: &'static str,
    best: u64,
    holder: &'static str,
) -> Mark {
    Mark { figure, about, unit, best, holder }
}

/// Figure names of the image itself.
const TEXT: &str = "el2-code";
const KEPT: &str = "memory-kept";

/// One row of the bench's table each.
pub const MARKS: [Mark; 12] = [
    mark("vlpi", "device event (vLPI) to guest's handler", "instructions", 723, "hvisor"),
    mark("lpi", "device event (LPI, GICv3) to handler", "instructions", 723, "hvisor"),
    mark("timer", "virtual timer to guest's handler", "instructions", 200, "Bao"),
    mark("spi", "device SPI to guest's handler", "instructions", 206, "Bao"),
    mark("sgi-self", "SGI to self", "instructions", 339, "hvisor"),
    mark("sgi-other", "SGI to another vPE, both CPUs", "instructions", 342, "hvisor"),
    mark("hypercall", "PSCI_VERSION and back", "instructions", 123, "hvisor"),
    mark("mmio-read", "GICD_TYPER read", "instructions", 226, "Bao"),
    mark("mmio-write", "GICD_ISENABLER write", "instructions", 741, "Xen"),
    mark("boot", "entry to first guest instruction", "instructions", 356_615, "Bao"),
    mark(TEXT, "EL2 code", "bytes", 66_800, "Bao"),
    mark(KEPT, "memory kept by the hypervisor", "bytes", 348 << 10, "Bao"),
];

/// What the bench found.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    pub rows: Vec<Row>,
    /// Figures of several systems side by side.
    pub series: Vec<Series>,
    /// Figures that have no mark.
    pub others: Vec<Figure>,
    pub systems: Vec<Measured>,
}

/// A mark and what we have.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub mark: Mark,
    /// None: no system measured it.
    pub ours: Option<u64>,
}

/// One system's part.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub system: String,
    pub verdict: Verdict,
    pub reason: String,
    /// None: both runs were the same; otherwise the first line that differs, from each.
    pub differs: Option<(String, String)>,
    pub sections: Vec<Section>,
    pub kept_bytes: u64,
    pub figures: Vec<Figure>,
}

impl Bench {
    /// Every system passed, twice in the same way, and what should not grow with the system does
    /// not.
    pub fn sound(&self) -> bool {
        let same = |system: &Measured| system.verdict == Verdict::Pass && system.differs.is_none();
        self.systems.iter().all(same) && self.series.iter().all(Series::holds)
    }

    /// Every mark has a figure below it.
    pub fn beaten(&self) -> bool {
        self.rows.iter().all(|row| row.ours.is_some_and(|ours| ours < row.mark.best))
    }
}

/// Measures every subject and writes `DIRECTORY/bench.json` beside each system's own report.
///
/// The first subject's sizes are the image's: put the plainest system first.
pub fn bench(subjects: &[Subject], timeout: Duration, directory: &Path) -> Result<Bench, RunError> {
    let mut systems = Vec::new();
    for subject in subjects {
        systems.push(measure(subject, timeout, directory)?);
    }
    let out = gather(systems);
    write_json(&directory.join("bench.json"), &out)?;
    Ok(out)
}

fn measure(subject: &Subject, timeout: Duration, directory: &Path) -> Result<Measured, RunError> {
    let options = Options { icount: true, timeout: Some(timeout), ..Options::default() };
    let once = || run(&subject.name, &subject.machine, &subject.image, &options);
    let (report, first) = once()?;
    report.write(directory)?;
    let Report { verdict, reason, figures, .. } = report;
    let differs = match verdict {
        Verdict::Pass => first_difference(&first.lines, &once()?.1.lines),
        _ => None,
    };
    Ok(Measured {
        system: subject.name.clone(),
        verdict,
        reason,
        differs,
        sections: sections(&subject.elf)?,
        kept_bytes: subject.kept_bytes,
        figures,
    })
}

fn first_difference(one: &[String], two: &[String]) -> Option<(String, String)> {
    let line = |lines: &[String], n: usize| lines.get(n).cloned().unwrap_or_default();
    (0..one.len().max(two.len()))
        .find(|&n| one.get(n) != two.get(n))
        .map(|n| (line(one, n), line(two, n)))
}

fn gather(systems: Vec<Measured>) -> Bench {
    let mut figures: Vec<Figure> = Vec::new();
    if let Some(image) = systems.first() {
        let code = image.sections.iter().find(|section| section.name == ".text");
        let own = |name: &str, value| Figure {
            vm: String::new(),
            name: name.into(),
            value,
            unit: "bytes".into(),
        };
        figures.extend(code.map(|section| own(TEXT, section.bytes)));
        figures.push(own(KEPT, image.kept_bytes));
    }
    figures.extend(systems.iter().flat_map(|system| system.figures.iter().cloned()));
    let rows = MARKS.map(|mark| Row {
        mark,
        ours: figures.iter().find(|figure| figure.name == mark.figure).map(|figure| figure.value),
    });
    let series: Vec<Series> = SERIES.map(|wanted| Series::of(wanted, &figures)).into();
    figures.retain(|figure| {
        MARKS.iter().all(|mark| mark.figure != figure.name)
            && !series.iter().any(|series| series.has(figure))
    });
    Bench { rows: rows.into(), series, others: figures, systems }
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = "";
        for row in &self.rows {
            if unit != row.mark.unit {
                unit = row.mark.unit;
                writeln!(
                    f,
                    "{unit:<42} {:>9}  {:>18} {:>7}",
                    "Bulkhead", "best of others", "ratio"
                )?;
            }
            row.fmt(f)?;
        }
        let mut of = "";
        for series in self.series.iter().filter(|series| series.values.iter().any(Option::is_some))
        {
            if of != series.wanted.of {
                of = series.wanted.of;
                series.heading(f)?;
            }
            series.fmt(f)?;
        }
        writeln!(f, "\nalso measured")?;
        for figure in self.others.iter().filter(|figure| !is_bound(&figure.name)) {
            let Figure { vm, name, value, unit } = figure;
            let whose = if vm.is_empty() { "hypervisor" } else { vm };
            writeln!(f, "  {:<40} {:>9}  {unit}", format!("{whose}: {name}"), grouped(*value))?;
        }
        self.systems.iter().try_for_each(|system| system.fmt(f))
    }
}

/// The smallest and the largest of the tries whose median is the figure.
fn is_bound(name: &str) -> bool {
    name.ends_with("-min") || name.ends_with("-max")
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { about, best, holder, .. } = self.mark;
        let others = format!("{} ({holder})", grouped(best));
        let Some(ours) = self.ours else {
            return writeln!(f, "  {about:<40} {:>9}  {others:>18}", "-");
        };
        let ratio = ours as f64 / best as f64;
        let missed = if ours < best { "" } else { "  not beaten" };
        writeln!(f, "  {about:<40} {:>9}  {others:>18} {ratio:>7.3}{missed}", grouped(ours))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}: {}", self.system, self.reason)?;
        match &self.differs {
            Some((one, two)) => {
                writeln!(f, ", but two runs differ:\n  first:  {one}\n  second: {two}")?;
            }
            None if self.verdict == Verdict::Pass => {
                writeln!(f, ", twice the same to the instruction")?;
            }
            None => writeln!(f)?,
        }
        let section = |section: &Section| format!("{} {}", section.name, grouped(section.bytes));
        let sections: Vec<_> = self.sections.iter().map(section).collect();
        writeln!(f, "  bytes: {}; kept {}", sections.join(", "), grouped(self.kept_bytes))
    }
}

/// 356615 as "356,615".
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let figure = |name: &str, value| Figure {
            vm: "bench".into(),
            name: name.into(),
            value,
            unit: "instructions".into(),
        };
        Measured {
            system: "bench".into(),
            verdict: Verdict::Pass,
            reason: "result: pass".into(),
            differs: None,
            sections: vec![Section { name: ".text".into(), bytes: 20_480 }],
            kept_bytes: 100_000,
            figures: vec![
                figure("vlpi", 2),
                figure("timer", 300),
                figure("nothing", 40),
                figure("nothing-max", 41),
            ],
        }
    }

    #[test]
    fn the_table_shows_marks_ours_and_what_is_missing() {
        let bench = gather(vec![measured()]);
        let text = bench.to_string();
        let line = |what: &str| {
            text.lines().find(|line| line.starts_with(what)).unwrap_or_default().to_owned()
        };
        assert!(line("  device event").ends_with("723 (hvisor)   0.003"), "{text}");
        assert!(line("  virtual timer").ends_with("1.500  not beaten"));
        assert!(line("  SGI to self").contains(" - "));
        assert!(line("  EL2 code").contains("20,480"));
        assert!(line("  bench: nothing ").ends_with("40  instructions"));
        assert_eq!(line("  bench: nothing-max"), "");
        assert!(bench.sound() && !bench.beaten());
    }

    #[test]
    fn figures_of_several_systems_stand_side_by_side() {
        let figure = |vm: &str, name: &str, value| Figure {
            vm: vm.into(),
            name: name.into(),
            value,
            unit: "instructions".into(),
        };
        let figures = vec![
            figure("turns-8", "wait-to-next", 1600),
            figure("turns-2", "wait-to-next", 1500),
            figure("turns-32", "wait-to-next", 1900),
            figure("turns-2", "else", 7),
        ];
        let bench = gather(vec![Measured { figures, ..measured() }]);
        let text = bench.to_string();
        assert!(text.contains(" 1,500     1,600     1,900    26.6 %  not flat\n"), "{text}");
        assert!(!text.contains("turns-8: wait-to-next") && text.contains("turns-2: else"));
        assert!(!bench.sound());
    }

    #[test]
    fn two_runs_that_differ_are_not_sound() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let differs = first_difference(&lines("a\nb\nc"), &lines("a\nx\nc"));
        assert_eq!(differs, Some(("b".into(), "x".into())));
        assert_eq!(
            first_difference(&lines("a\nb"), &lines("a")),
            Some(("b".into(), String::new()))
        );
        assert_eq!(first_difference(&lines("a"), &lines("a")), None);
        assert!(!gather(vec![Measured { differs, ..measured() }]).sound());
    }

    #[test]
    fn digits_stand_in_groups_of_three() {
        assert_eq!([0, 999, 1000, 356_615].map(grouped), ["0", "999", "1,000", "356,615"]);
    }
}
