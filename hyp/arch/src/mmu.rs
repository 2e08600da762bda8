//! EL2's own translation: the image's pages get their permissions; caches are cleaned for guests.
//!
//! codegen maps the blocks that hold the image page by page, all of them writable and not executable. Only the linker
//! knows where text ends, so boot gives the first pages what they are: text read and execute, constants read only
//! (DDI 0487 D8.3, stage 1, one privilege level: AP\[2\] is bit 7, XN bit 54). Nothing is ever both writable and
//! executable; SCTLR_EL2.WXN makes it a rule.

use super::mmio::Word;
use super::probe;
use super::window::{self, Amount};
use crate::system::System;
use core::arch::asm;
use core::{ptr, slice};
use gicv4::hw::{LpiTable, MmioFrame, QueueRam};
use plan::{Cpu, Its, Pa, PciBridge, PciFunction, Vm};

const PAGE: u64 = 4096;
const READ_ONLY: u64 = 1 << 7;
const EXECUTE_NEVER: u64 = 1 << 54;
/// Bytes of a cache line that every maintenance loop here steps by: the smallest that the architecture's users have.
const LINE: u64 = 64;
/// Bytes that a loop does at once.
const MANY: u64 = 16 * LINE;

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
}

/// Gives the image's pages their permissions. Runs once, on the first CPU, MMU off.
pub extern "C" fn protect_image<S: System>() {
    let text_end = ptr::addr_of!(__text_end) as u64;
    let end = ptr::addr_of!(__rodata_end) as u64;
    let mut page = ptr::addr_of!(__image_start) as u64;
    while page < end {
        let entry = page_entry::<S>(page);
        // SAFETY: `entry` points into the level-3 table that codegen made for this page; nothing else runs yet.
        let value = unsafe { entry.read_volatile() };
        let value =
            if page < text_end { value & !EXECUTE_NEVER | READ_ONLY } else { value | READ_ONLY };
        // SAFETY: as above.
        unsafe { entry.write_volatile(value) };
        // SAFETY: invalidates the line just written past the caches, so that no older copy of it is walked.
        unsafe { asm!("dc ivac, {}", in(reg) entry, options(nostack, preserves_flags)) };
        page = page.wrapping_add(PAGE);
    }
    super::sysreg::dsb_sy();
}

/// The level-3 descriptor of a page of the image.
fn page_entry<S: System>(page: u64) -> *mut u64 {
    (S::PLAN.own.image_l3.value() as *mut u64).wrapping_add((page >> 12 & 0x1ff) as usize)
}

/// Zeroes memory of the hypervisor's own. Multiples of 64 bytes.
fn clear(base: Pa, bytes: u64) {
    zero_lines(base.value(), bytes);
}

fn zero_lines(mut line: u64, bytes: u64) {
    let end = line.wrapping_add(bytes);
    while line < end {
        // SAFETY: the range comes from the plan, which gives it to nobody else, and it is Normal memory; DCZID_EL0
        // was checked to say 64 bytes.
        unsafe { asm!("dc zva, {}", in(reg) line, options(nostack, preserves_flags)) };
        line = line.wrapping_add(LINE);
    }
}

/// Bytes that are cleared or flushed, and bytes that are copied, before somebody looks for interrupts: about 400 instructions.
const LINES_AT_ONCE: u64 = 8 << 10;
const COPIED_AT_ONCE: u64 = 2 << 10;

/// Whatever caches hold of a VM's memory goes to memory and out of them: guests that begin with their caches off read it there, and
/// what they write there no line is left to overwrite. Complete after the next `dsb_sy`.
pub fn flush<S: System>(base: Pa, bytes: u64) {
    window::with::<S>(base, bytes, Amount::All, &mut flush_lines);
}

/// The same of memory that is EL2's own.
pub fn flush_own(base: Pa, bytes: u64) {
    flush_lines(base.value(), bytes);
}

/// As much of the same as an interrupt may wait for, and more until one does; how many bytes.
pub fn flush_some<S: System>(base: Pa, bytes: u64) -> u64 {
    window::with::<S>(base, bytes, Amount::Pieces(LINES_AT_ONCE), &mut flush_lines)
}

