// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Is a function the one that the plan was made for? Its BARs and its messages, asked once, before
//! any guest runs.
//!
//! 1. Memory space and bus mastering off, power state D0, and no virtual functions (SR-IOV),
//!    translation requests (ATS), page requests (PRI) or PASIDs that firmware may have left on.
//! 2. Each BAR takes ones and shows its size: as in the plan, 64-bit as in the plan, and no memory
//!    BAR that the plan does not have, for it would decode wherever firmware left it. I/O BARs may
//!    be: I/O space stays off.
//! 3. MSI-X has its vectors and its table where the plan has them; without MSI-X in the plan, MSI
//!    has as many vectors as there are events, and reaches their address.
//!
//! A function that signals by its pin has the plan's ([`pin`]).
//!
//! BARs are left 0: the plan's writes come next. PCI Local Bus 3.0 6.2.5.1, PCI Express 7.5.2.2,
//! 7.8.4.

use super::capability::{self, Capability, MSI, MSI_X, POWER};
use super::header::{INTX_DISABLE, OFFSET_COMMAND, OFFSET_PIN};
use super::message::{MSI_X_SIZE, Msi};
use plan::{Bar, PciFunction};

/// Configuration space, word by word. Offsets are multiples of 4.
pub trait Config {
    fn read(&self, offset: u16) -> u32;
    fn write(&mut self, offset: u16, value: u32);
    /// After a function has left a state in which it sleeps (PCI Power Management 1.2, 5.4).
    fn wait(&mut self, milliseconds: u64);
}

/// What is not as planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub planned: u64,
    /// More would do as well.
    pub at_least: bool,
    pub found: u64,
}

const HEADER: u16 = 0x0c;
const BAR: u16 = 0x10;
const BARS: u8 = 6;
const IO: u32 = 1;
/// Type of a memory BAR.
const KIND: u32 = 0b110;
const WIDE: u32 = 0b100;
/// Power management control: D0 to D3hot.
const POWER_STATE: u32 = 3;
const WAKE_MILLISECONDS: u64 = 10;
const SR_IOV: u16 = 0x10;
const ATS: u16 = 0x0f;
const PRI: u16 = 0x13;
const PASID: u16 = 0x1b;
/// Where the word with the control is.
const OFF: [(u16, u16); 4] = [(SR_IOV, 8), (ATS, 4), (PRI, 4), (PASID, 4)];

const SIZE: [&str; 6] = [
    "bytes of BAR 0 of",
    "bytes of BAR 1 of",
    "bytes of BAR 2 of",
    "bytes of BAR 3 of",
    "bytes of BAR 4 of",
    "bytes of BAR 5 of",
];
const IS_WIDE: [&str; 6] = [
    "64-bit BAR 0 of",
    "64-bit BAR 1 of",
    "64-bit BAR 2 of",
    "64-bit BAR 3 of",
    "64-bit BAR 4 of",
    "64-bit BAR 5 of",
];

/// A function, of which the first word was read already.
pub fn function(config: &mut impl Config, function: &PciFunction) -> Result<(), Difference> {
    same("header type of", 0, u64::from(config.read(HEADER) >> 16 & 0x7f))?;
    still(config);
    bars(config, function.bars, BARS)?;
    let Some(messages) = function.messages else { return Ok(()) };
    let find = |config: &dyn Fn(u16) -> u32, id| {
        capability::list(config).find(|found: &Capability| found.id() == id)
    };
    let read = |at| config.read(at);
    let msix = find(&read, MSI_X);
    if let Some(planned) = function.msix {
        let vectors = msix.map_or(0, |own| u64::from(own.control() & MSI_X_SIZE) + 1);
        same("MSI-X vectors of", planned.vectors.into(), vectors)?;
        let place = msix.map_or(0, |own| config.read(own.at + 4));
        same("BAR of the MSI-X table of", planned.bar.into(), u64::from(place & 7))?;
        return same("offset of the MSI-X table of", planned.offset.into(), (place & !7).into());
    }
    let msi = find(&read, MSI).map(Msi::of);
    let vectors = msi.map_or(0, |own| 1 << own.vectors());
    let what = match msix {
        Some(_) => "MSI vectors (the plan has no MSI-X) of",
        None => "MSI vectors of",
    };
    at_least(what, messages.events.into(), vectors)?;
    let bits = if msi.is_some_and(Msi::is_wide) { 64 } else { 32 };
    let needed = u64::from(messages.address.checked_ilog2().unwrap_or(0)) + 1;
    at_least("address bits of MSI of", needed.min(64), bits)
}

