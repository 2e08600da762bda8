// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GICv3: distributor, this vPE's redistributor and CPU interface (IHI 0069 chapters 4 and 12).
//!
//! 1. GICD_CTLR: affinity routing, group 1.
//! 2. On each vPE: find its redistributor by affinity, wake it, put its SGIs and PPIs into group 1.
//! 3. CPU interface by system registers: priority mask open, group 1 on.
//!
//! LPIs need nothing: under Bulkhead a VM's events are enabled before it starts. `its` is for those
//! that want an ITS all the same.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::mmio::Registers;
use crate::start::VPES;
use crate::{Machine, cpu};

const FRAME: u64 = 0x1_0000;
const REDISTRIBUTOR: u64 = 2 * FRAME;

const GICD_CTLR: u64 = 0x0;
const GICD_TYPER: u64 = 0x4;
const GICD_IGROUPR: u64 = 0x80;
const GICD_ISENABLER: u64 = 0x100;
const GICD_ICENABLER: u64 = 0x180;
const GICD_ICPENDR: u64 = 0x280;
const GICD_IROUTER: u64 = 0x6000;
const ARE_GROUP1: u32 = 0x12;

const GICR_WAKER: u64 = 0x14;
const GICR_TYPER: u64 = 0x8;
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;
const LAST: u64 = 1 << 4;
/// Redistributors that a search looks at, at most.
const SEARCHED: u64 = 512;

static DISTRIBUTOR: AtomicU64 = AtomicU64::new(0);
static REDISTRIBUTORS: [AtomicU64; VPES] = [const { AtomicU64::new(0) }; VPES];

/// What the GIC says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// INTIDs of SGIs, PPIs and SPIs: 0 to this, not included.
    pub intids: u32,
    /// GICD_TYPER.LPIS.
    pub lpis: bool,
    /// GICR_TYPER of this vPE.
    pub redistributor: u64,
}

pub(crate) fn init(machine: &Machine) {
    let Some((distributor, _)) = machine.gic() else {
        return;
    };
    DISTRIBUTOR.store(distributor.base, Ordering::Relaxed);
    if let Some(registers) = self::distributor() {
        registers.write32(GICD_CTLR, ARE_GROUP1);
    }
}

/// Steps 2 and 3, on every vPE.
pub(crate) fn init_vpe() {
    if let Some(redistributor) = find_redistributor() {
        let index = cpu::vpe() as usize % VPES;
        REDISTRIBUTORS[index].store(redistributor, Ordering::Relaxed);
        if let Some(registers) = self::redistributor() {
            let waker = registers.read32(GICR_WAKER);
            registers.write32(GICR_WAKER, waker & !PROCESSOR_SLEEP);
            while registers.read32(GICR_WAKER) & CHILDREN_ASLEEP != 0 {
                cpu::relax();
            }
            registers.write32(FRAME + GICD_IGROUPR, u32::MAX);
        }
    }
    // SAFETY: the CPU interface of this vPE only: system registers, all priorities, no
    // sub-priorities, group 1.
    unsafe {
        asm!(
            "msr S3_0_C12_C12_5, {sre}", // ICC_SRE_EL1
            "isb",
            "msr S3_0_C4_C6_0, {mask}",  // ICC_PMR_EL1
            "msr S3_0_C12_C12_3, xzr",   // ICC_BPR1_EL1
            "msr S3_0_C12_C12_4, xzr",   // ICC_CTLR_EL1: EOI drops and deactivates
            "msr S3_0_C12_C12_7, {on}",  // ICC_IGRPEN1_EL1
            "isb",
            sre = in(reg) 7u64,
            mask = in(reg) 0xf0u64,
            on = in(reg) 1u64,
            options(nostack),
        );
    }
}

/// The distributor, and all redistributors one after the other, for whoever tries their registers.
/// None: there is no GICv3.
pub fn frames(machine: &Machine) -> Option<(Registers, Registers)> {
    let (distributor, redistributors) = machine.gic()?;
    // SAFETY: the device tree says that they are there.
    let one = unsafe { Registers::new(distributor.base, FRAME) };
    let bytes = redistributors.bytes.min(u64::from(machine.vpes()) * REDISTRIBUTOR);
    // SAFETY: as above.
    let other = unsafe { Registers::new(redistributors.base, bytes) };
    Some((one, other))
}

