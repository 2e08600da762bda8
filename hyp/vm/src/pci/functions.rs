// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The functions that a VM has.

use crate::Guest;
use plan::PciFunction;

/// The VM's own.
pub(super) fn functions(guest: &Guest) -> impl Iterator<Item = &'static PciFunction> {
    let functions = guest.plan.functions.iter().skip(usize::from(guest.config.first_function));
    functions.take(usize::from(guest.config.function_count))
}
