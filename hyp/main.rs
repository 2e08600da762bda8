//! The EL2 image of a system: boot, traps and the few things that remain at run time.
#![no_std]
#![no_main]

mod arch;
mod devices;
mod plan_data;
mod text;
mod trap;
mod irq;

use devices::pl011::Pl011;
use plan_data::PLAN;
use text::Line;

pub extern "C" fn first_cpu(entry_ticks: u64) -> ! {
    let uart = Pl011::new(PLAN.board.uart.base);
    uart.enable();
    uart.write_all(Line::new().text("hello ").hex(entry_ticks).text("\r\n").as_bytes());
    arch::smc::system_off()
}
pub extern "C" fn other_cpu(_cpu: usize) -> ! {
    arch::smc::park()
}
pub extern "C" fn stopped(esr: u64, elr: u64, far: u64) -> ! {
    let uart = Pl011::new(PLAN.board.uart.base);
    uart.write_all(Line::new().text("stopped: exception in EL2, esr ").hex(esr).text(", elr ").hex(elr).text(", far ").hex(far).text("\r\n").as_bytes());
    arch::smc::park()
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    arch::smc::park()
}
