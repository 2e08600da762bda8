// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a partition ends: a result reported to the hypervisor, then power off.

use crate::{hypercall, println, psci};

/// The result of a partition's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// A code other than 0, the payload's own; [`Outcome::PANIC`] and [`Outcome::EXCEPTION`] are
    /// `rt`'s.
    Failed(u32),
}

impl Outcome {
    /// The payload panicked.
    pub const PANIC: u32 = 101;
    /// The payload took an exception that nobody expected.
    pub const EXCEPTION: u32 = 102;

    /// REPORT's argument.
    pub fn code(self) -> u32 {
        match self {
            Outcome::Passed => 0,
            Outcome::Failed(0) => u32::MAX,
            Outcome::Failed(code) => code,
        }
    }

    /// Reports it and switches the VM off.
    pub fn end(self) -> ! {
        match self {
            Outcome::Passed => println!("passed"),
            Outcome::Failed(code) => println!("failed, code {code}"),
        }
        // Without a hypervisor to report to, the line above is all there is.
        let _ = hypercall::report(self.code());
        psci::system_off()
    }
}

impl<E: core::fmt::Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                println!("error: {error}");
                Outcome::Failed(1)
            }
        }
    }
}
