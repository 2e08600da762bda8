// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A software SMMU's registers.

use super::state::State;
use super::{Smmu, Violation};
use crate::frame::Frame;
use crate::regs::*;

const SMMUEN: u32 = SMMU_CR0::SMMUEN::SET.value;
const EVTQEN: u32 = SMMU_CR0::EVTQEN::SET.value;
const CMDQEN: u32 = SMMU_CR0::CMDQEN::SET.value;
const UPDATE: u32 = SMMU_GBPA::Update::SET.value;

/// The register frame of a software SMMU.
#[derive(Clone, Debug)]
pub struct ModelFrame(pub(super) Smmu);

impl Frame for ModelFrame {
    fn read32(&self, offset: usize) -> u32 {
        self.0.state().read_register(offset)
    }
    fn read64(&self, offset: usize) -> u64 {
        let state = self.0.state();
        match offset {
            STRTAB_BASE => state.strtab_base,
            CMDQ_BASE => state.cmdq_base,
            EVTQ_BASE => state.evtq_base,
            _ => 0,
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.state().write_register(offset, value);
    }
    fn write64(&self, offset: usize, value: u64) {
        self.0.state().write_wide(offset, value);
    }
}

impl State {
    fn identification(&self, offset: usize) -> u32 {
        let config = &self.config;
        match offset {
            IDR0 => {
                SMMU_IDR0::S2P::SET.value
                    | SMMU_IDR0::TTF.val(2).value
                    | SMMU_IDR0::COHACC.val(config.coherent.into()).value
                    | SMMU_IDR0::MSI.val(config.msi.into()).value
                    | SMMU_IDR0::VMID16.val(config.vmid16.into()).value
                    | SMMU_IDR0::TTENDIAN.val(2).value
                    | SMMU_IDR0::STALL_MODEL.val(1).value
                    | SMMU_IDR0::ST_LEVEL.val(config.two_level.into()).value
            }
            IDR1 => {
                SMMU_IDR1::SIDSIZE.val(config.stream_bits.into()).value
                    | SMMU_IDR1::CMDQS.val(config.queue_bits.into()).value
                    | SMMU_IDR1::EVTQS.val(config.queue_bits.into()).value
            }
            IDR5 => {
                let [kib4, kib16, kib64] = config.granules;
                SMMU_IDR5::OAS.val(config.oas.into()).value
                    | SMMU_IDR5::GRAN4K.val(kib4.into()).value
                    | SMMU_IDR5::GRAN16K.val(kib16.into()).value
                    | SMMU_IDR5::GRAN64K.val(kib64.into()).value
            }
            AIDR => 1,
            _ => 0,
        }
    }

    fn read_register(&mut self, offset: usize) -> u32 {
        match offset {
            CR0 => self.cr0.written,
            CR0ACK if self.frozen => self.cr0.followed,
            CR0ACK => self.cr0.read(),
            CR1 => self.cr1,
            CR2 => self.cr2,
            GBPA if self.frozen => self.gbpa.followed | UPDATE,
            GBPA => {
                let value = self.gbpa.read();
                if self.gbpa.is_pending() { value | UPDATE } else { value }
            }
            IRQ_CTRL => self.irq_ctrl.written,
            IRQ_CTRLACK if self.frozen => self.irq_ctrl.followed,
            IRQ_CTRLACK => self.irq_ctrl.read(),
            GERROR => self.gerror,
            GERRORN => self.gerrorn,
            STRTAB_BASE_CFG => self.strtab_config,
            CMDQ_PROD => self.cmdq_prod,
            CMDQ_CONS => {
                self.step_commands();
                self.cmdq_cons
            }
            EVTQ_PROD => self.evtq_prod,
            EVTQ_CONS => self.evtq_cons,
            other => self.identification(other),
        }
    }

    fn write_register(&mut self, offset: usize, value: u32) {
        let on = self.cr0.written | self.cr0.followed;
        let guard = match offset {
            CR1 | CR2 => SMMUEN | EVTQEN | CMDQEN,
            STRTAB_BASE_CFG => SMMUEN,
            CMDQ_CONS => CMDQEN,
            EVTQ_PROD => EVTQEN,
            _ => 0,
        };
        if on & guard != 0 {
            self.violations.push(Violation::Guarded { offset });
            return;
        }
        let lag = if self.frozen { u32::MAX } else { self.config.ack_polls };
        let followed = match offset {
            CR0 => Some(&mut self.cr0),
            IRQ_CTRL => Some(&mut self.irq_ctrl),
            GBPA => Some(&mut self.gbpa),
            _ => None,
        };
        if let Some(register) = followed {
            if register.is_pending() {
                self.violations.push(Violation::Pending { offset });
            } else if offset != GBPA {
                register.write(value, lag);
            } else if value & UPDATE != 0 {
                register.write(value & !UPDATE, lag);
            }
            return;
        }
        match offset {
            CR1 => self.cr1 = value,
            CR2 => self.cr2 = value,
            GERRORN => self.acknowledge(value),
            STRTAB_BASE_CFG => self.strtab_config = value,
            CMDQ_PROD => self.post_commands(value),
            CMDQ_CONS => self.cmdq_cons = value,
            EVTQ_PROD => self.evtq_prod = value,
            EVTQ_CONS => self.evtq_cons = value,
            _ => self.violations.push(Violation::Unknown { offset }),
        }
    }

    fn write_wide(&mut self, offset: usize, value: u64) {
        let on = self.cr0.written | self.cr0.followed;
        let interrupts = self.irq_ctrl.written | self.irq_ctrl.followed;
        let (guarded, place) = match offset {
            STRTAB_BASE => (on & SMMUEN != 0, &mut self.strtab_base),
            CMDQ_BASE => (on & CMDQEN != 0, &mut self.cmdq_base),
            EVTQ_BASE => (on & EVTQEN != 0, &mut self.evtq_base),
            GERROR_IRQ_CFG0 => (interrupts & 1 != 0, &mut self.msi[0]),
            EVTQ_IRQ_CFG0 => (interrupts & 4 != 0, &mut self.msi[1]),
            _ => {
                self.violations.push(Violation::Unknown { offset });
                return;
            }
        };
        if guarded {
            self.violations.push(Violation::Guarded { offset });
        } else {
            *place = value;
        }
    }

    fn acknowledge(&mut self, value: u32) {
        let bits = (value ^ self.gerrorn) & !(self.gerror ^ self.gerrorn);
        if bits != 0 {
            self.violations.push(Violation::NotActive { bits });
        }
        self.gerrorn = value;
    }
}
