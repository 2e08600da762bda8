// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages that a guest was not allowed: how many, and the last one.

use crate::text::Text;
use plan::{PciFunction, Vm};

/// What was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Not where the plan sends messages.
    Address,
    /// No EventID that the plan gives the VM.
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    function: &'static str,
    /// Of MSI-X. None: MSI.
    vector: Option<u16>,
    what: What,
    value: u32,
}

/// Of one VM, since power-up.
#[derive(Debug)]
pub struct Refusals {
    count: u32,
    last: Option<Refusal>,
}

impl Refusals {
    pub const fn new() -> Self {
        Self { count: 0, last: None }
    }

    pub(super) fn note(
        &mut self,
        function: &PciFunction,
        vector: Option<u16>,
        what: What,
        value: u32,
    ) {
        self.count = self.count.saturating_add(1);
        let address = |last: &Refusal| last.function == function.name && last.what == What::Address;
        // Messages that are off because of an address that was refused are so still; the address
        // tells more.
        if what == What::Address && value == 0 && self.last.as_ref().is_some_and(address) {
            return;
        }
        self.last = Some(Refusal { function: function.name, vector, what, value });
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new()
    }
}

/// A line for a VM that was refused any.
pub fn report(config: &Vm, refusals: &Refusals, out: &mut impl Text) {
    let Some(last) = &refusals.last else { return };
    out.text("bulkhead: messages of ");
    out.text(config.name);
    out.text(": ");
    out.decimal(refusals.count.into());
    out.text(" refused, the last of ");
    out.text(last.function);
    match last.vector {
        Some(vector) => {
            out.text(" MSI-X vector ");
            out.decimal(vector.into());
        }
        None => out.text(" MSI"),
    }
    match last.what {
        What::Address => {
            out.text(": address ");
            out.hex(last.value.into());
        }
        What::Data => {
            out.text(": event ");
            out.decimal(last.value.into());
            out.text(" is not planned");
        }
    }
    out.text("\n");
}