#[inline(never)]
fn flush_lines(base: u64, bytes: u64) {
    let mut line = base & !(LINE - 1);
    let end = base.wrapping_add(bytes);
    let many = line.wrapping_add(end.saturating_sub(line) & !(MANY - 1));
    if line != many {
        // SAFETY: cleaning and invalidating changes no value.
        unsafe {
            asm!(
                "2: .rept 16", "dc civac, {line}", "add {line}, {line}, #64", ".endr",
                "cmp {line}, {many}", "b.lo 2b",
                line = inout(reg) line, many = in(reg) many, options(nostack)
            );
        }
    }
    while line < end {
        // SAFETY: cleaning and invalidating changes no value.
        unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
        line = line.wrapping_add(LINE);
    }
}

/// What was written for the GIC is in memory, if it does not look into caches. Complete after the next `dsb_sy`.
fn publish<S: System>(base: Pa, bytes: u64) {
    if !S::PLAN.board.gic_coherent {
        flush_lines(base.value(), bytes);
    }
}

/// Zeroes a table of the GIC's. A multiple of 64 bytes. Complete after the next `dsb_sy`.
pub fn clear_table<S: System>(base: Pa, bytes: u64) {
    clear(base, bytes);
    publish::<S>(base, bytes);
}

/// Zeroes memory that no guest can reach now, and flushes it: whole lines, or a part of one.
pub fn clear_and_flush<S: System>(base: Pa, bytes: u64) {
    window::with::<S>(base, bytes, Amount::All, &mut clear_and_flush_lines);
}

/// As much of the same as [`flush_some`] flushes.
pub fn clear_and_flush_some<S: System>(base: Pa, bytes: u64) -> u64 {
    window::with::<S>(base, bytes, Amount::Pieces(LINES_AT_ONCE), &mut clear_and_flush_lines)
}

fn clear_and_flush_lines(base: u64, bytes: u64) {
    if (base | bytes) & (LINE - 1) != 0 {
        // SAFETY: as for `copy_and_flush_lines`.
        unsafe { ptr::write_bytes(base as *mut u8, 0, bytes as usize) };
        return flush_lines(base, bytes);
    }
    let mut line = base;
    let end = line.wrapping_add(bytes);
    let many = line.wrapping_add(bytes & !(MANY - 1));
    if line != many {
        // SAFETY: as for `zero_lines` and `flush_lines`.
        unsafe {
            asm!(
                "2: .rept 16", "dc zva, {line}", "dc civac, {line}", "add {line}, {line}, #64", ".endr",
                "cmp {line}, {many}", "b.lo 2b",
                line = inout(reg) line, many = in(reg) many, options(nostack)
            );
        }
    }
    let rest = end.wrapping_sub(line);
    zero_lines(line, rest);
    flush_lines(line, rest);
}

/// Copies payload into the memory of a VM that does not run, and flushes it, likewise: whole lines at once.
pub fn copy_and_flush_some<S: System>(to: Pa, from: &[u8]) -> u64 {
    let mut rest = from;
    window::with::<S>(to, from.len() as u64, Amount::Pieces(COPIED_AT_ONCE), &mut |at, bytes| {
        let (piece, behind) = rest.split_at_checked(bytes as usize).unwrap_or((rest, &[]));
        copy_and_flush_lines(at, piece);
        rest = behind;
    })
}

