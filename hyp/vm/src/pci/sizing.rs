// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BARs that show their size, as enumeration wants.

use core::sync::atomic::{AtomicU8, Ordering::Release};

/// Functions of one VM that can be sized.
const FUNCTIONS: usize = 32;

/// Which BARs of which function show their size: a bit for each BAR.
#[derive(Debug)]
pub struct Sizing(pub(super) [AtomicU8; FUNCTIONS]);

impl Sizing {
    pub const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; FUNCTIONS])
    }

    pub fn reset(&self) {
        for cell in &self.0 {
            cell.store(0, Release);
        }
    }
}

impl Default for Sizing {
    fn default() -> Self {
        Self::new()
    }
}
