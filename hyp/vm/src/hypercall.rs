// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HVC and SMC: what a guest may ask, and what the image then does.
//!
//! docs/guest-abi.md is the list. HVC and SMC are served alike; unknown functions get
//! NOT_SUPPORTED.

use crate::{Guest, psci, workarounds};
use abi::{
    hypercall::*,
    psci::{VERSION as PSCI_VERSION, VERSION_1_1},
    smccc,
};
use plan::{ModeIndex, VpeIndex};

pub use crate::outcome::{Bell, Outcome};

/// The calls whose answer is a constant, by w0: x0, or None for [`call`]. A few instructions.
#[inline(always)]
pub const fn fast(function: u32) -> Option<u64> {
    match function {
        NOTHING => Some(smccc::SUCCESS),
        PSCI_VERSION => Some(VERSION_1_1),
        smccc::VERSION => Some(smccc::VERSION_1_2),
        _ => None,
    }
}

/// Any call: `registers` are x0..x3. `peer_runs` tells whether the VM of a vPE runs, for RING.
pub fn call(guest: &Guest, registers: [u64; 4], peer_runs: impl Fn(VpeIndex) -> bool) -> Outcome {
    let [function, first, second, third] = registers;
    let function = function as u32;
    if let Some(x0) = fast(function) {
        return Outcome::Return(x0);
    }
    if psci::owns(function) {
        return psci::call(guest, function, [first, second, third]);
    }
    match function {
        smccc::ARCH_FEATURES if workarounds::is_one(first as u32) => {
            Outcome::AskWorkaround(first as u32)
        }
        smccc::ARCH_FEATURES => Outcome::Return(arch_features(first as u32)),
        smccc::HYPERVISOR_UID => Outcome::ReturnFour(smccc::UID),
        smccc::HYPERVISOR_REVISION => Outcome::ReturnTwo(smccc::REVISION),
        REPORT => {
            guest.vm.health.report(first);
            Outcome::Return(smccc::SUCCESS)
        }
        COUNTER => {
            let value = usize::try_from(first)
                .ok()
                .and_then(|number| guest.vpes.get(number))
                .and_then(|vpe| vpe.counters.by_number(second));
            match value {
                Some(value) => Outcome::ReturnTwo([smccc::SUCCESS, value]),
                None => Outcome::Return(smccc::INVALID_PARAMETERS),
            }
        }
        SHOW_COUNTERS => Outcome::ShowCounters,
        MODE_SWITCH => mode(guest, first),
        RING => ring(guest, first, peer_runs),
        FEED => match &guest.config.watchdog {
            Some(watchdog) => Outcome::Feed(watchdog),
            None => Outcome::Return(smccc::NOT_SUPPORTED),
        },
        _ if workarounds::is_one(function) => Outcome::Workaround(function),
        _ => Outcome::Return(smccc::NOT_SUPPORTED),
    }
}

/// Answer of SMCCC_ARCH_FEATURES for `function`: 0 for what this service implements itself.
const fn arch_features(function: u32) -> u64 {
    match function {
        smccc::VERSION | smccc::ARCH_FEATURES => smccc::SUCCESS,
        _ => smccc::NOT_SUPPORTED,
    }
}

/// A mode that the plan has, asked for by the VM that may.
fn mode(guest: &Guest, index: u64) -> Outcome {
    let Some(modes) = &guest.plan.modes else { return Outcome::Return(smccc::DENIED) };
    let vm = guest.plan.vpes.get(guest.vpe_index(guest.number).index()).map(|vpe| vpe.vm);
    if modes.asker.is_none() || modes.asker != vm {
        return Outcome::Return(smccc::DENIED);
    }
    match u8::try_from(index) {
        Ok(index) if usize::from(index) < modes.modes.len() => {
            Outcome::SwitchMode(ModeIndex::new(index))
        }
        _ => Outcome::Return(smccc::INVALID_PARAMETERS),
    }
}

