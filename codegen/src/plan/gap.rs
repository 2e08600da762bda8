// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The longest time that a vPE which wants to run has to wait, by the tables alone.
//!
//! Not counted: the hypervisor's own time, and one lateness of its timer.

use ::plan::{Budget, Window};

/// More rounds than any fixed point of practical numbers needs.
const ROUNDS: usize = 100_000;

/// Between the windows of one vPE, sorted by start, of a frame that repeats.
pub fn in_frame(windows: &[Window], frame: u64) -> u64 {
    let Some((first, last)) = windows.first().zip(windows.last()) else {
        return frame;
    };
    let end = |window: &Window| window.start + window.ticks;
    let between = windows.windows(2).map(|pair| pair[1].start - end(&pair[0]));
    between.chain([first.start + frame - end(last)]).max().unwrap_or(0)
}

/// Under budgets `above` and of its `own`. None: whoever is above may never yield.
///
/// A budget may be used at any time of its period, so in a time `w` each one above runs for at most
/// `ticks * (ceil(w / period) + 1)`; the least `w` that is not shorter than the sum of these is
/// over before it. Who has used up its own budget at the start of a period waits for the next one
/// before that.
pub fn by_priority(above: &[Option<Budget>], own: Option<Budget>) -> Option<u64> {
    let above: Vec<Budget> = above.iter().copied().collect::<Option<_>>()?;
    let run = |time: u64| {
        above.iter().try_fold(0u64, |sum, budget| {
            let periods = time.div_ceil(budget.period.get()).checked_add(1)?;
            sum.checked_add(budget.ticks.get().checked_mul(periods)?)
        })
    };
    let mut time = 0;
    for _ in 0..ROUNDS {
        let next = run(time)?;
        if next <= time {
            return time.checked_add(own.map_or(0, |own| own.period.get() - own.ticks.get()));
        }
        time = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(ticks: u64, period: u64) -> Option<Budget> {
        Some(Budget::new(ticks, period, ::plan::Rest::Suspended))
    }

    #[test]
    fn between_windows_and_over_the_end_of_the_frame() {
        let window = |start, ticks| Window { slot: 0, start, ticks };
        assert_eq!(in_frame(&[window(10, 20)], 100), 80);
        assert_eq!(in_frame(&[window(10, 20), window(70, 10)], 100), 40);
        assert_eq!(in_frame(&[window(0, 50), window(50, 50)], 100), 0);
    }

    #[test]
    fn two_budgets_above_meet_at_a_renewal() {
        assert_eq!(by_priority(&[], None), Some(0));
        assert_eq!(by_priority(&[], budget(20, 100)), Some(80));
        assert_eq!(by_priority(&[budget(20, 100)], None), Some(40));
        assert_eq!(by_priority(&[budget(20, 100)], budget(10, 50)), Some(80));
        // 2 * 30 + 2 * 20 = 100 is more than one period of 80: 2 * 30 + 3 * 20.
        assert_eq!(by_priority(&[budget(30, 200), budget(20, 80)], None), Some(120));
    }

    #[test]
    fn nobody_is_sure_of_what_others_may_keep() {
        assert_eq!(by_priority(&[None], None), None);
        assert_eq!(by_priority(&[budget(100, 100)], None), None);
        assert_eq!(by_priority(&[budget(50, 100), budget(100, 200)], budget(1, 10)), None);
    }
}