fn copy_and_flush_lines(to: u64, from: &[u8]) {
    const TWO: usize = 2 * LINE as usize;
    let pairs = from.len() & !(TWO - 1);
    let destination = to as *mut u8;
    if pairs != 0 {
        // SAFETY: the plan checked that the destination is the VM's own memory, which is apart from the image's; the VM does
        // not run. The bytes are plain data, `pairs` of them at either place.
        unsafe {
            asm!(
                "2: ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}]", "stp {c}, {d}, [{to}, #16]",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #32]", "stp {c}, {d}, [{to}, #48]",
                "dc civac, {to}",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #64]", "stp {c}, {d}, [{to}, #80]",
                "ldp {a}, {b}, [{from}], #16", "ldp {c}, {d}, [{from}], #16",
                "stp {a}, {b}, [{to}, #96]", "stp {c}, {d}, [{to}, #112]",
                "add {to}, {to}, #64", "dc civac, {to}", "add {to}, {to}, #64",
                "cmp {to}, {end}",
                "b.lo 2b",
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                from = inout(reg) from.as_ptr() => _, to = inout(reg) destination => _,
                end = in(reg) destination.wrapping_add(pairs),
                options(nostack)
            );
        }
    }
    let rest = from.len().wrapping_sub(pairs);
    // SAFETY: as above, the bytes after the pairs of lines.
    unsafe {
        let from = from.as_ptr().wrapping_add(pairs);
        ptr::copy_nonoverlapping(from, destination.wrapping_add(pairs), rest);
    }
    // Those, and what the last pair wrote of one more line if the destination does not begin with a line.
    flush_lines(to.wrapping_add((pairs as u64).saturating_sub(1)), rest as u64 + 1);
}

/// The virtual LPI configuration of a VM, as the plan has it. While its vPEs are not resident.
pub fn write_vlpi_config<S: System>(vm: &Vm) {
    let (base, bytes) = vm.vlpi_config;
    if vm.vlpi_config_start.len() as u64 <= bytes {
        let table = base.value() as *mut u8;
        // SAFETY: the plan gives this table to the VM's vPEs; the GIC reads it, nothing else writes it now.
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
        clear(Pa::new(after.wrapping_add(head) as u64), rest.wrapping_sub(head) as u64);
        publish::<S>(base, bytes);
        super::sysreg::dsb_sy();
    }
}

/// The byte of one vLPI there, before the ITS is told to look at it.
pub fn write_vlpi<S: System>(vm: &Vm, vintid: u32, byte: u8) {
    const FIRST: u32 = 8192;
    let (base, bytes) = vm.vlpi_config;
    let index = u64::from(vintid.wrapping_sub(FIRST));
    if index < bytes {
        let place = base.offset(index).value() as *mut u8;
        // SAFETY: inside the table that the plan gives to the VM's vPEs; the GIC only reads it, and copies of a byte are atomic.
        unsafe { place.write_volatile(byte) };
        publish::<S>(base.offset(index), 1);
        super::sysreg::dsb_sy();
    }
}

/// A command in a guest's queue. `from` is a multiple of 32 in the memory of a VM.
pub fn read_command<S: System>(from: Pa) -> [u64; 4] {
    window::within_page::<S, _>(from, |from| {
        refresh(from);
        // SAFETY: memory of a VM (`vm::Guest::memory`), in the window; no Rust object lies there, and any value will do.
        core::array::from_fn(|n| unsafe { (from as *const u64).wrapping_add(n).read_volatile() })
    })
}

/// A byte in the memory of a VM.
pub fn read_byte<S: System>(from: Pa) -> u8 {
    window::within_page::<S, _>(from, |from| {
        refresh(from);
        // SAFETY: as for `read_command`.
        unsafe { (from as *const u8).read_volatile() }
    })
}

/// A word of a flash, whose guest does not reach it now. `at` is a multiple of 4.
pub fn read_word<S: System>(at: Pa) -> u32 {
    window::within_page::<S, _>(at, |at| {
        // SAFETY: memory of a VM, in the window; no Rust object lies there, and any value will do.
        unsafe { (at as *const u32).read_volatile() }
    })
}

/// The same written. The guest sees it, with its caches on or off.
pub fn write_word<S: System>(at: Pa, value: u32) {
    window::within_page::<S, _>(at, |at| {
        // SAFETY: as for `read_word`; the flash's lock makes the caller its only writer.
        unsafe { (at as *mut u32).write_volatile(value) };
        flush_lines(at, 4);
    });
}

/// Sets all bits of memory of a flash, whose guest does not reach it now, in pieces as [`flush_some`]. Multiples of 64 bytes.
pub fn set_and_flush_some<S: System>(base: Pa, bytes: u64) -> u64 {
    window::with::<S>(base, bytes, Amount::Pieces(COPIED_AT_ONCE), &mut |at, bytes| {
        // SAFETY: as for `write_word`.
        unsafe { ptr::write_bytes(at as *mut u8, 0xff, bytes as usize) };
        flush_lines(at, bytes);
    })
}

