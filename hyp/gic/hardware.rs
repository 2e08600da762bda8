// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hardware behind `vm`'s traits.
//!
//! One empty type: `vm`'s paths are compiled for it, and each method comes down to the register it
//! names.

use crate::gic::its;
use crate::io::{console, halt};
use crate::state::cpu::{Here, POLLS};
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use crate::state::vms::{STALE, WAITING};
use crate::state::{intid, ipi, parts, places};
use arch::device::Device;
use arch::region::Region;
use arch::sysreg::Pause;
use arch::this;
use arch::{gic, guest, mmu, sysreg};
use core::sync::atomic::AtomicU32;
use gicv4::command::Encoded;
use gicv4::frame::{Bank, Distributor, Frame, ReadWrite, Redistributor};
use gicv4::hw::MmioFrame;
use gicv4::list_regs::ListReg;
use gicv4::regs::{gicd, gicr};
use gicv4::{CollectionId, RdBase};
use plan::{EventRoute, Pa, PciBridge, PciFunction, Vm, VpeIndex};
use spin::mutex::TicketMutex;
use vm::Platform;
use vm::platform::{ConfigSpace, ListRegisters, PhysicalGic, PhysicalIts};

/// The board, as a vPE's emulation uses it. Only while that vPE's CPU is the calling one.
pub struct Hardware;

/// Bytes of a function's header, which decide what it answers and whether it is a bus master.
const HEADER: u16 = 0x40;

/// GICD_IROUTER of an SPI that is to stay pending: an affinity that no CPU has (IHI 0069H 12.9.22).
const NOWHERE: u64 = 0xff_00ff_ffff;
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const _: () = {
    let mut cpu = 0;
    while cpu < PLAN.cpus.len() {
        assert!(PLAN.cpus[cpu].mpidr != NOWHERE);
        cpu += 1;
    }
};

/// Held while a GICD_ICFGR, which has 16 SPIs, is read and written. No other register that a guest
/// changes is shared: enables, pending and active state have a bit to write for each SPI, and
/// GICD_IROUTER is one SPI's.
static CONFIG: TicketMutex<(), Pause> = TicketMutex::new(());

impl ListRegisters for Hardware {
    #[inline(always)]
    fn count(&self) -> usize {
        PLAN.board.list_registers as usize
    }
    fn read(&self, index: usize) -> ListReg {
        ListReg::from_bits(gic::read_any_list_register::<Built>(index as u8))
    }
    fn write(&mut self, index: usize, value: ListReg) {
        gic::write_any_list_register::<Built>(index as u8, value.bits());
    }
    #[inline(always)]
    fn get<const INDEX: usize>(&self) -> ListReg {
        ListReg::from_bits(gic::read_list_register(INDEX as u8))
    }
    #[inline(always)]
    fn put<const INDEX: usize>(&mut self, value: ListReg) {
        gic::write_list_register(INDEX as u8, value.bits());
    }
    #[inline(always)]
    fn empty(&self) -> u32 {
        gic::empty_list_registers()
    }
    fn take_eoi_count(&mut self) -> u32 {
        let value = gic::read_ich_hcr();
        gic::write_ich_hcr(value & 0x07ff_ffff);
        (value >> 27) as u32 & 0x1f
    }
    fn maintenance(&mut self, bits: u32) {
        use vm::platform::{
            NO_PENDING, NOT_PRESENT, SGIS_UNCOUNTED, TRAP_DIR, TRAP_GROUP1, UNDERFLOW,
        };
        let sgis = if parts::VIRTUAL_SGIS { SGIS_UNCOUNTED } else { 0 };
        let enables = u64::from(UNDERFLOW | NOT_PRESENT | NO_PENDING | TRAP_GROUP1 | sgis);
        let trap = if bits & TRAP_DIR != 0 { gic::dir_trap() } else { 0 };
        let rest = gic::read_ich_hcr() & !(enables | gic::DIR_TRAPS);
        gic::write_ich_hcr(rest | u64::from(bits) & enables | trap);
    }
    #[inline(always)]
    fn masked(&self) -> bool {
        guest::masks_interrupts()
    }
    fn splits_end(&self) -> bool {
        gic::splits_end()
    }
}

