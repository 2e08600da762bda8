// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Configuration space as a VM reads and writes it.

use super::{
    bridge,
    functions::functions,
    header::{OFFSET_PIN, read_bar, read_pin, write_bar, write_command},
    message, shown,
};
use crate::{
    Guest, Platform,
    mmio::{Access, Device, Written},
};
use plan::{BridgeView, Pa, PciBridge, PciFunction, StandIn};

/// Configuration space of one function.
const CONFIG_BYTES: u64 = 4096;
/// Of a stand-in: a class that is none, and that there are more functions.
const NO_CLASS: u32 = 0xff00_0000;
const MULTI_FUNCTION: u32 = 0x0080_0000;

/// Configuration space behind the guest's hosts, as a device.
pub struct Space;

impl Device for Space {
    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64> {
        read(guest, platform, access.ipa, access.bytes).map(u64::from)
    }

    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        Written::of(write(guest, platform, access.ipa, access.bytes, value as u32))
    }
}

/// The guest reads `bytes` at `ipa` of its configuration space; None: refused.
pub fn read<P: Platform>(guest: &Guest, platform: &P, ipa: u64, bytes: u32) -> Option<u32> {
    if bytes > 4 {
        return None;
    }
    let ones = u32::MAX >> (32 - 8 * bytes);
    let register = ipa as u16 & 0xffc;
    let lane = 8 * (ipa as u32 & 3);
    let Some((slot, function)) = find(guest, ipa) else {
        let value = if let Some((bridge, view)) = find_bridge(guest, ipa) {
            bridge::read(platform, bridge, view, register)
        } else if let Some(stand_in) = find_stand_in(guest, ipa) {
            read_stand_in(stand_in, register)
        } else {
            u32::MAX
        };
        return Some(value >> lane & ones);
    };
    let value = match register {
        0x10..0x28 => read_bar(guest, slot, function, ((register - 0x10) / 4) as u8),
        0x30 => 0,
        OFFSET_PIN => read_pin(platform, function),
        0x40.. => shown::read(platform, function, register),
        _ => platform.config_read(function, register),
    };
    Some(value >> lane & ones)
}

/// The guest writes `bytes` at `ipa` of its configuration space; false: refused.
pub fn write<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    ipa: u64,
    bytes: u32,
    value: u32,
) -> bool {
    if bytes > 4 {
        return false;
    }
    // Empty slots, bridges and stand-ins take none.
    let Some((slot, function)) = find(guest, ipa) else { return true };
    let exact = ipa as u16 & 0xfff;
    let mut refusals = guest.vm.refusals.lock();
    match exact {
        0x04..0x06 => write_command(platform, function, exact, bytes, value),
        // Status alone: its bits are cleared by writing ones.
        0x06..0x08 => platform.config_write(function, exact, bytes as u8, value),
        0x10..0x28 if bytes == 4 => {
            write_bar(guest, slot, function, ((exact - 0x10) / 4) as u8, value)
        }
        0x3c if bytes == 1 => platform.config_write(function, exact, 1, value),
        0x40..0x100 => {
            message::write(platform, function, &mut refusals, exact, (bytes, value));
        }
        _ => {}
    }
    true
}

/// A guest sees configuration space where it is, so that the address alone tells the host, the bus
/// and the rest.
fn is_at(config: Pa, ipa: u64) -> bool {
    config.value() == ipa & !(CONFIG_BYTES - 1)
}

/// Position among the VM's functions, and the function.
fn find(guest: &Guest, ipa: u64) -> Option<(usize, &'static PciFunction)> {
    functions(guest).enumerate().find(|(_, function)| is_at(function.space.config, ipa))
}

/// The bridge that the VM sees there, and how.
fn find_bridge(guest: &Guest, ipa: u64) -> Option<(&'static PciBridge, &'static BridgeView)> {
    let mut bridges = guest
        .config
        .bridges
        .iter()
        .filter_map(|view| Some((guest.plan.bridges.get(usize::from(view.bridge))?, view)));
    bridges.find(|(bridge, _)| is_at(bridge.space.config, ipa))
}

