// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers with units and other small texts: "64 MiB", "10 ms", "00:02.0", "1b36:0010", "ctrl-]".
//!
//! Each type parses one kind of text; its error is a sentence that says what is missing and shows
//! the form to write. Addresses come from a PCI function's own notation (lspci), identities
//! likewise.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{Bdf, PciId};

/// Bytes: a whole number and B, KiB, MiB, GiB or TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

const SIZES: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a size is a whole number and a unit: B, KiB, MiB, GiB or TiB, as in \"64 MiB\"";
        let (number, unit) = split(text).ok_or(form)?;
        let Some((_, shift)) = SIZES.iter().find(|(name, _)| *name == unit) else {
            let near = SIZES.iter().find(|(name, _)| same_letter(name, unit));
            return Err(match near {
                Some((name, _)) => format!("there is no unit `{unit}`; write \"{number} {name}\""),
                None => form.into(),
            });
        };
        number
            .checked_mul(1 << shift)
            .filter(|bytes| *bytes <= 1 << 52)
            .map(Size)
            .ok_or_else(|| "no address is that big: the limit is 4096 TiB".into())
    }
}

/// "MB" and "mib" are meant to be "MiB".
fn same_letter(name: &str, unit: &str) -> bool {
    let first = unit.chars().next().map(|c| c.to_ascii_uppercase());
    unit.len() <= 3 && name.chars().next() == first
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit =
            SIZES.iter().rev().find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        let (name, shift) = unit.copied().unwrap_or(SIZES[0]);
        write!(f, "{} {name}", self.0 >> shift)
    }
}

/// A time: a whole number and ns, us, ms or s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// In nanoseconds.
const TIMES: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

impl FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a time is a whole number and a unit: ns, us, ms or s, as in \"10 ms\"";
        let (number, unit) = split(text).ok_or(form)?;
        let (_, nanoseconds) = TIMES.iter().find(|(name, _)| *name == unit).ok_or(form)?;
        let time = number.checked_mul(*nanoseconds).ok_or("a time is at most 584 years")?;
        Ok(Time(Duration::from_nanos(time)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        let unit = TIMES
            .iter()
            .rev()
            .find(|(_, unit)| nanoseconds != 0 && nanoseconds.is_multiple_of(u128::from(*unit)));
        let (name, unit) = unit.copied().unwrap_or(TIMES[0]);
        write!(f, "{} {name}", nanoseconds / u128::from(unit))
    }
}

/// "12 MiB" as 12 and "MiB"; the space is optional.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

impl FromStr for Bdf {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a PCI address is bus:device.function in hexadecimal, as in \"00:02.0\"";
        let parse = || {
            let (bus, rest) = text.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            let bdf = Bdf {
                bus: hex(bus)? as u8,
                device: hex(device)? as u8,
                function: hex(function)? as u8,
            };
            (bus.len() == 2
                && device.len() == 2
                && function.len() == 1
                && bdf.device < 32
                && bdf.function < 8)
                .then_some(bdf)
        };
        parse().ok_or_else(|| form.into())
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

impl FromStr for PciId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            "a PCI identity is vendor:device, four hexadecimal digits each, as in \"1b36:0010\"";
        let parse = || {
            let (vendor, device) = text.split_once(':')?;
            (vendor.len() == 4 && device.len() == 4)
                .then_some(PciId { vendor: hex(vendor)?, device: hex(device)? })
        };
        parse().ok_or_else(|| form.into())
    }
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

fn hex(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// A run of EventIDs, the last one included: "0..9".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRun {
    pub first: u32,
    pub last: u32,
}

impl EventRun {
    /// More than there are vLPIs can never be meant.
    const MOST: u32 = 65_536;
}

impl FromStr for EventRun {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a run of events is the first and the last of them, as in \"0..9\"";
        let (first, last) = text.split_once("..").ok_or(form)?;
        let number = |digits: &str| {
            let digits = Some(digits).filter(|d| d.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok()
        };
        let (first, last): (u32, u32) = number(first).zip(number(last)).ok_or(form)?;
        if first > last {
            return Err(format!("the last is before the first; write \"{last}..{first}\""));
        }
        if last - first >= Self::MOST {
            return Err(format!("a run has at most {} events", Self::MOST));
        }
        Ok(Self { first, last })
    }
}