/// GICD registers with a bit for each INTID.
type Bits = Bank<Distributor, u32, ReadWrite>;

fn write(bank: Bits, word: usize, bits: u32) {
    mmu::distributor::<Built>().write_at(bank, word, bits);
}

fn read(bank: Bits, word: usize) -> u32 {
    mmu::distributor::<Built>().read_at(bank, word)
}

/// The redistributor of a vPE's CPU.
fn redistributor_of(vpe: VpeIndex) -> Option<MmioFrame<Redistributor>> {
    mmu::redistributor::<Built>(places::cpu_of(vpe)?)
}

impl PhysicalGic for Hardware {
    #[inline]
    fn enable(&mut self, word: usize, bits: u32) {
        write(gicd::ISENABLER, word, bits);
    }
    fn disable(&mut self, word: usize, bits: u32) {
        write(gicd::ICENABLER, word, bits);
        // A wait that runs out leaves an interrupt that may still come once: `inject_spi` then
        // finds it disabled.
        let _ = gicv4::dist::Dist::new(mmu::distributor::<Built>()).wait_for_writes(POLLS);
    }
    fn set_pending(&mut self, word: usize, bits: u32) {
        write(gicd::ISPENDR, word, bits);
    }
    fn clear_pending(&mut self, word: usize, bits: u32) {
        write(gicd::ICPENDR, word, bits);
    }
    fn set_active(&mut self, word: usize, bits: u32) {
        write(gicd::ISACTIVER, word, bits);
    }
    fn clear_active(&mut self, word: usize, bits: u32) {
        write(gicd::ICACTIVER, word, bits);
    }
    fn pending(&self, word: usize) -> u32 {
        read(gicd::ISPENDR, word)
    }
    fn active(&self, word: usize) -> u32 {
        read(gicd::ISACTIVER, word)
    }
    fn config(&self, index: usize) -> u32 {
        mmu::distributor::<Built>().read_at(gicd::ICFGR, index)
    }
    fn set_config(&mut self, index: usize, mask: u32, value: u32) {
        // The other fields may be another VM's, which writes its own at the same time.
        let _guard = CONFIG.lock();
        let frame = mmu::distributor::<Built>();
        let config = frame.read_at(gicd::ICFGR, index) & !mask | value & mask;
        frame.write_at(gicd::ICFGR, index, config);
    }
    fn route(&mut self, intid: u32, vpe: Option<VpeIndex>) {
        let affinity = match vpe {
            None => NOWHERE,
            Some(vpe) => places::plan_of(vpe).map_or(NOWHERE, |cpu| cpu.mpidr),
        };
        if (32..1020).contains(&intid) {
            mmu::distributor::<Built>().write_at(gicd::IROUTER, intid as usize, affinity);
        }
    }
    fn enable_ppis(&mut self, vpe: VpeIndex, bits: u32, on: bool) {
        if places::shares(vpe) {
            // Only the vPE that runs counts there; any other is looked after when it does.
            match this::get::<Built>().filter(|this| this.index == vpe) {
                Some(this) => {
                    if let Some(here) = Here::of(this) {
                        here.enable_ppis(this.guest.enabled_ppis());
                    }
                }
                None => ipi::kick(vpe),
            }
            return;
        }
        let register = if on { gicr::ISENABLER0 } else { gicr::ICENABLER0 };
        if let Some(redistributor) = redistributor_of(vpe) {
            redistributor.write(register, bits);
        }
    }
    #[inline]
    fn deactivate(&mut self, intid: u32) {
        gic::deactivate::<Built>(intid);
    }
    fn activate(&mut self, intid: u32) {
        if let Some(here) = this::get::<Built>().and_then(Here::of) {
            here.activate(intid);
        }
    }
    fn pending_ppis(&self, vpe: VpeIndex) -> u32 {
        let runs = || this::get::<Built>().is_some_and(|this| this.index == vpe);
        match redistributor_of(vpe) {
            // On a shared CPU they are those of the vPE that runs.
            Some(redistributor) if !places::shares(vpe) || runs() => {
                redistributor.read(gicr::ISPENDR0)
            }
            _ => 0,
        }
    }
}

