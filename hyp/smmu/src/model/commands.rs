// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A software SMMU consumes commands.

use super::Violation;
use super::state::State;
use crate::command::{COMMAND_BYTES, Command};
use crate::error::CommandFault;
use crate::gerror::GlobalError;
use crate::regs::SMMU_CMDQ_CONS;
use crate::regs::SMMU_CR0;

const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
const LOG2SIZE: u64 = 0x1f;

impl State {
    /// SMMU_CMDQ_PROD is written.
    pub(super) fn post_commands(&mut self, prod: u32) {
        let mask = self.command_mask();
        let used = prod.wrapping_sub(self.cmdq_cons) & mask;
        if self.takes_commands() && used > mask.div_ceil(2) {
            self.violations.push(Violation::Overrun);
        }
        self.cmdq_prod = prod;
        while self.config.command_polls == 0 && self.consume() {}
    }

    /// SMMU_CMDQ_CONS is read: time goes by.
    pub(super) fn step_commands(&mut self) {
        self.cmdq_reads += 1;
        if self.cmdq_reads > self.config.command_polls {
            self.cmdq_reads = 0;
            self.consume();
        }
    }

    fn command_mask(&self) -> u32 {
        (2 << (self.cmdq_base & LOG2SIZE)) - 1
    }

    fn takes_commands(&self) -> bool {
        self.cr0.followed & SMMU_CR0::CMDQEN::SET.value != 0
    }

    /// Consumes the next command; false: there is none, or the queue has stopped.
    fn consume(&mut self) -> bool {
        let mask = self.command_mask();
        let (reader, writer) = (self.cmdq_cons & mask, self.cmdq_prod & mask);
        let stopped = (self.gerror ^ self.gerrorn) & GlobalError::CommandQueue.bit() != 0;
        if self.hung || stopped || !self.takes_commands() || reader == writer {
            return false;
        }
        let place = self.cmdq_base & ADDRESS;
        let at = place + u64::from(reader & (mask >> 1)) * COMMAND_BYTES;
        let words = [self.memory.read(at), self.memory.read(at + 8)];
        match Command::decode(words) {
            Ok(command) => {
                self.execute(command);
                self.cmdq_cons = (reader + 1) & mask;
                true
            }
            Err(_) => {
                let code = u32::from(CommandFault::Illegal.code());
                self.cmdq_cons = reader | code << SMMU_CMDQ_CONS::ERR.shift;
                self.raise(GlobalError::CommandQueue.bit());
                false
            }
        }
    }

    fn execute(&mut self, command: Command) {
        if command != Command::Sync {
            self.begun.push(command);
            return;
        }
        self.before.clear();
        for command in core::mem::take(&mut self.begun) {
            self.complete(command);
        }
        if self.config.prefetch {
            self.prefetch_entries();
        }
    }

    fn complete(&mut self, command: Command) {
        match command {
            Command::CfgiSte { stream, leaf } => {
                self.entries.remove(&stream);
                self.all_read = false;
                if !leaf {
                    // Which descriptors are of this stream depends on SPLIT; all may go.
                    self.descriptors.clear();
                }
            }
            Command::CfgiAll => {
                self.entries.clear();
                self.descriptors.clear();
                self.entries_unknown = false;
                self.all_read = false;
            }
            Command::TlbiS12Vmall { vmid } => self.translations.retain(|key, _| key.0 != vmid),
            Command::TlbiNsnhAll => {
                self.translations.clear();
                self.translations_unknown = false;
            }
            Command::Sync => {}
        }
    }
}
