// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What Linux says of GIC and timer when it boots.

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Firmware started Linux at EL1.
    pub el1: bool,
    pub spis: Option<u32>,
    /// "v4.0" or "v4.1".
    pub version: Option<&'static str>,
    /// Hz.
    pub frequency: Option<u32>,
    /// Affinity of a CPU and its redistributor's address.
    pub redistributors: Vec<(u64, u64)>,
    /// Bytes of a device, a collection and a vPE table entry.
    pub entries: [Option<u8>; 3],
    /// KiB of the largest page that a table has.
    pub table_page: Option<u32>,
}

impl Messages {
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        text.lines().for_each(|line| found.line(line));
        found
    }

    fn line(&mut self, line: &str) {
        if line.contains("All CPU(s) started at EL1") {
            self.el1 = true;
        }
        if let Some((_, rest)) = line.split_once("GICv3: ") {
            if let Some(number) = rest.strip_suffix(" SPIs implemented") {
                self.spis = number.parse().ok().or(self.spis);
            }
            if let Some(features) = rest.strip_prefix("GICv4 features:") {
                self.version = Some(if features.contains("RVPEID") { "v4.1" } else { "v4.0" });
            }
            self.redistributors.extend(redistributor(rest));
        }
        if let Some((_, rest)) = line.split_once("timer(s) running at ") {
            self.frequency = rest.split_once("MHz").and_then(|(mega, _)| hertz(mega));
        }
        if line.contains("ITS@") {
            let kinds = [" Devices @", " Interrupt Collections @", " Virtual CPUs @"];
            if let Some(kind) = kinds.iter().position(|kind| line.contains(kind)) {
                let number = |key: &str| {
                    let rest = line.split_once(key)?.1;
                    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse::<u32>().ok()
                };
                self.entries[kind] = number("esz ").and_then(|bytes| u8::try_from(bytes).ok());
                self.table_page = self.table_page.max(number("psz "));
            }
        }
    }
}

/// "CPU1: found redistributor 101 region 0:0x0000000006220000": affinity and address.
fn redistributor(rest: &str) -> Option<(u64, u64)> {
    let (affinity, place) = rest.split_once("found redistributor ")?.1.split_once(" region ")?;
    let address = place.split_once(":0x")?.1;
    Some((u64::from_str_radix(affinity, 16).ok()?, u64::from_str_radix(address, 16).ok()?))
}

/// "62.50" MHz. Linux rounds down to 10 kHz: what is a third or so of a MHz is not known to the Hz.
fn hertz(mega: &str) -> Option<u32> {
    let (whole, part) = mega.split_once('.').unwrap_or((mega, "0"));
    let part: u32 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1_000_000)?.checked_add(part * 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_in_linux_s_messages() {
        let found = Messages::of(
            "[    0.000000] GICv3: 288 SPIs implemented\n\
             [    0.000000] GICv3: GICv4 features: DirectLPI RVPEID Valid+Dirty \n\
             [    0.000000] GICv3: CPU0: found redistributor 100 region 0:0x0000000006220000\n\
             [    0.000000] ITS@0x6020000: allocated 65536 Devices @8f0 (flat, esz 16, psz 64K, shr 0)\n\
             [    0.000000] ITS@0x6020000: allocated 256 Virtual CPUs @8f0 (flat, esz 8, psz 4K, shr 0)\n\
             [    0.000000] arch_timer: cp15 timer(s) running at 62.50MHz (phys).\n\
             [    0.100000] CPU: All CPU(s) started at EL2\n",
        );
        let entries = [Some(16), None, Some(8)];
        let right = Messages {
            el1: false,
            spis: Some(288),
            version: Some("v4.1"),
            frequency: Some(62_500_000),
            redistributors: vec![(0x100, 0x622_0000)],
            entries,
            table_page: Some(64),
        };
        assert_eq!(found, right);
        assert!(Messages::of("CPU: All CPU(s) started at EL1").el1);
        assert_eq!(Messages::of("timer(s) running at 9999999.0MHz").frequency, None);
    }
}
