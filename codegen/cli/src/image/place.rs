// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where an image goes, and what it is called, for the forms that say so.

use codegen::plan::Plan;

/// Of one image.
pub struct Place {
    /// For people.
    pub title: String,
    /// First address of its memory.
    pub base: u64,
    /// Bytes of its memory.
    pub bytes: u64,
    /// Where the flat binary goes and is entered.
    pub image: u64,
}

impl From<&Plan> for Place {
    fn from(plan: &Plan) -> Self {
        let own = &plan.hypervisor;
        Self {
            title: format!("bulkhead: system {} on {}", plan.system, plan.board.name),
            base: own.base.value(),
            bytes: own.bytes,
            image: own.image.value(),
        }
    }
}