/// What stands for a function 0 that the VM does not have.
fn find_stand_in(guest: &Guest, ipa: u64) -> Option<&'static StandIn> {
    guest.config.stand_ins.iter().find(|stand_in| is_at(stand_in.space.config, ipa))
}

fn read_stand_in(stand_in: &StandIn, register: u16) -> u32 {
    match register {
        0x00 => stand_in.space.id,
        0x08 => NO_CLASS,
        0x0c => MULTI_FUNCTION,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::quiet;
    use crate::testing::{Cpu, ECAM, FUNCTION as OWN, STAND_IN, guests, pci_machine};
    use plan::PciFunction;
    use std::vec;

    #[test]
    fn absent_functions_read_as_ones() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, _, other] = guests();
        for (guest, ipa) in
            [(&guest, ECAM), (&guest, OWN + 0x1000), (&guest, ECAM + 0xf_f000), (&other, OWN)]
        {
            assert_eq!(read(guest, &cpu, ipa, 4), Some(u32::MAX));
            assert_eq!(read(guest, &cpu, ipa + 2, 1), Some(0xff));
            assert!(write(guest, &mut cpu, ipa + 4, 4, u32::MAX));
        }
        assert!(machine.borrow().written.is_empty());
        assert_eq!(read(&guest, &cpu, OWN, 8), None);
    }

    #[test]
    fn reads_its_own_function() {
        let machine = pci_machine();
        let cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        assert_eq!(read(&guest, &cpu, OWN, 4), Some(0x0010_1b36));
        assert_eq!(read(&guest, &cpu, OWN + 2, 2), Some(0x10));
        assert_eq!(read(&guest, &cpu, OWN + 1, 1), Some(0x1b));
        assert_eq!(read(&guest, &cpu, OWN + 0x30, 4), Some(0), "no expansion ROM");
        assert_eq!(read(&guest, &cpu, OWN + 0x3c, 4), Some(0xff), "no interrupt pin");
        assert_eq!(read(&guest, &cpu, OWN + 0x40, 4), Some(0x0000_5000), "no power management");
    }

    #[test]
    fn bars_stay_and_show_their_size() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let bars =
            |cpu: &Cpu| [0, 1, 2, 3].map(|n| read(&guest, cpu, OWN + 0x10 + 4 * n, 4).unwrap());
        let placed = [0x1000_4004, 0x80, 0, 0x1000_0000];
        assert_eq!(bars(&cpu), placed);
        for n in 0..6 {
            write(&guest, &mut cpu, OWN + 0x10 + 4 * n, 4, u32::MAX);
        }
        assert_eq!(bars(&cpu), [0xffff_c004, 0xffff_ffff, 0, 0xffff_f000]);
        for n in 0..6 {
            write(&guest, &mut cpu, OWN + 0x10 + 4 * n, 4, 0x4000_0000);
        }
        assert_eq!(bars(&cpu), placed, "elsewhere is refused");
        assert!(machine.borrow().written.is_empty(), "the hardware's BARs are never touched");
    }

    #[test]
    fn command_is_filtered() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        write(&guest, &mut cpu, OWN + 4, 2, 0xffff);
        write(&guest, &mut cpu, OWN + 4, 2, 0);
        write(&guest, &mut cpu, OWN + 4, 4, 0xf900_0002);
        write(&guest, &mut cpu, OWN + 5, 1, 0xff);
        let written = &machine.borrow().written;
        assert_eq!(
            *written,
            vec![(4, 2, 0x546), (4, 2, 0x400), (4, 2, 0x402), (6, 2, 0xf900), (4, 2, 0x506)]
        );
    }

    #[test]
    fn a_function_signals_by_its_pin_if_the_plan_says_so() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        machine.borrow_mut().config[0x3c / 4] = 0x0000_02ff;
        let planned = &guests()[0].plan.functions[0];
        let by_pin = PciFunction { pin: 2, ..*planned };
        assert_eq!(read_pin(&cpu, planned), 0xff);
        assert_eq!(read_pin(&cpu, &by_pin), 0x2ff);
        for (function, value, written) in [
            (&by_pin, 0x404, 0x404),
            (&by_pin, 4, 4),
            (planned, 0xffff, 0x546),
            (planned, 4, 0x404),
        ] {
            machine.borrow_mut().config[1] = 0;
            write_command(&mut cpu, function, 4, 2, value);
            assert_eq!(machine.borrow().written.last(), Some(&(4, 2, written)), "{value:#x}");
        }
        assert_eq!(quiet(&mut cpu, &by_pin, false), 0);
        let off = (4, 2, 0x400);
        assert!(machine.borrow().written.iter().rev().take(3).any(|&write| write == off), "quiet");
    }

    #[test]
    fn a_quiet_function_interrupts_nobody_and_resets_if_it_can() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let function = &guests()[0].plan.functions[0];
        machine.borrow_mut().config[0x50 / 4] = 0xc003_6011;
        machine.borrow_mut().config[0x60 / 4] = 0x0081_7005;
        machine.borrow_mut().config[0x70 / 4] = 0x0002_0010;
        assert_eq!(quiet(&mut cpu, function, true), 7, "it cannot be reset, and settles");
        let off = vec![(4, 2, 0x400), (0x52, 2, 3), (0x62, 2, 0x80)];
        assert_eq!(machine.borrow().written, off);
        machine.borrow_mut().config[0x74 / 4] = 1 << 28;
        machine.borrow_mut().config[0x78 / 4] = 0x2810;
        assert_eq!(quiet(&mut cpu, function, false), 0, "it is not to be reset");
        assert_eq!(quiet(&mut cpu, function, true), 100);
        assert_eq!(machine.borrow().written.last(), Some(&(0x78, 2, 0xa810)));
    }

    #[test]
    fn what_an_smmu_aborts_goes_on_until_it_has_settled() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let function = PciFunction { held: true, ..guests()[0].plan.functions[0] };
        assert_eq!(quiet(&mut cpu, &function, true), 7);
        assert!(machine.borrow().written.iter().all(|write| write.0 != 4), "bus mastering stays");
        assert_eq!(quiet(&mut cpu, &function, false), 0);
        assert!(machine.borrow().written.contains(&(4, 2, 0x400)), "its VM has ended");
    }

    #[test]
    fn of_the_capabilities_only_interrupts_take_writes() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for (offset, bytes, allowed) in [
            (0x44, 2, false),
            (0x52, 2, true),
            (0x50, 4, true),
            (0x54, 4, false),
            (0x62, 2, true),
            (0x6c, 2, true),
            (0x6e, 2, false),
            (0x3c, 1, true),
            (0x0c, 4, false),
            (0x30, 4, false),
        ] {
            machine.borrow_mut().written.clear();
            assert!(write(&guest, &mut cpu, OWN + offset, bytes, 0x1234));
            assert_eq!(machine.borrow().written.len(), usize::from(allowed), "{offset:#x}");
        }
        // A chain that loops ends, too.
        machine.borrow_mut().config[0x60 / 4] = 0x0080_4009;
        assert!(write(&guest, &mut cpu, OWN + 0x70, 4, 0));
    }

    #[test]
    fn a_function_is_found_where_function_0_is_not_the_vms() {
        let machine = pci_machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, _, other] = guests();
        for (at, value) in [
            (0x00, 0xffff_1b36),
            (0x04, 0),
            (0x08, 0xff00_0000),
            (0x0c, 0x0080_0000),
            (0x10, 0),
            (0x34, 0),
            (0x3c, 0),
            (0x100, 0),
        ] {
            assert!(write(&guest, &mut cpu, STAND_IN + at, 4, u32::MAX));
            assert_eq!(read(&guest, &cpu, STAND_IN + at, 4), Some(value), "{at:#x}");
            assert_eq!(read(&other, &cpu, STAND_IN + at, 4), Some(u32::MAX));
        }
    }
}