/// The pin by which it signals.
pub fn pin(config: &impl Config, function: &PciFunction) -> Result<(), Difference> {
    if function.pin == 0 {
        return Ok(());
    }
    let found = config.read(OFFSET_PIN) >> 8 & 0xff;
    same("interrupt pin of", function.pin.into(), found.into())
}

/// A bridge's own BARs.
pub fn bridge(config: &mut impl Config, planned: &[Bar]) -> Result<(), Difference> {
    const BRIDGE_BARS: u8 = 2;
    same("header type of", 1, u64::from(config.read(HEADER) >> 16 & 0x7f))?;
    still(config);
    bars(config, planned, BRIDGE_BARS)
}

/// It answers at no address, sends nothing, and is awake.
fn still(config: &mut impl Config) {
    config.write(OFFSET_COMMAND, INTX_DISABLE);
    let power = capability::list(|at| config.read(at)).find(|own| own.id() == POWER);
    if let Some(own) = power {
        let state = config.read(own.at + 4);
        if state & POWER_STATE != 0 {
            config.write(own.at + 4, state & 0x7fff & !POWER_STATE);
            config.wait(WAKE_MILLISECONDS);
        }
    }
    for (id, control) in OFF {
        let own = capability::extended(|at| config.read(at))
            .find(|own| capability::extended_id(own) == id);
        if let Some(own) = own {
            config.write(own.at + control, 0);
        }
    }
}

fn bars(config: &mut impl Config, planned: &[Bar], count: u8) -> Result<(), Difference> {
    let mut index = 0;
    while index < count {
        let place = usize::from(index);
        let (Some(&size), Some(&is_wide)) = (SIZE.get(place), IS_WIDE.get(place)) else { break };
        let bar = planned.iter().find(|bar| bar.index == index);
        let at = BAR + 4 * u16::from(index);
        let low = ones(config, at);
        let wide = low & (IO | KIND) == WIDE;
        let mut found = 0;
        if low & IO == 0 && low != 0 {
            let high = if wide { ones(config, at + 4) } else { u32::MAX };
            found = (u64::from(high) << 32 | u64::from(low & !0xf)).wrapping_neg();
        }
        same(size, bar.map_or(0, |bar| bar.bytes), found)?;
        if let Some(bar) = bar {
            same(is_wide, bar.wide.into(), wide.into())?;
        }
        index += 1 + u8::from(wide);
    }
    Ok(())
}

/// What a BAR is after ones were written to it; then it is 0.
fn ones(config: &mut impl Config, at: u16) -> u32 {
    config.write(at, u32::MAX);
    let value = config.read(at);
    config.write(at, 0);
    value
}

pub(super) fn same(what: &'static str, planned: u64, found: u64) -> Result<(), Difference> {
    if planned == found {
        return Ok(());
    }
    Err(Difference { what, planned, at_least: false, found })
}

