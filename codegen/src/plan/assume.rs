// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the plan relies on and boot cannot see: for whoever compares it with the board's manual.
//!
//! Boot compares the plan with ID registers, frames and configuration space, and tries the CPUs'
//! own interrupts. It cannot see how devices are wired, who else uses memory, or what a device does
//! by itself.

use crate::check::uart::name;
use crate::model::{DeviceKind, System, Trigger};
use crate::units::Time;
use ::plan::Plan;

/// One sentence each.
pub fn assumptions(system: &System, plan: &Plan) -> Vec<String> {
    let mut out: Vec<String> = console(system).into_iter().collect();
    out.extend(far(plan));
    for vm in &system.vms {
        out.extend(vm.devices.iter().flat_map(|used| device(system, used.device.value)));
    }
    out.push(memory(system));
    if plan.cpus.iter().any(|cpu| cpu.schedule.is_shared()) {
        let time = Time(system.board.switch_time.value);
        out.push(format!("handing a CPU from one vPE to another takes no longer than {time}"));
    }
    out
}

/// SGIs to Aff0 above 15 need ICC_CTLR_EL1.RSS (IHI 0069, 12.2.5).
fn far(plan: &Plan) -> Option<String> {
    let far = plan.cpus.iter().find(|cpu| cpu.schedule.is_used() && cpu.mpidr.0 & 0xff > 15)?;
    Some(format!("the GIC takes SGIs to {}, whose Aff0 is above 15 (range selector)", far.name))
}

fn console(system: &System) -> Option<String> {
    let console = system.board.console.as_ref()?;
    let uart = system.board.uarts.get(console.value)?;
    let (base, kind) = (uart.region.start(), name(uart.kind.value));
    Some(match &uart.intid {
        Some(intid) => format!(
            "UART {} is {kind} at {base:#x} that signals INTID {}",
            uart.name.value, intid.value
        ),
        None => format!("UART {} is {kind} at {base:#x}", uart.name.value),
    })
}

fn device(system: &System, index: usize) -> Vec<String> {
    let Some(device) = system.board.devices.get(index) else { return Vec::new() };
    let name = &device.name.value;
    let mut out = Vec::new();
    match &device.kind {
        DeviceKind::Platform { regions, intids, .. } => {
            let bases: Vec<String> =
                regions.iter().map(|region| format!("{:#x}", region.start())).collect();
            let lines = intids.iter().map(|irq| {
                let how = if irq.trigger == Trigger::Level { "by level" } else { "by edge" };
                format!("INTID {} {how}", irq.intid.value)
            });
            let lines: Vec<String> = lines.collect();
            let signals = match lines.is_empty() {
                true => "signals no interrupt".into(),
                false => format!("signals {}", lines.join(", ")),
            };
            out.push(format!("{name} has its registers at {} and {signals}", bases.join(", ")));
        }
        DeviceKind::Pci { .. } => {}
    }
    if let Some(id) = device.device_id.as_ref().filter(|_| device.events.value > 0) {
        out.push(format!("events of {name} reach the ITS with DeviceID {:#x}", id.value));
    }
    out.push(match (system.board.streams(device), device.dma) {
        (Some((_, ids)), _) => {
            let ids: Vec<_> = ids.iter().map(|id| format!("{id:#x}")).collect();
            format!("{name} reads and writes memory by StreamID {} and no other", ids.join(", "))
        }
        (None, true) => format!(
            "{name} reads and writes memory only where its guest tells it to: no SMMU holds it"
        ),
        (None, false) => format!("{name} neither reads nor writes memory by itself"),
    });
    out
}

fn memory(system: &System) -> String {
    let names: Vec<&str> =
        system.board.reserved.iter().map(|range| range.name.value.as_str()).collect();
    match names.is_empty() {
        true => "firmware and hardware use none of the RAM".into(),
        false => format!("firmware and hardware use no RAM but {}", names.join(", ")),
    }
}
