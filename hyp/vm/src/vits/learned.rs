//! What to write into the TOML so that a guest's wishes are the plan's, and what it did wrong.

use super::{View, event::Own};
use crate::{VmState, text::Text};
use plan::ItsPolicy;

/// Lines for the events of one VM, at most.
const LINES: usize = 32;

/// A line for each event that the guest mapped otherwise than planned; one if it wants another priority; one for the last command that was refused.
pub fn report(view: View, vm: &VmState, out: &mut impl Text) {
    if view.vm().its == ItsPolicy::None {
        return;
    }
    for own in view.events().filter(differs).take(LINES) {
        begin(&view, out);
        out.text("device ");
        out.text(own.route.source);
        out.text(" event ");
        out.decimal(own.route.event.into());
        let Some((vintid, vpe)) = own.asked() else { continue };
        out.text(": vintid = ");
        out.decimal(vintid.into());
        out.text(", vpe = ");
        out.decimal(vpe.unwrap_or(own.home).into());
        out.text(" would need no command at run time\n");
    }
    if let Some(priority) = vm.its.last_priority().filter(|&p| p != view.vm().vlpi_priority) {
        begin(&view, out);
        out.text("event_priority = ");
        out.hex(priority.into());
        out.text(" would need no command at run time\n");
    }
    if let Some((words, refusal)) = vm.its.last_refused() {
        begin(&view, out);
        out.text("last refused");
        for word in words {
            out.text(" ");
            out.hex(word);
        }
        out.text(": ");
        out.text(refusal.name());
        out.text("\n");
    }
}

fn begin(view: &View, out: &mut impl Text) {
    out.text("bulkhead: its of ");
    out.text(view.vm().name);
    out.text(": ");
}

fn differs(own: &Own) -> bool {
    own.asked().is_some_and(|(vintid, vpe)| {
        vintid != own.route.vintid || vpe.is_some_and(|vpe| vpe != own.home)
    })
}
