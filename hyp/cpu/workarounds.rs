// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Firmware's workarounds on this board's CPUs (`vm::workarounds`).
//!
//! Every CPU asks firmware once, at boot, and only where PSCI says that firmware has SMCCC 1.1. A
//! CPU that needs none pays a comparison with zero when its vPE changes.

use crate::state::cpu;
use crate::state::plan_data::CPU_COUNT;
use crate::state::system::Built;
use abi::smccc;
use arch::smc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use plan::CpuIndex;
use vm::workarounds::{FUNCTIONS, Workarounds};

static CPUS: [AtomicU32; CPU_COUNT] = [const { AtomicU32::new(0) }; CPU_COUNT];

/// Asks firmware, on the CPU `index`.
#[cold]
#[inline(never)]
pub fn discover(index: CpuIndex) {
    if !smc::has_arch_features::<Built>() {
        return;
    }
    let found = Workarounds::of(smc::arch_features::<Built>);
    if found.holds_stores() {
        smc::workaround::<Built>(FUNCTIONS[1], 1);
    }
    if let Some(place) = CPUS.get(index.index()) {
        place.store(found.bits(), Relaxed);
    }
}

fn of(index: CpuIndex) -> Workarounds {
    let bits = CPUS.get(index.index()).map_or(0, |place| place.load(Relaxed));
    Workarounds::from_bits(bits)
}

/// What the CPU `index` is to call before another VM has it; 0: nothing.
pub fn between_vms(index: CpuIndex) -> u32 {
    of(index).between_vms().unwrap_or(0)
}

/// Calls it.
#[cold]
#[inline(never)]
pub fn call(function: u32) {
    smc::workaround::<Built>(function, 0);
}

/// A guest asks for `function` by ARCH_FEATURES, or `calls` it, on the calling CPU.
#[cold]
#[inline(never)]
pub fn serve(function: u32, calls: bool) -> u64 {
    let here = cpu::calling_index().map_or(Workarounds::default(), of);
    if !calls {
        return here.answer(function);
    }
    if !here.serves(function) {
        return smccc::NOT_SUPPORTED;
    }
    smc::workaround::<Built>(function, 0);
    smccc::SUCCESS
}
