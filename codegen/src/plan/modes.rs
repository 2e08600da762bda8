// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Modes: how each differs from the others, and what has to move.

use std::num::NonZeroU64;

use ::plan::{CpuIndex, Mode, ModeSwitch, Modes, Move, Schedule, VmIndex, VpeIndex};

use super::schedule::Layout;
use crate::model::System;

/// CPU that the ITS knows a vPE on while the layout holds: a suspended one is where the first mode
/// has it.
pub fn home(layouts: &[Layout], mode: usize, vpe: usize) -> usize {
    let place = layouts[mode].placements[vpe].or(layouts[0].placements[vpe]);
    place.map_or(0, |place| place.cpu.index())
}

/// All modes, without their scripts; None: there is only one. The error: frames that never begin
/// together.
pub fn decide(system: &System, layouts: &[Layout]) -> Result<Option<Modes>, &'static str> {
    if system.modes.is_empty() {
        return Ok(None);
    }
    if layouts.len() > usize::from(u8::MAX) || system.board.cpus.len() > 64 {
        return Err("modes are for up to 255 of them and 64 CPUs");
    }
    let mut modes = Vec::new();
    for (from, (name, layout)) in system.mode_names().zip(layouts).enumerate() {
        let switches: Vec<ModeSwitch> =
            (0..layouts.len()).map(|to| switch(layouts, from, to)).collect();
        let concerned = |cpu: &usize| switches.iter().any(|switch| switch.cpus >> cpu & 1 != 0);
        let cpus = (0..layout.schedules.len()).filter(concerned);
        let boundary = common(cpus.filter_map(|cpu| match &layout.schedules[cpu] {
            Schedule::Cyclic(frame) => Some(frame.ticks),
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
    Ok(Some(Modes { modes, asker: system.switch_by.as_ref().map(|vm| VmIndex::at(vm.value)) }))
}

fn switch(layouts: &[Layout], from: usize, to: usize) -> ModeSwitch {
    let (before, after) = (&layouts[from], &layouts[to]);
    let cpus =
        (0..before.schedules.len()).filter(|&cpu| before.schedules[cpu] != after.schedules[cpu]);
    let moves = (0..before.placements.len()).map(|vpe| Move {
        vpe: VpeIndex::at(vpe),
        from: CpuIndex::at(home(layouts, from, vpe)),
        to: CpuIndex::at(home(layouts, to, vpe)),
    });
    ModeSwitch {
        cpus: cpus.fold(0, |bits, cpu| bits | 1 << cpu),
        moves: moves.filter(|step| step.from != step.to).collect(),
        script: Vec::new(),
    }
}

/// Least common multiple; 1 of nothing.
fn common(mut numbers: impl Iterator<Item = NonZeroU64>) -> Option<NonZeroU64> {
    numbers.try_fold(NonZeroU64::MIN, |common, number| {
        let (mut a, mut b) = (common.get(), number.get());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        common.checked_mul(NonZeroU64::new(number.get().checked_div(a)?)?)
    })
}

#[cfg(test)]
mod tests {
    use super::common;
    use ::plan::ticks;

    #[test]
    fn frames_begin_together_at_their_least_common_multiple() {
        assert_eq!(common([].into_iter()), Some(ticks(1)));
        assert_eq!(common([4, 6, 10].map(ticks).into_iter()), Some(ticks(60)));
        assert_eq!(common([u64::MAX, u64::MAX - 1].map(ticks).into_iter()), None);
    }
}
