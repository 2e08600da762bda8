// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every sequence of choices, one run of the program for each.

use std::cell::RefCell;

/// The choices of a run: first those of the run before, up to the one that is different now; then
/// always the first.
#[derive(Debug, Default)]
pub struct Choices {
    /// What was taken, and of how many.
    taken: RefCell<Vec<(usize, usize)>>,
    next: RefCell<usize>,
}

impl Choices {
    /// A number below `of`.
    pub fn choose(&self, of: usize) -> usize {
        let mut taken = self.taken.borrow_mut();
        let next = self.next.replace_with(|next| *next + 1);
        if next == taken.len() {
            taken.push((0, of));
        }
        assert_eq!(taken[next].1, of, "a run with the same choices is the same run");
        taken[next].0
    }

    /// The choices of the next run. None: there is none.
    fn advance(self) -> Option<Self> {
        let mut taken = self.taken.into_inner();
        while let Some((choice, of)) = taken.pop() {
            if choice + 1 < of {
                taken.push((choice + 1, of));
                return Some(Self { taken: RefCell::new(taken), next: RefCell::new(0) });
            }
        }
        None
    }
}

/// How many runs there are; or what went wrong in the first that failed.
pub fn explore<E>(mut run: impl FnMut(&Choices) -> Result<(), E>) -> Result<u64, E> {
    let mut choices = Choices::default();
    for runs in 1.. {
        run(&choices)?;
        match choices.advance() {
            Some(next) => choices = next,
            None => return Ok(runs),
        }
    }
    Ok(u64::MAX)
}

#[test]
fn all_sequences_are_run_once() {
    let mut seen = Vec::new();
    let runs = explore(|choices| {
        let first = choices.choose(2);
        seen.push((first, choices.choose(first + 2)));
        Ok::<_, ()>(())
    });
    assert_eq!(runs, Ok(5));
    assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]);
}
