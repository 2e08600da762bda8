//! PSCI 1.1 for the vPEs of one VM.
//!
//! DEN 0022. A call is decoded here, changes at most the power state of the VM's own vPEs, and tells the image the rest.
//! No call of a guest's ever reaches the board's firmware. OS-initiated mode, SYSTEM_SUSPEND, SYSTEM_RESET2 and MIGRATE
//! are not supported.

use crate::{
    Guest,
    hypercall::Outcome,
    power::{Start, State},
};

pub const VERSION: u32 = 0x8400_0000;
pub const CPU_SUSPEND: u32 = 0x8400_0001;
pub const CPU_OFF: u32 = 0x8400_0002;
pub const CPU_ON: u32 = 0x8400_0003;
pub const AFFINITY_INFO: u32 = 0x8400_0004;
pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
pub const SYSTEM_OFF: u32 = 0x8400_0008;
pub const SYSTEM_RESET: u32 = 0x8400_0009;
pub const FEATURES: u32 = 0x8400_000a;
/// Set in the 64-bit forms of CPU_SUSPEND, CPU_ON and AFFINITY_INFO.
pub const SMC64: u32 = 0x4000_0000;

/// What VERSION answers: 1.1.
pub const VERSION_1_1: u64 = 0x1_0001;

pub const NOT_SUPPORTED: u64 = -1i64 as u64;
pub const INVALID_PARAMETERS: u64 = -2i64 as u64;
pub const ALREADY_ON: u64 = -4i64 as u64;
pub const ON_PENDING: u64 = -5i64 as u64;
pub const INVALID_ADDRESS: u64 = -9i64 as u64;

/// AFFINITY_INFO.
const INFO_ON: u64 = 0;
const INFO_OFF: u64 = 1;
const INFO_ON_PENDING: u64 = 2;
/// MIGRATE_INFO_TYPE: nothing to migrate.
const NO_MIGRATION: u64 = 2;
/// power_state bit 30: power-down rather than standby (original format).
const POWER_DOWN: u64 = 1 << 30;
/// power_state bits that the original format reserves.
const RESERVED: u64 = !0x4301_ffff;

/// A vPE sleeps until an interrupt is pending for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspend {
    /// None: standby, the call returns 0 when an interrupt is pending. Otherwise the vPE loses its state and begins
    /// there; interrupt registers of the GIC stay.
    pub resume: Option<Start>,
}

/// True for the IDs that PSCI owns, known or not.
pub const fn owns(function: u32) -> bool {
    function & !(SMC64 | 0x1f) == 0x8400_0000
}

/// Does call `function` with arguments x1..x3.
pub fn call(guest: &Guest, function: u32, arguments: [u64; 3]) -> Outcome {
    let [first, second, third] = arguments;
    // The 32-bit forms have 32-bit arguments.
    let mask = if function & SMC64 == 0 { u64::from(u32::MAX) } else { u64::MAX };
    let (first, second, third) = (first & mask, second & mask, third & mask);
    let wide = function & SMC64 != 0;
    match function & !SMC64 {
        CPU_ON => turn_on(guest, first, Start { entry: second, context: third }),
        CPU_SUSPEND => suspend(guest, first, Start { entry: second, context: third }),
        AFFINITY_INFO => Outcome::Return(affinity_info(guest, first, second)),
        VERSION if !wide => Outcome::Return(VERSION_1_1),
        FEATURES if !wide => Outcome::Return(features(first as u32)),
        MIGRATE_INFO_TYPE if !wide => Outcome::Return(NO_MIGRATION),
        CPU_OFF if !wide => turn_off(guest),
        SYSTEM_OFF if !wide => Outcome::VmOff,
        SYSTEM_RESET if !wide => Outcome::VmReset,
        _ => Outcome::Return(NOT_SUPPORTED),
    }
}

fn turn_on(guest: &Guest, target: u64, start: Start) -> Outcome {
    let Some(number) = guest.by_affinity(target) else {
        return Outcome::Return(INVALID_PARAMETERS);
    };
    if !guest.has_memory(start.entry) {
        return Outcome::Return(INVALID_ADDRESS);
    }
    let Some(vpe) = guest.vpes.get(number) else { return Outcome::Return(INVALID_PARAMETERS) };
    match vpe.power.turn_on(start) {
        Ok(()) => Outcome::StartVpe(guest.vpe_index(number)),
        Err(State::On | State::Suspended) => Outcome::Return(ALREADY_ON),
        Err(State::Off | State::Claimed | State::OnPending) => Outcome::Return(ON_PENDING),
    }
}

fn turn_off(guest: &Guest) -> Outcome {
    guest.vpe.power.turn_off();
    // Nobody is left to turn one on: that is the end of the VM. Two that leave at once may both see it.
    if guest.vpes.iter().all(|vpe| vpe.power.state() == State::Off) {
        Outcome::VmOff
    } else {
        Outcome::StopSelf
    }
}

fn suspend(guest: &Guest, power_state: u64, start: Start) -> Outcome {
    if power_state & RESERVED != 0 {
        return Outcome::Return(INVALID_PARAMETERS);
    }
    if power_state & POWER_DOWN == 0 {
        return Outcome::Suspend(Suspend { resume: None });
    }
    if !guest.has_memory(start.entry) {
        return Outcome::Return(INVALID_ADDRESS);
    }
    Outcome::Suspend(Suspend { resume: Some(start) })
}

fn affinity_info(guest: &Guest, target: u64, level: u64) -> u64 {
    let vpe = match level {
        0 => guest.by_affinity(target).and_then(|number| guest.vpes.get(number)),
        _ => None,
    };
    match vpe.map(|vpe| vpe.power.state()) {
        None => INVALID_PARAMETERS,
        Some(State::On | State::Suspended) => INFO_ON,
        Some(State::Off) => INFO_OFF,
        Some(State::Claimed | State::OnPending) => INFO_ON_PENDING,
    }
}

fn features(function: u32) -> u64 {
    const ON_64: u32 = CPU_ON | SMC64;
    const SUSPEND_64: u32 = CPU_SUSPEND | SMC64;
    const INFO_64: u32 = AFFINITY_INFO | SMC64;
    match function {
        VERSION | CPU_SUSPEND | CPU_OFF | CPU_ON | AFFINITY_INFO | MIGRATE_INFO_TYPE
        | SYSTEM_OFF | SYSTEM_RESET | FEATURES | ON_64 | SUSPEND_64 | INFO_64 => 0,
        // Where a caller of PSCI 1.0 looks for SMCCC 1.1 (DEN 0028 7.1).
        crate::smccc::VERSION => 0,
        _ => NOT_SUPPORTED,
    }
}
