// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exceptions whose outcome the architecture, or docs/guest-abi.md, says.

use rt::hypercall::{self, Counter};
use rt::{cpu, println};

use crate::stub::{self, EL0, EL0_A32, EL0_T32, EL1, End, MMU_OFF, Start, code, high};

/// SVC #0 in each state: the stub got there.
const SVC: u32 = 0xd400_0001;
const SVC_A32: u32 = 0xef00_0000;
/// Two of them.
const SVC_T32: u32 = 0xdf00_df00;

/// Exception classes.
const UNDEFINED: u64 = 0x00;
const ILLEGAL: u64 = 0x0e;
const CALL_A32: u64 = 0x11;
const CALL: u64 = 0x15;
const REGISTER: u64 = 0x18;
const FETCH_LOWER: u64 = 0x20;
const FETCH: u64 = 0x21;
const PC_ALIGNMENT: u64 = 0x22;
const DATA_LOWER: u64 = 0x24;
const DATA: u64 = 0x25;
const STEP_LOWER: u64 = 0x32;

/// Vectors.
const SAME: u64 = 0x200;
const LOWER: u64 = 0x400;
const LOWER_A32: u64 = 0x600;

/// No memory of this VM, and no register.
const NOWHERE: u64 = 0x5_0000;
/// MDSCR_EL1.
const STEP: u64 = 1;
const CHANNEL_TRAPPED: u64 = 1 << 12;

#[derive(Default)]
struct Checks {
    wrong: u64,
}

/// What a stub has to come back with.
struct Expected {
    vector: u64,
    class: u64,
    /// Offset of ELR_EL1 from the stub's first instruction.
    offset: u64,
}

impl Checks {
    fn check(&mut self, what: &str, end: &End, at: u64, expected: Expected) {
        let Expected { vector, class, offset } = expected;
        let right = (end.vector, end.class(), end.elr) == (vector, class, at + offset);
        self.that(what, right, end);
    }

    fn that(&mut self, what: &str, right: bool, end: &End) {
        if !right {
            self.wrong += 1;
            println!("{what}: {end:x?}");
        }
    }
}

fn start(at: u64, state: u64) -> Start {
    Start { at, state, sctlr: MMU_OFF, high_vectors: false, x: [0x1111; 8] }
}

fn run(words: &[u32], state: u64) -> (End, u64) {
    let at = code(words);
    (stub::run(&start(at, state)), at)
}

/// How many were wrong.
pub fn all() -> u64 {
    let mut checks = Checks::default();
    programs(&mut checks);
    if has_aarch32() {
        coprocessors(&mut checks);
        thumb(&mut checks);
    } else {
        println!("no AArch32 here");
    }
    fetches(&mut checks);
    tables(&mut checks);
    steps(&mut checks);
    caches(&mut checks);
    checks.wrong
}

pub fn has_aarch32() -> bool {
    let features: u64;
    // SAFETY: reading it has no effect.
    unsafe {
        core::arch::asm!("mrs {}, id_aa64pfr0_el1", out(reg) features, options(nostack, nomem))
    };
    features & 0xf == 2
}

