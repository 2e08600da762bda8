// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A PCI bridge as a VM sees it: enough to find what is behind, nothing to change.
//!
//! What it is (identity, class, header type, kind of port) is the hardware's; bus numbers and
//! windows are the plan's, the memory window narrowed to the VM's own; the I/O and the prefetchable
//! window are closed, as boot left them (zeros would be windows from address 0 to Linux). It has no
//! BARs, no interrupt, and one capability: PCI Express, which tells a guest that RequesterIDs pass
//! unchanged. Slots, link control, error reports and everything else that acts on hardware reads as
//! not implemented. Writes have no effect: there is no way to pass one on. PCI-to-PCI Bridge 1.2,
//! 3.2; PCI Express 7.5.3.

use super::capability::{self, CAPABILITIES, EXPRESS, EXPRESS_BITS};
use crate::platform::ConfigSpace;
use plan::{BridgeView, PciBridge};

/// Memory space, bus master, INTx disable: as boot left it.
const COMMAND: u32 = 1 << 1 | 1 << 2 | 1 << 10;
/// Status: there is a list of capabilities.
const HAS_CAPABILITIES: u32 = 1 << 20;
/// Where a VM sees the one capability.
const CAPABILITY: u16 = 0x40;
/// Base above limit: nothing passes.
const CLOSED: u32 = 0xfff0;
const IO_CLOSED: u32 = 0xf0;

/// The VM reads the word at `register`, a multiple of 4.
pub fn read<P: ConfigSpace>(
    platform: &P,
    bridge: &PciBridge,
    view: &BridgeView,
    register: u16,
) -> u32 {
    match register {
        0x00 | 0x08 => platform.bridge_read(bridge, register),
        0x04 if express(platform, bridge).is_some() => HAS_CAPABILITIES | COMMAND,
        0x04 => COMMAND,
        // Header type, which says whether there are other functions.
        0x0c => platform.bridge_read(bridge, register) & 0x00ff_0000,
        0x18 => u32::from_le_bytes([bridge.primary, bridge.secondary, bridge.subordinate, 0]),
        0x1c => IO_CLOSED,
        0x20 => window(view),
        0x24 => CLOSED,
        CAPABILITIES if express(platform, bridge).is_some() => CAPABILITY.into(),
        CAPABILITY.. => capability(platform, bridge, (register - CAPABILITY) / 4),
        _ => 0,
    }
}

/// Limit 31:20, base 15:4.
fn window(view: &BridgeView) -> u32 {
    match view.bytes.checked_sub(1) {
        None => CLOSED,
        Some(last) => view.base.wrapping_add(last) & 0xfff0_0000 | view.base >> 16 & 0xfff0,
    }
}

fn capability<P: ConfigSpace>(platform: &P, bridge: &PciBridge, index: u16) -> u32 {
    let (Some(&bits), Some(at)) = (EXPRESS_BITS.get(usize::from(index)), express(platform, bridge))
    else {
        return 0;
    };
    let value = platform.bridge_read(bridge, (at + 4 * index) & 0xfc) & bits;
    // The last of the list.
    if index == 0 { value | u32::from(EXPRESS) } else { value }
}

/// Where the hardware has its PCI Express capability.
fn express<P: ConfigSpace>(platform: &P, bridge: &PciBridge) -> Option<u16> {
    let mut list = capability::list(|at| platform.bridge_read(bridge, at));
    list.find(|found| found.id() == EXPRESS).map(|found| found.at)
}

#[cfg(test)]
mod tests {
    use crate::pci;
    use crate::testing::{BRIDGE, Cpu, Machine, guests};
    use core::cell::RefCell;
    use proptest::prelude::*;

    /// A root port as QEMU makes them, with MSI-X, a slot, and everything switched on.
    fn machine() -> RefCell<Machine> {
        let machine = Machine::new(1);
        let mut inner = machine.borrow_mut();
        for word in &mut inner.bridge {
            *word = u32::MAX;
        }
        let words = [
            (0x00, 0x000c_1b36),
            (0x04, 0xf810_0007),
            (0x08, 0x0604_0000),
            (0x0c, 0x0081_0008),
            (0x34, 0x48),
            // MSI-X, then PCI Express: a root port of version 2 with a slot.
            (0x48, 0x0000_5411),
            (0x54, 0x0142_0010),
            (0x58, 0x0000_8022),
            (0x5c, 0x000f_002f),
            (0x60, 0x0113_fc11),
            (0x64, 0xf011_0003),
        ];
        for (at, value) in words {
            inner.bridge[at / 4] = value;
        }
        drop(inner);
        machine
    }

