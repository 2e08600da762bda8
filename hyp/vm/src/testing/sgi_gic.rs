// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Virtual SGIs of the machine's first two vPEs, resident on CPUs of their own: the software GIC as
//! a GICv4.1.

use super::its_setup::{Kind, bring_up, vmapp_v41};
use gicv4::{
    VpeId,
    command::{Command, Encoded, SgiChange},
    layout,
    model::{Config, Gic, ItsFrame, ModelQueue, Signal, VlpiFrame},
    queue::Queue,
    vpe41::{NonResidentV41, ResidentV41, pending_sgis, send_sgi},
};
use plan::VpeIndex;
use std::vec::Vec;

const POLLS: u32 = 1000;
const VPES: u16 = 2;

#[derive(Debug)]
pub struct SgiGic {
    gic: Gic,
    queue: Queue<ItsFrame, ModelQueue>,
    residents: Vec<ResidentV41<VlpiFrame>>,
    /// Commands that it was given.
    pub commands: usize,
}

impl SgiGic {
    pub fn new() -> Self {
        let gic = Gic::new(Config { cpus: 4, ..Config::V4_1 });
        let (queue, vacants) = bring_up(&gic, Kind::V4_1);
        let mut new = Self { gic, queue, residents: Vec::new(), commands: 0 };
        let change = SgiChange::Configure { enabled: false, group1: true, priority: 0 };
        for (n, vacant) in (0..VPES).zip(vacants) {
            let vpe = VpeId::new(n);
            let sgis = (0..16).map(|sgi| Command::Vsgi { vpe, sgi, change });
            for command in [vmapp_v41(n)].into_iter().chain(sgis).chain([Command::Vsync { vpe }]) {
                new.run(&[command.encode()]);
            }
            let absent = NonResidentV41::new(layout::vpendbaser_v41(vpe, false));
            new.residents.push(absent.enter(vacant));
        }
        new.commands = 0;
        new.clean();
        new
    }

    pub fn run(&mut self, commands: &[Encoded]) {
        self.commands += commands.len();
        self.queue.run_words(commands).unwrap();
    }

    pub fn send(&self, vpe: VpeIndex, sgi: u32) {
        send_sgi(&self.gic.its_sgis(), VpeId::new(vpe.value()), sgi as u8);
    }

    pub fn pending(&self, vpe: VpeIndex) -> u32 {
        pending_sgis(&self.gic.vlpis(vpe.value()), VpeId::new(vpe.value()), POLLS).unwrap().into()
    }

    /// What the GIC offers to a CPU's vPE.
    pub fn signal(&self, cpu: usize) -> Option<Signal> {
        self.gic.virtual_signal(cpu as u16)
    }

    pub fn acknowledge(&self, cpu: usize) {
        self.gic.acknowledge_virtual(cpu as u16);
    }

    /// The hypervisor kept every rule, and no command of its own failed.
    #[track_caller]
    pub fn clean(&self) {
        assert_eq!((self.gic.take_errors(), self.gic.take_violations()), (Vec::new(), Vec::new()));
    }
}
