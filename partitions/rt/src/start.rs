// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From the first instruction to `main`: an Image header, relocation, stacks, translation.
//!
//! The image begins with an arm64 Image header, so that it also boots by itself
//! (`qemu-system-aarch64 -kernel`) and under any hypervisor that knows Linux. Its first word is an
//! instruction that reads the counter: what a partition can know of how long it took to reach it.
//!
//! 1. Read CNTVCT_EL0, keep x0 (the device tree), leave DAIF masked, MMU and caches off; let FP and
//!    SIMD run. Two stacks: `main` runs on SP_EL0 with an unmapped page below it, handlers on
//!    SP_EL1, so that an overflow ends in a message.
//! 2. Apply the R_AARCH64_RELATIVE relocations to wherever the image lies; clear bss.
//! 3. Drop what caches may hold of the image (DDI 0487 D7.5): all of the above went to memory past
//!    them.
//! 4. Build the translation tables (`mmu`), turn MMU and caches on.
//! 5. `main`, in Rust.
//!
//! Other vPEs enter at `_secondary` by PSCI CPU_ON with the address of their stacks as context;
//! they only need the vectors and the finished tables. Not supported: entry at EL2 or EL3, more
//! than [`VPES`] vPEs.

use core::arch::global_asm;

use core::cell::UnsafeCell;

use crate::machine::Region;
use crate::{Machine, Outcome, console, gic, machine, mmu, smp};

/// vPEs that a partition can have.
pub const VPES: usize = 40;

/// Bytes below each stack that are not mapped, so that an overflow is noticed.
const GUARD: usize = 4096;
/// Bytes of stack of each vPE.
const MAIN: usize = 60 * 1024;
/// Bytes of stack of each vPE's exception handlers.
const EXCEPTION: usize = 16 * 1024;
/// All of a vPE's: a multiple of 4 KiB, as the ADD immediates of `rt_stacks` need.
const SLOT: usize = GUARD + MAIN + EXCEPTION;

/// The boot vPE's guard, its stack for `main` (SP_EL0) and its stack for handlers (SP_EL1). Other
/// vPEs' are at the end of the free memory, since only the device tree knows how many there are.
#[repr(C, align(4096))]
struct Stacks(UnsafeCell<[u8; SLOT]>);

// SAFETY: only the start-up code takes its address, for the boot vPE.
unsafe impl Sync for Stacks {}

#[unsafe(link_section = ".stacks")]
static STACKS: Stacks = Stacks(UnsafeCell::new([0; SLOT]));

