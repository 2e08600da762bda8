//! A VM's PCI configuration space: its own functions, with what could hurt others held back.
//!
//! Other functions read as ones and ignore writes, as empty slots do. Of its own a VM reads nearly everything; BARs stay
//! where the plan put them (writing ones shows their size, as enumeration wants), the expansion ROM does not exist,
//! INTx stays off and has no pin, and of the capabilities only MSI and MSI-X take writes. Bridges on the way to its functions
//! it sees as `bridge` shows them. It may have functions behind several hosts, each with an ECAM of its own.
//! PCI Local Bus 3.0 6.1, 6.2.5, 6.8; PCI Express 7.5.

mod bridge;
#[cfg(test)]
mod hosts;

use crate::{Guest, Platform};
use core::sync::atomic::{
    AtomicU8,
    Ordering::{Relaxed, Release},
};
use plan::{Bar, BridgeView, MmioKind, Pa, PciBridge, PciFunction};

/// Configuration space of one function.
const CONFIG_BYTES: u64 = 4096;
/// Command bits that a guest may change: memory space, bus master, parity, SERR.
const COMMAND: u32 = 1 << 1 | 1 << 2 | 1 << 6 | 1 << 8;
/// Command bit that is always set: INTx disable.
const INTX_DISABLE: u32 = 1 << 10;
const CAPABILITIES: u16 = 0x34;
const MSI: u8 = 0x05;
const MSI_X: u8 = 0x11;
const EXPRESS: u8 = 0x10;
/// Message control.
const MSI_ENABLE: u32 = 1;
const MSI_X_ENABLE: u32 = 1 << 15;
/// Device capabilities: Function Level Reset; device control: begin one.
const RESETTABLE: u32 = 1 << 28;
const RESET: u32 = 1 << 15;
/// What a function may take for a Function Level Reset (PCI Express 6.6.2).
pub const RESET_MILLISECONDS: u64 = 100;
/// More capabilities than fit: a broken chain ends here.
const MOST_CAPABILITIES: usize = 48;
/// Functions of one VM that can be sized.
const FUNCTIONS: usize = 32;

/// Which BARs of which function show their size: a bit for each BAR.
#[derive(Debug)]
pub struct Sizing([AtomicU8; FUNCTIONS]);

impl Sizing {
    pub const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; FUNCTIONS])
    }

    pub fn reset(&self) {
        for cell in &self.0 {
            cell.store(0, Release);
        }
    }
}

impl Default for Sizing {
    fn default() -> Self {
        Self::new()
    }
}

/// The address is in the configuration space of one of the guest's hosts.
pub fn is_config(guest: &Guest, ipa: u64) -> bool {
    let mut regions = guest.config.mmio.iter();
    regions.any(|region| {
        region.kind == MmioKind::PciConfig && ipa.wrapping_sub(region.base.value()) < region.bytes
    })
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
        let Some((bridge, view)) = find_bridge(guest, ipa) else { return Some(ones) };
        return Some(bridge::read(platform, bridge, view, register) >> lane & ones);
    };
    let value = match register {
        0x10..0x28 => read_bar(guest, slot, function, ((register - 0x10) / 4) as u8),
        0x30 => 0,
        // Interrupt pin: none.
        0x3c => platform.config_read(function, register) & !0xff00,
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
    // Neither empty slots nor bridges take any.
    let Some((slot, function)) = find(guest, ipa) else { return true };
    let exact = ipa as u16 & 0xfff;
    match exact {
        0x04..0x06 => write_command(platform, function, exact, bytes, value),
        // Status alone: its bits are cleared by writing ones.
        0x06..0x08 => platform.config_write(function, exact, bytes as u8, value),
        0x10..0x28 if bytes == 4 => {
            write_bar(guest, slot, function, ((exact - 0x10) / 4) as u8, value)
        }
        0x3c if bytes == 1 => platform.config_write(function, exact, 1, value),
        0x40..0x100 if interrupt_capability(platform, function, exact, bytes) => {
            platform.config_write(function, exact, bytes as u8, value);
        }
        _ => {}
    }
    true
}

/// A guest sees configuration space where it is, so that the address alone tells the host, the bus and the rest.
fn is_at(config: Pa, ipa: u64) -> bool {
    config.value() == ipa & !(CONFIG_BYTES - 1)
}

