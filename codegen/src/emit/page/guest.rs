// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's address space, as a column of what it finds there.

use super::colour;
use crate::emit::report::{Region, Report, range, size};
use crate::emit::section::Section;
use crate::plan::{Plan, Vm};

pub struct Guest {
    pub name: String,
    pub class: String,
    pub vpes: String,
    pub column: Vec<Step>,
    /// The rest of what is said of it.
    pub section: Option<Section>,
}

impl Guest {
    /// Bytes of "VM NAME: " at the beginning of its section's heading.
    pub fn heading(&self) -> usize {
        "VM : ".len() + self.name.len()
    }
}

/// A region, or a gap between two.
pub struct Step {
    pub range: String,
    pub size: String,
    pub what: String,
    /// Empty: a gap.
    pub how: &'static str,
    /// How high it is: by the logarithm of its size, for a page and a terabyte are in one column.
    pub height: u32,
    /// How much further in: within another region.
    pub inside: bool,
}

pub fn all(plan: &Plan) -> Vec<Guest> {
    let vpes = |vm: &Vm| {
        let from = usize::from(vm.first_vpe);
        let own = &plan.vpes[from..from + usize::from(vm.vpe_count)];
        let names =
            own.iter().map(|vpe| format!("vPE {} on {}", vpe.number, plan.cpus[vpe.cpu].name));
        names.collect::<Vec<_>>().join(", ")
    };
    let guest = |(n, vm): (usize, &Vm)| Guest {
        name: vm.name.clone(),
        class: colour(n),
        vpes: vpes(vm),
        column: column(&Report { plan }.space(vm)),
        section: None,
    };
    plan.vms.iter().enumerate().map(guest).collect()
}

fn column(regions: &[Region]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut end = 0;
    for region in regions {
        if region.base > end && end != 0 {
            let bytes = region.base - end;
            steps.push(step(end, bytes, "nothing: an access is an abort", ""));
        }
        let mut step = step(region.base, region.bytes, &region.what, region.how);
        step.inside = region.base < end;
        steps.push(step);
        end = end.max(region.base + region.bytes);
    }
    steps
}

fn step(base: u64, bytes: u64, what: &str, how: &'static str) -> Step {
    let (range, size) = (range(base, bytes), size(bytes));
    let height = bytes.max(1).ilog2().saturating_sub(12).min(24);
    Step { range, size, what: what.to_owned(), how, height, inside: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_named_and_overlays_are_inside() {
        let region = |base, bytes, how| Region { base, bytes, what: String::new(), how };
        let steps = column(&[
            region(0x1000, 0x4000, "direct"),
            region(0x2000, 0x1000, "filtered"),
            region(0x9000, 0x1000, "emulated"),
        ]);
        let seen: Vec<_> = steps.iter().map(|step| (step.how, step.inside)).collect();
        assert_eq!(seen, [("direct", false), ("filtered", true), ("", false), ("emulated", false)]);
        assert_eq!(steps[2].range, "0x0000005000..0x0000009000");
    }
}
