// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The plan's choice of a router.

use super::{Direct, Listed};

/// With `LISTED` ([`plan::Plan::is_listed`]) EL2 lists events; without, the GIC delivers them.
pub struct Events<const LISTED: bool>;

/// What [`Events`] chooses.
pub trait Choose {
    type Router;
}

impl Choose for Events<false> {
    type Router = Direct;
}

impl Choose for Events<true> {
    type Router = Listed;
}
