// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own translation, and what it has in its own memory for the GIC.
//!
//! codegen maps the blocks that hold the image page by page, all of them writable and not
//! executable. Only the linker knows where text ends, so boot gives the first pages what they are:
//! text read and execute, constants read only (DDI 0487 D8.3, stage 1, one privilege level: AP\[2\]
//! is bit 7, XN bit 54). Nothing is ever both writable and executable; SCTLR_EL2.WXN makes it a
//! rule.

use crate::boot::SystemBoot;
use crate::lines::{self, LINE};
use crate::sysreg::dsb_sy;
use crate::system::{System, is_entry};
use core::arch::asm;
use core::{ptr, slice};
use gicv4::frame::{self, Block, Distributor, ItsSgis, Redistributor, VirtualLpis};
use gicv4::hw::{LpiTable, MmioFrame, QueueRam};
use gicv4::regs::{gits, vlpi};
use plan::{CpuIndex, Its, Pa, Span, Vm};

const PAGE: u64 = 4096;
const READ_ONLY: u64 = 1 << 7;
const EXECUTE_NEVER: u64 = 1 << 54;

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
}

/// Gives the image's pages their permissions.
///
/// # Safety
/// The head calls it, once, on the first CPU, MMU off.
#[doc(hidden)]
pub unsafe extern "C" fn protect_image<S: System>() {
    let text_end = ptr::addr_of!(__text_end) as u64;
    let end = ptr::addr_of!(__rodata_end) as u64;
    let mut page = ptr::addr_of!(__image_start) as u64;
    while page < end {
        let entry = page_entry::<S>(page);
        // SAFETY: `entry` points into the level-3 table that codegen made for this page; nothing
        // else runs yet.
        let value = unsafe { entry.read_volatile() };
        let value =
            if page < text_end { value & !EXECUTE_NEVER | READ_ONLY } else { value | READ_ONLY };
        // SAFETY: as above.
        unsafe { entry.write_volatile(value) };
        // SAFETY: invalidates the line just written past the caches, so that no older copy of it is
        // walked.
        unsafe { asm!("dc ivac, {}", in(reg) entry, options(nostack, preserves_flags)) };
        page = page.wrapping_add(PAGE);
    }
    dsb_sy();
}

/// The level-3 descriptor of a page of the image.
fn page_entry<S: System>(page: u64) -> *mut u64 {
    (S::PLAN.hypervisor.image_l3.value() as *mut u64).wrapping_add((page >> 12 & 0x1ff) as usize)
}

/// What was written for the GIC is in memory, if it does not look into caches. Complete after the
/// next `dsb_sy`.
fn publish<S: System>(base: Pa, bytes: u64) {
    if !S::PLAN.board.gic_coherent {
        lines::flush(base.value(), bytes);
    }
}

/// Zeroes the tables that hardware requires to be zero, before it is told where they are.
pub fn clear_tables<S: System>(_: &SystemBoot<S>) {
    for &Span { base, bytes } in S::PLAN.hypervisor.cleared {
        // SAFETY: multiples of a line of EL2's own memory, which the plan gives to hardware alone.
        unsafe { lines::zero(base.value(), bytes) };
        publish::<S>(base, bytes);
    }
    dsb_sy();
}

/// The virtual LPI configuration of a VM, as the plan has it. While its vPEs are not resident.
pub fn write_vlpi_config<S: System>(vm: &Vm) {
    let Span { base, bytes } = vm.vlpi_config;
    if is_entry(S::PLAN.vms, vm) && vm.vlpi_config_start.len() as u64 <= bytes {
        let table = base.value() as *mut u8;
        // SAFETY: the plan gives this table to the VM's vPEs; the GIC reads it, nothing else writes
        // it now.
        unsafe {
            ptr::copy_nonoverlapping(
                vm.vlpi_config_start.as_ptr(),
                table,
                vm.vlpi_config_start.len(),
            )
        };
        let after = table.wrapping_add(vm.vlpi_config_start.len());
        let rest = bytes.wrapping_sub(vm.vlpi_config_start.len() as u64) as usize;
        // Up to the table's end: a guest's wishes may have changed any byte.
        let head = after.align_offset(LINE as usize).min(rest);
        // SAFETY: as above.
        unsafe { ptr::write_bytes(after, 0, head) };
        let lines = after.wrapping_add(head) as u64;
        // SAFETY: as above, from a line's begin on; the table has whole lines.
        unsafe { lines::zero(lines, rest.wrapping_sub(head) as u64) };
        publish::<S>(base, bytes);
        dsb_sy();
    }
}

