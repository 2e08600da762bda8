// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.ld: where everything lies, as symbols for the image's linker script.

use std::fmt::Write;

use crate::plan::Plan;

/// Start of the board's lowest RAM, and the image's distance from it: what an arm64 Image's header
/// says.
pub fn text_offset(plan: &Plan) -> (u64, u64) {
    let ram = plan.board.ram.iter().map(|ram| ram.base.value()).min().unwrap_or(0);
    (ram, plan.hypervisor.image.value() - ram)
}

/// The fragment.
pub fn fragment(plan: &Plan) -> String {
    let own = &plan.hypervisor;
    let (ram, text_offset) = text_offset(plan);
    let mut text = format!(
        "/* System {}: what the plan decided about the image's addresses. Generated.\n\
         \x20*\n\
         \x20* From HYP_BASE on: room for code, data and stacks; then tables and payload copies among each other. Most tables\n\
         \x20* of zeros want 64 KiB alignment and leave gaps that the others fill, so the flat binary holds some zeros, and\n\
         \x20* the memory kept is smallest. The room ends at a multiple of 64 KiB; what that leaves below HYP_BASE holds\n\
         \x20* tables of zeros, too. */\n",
        plan.system
    );
    let symbols = [
        ("RAM_BASE", ram, "first byte of the board's lowest RAM"),
        ("HYP_BASE", own.image.value(), "first byte of the image"),
        ("TEXT_OFFSET", text_offset, "what the Image header says"),
        (
            "HYP_SIZE",
            own.base.value() + own.bytes - own.image.value(),
            "everything ends below HYP_BASE + HYP_SIZE",
        ),
        ("HYP_ROOM", own.room, "for text, constants, data, bss and stacks"),
        ("STACK_SIZE", own.stack_bytes, "of each CPU"),
        ("CPU_COUNT", own.stacks, "CPUs from the first to the last in use"),
        ("TABLES_BASE", own.tables.value(), "first byte of tables.bin"),
        ("TABLES_LOADED", own.tables_loaded, "bytes of tables.bin, payload copies included"),
        (
            "TABLES_SIZE",
            own.tables_bytes,
            "bytes of all tables; boot clears what is not in tables.bin",
        ),
        ("PAYLOADS_BASE", own.tables.value() + own.tables_bytes, "end of everything"),
    ];
    for (name, value, what) in symbols {
        // A String takes any text.
        let _ = writeln!(text, "{name} = {value:#x}; /* {what} */");
    }
    text
}
