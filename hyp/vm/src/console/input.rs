// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is typed: to the VM that has the input, or a command to the hypervisor after the escape
//! key.
//!
//! | keys | does |
//! |---|---|
//! | escape, n | the next VM with a console gets the input |
//! | escape, 0..9 | that VM gets the input |
//! | escape, c | shows the counters |
//! | escape, s | shows where each vPE is, and its last exits |
//! | escape, ? | lists the keys and the VMs |
//! | escape, escape | the escape key itself, to the VM |

use super::mux::Mux;
use crate::text::Text;
use plan::{Plan, VmIndex};

/// What the image does with a byte from the board's UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Nothing,
    /// To the UART of a VM: [`crate::VmState::receive`].
    Deliver(VmIndex, u8),
    ShowCounters,
    /// Where each vPE is: [`crate::report::place`].
    ShowPlaces,
    /// Say who has the input: [`focus`].
    ShowFocus,
    /// Say that there is no such console: [`NO_CONSOLE`].
    NoConsole,
    /// List the keys and the VMs: [`key`].
    ShowKeys,
}

/// The line for a console that is not there.
pub const NO_CONSOLE: &str = "bulkhead: no such console\n";

impl Mux {
    /// A byte was typed.
    pub fn input(&mut self, plan: &Plan, byte: u8) -> Input {
        let command = self.escaped;
        self.escaped = !command && byte == plan.escape;
        if self.escaped {
            return Input::Nothing;
        }
        if !command {
            return self.deliver(plan, byte);
        }
        match byte {
            _ if byte == plan.escape => self.deliver(plan, byte),
            b'n' => {
                let count = plan.vms.len();
                let next = (1..=count)
                    .map(|step| (self.focus + step) % count.max(1))
                    .find(|&vm| has_console(plan, vm));
                self.try_choose(next)
            }
            b'0'..=b'9' => {
                let vm = usize::from(byte - b'0');
                self.try_choose(Some(vm).filter(|&vm| has_console(plan, vm)))
            }
            b'c' => Input::ShowCounters,
            b's' => Input::ShowPlaces,
            _ => Input::ShowKeys,
        }
    }

    fn deliver(&self, plan: &Plan, byte: u8) -> Input {
        if has_console(plan, self.focus) {
            Input::Deliver(self.focus(), byte)
        } else {
            Input::Nothing
        }
    }

    fn try_choose(&mut self, vm: Option<usize>) -> Input {
        let Some(vm) = vm else { return Input::NoConsole };
        self.choose(vm);
        Input::ShowFocus
    }

    /// That VM gets the input.
    pub fn choose(&mut self, vm: usize) {
        self.focus = vm;
    }
}

/// The line that says who has the input.
pub fn focus(plan: &Plan, focus: VmIndex, out: &mut impl Text) {
    out.text("bulkhead: input goes to ");
    out.text(plan.vms.get(focus.index()).map_or("?", |vm| vm.name));
    out.text("\n");
}

/// Line `line` of the list of keys and VMs; false: there is none.
pub fn key(plan: &Plan, focus: VmIndex, line: usize, out: &mut impl Text) -> bool {
    let Some(index) = line.checked_sub(1) else {
        out.text(
            "bulkhead: after the escape key: n next console, 0-9 that console, c counters, s \
                  states and last exits, ? this list, escape itself\n",
        );
        return true;
    };
    let Some(vm) = plan.vms.get(index) else { return false };
    out.text("bulkhead: ");
    out.decimal(index as u64);
    out.text(" ");
    out.text(vm.name);
    out.text(match (vm.uart_intid, index == focus.index()) {
        (None, _) => ", no console\n",
        (_, true) => ", has the input\n",
        _ => "\n",
    });
    true
}

fn has_console(plan: &Plan, vm: usize) -> bool {
    plan.vms.get(vm).is_some_and(|vm| vm.uart_intid.is_some())
}
