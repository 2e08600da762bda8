//! Emulated addresses: which device, and whether the access is one that it has.
//!
//! The image comes here with an abort that [`crate::exit::DataAbort::emulable`] accepts. A refused access is answered by an
//! external abort in the guest; nothing else happens. The distributor is tried first, as guests touch it most.

use super::Written;
use crate::{
    Guest, Platform, pci, uart,
    vgic::{self, Distributor, Redistributor},
    vits::{self, Its},
    watchdog,
};

const DISTRIBUTOR_BYTES: u64 = 0x1_0000;
const REDISTRIBUTOR_BITS: u32 = 17;
/// A read for [`crate::exit::is_word`] that is done in a few instructions; None: not one of these, use [`read`].
#[inline(always)]
pub fn quick_read(guest: &Guest, ipa: u64) -> Option<u64> {
    let here = ipa.wrapping_sub(guest.distributor) == Distributor::TYPER;
    here.then(|| u64::from(guest.vm.distributor.type_register()))
}

/// A write for [`crate::exit::is_word`] that is done in a few instructions; false: not one of these, use [`write()`].
#[inline(always)]
pub fn quick_write<P: Platform>(guest: &Guest, platform: &mut P, ipa: u64, value: u64) -> bool {
    let offset = ipa.wrapping_sub(guest.distributor);
    // GICD_ISENABLER<n>, aligned.
    if offset & !0x7c != 0x100 {
        return false;
    }
    Distributor::enable(guest, platform, (offset >> 2 & 31) as usize, value as u32);
    true
}

/// The guest reads `bytes` (1, 2, 4 or 8) at `ipa`: the value, not yet extended, or None: refused, unless [`again`].
#[inline]
pub fn read<P: Platform>(guest: &Guest, platform: &mut P, ipa: u64, bytes: u32) -> Option<u64> {
    let offset = ipa.wrapping_sub(guest.distributor);
    if offset < DISTRIBUTOR_BYTES {
        if !aligned(ipa, bytes) {
            return None;
        }
        return Distributor::read(guest, platform, offset as u32, bytes);
    }
    read_other(guest, platform, ipa, bytes)
}

/// A read that was refused just now is to be executed again: the answer is another vPE's, and on its way.
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
    let offset = ipa.wrapping_sub(guest.distributor);
    if offset < DISTRIBUTOR_BYTES {
        return Written::of(
            aligned(ipa, bytes) && Distributor::write(guest, platform, offset as u32, bytes, value),
        );
    }
    write_other(guest, platform, ipa, bytes, value)
}

/// Memory reads never straddle a register: device accesses are naturally aligned.
#[inline(always)]
const fn aligned(ipa: u64, bytes: u32) -> bool {
    ipa & (bytes as u64).wrapping_sub(1) == 0
}

#[inline(never)]
fn read_other<P: Platform>(guest: &Guest, platform: &mut P, ipa: u64, bytes: u32) -> Option<u64> {
    if !aligned(ipa, bytes) {
        return None;
    }
    let offset = ipa.wrapping_sub(guest.uart);
    if offset < uart::BYTES {
        return uart::read(guest, platform, offset as u16, bytes);
    }
    let offset = ipa.wrapping_sub(guest.redistributors);
    if offset >> REDISTRIBUTOR_BITS < guest.vpes.len() as u64 {
        return Redistributor::read(guest, platform, offset, bytes);
    }
    let offset = ipa.wrapping_sub(guest.its);
    if P::VIRTUAL_ITS && offset < vits::FRAME_BYTES {
        return Its::read(guest, offset, bytes);
    }
    let offset = ipa.wrapping_sub(guest.watchdog);
    if P::WATCHDOG && offset < watchdog::BYTES {
        return guest.vm.watchdog.read(offset, bytes);
    }
    if pci::is_config(guest, ipa) {
        return pci::read(guest, platform, ipa, bytes).map(u64::from);
    }
    if !P::MSIX {
        return None;
    }
    pci::table::read(guest, platform, ipa, bytes)
}

#[inline(never)]
fn write_other<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    ipa: u64,
    bytes: u32,
    value: u64,
) -> Written {
    if !aligned(ipa, bytes) {
        return Written::Refused;
    }
    let offset = ipa.wrapping_sub(guest.uart);
    if offset < uart::BYTES {
        return Written::of(uart::write(guest, platform, offset as u16, bytes, value));
    }
    let offset = ipa.wrapping_sub(guest.redistributors);
    if offset >> REDISTRIBUTOR_BITS < guest.vpes.len() as u64 {
        if P::VIRTUAL_ITS && bytes == 4 {
            match vits::before_enabling_lpis(guest, platform, offset, value) {
                Written::Done => {}
                wait => return wait,
            }
        }
        return Written::of(Redistributor::write(guest, platform, offset, bytes, value));
    }
    let offset = ipa.wrapping_sub(guest.its);
    if P::VIRTUAL_ITS && offset < vits::FRAME_BYTES {
        return Its::write(guest, platform, offset, bytes, value);
    }
    let offset = ipa.wrapping_sub(guest.watchdog);
    if P::WATCHDOG && offset < watchdog::BYTES {
        return write_watchdog(guest, platform, offset, bytes, value);
    }
    if pci::is_config(guest, ipa) {
        return Written::of(pci::write(guest, platform, ipa, bytes, value as u32));
    }
    Written::of(P::MSIX && pci::table::write(guest, platform, ipa, bytes, value))
}

#[inline(never)]
fn write_watchdog<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    offset: u64,
    bytes: u32,
    value: u64,
) -> Written {
    let Some(plan) = &guest.config.watchdog else { return Written::Refused };
    let now = platform.ticks();
    match guest.vm.watchdog.write(plan, now, offset, bytes, value) {
        None => return Written::Refused,
        Some(true) => platform.deadline_moved(guest.vpe_index(0)),
        Some(false) => {}
    }
    Written::Done
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
        assert_eq!(quick_read(&guest, GICD + 4), read(&guest, &mut cpu, GICD + 4, 4));
        for ipa in [
            0,
            GICD,
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
