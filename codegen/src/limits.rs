// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a system may have at most or at least: the numbers that checks compare with, and
//! docs/limits.md.

use std::time::Duration;

use ::plan::SLOTS;

use crate::bounds;
use crate::diag::{Rule, rules};
use crate::emit::translation::MOST_BITS;
use crate::units::{Size, Time};

/// VMIDs have 8 bits (VTCR_EL2.VS = 0); no VM has 0.
pub const VMS: usize = 255;
/// VMs whose output had no room are bits of a word.
pub const CONSOLES: usize = 64;
/// CPUs that take part in a mode switch are bits of a word.
pub const CPUS: usize = 64;
/// Of all VMs: indices of 16 bits, and a doorbell for each.
pub const VPES: usize = 1024;
/// Numbers of 8 bits.
pub const MODES: usize = 255;
/// Two ends each, and an event for each end.
pub const CHANNELS: usize = 1024;
/// The longest time: the difference of two 64-bit counters keeps its sign.
pub const TIME: Duration = Duration::from_secs(1_000_000);
/// A watchdog's: a shorter time would keep EL2 busy on the VM's CPU, which others may share.
pub const WATCHDOG: Duration = Duration::from_millis(1);
/// Of the counter, in Hz.
pub const FREQUENCY: u64 = 1_000_000;
/// What EL2 needs at once: the virtual timer's, the physical timer's and one for all else; and what
/// the architecture has.
pub const LIST_REGISTERS: [u8; 2] = [3, 16];
/// INTIDs 32 to 1019.
pub const SPIS: u32 = 988;
/// Of a function (PCI Express 7.7.2).
pub const VECTORS: u32 = 2048;
/// Batches of ITS commands in a millisecond.
pub const ALLOWANCE: u32 = 1000;
/// Bytes of a vPE's redistributor as its guest sees it: RD and SGI frames, no VLPI frames.
pub const REDISTRIBUTOR: u64 = 128 << 10;
/// Characters: of most names (DTSpec 2.2.1), and of those that only people read.
pub const NAME: usize = 31;
pub const LONG_NAME: usize = 63;

/// A row of docs/limits.md.
#[derive(Debug)]
pub struct Limit {
    pub what: &'static str,
    pub value: String,
    pub why: &'static str,
    /// What check says.
    pub rule: &'static Rule,
}

