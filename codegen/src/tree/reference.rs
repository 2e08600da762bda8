// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which properties of a device tree refer to other nodes, and how.
//!
//! A blob does not say so: the bindings do. These are the common ones (devicetree specification
//! 0.4, and the bindings of Linux's subsystems). A property that is not known here is copied as it
//! is: a phandle in it leads nowhere.

/// A property that holds phandles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What each phandle is followed by: as many cells as the target says by this property. None:
    /// nothing.
    pub cells: Option<&'static str>,
    /// The property that names the entries, which goes when the property does.
    pub names: Option<&'static str>,
}

/// Property, the target's `#...-cells`, and the names of the entries.
const LISTS: [(&str, &str, &str); 17] = [
    ("clocks", "#clock-cells", "clock-names"),
    ("assigned-clocks", "#clock-cells", ""),
    ("assigned-clock-parents", "#clock-cells", ""),
    ("resets", "#reset-cells", "reset-names"),
    ("power-domains", "#power-domain-cells", "power-domain-names"),
    ("dmas", "#dma-cells", "dma-names"),
    ("phys", "#phy-cells", "phy-names"),
    ("mboxes", "#mbox-cells", "mbox-names"),
    ("pwms", "#pwm-cells", "pwm-names"),
    ("io-channels", "#io-channel-cells", "io-channel-names"),
    ("interconnects", "#interconnect-cells", "interconnect-names"),
    ("thermal-sensors", "#thermal-sensor-cells", ""),
    ("hwlocks", "#hwlock-cells", "hwlock-names"),
    ("nvmem-cells", "#nvmem-cell-cells", "nvmem-cell-names"),
    ("sound-dai", "#sound-dai-cells", ""),
    ("interrupts-extended", "#interrupt-cells", "interrupt-names"),
    ("msi-parent", "#msi-cells", ""),
];
/// Phandles alone.
const PLAIN: [&str; 11] = [
    "interrupt-parent",
    "memory-region",
    "phy-handle",
    "operating-points-v2",
    "remote-endpoint",
    "wakeup-parent",
    "extcon",
    "syscon",
    "backlight",
    "ddc-i2c-bus",
    "mmc-pwrseq",
];

impl Kind {
    /// What `property` refers to nodes by. None: it is not known to.
    pub fn of(property: &str) -> Option<Self> {
        let plain = |names| Some(Self { cells: None, names });
        if let Some((_, cells, names)) = LISTS.iter().find(|(known, ..)| *known == property) {
            return Some(Self {
                cells: Some(cells),
                names: Some(*names).filter(|n| !n.is_empty()),
            });
        }
        let number = property.strip_prefix("pinctrl-");
        if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit())) {
            return plain(Some("pinctrl-names"));
        }
        if ["gpios", "gpio"].contains(&property)
            || property.ends_with("-gpios")
            || property.ends_with("-gpio")
        {
            return Some(Self { cells: Some("#gpio-cells"), names: None });
        }
        let known = PLAIN.contains(&property) || property.ends_with("-supply");
        if known { plain(None) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn properties_are_known_by_name_or_form() {
        let cells = |property| Kind::of(property).map(|kind| kind.cells);
        assert_eq!(cells("clocks"), Some(Some("#clock-cells")));
        assert_eq!(cells("reset-gpios"), Some(Some("#gpio-cells")));
        assert_eq!(cells("vmmc-supply"), Some(None));
        assert_eq!(cells("pinctrl-0"), Some(None));
        for property in ["pinctrl-names", "pinctrl-", "clock-names", "compatible", "fsl,gpr"] {
            assert_eq!(cells(property), None, "{property}");
        }
    }
}