unsafe extern "Rust" {
    /// What `entry!` names: the payload's `main`.
    safe fn __partition_main(machine: &'static Machine) -> Outcome;
}

global_asm!(
    r#"
.section .head, "ax"
.globl _start
_start:
    mrs     x21, cntvct_el0
    b       1f
    .quad   0                       // text_offset
    .quad   __image_size
    .quad   0xa                     // little endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0
1:  mov     x20, x0
    bl      rt_cpu_setup
    adrp    x1, _start
    add     x1, x1, :lo12:_start
    adrp    x2, __rela_start
    add     x2, x2, :lo12:__rela_start
    adrp    x3, __rela_end
    add     x3, x3, :lo12:__rela_end
2:  cmp     x2, x3
    b.hs    4f
    ldp     x4, x5, [x2], #16
    ldr     x6, [x2], #8
    cmp     x5, #1027               // R_AARCH64_RELATIVE
    b.ne    3f
    add     x6, x6, x1
    str     x6, [x1, x4]
    b       2b
3:  wfi                             // the link script lets no other kind through
    b       3b
4:  adrp    x2, __bss_start
    add     x2, x2, :lo12:__bss_start
    adrp    x3, __bss_end
    add     x3, x3, :lo12:__bss_end
5:  stp     xzr, xzr, [x2], #16
    cmp     x2, x3
    b.lo    5b
    dsb     sy
    mrs     x4, ctr_el0
    ubfx    x4, x4, #16, #4         // log2 of the words in the smallest data cache line
    mov     x5, #4
    lsl     x4, x5, x4
    mov     x2, x1
6:  dc      ivac, x2
    add     x2, x2, x4
    cmp     x2, x3
    b.lo    6b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    adrp    x0, {stacks}
    add     x0, x0, :lo12:{stacks}
    bl      rt_stacks
    mov     x0, x20
    bl      {map}
    bl      {mmu_on}
    mov     x0, x20
    mov     x1, x21
    mov     x29, xzr
    mov     x30, xzr
    b       {main}

.globl _secondary
_secondary:
    mov     x20, x0                 // its stacks
    bl      rt_cpu_setup
    mov     x0, x20
    bl      rt_stacks
    bl      {mmu_on}
    mov     x29, xzr
    mov     x30, xzr
    b       {secondary_main}

// What every vPE needs before anything else. Changes x0 and x1 only.
.section .text.rt_cpu_setup, "ax"
rt_cpu_setup:
    msr     daifset, #0xf
    mov     x0, #(3 << 20)          // CPACR_EL1.FPEN
    msr     cpacr_el1, x0
    mov     w0, #0x0800             // SCTLR_EL1: only what is RES1
    movk    w0, #0x30d0, lsl #16
    msr     sctlr_el1, x0
    adrp    x0, rt_vectors
    add     x0, x0, :lo12:rt_vectors
    msr     vbar_el1, x0
    isb
    ret

// The two stacks in the slot at x0: handlers run on SP_EL1, everything else on SP_EL0. Changes x1.
rt_stacks:
    add     x1, x0, #{slot}
    msr     spsel, #1
    mov     sp, x1
    add     x1, x0, #{main_top}
    msr     spsel, #0
    mov     sp, x1
    ret
"#,
    stacks = sym STACKS,
    slot = const SLOT,
    main_top = const GUARD + MAIN,
    map = sym mmu::build,
    mmu_on = sym mmu::enable,
    main = sym primary,
    secondary_main = sym smp::secondary,
);

/// First Rust of the boot vPE with translation and caches on.
extern "C" fn primary(tree: *const u8, entered: u64) -> ! {
    // SAFETY: x0 at entry, which the guest ABI says is the device tree; nothing of it has been
    // changed.
    let machine = machine::install(unsafe { Machine::new(tree, entered) });
    console::init(machine);
    gic::init(machine);
    gic::init_vpe();
    __partition_main(machine).end()
}

/// Where this image lies: text to the end of bss, stacks included.
pub(crate) fn image() -> Region {
    unsafe extern "C" {
        static _start: u8;
        static __end: u8;
    }
    let base = &raw const _start as u64;
    let end = &raw const __end as u64;
    Region { base, bytes: end - base }
}

/// The stacks of a vPE of this VM.
pub(crate) fn stacks_of(machine: &Machine, vpe: u32) -> Option<Region> {
    match vpe {
        0 => Some(Region { base: STACKS.0.get() as u64, bytes: SLOT as u64 }),
        _ => stacks(machine.unused_memory(), vpe),
    }
}

/// Where the stacks of a vPE other than the boot vPE are: at the end of `free`, the memory that
/// nothing else uses. None: it is too small.
pub(crate) fn stacks(free: Region, vpe: u32) -> Option<Region> {
    let bytes = SLOT as u64;
    let below = bytes.checked_mul(u64::from(vpe))?;
    let base = free.end().checked_sub(below).filter(|base| *base >= free.base)?;
    Some(Region { base, bytes })
}

/// The guard below each vPE's stack.
pub(crate) fn guards(machine: &Machine) -> impl Iterator<Item = Region> + '_ {
    (0..machine.vpes())
        .filter_map(|vpe| stacks_of(machine, vpe))
        .map(|stacks| Region { bytes: GUARD as u64, ..stacks })
}
