// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest that does everything wrong, at random: nothing panics, nothing is endless, nothing of
//! others is touched.
//!
//! The machine asserts that no other VM's interrupt is named, that no kick leaves the VM, that
//! configuration writes stay within the function, and that exits come to an end.

use crate::{
    exit::{DataAbort, Exit, SysReg},
    hypercall::{self, Outcome},
    mmio, sysreg,
    testing::{
        BRIDGE, Cpu, ECAM, FAR_ECAM, FAR_FUNCTION, FUNCTION, GICD, GICR, Machine, UART, guests,
    },
    vgic,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Access { cpu: usize, ipa: u64, bytes: u32, write: bool, value: u64 },
    Register { cpu: usize, iss: u32, value: u64 },
    Sgi { cpu: usize, value: u64 },
    Call { cpu: usize, registers: [u64; 4] },
    Acknowledge(usize),
    End(usize),
    Spi(u32),
    Input(u8),
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![Just(u64::MAX), Just(0), any::<u64>(), (0..64u32).prop_map(|bit| 1 << bit)]
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..0x1_0000u64).prop_map(|offset| GICD + offset),
        4 => (0..0x1000u64).prop_map(|offset| GICD + offset),
        3 => (0..0x5_0000u64).prop_map(|offset| GICR + offset),
        3 => (0..2u64, 0..0x1000u64).prop_map(|(vpe, offset)| GICR + vpe * 0x2_0000 + 0x1_0000 + offset),
        2 => (0..0x1010u64).prop_map(|offset| UART + offset),
        3 => (prop::sample::select(&[FUNCTION, FAR_FUNCTION, BRIDGE]), 0..0x1000u64)
            .prop_map(|(function, offset)| function + offset),
        2 => (prop::sample::select(&[ECAM, FAR_ECAM]), 0..0x10_1000u64)
            .prop_map(|(ecam, offset)| ecam + offset),
        1 => any::<u64>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let cpu = 0..2usize;
    let function = prop_oneof![
        (0..0x20u64).prop_map(|n| 0x8400_0000 + n),
        (0..0x20u64).prop_map(|n| 0xc400_0000 + n),
        (0..8u64).prop_map(|n| 0xc600_0000 + n),
        any::<u64>(),
    ];
    let argument = || prop_oneof![0..4u64, value()];
    prop_oneof![
        12 => (cpu.clone(), address(), 0..4u32, any::<bool>(), value(), any::<bool>()).prop_map(
            |(cpu, ipa, width, write, value, align)| {
                let bytes = 1 << width;
                let ipa = if align { ipa & !(u64::from(bytes) - 1) } else { ipa };
                Step::Access { cpu, ipa, bytes, write, value }
            }
        ),
        2 => (cpu.clone(), any::<u32>(), value()).prop_map(|(cpu, iss, value)| Step::Register { cpu, iss, value }),
        3 => (cpu.clone(), value()).prop_map(|(cpu, value)| Step::Sgi { cpu, value }),
        3 => (cpu.clone(), function, argument(), argument(), argument())
            .prop_map(|(cpu, f, a, b, c)| Step::Call { cpu, registers: [f, a, b, c] }),
        3 => cpu.clone().prop_map(Step::Acknowledge),
        2 => cpu.prop_map(Step::End),
        2 => prop::sample::select(std::vec![40u32, 42, 70]).prop_map(Step::Spi),
        1 => any::<u8>().prop_map(Step::Input),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(steps in prop::collection::vec(step(), 1..150)) {
        let machine = Machine::new(3);
        let guests = guests();
        let foreign = machine.borrow().lines[crate::testing::FOREIGN as usize];
        let mut running = [const { std::vec::Vec::new() }; 2];
        for step in steps {
            match step {
                Step::Access { cpu, ipa, bytes, write, value } => {
                    let mut hardware = Cpu { machine: &machine, index: cpu };
                    if write {
                        mmio::write(&guests[cpu], &mut hardware, ipa, bytes, value);
                    } else if let Some(read) = mmio::read(&guests[cpu], &mut hardware, ipa, bytes) {
                        prop_assert!(bytes == 8 || read >> (8 * bytes) == 0, "more than was asked for");
                    }
                }
                Step::Register { cpu, iss, value } => {
                    let register = SysReg::new(iss);
                    if sysreg::is_sgi1r(register) {
                        vgic::send_sgi(&guests[cpu], &mut Cpu { machine: &machine, index: cpu }, value);
                    } else {
                        sysreg::access(register, plan::Features::NONE, |_| value);
                    }
                }
                Step::Sgi { cpu, value } => {
                    vgic::send_sgi(&guests[cpu], &mut Cpu { machine: &machine, index: cpu }, value);
                }
                Step::Call { cpu, registers } => {
                    if let Outcome::StartVpe(vpe) = hypercall::call(&guests[cpu], registers, |_| true) {
                        prop_assert!(vpe.index() < 2);
                        guests[vpe.index()].vpe.power.take_start();
                    }
                }
                Step::Acknowledge(cpu) => {
                    if let Some(intid) = (Cpu { machine: &machine, index: cpu }).acknowledge() {
                        running[cpu].push(intid);
                    }
                }
                Step::End(cpu) => {
                    if let Some(intid) = running[cpu].pop() {
                        (Cpu { machine: &machine, index: cpu }).end(intid);
                    }
                }
                Step::Spi(intid) => machine.borrow_mut().lines[intid as usize].pending = true,
                Step::Input(byte) => {
                    if let Some(number) = guests[0].vm.receive(guests[0].vpes, byte) {
                        machine.borrow_mut().cpus[number].kicked = true;
                    }
                }
            }
            for (index, guest) in guests.iter().enumerate().take(2) {
                Cpu { machine: &machine, index }.settle(guest);
            }
        }
        let after = machine.borrow().lines[crate::testing::FOREIGN as usize];
        prop_assert_eq!(std::format!("{foreign:?}"), std::format!("{after:?}"));
        prop_assert_eq!(guests[2].vpe.redistributor.has_waiting(), false);
        prop_assert_eq!(guests[2].vpe.power.state(), crate::power::PowerState::Off);
    }

    #[test]
    fn every_syndrome_decodes(esr in any::<u64>(), value in any::<u64>()) {
        match Exit::decode(esr) {
            Exit::DataAbort(abort) => {
                prop_assert!(abort.rt() < 32 && abort.bytes() <= 8);
                abort.extend(value);
            }
            Exit::SysReg(register) => prop_assert!(register.rt() < 32),
            _ => {}
        }
        DataAbort::new(esr as u32).extend(value);
    }
}