impl ConfigSpace for Hardware {
    #[inline(never)]
    fn config_read(&self, function: &PciFunction, offset: u16) -> u32 {
        Device::function::<Built>(function).read(offset.into())
    }
    #[inline(never)]
    fn config_write(&mut self, function: &PciFunction, offset: u16, bytes: u8, value: u32) {
        let config = Device::function::<Built>(function);
        config.write_part(offset.into(), bytes, value);
        if offset < HEADER {
            config.complete();
        }
    }
    #[inline(never)]
    fn table_read(&self, function: &PciFunction, offset: u32) -> u32 {
        // A function that its guest put to sleep by means of its own does not answer: that is the
        // guest's affair.
        Device::msix_table::<Built>(function).try_read(offset.into()).unwrap_or(u32::MAX)
    }
    #[inline(never)]
    fn table_write(&mut self, function: &PciFunction, offset: u32, value: u32) {
        Device::msix_table::<Built>(function).write(offset.into(), value);
    }
    #[inline(never)]
    fn bridge_read(&self, bridge: &PciBridge, offset: u16) -> u32 {
        Device::bridge::<Built>(bridge).read(offset.into())
    }
}

impl PhysicalIts for Hardware {
    #[inline(never)]
    fn read_command(&self, from: Pa) -> Encoded {
        Region::<Built>::of_guests(from, 32).map_or([0; 4], Region::read_command)
    }
    #[inline(never)]
    fn read_byte(&self, from: Pa) -> u8 {
        Region::<Built>::of_guests(from, 1).map_or(0, Region::read_byte)
    }
    fn configure(&mut self, vm: &Vm, vintid: u32, byte: u8) {
        mmu::write_vlpi::<Built>(vm, vintid, byte);
    }
    fn configure_lpi(&mut self, event: usize, byte: u8) {
        its::configure(event, byte);
    }
    fn waiting_lpis(&self) -> &'static [AtomicU32] {
        &WAITING
    }
    fn stale_lpis(&self) -> &'static [AtomicU32] {
        &STALE
    }
    fn invalidate(&mut self, vpe: VpeIndex, vintid: u32) {
        if let Err(error) = its::invalidate(vpe, vintid) {
            halt::broken(error);
        }
    }
    #[inline(always)]
    fn interrupt(&mut self, route: &EventRoute) {
        if let Err(error) = its::raise(route) {
            halt::broken(error);
        }
    }
    #[inline(always)]
    fn send_sgi(&mut self, vpe: VpeIndex, sgi: u32) {
        its::send_sgi(vpe, sgi as u8);
    }
    fn pending_sgis(&mut self, vpe: VpeIndex) -> u32 {
        its::pending_sgis(vpe).unwrap_or_else(|error| halt::broken(error)).into()
    }
    fn home(&self, vpe: VpeIndex) -> (CollectionId, RdBase) {
        its::home(vpe)
    }
    fn command(&mut self, commands: &[Encoded]) {
        if let Err(error) = its::run_encoded(commands) {
            halt::broken(error);
        }
    }
    fn interrupted(&self) -> bool {
        gic::is_pending()
    }
    fn ticks(&self) -> u64 {
        sysreg::ticks()
    }
}

impl Platform for Hardware {
    type Router = parts::Router;
    const VIRTUAL_ITS: bool = parts::VIRTUAL_ITS;
    const V41: bool = parts::V41;
    const VIRTUAL_SGIS: bool = parts::VIRTUAL_SGIS;
    const INVALIDATES: bool = parts::INVALIDATES;
    const MSIX: bool = parts::MSIX;
    const INTX: bool = parts::INTX;
    const SEVERAL_VPES: bool = parts::SEVERAL_VPES;
    const WATCHDOG: bool = parts::WATCHDOGS;
    const VIRTUAL_TIMER: u32 = intid::VIRTUAL_TIMER;
    const PHYSICAL_TIMER: u32 = intid::PHYSICAL_TIMER;

    #[inline(always)]
    fn kick(&mut self, vpe: VpeIndex) {
        ipi::kick(vpe);
    }
    fn deadline_moved(&mut self, vpe: VpeIndex) {
        ipi::review(vpe);
    }
    fn output_waits(&mut self) {
        console::pump();
    }
}
