// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console: a UART, and somebody at the other end of it.

use crate::diag::{Report, rules};
use crate::model::System;

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    let user = system.vms.iter().find(|vm| vm.console.value);
    match (&board.console, user) {
        (None, Some(vm)) => report.push(
            rules::NO_CONSOLE
                .says(format!(
                    "VM `{}` has a console, board `{}` has no UART for it",
                    vm.name.value, board.name.value
                ))
                .label(&vm.console, "a console, unless console = false")
                .label(&board.name, "no `uart` named here")
                .help("add uart = \"...\" to [board], or console = false to every VM"),
        ),
        (Some(uart), None) => report.push(
            rules::CONSOLE_NOBODY
                .says("no VM has a console")
                .label(&system.vms[0].console, "not this one, nor any other")
                .label(uart, "the board's console")
                .help("write console = true for one VM, or leave out `uart` of the board"),
        ),
        _ => {}
    }
    let reader = system.vms.iter().find_map(|vm| vm.log.as_ref().filter(|log| log.value));
    if let (Some(uart), Some(log)) = (&board.console, reader) {
        report.push(
            rules::NO_LOG
                .says(format!("board `{}` has a console, and so no log", board.name.value))
                .label(log, "nobody would write it")
                .label(uart, "the hypervisor's lines go here")
                .help("leave out `log`, or `uart` of the board"),
        );
    }
    if let Some(focus) = &system.focus
        && let Some(vm) = system.vms.get(focus.value)
        && !vm.console.value
        && user.is_some()
    {
        report.push(
            rules::FOCUS
                .says(format!("the console's focus is VM `{}`, which has none", vm.name.value))
                .label(focus, "gets the input first")
                .label(&vm.console, "has no console")
                .help("name a VM with a console"),
        );
    }
}