/// A control character by the key that types it: "ctrl-]" is 0x1d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlKey(pub u8);

impl FromStr for ControlKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a control key is \"ctrl-\" and a letter or one of \\ ] ^ _, as in \"ctrl-]\"";
        match text.strip_prefix("ctrl-").map(str::as_bytes) {
            // What Tab, Enter, Backspace and the arrow keys send.
            Some([key @ (b'h' | b'i' | b'j' | b'm' | b'[')]) => Err(format!(
                "a terminal sends ctrl-{} for another key, too; write another one, as in \"ctrl-]\"",
                char::from(*key)
            )),
            Some([key @ (b'a'..=b'z' | b'\\' | b']' | b'^' | b'_')]) => Ok(ControlKey(key & 0x1f)),
            _ => Err(form.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("64 MiB".parse(), Ok(Size(64 << 20)));
        assert_eq!("4KiB".parse(), Ok(Size(4096)));
        assert_eq!("0 B".parse(), Ok(Size(0)));
        for bad in [
            "64",
            "MiB",
            "",
            "-1 MiB",
            "1.5 MiB",
            "64 M iB",
            "99999999999999999999 B",
            "18446744073709551615 TiB",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        assert_eq!("64 MB".parse::<Size>().unwrap_err(), "there is no unit `MB`; write \"64 MiB\"");
        assert_eq!(Size(2 << 20).to_string(), "2 MiB");
        assert_eq!(Size(4097).to_string(), "4097 B");
        assert_eq!(Size(0).to_string(), "0 B");
    }

    #[test]
    fn times() {
        assert_eq!("10 ms".parse(), Ok(Time(Duration::from_millis(10))));
        assert_eq!("2s".parse(), Ok(Time(Duration::from_secs(2))));
        for (nanoseconds, text) in
            [(0, "0 ns"), (1500, "1500 ns"), (250_000, "250 us"), (3_000_000_000, "3 s")]
        {
            assert_eq!(Time(Duration::from_nanos(nanoseconds)).to_string(), text);
        }
        for bad in ["10", "10 min", "18446744073709551615 s"] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pci() {
        let bdf: Bdf = "0a:1f.7".parse().unwrap();
        assert_eq!((bdf.bus, bdf.device, bdf.function, bdf.requester()), (10, 31, 7, 0x0aff));
        assert_eq!(bdf.to_string(), "0a:1f.7");
        for bad in ["00:20.0", "00:02.8", "0:02.0", "00:02", "00:+2.0", "é0:02.0"] {
            assert!(bad.parse::<Bdf>().is_err(), "{bad}");
        }
        assert_eq!("1b36:0010".parse(), Ok(PciId { vendor: 0x1b36, device: 0x10 }));
        assert!("1b36-0010".parse::<PciId>().is_err());
    }

    #[test]
    fn event_runs() {
        assert_eq!("0..9".parse(), Ok(EventRun { first: 0, last: 9 }));
        assert_eq!("7..7".parse(), Ok(EventRun { first: 7, last: 7 }));
        assert_eq!(
            "9..0".parse::<EventRun>().unwrap_err(),
            "the last is before the first; write \"0..9\""
        );
        for bad in ["", "9", "0..", "..9", "0...9", "0..=9", "+0..9", "0..65536", "0..4294967296"] {
            assert!(bad.parse::<EventRun>().is_err(), "{bad}");
        }
    }

    #[test]
    fn control_keys() {
        assert_eq!("ctrl-]".parse(), Ok(ControlKey(0x1d)));
        assert_eq!("ctrl-a".parse(), Ok(ControlKey(1)));
        for also in ["ctrl-m", "ctrl-j", "ctrl-i", "ctrl-h", "ctrl-["] {
            assert!(also.parse::<ControlKey>().is_err(), "{also}");
        }
        assert!("ctrl-".parse::<ControlKey>().is_err());
        assert!("^]".parse::<ControlKey>().is_err());
    }
}
