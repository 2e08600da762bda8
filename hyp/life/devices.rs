// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The PCI functions of a VM, when it starts and when it stops.

use super::dma;
use crate::gic::hardware::Hardware;
use crate::state::parts::{MSIX, SMMU};
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use arch::device::Device;
use plan::Vm;
use vm::pci;

/// The VM's PCI functions.
fn functions(vm: &Vm) -> &'static [plan::PciFunction] {
    let first = usize::from(vm.first_function);
    PLAN.functions.get(first..first.wrapping_add(usize::from(vm.function_count))).unwrap_or(&[])
}

/// BARs and the command register of the VM's function `number`, as the plan decided them; no
/// interrupts yet, whatever firmware left. False: it has no such function.
pub fn set_up(vm: &Vm, number: usize) -> bool {
    let Some(function) = functions(vm).get(number) else { return false };
    pci::silence(&mut Hardware, function);
    let config = Device::function::<Built>(function);
    for write in function.setup {
        config.write(write.offset.into(), write.value);
    }
    config.complete();
    if MSIX {
        pci::table::clear(&mut Hardware, function);
    }
    true
}

/// No DMA and no MSI of the VM's devices any more. With `reset`, before another start, those that
/// can are reset. Returns milliseconds for which they must then be left alone.
pub fn stop(vm: &Vm, reset: bool) -> u32 {
    if SMMU && let Some(vpe) = PLAN.vpes.get(usize::from(vm.first_vpe)) {
        dma::detach(vpe.vm);
    }
    let quiet = |function| pci::quiet(&mut Hardware, function, reset);
    functions(vm).iter().map(quiet).fold(vm.settle_ms, u32::max)
}
