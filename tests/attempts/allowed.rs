// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What safe code may do: this one compiles.
#![no_std]
#![forbid(unsafe_code)]

use arch::device::Device;
use arch::region::Region;
use arch::{CpuBoot, System, SystemBoot, mmu, smc, vectors};

pub fn boot<S: System>(system: SystemBoot<S>, cpu: CpuBoot<S>) -> ! {
    mmu::clear_tables(&system);
    smc::cpu_on(&system, cpu.cpu());
    vectors::enter(cpu.frame())
}

pub fn memory<S: System>() -> Option<u64> {
    let vm = S::PLAN.vms.first()?;
    let own = vm.memory.first()?;
    Some(Region::<S>::of_vm(vm, own.pa, own.bytes)?.flush_some())
}

pub fn register<S: System>() -> Option<u32> {
    Some(Device::function::<S>(S::PLAN.functions.first()?).read(0))
}
