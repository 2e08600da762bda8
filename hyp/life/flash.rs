// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NOR flashes of guests: reads go to memory, stores come here (`vm::flash`).
//!
//! A flash's memory is mapped read-only and executable.
//!
//! 1. A store is a permission fault, for which HPFAR_EL2 is UNKNOWN (DDI 0487 D24.2.63). The VM's
//!    flashes are unmapped, and the store is executed again.
//! 2. Now it is a translation fault, with its IPA. The command is executed.
//! 3. While reads do not give the array, they are translation faults and are answered from the
//!    registers.
//! 4. The first read or fetch when they do maps the flash again.
//!
//! An instruction that is fetched from a flash, or reads it, and stores to the same one would
//! repeat 1 and 4 for ever. So a flash keeps the address of the instruction that it was unmapped
//! for, and then mapped for; it stays mapped when that one stores again: the guest gets an external
//! abort.
//!
//! Who finds a flash's lock held executes the instruction again: another vPE may be erasing a
//! sector, for longer than a CPU that others share may wait.

use crate::state::plan_data::{FLASH_COUNT, PLAN};
use crate::state::system::Built;
use arch::region::Region;
use arch::stage2;
use arch::sysreg::Pause;
use plan::VmIndex;
use spin::mutex::TicketMutex;
use vm::exit::{self, DataAbort};
use vm::flash::{Array, Flash};

/// No address of an instruction.
const NONE: u64 = u64::MAX;

/// One flash.
struct Device {
    flash: Flash,
    /// Its memory is in the guest's address space.
    mapped: bool,
    /// Address of the instruction that it was unmapped for and that has not stored yet.
    unmapped_for: u64,
    /// The same, if it was also mapped for that one.
    mapped_for: u64,
    filled: Filled,
}

/// How far the first start is.
#[derive(Clone, Copy)]
enum Filled {
    Erased(u64),
    /// This load, so many bytes of it.
    Copied(usize, u64),
    All,
}

static DEVICES: [TicketMutex<Device, Pause>; FLASH_COUNT] = [const {
    TicketMutex::new(Device {
        flash: Flash::new(),
        mapped: true,
        unmapped_for: NONE,
        mapped_for: NONE,
        filled: Filled::Erased(0),
    })
}; FLASH_COUNT];

/// What an abort is to flashes.
pub enum Answer {
    /// Not theirs.
    Nobody,
    /// The instruction is to be executed again.
    Again,
    Written,
    Read(u64),
}

/// An abort as the CPU describes it; `value` is what a store stores.
pub struct Abort {
    pub esr: u64,
    pub far: u64,
    pub hpfar: u64,
    pub elr: u64,
    pub value: u64,
}

fn of(
    vm: VmIndex,
) -> impl Iterator<Item = (&'static plan::Flash, &'static TicketMutex<Device, Pause>)> {
    PLAN.flashes.iter().zip(&DEVICES).filter(move |(flash, _)| flash.vm == vm)
}

