// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Host bridges as a VM sees them: those that its functions are behind, as many buses as it needs,
//! its own windows.
//!
//! A host stands in the guest's address space where the board has it, and has the board's bus
//! numbers. Which host it is, the guest tells by its PCI domain, since two hosts may have the same
//! bus numbers.

use crate::model::System;
use ::plan::{MsiRange, Pa, PciFunction, PciHost, PciWindow, Span, VmIndex};

/// The hosts that `vm` sees, with those of `windows` and `functions` that are its own.
pub fn seen(
    system: &System,
    vm: usize,
    windows: &[PciWindow],
    functions: &[PciFunction],
) -> Vec<PciHost> {
    let board = &system.board;
    let mut out = Vec::new();
    for (number, pcie) in board.pcie.iter().enumerate() {
        let Some(buses) = board.buses_of(&system.vms[vm], number) else { continue };
        let own = |function: &&PciFunction| {
            function.vm == VmIndex::at(vm) && function.space.host == number
        };
        let own =
            functions.iter().filter(own).map(|function| (function.space.bdf, function.device_id));
        let count = buses.len() as u32;
        let all = MsiRange {
            requester: u32::from(*buses.start()) << 8,
            device_id: pcie.device_id_base.value,
            count: count << 8,
        };
        out.push(PciHost {
            host: number,
            name: pcie.name.value.clone(),
            ecam: Span { base: Pa::new(pcie.ecam.start()), bytes: u64::from(count) << 20 },
            first_bus: *buses.start(),
            last_bus: *buses.end(),
            windows: windows.iter().filter(|window| window.host == number).cloned().collect(),
            msi_map: msi_map(all, own.collect()),
        });
    }
    out
}

/// `all`, but for those of `functions` (RequesterID, DeviceID) that it gives another DeviceID.
fn msi_map(all: MsiRange, mut functions: Vec<(u16, u32)>) -> Vec<MsiRange> {
    let mut out = vec![all];
    let mut rest = all;
    functions.sort_unstable();
    for (requester, device_id) in functions {
        let requester = u32::from(requester);
        let before = requester - rest.requester;
        let usual = rest.device_id.wrapping_add(before);
        if device_id == usual {
            continue;
        }
        rest = MsiRange {
            requester: requester + 1,
            device_id: usual.wrapping_add(1),
            count: rest.count - before - 1,
        };
        if let Some(last) = out.last_mut() {
            last.count = before;
        }
        out.extend([MsiRange { requester, device_id, count: 1 }, rest]);
    }
    out.retain(|range| range.count > 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: MsiRange = MsiRange { requester: 0x8000, device_id: 0x1_0000, count: 0x200 };

    fn device_id(map: &[MsiRange], requester: u32) -> Option<u32> {
        let range = map
            .iter()
            .find(|range| (range.requester..range.requester + range.count).contains(&requester))?;
        Some(range.device_id + (requester - range.requester))
    }

    #[test]
    fn functions_by_the_rule_need_one_range() {
        assert_eq!(msi_map(ALL, vec![(0x8008, 0x1_0008), (0x8100, 0x1_0100)]), [ALL]);
    }

    #[test]
    fn an_exception_at_either_end_leaves_no_empty_range() {
        let map = msi_map(ALL, vec![(0x8000, 7), (0x81ff, 9)]);
        let counts: Vec<u32> = map.iter().map(|range| range.count).collect();
        assert_eq!(counts, [1, 0x1fe, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_requester_has_its_device_id(
            own in prop::collection::btree_map(0x8000..0x8200u16, prop::option::of(0..64u32), 0..8),
        ) {
            let usual = |requester: u16| 0x1_0000 + u32::from(requester) - 0x8000;
            let functions = own.iter().map(|(&at, id)| (at, id.unwrap_or(usual(at))));
            let map = msi_map(ALL, functions.rev().collect());
            for requester in 0x7ff0..0x8210u16 {
                let there = (0x8000..0x8200).contains(&requester);
                let wanted = match own.get(&requester) {
                    Some(Some(id)) => Some(*id),
                    _ => there.then(|| usual(requester)),
                };
                prop_assert_eq!(device_id(&map, requester.into()), wanted, "{:#x}", requester);
            }
            for pair in map.windows(2) {
                prop_assert!(pair[0].requester + pair[0].count == pair[1].requester);
            }
        }
    }
}
