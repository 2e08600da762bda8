// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Of `gicd.rs`.

use super::*;
use crate::testing::{Cpu, FOREIGN, GICD, GICR, Machine, SPIS, guests, pair, write};

fn read(guest: &Guest, cpu: &Cpu, offset: u32) -> u32 {
    Distributor::read(guest, cpu, offset, 4).expect("a word") as u32
}

#[test]
fn identification() {
    let machine = Machine::new(3);
    let cpu = Cpu { machine: &machine, index: 0 };
    let [guest, _, other] = guests();
    // SPI 70 is the highest: words 0..=2; 14 INTID bits; No1N, A3V.
    assert_eq!(read(&guest, &cpu, 4), 1 << 25 | 1 << 24 | 13 << 19 | 2);
    assert_eq!(
        read(&other, &cpu, 4),
        1 << 25 | 1 << 24 | 13 << 19 | 1 << 17 | 1,
        "LPIs with a virtual ITS"
    );
    assert!(guest.vm.distributor.spis().eq(SPIS));
    assert_eq!(read(&guest, &cpu, 0), 0x50);
    assert_eq!(read(&guest, &cpu, 0xc), 0, "no TYPER2");
    assert_eq!(read(&guest, &cpu, 0xffe8) >> 4, 3, "GICv3");
}

/// What real guests do at boot: ones into every register, owned or not. The machine asserts that no
/// other VM's interrupt is touched.
#[test]
fn all_ones_reach_only_its_own() {
    let machine = Machine::new(3);
    let mut cpu = Cpu { machine: &machine, index: 0 };
    let [guest, ..] = guests();
    assert!(Distributor::write(&guest, &mut cpu, 0, 4, u64::MAX));
    assert_eq!(read(&guest, &cpu, 0), 0x53);
    for offset in (0x80..0xd00).chain(0xe00..0x1000).step_by(4) {
        assert!(Distributor::write(&guest, &mut cpu, offset, 4, u64::MAX), "{offset:#x}");
    }
    for intid in 0..1020 {
        assert!(Distributor::write(&guest, &mut cpu, 0x6000 + 8 * intid, 8, u64::MAX));
    }
    for word in 0..32 {
        let group = if matches!(word, 1 | 2) { u32::MAX } else { 0 };
        assert_eq!(read(&guest, &cpu, 0x080 + 4 * word), group, "IGROUPR{word}");
        // ICENABLER came after ISENABLER.
        assert_eq!(read(&guest, &cpu, 0x100 + 4 * word), 0, "ISENABLER{word}");
    }
    // INTIDs 33 and 34, the UART's and the watchdog's, are as they are for good.
    assert_eq!(read(&guest, &cpu, 0xc08), 0xaaaa_aa82, "ICFGR2");
    assert!(!machine.borrow().lines[FOREIGN as usize].enabled);
}

/// Of every INTID that GICD_TYPER admits the priority, the configuration and the route are stored,
/// as a guest that counts priority bits at INTID 32 expects; others have none.
#[test]
fn stored_for_interrupts_of_others() {
    let machine = Machine::new(3);
    let mut cpu = Cpu { machine: &machine, index: 0 };
    let [guest, ..] = guests();
    let before = machine.borrow().lines.iter().map(|line| line.edge).collect::<std::vec::Vec<_>>();
    for intid in 0..1020u32 {
        let admitted = (32..96).contains(&intid);
        Distributor::write(&guest, &mut cpu, 0x400 + intid, 1, 0xff);
        let bits = Distributor::read(&guest, &cpu, 0x400 + intid, 1);
        assert_eq!(bits, Some(if admitted { 0xf8 } else { 0 }), "priority of {intid}");
        Distributor::write(&guest, &mut cpu, 0x6000 + 8 * intid, 8, 1);
        let route = Distributor::read(&guest, &cpu, 0x6000 + 8 * intid, 8);
        assert_eq!(route, Some(u64::from(admitted)), "route of {intid}");
        if SPIS.contains(&intid) || [33, 34].contains(&intid) {
            continue;
        }
        let (register, field) = (0xc00 + 4 * (intid / 16), 2 * (intid % 16));
        for edge in [2, 0, 2] {
            let others = read(&guest, &cpu, register) & !(3 << field);
            Distributor::write(&guest, &mut cpu, register, 4, u64::from(others | edge << field));
            let wanted = if admitted { edge } else { 0 };
            assert_eq!(read(&guest, &cpu, register), others | wanted << field, "ICFGR of {intid}");
        }
    }
    let machine = machine.borrow();
    assert!(machine.lines.iter().map(|line| line.edge).eq(before), "only in software");
}

