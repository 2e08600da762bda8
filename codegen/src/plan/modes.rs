//! Modes: how each differs from the others, and what has to move.

use serde::Serialize;

use super::decided::ScriptLine;
use super::schedule::{Layout, Placement, Schedule};
use crate::model::System;

#[derive(Clone, Debug, Serialize)]
pub struct Modes {
    /// The one that boots first.
    pub modes: Vec<Mode>,
    /// VM that may ask for a switch.
    pub asker: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Mode {
    pub name: String,
    /// A switch away takes effect at a multiple of this, in ticks; 1: at once.
    pub boundary: u64,
    /// By CPU.
    pub schedules: Vec<Schedule>,
    /// By vPE.
    pub placements: Vec<Option<Placement>>,
    /// By the mode that they lead to.
    pub switches: Vec<Switch>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Switch {
    /// Those that have another schedule afterwards.
    pub cpus: Vec<usize>,
    pub moves: Vec<Move>,
    pub script: Vec<ScriptLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    pub vpe: usize,
    pub from: usize,
    pub to: usize,
}

/// CPU that the ITS knows a vPE on while the layout holds: a suspended one is where the first mode has it.
pub fn home(layouts: &[Layout], mode: usize, vpe: usize) -> usize {
    let place = layouts[mode].placements[vpe].or(layouts[0].placements[vpe]);
    place.map_or(0, |place| place.cpu)
}

/// All modes, without their scripts; None: there is only one. The error: frames that never begin together.
pub fn decide(system: &System, layouts: &[Layout]) -> Result<Option<Modes>, &'static str> {
    if system.modes.is_empty() {
        return Ok(None);
    }
    if layouts.len() > usize::from(u8::MAX) || system.board.cpus.len() > 64 {
        return Err("modes are for up to 255 of them and 64 CPUs");
    }
    let mut modes = Vec::new();
    for (from, (name, layout)) in system.mode_names().zip(layouts).enumerate() {
        let switches: Vec<Switch> =
            (0..layouts.len()).map(|to| switch(layouts, from, to)).collect();
        let concerned = |cpu: &usize| switches.iter().any(|switch| switch.cpus.contains(cpu));
        let cpus = (0..layout.schedules.len()).filter(concerned);
        let boundary = common(cpus.filter_map(|cpu| match layout.schedules[cpu] {
            Schedule::Cyclic { ticks, .. } => Some(ticks),
            _ => None,
        }));
        modes.push(Mode {
            name: name.value.clone(),
            boundary: boundary.ok_or("the frames of a mode never begin together")?,
            schedules: layout.schedules.clone(),
            placements: layout.placements.clone(),
            switches,
        });
    }
    Ok(Some(Modes { modes, asker: system.switch_by.as_ref().map(|vm| vm.value) }))
}

fn switch(layouts: &[Layout], from: usize, to: usize) -> Switch {
    let (before, after) = (&layouts[from], &layouts[to]);
    let cpus =
        (0..before.schedules.len()).filter(|&cpu| before.schedules[cpu] != after.schedules[cpu]);
    let moves = (0..before.placements.len()).map(|vpe| Move {
        vpe,
        from: home(layouts, from, vpe),
        to: home(layouts, to, vpe),
    });
    Switch {
        cpus: cpus.collect(),
        moves: moves.filter(|step| step.from != step.to).collect(),
        script: Vec::new(),
    }
}

/// Least common multiple; 1 of nothing.
fn common(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(1u64, |common, number| {
        let (mut a, mut b) = (common, number);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        common.checked_mul(number.checked_div(a)?)
    })
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn frames_begin_together_at_their_least_common_multiple() {
        assert_eq!(common([].into_iter()), Some(1));
        assert_eq!(common([4, 6, 10].into_iter()), Some(60));
        assert_eq!(common([u64::MAX, u64::MAX - 1].into_iter()), None);
    }
}