/// AArch64 programs at EL0, and states that do not exist.
fn programs(checks: &mut Checks) {
    const MRS_MDCCSR: u32 = 0xd533_0100;
    let served = Expected { vector: LOWER, class: CALL, offset: 8 };
    let (end, at) = run(&[MRS_MDCCSR, SVC], EL0);
    checks.check("debug channel", &end, at, served);
    checks.that("debug channel reads 0", end.x[0] == 0, &end);
    let now = stub::set_debug_control(CHANNEL_TRAPPED);
    let (end, at) = run(&[MRS_MDCCSR, SVC], EL0);
    checks.check(
        "debug channel, trapped by EL1",
        &end,
        at,
        Expected { vector: LOWER, class: REGISTER, offset: 0 },
    );
    checks.that("MDSCR_EL1 holds what was written", now == CHANNEL_TRAPPED, &end);
    stub::set_debug_control(0);
    // HVC, SMC; S3_3_C15_C0_0; LD64B.
    for word in [0xd400_0002, 0xd400_0003, 0xd53b_f000, 0xf83f_d000] {
        let (end, at) = run(&[word, SVC], EL0);
        let undefined = Expected { vector: LOWER, class: UNDEFINED, offset: 0 };
        checks.check("undefined at EL0", &end, at, undefined);
    }
    // WFI, WFE: done or passed over. Something is pending for WFE at the second time at the latest.
    const SEVL: u32 = 0xd503_20bf;
    const WFE: u32 = 0xd503_205f;
    let (end, at) = run(&[SEVL, WFE, SVC], EL0);
    checks.check("WFE", &end, at, Expected { vector: LOWER, class: CALL, offset: 12 });
    // A misaligned PC: br x0.
    let at = code(&[0xd61f_0000]);
    let mut from = start(at, EL0);
    from.x[0] = at + 2;
    let end = stub::run(&from);
    checks.check("PC", &end, at, Expected { vector: LOWER, class: PC_ALIGNMENT, offset: 2 });
    // An exception return to a mode that does not exist: msr spsr_el1, x0; msr elr_el1, x1; eret.
    let at = code(&[0xd518_4000, 0xd518_4021, 0xd69f_03e0, SVC]);
    let mut from = start(at, EL1);
    from.x[0] = 0x3ce;
    from.x[1] = at + 12;
    let end = stub::run(&from);
    checks.check("state", &end, at, Expected { vector: SAME, class: ILLEGAL, offset: 12 });
}

/// Programs in A32.
fn coprocessors(checks: &mut Checks) {
    let served = || Expected { vector: LOWER_A32, class: CALL_A32, offset: 8 };
    // DBGDRAR, DBGDSAR into r0; DBGDRAR into r0 and r1.
    for word in [0xee11_0e10, 0xee12_0e10, 0xec51_0e01] {
        let (end, at) = run(&[word, SVC_A32], EL0_A32);
        checks.check("CP14", &end, at, served());
        checks.that("CP14 reads 0", end.x[0] == 0, &end);
    }
    // MRCEQ without Z.
    let (end, at) = run(&[0x0e11_0e10, SVC_A32], EL0_A32);
    checks.check("condition", &end, at, served());
    checks.that("condition that does not hold", end.x[0] == 0x1111, &end);
    // CP15 c15; LDC p14, c5.
    for word in [0xee1f_0f10, 0xed90_5e00] {
        let (end, at) = run(&[word, SVC_A32], EL0_A32);
        let undefined = Expected { vector: LOWER_A32, class: UNDEFINED, offset: 0 };
        checks.check("undefined in A32", &end, at, undefined);
    }
    // The physical timer, which EL0 may use: CNTP_CTL, CNTP_CVAL. On a shared CPU the first of them
    // traps.
    stub::open_timers();
    for word in [0xee1e_0f32, 0xec51_0f2e] {
        let (end, at) = run(&[word, SVC_A32], EL0_A32);
        checks.check("timer", &end, at, served());
    }
    // No memory there: a load, and the next instruction.
    let at = code(&[0xe590_0000, SVC_A32]);
    let mut from = start(at, EL0_A32);
    from.x[0] = NOWHERE;
    let end = stub::run(&from);
    checks.check("load", &end, at, Expected { vector: LOWER_A32, class: DATA_LOWER, offset: 0 });
    let end = stub::run(&start(NOWHERE, EL0_A32));
    let nowhere = Expected { vector: LOWER_A32, class: FETCH_LOWER, offset: 0 };
    checks.check("fetch in A32", &end, NOWHERE, nowhere);
}

