// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What PCI functions may send, and what stands for functions that a VM must see and does not have.

use super::interrupts::Interrupts;
use crate::model::{Bdf, System};
use ::plan::{ConfigSpace, Hex, Messages, Pa, PciBridge, PciFunction, StandIn, VmIndex};

/// GITS_TRANSLATER: in the frame after the control frame (IHI 0069, 12.19).
pub const TRANSLATER: u64 = 0x1_0040;
/// A device that no vendor has.
const NO_DEVICE: u64 = 0xffff << 16;

/// Gives each function the messages of its events.
pub fn assign(system: &System, interrupts: &Interrupts, functions: &mut [PciFunction]) {
    let Some(its) = &system.board.gic.its else { return };
    for function in functions {
        function.messages = interrupts.devices.get(&function.device_id).map(|(_, events)| {
            Messages { address: Hex(its.region.start() + TRANSLATER), events: *events }
        });
    }
}

/// Functions 0 in front of what `vm` sees, where it does not see one.
pub fn stand_ins(
    system: &System,
    vm: usize,
    functions: &[PciFunction],
    bridges: &[PciBridge],
) -> Vec<StandIn> {
    let functions = functions.iter().filter(|function| function.vm == VmIndex::at(vm));
    let bridges =
        bridges.iter().filter(|bridge| bridge.views.iter().any(|view| view.vm == VmIndex::at(vm)));
    let functions = functions.map(|own| (own.space, &own.name));
    let seen = functions.chain(bridges.map(|own| (own.space, &own.name)));
    let mut seen: Vec<_> = seen.collect();
    seen.sort_unstable_by_key(|(space, _)| (space.host, space.bdf));
    let mut out: Vec<StandIn> = Vec::new();
    for (space, name) in &seen {
        let first = space.bdf & !7;
        let is_first = |other: &ConfigSpace| (other.host, other.bdf) == (space.host, first);
        let before = out.last().is_some_and(|last| is_first(&last.space));
        if before || seen.iter().any(|(other, _)| is_first(other)) {
            continue;
        }
        let (bus, device) = ((first >> 8) as u8, (first >> 3 & 31) as u8);
        let config = system.board.pcie[space.host].config(Bdf { bus, device, function: 0 });
        out.push(StandIn {
            space: ConfigSpace {
                bdf: first,
                config: Pa::new(config),
                id: Hex(NO_DEVICE | space.id.0 & 0xffff),
                ..*space
            },
            before: (*name).clone(),
        });
    }
    out
}
