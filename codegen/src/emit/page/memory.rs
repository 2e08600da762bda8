// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The physical memory map as bars: each RAM to scale, and stretches of small areas magnified.

use super::bar::{Bar, Part, scaled};
use super::owner_colour;
use crate::emit::report::{range, size};
use crate::plan::Plan;

/// An area below a fiftieth of a bar is small.
const SMALL: u64 = 50;
/// A stretch is magnified at least so much.
const LEAST: u64 = 4;

/// An area of a bar: base, bytes, colour, owner, and what it is.
#[derive(Clone)]
struct Area {
    base: u64,
    bytes: u64,
    class: String,
    owner: String,
    what: String,
}

impl Area {
    fn end(&self) -> u64 {
        self.base + self.bytes
    }
}

/// Every RAM of the board, with whom it belongs to.
pub fn ram(plan: &Plan) -> Vec<Bar> {
    let area = |area: &crate::plan::Area| {
        let free = area.owner == "hypervisor" && area.what == "free";
        let class = if free { "free".into() } else { owner_colour(plan, &area.owner) };
        let (base, bytes) = (area.base.value(), area.bytes);
        Area { base, bytes, class, owner: area.owner.clone(), what: area.what.clone() }
    };
    let areas: Vec<Area> = plan.memory_map.iter().map(area).collect();
    let mut bars = Vec::new();
    for ram in &plan.board.ram {
        let whole = (ram.base.value(), ram.bytes);
        let own = areas.iter().filter(|area| area.base < whole.0 + whole.1 && area.end() > whole.0);
        draw(&ram.name, whole, &own.cloned().collect::<Vec<_>>(), 3, &mut bars);
    }
    bars
}

/// The hypervisor's own memory.
pub fn own(plan: &Plan) -> Vec<Bar> {
    let own = &plan.hypervisor;
    let area = |base, bytes, class: &str, what: &str| Area {
        base,
        bytes,
        class: class.into(),
        owner: what.into(),
        what: String::new(),
    };
    let mut areas: Vec<Area> = own
        .items
        .iter()
        .map(|item| {
            let class = if item.copy { "copy" } else { "own" };
            area(item.base.value(), item.bytes, class, &item.name)
        })
        .collect();
    areas.push(area(own.image.value(), own.room, "code", "code, data, stacks"));
    let log = plan.board.console.log();
    areas.extend(log.map(|log| area(log.base.value(), log.bytes, "own", "log")));
    areas.sort_by_key(|area| area.base);
    let mut bars = Vec::new();
    draw("the hypervisor's", (own.base.value(), own.bytes), &areas, 1, &mut bars);
    bars
}

/// A bar, and below it those that magnify what is too small in it, so many times over.
fn draw(name: &str, whole: (u64, u64), areas: &[Area], depth: usize, bars: &mut Vec<Bar>) {
    bars.push(bar(name.to_owned(), whole, areas, None));
    let all = Stretch { name, all: whole.1, depth };
    magnify(&all, whole, areas, bars);
}

struct Stretch<'a> {
    name: &'a str,
    /// What the first bar has.
    all: u64,
    /// How often it may be magnified yet.
    depth: usize,
}

fn magnify(of: &Stretch, whole: (u64, u64), areas: &[Area], bars: &mut Vec<Bar>) {
    let Some(depth) = of.depth.checked_sub(1) else { return };
    let Stretch { name, all, .. } = *of;
    let small = |area: &Area| area.bytes.saturating_mul(SMALL) < whole.1;
    let above = bars.len();
    for run in areas.chunk_by(|a, b| small(a) && small(b)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let hull = (first.base, last.end() - first.base);
        if run.len() < 2 || hull.1.saturating_mul(LEAST) > whole.1 {
            continue;
        }
        let at = hull.0.saturating_sub(whole.0);
        let zoom = (scaled(at, whole.1), scaled(at + hull.1, whole.1));
        let title = format!("{name}, {} times as large", all / hull.1.max(1));
        // Only the bar right below can show which stretch it is.
        let zoom = Some(zoom).filter(|_| bars.len() == above);
        bars.push(bar(title, hull, run, zoom));
        magnify(&Stretch { depth, ..*of }, hull, run, bars);
    }
}

fn bar(name: String, whole: (u64, u64), areas: &[Area], zoom: Option<(u64, u64)>) -> Bar {
    let part = |area: &Area| {
        let about = match area.what.as_str() {
            "" => area.owner.clone(),
            what => format!("{}: {what}", area.owner),
        };
        let title = format!("{about}, {}, {}", range(area.base, area.bytes), size(area.bytes));
        let place = (area.base, area.bytes);
        Part::new(place, whole, area.class.clone(), &area.owner).title(title)
    };
    let used: u64 = areas.iter().map(|area| area.bytes).sum();
    let free = size(whole.1.saturating_sub(used));
    Bar {
        about: format!("{} areas in {}, {free} of it nobody's", areas.len(), size(whole.1)),
        name,
        from: format!("{:#012x}", whole.0),
        to: format!("{:#012x}", whole.0 + whole.1),
        parts: areas.iter().map(part).collect(),
        zoom,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(base: u64, bytes: u64) -> Area {
        let (class, owner, what) = (String::new(), "x".into(), String::new());
        Area { base, bytes, class, owner, what }
    }

    #[test]
    fn small_areas_side_by_side_are_magnified() {
        let mut bars = Vec::new();
        let areas = [area(0, 1), area(2, 1), area(500, 400), area(999, 1)];
        draw("ram", (0, 1000), &areas, 3, &mut bars);
        let drawn: Vec<_> = bars.iter().map(|bar| (bar.name.as_str(), bar.parts.len())).collect();
        assert_eq!(drawn, [("ram", 4), ("ram, 333 times as large", 2)]);
        assert_eq!(bars[1].zoom, Some((0, 300)));
        let mut bars = Vec::new();
        draw("ram", (0, 1000), &areas, 0, &mut bars);
        assert_eq!(bars.len(), 1, "as deep as it may be");
        let mut bars = Vec::new();
        draw("ram", (0, 1000), &[area(0, 500), area(500, 500)], 3, &mut bars);
        assert_eq!(bars.len(), 1, "all of it can be seen");
    }
}