/// Programs in T32: short instructions, and IT blocks that go on behind an instruction that is
/// passed over.
fn thumb(checks: &mut Checks) {
    // WFI; SVC. An interrupt ends the wait, here or in EL2.
    stub::ring_timer(true);
    let (end, at) = run(&[0xdf00_bf30, SVC_T32], EL0_T32);
    stub::ring_timer(false);
    checks.check("WFI", &end, at, Expected { vector: LOWER_A32, class: CALL_A32, offset: 4 });
    // ITE EQ; MRCEQ p14, 0, r1, c1, c0, 0; MOVNE r2, #1; MOV r3, #2; SVC.
    let at = code(&[0xee11_bf0c, 0x2201_1e10, 0xdf00_2302]);
    let end = stub::run(&start(at, EL0_T32 | 1 << 30));
    checks.check("IT", &end, at, Expected { vector: LOWER_A32, class: CALL_A32, offset: 12 });
    let as_is = end.x[1..4] == [0, 0x1111, 2];
    checks.that("IT block that goes on", as_is, &end);
}

/// Code where there is no memory.
fn fetches(checks: &mut Checks) {
    for (state, vector, class) in [(EL1, SAME, FETCH), (EL0, LOWER, FETCH_LOWER)] {
        let end = stub::run(&start(NOWHERE, state));
        checks.check("fetch", &end, NOWHERE, Expected { vector, class, offset: 0 });
        checks.that("external abort", end.esr & 0x3f == 0x10 && end.far == NOWHERE, &end);
    }
}

/// Translation tables where there is no memory.
fn tables(checks: &mut Checks) {
    // msr ttbr0_el1, x0; isb; tlbi vmalle1; dsb nsh; isb; msr sctlr_el1, x1; isb; svc: the MMU goes
    // on without a table, and the first fetch fails into the vectors, which TTBR1_EL1 has.
    const TABLES: [u32; 8] = [
        0xd518_2000,
        0xd503_3fdf,
        0xd508_871f,
        0xd503_379f,
        0xd503_3fdf,
        0xd518_1001,
        0xd503_3fdf,
        SVC,
    ];
    for root in [0, NOWHERE & !0xfff] {
        let at = code(&TABLES);
        let mut from = start(at, EL1);
        from.high_vectors = true;
        from.x[0] = root;
        from.x[1] = stub::mmu_on();
        let end = stub::run(&from);
        let aborted = (end.vector, end.class()) == (SAME, FETCH);
        checks.that("table of code", aborted && is_external(&end) && end.elr == end.far, &end);
    }
    // msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb nsh; isb; ldr x2, [x1]; svc
    let at =
        code(&[0xd518_2020, 0xd503_3fdf, 0xd508_871f, 0xd503_379f, 0xd503_3fdf, 0xf940_0022, SVC]);
    let mut from = start(at, EL1);
    from.sctlr = stub::mmu_on();
    from.x[0] = NOWHERE;
    from.x[1] = high(0x1000);
    let end = stub::run(&from);
    checks.check("table of data", &end, at, Expected { vector: SAME, class: DATA, offset: 20 });
    checks.that("table of data", is_external(&end) && end.far == high(0x1000), &end);
}

/// A synchronous external abort, on a walk or not.
fn is_external(end: &End) -> bool {
    matches!(end.esr & 0x3f, 0x10 | 0x14..=0x17)
}

/// Caches by set and way come to EL2, whichever instruction does it, and nothing of memory is lost.
fn caches(checks: &mut Checks) {
    const LOOP: u64 = 32;
    let exits = || hypercall::counter(cpu::vpe(), Counter::ExitSysReg).unwrap_or(0);
    let before = exits();
    let word = core::hint::black_box([0x5eed; 64]);
    for operand in 0..LOOP {
        stub::set_and_way(operand << 6);
    }
    let trapped = exits() - before;
    if trapped < 3 * LOOP || word != [0x5eed; 64] {
        checks.wrong += 1;
        println!("set and way: {trapped} exits");
    }
}

/// MDSCR_EL1.SS is the guest's own.
fn steps(checks: &mut Checks) {
    const NOP: u32 = 0xd503_201f;
    const SS: u64 = 1 << 21;
    const DEBUG_MASKED: u64 = 1 << 9;
    stub::set_debug_control(STEP);
    let at = code(&[NOP, NOP, SVC]);
    let end = stub::run(&start(at, EL0 & !DEBUG_MASKED | SS));
    checks.check("step", &end, at, Expected { vector: LOWER, class: STEP_LOWER, offset: 4 });
    stub::set_debug_control(0);
}
