// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What to write into the TOML so that a guest's wishes are the plan's, and what it did wrong.

use super::{View, event::VmEvent};
use crate::{VmState, text::Text};
use plan::ItsPolicy;

/// Lines for the events of one VM, at most.
const LINES: usize = 32;

/// What a VM's virtual ITS was asked for, a line at a time: one for each event that the guest
/// mapped otherwise than planned; one if it wants another priority; one for an event that is not
/// planned; one for the last command that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Learned {
    /// Index of the event that is looked at next, of all VMs' events; then the rest.
    event: usize,
    lines: usize,
}

impl Learned {
    pub const START: Self = Self { event: 0, lines: 0 };

    /// Writes the next line, if there is something to say. False: it was at its end before.
    pub fn part(&mut self, view: View, vm: &VmState, out: &mut impl Text) -> bool {
        if view.vm().its == ItsPolicy::None {
            return false;
        }
        let last = view.len();
        let at = self.event;
        self.event += 1;
        match at.checked_sub(last) {
            None => {
                let own = view.at(at).filter(|own| self.lines < LINES && differs(own));
                self.lines += own.is_some_and(|own| tell_event(&view, &own, out)) as usize;
            }
            Some(0) => tell_priority(&view, vm, out),
            Some(1) => tell_unplanned(&view, vm, out),
            Some(2) => tell_refused(&view, vm, out),
            Some(_) => return false,
        }
        true
    }
}

fn tell_event(view: &View, own: &VmEvent, out: &mut impl Text) -> bool {
    let Some((vintid, vpe)) = own.asked() else { return false };
    begin(view, out);
    out.text("device ");
    out.text(own.route.source);
    out.text(" event ");
    out.decimal(own.route.event.into());
    out.text(": vintid = ");
    out.decimal(vintid.into());
    out.text(", vpe = ");
    out.decimal(vpe.unwrap_or(own.home).into());
    out.text(" would need no command at run time\n");
    true
}

fn tell_priority(view: &View, vm: &VmState, out: &mut impl Text) {
    let Some(priority) = vm.its.last_priority().filter(|&p| p != view.vm().vlpi_priority) else {
        return;
    };
    begin(view, out);
    out.text("event_priority = ");
    out.hex(priority.into());
    out.text(" would need no command at run time\n");
}

fn tell_unplanned(view: &View, vm: &VmState, out: &mut impl Text) {
    let Some((device, event)) = vm.its.unplanned() else { return };
    begin(view, out);
    match view.first_of(device) {
        Some(own) => {
            out.text("device ");
            out.text(own.route.source);
        }
        None => {
            out.text("DeviceID ");
            out.hex(device.into());
        }
    }
    out.text(" event ");
    out.decimal(event.into());
    out.text(" was asked for and is not planned: the driver waits for it\n");
}

fn tell_refused(view: &View, vm: &VmState, out: &mut impl Text) {
    let Some((words, refusal)) = vm.its.last_refused() else { return };
    begin(view, out);
    out.text("last refused");
    for word in words {
        out.text(" ");
        out.hex(word);
    }
    out.text(": ");
    out.text(refusal.name());
    out.text("\n");
}

fn begin(view: &View, out: &mut impl Text) {
    out.text("bulkhead: its of ");
    out.text(view.vm().name);
    out.text(": ");
}

fn differs(own: &VmEvent) -> bool {
    own.asked().is_some_and(|(vintid, vpe)| {
        vintid != own.route.vintid || vpe.is_some_and(|vpe| vpe != own.home)
    })
}
