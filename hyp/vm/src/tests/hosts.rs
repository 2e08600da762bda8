// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Functions behind several hosts: every address belongs to one function of one host, or to nobody.

use crate::mmio::{self, Written};
use crate::testing::{
    BRIDGE, Cpu, ECAM, FAR_ECAM, FAR_FUNCTION, FUNCTION, Machine, STAND_IN, guests,
};
use core::cell::RefCell;
use proptest::prelude::*;

const PAGE: u64 = 4096;
const BUS: u64 = 0x10_0000;

fn machine() -> RefCell<Machine> {
    let machine = Machine::new(1);
    machine.borrow_mut().config[0] = 0x0010_1b36;
    machine.borrow_mut().far_config[0] = 0x11e8_1234;
    machine.borrow_mut().bridge[0] = 0x000c_1b36;
    machine
}

#[test]
fn each_function_is_behind_its_own_host() {
    let machine = machine();
    let (mut cpu, [guest, _, other]) = (Cpu { machine: &machine, index: 0 }, guests());
    for (ipa, id) in [(FUNCTION, 0x0010_1b36), (FAR_FUNCTION, 0x11e8_1234), (BRIDGE, 0x000c_1b36)] {
        assert_eq!(mmio::read(&guest, &mut cpu, ipa, 4), Some(id));
        assert_eq!(mmio::read(&other, &mut cpu, ipa, 4), Some(0xffff_ffff), "not another VM's");
    }
    // The bridge is behind the first host alone.
    let beside = BRIDGE - ECAM + FAR_ECAM;
    assert_eq!(mmio::read(&guest, &mut cpu, beside, 4), Some(0xffff_ffff));
}

#[test]
fn each_function_is_sized_by_itself() {
    let machine = machine();
    let (mut cpu, [guest, ..]) = (Cpu { machine: &machine, index: 0 }, guests());
    let bars = |cpu: &mut Cpu| {
        [FUNCTION, FAR_FUNCTION].map(|at| mmio::read(&guest, cpu, at + 0x10, 4).unwrap())
    };
    mmio::write(&guest, &mut cpu, FAR_FUNCTION + 0x10, 4, 0xffff_ffff);
    assert_eq!(bars(&mut cpu), [0x1000_4004, 0xfff0_0000]);
    mmio::write(&guest, &mut cpu, FUNCTION + 0x10, 4, 0xffff_ffff);
    mmio::write(&guest, &mut cpu, FAR_FUNCTION + 0x10, 4, 0);
    assert_eq!(bars(&mut cpu), [0xffff_c004, 0x2800_0000]);
    assert_eq!(mmio::write(&guest, &mut cpu, FAR_FUNCTION + 4, 2, 6), Written::Done);
    let machine = machine.borrow();
    assert_eq!((machine.written.len(), &machine.far_written[..]), (0, &[(4, 2, 0x406)][..]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Of a bus of each host, and of what is beside it: functions and bridge answer, the rest of
    /// the buses is ones, and beyond them nothing is there.
    #[test]
    fn an_address_is_one_function_or_none(
        far in any::<bool>(),
        offset in prop_oneof![0..BUS + PAGE, (0..10u64, 0..PAGE).prop_map(|(device, at)| device << 15 | at)],
    ) {
        let machine = machine();
        let (mut cpu, [guest, ..]) = (Cpu { machine: &machine, index: 0 }, guests());
        let ecam = if far { FAR_ECAM } else { ECAM };
        let offset = offset & !3;
        let ipa = ecam + offset;
        let there = match ipa & !(PAGE - 1) {
            FUNCTION => Some(machine.borrow().config[offset as usize % 4096 / 4]),
            FAR_FUNCTION => Some(machine.borrow().far_config[offset as usize % 4096 / 4]),
            BRIDGE | STAND_IN => None,
            _ if offset >= BUS => {
                prop_assert_eq!(mmio::read(&guest, &mut cpu, ipa, 4), None);
                return Ok(());
            }
            _ => Some(u32::MAX),
        };
        let register = offset % 4096;
        if let (Some(value), 0..0x10) = (there, register) {
            prop_assert_eq!(mmio::read(&guest, &mut cpu, ipa, 4), Some(u64::from(value)), "{:#x}", ipa);
        }
    }
}