fn at_least(what: &'static str, planned: u64, found: u64) -> Result<(), Difference> {
    if found >= planned {
        return Ok(());
    }
    Err(Difference { what, planned, at_least: true, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;
    use core::cell::Cell;
    use std::vec::Vec;

    /// A function with BARs that can be sized: (index, bytes, low bits).
    struct Device {
        words: Vec<u32>,
        bars: Vec<(u8, u64, u32)>,
        waited: Cell<u64>,
    }

    impl Config for Device {
        fn read(&self, offset: u16) -> u32 {
            self.words[usize::from(offset) / 4]
        }
        fn write(&mut self, offset: u16, value: u32) {
            let word = &mut self.words[usize::from(offset) / 4];
            *word = value;
            if let 0x10..0x28 = offset {
                let index = (offset - 0x10) / 4;
                *word = 0;
                for &(bar, bytes, kind) in &self.bars {
                    let mask = !(bytes - 1);
                    if u16::from(bar) == index {
                        *word = value & mask as u32 | kind;
                    } else if u16::from(bar) + 1 == index && kind & 4 != 0 {
                        *word = value & (mask >> 32) as u32;
                    }
                }
            }
        }
        fn wait(&mut self, milliseconds: u64) {
            self.waited.set(milliseconds);
        }
    }

    /// The plan's first function: BAR 0 of 16 KiB, 64-bit, with the table, and BAR 3 of 4 KiB.
    fn device() -> Device {
        let mut words = std::vec![0; 1024];
        for (at, value) in [
            (0x04, 0x0010_0007),
            (0x0c, 0x0080_0000),
            (0x34, 0x40),
            (0x40, 0x0003_5001),
            (0x50, 0x0003_6011),
            (0x54, 0x2000),
            (0x60, 0x0080_0005),
        ] {
            words[at / 4] = value;
        }
        Device {
            words,
            bars: std::vec![(0, 0x4000, 4), (3, 0x1000, 0), (5, 0x20, 1)],
            waited: Cell::new(0),
        }
    }

    fn differs(change: impl FnOnce(&mut Device)) -> (&'static str, u64, u64) {
        let mut device = device();
        change(&mut device);
        let found = function(&mut device, &plan().functions[0]).expect_err("it differs");
        (found.what, found.planned, found.found)
    }

    #[test]
    fn the_function_of_the_plan_is_taken() {
        let mut device = device();
        device.words[0x44 / 4] = 0x8103;
        device.words[0x100 / 4] = 0x1501_0001;
        device.words[0x150 / 4] = 0x1901_0010;
        device.words[0x158 / 4] = 0x0000_0019;
        device.words[0x190 / 4] = 0x0001_000f;
        device.words[0x194 / 4] = 0x8000_0020;
        device.words[0x190 / 4] |= 0x1a0 << 20;
        device.words[0x1a0 / 4] = 0x1b01_0013;
        device.words[0x1a4 / 4] = 0x0000_0001;
        device.words[0x1b0 / 4] = 0x0001_001b;
        device.words[0x1b4 / 4] = 0x0007_1404;
        assert_eq!(function(&mut device, &plan().functions[0]), Ok(()));
        assert_eq!(device.words[1], INTX_DISABLE, "off");
        assert_eq!((device.words[0x44 / 4], device.waited.get()), (0x100, 10), "awake");
        assert_eq!(device.words[0x158 / 4], 0, "no virtual functions");
        assert_eq!(device.words[0x194 / 4] >> 31, 0, "no translation requests");
        assert_eq!(device.words[0x1a4 / 4] & 1, 0, "no page requests");
        assert_eq!(device.words[0x1b4 / 4] >> 16, 0, "no PASIDs");
    }

    #[test]
    fn a_bar_of_another_size_is_none_of_the_plan() {
        let bars = |bars: &[(u8, u64, u32)]| {
            let bars = bars.to_vec();
            differs(|device| device.bars = bars)
        };
        assert_eq!(bars(&[(0, 0x8000, 4), (3, 0x1000, 0)]), ("bytes of BAR 0 of", 0x4000, 0x8000));
        assert_eq!(bars(&[(0, 0x2000, 4), (3, 0x1000, 0)]), ("bytes of BAR 0 of", 0x4000, 0x2000));
        let large = bars(&[(0, 1 << 34, 0xc), (3, 0x1000, 0)]);
        assert_eq!(large, ("bytes of BAR 0 of", 0x4000, 1 << 34));
        assert_eq!(bars(&[(0, 0x4000, 4)]), ("bytes of BAR 3 of", 0x1000, 0));
        assert_eq!(bars(&[(0, 0x4000, 0), (3, 0x1000, 0)]), ("64-bit BAR 0 of", 1, 0));
        let io = bars(&[(0, 0x4000, 4), (3, 0x1000, 1)]);
        assert_eq!(io, ("bytes of BAR 3 of", 0x1000, 0), "an I/O BAR is no memory BAR");
    }

    #[test]
    fn a_bar_that_the_plan_does_not_have_is_refused() {
        let more = |bar| differs(|device| device.bars.push(bar));
        assert_eq!(more((2, 0x10_0000, 0)), ("bytes of BAR 2 of", 0, 0x10_0000));
        assert_eq!(more((4, 1 << 40, 0xc)), ("bytes of BAR 4 of", 0, 1 << 40));
        let mut device = device();
        let lacking = PciFunction { bars: &[], ..plan().functions[0] };
        let found = function(&mut device, &lacking).expect_err("bars = []");
        assert_eq!((found.what, found.planned, found.found), ("bytes of BAR 0 of", 0, 0x4000));
    }

    #[test]
    fn more_events_than_vectors_are_refused() {
        let word = |at: usize, value| differs(|device| device.words[at / 4] = value);
        assert_eq!(word(0x50, 0x0002_6011), ("MSI-X vectors of", 4, 3));
        assert_eq!(word(0x50, 0x0003_6009), ("MSI-X vectors of", 4, 0));
        assert_eq!(word(0x54, 0x2001), ("BAR of the MSI-X table of", 0, 1));
        assert_eq!(word(0x54, 0x3000), ("offset of the MSI-X table of", 0x2000, 0x3000));
        assert_eq!(word(0x0c, 0x0001_0000), ("header type of", 0, 1));
        // By MSI: 3 events, 1, 2 and 4 vectors.
        let by_msi = PciFunction { msix: None, ..plan().functions[0] };
        let with = |words: &[(usize, u32)]| {
            let mut device = device();
            for (at, value) in words {
                device.words[at / 4] = *value;
            }
            function(&mut device, &by_msi).map_err(|found| (found.what, found.found))
        };
        let none = "MSI vectors of";
        let hidden = "MSI vectors (the plan has no MSI-X) of";
        assert_eq!(with(&[(0x50, 0x6009), (0x60, 5)]), Err((none, 1)));
        assert_eq!(with(&[(0x50, 0x6009), (0x60, 9)]), Err((none, 0)));
        assert_eq!(with(&[(0x60, 0x0002_0005)]), Err((hidden, 2)));
        assert_eq!(with(&[(0x60, 0x0004_0005)]), Ok(()));
        let high = plan::Messages { address: 1 << 32, events: 3 };
        let high = PciFunction { messages: Some(high), ..by_msi };
        let mut device = device();
        device.words[0x60 / 4] = 0x0004_0005;
        let found = function(&mut device, &high).expect_err("a 32-bit address does not reach");
        assert_eq!((found.what, found.planned, found.found), ("address bits of MSI of", 33, 32));
    }

    #[test]
    fn another_pin_is_refused() {
        let mut device = device();
        device.words[0x3c / 4] = 0x01ff;
        let planned = |pin| PciFunction { pin, ..plan().functions[0] };
        assert_eq!(pin(&device, &planned(0)), Ok(()), "not by its pin");
        assert_eq!(pin(&device, &planned(1)), Ok(()));
        let found = pin(&device, &planned(3)).expect_err("INTA is not INTC");
        assert_eq!((found.what, found.planned, found.found), ("interrupt pin of", 3, 1));
    }

    #[test]
    fn bridges_bars_are_compared_as_well() {
        let mut port = device();
        port.bars = std::vec![(0, 0x1000, 0)];
        assert_eq!(bridge(&mut port, &[]).map_err(|it| it.what), Err("header type of"));
        port.words[3] = 0x0001_0000;
        let bar = |bytes| Bar { index: 0, wide: false, prefetchable: false, bus: 0, bytes };
        assert_eq!(bridge(&mut port, &[bar(0x1000)]), Ok(()));
        assert_eq!(bridge(&mut port, &[bar(0x2000)]).map_err(|it| it.found), Err(0x1000));
        assert_eq!(bridge(&mut port, &[]).map_err(|it| it.found), Err(0x1000));
    }
}
