//! What is typed: to the VM that has the input, or a command to the hypervisor after the escape key.
//!
//! | keys | does |
//! |---|---|
//! | escape, n | the next VM with a console gets the input |
//! | escape, 0..9 | that VM gets the input |
//! | escape, c | shows the counters |
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
}

/// EL2's own lines, as far as they have room.
struct Own<'a>(&'a mut Mux);

impl Text for Own<'_> {
    fn byte(&mut self, byte: u8) {
        self.0.write(byte);
    }
}

impl Mux {
    /// A byte was typed. Pump afterwards: there may be an answer.
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
                self.choose(plan, next)
            }
            b'0'..=b'9' => {
                let vm = usize::from(byte - b'0');
                self.choose(plan, Some(vm).filter(|&vm| has_console(plan, vm)))
            }
            b'c' => Input::ShowCounters,
            _ => self.help(plan),
        }
    }

    fn deliver(&self, plan: &Plan, byte: u8) -> Input {
        if has_console(plan, self.focus) {
            Input::Deliver(self.focus(), byte)
        } else {
            Input::Nothing
        }
    }

    fn choose(&mut self, plan: &Plan, vm: Option<usize>) -> Input {
        let Some(vm) = vm else {
            Own(self).text("bulkhead: no such console\n");
            return Input::Nothing;
        };
        self.focus = vm;
        let name = plan.vms.get(vm).map_or("?", |vm| vm.name);
        let mut own = Own(self);
        own.text("bulkhead: input goes to ");
        own.text(name);
        own.text("\n");
        Input::Nothing
    }

    fn help(&mut self, plan: &Plan) -> Input {
        let focus = self.focus;
        let mut own = Own(self);
        own.text("bulkhead: after the escape key: n next console, 0-9 that console, c counters, ? this list, escape itself\n");
        for (index, vm) in plan.vms.iter().enumerate() {
            own.text("bulkhead: ");
            own.decimal(index as u64);
            own.text(" ");
            own.text(vm.name);
            own.text(match (vm.uart_intid, index == focus) {
                (None, _) => ", no console\n",
                (_, true) => ", has the input\n",
                _ => "\n",
            });
        }
        Input::Nothing
    }
}

fn has_console(plan: &Plan, vm: usize) -> bool {
    plan.vms.get(vm).is_some_and(|vm| vm.uart_intid.is_some())
}