/// What a guest wrote there past the caches is seen, and what it wrote into them, too.
fn refresh(line: u64) {
    // SAFETY: cleaning and invalidating changes no value.
    unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
    super::sysreg::dsb_sy();
}

/// A word of RAM, or None if the read was answered with an abort.
pub fn probe<S: System>(word: Pa) -> Option<u64> {
    window::within_page::<S, _>(word, |at| probe::read64(Pa::new(at)))
}

/// Frame of a redistributor.
pub type RedistributorFrame = MmioFrame;

fn frame(base: Pa) -> MmioFrame {
    // SAFETY: a frame of the plan's, mapped as device memory in EL2's table for good. The tables that its registers
    // name come from the plan, too, which gives them to the GIC alone.
    unsafe { MmioFrame::new(base.value() as usize) }
}

pub fn distributor<S: System>() -> MmioFrame {
    frame(S::PLAN.board.distributor)
}

pub fn redistributor(cpu: &Cpu) -> RedistributorFrame {
    frame(cpu.redistributor)
}

pub fn its(its: &Its) -> MmioFrame {
    frame(its.base)
}

/// The ITS's command queue. Called once.
pub fn its_queue<const COHERENT: bool>(its: &Its) -> QueueRam<COHERENT> {
    let (base, bytes) = its.queue;
    // SAFETY: the plan gives this memory to the queue alone, aligned to 64 KiB, and CBASER names it.
    unsafe { QueueRam::new(base.value() as *mut [u64; 4], (bytes / 32) as u32) }
}

/// The configuration table of physical LPIs, which is in use at `at`: the plan's, or one in reserved memory that was taken over
/// (`gicv4::redist`) and gets the plan's bytes. Called once.
pub fn lpi_config<S: System, const COHERENT: bool>(its: &Its, at: u64) -> LpiTable<COHERENT> {
    let (mut base, bytes) = its.lpi_config;
    if !S::PLAN.board.inherited.is_empty() && at != base.value() {
        // SAFETY: the plan gives this table to EL2 and the GIC, and nothing writes it now.
        let planned = unsafe { slice::from_raw_parts(base.value() as *const u8, bytes as usize) };
        // Reserved for this and mapped (`inherited` in codegen's plan/own.rs); not smaller than the plan's.
        base = Pa::new(at);
        copy_and_flush_lines(at, planned);
        super::sysreg::dsb_sy();
    } else {
        publish::<S>(base, bytes);
    }
    // SAFETY: the plan gives this table to the GIC, and the caller is its only writer.
    unsafe { LpiTable::new(base.value() as *mut u8, bytes as u32) }
}

/// A word of a function's configuration space. `offset` is below 4096.
pub fn config_space(function: &PciFunction, offset: u16) -> Word {
    Word::new(function.config.offset(u64::from(offset & 0xfff)))
}

/// What was written to the function's configuration space has arrived. A host bridge may keep such a write while accesses to a
/// BAR overtake it; the answer to a read cannot.
pub fn complete_config(function: &PciFunction) {
    let _ = Word::new(function.config).read();
    super::sysreg::dsb_sy();
}

/// A word of the pages that hold the function's MSI-X table. None: it is not EL2's, or `offset` is
/// beyond.
pub fn msix_table(function: &PciFunction, offset: u32) -> Option<Pa> {
    let (base, bytes) = function.msix?.pages?;
    (u64::from(offset) < bytes).then(|| base.offset(u64::from(offset & !3)))
}

/// A word at one of [`msix_table`]'s addresses, or of configuration space.
pub fn word(at: Pa) -> Word {
    Word::new(at)
}

/// A word of a bridge's configuration space. `offset` is below 4096.
pub fn bridge_space(bridge: &PciBridge, offset: u16) -> Word {
    Word::new(bridge.config.offset(u64::from(offset & 0xfff)))
}
