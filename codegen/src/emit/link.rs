//! plan.ld: where everything lies, as symbols for the image's linker script.

use std::fmt::Write;

use crate::plan::Decided;

/// The fragment.
pub fn fragment(plan: &Decided) -> String {
    let own = &plan.hypervisor;
    let ram = plan.board.ram.first().map_or(0, |ram| ram.base.0);
    let mut text = format!(
        "/* System {}: what the plan decided about the image's addresses. Generated.\n\
         \x20*\n\
         \x20* From HYP_BASE on: room for code, data and stacks; tables; payload copies. Tables of zeros lie among the\n\
         \x20* others, because most of them want 64 KiB alignment and leave gaps that the others fill; so the\n\
         \x20* flat binary holds some zeros, and the memory kept is smallest. */\n",
        plan.system
    );
    let symbols = [
        ("RAM_BASE", ram, "first byte of the board's first RAM"),
        ("HYP_BASE", own.base.0, "first byte of the image"),
        ("TEXT_OFFSET", own.base.0 - ram, "what the Image header says"),
        ("HYP_SIZE", own.bytes, "everything must end below HYP_BASE + HYP_SIZE"),
        ("HYP_ROOM", own.room, "for text, constants, data, bss and stacks"),
        ("STACK_SIZE", own.stack_bytes, "of each CPU"),
        ("CPU_COUNT", own.stacks, "CPUs of the board, in use or not"),
        ("TABLES_BASE", own.tables.0, "first byte of tables.bin"),
        ("TABLES_LOADED", own.tables_loaded, "bytes of tables.bin"),
        (
            "TABLES_SIZE",
            own.tables_bytes,
            "bytes of all tables; boot clears what is not in tables.bin",
        ),
        ("PAYLOADS_BASE", own.payloads.0, "first byte of the payload copies"),
        ("EL2_TTBR", own.ttbr.0, "root of EL2's own tables"),
        ("EL2_IMAGE_L3", own.image_l3.0, "level-3 table of the 2 MiB from HYP_BASE on"),
    ];
    for (name, value, what) in symbols {
        // A String takes any text.
        let _ = writeln!(text, "{name} = {value:#x}; /* {what} */");
    }
    text
}