#[test]
fn widths() {
    let machine = Machine::new(3);
    let mut cpu = Cpu { machine: &machine, index: 0 };
    let [guest, ..] = guests();
    for (offset, bytes, allowed) in [
        (0x100, 4, true),
        (0x100, 1, false),
        (0x100, 2, false),
        (0x100, 8, false),
        (0x428, 1, true),
        (0x428, 2, false),
        (0x820, 1, true),
        (0x6000 + 8 * 40, 8, true),
        (0x6000 + 8 * 40, 4, true),
        (0x6000 + 8 * 40 + 4, 4, true),
        (0x6000 + 8 * 40, 1, false),
        (0x4, 1, false),
    ] {
        assert_eq!(
            Distributor::read(&guest, &cpu, offset, bytes).is_some(),
            allowed,
            "{offset:#x}/{bytes}"
        );
        assert_eq!(
            Distributor::write(&guest, &mut cpu, offset, bytes, 0),
            allowed,
            "{offset:#x}/{bytes}"
        );
    }
    Distributor::write(&guest, &mut cpu, 0x42a, 1, 0xa7);
    assert_eq!(Distributor::read(&guest, &cpu, 0x42a, 1), Some(0xa0));
    assert_eq!(read(&guest, &cpu, 0x428), 0x00a0_0000);
}

/// GICD_CTLR, written by two vPEs at once, and by one while the other enables its PPI: whatever
/// comes in the middle of what, at the end everything is as the registers say.
#[test]
fn group_switched_by_two_vpes_at_once() {
    const CONTROL: u64 = GICD;
    const PRIVATE: u64 = GICR + 0x1_0100;
    const TIMER: u64 = 1 << crate::testing::TIMER;
    for (first, second) in [
        ((CONTROL, 0), (CONTROL, 2)),
        ((CONTROL, 2), (CONTROL, 0)),
        ((CONTROL, 0), (PRIVATE, TIMER)),
        ((CONTROL, 2), (PRIVATE + 0x80, TIMER)),
    ] {
        for after in 0..12 {
            let machine = Machine::new(3);
            let [(guest, mut cpu), (other, _)] = pair(&machine);
            for (ipa, value) in
                [(PRIVATE, TIMER), (PRIVATE + 0x2_0000, TIMER), (CONTROL, 2 ^ first.1)]
            {
                write(&guest, &mut cpu, ipa, 4, value);
            }
            if second.0 == PRIVATE {
                write(&guest, &mut cpu, PRIVATE + 0x80, 4, TIMER);
            }
            machine.borrow_mut().meanwhile = Some((after, other, second.0, second.1));
            write(&guest, &mut cpu, first.0, 4, first.1);
            let group = read(&guest, &cpu, 0) & 2 != 0;
            let enabled = guest.vpe.redistributor.enabled_ppis(TIMER as u32) != 0;
            let case = std::format!("{first:x?} {second:x?} after {after}");
            let wanted = machine.borrow().meanwhile.is_some() || second.0 != PRIVATE + 0x80;
            let wanted = wanted && (second.0 != PRIVATE || machine.borrow().meanwhile.is_none());
            assert_eq!(enabled, group && wanted, "{case}");
            let machine = machine.borrow();
            assert_eq!(machine.cpus[0].timer.enabled, enabled, "{case}");
            assert_eq!(machine.cpus[1].timer.enabled, group, "{case}");
            assert_eq!(machine.lines[40].enabled, group, "{case}");
        }
    }
}
