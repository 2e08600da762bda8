// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tests of the crate as a whole, most of them property tests beside a naive model.

mod hostile;
mod hosts;
mod interrupts;
mod its;
