// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a GIC differs from the architecture, by its identification register (GITS_IIDR,
//! GICD_IIDR).

use super::Gic;
use ::plan::{Hex, Identity};

/// One such difference.
#[derive(Debug)]
pub struct Quirk {
    /// As boards write it: who found it, and its number there.
    pub name: &'static str,
    /// By GITS_IIDR, or else by GICD_IIDR.
    pub its: bool,
    /// What the register reads.
    pub iidr: &'static [Identity],
    /// Every GIC with that IIDR has it. If not, the board's TOML decides.
    pub always: bool,
}

impl PartialEq for Quirk {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const EXACTLY: u32 = u32::MAX;

const fn reads(value: u32, mask: u32) -> Identity {
    Identity { value: Hex(value as u64), mask: Hex(mask as u64) }
}

/// VMAPP and VMOVP name a redistributor by the address of its VLPI frame.
pub static HISILICON_161600802: Quirk = Quirk {
    name: "hisilicon-161600802",
    its: true,
    iidr: &[reads(0x0000_0004, EXACTLY)],
    always: true,
};
/// After VMOVP the redistributors keep what they know of the vPE, until VINVALL.
pub static HISILICON_162100801: Quirk = Quirk {
    name: "hisilicon-162100801",
    its: true,
    iidr: &[reads(0x0005_1736, EXACTLY)],
    always: true,
};
/// GIC-700: the deactivation of an SPI by ICC_DIR_EL1 or a list register is lost on a CPU that it
/// is not routed to.
pub static ARM_2941627: Quirk = Quirk {
    name: "arm-2941627",
    its: false,
    iidr: &[reads(0x0400_043b, 0xff0e_0fff), reads(0x0402_043b, 0xff0f_0fff)],
    always: true,
};
/// GIC-600 on a bus that is not coherent, though base registers say so.
pub static ROCKCHIP_3588001: Quirk = Quirk {
    name: "rockchip-3588001",
    its: true,
    iidr: &[reads(0x0201_743b, EXACTLY)],
    always: false,
};
/// GIC-600 that reaches the lowest 4 GiB only, and is not coherent.
pub static ROCKCHIP_3568002: Quirk = Quirk {
    name: "rockchip-3568002",
    its: true,
    iidr: &[reads(0x0201_743b, EXACTLY)],
    always: false,
};
/// A unit before the ITS makes the DeviceID from the address that a device writes to.
pub static SOCIONEXT_PRE_ITS: Quirk = Quirk {
    name: "socionext-pre-its",
    its: true,
    iidr: &[reads(0x0001_143b, EXACTLY)],
    always: false,
};
/// Several chips: SPIs of another chip are reached through that chip's alias of the distributor.
pub static NVIDIA_T241_FABRIC_4: Quirk = Quirk {
    name: "nvidia-t241-fabric-4",
    its: false,
    iidr: &[reads(0x0402_043b, EXACTLY)],
    always: false,
};

pub static ALL: [&Quirk; 7] = [
    &HISILICON_161600802,
    &HISILICON_162100801,
    &ARM_2941627,
    &ROCKCHIP_3588001,
    &ROCKCHIP_3568002,
    &SOCIONEXT_PRE_ITS,
    &NVIDIA_T241_FABRIC_4,
];

/// What boot is to look at. A quirk that not every such GIC has is looked for only if the board
/// lists it.
pub fn asked(gic: &Gic) -> Vec<::plan::Quirk> {
    let asked = ALL.iter().filter(|quirk| quirk.always || gic.has(quirk));
    asked
        .map(|quirk| ::plan::Quirk {
            name: quirk.name.into(),
            its: quirk.its,
            iidr: quirk.iidr.to_vec(),
            listed: gic.has(quirk),
        })
        .collect()
}