/// All of them.
pub fn all() -> Vec<Limit> {
    let limit = |what, value: &dyn std::fmt::Display, why, rule| {
        let value = value.to_string();
        Limit { what, value, why, rule }
    };
    let [least, most] = LIST_REGISTERS;
    let most_of = |value: usize| format!("at most {value}");
    let size = |bytes: u64| format!("at most {}", Size(bytes));
    vec![
        limit("VMs", &most_of(VMS), "a VMID has 8 bits", &rules::TOO_MANY),
        limit(
            "VMs with a console",
            &format!("among the first {CONSOLES} VMs"),
            "a bit of one word for each",
            &rules::TOO_MANY,
        ),
        limit(
            "CPUs of a board",
            &most_of(CPUS),
            "a mode switch has a bit for each",
            &rules::TOO_MANY,
        ),
        limit("vPEs of all VMs", &most_of(VPES), "a doorbell for each", &rules::TOO_MANY),
        limit("vPEs of one CPU", &most_of(SLOTS), "slots of its scheduler", &rules::TOO_MANY_VPES),
        limit(
            "vPEs of one VM",
            &format!(
                "{} each, up to what the VM sees behind its redistributors",
                Size(REDISTRIBUTOR)
            ),
            "guests see the GIC where the board has it",
            &rules::FRAMES_REACH,
        ),
        limit("modes", &most_of(MODES), "a number of 8 bits", &rules::TOO_MANY),
        limit("channels", &most_of(CHANNELS), "an event for each end", &rules::TOO_MANY),
        limit(
            "windows of a frame",
            &most_of(bounds::WINDOWS),
            "a CPU's table",
            &rules::TOO_MANY_WINDOWS,
        ),
        limit(
            "frames, periods, a watchdog's time, `within`",
            &format!("at most {}", Time(TIME)),
            "EL2 compares counters of 64 bits by their difference",
            &rules::TOO_LONG,
        ),
        limit(
            "a watchdog's time",
            &format!("at least {}", Time(WATCHDOG)),
            "a shorter one keeps EL2 busy",
            &rules::WATCHDOG_TIME,
        ),
        limit(
            "the counter",
            &format!("at least {FREQUENCY} Hz"),
            "EL2 measures microseconds",
            &rules::WRONG_VALUE,
        ),
        limit(
            "list registers",
            &format!("{least} to {most}"),
            "two timers and one for all else; ICH_VTR_EL2",
            &rules::WRONG_VALUE,
        ),
        limit("SPIs", &format!("at most {SPIS}"), "INTIDs 32 to 1019", &rules::WRONG_VALUE),
        limit("MSI-X vectors", &format!("at most {VECTORS}"), "of a PCI function", &rules::MSIX),
        limit(
            "`its_allowance`",
            &format!("1 to {ALLOWANCE}"),
            "a batch takes the ITS about a microsecond",
            &rules::ITS_ALLOWANCE,
        ),
        limit(
            "guest addresses",
            &format!("below 2 to the board's `address_bits`, {MOST_BITS} at most"),
            "tables of the 4 KiB granule",
            &rules::IPA_RANGE,
        ),
        limit(
            "names",
            &format!("at most {NAME} characters, of RAM and reserved ranges {LONG_NAME}"),
            "node names of a device tree",
            &rules::BAD_NAME,
        ),
        limit("a TOML", &size(bounds::TOML), "it is read as a whole", &rules::UNREADABLE),
        limit(
            "a payload, an initial RAM disk",
            &size(bounds::PAYLOAD),
            "likewise",
            &rules::PAYLOAD_MISSING,
        ),
        limit(
            "what a payload unpacks to",
            &size(bounds::UNPACKED),
            "likewise",
            &rules::PAYLOAD_FORMAT,
        ),
        limit(
            "a device tree",
            &size(bounds::TREE),
            "Linux takes no larger one",
            &rules::PAYLOAD_MISSING,
        ),
    ]
}

/// docs/limits.md.
pub fn manual() -> String {
    let mut text = String::from(
        "# Limits\n\n\
         What a system may have, and the rule of `bulkhead check` for it ([errors](errors.md)). Boot compares\n\
         what the hardware may have less of. `bulkhead schema` writes this page from the numbers that check\n\
         compares with.\n\n\
         | what | limit | because | rule |\n|---|---|---|---|\n",
    );
    for Limit { what, value, why, rule } in all() {
        let id = rule.id.split(' ').next().unwrap_or(rule.id);
        text.push_str(&format!("| {what} | {value} | {why} | {id} |\n"));
    }
    text
}

// What the image's tables have for these numbers.
const _: () = {
    assert!(VMS <= u8::MAX as usize);
    assert!(MODES <= u8::MAX as usize);
    assert!(CONSOLES <= 64);
    assert!(CPUS <= 64);
    assert!(VPES <= u16::MAX as usize);
    assert!(2 * CHANNELS <= u16::MAX as usize);
    // At the highest frequency that a TOML can say.
    assert!(TIME.as_secs() * (u32::MAX as u64) < i64::MAX as u64 / 2);
    // A microsecond has a tick, and so has the time between two batches.
    assert!(FREQUENCY / 1000 / ALLOWANCE as u64 >= 1);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::json::Kind;

    /// Ranges of numbers are in the schema, by which files are read.
    #[test]
    fn the_schema_has_the_same_ranges() {
        let kind = Kind::ALL.iter().find(|kind| kind.file_name() == "board.schema.json").unwrap();
        let schema: serde_json::Value = serde_json::from_str(&kind.text()).unwrap();
        let range = |table: &str, key: &str| {
            let value = &schema["properties"][table]["properties"][key];
            (value["minimum"].as_u64(), value["maximum"].as_u64())
        };
        let [least, most] = LIST_REGISTERS;
        assert_eq!(range("gic", "list_registers"), (Some(least.into()), Some(most.into())));
        assert_eq!(range("gic", "spis").1, Some(SPIS.into()));
        assert_eq!(range("timer", "frequency").0, Some(FREQUENCY));
    }
}
