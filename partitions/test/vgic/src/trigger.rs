// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GICD_ICFGR of this VM's one device, again and again: a VM that has another field of the same
//! register does the same.

use rt::{Machine, figure, println};

use crate::{Failure, Frames, check};

const ICFGR: u64 = 0xc00;

pub fn run(machine: &'static Machine, frames: &Frames) -> Result<(), Failure> {
    let compatible = machine.argument("compatible").unwrap_or("");
    let Some((_, Some(intid))) = machine.device(compatible) else {
        return check("device", 0, 0, 1);
    };
    let count = machine.number("count").unwrap_or(100_000) as u32;
    println!("the trigger of SPI {intid}, {count} times");
    let register = ICFGR + 4 * u64::from(intid / 16);
    let field = 2 * (intid % 16);
    let mut lost = 0;
    for n in 0..count {
        let edge = (n & 1) << 1;
        frames.distributor.write32(register, edge << field);
        // Some time for the other one.
        for _ in 0..2 {
            lost += u32::from(frames.distributor.read32(register) >> field & 3 != edge);
        }
    }
    figure!("lost", lost);
    check("undone by another VM", intid, lost.into(), 0)
}