/// An abort that no emulated device takes.
#[inline(never)]
pub fn abort(vm: VmIndex, abort: &Abort) -> Answer {
    const PERMISSION: u64 = 0b0011;
    let &Abort { esr, far, hpfar, elr, value } = abort;
    let store = is_store(esr);
    if esr >> 2 & 0xf == PERMISSION {
        return if store && hide(vm, elr) { Answer::Again } else { Answer::Nobody };
    }
    let Some(ipa) = exit::abort_ipa(esr, hpfar, far) else { return Answer::Nobody };
    let here = |flash: &plan::Flash| ipa.wrapping_sub(flash.ipa.value()) < flash.bytes;
    let Some((plan, device)) = of(vm).find(|(flash, _)| here(flash)) else { return Answer::Nobody };
    let Some(mut device) = device.try_lock() else { return Answer::Again };
    if device.mapped {
        // Another vPE needed it, too.
        return Answer::Again;
    }
    let offset = ipa.wrapping_sub(plan.ipa.value()) as u32;
    let Some(region) = Region::flash(plan) else { return Answer::Nobody };
    let mut memory = Memory(region);
    let data = DataAbort::new(esr as u32);
    let bytes = data.bytes();
    let plain = exit::is_data_abort(esr) && data.emulable();
    let plain = plain && bytes <= 4 && offset & bytes.wrapping_sub(1) == 0;
    if store {
        device.unmapped_for = NONE;
    }
    if plain && store {
        let done = device.flash.write(&mut memory, offset, bytes, value as u32);
        return if done { Answer::Written } else { Answer::Again };
    }
    if device.flash.is_array() && !store {
        stage2::show::<Built>(plan);
        device.mapped = true;
        device.mapped_for = if device.unmapped_for == elr { elr } else { NONE };
        return Answer::Again;
    }
    if plain {
        let value = device.flash.read(&mut memory, plan.bytes as u32, offset, bytes);
        return Answer::Read(value.into());
    }
    Answer::Nobody
}

/// A data abort of a store: WnR, and neither cache maintenance nor a walk of the guest's tables.
fn is_store(esr: u64) -> bool {
    const WRITE: u64 = 1 << 6;
    const CACHE: u64 = 1 << 8;
    const WALK: u64 = 1 << 7;
    exit::is_data_abort(esr) && esr & (WRITE | CACHE | WALK) == WRITE
}

/// The instruction at `elr` stores to one of the VM's flashes, or to its ROM: unmaps the flashes.
/// False: none of them was mapped, so it is none of them. True as well when one of them is busy.
fn hide(vm: VmIndex, elr: u64) -> bool {
    let mut any = false;
    for (plan, device) in of(vm) {
        let Some(mut device) = device.try_lock() else { return true };
        if device.mapped && device.mapped_for != elr {
            stage2::hide::<Built>(plan);
            device.mapped = false;
            device.unmapped_for = elr;
            any = true;
        }
    }
    any
}

/// Registers of a VM's flashes as after power-up. What they hold stays.
pub fn reset(vm: VmIndex) {
    for (_, device) in of(vm) {
        device.lock().flash = Flash::new();
    }
}

/// Fills a VM's flashes, before its first start, until an interrupt waits. False: it is done.
pub fn fill(vm: VmIndex) -> bool {
    let mut unfilled = of(vm).filter(|(_, device)| !matches!(device.lock().filled, Filled::All));
    let Some((plan, device)) = unfilled.next() else { return false };
    let Some(region) = Region::<Built>::flash(plan) else { return false };
    let mut device = device.lock();
    device.filled = match device.filled {
        Filled::Erased(done) if plan.erased && done < plan.bytes => {
            Filled::Erased(done.wrapping_add(region.rest(done).set_and_flush_some()))
        }
        Filled::Erased(_) => Filled::Copied(0, 0),
        Filled::Copied(number, done) => match plan.loads.get(number) {
            None => Filled::All,
            Some(load) => {
                let bytes = load.bytes.get(done as usize..).unwrap_or(&[]);
                let at = load.to.value().wrapping_sub(plan.pa.value()).wrapping_add(done);
                let done = done.wrapping_add(region.rest(at).copy_and_flush_some(bytes));
                match done < load.bytes.len() as u64 {
                    true => Filled::Copied(number, done),
                    false => Filled::Copied(number.wrapping_add(1), 0),
                }
            }
        },
        Filled::All => Filled::All,
    };
    true
}

/// Memory behind a flash.
struct Memory(Region<Built>);

impl Array for Memory {
    fn read(&self, offset: u32) -> u32 {
        self.0.rest(offset.into()).read_word()
    }
    fn write(&mut self, offset: u32, value: u32) {
        self.0.rest(offset.into()).write_word(value);
    }
    fn erase(&mut self, offset: u32, bytes: u32) -> u32 {
        self.0.part(offset.into(), bytes.into()).set_and_flush_some() as u32
    }
}
