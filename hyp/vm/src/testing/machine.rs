// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Physical interrupts and CPUs with list registers, and where everything is.

use super::SgiGic;
use crate::Guest;
use core::cell::RefCell;
use core::sync::atomic::AtomicU32;
use std::{vec, vec::Vec};

pub const LIST_REGISTERS: usize = 4;
pub const GICD: u64 = 0x0800_0000;
pub const GICR: u64 = 0x080a_0000;
pub const UART: u64 = 0x0900_0000;
pub const ECAM: u64 = 0x40_1000_0000;
/// ECAM of the second host: where that of the first would go on with bus 128.
pub const FAR_ECAM: u64 = ECAM + (128 << 20);
/// VM 0's functions, 00:02.0 behind the first host and 80:02.0 behind the second, and the bridge on
/// its way.
pub const FUNCTION: u64 = ECAM + (2 << 15);
pub const FAR_FUNCTION: u64 = FAR_ECAM + (2 << 15);
pub const BRIDGE: u64 = ECAM + (8 << 15);
/// What stands for 00:09.0.
pub const STAND_IN: u64 = ECAM + (9 << 15);
/// Where the messages of the first function go, with EventIDs below 3, and its MSI-X table: 4
/// vectors, in its third page.
pub const TRANSLATER: u64 = 0x0809_0040;
pub const TABLE: u64 = 0x80_1000_6000;
pub const RAM: u64 = 0x4000_0000;
/// No CPU's number.
pub const ABSENT: usize = usize::MAX;
pub const UART_INTID: u32 = 33;
/// VM 0's watchdog.
pub const WATCHDOG: u64 = 0x0a00_0000;
pub const WATCHDOG_INTID: u32 = 34;
/// SPIs of VM 0; 43 is VM 1's. Odd ones are level-sensitive.
pub const SPIS: [u32; 4] = [40, 41, 42, 70];
pub const FOREIGN: u32 = 43;
/// PPIs of the VMs', not where most boards have them: nothing relies on that.
pub const TIMER: u32 = 20;
pub const PHYSICAL_TIMER: u32 = 22;
pub const PMU: u32 = 23;

/// A physical interrupt.
#[derive(Clone, Copy, Default, Debug)]
pub struct Line {
    pub enabled: bool,
    pub pending: bool,
    pub active: bool,
    pub edge: bool,
    pub level: bool,
    pub cpu: usize,
}

/// The virtual CPU interface of one CPU.
#[derive(Clone, Default, Debug)]
pub struct Interface {
    pub registers: [u64; LIST_REGISTERS],
    pub eoi_count: u32,
    pub maintenance: u32,
    /// ICC_CTLR_EL1.EOImode.
    pub split: bool,
    /// PSTATE.I.
    pub masked: bool,
    /// Who runs here.
    pub guest: Option<Guest>,
    /// Priorities of what the guest has acknowledged and not ended.
    pub running: Vec<u8>,
    pub kicked: bool,
    pub timer: Line,
    pub physical: Line,
    pub pmu: Line,
}

#[derive(Debug)]
pub struct Machine {
    pub lines: Vec<Line>,
    pub cpus: Vec<Interface>,
    pub config: Vec<u32>,
    pub far_config: Vec<u32>,
    pub bridge: Vec<u32>,
    /// The pages of the first function's MSI-X table.
    pub table: Vec<u32>,
    /// What was written to the first function, and to the one behind the second host.
    pub written: Vec<(u16, u8, u32)>,
    pub far_written: Vec<(u16, u8, u32)>,
    /// The first function's configuration space becomes what is written to it.
    pub keeps: bool,
    pub output: usize,
    pub ticks: u64,
    /// A word that another vPE writes in the middle of what this one does: after so many changes of
    /// enables, once.
    pub meanwhile: Option<(usize, Guest, u64, u64)>,
    /// Events that wait for a list register.
    pub waiting: &'static [AtomicU32],
    pub stale: &'static [AtomicU32],
    /// Deadlines that became earlier.
    pub deadlines: usize,
    /// GICv4.1: what delivers SGIs.
    pub sgis: Option<SgiGic>,
}

impl Machine {
    pub fn new(cpus: usize) -> RefCell<Self> {
        let mut lines = vec![Line::default(); 1024];
        for (intid, line) in lines.iter_mut().enumerate() {
            line.edge = intid % 2 == 0;
        }
        RefCell::new(Self {
            lines,
            cpus: vec![Interface::default(); cpus],
            config: vec![0; 1024],
            far_config: vec![0; 1024],
            bridge: vec![0; 1024],
            table: vec![0; 1024],
            written: Vec::new(),
            far_written: Vec::new(),
            keeps: false,
            output: 0,
            ticks: 0,
            meanwhile: None,
            waiting: super::leak([AtomicU32::new(0)]),
            stale: super::leak([const { AtomicU32::new(0) }; 2]),
            deadlines: 0,
            sgis: None,
        })
    }

    pub(super) fn bits(&self, word: usize, of: impl Fn(&Line) -> bool) -> u32 {
        (0..32).fold(0, |bits, n| bits | u32::from(of(&self.lines[word * 32 + n])) << n)
    }

    pub(super) fn each(&mut self, word: usize, bits: u32, change: impl Fn(&mut Line)) {
        assert!(word > 0, "word 0 is not the distributor's");
        for n in (0..32).filter(|n| bits & 1 << n != 0) {
            assert_ne!(word as u32 * 32 + n, FOREIGN, "another VM's interrupt was touched");
            change(&mut self.lines[(word as u32 * 32 + n) as usize]);
        }
    }
}

/// NVMe-like: PM at 0x40, MSI-X at 0x50, MSI (64-bit) at 0x60.
pub fn pci_machine() -> RefCell<Machine> {
    let machine = Machine::new(1);
    let mut inner = machine.borrow_mut();
    inner.config[0] = 0x0010_1b36;
    inner.config[1] = 0x0010_0406;
    inner.config[0x30 / 4] = 0xfff0_0001;
    inner.config[0x34 / 4] = 0x40;
    inner.config[0x3c / 4] = 0x0000_01ff;
    inner.config[0x40 / 4] = 0x0003_5001;
    inner.config[0x44 / 4] = 0x0000_0008;
    inner.config[0x50 / 4] = 0x0003_6011;
    inner.config[0x54 / 4] = 0x0000_2000;
    inner.config[0x58 / 4] = 0x0000_3000;
    inner.config[0x60 / 4] = 0x0080_0005;
    drop(inner);
    machine
}
