// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stage-2 tables of a VM.
//!
//! RAM is Normal write-back, inner shareable, read, write and execute; ROM is the same without
//! write. Device registers are Device-nGnRE and never executable. Prefetchable BARs are Normal
//! non-cacheable: the stricter of stage 1 and stage 2 counts, so a guest may map them as device
//! memory. A read-only channel is RAM without write (DDI 0487, D8.6 stage 2 attributes). Nothing
//! else is mapped: an emulated region faults on purpose.

use super::translation::{Refused, Shape, Tree};

/// MemAttr 5:2.
const MEMATTR_NORMAL_WB: u64 = 0b1111 << 2;
const MEMATTR_NORMAL_NC: u64 = 0b0101 << 2;
const MEMATTR_DEVICE_NGNRE: u64 = 0b0001 << 2;
/// S2AP 7:6.
const S2AP_WRITE: u64 = 0b10 << 6;
const S2AP_READ: u64 = 0b01 << 6;
const S2AP_READ_WRITE: u64 = 0b11 << 6;
/// SH 9:8.
const SH_INNER: u64 = 0b11 << 8;
/// AF: the hypervisor never takes an access flag fault.
const ACCESSED: u64 = 1 << 10;
/// XN 54:53 = 0b10: nobody executes.
const XN: u64 = 1 << 54;

/// What a range is to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Ram,
    Rom,
    SharedReadWrite,
    SharedReadOnly,
    Device,
    /// Reading it has no side effect.
    Prefetchable,
    /// Where devices, and nobody else, write their messages: the ITS's translation page.
    Messages,
}

impl Access {
    const fn attributes(self) -> u64 {
        match self {
            Self::Ram => MEMATTR_NORMAL_WB | S2AP_READ_WRITE | SH_INNER | ACCESSED,
            Self::Rom => MEMATTR_NORMAL_WB | S2AP_READ | SH_INNER | ACCESSED,
            Self::SharedReadWrite => MEMATTR_NORMAL_WB | S2AP_READ_WRITE | SH_INNER | ACCESSED | XN,
            Self::SharedReadOnly => MEMATTR_NORMAL_WB | S2AP_READ | SH_INNER | ACCESSED | XN,
            Self::Device => MEMATTR_DEVICE_NGNRE | S2AP_READ_WRITE | ACCESSED | XN,
            Self::Messages => MEMATTR_DEVICE_NGNRE | S2AP_WRITE | ACCESSED | XN,
            Self::Prefetchable => MEMATTR_NORMAL_NC | S2AP_READ_WRITE | ACCESSED | XN,
        }
    }
}

/// A VM's address space.
#[derive(Clone, Debug)]
pub struct Stage2 {
    pub tree: Tree,
}

impl Stage2 {
    /// Of a VM that has addresses below `end`, on CPUs with `physical` bits of an address.
    pub fn new(end: u64, physical: u32) -> Self {
        Self { tree: Tree::new(Shape::stage2(end, physical)) }
    }

    pub fn map(&mut self, ipa: u64, pa: u64, bytes: u64, access: Access) -> Result<(), Refused> {
        self.tree.map(ipa, pa, bytes, access.attributes())
    }
}

/// VTCR_EL2: 4 KiB granule, write-back and inner shareable walks, as many IPA bits as the VM's
/// tables have, as many PA bits as the board's CPUs.
pub fn vtcr(shape: Shape, physical: u32) -> u64 {
    let ps = PHYSICAL_BITS.iter().position(|&bits| bits >= physical).unwrap_or(5) as u64;
    shape.t0sz() // 5:0
        | u64::from(2 - shape.level()) << 6 // SL0 7:6: level 0 or 1
        | 1 << 8 // IRGN0 9:8: write-back, allocate
        | 1 << 10 // ORGN0 11:10: the same
        | 3 << 12 // SH0 13:12: inner shareable
        | ps << 16 // PS 18:16
        | 1 << 31 // RES1
}

/// What ID_AA64MMFR0_EL1.PARange and the PS fields can say, in bits, without FEAT_LPA.
pub const PHYSICAL_BITS: [u32; 6] = [32, 36, 40, 42, 44, 48];

/// VTTBR_EL2: VMID 63:48, root 47:1; CnP clear.
pub const fn vttbr(vmid: u16, root: u64) -> u64 {
    (vmid as u64) << 48 | root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_as_the_manual_draws_them() {
        let mut space = Stage2::new(1 << 39, 40);
        for (ipa, access) in [
            (0x4000_0000, Access::Ram),
            (0x4020_0000, Access::SharedReadOnly),
            (0x4040_0000, Access::Device),
            (0x4060_0000, Access::Rom),
            (0x4080_0000, Access::Prefetchable),
            (0x40a0_0000, Access::Messages),
        ] {
            space.map(ipa, ipa, 0x20_0000, access).unwrap();
        }
        let leaf = |ipa| space.tree.walk(ipa).unwrap().1;
        assert_eq!(leaf(0x4000_0000), 0x0000_0000_4000_07fd);
        assert_eq!(leaf(0x4020_0000), 0x0040_0000_4020_077d);
        assert_eq!(leaf(0x4040_0000), 0x0040_0000_4040_04c5);
        assert_eq!(leaf(0x4060_0000), 0x0000_0000_4060_077d);
        assert_eq!(leaf(0x4080_0000), 0x0040_0000_4080_04d5);
        assert_eq!(leaf(0x40a0_0000), 0x0040_0000_40a0_0485);
    }

    #[test]
    fn registers() {
        assert_eq!(vtcr(Shape::stage2(1 << 39, 40), 40), 0x8002_3559);
        assert_eq!(vtcr(Shape::stage2(1 << 40, 40), 40), 0x8002_3558);
        assert_eq!(vtcr(Shape::stage2(1 << 44, 44), 44), 0x8004_3594);
        assert_eq!(vtcr(Shape::stage2(1 << 32, 36), 36), 0x8001_3560);
        assert_eq!(vttbr(3, 0x4022_0000), 0x0003_0000_4022_0000);
    }
}
