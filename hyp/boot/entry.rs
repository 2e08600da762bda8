//! What the head and the vectors (`arch`) call.

use crate::boot::order;
use crate::exits::trap;
use crate::run::irq;
use crate::state::percpu::PerCpu;
use crate::state::system::Built;
use arch::vectors::{Frame, Next};
use arch::{CpuBoot, Handlers, SystemBoot};
use vm::text::Text;

arch::image!(Built);

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
    fn hvc_fast(vpe: &'static PerCpu, frame: &mut Frame) -> Next {
        trap::hvc_fast(vpe, frame)
    }
    #[inline(always)]
    fn abort_fast(vpe: &'static PerCpu, esr: u64, frame: &mut Frame) -> Next {
        trap::abort_fast(vpe, esr, frame)
    }
    #[inline(always)]
    fn register_fast(vpe: &'static PerCpu, esr: u64, frame: &mut Frame) -> Next {
        trap::register_fast(vpe, esr, frame)
    }
    #[inline(always)]
    fn trap(vpe: &'static PerCpu, esr: u64, frame: &mut Frame) -> Next {
        trap::trap(vpe, esr, frame)
    }
    #[inline(always)]
    fn irq_fast(vpe: &'static PerCpu) -> u32 {
        irq::irq_fast(vpe)
    }
    #[inline(always)]
    fn irq_rest(vpe: &'static PerCpu, left: u32) -> Next {
        irq::irq_rest(vpe, left)
    }
    #[inline(always)]
    fn irq_slow(vpe: &'static PerCpu, frame: &mut Frame) {
        irq::irq_slow(vpe, frame);
    }
    #[inline(always)]
    fn error(vpe: &'static PerCpu, esr: u64, frame: &mut Frame) {
        trap::error(vpe, esr, frame);
    }
    #[inline(always)]
    fn stopped(esr: u64, elr: u64, far: u64) -> ! {
        crate::stop(&mut |out| {
            out.text("exception in EL2, esr ");
            out.hex(esr);
            out.text(", elr ");
            out.hex(elr);
            out.text(", far ");
            out.hex(far);
        })
    }
}