/// The event that rings the peer of the VM's channel end `index`.
fn ring(guest: &Guest, index: u64, peer_runs: impl Fn(VpeIndex) -> bool) -> Outcome {
    let first = usize::from(guest.config.first_channel_end);
    let end = usize::try_from(index)
        .ok()
        .filter(|&index| index < usize::from(guest.config.channel_end_count))
        .and_then(|index| Some((first + index, guest.plan.channel_ends.get(first + index)?)));
    let Some((end, plan)) = end else { return Outcome::Return(smccc::INVALID_PARAMETERS) };
    let event = plan.rings as usize;
    match guest.plan.events.get(event) {
        Some(route) if peer_runs(route.vpe) => Outcome::Ring(Bell { end, event }),
        _ => Outcome::Return(smccc::DENIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        counters::Counter,
        hypercall::Outcome::{Return, ReturnTwo},
        testing::guests,
    };

    fn ask(guest: &Guest, registers: [u64; 4]) -> Outcome {
        call(guest, registers, |_| true)
    }

    #[test]
    fn constants() {
        let [guest, ..] = guests();
        assert_eq!(ask(&guest, [0x8000_0000, 0, 0, 0]), Return(0x1_0002));
        assert_eq!(ask(&guest, [0x8400_0000, 0, 0, 0]), Return(0x1_0001));
        assert_eq!(ask(&guest, [0xc600_0005, 0, 0, 0]), Return(0));
        assert_eq!(ask(&guest, [0x8600_ff03, 0, 0, 0]), ReturnTwo([0, 1]));
        assert_eq!(ask(&guest, [0x8000_0001, 0x8000_0001, 0, 0]), Return(0));
        assert_eq!(ask(&guest, [0x8000_0001, 0x8000_0002, 0, 0]), Return(smccc::NOT_SUPPORTED));
        for function in workarounds::FUNCTIONS {
            let (asks, calls) = ([0x8000_0001, function.into(), 0, 0], [function.into(), 0, 0, 0]);
            assert_eq!(ask(&guest, asks), Outcome::AskWorkaround(function));
            assert_eq!(ask(&guest, calls), Outcome::Workaround(function));
        }
        // Only w0 names the function.
        assert_eq!(ask(&guest, [0xffff_ffff_8000_0000, 0, 0, 0]), Return(0x1_0002));
    }

    #[test]
    fn the_hypervisors_uid_in_bytes() {
        let Outcome::ReturnFour(words) = ask(&guests()[0], [0x8600_ff01, 0, 0, 0]) else {
            panic!()
        };
        let mut bytes = [0; 16];
        for (place, byte) in
            bytes.iter_mut().zip(words.iter().flat_map(|&word| (word as u32).to_le_bytes()))
        {
            *place = byte;
        }
        assert_eq!(u128::from_be_bytes(bytes), 0x8f2f9c4e_6d1a_4b58_9a51_62756c6b6864);
    }

    #[test]
    fn unknown_functions_are_never_a_success() {
        let [guest, ..] = guests();
        for function in [
            0,
            1,
            0x8000_0002,
            0x8000_8001,
            0x8600_0000,
            0xc600_0000,
            0xc600_0008,
            0xbf00_ff01,
            0xffff_ffff,
        ] {
            assert_eq!(
                ask(&guest, [function, 0, 0, 0]),
                Return(smccc::NOT_SUPPORTED),
                "{function:#x}"
            );
        }
    }

    #[test]
    fn report_and_counters() {
        let [guest, second, other] = guests();
        assert_eq!(ask(&guest, [0xc600_0001, 3, 0, 0]), Return(0));
        assert_eq!(guest.vm.health.reported(), Some(3));
        assert_eq!(other.vm.health.reported(), None);
        second.vpe.counters.count(Counter::Doorbells);
        assert_eq!(ask(&guest, [0xc600_0002, 1, 14, 0]), ReturnTwo([0, 1]));
        for (vpe, counter) in
            [(2, 14), (u64::MAX, 14), (0, crate::counters::COUNT as u64), (0, u64::MAX)]
        {
            assert_eq!(
                ask(&guest, [0xc600_0002, vpe, counter, 0]),
                Return(smccc::INVALID_PARAMETERS)
            );
        }
        assert_eq!(ask(&guest, [0xc600_0003, 0, 0, 0]), Outcome::ShowCounters);
    }

    #[test]
    fn feeds_the_watchdog_that_there_is() {
        let [guest, _, other] = guests();
        let own = guest.config.watchdog.as_ref().expect("it has one");
        assert_eq!(ask(&guest, [0xc600_0007, 0, 0, 0]), Outcome::Feed(own));
        assert_eq!(ask(&other, [0xc600_0007, 0, 0, 0]), Return(smccc::NOT_SUPPORTED));
    }

    #[test]
    fn rings_its_own_ends_only() {
        let [guest, _, other] = guests();
        assert_eq!(ask(&guest, [0xc600_0004, 0, 0, 0]), Outcome::Ring(Bell { end: 0, event: 0 }));
        assert_eq!(ask(&other, [0xc600_0004, 0, 0, 0]), Outcome::Ring(Bell { end: 1, event: 1 }));
        for index in [1, 2, u64::MAX] {
            assert_eq!(ask(&guest, [0xc600_0004, index, 0, 0]), Return(smccc::INVALID_PARAMETERS));
        }
        // The peer of VM 0 is vPE 2's VM.
        let peer_off = call(&guest, [0xc600_0004, 0, 0, 0], |vpe| vpe.index() != 2);
        assert_eq!(peer_off, Return(smccc::DENIED));
    }
}
