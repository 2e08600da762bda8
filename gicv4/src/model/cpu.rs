// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is signalled to a CPU's interface, and acknowledging it.

use super::state::State;
use crate::intid::IntId;
use crate::lpi::LpiConfig;
use crate::regs::vlpi::GICR_VPENDBASER_V41;

const VGRP1: u64 = GICR_VPENDBASER_V41::VGrp1En::SET.value;
const VGRP0: u64 = GICR_VPENDBASER_V41::VGrp0En::SET.value;

/// An interrupt on offer: priority first, then INTID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal {
    /// Lower is more urgent.
    pub priority: u8,
    /// What is offered.
    pub intid: IntId,
}

impl State {
    pub(super) fn physical_signal(&self, cpu: usize) -> Option<Signal> {
        let redist = self.redists.get(cpu)?;
        let offer = |intid: &u32| {
            let config = redist.configs.get(intid).filter(|config| config.enabled())?;
            Some(Signal { priority: config.priority(), intid: IntId::new(*intid) })
        };
        redist.lpis.iter().filter_map(offer).min().filter(|_| redist.lpis_enabled())
    }

    pub(super) fn acknowledge_physical(&mut self, cpu: usize) -> Option<Signal> {
        let signal = self.physical_signal(cpu)?;
        self.redists[cpu].lpis.remove(&signal.intid.value());
        Some(signal)
    }

    pub(super) fn virtual_signal(&self, cpu: usize) -> Option<Signal> {
        let redist = self.redists.get(cpu)?;
        let vpe = self.vpes.get(&redist.resident?)?;
        // GICv4.1 signals the groups that the residency has asked for; vLPIs are Group 1.
        let group1 = vpe.v41.is_none() || redist.vpendbaser & VGRP1 != 0;
        let group0 = redist.vpendbaser & VGRP0 != 0;
        let bytes = vpe.v41.as_ref().map_or(&redist.vconfigs, |v41| &v41.bytes);
        let vlpis = redist.vlpis.iter().filter_map(|vintid| {
            let config = LpiConfig::from_byte(*bytes.get((*vintid as usize).checked_sub(8192)?)?);
            (group1 && config.enabled())
                .then_some(Signal { priority: config.priority(), intid: IntId::new(*vintid) })
        });
        let sgis = vpe.v41.iter().flat_map(|v41| (0..).zip(v41.sgis)).filter_map(|(n, sgi)| {
            (sgi.enabled && sgi.pending && if sgi.group1 { group1 } else { group0 })
                .then_some(Signal { priority: sgi.priority, intid: IntId::new(n) })
        });
        vlpis.chain(sgis).min()
    }

    pub(super) fn acknowledge_virtual(&mut self, cpu: usize) -> Option<Signal> {
        let signal = self.virtual_signal(cpu)?;
        let resident = self.redists[cpu].resident?;
        let v41 = self.vpes.get_mut(&resident).and_then(|vpe| vpe.v41.as_mut());
        match v41.and_then(|v41| v41.sgis.get_mut(signal.intid.value() as usize)) {
            Some(sgi) => sgi.pending = false,
            None => {
                self.redists[cpu].vlpis.remove(&signal.intid.value());
            }
        }
        Some(signal)
    }
}
