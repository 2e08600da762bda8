// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which device an address belongs to: the plan's region table, in its order.
//!
//! A new emulated device is a kind in [`plan::MmioKind`], a file that implements [`Device`], and an
//! entry in `devices!`.

use super::{Access, Device, Written};
use crate::{
    Guest, Platform, pci,
    pl011::Uart,
    vgic::{self, Distributor, Redistributor},
    vits::Its,
    watchdog::Watchdog,
};
use plan::MmioKind;

/// The device of each kind of region, and the constant of [`Platform`] that says whether any VM has
/// one.
macro_rules! devices {
    ($($kind:ident: $device:ty $(, if $present:ident)?;)*) => {
        #[inline(always)]
        fn peek_device(kind: MmioKind, guest: &Guest, offset: u64) -> Option<u32> {
            match kind {
                $(MmioKind::$kind => <$device as Device>::peek(guest, offset),)*
            }
        }

        #[inline(always)]
        fn read_device<P: Platform>(
            kind: MmioKind,
            guest: &Guest,
            platform: &mut P,
            access: Access,
        ) -> Option<u64> {
            match kind {
                $(MmioKind::$kind $(if P::$present)? => {
                    <$device as Device>::read(guest, platform, access)
                })*
                #[allow(unreachable_patterns, reason = "where every device is always there")]
                _ => None,
            }
        }

        #[inline(always)]
        fn write_device<P: Platform>(
            kind: MmioKind,
            guest: &Guest,
            platform: &mut P,
            access: Access,
            value: u64,
        ) -> Written {
            match kind {
                $(MmioKind::$kind $(if P::$present)? => {
                    <$device as Device>::write(guest, platform, access, value)
                })*
                #[allow(unreachable_patterns, reason = "where every device is always there")]
                _ => Written::Refused,
            }
        }
    };
}

devices! {
    Distributor: Distributor;
    Redistributors: Redistributor;
    Uart: Uart;
    Its: Its, if VIRTUAL_ITS;
    Watchdog: Watchdog, if WATCHDOG;
    PciConfig: pci::Space;
    MsixTable: pci::Table, if MSIX;
}

/// The region that an access is in. Device accesses are naturally aligned, so that none straddles a
/// register.
#[inline(always)]
fn find(guest: &Guest, ipa: u64, bytes: u32) -> Option<(MmioKind, Access)> {
    if ipa & u64::from(bytes).wrapping_sub(1) != 0 {
        return None;
    }
    let (base, size) = guest.distributor;
    let offset = ipa.wrapping_sub(base);
    if offset < size {
        return Some((MmioKind::Distributor, Access { ipa, offset, bytes }));
    }
    guest.regions.iter().find_map(|region| {
        let offset = ipa.wrapping_sub(region.base.value());
        (offset < region.bytes).then_some((region.kind, Access { ipa, offset, bytes }))
    })
}

/// A read for [`crate::exit::is_word`] that is done in a few instructions; None: not one of these,
/// use [`peek`].
#[inline(always)]
pub fn quick_read(guest: &Guest, ipa: u64) -> Option<u64> {
    guest.vm.distributor.quick_read(ipa.wrapping_sub(guest.distributor.0)).map(u64::from)
}

/// A word that is known without the hardware, in a few more; None: use [`read`].
#[inline(always)]
pub fn peek(guest: &Guest, ipa: u64) -> Option<u64> {
    let (kind, access) = find(guest, ipa, 4)?;
    peek_device(kind, guest, access.offset).map(u64::from)
}

/// A write for [`crate::exit::is_word`] that is done in a few instructions; false: not one of
/// these, use [`write()`].
#[inline(always)]
pub fn quick_write<P: Platform>(guest: &Guest, platform: &mut P, ipa: u64, value: u64) -> bool {
    Distributor::quick_write(guest, platform, ipa.wrapping_sub(guest.distributor.0), value as u32)
}

/// The guest reads `bytes` (1, 2, 4 or 8) at `ipa`: the value, not yet extended, or None: refused,
/// unless [`again`].
#[inline]
pub fn read<P: Platform>(guest: &Guest, platform: &mut P, ipa: u64, bytes: u32) -> Option<u64> {
    let (kind, access) = find(guest, ipa, bytes)?;
    read_device(kind, guest, platform, access)
}

/// A read that was refused just now is to be executed again: the answer is another vPE's, and on
/// its way.
pub fn again(guest: &Guest) -> bool {
    vgic::again(guest)
}

