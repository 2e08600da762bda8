// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Shared CPUs and modes, resolved.

use super::files::Files;
use super::system::{Names, vpe_number};
use crate::model::{Budget, Claim, CpuUse, Frame, Mode, Rest, Sharing, VpeName, Window};
use crate::schema::S;
use crate::schema::schedule as toml;
use crate::schema::schedule::{Cpu, ModeCpu};

impl Names<'_> {
    /// A `[[cpu]]`.
    pub fn cpu_use(&self, files: &mut Files, cpu: &Cpu) -> CpuUse {
        match cpu {
            Cpu::Exclusive(cpu) => {
                CpuUse { cpu: self.cpu(files, &cpu.name), sharing: Sharing::Exclusive(None) }
            }
            Cpu::Priority(cpu) => self.priority(files, cpu),
            Cpu::Cyclic(cpu) => self.cyclic(files, cpu),
        }
    }

    /// A `[[mode]]`.
    pub fn mode(&self, files: &mut Files, mode: &toml::Mode) -> Mode {
        let cpus = mode.cpu.iter().map(|cpu| match &**cpu {
            ModeCpu::Idle(cpu) => {
                CpuUse { cpu: self.cpu(files, &cpu.name), sharing: Sharing::Idle }
            }
            ModeCpu::Exclusive(cpu) => CpuUse {
                cpu: self.cpu(files, &cpu.name),
                sharing: Sharing::Exclusive(Some(self.vpe(files, &cpu.vm, cpu.vpe.as_ref()))),
            },
            ModeCpu::Priority(cpu) => self.priority(files, cpu),
            ModeCpu::Cyclic(cpu) => self.cyclic(files, cpu),
        });
        let cpus = cpus.collect();
        let suspended = mode.suspended.iter();
        let suspended = suspended.map(|vpe| self.vpe(files, &vpe.vm, vpe.vpe.as_ref())).collect();
        Mode { name: mode.name.at(self.file), cpus, suspended }
    }

    fn priority(&self, files: &mut Files, cpu: &toml::PriorityCpu) -> CpuUse {
        let file = self.file;
        let claims = cpu.vpes.iter().map(|claim| Claim {
            vpe: self.vpe(files, &claim.vm, claim.vpe.as_ref()),
            priority: claim.priority.at(file),
            budget: claim.budget.as_ref().map(|budget| Budget {
                time: budget.time.map(file, |time| time.0),
                period: budget.period.map(file, |period| period.0),
                rest: budget.rest.unwrap_or(Rest::Background),
            }),
            at: claim.place(file),
        });
        let sharing = Sharing::Priority(claims.collect());
        CpuUse { cpu: self.cpu(files, &cpu.name), sharing }
    }

    fn cyclic(&self, files: &mut Files, cpu: &toml::CyclicCpu) -> CpuUse {
        let file = self.file;
        let windows = cpu.windows.iter().map(|window| Window {
            vpe: self.vpe(files, &window.vm, window.vpe.as_ref()),
            start: window.start.map(file, |start| start.0),
            length: window.length.map(file, |length| length.0),
            at: window.place(file),
        });
        let windows = windows.collect();
        let frame = Frame { length: cpu.frame.map(file, |frame| frame.0), windows };
        CpuUse { cpu: self.cpu(files, &cpu.name), sharing: Sharing::Cyclic(frame) }
    }

    fn vpe(&self, files: &mut Files, vm: &S<String>, vpe: Option<&S<u32>>) -> VpeName {
        VpeName { vm: self.find_vm(files, vm), number: vpe_number(vpe, vm, self.file) }
    }
}
