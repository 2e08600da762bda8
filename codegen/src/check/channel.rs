// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Channels: two ends, of two VMs, at least one of which may write.

use crate::diag::{Report, rules};
use crate::model::{Access, Channel, System, UNRESOLVED};

pub fn check(system: &System, report: &mut Report) {
    for channel in &system.channels {
        ends(channel, report);
    }
}

fn ends(channel: &Channel, report: &mut Report) {
    let name = &channel.name.value;
    let [first, second] = channel.ends.as_slice() else {
        report.push(
            rules::CHANNEL_ENDS
                .says(format!("channel `{name}` has {} ends", channel.ends.len()))
                .label(&channel.name, "a channel connects two VMs")
                .help(
                    "write ends = [{ vm = \"...\", access = \"read-write\" }, { vm = \"...\", \
                       access = \"read-write\" }]",
                ),
        );
        return;
    };
    if first.vm.value == second.vm.value && first.vm.value != UNRESOLVED {
        report.push(
            rules::CHANNEL_SELF
                .says(format!("channel `{name}` connects a VM with itself"))
                .label(&second.vm, "the same VM")
                .label(&first.vm, "as here")
                .help("name two VMs"),
        );
    }
    if first.access.value == Access::ReadOnly && second.access.value == Access::ReadOnly {
        report.push(
            rules::CHANNEL_SILENT
                .says(format!("neither end may write to channel `{name}`"))
                .label(&second.access, "only reads")
                .label(&first.access, "only reads")
                .help("write access = \"read-write\" at the end that sends"),
        );
    }
}
