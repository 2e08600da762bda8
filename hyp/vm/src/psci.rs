// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PSCI 1.1 for the vPEs of one VM.
//!
//! DEN 0022. A call is decoded here, changes at most the power state of the VM's own vPEs, and
//! tells the image the rest. No call of a guest's ever reaches the board's firmware. OS-initiated
//! mode, SYSTEM_SUSPEND, SYSTEM_RESET2 and MIGRATE are not supported.

use crate::{
    Guest,
    outcome::Outcome,
    power::{PowerState, Start},
};
use abi::{psci::*, smccc};

pub use crate::outcome::Suspend;

/// power_state bits that the original format reserves.
const RESERVED: u64 = !0x0301_ffff;

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
    if !can_begin(guest, start.entry) {
        return Outcome::Return(INVALID_ADDRESS);
    }
    let Some(vpe) = guest.vpes.get(number) else { return Outcome::Return(INVALID_PARAMETERS) };
    match vpe.power.turn_on(start) {
        Ok(()) => Outcome::StartVpe(guest.vpe_index(number)),
        Err(PowerState::On | PowerState::Suspended | PowerState::Leaving) => {
            Outcome::Return(ALREADY_ON)
        }
        Err(
            PowerState::Off | PowerState::Claimed | PowerState::OnPending | PowerState::Loading,
        ) => Outcome::Return(ON_PENDING),
    }
}

/// A vPE can begin there: an instruction of the guest's memory. With its MMU off, as it begins, the
/// address is an IPA.
fn can_begin(guest: &Guest, entry: u64) -> bool {
    entry & 3 == 0 && guest.has_memory(entry)
}

/// The last vPE that leaves ends the VM, as nobody is there to turn one on. It stays on, for the
/// image to stop it with the VM. Two that leave at once may both see themselves as the last, which
/// does no harm.
fn turn_off(guest: &Guest) -> Outcome {
    guest.vpe.power.leave();
    let goes = |state| matches!(state, PowerState::Off | PowerState::Leaving);
    if guest.vpes.iter().any(|vpe| !goes(vpe.power.state())) {
        return Outcome::StopSelf;
    }
    guest.vpe.power.stay();
    Outcome::VmOff
}

