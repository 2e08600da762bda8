// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Greets, prints what it sees of its VM, and powers off.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::{Machine, Outcome, cpu, gic, hypercall, println, psci, timer};

rt::entry!(main);

fn main(machine: &'static Machine) -> Outcome {
    println!("hello from {} of system {}", machine.name(), machine.system());
    println!("vPE {} of {}, MPIDR {:#x}", cpu::vpe(), machine.vpes(), cpu::affinity());
    for memory in machine.memory() {
        println!("memory {:#x}..{:#x}", memory.base, memory.end());
    }
    let free = machine.free_memory();
    println!("free   {:#x}..{:#x}", free.base, free.end());
    match gic::identity() {
        Some(gic) => println!(
            "GIC: {} INTIDs, LPIs: {}, GICR_TYPER {:#x}",
            gic.intids, gic.lpis, gic.redistributor
        ),
        None => println!("GIC: none"),
    }
    let (major, minor) = psci::version();
    println!(
        "PSCI {major}.{minor}, counter {} Hz, entered at {}",
        timer::frequency(),
        machine.entered()
    );
    match hypercall::uid() {
        Ok(uid) => {
            let (major, minor) = hypercall::revision().unwrap_or_default();
            println!("hypervisor {uid:08x?}, revision {major}.{minor}");
        }
        Err(error) => println!("hypervisor: {error}"),
    }
    for event in machine.events() {
        println!(
            "{} event {}: INTID {} on vPE {}",
            event.device, event.event_id, event.vintid, event.vpe
        );
    }
    for end in machine.channels() {
        println!(
            "channel {}: {:#x}, {} bytes, INTID {}",
            end.name, end.memory.base, end.memory.bytes, end.vintid
        );
    }
    Outcome::Passed
}
