// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Samples of one figure: least, median, most.

use rt::figure;

/// Samples that one figure can have.
pub const MOST: usize = 501;

#[derive(Debug)]
pub struct Samples {
    values: [u64; MOST],
    count: usize,
}

impl Samples {
    /// As many as asked for, at most [`MOST`], each from one call.
    pub fn take(count: usize, mut sample: impl FnMut() -> u64) -> Self {
        let count = count.clamp(1, MOST);
        let mut values = [0; MOST];
        values[..count].fill_with(&mut sample);
        values[..count].sort_unstable();
        Self { values, count }
    }

    pub fn median(&self) -> u64 {
        self.values[self.count / 2]
    }

    /// Prints the median as the figure itself, and least and most beside it.
    pub fn print(&self, name: &str, unit: &str) {
        figure!(name, self.median(), unit);
        figure!(format_args!("{name}-min"), self.values[0], unit);
        figure!(format_args!("{name}-max"), self.values[self.count - 1], unit);
    }
}
