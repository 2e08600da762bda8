// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers of the interrupts that EL2 takes. What each does: run/interrupts.rs.

use super::plan_data::PLAN;

/// SGI: something waits in the software state of a vPE of the CPU (`vm::vgic::deliver`).
pub const KICK: u8 = 0;
/// SGI: a vPE of the CPU, or the CPU's schedule, may have changed.
pub const REVIEW: u8 = 1;
/// SGI: something was printed.
pub const PRINTED: u8 = 2;
/// SGI: somebody asks where the CPU's vPEs are.
pub const ASKED: u8 = 3;

/// PPIs.
pub const VIRTUAL_TIMER: u32 = PLAN.board.timer.virtual_ppi as u32;
pub const PHYSICAL_TIMER: u32 = PLAN.board.timer.physical_ppi as u32;
pub const MAINTENANCE: u32 = PLAN.board.timer.maintenance_ppi as u32;
pub const HYPERVISOR_TIMER: u32 = PLAN.board.timer.hypervisor_ppi as u32;
/// None: no VM has the PMU.
pub const PMU: Option<u32> = match PLAN.board.pmu_ppi {
    Some(ppi) => Some(ppi as u32),
    None => None,
};

pub const FIRST_SPI: u32 = 32;
/// Behind the last SPI: numbers that say that there is no interrupt.
pub const FIRST_SPECIAL: u32 = 1020;
pub const FIRST_LPI: u32 = 8192;

/// One of a VM's own devices.
#[inline(always)]
pub fn is_guest_spi(intid: u32) -> bool {
    intid.wrapping_sub(FIRST_SPI) < FIRST_SPECIAL - FIRST_SPI && !is_own_spi(intid)
}

/// The UART's, or one of an SMMU's.
#[inline(always)]
pub fn is_own_spi(intid: u32) -> bool {
    Some(intid) == PLAN.board.console.intid() || is_smmu(intid)
}

/// One of an SMMU's.
#[inline(always)]
pub fn is_smmu(intid: u32) -> bool {
    PLAN.smmus.iter().any(|smmu| [smmu.event_intid, smmu.error_intid].contains(&intid))
}
