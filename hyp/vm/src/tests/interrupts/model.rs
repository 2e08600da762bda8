// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What interrupts should do: a flat table, and nothing clever.

use crate::testing::{PHYSICAL_TIMER, PMU, SPIS, TIMER, UART_INTID};
use std::{collections::BTreeMap, vec, vec::Vec};

/// The SPI that is a level.
pub const LEVEL: u32 = 41;
/// PPIs.
pub const PPIS: [u32; 3] = [TIMER, PHYSICAL_TIMER, PMU];

/// Interrupts that the test uses: SGIs 0..8, PPIs, SPIs and the UART.
pub fn interrupts() -> Vec<u32> {
    let mut all: Vec<u32> = (0..8).collect();
    all.extend(PPIS);
    all.push(UART_INTID);
    all.extend(SPIS);
    all
}

/// What one interrupt of one vPE should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    pub enabled: bool,
    pub pending: bool,
    /// A second edge came after EL2 acknowledged the first, before the guest did: the hardware
    /// keeps it.
    pub again: bool,
    pub active: bool,
    pub level: bool,
    pub priority: u8,
}

/// The naive model: a flat table, and a stack of active interrupts for each vPE.
pub struct Model {
    pub group: bool,
    pub table: BTreeMap<(usize, u32), Expected>,
    pub active: [Vec<u32>; 2],
    /// Active, but of no priority any more: dropped, or made active by a register.
    pub idle: [Vec<u32>; 2],
    /// EOImode of each vPE.
    pub split: [bool; 2],
    /// vPE that each SPI goes to.
    pub route: BTreeMap<u32, usize>,
    /// The second vPE is off.
    pub off: bool,
}

pub fn is_level(intid: u32) -> bool {
    PPIS.contains(&intid) || intid == UART_INTID || intid > 32 && intid % 2 == 1
}

/// SPIs have one state, whatever vPE they go to.
pub fn owner(intid: u32, vpe: usize) -> usize {
    if intid >= 32 { 0 } else { vpe }
}

impl Model {
    pub fn new(priorities: &[u8], split: [bool; 2]) -> Self {
        let mut table = BTreeMap::new();
        for (n, intid) in interrupts().into_iter().enumerate() {
            for vpe in 0..2 {
                if owner(intid, vpe) == vpe {
                    table.insert(
                        (vpe, intid),
                        Expected { priority: priorities[n], ..Expected::default() },
                    );
                }
            }
        }
        let route = interrupts().into_iter().filter(|&intid| intid >= 32).map(|spi| (spi, 0));
        Self {
            group: true,
            table,
            active: [vec![], vec![]],
            idle: [vec![], vec![]],
            split,
            route: route.collect(),
            off: false,
        }
    }

    pub fn at(&mut self, vpe: usize, intid: u32) -> &mut Expected {
        self.table.get_mut(&(owner(intid, vpe), intid)).expect("it exists")
    }

    /// Levels become pending as soon as they may be delivered; a hardware level that was taken
    /// stays so until it is switched off, as EL2 acknowledged it. The UART's follows its line.
    pub fn settle(&mut self) {
        let (group, off) = (self.group, self.off);
        for (&(vpe, intid), state) in &mut self.table {
            let live = group && state.enabled && !(PPIS.contains(&intid) && vpe == 1 && off);
            // What is given back to the hardware is one edge there.
            state.again &= live;
            if !is_level(intid) || intid == UART_INTID {
                continue;
            }
            if live && state.level && !state.active {
                state.pending = true;
            }
            if !live {
                state.pending = false;
            }
        }
        let uart = self.at(0, UART_INTID);
        uart.pending = uart.level;
    }

    /// A pending SPI went back to the hardware: of two edges one is left, and a level is what it
    /// is.
    pub fn returned(&mut self, intid: u32) {
        let state = self.at(0, intid);
        if !state.active {
            state.again = false;
            state.pending &= !is_level(intid);
        }
    }

    /// Priority of the most urgent interrupt that vPE may take now; `certain`: without levels that
    /// have fallen since EL2 took them, which may come still, or not.
    pub fn best(&self, vpe: usize, certain: bool) -> Option<u8> {
        let running = self.active[vpe]
            .last()
            .map_or(0xff, |&intid| self.table[&(owner(intid, vpe), intid)].priority);
        let table = self.table.iter().filter(|((owner, intid), _)| {
            self.route.get(intid).map_or(*owner == vpe, |&route| route == vpe)
        });
        let ready = table
            .filter(|(_, state)| self.group && state.enabled && state.pending && !state.active)
            .filter(|((_, intid), state)| !(certain && *intid == LEVEL && !state.level));
        ready.map(|(_, state)| state.priority).filter(|&priority| priority < running).min()
    }
}