/// None: the device tree has no GICv3.
pub fn identity() -> Option<Identity> {
    let typer = distributor()?.read32(GICD_TYPER);
    Some(Identity {
        intids: 32 * ((typer & 0x1f) + 1),
        lpis: typer & 1 << 17 != 0,
        redistributor: redistributor()?.read64(GICR_TYPER),
    })
}

/// Enables or disables an SGI, PPI or SPI. An SPI is routed to this vPE. LPIs are left alone.
pub(crate) fn set_enabled(intid: u32, on: bool) {
    let register = if on { GICD_ISENABLER } else { GICD_ICENABLER };
    let word = u64::from(intid / 32) * 4;
    let bit = 1u32 << (intid % 32);
    match intid {
        0..32 => {
            if let Some(registers) = redistributor() {
                registers.write32(FRAME + register, bit);
            }
        }
        32..1020 => {
            if let Some(registers) = distributor() {
                if on {
                    let group = registers.read32(GICD_IGROUPR + word);
                    registers.write32(GICD_IGROUPR + word, group | bit);
                    route(intid, cpu::affinity());
                }
                registers.write32(register + word, bit);
            }
        }
        _ => {}
    }
}

/// GICD_IROUTER<intid> of an SPI.
pub(crate) fn route(intid: u32, affinity: u64) {
    if (32..1020).contains(&intid)
        && let Some(registers) = distributor()
    {
        registers.write64(GICD_IROUTER + u64::from(intid) * 8, affinity);
    }
}

/// GICD_ICPENDR of an SPI.
pub(crate) fn clear_pending(intid: u32) {
    if (32..1020).contains(&intid)
        && let Some(registers) = distributor()
    {
        registers.write32(GICD_ICPENDR + u64::from(intid / 32) * 4, 1 << (intid % 32));
    }
}

/// ICC_IAR1_EL1: takes the highest pending interrupt.
pub(crate) fn acknowledge() -> u32 {
    let intid: u64;
    // SAFETY: acknowledging changes the CPU interface only.
    unsafe { asm!("mrs {}, S3_0_C12_C12_0", "dsb sy", out(reg) intid, options(nostack)) };
    (intid & 0xff_ffff) as u32
}

/// ICC_EOIR1_EL1.
pub(crate) fn end(intid: u32) {
    // SAFETY: ends what `acknowledge` began.
    unsafe { asm!("msr S3_0_C12_C12_1, {}", "isb", in(reg) u64::from(intid), options(nostack)) };
}

/// ICC_SGI1R_EL1, as it is.
pub(crate) fn send_sgi(value: u64) {
    // SAFETY: raises interrupts only; writes that their handlers may look at are done first.
    unsafe { asm!("dsb ishst", "msr S3_0_C12_C11_5, {}", "isb", in(reg) value, options(nostack)) };
}

fn distributor() -> Option<Registers> {
    match DISTRIBUTOR.load(Ordering::Relaxed) {
        0 => None,
        // SAFETY: the device tree says that GICD is there.
        base => Some(unsafe { Registers::new(base, FRAME) }),
    }
}

fn redistributor() -> Option<Registers> {
    match REDISTRIBUTORS[cpu::vpe() as usize % VPES].load(Ordering::Relaxed) {
        0 => None,
        // SAFETY: `find_redistributor` found it in the region that the device tree names.
        base => Some(unsafe { Registers::new(base, REDISTRIBUTOR) }),
    }
}

/// Frame of vPE `vpe`'s redistributor, once that vPE has found it.
pub(crate) fn redistributor_of(vpe: u32) -> Option<Registers> {
    match REDISTRIBUTORS[vpe as usize % VPES].load(Ordering::Relaxed) {
        0 => None,
        // SAFETY: as for `redistributor`.
        base => Some(unsafe { Registers::new(base, REDISTRIBUTOR) }),
    }
}

fn find_redistributor() -> Option<u64> {
    let (_, region) = Machine::get()?.gic()?;
    // SAFETY: the device tree says that redistributors fill this region.
    let registers = unsafe { Registers::new(region.base, region.bytes) };
    let affinity = cpu::affinity();
    let wanted = (affinity >> 8 & 0xff00_0000) | (affinity & 0x00ff_ffff);
    for offset in
        (0..SEARCHED).map(|n| n * REDISTRIBUTOR).take_while(|offset| *offset < region.bytes)
    {
        let typer = registers.read64(offset + GICR_TYPER);
        if typer >> 32 == wanted {
            return Some(region.base + offset);
        }
        if typer & LAST != 0 {
            break;
        }
    }
    None
}