    fn word(machine: &RefCell<Machine>, vm: usize, at: u64) -> u32 {
        let cpu = Cpu { machine, index: 0 };
        pci::space::read(&guests()[vm], &cpu, BRIDGE + at, 4).unwrap()
    }

    #[test]
    fn shows_what_it_is_and_where_it_leads() {
        let machine = machine();
        for (at, value) in [
            (0x00, 0x000c_1b36),
            (0x04, 0x0010_0406),
            (0x08, 0x0604_0000),
            (0x0c, 0x0081_0000),
            (0x10, 0),
            (0x14, 0),
            (0x18, 0x0002_0100),
            (0x1c, 0x0000_00f0),
            (0x20, 0x1020_1010),
            (0x24, 0x0000_fff0),
            (0x28, 0),
            (0x2c, 0),
            (0x30, 0),
            (0x34, 0x40),
            (0x38, 0),
            (0x3c, 0),
            // The capability: no slot, no further one.
            (0x40, 0x0042_0010),
            (0x44, 0x0000_8022),
            (0x48, 0x0000_0020),
            (0x4c, 0x0100_0011),
            (0x50, 0x0011_0000),
            (0x54, 0),
            (0x7c, 0),
            (0xfc, 0),
            (0x100, 0),
            (0xffc, 0),
        ] {
            assert_eq!(word(&machine, 0, at), value, "{at:#x}");
        }
        let (cpu, [guest, ..]) = (Cpu { machine: &machine, index: 0 }, guests());
        assert_eq!(pci::space::read(&guest, &cpu, BRIDGE + 0x19, 1), Some(1));
        assert_eq!(pci::space::read(&guest, &cpu, BRIDGE + 0x22, 2), Some(0x1020));
        assert_eq!(word(&machine, 2, 0), u32::MAX, "another VM does not see it");
    }

    #[test]
    fn a_conventional_bridge_has_no_capability_and_a_broken_list_ends() {
        for (at, header) in [(0x34, 0), (0x48, 0x4811)] {
            let machine = machine();
            machine.borrow_mut().bridge[at / 4] = header;
            assert_eq!(word(&machine, 0, 0x04), 0x0000_0406);
            assert_eq!(word(&machine, 0, 0x34), 0);
            assert_eq!(word(&machine, 0, 0x40), 0);
        }
    }

    #[test]
    fn a_view_of_nothing_is_closed() {
        let view = |base, bytes| plan::BridgeView { bridge: 0, base, bytes };
        assert_eq!(super::window(&view(0, 0)), 0x0000_fff0);
        assert_eq!(super::window(&view(0x1000_0000, 0x10_0000)), 0x1000_1000);
        assert_eq!(super::window(&view(0xfff0_0000, 0x10_0000)), 0xfff0_fff0);
        assert_eq!(super::window(&view(u32::MAX, u32::MAX)) & 0x000f_000f, 0, "whatever it is");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The machine has no way to write a bridge; what is read stays what it was.
        #[test]
        fn writes_have_no_effect(
            writes in prop::collection::vec((0..0x1000u64, 0..3u32, any::<u32>()), 1..40),
        ) {
            let machine = machine();
            let guests = guests();
            let mut cpu = Cpu { machine: &machine, index: 0 };
            let all = |cpu: &Cpu| -> std::vec::Vec<_> {
                (0..0x400).map(|n| pci::space::read(&guests[0], cpu, BRIDGE + 4 * n, 4)).collect()
            };
            let before = all(&cpu);
            for (offset, width, value) in writes {
                let bytes = 1 << width;
                let offset = BRIDGE + (offset & !(u64::from(bytes) - 1));
                prop_assert!(pci::space::write(&guests[0], &mut cpu, offset, bytes, value));
            }
            prop_assert_eq!(all(&cpu), before);
            prop_assert!(machine.borrow().written.is_empty());
        }
    }
}
