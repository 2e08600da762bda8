// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a run showed that the TOML could say: lines of EL2's that end in what to write.
//!
//! `vm::vits::Learned` and boot's comparison with the hardware print them. A wish of a guest's is
//! the last one that it had.

use serde::{Deserialize, Serialize};

/// A value for the TOML, measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Learned {
    /// The guest mapped the event otherwise than planned.
    Event { vm: String, device: String, event: u32, vintid: u32, vpe: u32 },
    /// It wants another priority of its events.
    Priority { vm: String, event_priority: u8 },
    /// It asked for an event that the plan does not have.
    Unplanned { vm: String, device: String, event: u32 },
    /// The function's BAR has another size than planned.
    Bar { device: String, bar: u8, planned: u64, bytes: u64 },
}

impl Learned {
    /// From a line of EL2's, behind its name.
    pub fn of(line: &str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("its of ") {
            let (vm, rest) = rest.split_once(": ")?;
            return Self::of_its(vm.to_owned(), rest);
        }
        let rest = line.strip_prefix("hardware differs from the plan: bytes of BAR ")?;
        let (bar, rest) = rest.split_once(" of ")?;
        // "nvme0 (00:02.0 of pcie0) at 0x4010010000".
        let (function, rest) = rest.split_once(": the plan says ")?;
        let device = function.split(' ').next()?;
        let (planned, bytes) = rest.split_once(", found ")?;
        let (planned, bytes) = (number(planned)?, number(bytes)?);
        // A BAR that is not there has no size to write.
        let bytes = Some(bytes).filter(|bytes| bytes.is_power_of_two())?;
        Some(Self::Bar { device: device.into(), bar: bar.parse().ok()?, planned, bytes })
    }

    fn of_its(vm: String, rest: &str) -> Option<Self> {
        if let Some(value) = rest.strip_prefix("event_priority = ") {
            let event_priority = number(value.split(' ').next()?)?.try_into().ok()?;
            return Some(Self::Priority { vm, event_priority });
        }
        let (device, rest) = rest.strip_prefix("device ")?.split_once(" event ")?;
        let device = device.to_owned();
        match rest.split_once(": vintid = ") {
            Some((event, rest)) => {
                let (vintid, rest) = rest.split_once(", vpe = ")?;
                let (event, vintid) = (event.parse().ok()?, vintid.parse().ok()?);
                let vpe = rest.split(' ').next()?.parse().ok()?;
                Some(Self::Event { vm, device, event, vintid, vpe })
            }
            None => {
                let (event, why) = rest.split_once(' ')?;
                let event = event.parse().ok()?;
                why.contains("is not planned").then_some(Self::Unplanned { vm, device, event })
            }
        }
    }
}

/// "0xc0" or "192".
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_what_to_write() {
        let (vm, device) = (String::from("linux"), String::from("nvme1"));
        let cases = [
            (
                "its of linux: device nvme1 event 2: vintid = 8195, vpe = 1 would need no command \
                 at run time",
                Learned::Event {
                    vm: vm.clone(),
                    device: device.clone(),
                    event: 2,
                    vintid: 8195,
                    vpe: 1,
                },
            ),
            (
                "its of linux: event_priority = 0xc0 would need no command at run time",
                Learned::Priority { vm: vm.clone(), event_priority: 0xc0 },
            ),
            (
                "its of linux: device nvme1 event 4 was asked for and is not planned: the driver \
                 waits for it",
                Learned::Unplanned { vm, device: device.clone(), event: 4 },
            ),
            (
                "hardware differs from the plan: bytes of BAR 0 of nvme1 (00:02.0 of pcie0) at \
                 0x4010010000: the plan says 0x8000, found 0x4000",
                Learned::Bar { device, bar: 0, planned: 0x8000, bytes: 0x4000 },
            ),
        ];
        for (line, learned) in cases {
            assert_eq!(Learned::of(line), Some(learned), "{line}");
        }
        for line in [
            "its of linux: last refused 0x1 0x2 0x3 0x4: not the planned vINTID",
            "its of linux: DeviceID 0x7 event 1 was asked for and is not planned",
            "hardware differs from the plan: bytes of BAR 3 of x (00:02.0 of pcie0) at \
             0x4010010000: the plan says 0x1000, found 0x0",
            "hardware differs from the plan: GICR_TYPER.VLPIS is 0",
            "vm linux: off, passed",
        ] {
            assert_eq!(Learned::of(line), None, "{line}");
        }
    }
}
