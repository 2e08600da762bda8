// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A panic ends the partition: message, report, power off.

use core::panic::PanicInfo;

use crate::{Outcome, console, cpu, println};

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    cpu::disable_interrupts();
    console::force_unlock();
    println!("{info}");
    Outcome::Failed(Outcome::PANIC).end()
}