/// The guest writes `bytes` (1, 2, 4 or 8) at `ipa`.
#[inline]
pub fn write<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    ipa: u64,
    bytes: u32,
    value: u64,
) -> Written {
    let Some((kind, access)) = find(guest, ipa, bytes) else { return Written::Refused };
    write_device(kind, guest, platform, access, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        VmState,
        testing::{Cpu, ECAM, FAR_ECAM, GICD, GICR, Machine, RAM, UART, UART_INTID, guests},
    };
    use core::sync::atomic::Ordering::Relaxed;

    fn put(guest: &Guest, cpu: &mut Cpu, offset: u64, value: u64) {
        assert_eq!(write(guest, cpu, UART + offset, 4, value), Written::Done);
    }
    fn get(guest: &Guest, cpu: &mut Cpu, offset: u64) -> u64 {
        read(guest, cpu, UART + offset, 4).expect("a register")
    }

    #[test]
    fn refuses_what_is_not_there() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for ipa in [
            0,
            RAM,
            GICD + 0x1_0000,
            GICR + 0x4_0000,
            UART + 0x1000,
            ECAM - 4,
            ECAM + 0x10_0000,
            FAR_ECAM - 4,
            FAR_ECAM + 0x10_0000,
            u64::MAX - 7,
        ] {
            let ipa = ipa & !3;
            assert_eq!(read(&guest, &mut cpu, ipa, 4), None, "{ipa:#x}");
            assert_eq!(write(&guest, &mut cpu, ipa, 4, 0), Written::Refused);
        }
        assert_eq!(read(&guest, &mut cpu, GICD + 2, 4), None, "unaligned");
        assert_eq!(read(&guest, &mut cpu, UART, 8), None);
        for ecam in [ECAM, FAR_ECAM] {
            assert_eq!(read(&guest, &mut cpu, ecam, 4), Some(0xffff_ffff));
        }
    }

    /// The short ways are the long way, where they are taken.
    #[test]
    fn quick() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for value in [0x0000_0102, u64::MAX, 0] {
            assert!(quick_write(&guest, &mut cpu, GICD + 0x104, value));
        }
        assert_eq!(read(&guest, &mut cpu, GICD + 0x104, 4), Some(0x706));
        write(&guest, &mut cpu, GICD, 4, 2);
        for (offset, value) in [(0, 0x52), (4, 0x0368_0002), (8, 0x4200_043b), (12, 0)] {
            assert_eq!(quick_read(&guest, GICD + offset), Some(value), "{offset}");
            assert_eq!(read(&guest, &mut cpu, GICD + offset, 4), Some(value), "{offset}");
        }
        for ipa in [
            0,
            GICD - 4,
            GICD + 2,
            GICD + 16,
            GICD + 0x80,
            GICD + 0x102,
            GICD + 0x180,
            GICD + 0x1_0104,
            GICR + 0x104,
            UART,
            RAM + 0x100,
        ] {
            assert!(!quick_write(&guest, &mut cpu, ipa, u64::MAX), "{ipa:#x}");
            assert_eq!(quick_read(&guest, ipa), None, "{ipa:#x}");
        }
    }

    /// What is known without the hardware is what a read answers.
    #[test]
    fn peeked() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        put(&guest, &mut cpu, 0x38, 0x50);
        for base in [GICD, GICR, GICR + 0x2_0000] {
            for (offset, value) in
                [(0, 2), (0x104, !0), (0x424, !0), (0x1_0100, !0), (0x1_0414, !0)]
            {
                write(&guest, &mut cpu, base + offset, 4, value);
            }
        }
        let mut known = 0;
        for (base, bytes) in [(GICD, 0x1_0000), (GICR, 0x5_0000), (UART, 0x2000), (ECAM, 0x100)] {
            for ipa in (base..base + bytes).step_by(2) {
                let Some(value) = peek(&guest, ipa) else { continue };
                assert_eq!(read(&guest, &mut cpu, ipa, 4), Some(value), "{ipa:#x}");
                known += 1;
            }
        }
        assert!(known > 0x1_4000, "{known} words");
        for asked in [GICD + 0x204, GICD + 0xc08, GICR + 0x1_0200, UART, ECAM, RAM, GICD + 2] {
            assert_eq!(peek(&guest, asked), None, "{asked:#x}");
        }
        while guest.vm.output.push(0) {}
        assert_eq!(peek(&guest, UART + 0x18), None, "room is to be told of");
    }

    #[test]
    fn input_interrupts_and_is_sampled_again() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        write(&guest, &mut cpu, GICD, 4, 2);
        write(&guest, &mut cpu, GICD + 0x104, 4, 2);
        put(&guest, &mut cpu, 0x2c, 0x70);
        put(&guest, &mut cpu, 0x38, 0x50);
        assert_eq!(guest.vm.receive(guest.vpes, b'a'), Some(0));
        machine.borrow_mut().cpus[0].kicked = true;
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(UART_INTID));
        assert_eq!(guest.vm.receive(guest.vpes, b'b'), None, "the line is high already");
        assert_eq!(get(&guest, &mut cpu, 0), u64::from(b'a'));
        // One byte is left: the level comes back with the end of the interrupt.
        cpu.end(UART_INTID);
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(UART_INTID));
        assert_eq!(get(&guest, &mut cpu, 0), u64::from(b'b'));
        cpu.end(UART_INTID);
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), None);
        // A byte read before the interrupt is taken takes the interrupt with it.
        guest.vm.receive(guest.vpes, b'c');
        machine.borrow_mut().cpus[0].kicked = true;
        cpu.settle(&guest);
        assert_eq!(get(&guest, &mut cpu, 0), u64::from(b'c'));
        assert_eq!(cpu.acknowledge(), None);
    }

    #[test]
    fn output_fills_blocks_and_goes_on() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let vm: &VmState = guest.vm;
        let mut sent = 0;
        while get(&guest, &mut cpu, 0x18) & 0x20 == 0 {
            assert_eq!(write(&guest, &mut cpu, UART, 1, 0x41), Written::Done);
            sent += 1;
        }
        assert_eq!(sent, crate::guest::OUTPUT_ROOM);
        assert_eq!(machine.borrow().output, sent);
        assert!(vm.blocked.load(Relaxed));
        put(&guest, &mut cpu, 0x44, 0x20);
        put(&guest, &mut cpu, 0x38, 0x20);
        assert!(vm.output.pop().is_some());
        assert_eq!(vm.has_room(guest.vpes), Some(0), "the transmit interrupt tells the guest");
        assert!(!vm.blocked.load(Relaxed));
    }
}