fn suspend(guest: &Guest, power_state: u64, start: Start) -> Outcome {
    if power_state & RESERVED != 0 {
        return Outcome::Return(INVALID_PARAMETERS);
    }
    if power_state & POWER_DOWN == 0 {
        return Outcome::Suspend(Suspend { resume: None });
    }
    if !can_begin(guest, start.entry) {
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
        Some(PowerState::On | PowerState::Suspended | PowerState::Leaving) => INFO_ON,
        Some(PowerState::Off) => INFO_OFF,
        Some(PowerState::Claimed | PowerState::OnPending | PowerState::Loading) => INFO_ON_PENDING,
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
        smccc::VERSION => 0,
        _ => NOT_SUPPORTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hypercall::Outcome::Return,
        testing::{RAM, guests},
    };

    const ON_64: u32 = CPU_ON | SMC64;
    const INFO_64: u32 = AFFINITY_INFO | SMC64;

    fn on(guest: &Guest, target: u64) -> Outcome {
        call(guest, ON_64, [target, RAM + 0x1000, 7])
    }

    #[test]
    fn cpu_on_is_the_targets_and_only_once() {
        let [first, second, other] = guests();
        first.vpe.power.turn_on(Start { entry: RAM, context: 0 }).unwrap();
        first.vpe.power.take_start().unwrap();
        assert_eq!(on(&first, 1), Outcome::StartVpe(plan::VpeIndex::new(1)));
        assert_eq!(on(&first, 1), Return(ON_PENDING));
        assert_eq!(call(&first, INFO_64, [1, 0, 0]), Return(INFO_ON_PENDING));
        // The start is the target's: the caller's own state is as before.
        assert_eq!(first.vpe.power.take_start(), None);
        assert_eq!(second.vpe.power.take_start(), Some(Start { entry: RAM + 0x1000, context: 7 }));
        assert_eq!(on(&first, 1), Return(ALREADY_ON));
        assert_eq!(on(&first, 0), Return(ALREADY_ON));
        assert_eq!(other.vpe.power.state(), PowerState::Off, "another VM's vPE is out of reach");
    }

    #[test]
    fn wrong_targets_and_addresses() {
        let [first, ..] = guests();
        for target in [2, 3, 1 << 8, 1 << 16, 1 << 32, 1 << 31, u64::MAX] {
            assert_eq!(on(&first, target), Return(INVALID_PARAMETERS), "{target:#x}");
            assert_eq!(call(&first, INFO_64, [target, 0, 0]), Return(INVALID_PARAMETERS));
        }
        assert_eq!(call(&first, ON_64, [1, 0x0800_0000, 0]), Return(INVALID_ADDRESS));
        for misaligned in 1..4 {
            let entry = RAM + 0x1000 + misaligned;
            assert_eq!(call(&first, ON_64, [1, entry, 0]), Return(INVALID_ADDRESS), "{entry:#x}");
        }
        assert_eq!(call(&first, INFO_64, [1, 0, 0]), Return(INFO_OFF), "nothing was started");
        assert_eq!(call(&first, INFO_64, [1, 1, 0]), Return(INVALID_PARAMETERS));
        // The 32-bit form ignores the upper halves.
        assert_eq!(call(&first, AFFINITY_INFO, [0xff << 32 | 1, 0, 0]), Return(INFO_OFF));
        assert_eq!(call(&first, ON_64, [1, 0xff << 32 | RAM, 0]), Return(INVALID_ADDRESS));
        assert_eq!(
            call(&first, CPU_ON, [1, 0xff << 32 | RAM, 0]),
            Outcome::StartVpe(plan::VpeIndex::new(1))
        );
    }

    #[test]
    fn affinity_info_follows_the_state() {
        let [first, second, _] = guests();
        let info = || call(&first, INFO_64, [1, 0, 0]);
        assert_eq!(info(), Return(INFO_OFF));
        on(&first, 1);
        second.vpe.power.take_start();
        assert_eq!(info(), Return(INFO_ON));
        second.vpe.power.suspend();
        assert_eq!(info(), Return(INFO_ON));
        second.vpe.power.resume();
        first.vpe.power.turn_on(Start { entry: RAM, context: 0 }).unwrap();
        assert_eq!(call(&second, CPU_OFF, [0; 3]), Outcome::StopSelf);
        assert_eq!(info(), Return(INFO_ON), "its CPU still holds it");
        assert_eq!(on(&first, 1), Return(ALREADY_ON));
        second.vpe.power.turn_off();
        assert_eq!(info(), Return(INFO_OFF));
    }

    #[test]
    fn the_last_vpe_that_leaves_ends_the_vm() {
        let [first, ..] = guests();
        first.vpe.power.turn_on(Start { entry: RAM, context: 0 }).unwrap();
        first.vpe.power.take_start().unwrap();
        assert_eq!(call(&first, CPU_OFF, [0; 3]), Outcome::VmOff);
        assert_eq!(first.vpe.power.state(), PowerState::On);
    }

    #[test]
    fn of_two_vpes_that_leave_at_once_one_is_the_last() {
        let [first, second, _] = guests();
        for guest in [&first, &second] {
            guest.vpe.power.turn_on(Start { entry: RAM, context: 0 }).unwrap();
            guest.vpe.power.take_start().unwrap();
        }
        assert_eq!(call(&first, CPU_OFF, [0; 3]), Outcome::StopSelf);
        assert_eq!(
            call(&second, CPU_OFF, [0; 3]),
            Outcome::VmOff,
            "the other one is as good as off"
        );
    }

    #[test]
    fn suspend() {
        let [first, ..] = guests();
        assert_eq!(
            call(&first, CPU_SUSPEND | SMC64, [0, 0, 0]),
            Outcome::Suspend(Suspend { resume: None })
        );
        let resume = Some(Start { entry: RAM, context: 5 });
        assert_eq!(
            call(&first, CPU_SUSPEND | SMC64, [POWER_DOWN, RAM, 5]),
            Outcome::Suspend(Suspend { resume })
        );
        for entry in [0, RAM + 1, RAM + 2] {
            let answer = call(&first, CPU_SUSPEND | SMC64, [POWER_DOWN, entry, 5]);
            assert_eq!(answer, Return(INVALID_ADDRESS), "{entry:#x}");
        }
        assert_eq!(call(&first, CPU_SUSPEND | SMC64, [1 << 31, 0, 5]), Return(INVALID_PARAMETERS));
    }

    #[test]
    fn the_rest() {
        let [first, ..] = guests();
        let answer = |function, argument| call(&first, function, [argument, 0, 0]);
        assert_eq!(answer(VERSION, 0), Return(0x1_0001));
        assert_eq!(answer(MIGRATE_INFO_TYPE, 0), Return(2));
        assert_eq!(answer(SYSTEM_OFF, 0), Outcome::VmOff);
        assert_eq!(answer(SYSTEM_RESET, 0), Outcome::VmReset);
        assert_eq!(answer(FEATURES, u64::from(ON_64)), Return(0));
        assert_eq!(answer(FEATURES, 0x8000_0000), Return(0));
        assert_eq!(answer(FEATURES, 0x8400_0005), Return(NOT_SUPPORTED));
        // MIGRATE, SYSTEM_SUSPEND, SYSTEM_RESET2, 64-bit forms that do not exist.
        for function in [
            0x8400_0005,
            0x8400_000e,
            0x8400_0012,
            0xc400_0012,
            VERSION | SMC64,
            SYSTEM_OFF | SMC64,
        ] {
            assert!(owns(function));
            assert_eq!(answer(function, 0), Return(NOT_SUPPORTED));
        }
        assert!(!owns(0x8400_0020) && !owns(0xc600_0001) && !owns(0x8000_0000));
    }
}