/// Position among the VM's functions, and the function.
fn find(guest: &Guest, ipa: u64) -> Option<(usize, &'static PciFunction)> {
    let functions = guest.plan.functions.iter().skip(usize::from(guest.config.first_function));
    functions
        .take(usize::from(guest.config.function_count))
        .enumerate()
        .find(|(_, function)| is_at(function.config, ipa))
}

/// The bridge that the VM sees there, and how.
fn find_bridge(guest: &Guest, ipa: u64) -> Option<(&'static PciBridge, &'static BridgeView)> {
    let mut bridges = guest
        .config
        .bridges
        .iter()
        .filter_map(|view| Some((guest.plan.bridges.get(usize::from(view.bridge))?, view)));
    bridges.find(|(bridge, _)| is_at(bridge.config, ipa))
}

/// The BAR that register `index` belongs to, and whether it is its upper half.
fn bar(function: &PciFunction, index: u8) -> Option<(&Bar, bool)> {
    function.bars.iter().find_map(|bar| match index.checked_sub(bar.index)? {
        0 => Some((bar, false)),
        1 if bar.wide => Some((bar, true)),
        _ => None,
    })
}

fn read_bar(guest: &Guest, slot: usize, function: &PciFunction, index: u8) -> u32 {
    let Some((bar, upper)) = bar(function, index) else { return 0 };
    let sizing =
        guest.vm.sizing.0.get(slot).is_some_and(|cell| cell.load(Relaxed) & 1 << index != 0);
    let address = if sizing { bar.bytes.wrapping_neg() } else { bar.base };
    if upper {
        return (address >> 32) as u32;
    }
    // Memory, 64-bit 2:1, prefetchable 3.
    address as u32 & !0xf | u32::from(bar.wide) << 2 | u32::from(bar.prefetchable) << 3
}

/// Ones show the size; anything else shows the address again, which is the plan's whatever was written.
fn write_bar(guest: &Guest, slot: usize, function: &PciFunction, index: u8, value: u32) {
    let Some((_, upper)) = bar(function, index) else { return };
    let Some(cell) = guest.vm.sizing.0.get(slot) else { return };
    // Type bits are read-only: some write ones to the address bits only.
    let ones = if upper { value == u32::MAX } else { value | 0xf == u32::MAX };
    if ones {
        cell.fetch_or(1 << index, Relaxed);
    } else {
        cell.fetch_and(!(1 << index), Relaxed);
    }
}

fn write_command<P: Platform>(
    platform: &mut P,
    function: &PciFunction,
    exact: u16,
    bytes: u32,
    value: u32,
) {
    let shift = 8 * u32::from(exact & 3);
    let written = (u32::MAX >> (32 - 8 * bytes)) << shift & 0xffff;
    let value = value << shift;
    let old = platform.config_read(function, 0x04) & 0xffff;
    let command = old & !(written & COMMAND) | value & written & COMMAND | INTX_DISABLE;
    // Two bytes, so that no status bit is cleared on the way.
    platform.config_write(function, 0x04, 2, command);
    if bytes == 4 {
        platform.config_write(function, 0x06, 2, value >> 16);
    }
}

/// The function does nothing more by itself: no DMA, no MSI, no MSI-X, and forgets what it was told if it can (Function
/// Level Reset, PCI Express 6.6.2) and `reset` allows it. True: it has begun; [`RESET_MILLISECONDS`] must pass before the next access.
pub fn quiet<P: Platform>(platform: &mut P, function: &PciFunction, reset: bool) -> bool {
    platform.config_write(function, 0x04, 2, INTX_DISABLE);
    let mut resettable = None;
    let mut at = platform.config_read(function, CAPABILITIES) as u16 & 0xfc;
    for _ in 0..MOST_CAPABILITIES {
        if at < 0x40 {
            break;
        }
        let header = platform.config_read(function, at);
        let control = header >> 16;
        match header as u8 {
            MSI => platform.config_write(function, at + 2, 2, control & !MSI_ENABLE),
            MSI_X => platform.config_write(function, at + 2, 2, control & !MSI_X_ENABLE),
            EXPRESS if reset && platform.config_read(function, at + 4) & RESETTABLE != 0 => {
                resettable = Some(at + 8);
            }
            _ => {}
        }
        at = (header >> 8) as u16 & 0xfc;
    }
    if let Some(control) = resettable {
        let value = platform.config_read(function, control) & 0xffff;
        platform.config_write(function, control, 2, value | RESET);
    }
    resettable.is_some()
}

