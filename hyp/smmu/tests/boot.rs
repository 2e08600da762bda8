// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Boot: verification, the order of registers, and that nothing passes at any time.

mod common;

use common::*;
use smmu::gerror::GlobalError;
use smmu::model::{Config, Outcome, Smmu};
use smmu::regs;
use smmu::ste::Granule;
use smmu::unit::{Expect, Setup, Unit};
use smmu::{Error, Frame, Wait};

const EXPECT: Expect = Expect {
    stream_bits: 16,
    two_level: true,
    highest_vmid: 7,
    pa_bits: 40,
    granule: Granule::Kib4,
    command_bits: 8,
    event_bits: 8,
    coherent: true,
};

/// A frame whose every access a device accompanies by DMA, once it must not pass any more.
#[derive(Clone)]
struct Watched(Smmu);

impl Watched {
    fn try_dma(&self) {
        for id in [0, 0x18, 0xff, 0x100, 0x1_0000] {
            assert_eq!(self.0.dma(write(id, 0x4020_0000)), Outcome::Aborted, "{id:#x}");
        }
    }
}

impl Frame for Watched {
    fn read32(&self, offset: usize) -> u32 {
        let value = self.0.frame().read32(offset);
        self.try_dma();
        value
    }
    fn read64(&self, offset: usize) -> u64 {
        self.0.frame().read64(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.frame().write32(offset, value);
        self.try_dma();
    }
    fn write64(&self, offset: usize, value: u64) {
        self.0.frame().write64(offset, value);
        self.try_dma();
    }
}

#[test]
fn at_reset_everything_passes_and_after_abort_all_nothing() {
    for config in [Config::STRICT, Config::QEMU, Config { cr0: 0xd, ..Config::STRICT }] {
        let smmu = Smmu::new(config);
        assert_eq!(smmu.dma(write(0x18, 0x4000)), Outcome::Untranslated(0x4000));
        Unit::new(smmu.frame()).abort_all(POLLS).unwrap();
        assert_eq!(smmu.dma(write(0x18, 0x4000)), Outcome::Aborted);
        assert_eq!(smmu.take_violations(), []);
    }
}

#[test]
fn nothing_passes_while_it_is_enabled() {
    for config in [Config::STRICT, Config::QEMU, Config { leaky: true, ..Config::STRICT }] {
        for table in [linear(), two_level()] {
            let smmu = Smmu::new(config);
            write_table(&smmu, table);
            Unit::new(smmu.frame()).abort_all(POLLS).unwrap();
            let unit = Unit::new(Watched(smmu.clone()));
            let (commands, events) = rings();
            let setup = Setup { table, commands, events, coherent: true };
            unit.enable(&setup, smmu.commands(commands), POLLS).unwrap();
            assert_eq!(smmu.take_violations(), []);
            assert!(unit.errors().none());
        }
    }
}

#[test]
fn an_smmu_that_firmware_left_enabled_is_taken_over() {
    let board = Board::new(Config { cr0: 0xd, ..Config::STRICT }, linear());
    assert_eq!(board.arrives(write(0x18, WINDOW)), None);
}

#[test]
fn interrupts_come_by_wire() {
    let board = Board::new(Config::STRICT, linear());
    board.smmu.take_interrupts();
    assert_eq!(board.arrives(write(STRANGE, WINDOW)), None);
    assert!(board.smmu.take_interrupts().events);
}

#[test]
fn what_the_tables_were_made_for_is_found() {
    for config in [Config::STRICT, Config::QEMU] {
        Unit::new(Smmu::new(config).frame()).verify(&EXPECT).unwrap();
    }
    let plain = Config { two_level: false, vmid16: false, coherent: false, ..Config::STRICT };
    let modest = Expect { two_level: false, highest_vmid: 0xff, coherent: false, ..EXPECT };
    Unit::new(Smmu::new(plain).frame()).verify(&modest).unwrap();
}

#[test]
fn each_difference_has_its_name() {
    let strict = Config::STRICT;
    let large = Expect { highest_vmid: 0x100, pa_bits: 44, ..EXPECT };
    let cases: [(Config, Expect, &str); 9] = [
        (Config { coherent: false, ..strict }, EXPECT, "SMMU_IDR0.COHACC is 0x0, expected 0x1"),
        (Config { vmid16: false, ..strict }, large, "SMMU_IDR0.VMID16 is 0x0, expected 0x1"),
        (Config { two_level: false, ..strict }, EXPECT, "SMMU_IDR0.ST_LEVEL is 0x0, expected 0x1"),
        (Config { stream_bits: 9, ..strict }, EXPECT, "SMMU_IDR1.SIDSIZE is 0x9, expected 0x10"),
        (Config { queue_bits: 7, ..strict }, EXPECT, "SMMU_IDR1.CMDQS is 0x7, expected 0x8"),
        (
            Config { queue_bits: 9, ..strict },
            Expect { event_bits: 10, ..EXPECT },
            "SMMU_IDR1.EVTQS is 0x9, expected 0xa",
        ),
        (
            Config { granules: [false, true, true], ..strict },
            EXPECT,
            "SMMU_IDR5.GRAN4K is 0x0, expected 0x1",
        ),
        (Config { oas: 3, ..strict }, large, "SMMU_IDR5.OAS, in bits, is 0x2a, expected 0x2c"),
        (
            Config { granules: [true, true, false], ..strict },
            Expect { granule: Granule::Kib64, ..EXPECT },
            "SMMU_IDR5.GRAN64K is 0x0, expected 0x1",
        ),
    ];
    for (config, expect, text) in cases {
        let error = Unit::new(Smmu::new(config).frame()).verify(&expect).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

/// One register that reads otherwise, or does not keep some bits.
#[derive(Clone, Debug)]
struct Strange {
    smmu: Smmu,
    offset: usize,
    clear: u64,
    set: u32,
}

impl Frame for Strange {
    fn read32(&self, offset: usize) -> u32 {
        let value = self.smmu.frame().read32(offset);
        if offset == self.offset { value & !(self.clear as u32) | self.set } else { value }
    }
    fn read64(&self, offset: usize) -> u64 {
        self.smmu.frame().read64(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.smmu.frame().write32(offset, value);
    }
    fn write64(&self, offset: usize, value: u64) {
        let lost = if offset == self.offset { self.clear } else { 0 };
        self.smmu.frame().write64(offset, value & !lost);
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for (offset, clear, set, text) in [
        (regs::IDR0, 3 << 24, 2 << 24, "SMMU_IDR0.STALL_MODEL is 0x2, expected 0x0"),
        (regs::IDR0, 3 << 21, 3 << 21, "SMMU_IDR0.TTENDIAN is 0x3, expected 0x0"),
        (regs::IDR0, 1, 0, "SMMU_IDR0.S2P is 0x0, expected 0x1"),
        (regs::IDR0, 3 << 2, 1 << 2, "SMMU_IDR0.TTF, bit 1, is 0x0, expected 0x1"),
        (regs::IDR1, 0, 1 << 29, "SMMU_IDR1.QUEUES_PRESET is 0x1, expected 0x0"),
        (regs::IDR1, 0, 1 << 30, "SMMU_IDR1.TABLES_PRESET is 0x1, expected 0x0"),
        (regs::IDR5, 7, 7, "SMMU_IDR5.OAS, in bits, is 0x0, expected 0x28"),
        (regs::AIDR, 0, 1 << 4, "SMMU_AIDR.ArchMajorRev is 0x1, expected 0x0"),
    ] {
        let frame = Strange { smmu: Smmu::new(Config::STRICT), offset, clear, set };
        assert_eq!(Unit::new(frame).verify(&EXPECT).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_register_that_does_not_keep_its_value_is_named() {
    let (commands, events) = rings();
    let setup = Setup { table: linear(), commands, events, coherent: true };
    for (offset, lost, register) in [
        (regs::STRTAB_BASE, 0x4000_0000, "SMMU_STRTAB_BASE"),
        (regs::CMDQ_BASE, 2, "SMMU_CMDQ_BASE"),
        (regs::EVTQ_BASE, 0x1000, "SMMU_EVTQ_BASE"),
    ] {
        let smmu = Smmu::new(Config::STRICT);
        let unit = Unit::new(Strange { smmu: smmu.clone(), offset, clear: lost, set: 0 });
        match unit.enable(&setup, smmu.commands(commands), POLLS) {
            Err(Error::Differs { register: found, field: "readback", .. }) => {
                assert_eq!(found, register);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_smmu_that_does_not_follow_costs_a_bounded_wait() {
    let smmu = Smmu::new(Config::STRICT);
    let unit = Unit::new(smmu.frame());
    smmu.freeze(true);
    let waits = |error: Error| match error {
        Error::Timeout { wait, .. } => wait,
        other => panic!("{other}"),
    };
    assert_eq!(waits(unit.abort_all(POLLS).unwrap_err()), Wait::GlobalBypass);
    smmu.freeze(false);
    unit.abort_all(POLLS).unwrap();
    let (commands, events) = rings();
    let setup = Setup { table: linear(), commands, events, coherent: true };
    smmu.hang(true);
    let error = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap_err();
    assert_eq!(waits(error), Wait::CommandsConsumed);
    assert_eq!(smmu.dma(write(0x18, WINDOW)), Outcome::Aborted);
    smmu.freeze(true);
    let error = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap_err();
    assert_eq!(waits(error), Wait::Interrupts);
}

#[test]
fn service_failure_is_not_acknowledged_away() {
    let smmu = Smmu::new(Config { gerror: 0x100, ..Config::STRICT });
    let unit = Unit::new(smmu.frame());
    let (commands, events) = rings();
    let setup = Setup { table: linear(), commands, events, coherent: true };
    let error = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap_err();
    assert_eq!(error.to_string(), "SMMU_GERROR.SFM_ERR is 0x1, expected 0x0");
    assert!(unit.errors().contains(GlobalError::ServiceFailure));
}
