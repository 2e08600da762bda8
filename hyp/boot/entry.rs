// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the head and the vectors (`arch`) call.

use crate::boot::order;
use crate::exits::{interrupt, synchronous};
use crate::io::halt;
use crate::state::system::Built;
use crate::state::vms::EVENTS;
use crate::state::vpe::Vpe;
use arch::frame::{Frame, Next};
use arch::{CpuBoot, Handlers, SystemBoot};

arch::image!(Built, EVENTS);

impl Handlers for Built {
    #[inline(always)]
    fn first_cpu(system: SystemBoot<Self>, cpu: CpuBoot<Self>, entered: u64) -> ! {
        order::first_cpu(&system, cpu, entered)
    }
    #[inline(always)]
    fn other_cpu(cpu: CpuBoot<Self>) -> ! {
        order::other_cpu(cpu)
    }
    #[inline(always)]
    fn hvc_fast(vpe: &'static Vpe, frame: &mut Frame) -> Next {
        synchronous::hvc_fast(vpe, frame)
    }
    #[inline(always)]
    fn abort_fast(vpe: &'static Vpe, esr: u64, frame: &mut Frame) -> Next {
        synchronous::abort_fast(vpe, esr, frame)
    }
    #[inline(always)]
    fn register_fast(vpe: &'static Vpe, esr: u64, frame: &mut Frame) -> Next {
        synchronous::register_fast(vpe, esr, frame)
    }
    #[inline(always)]
    fn trap(vpe: &'static Vpe, esr: u64, frame: &mut Frame) -> Next {
        synchronous::trap(vpe, esr, frame)
    }
    #[inline(always)]
    fn irq_fast(vpe: &'static Vpe, taken: u64) -> u32 {
        interrupt::irq_fast(vpe, taken)
    }
    #[inline(always)]
    fn irq_rest(vpe: &'static Vpe, left: u32) -> Next {
        interrupt::irq_rest(vpe, left)
    }
    #[inline(always)]
    fn irq_slow(vpe: &'static Vpe, frame: &mut Frame) {
        interrupt::irq_slow(vpe, frame);
    }
    #[inline(always)]
    fn error(vpe: &'static Vpe, esr: u64, frame: &mut Frame) {
        synchronous::error(vpe, esr, frame);
    }
    #[inline(always)]
    fn stopped(esr: u64, elr: u64, far: u64) -> ! {
        halt::stopped(esr, elr, far)
    }
}