/// The write lies within an MSI capability, or is MSI-X's control word.
fn interrupt_capability<P: Platform>(
    platform: &P,
    function: &PciFunction,
    exact: u16,
    bytes: u32,
) -> bool {
    let end = exact + bytes as u16;
    let mut at = platform.config_read(function, CAPABILITIES) as u16 & 0xfc;
    for _ in 0..MOST_CAPABILITIES {
        if at < 0x40 {
            return false;
        }
        let header = platform.config_read(function, at);
        let control = (header >> 16) as u16;
        let length = match header as u8 {
            MSI => {
                // Control; address, its upper half with 64-bit 7, data; mask and pending with per-vector masking 8.
                let wide = control & 1 << 7 != 0;
                let masks = control & 1 << 8 != 0;
                0x0a + if wide { 4 } else { 0 } + if masks { 10 } else { 0 }
            }
            MSI_X => 4,
            _ => 0,
        };
        if length != 0 && exact >= at + 2 && end <= at + length {
            return true;
        }
        // A 32-bit write of the control word has the read-only header in its lower half.
        if length != 0 && exact == at && bytes == 4 {
            return true;
        }
        at = (header >> 8) as u16 & 0xfc;
    }
    false
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::fake::{Cpu, ECAM, FUNCTION as OWN, Machine, guests};
    use core::cell::RefCell;
    use std::vec;

    /// NVMe-like: PM at 0x40, MSI-X at 0x50, MSI (64-bit) at 0x60.
    fn machine() -> RefCell<Machine> {
        let machine = Machine::new(1);
        let mut inner = machine.borrow_mut();
        inner.config[0] = 0x0010_1b36;
        inner.config[1] = 0x0010_0406;
        inner.config[0x30 / 4] = 0xfff0_0001;
        inner.config[0x34 / 4] = 0x40;
        inner.config[0x3c / 4] = 0x0000_01ff;
        inner.config[0x40 / 4] = 0x0003_5001;
        inner.config[0x50 / 4] = 0x0003_6011;
        inner.config[0x60 / 4] = 0x0080_0005;
        drop(inner);
        machine
    }

    #[test]
    fn absent_functions_read_as_ones() {
        let machine = machine();
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
        let machine = machine();
        let cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        assert_eq!(read(&guest, &cpu, OWN, 4), Some(0x0010_1b36));
        assert_eq!(read(&guest, &cpu, OWN + 2, 2), Some(0x10));
        assert_eq!(read(&guest, &cpu, OWN + 1, 1), Some(0x1b));
        assert_eq!(read(&guest, &cpu, OWN + 0x30, 4), Some(0), "no expansion ROM");
        assert_eq!(read(&guest, &cpu, OWN + 0x3c, 4), Some(0xff), "no interrupt pin");
        assert_eq!(read(&guest, &cpu, OWN + 0x40, 4), Some(0x0003_5001));
    }

    #[test]
    fn bars_stay_and_show_their_size() {
        let machine = machine();
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
        let machine = machine();
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
    fn a_quiet_function_interrupts_nobody_and_resets_if_it_can() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let function = &guests()[0].plan.functions[0];
        machine.borrow_mut().config[0x50 / 4] = 0xc003_6011;
        machine.borrow_mut().config[0x60 / 4] = 0x0081_7005;
        machine.borrow_mut().config[0x70 / 4] = 0x0002_0010;
        assert!(!quiet(&mut cpu, function, true), "it cannot");
        let off = vec![(4, 2, 0x400), (0x52, 2, 0x4003), (0x62, 2, 0x80)];
        assert_eq!(machine.borrow().written, off);
        machine.borrow_mut().config[0x74 / 4] = 1 << 28;
        machine.borrow_mut().config[0x78 / 4] = 0x2810;
        assert!(!quiet(&mut cpu, function, false), "it may not");
        assert!(quiet(&mut cpu, function, true));
        assert_eq!(machine.borrow().written.last(), Some(&(0x78, 2, 0xa810)));
    }

    #[test]
    fn of_the_capabilities_only_interrupts_take_writes() {
        let machine = machine();
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for (offset, bytes, allowed) in [
            (0x44, 2, false),
            (0x52, 2, true),
            (0x50, 4, true),
            (0x54, 4, false),
            (0x62, 2, true),
            (0x64, 4, true),
            (0x68, 4, true),
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
}