/// The byte of one vLPI there, before the ITS is told to look at it.
pub fn write_vlpi<S: System>(vm: &Vm, vintid: u32, byte: u8) {
    const FIRST: u32 = 8192;
    let Span { base, bytes } = vm.vlpi_config;
    let index = u64::from(vintid.wrapping_sub(FIRST));
    if is_entry(S::PLAN.vms, vm) && index < bytes {
        let place = base.offset(index).value() as *mut u8;
        // SAFETY: inside the table that the plan gives to the VM's vPEs; the GIC only reads it, and
        // copies of a byte are atomic.
        unsafe { place.write_volatile(byte) };
        publish::<S>(base.offset(index), 1);
        dsb_sy();
    }
}

/// A redistributor's VLPI frame, where vPEs become resident.
pub type VlpiFrame = MmioFrame<VirtualLpis>;

fn frame<B: Block>(base: Pa) -> MmioFrame<B> {
    // SAFETY: a frame of the plan's, mapped as device memory in EL2's table for good. What its base
    // registers name from before is no memory of EL2's (`gicv4::redist` where it stays in use).
    unsafe { MmioFrame::new(base.value() as usize) }
}

/// The distributor.
pub fn distributor<S: System>() -> MmioFrame<Distributor> {
    frame(S::PLAN.board.distributor)
}

/// The redistributor of a CPU. None: the plan has no such CPU.
#[inline(always)]
pub fn redistributor<S: System>(cpu: CpuIndex) -> Option<MmioFrame<Redistributor>> {
    Some(frame(S::PLAN.cpus.get(cpu.index())?.redistributor))
}

/// Its VLPI frame. None: the board injects nothing directly, and it may have none.
pub fn virtual_lpis<S: System>(cpu: CpuIndex) -> Option<VlpiFrame> {
    let cpu = S::PLAN.cpus.get(cpu.index())?;
    let base = cpu.redistributor.offset(vlpi::FROM_RD_BASE as u64);
    S::PLAN.board.direct_injection.then(|| frame(base))
}

/// The virtual SGI frame of the ITS. None: the plan relies on none.
#[inline(always)]
pub fn its_sgis<S: System>() -> Option<MmioFrame<ItsSgis>> {
    let its = S::PLAN.its.as_ref()?;
    let has = matches!(its.v41, Some(v41) if v41.virtual_sgis);
    has.then(|| frame(its.base.offset(gits::sgi::FROM_GITS_BASE as u64)))
}

/// The ITS's registers.
pub(crate) fn its(its: &'static Its) -> MmioFrame<frame::Its> {
    frame(its.base)
}

/// Its command queue.
///
/// # Safety
/// `its` is the plan's, and nobody else has its queue.
pub(crate) unsafe fn its_queue<const COHERENT: bool>(its: &'static Its) -> QueueRam<COHERENT> {
    let Span { base, bytes } = its.queue;
    // SAFETY: the plan gives this memory to the queue alone, aligned to 64 KiB, and CBASER names
    // it; the caller has it alone.
    unsafe { QueueRam::new(base.value() as *mut [u64; 4], (bytes / 32) as u32) }
}

/// The configuration table of physical LPIs that is in use at `at`: the plan's, or one in reserved
/// memory that was taken over (`gicv4::redist`) and gets the plan's bytes. None: it is neither.
///
/// # Safety
/// `its` is the plan's, and nobody else writes either table.
pub(crate) unsafe fn lpi_config<S: System, const COHERENT: bool>(
    its: &'static Its,
    at: u64,
) -> Option<LpiTable<COHERENT>> {
    let Span { base: planned, bytes } = its.lpi_config;
    if at == planned.value() || S::PLAN.board.inherited.is_empty() {
        publish::<S>(planned, bytes);
        // SAFETY: the plan gives this table to the GIC, and the caller is its only writer.
        return Some(unsafe { LpiTable::new(planned.value() as *mut u8, bytes as u32) });
    }
    let holds = |&(base, size): &(u64, u64)| {
        at.checked_sub(base).is_some_and(|offset| offset <= size && bytes <= size - offset)
    };
    S::PLAN.board.inherited.iter().find(|range| holds(range))?;
    // SAFETY: the plan gives this table to EL2 and the GIC, and nothing writes it now.
    let planned = unsafe { slice::from_raw_parts(planned.value() as *const u8, bytes as usize) };
    // SAFETY: as many bytes of a range that the board reserves for this; EL2 maps it
    // (`inherited` in codegen's plan/own.rs).
    unsafe { lines::copy_and_flush(at, planned) };
    dsb_sy();
    // SAFETY: firmware gave this table to the GIC, and the caller is its only writer.
    Some(unsafe { LpiTable::new(at as *mut u8, bytes as u32) })
}
