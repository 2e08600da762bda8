// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Stream tables: linear, or with two levels (IHI 0070 3.3.1, 5.1).
//!
//! A linear table has an entry for each StreamID. A two-level one has a descriptor for each
//! 2^SPLIT StreamIDs, and leaves only where there are devices. A StreamID beyond a table, or
//! without a leaf, is aborted by hardware and recorded as C_BAD_STREAMID.
//!
//! Everything is `const`: a build decides a table once, and boot writes its base registers.

use crate::error::{Illegal, placed, within};
use crate::number::StreamId;
use crate::regs::{ALLOCATE, SMMU_STRTAB_BASE_CFG};
use crate::ste::STE_BYTES;

/// Bytes of a level-1 descriptor.
pub const DESCRIPTOR_BYTES: u64 = 8;
/// A linear table of so many StreamID bits takes 64 KiB: beyond that, two levels are smaller.
pub const LINEAR_BITS: u8 = 10;
/// StreamID bits of a leaf where [`Shape::smallest`] chooses: a PCI bus, 16 KiB at most.
pub const BUS_BITS: u8 = 8;

/// How a stream table is made, without its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    bits: u8,
    /// None: linear.
    split: Option<u8>,
}

impl Shape {
    /// StreamIDs of `bits` bits, at most 16: 4 MiB.
    pub const fn linear(bits: u8) -> Result<Self, Illegal> {
        match within("StreamID bits of a linear table", bits as u64, 0, 16) {
            Ok(()) => Ok(Self { bits, split: None }),
            Err(illegal) => Err(illegal),
        }
    }

    /// StreamIDs of `bits` bits, `split` of them in a leaf: 6, 8 or 10 (SMMU_STRTAB_BASE_CFG).
    pub const fn two_level(bits: u8, split: u8) -> Result<Self, Illegal> {
        if split != 6 && split != 8 && split != 10 {
            let (value, what) = (split as u64, "SPLIT, which is even,");
            return Err(Illegal::Size { what, value, least: 6, most: 10 });
        }
        match within("StreamID bits of a two-level table", bits as u64, split as u64 + 1, 32) {
            Ok(()) => Ok(Self { bits, split: Some(split) }),
            Err(illegal) => Err(illegal),
        }
    }

    /// The shape for StreamIDs up to `highest`: linear up to 64 KiB, otherwise a leaf for a bus.
    pub const fn smallest(highest: StreamId) -> Self {
        let bits = (u32::BITS - highest.value().leading_zeros()) as u8;
        if bits <= LINEAR_BITS {
            Self { bits, split: None }
        } else {
            Self { bits, split: Some(BUS_BITS) }
        }
    }

    /// StreamIDs are below `1 << bits`.
    pub const fn bits(self) -> u8 {
        self.bits
    }
    /// StreamID bits of a leaf, if there are leaves.
    pub const fn split(self) -> Option<u8> {
        self.split
    }
    /// Bytes at SMMU_STRTAB_BASE: the entries, or the level-1 descriptors. A power of two.
    pub const fn bytes(self) -> u64 {
        match self.split {
            None => STE_BYTES << self.bits,
            Some(split) => DESCRIPTOR_BYTES << (self.bits - split),
        }
    }
    /// What SMMU_STRTAB_BASE must be a multiple of: the size of what stands there, at least 64.
    pub const fn align(self) -> u64 {
        if self.bytes() < 64 { 64 } else { self.bytes() }
    }
    /// SMMU_STRTAB_BASE_CFG.
    pub const fn config(self) -> u32 {
        let (size, split) = (self.bits as u32, SMMU_STRTAB_BASE_CFG::SPLIT.shift);
        match self.split {
            None => size,
            Some(leaf) => size | (leaf as u32) << split | 1 << SMMU_STRTAB_BASE_CFG::FMT.shift,
        }
    }
    /// Which leaf a stream is in, and which entry of it; a linear table is one leaf.
    pub const fn leaf_and_entry(self, stream: StreamId) -> Option<(u32, u32)> {
        let id = stream.value();
        if (id as u64) >> self.bits != 0 {
            return None;
        }
        match self.split {
            None => Some((0, id)),
            Some(split) => Some((id >> split, id & ((1 << split) - 1))),
        }
    }
}

/// A leaf of a two-level table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its StreamIDs are `index << SPLIT` and up.
    pub index: u32,
    /// It has `1 << bits` entries: a leaf may end early.
    pub bits: u8,
    /// Physical address, a multiple of its size.
    pub address: u64,
}

impl Leaf {
    /// How many bits a leaf needs for an entry.
    pub const fn bits_for(highest_entry: u32) -> u8 {
        (u32::BITS - highest_entry.leading_zeros()) as u8
    }
    pub const fn bytes(self) -> u64 {
        STE_BYTES << self.bits
    }
    /// The level-1 descriptor: Span 4:0, L2Ptr 51:6 (IHI 0070 5.1).
    pub const fn descriptor(self) -> u64 {
        self.address | (self.bits as u64 + 1)
    }
}

/// A stream table at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTable<'a> {
    shape: Shape,
    base: u64,
    leaves: &'a [Leaf],
}

impl StreamTable<'static> {
    pub const fn linear(base: u64, shape: Shape) -> Result<Self, Illegal> {
        Self::new(base, shape, &[])
    }
}

impl<'a> StreamTable<'a> {
    /// A table whose leaves, if its shape has any, are in the order of their StreamIDs.
    #[expect(clippy::indexing_slicing, reason = "n is below the length")]
    pub const fn new(base: u64, shape: Shape, leaves: &'a [Leaf]) -> Result<Self, Illegal> {
        if let Err(illegal) = placed("the stream table", base, shape.align()) {
            return Err(illegal);
        }
        let (split, most) = match shape.split {
            None => (0, 0),
            Some(split) => (split, 1 << (shape.bits - split)),
        };
        let mut n = 0;
        while n < leaves.len() {
            let leaf = leaves[n];
            let size = within("bits of a leaf", leaf.bits as u64, 0, split as u64);
            if let Err(illegal) = size {
                return Err(illegal);
            }
            if let Err(illegal) = placed("a leaf of the stream table", leaf.address, leaf.bytes()) {
                return Err(illegal);
            }
            let after = n == 0 || leaves[n - 1].index < leaf.index;
            if !after || leaf.index as u64 >= most {
                let stream = StreamId::new(leaf.index.wrapping_shl(split as u32));
                return Err(Illegal::LeafOrder { stream });
            }
            n += 1;
        }
        Ok(Self { shape, base, leaves })
    }

    pub const fn shape(&self) -> Shape {
        self.shape
    }
    pub const fn leaves(&self) -> &'a [Leaf] {
        self.leaves
    }
    /// SMMU_STRTAB_BASE.
    pub const fn base_register(&self) -> u64 {
        self.base | ALLOCATE
    }
    /// SMMU_STRTAB_BASE_CFG.
    pub const fn config_register(&self) -> u32 {
        self.shape.config()
    }

    /// Physical address of a stream's entry; None: hardware aborts this stream whatever is written.
    pub fn entry(&self, stream: StreamId) -> Option<u64> {
        let (leaf, entry) = self.shape.leaf_and_entry(stream)?;
        let (base, bits) = match self.shape.split {
            None => (self.base, self.shape.bits),
            Some(_) => {
                let n = self.leaves.binary_search_by_key(&leaf, |leaf| leaf.index).ok()?;
                self.leaves.get(n).map(|leaf| (leaf.address, leaf.bits))?
            }
        };
        (entry >> bits == 0).then_some(base + u64::from(entry) * STE_BYTES)
    }

    /// Level-1 descriptors that are not zero, with their addresses.
    pub fn descriptors(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let base = self.base;
        let place = move |leaf: &Leaf| base + u64::from(leaf.index) * DESCRIPTOR_BYTES;
        self.leaves.iter().map(move |leaf| (place(leaf), leaf.descriptor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUS: Shape = Shape { bits: 16, split: Some(8) };

    fn stream(id: u32) -> StreamId {
        StreamId::new(id)
    }

    #[test]
    fn registers_and_sizes() {
        // (shape, LOG2SIZE | SPLIT << 6 | FMT << 16, bytes, alignment)
        for (shape, config, bytes, align) in [
            (Shape::linear(0).unwrap(), 0, 64, 64),
            (Shape::linear(9).unwrap(), 9, 0x8000, 0x8000),
            (Shape::two_level(16, 8).unwrap(), 0x1_0210, 2048, 2048),
            (Shape::two_level(7, 6).unwrap(), 0x1_0187, 16, 64),
            (Shape::two_level(32, 10).unwrap(), 0x1_02a0, 32 << 20, 32 << 20),
        ] {
            assert_eq!((shape.config(), shape.bytes(), shape.align()), (config, bytes, align));
        }
        assert!(Shape::linear(17).is_err());
        for (bits, split) in [(8, 8), (33, 8), (16, 7), (16, 12)] {
            assert!(Shape::two_level(bits, split).is_err(), "{bits} {split}");
        }
    }

    #[test]
    fn the_smallest_shape() {
        for (highest, bits, split) in [
            (0, 0, None),
            (1, 1, None),
            (0x3ff, 10, None),
            (0x400, 11, Some(8)),
            (0xffff, 16, Some(8)),
            (0xffff_ffff, 32, Some(8)),
        ] {
            let shape = Shape::smallest(stream(highest));
            assert_eq!((shape.bits(), shape.split()), (bits, split), "{highest:#x}");
            assert!(shape.leaf_and_entry(stream(highest)).is_some());
        }
        assert_eq!(Shape::smallest(stream(0x400)).leaf_and_entry(stream(0x800)), None);
    }

    #[test]
    fn a_linear_table_has_an_entry_for_each_stream() {
        let table = StreamTable::linear(0x4000_8000, Shape::linear(9).unwrap()).unwrap();
        assert_eq!(table.entry(stream(0)), Some(0x4000_8000));
        assert_eq!(table.entry(stream(0x1ff)), Some(0x4000_ffc0));
        assert_eq!(table.entry(stream(0x200)), None);
        assert_eq!(table.base_register(), 0x4000_0000_4000_8000);
        assert_eq!(table.descriptors().count(), 0);
        assert!(StreamTable::linear(0x4000_4000, Shape::linear(9).unwrap()).is_err());
    }

    #[test]
    fn a_two_level_table_has_entries_where_it_has_leaves() {
        let leaves = [
            Leaf { index: 0, bits: Leaf::bits_for(0x28), address: 0x4000_1000 },
            Leaf { index: 0x12, bits: 0, address: 0x4000_0840 },
        ];
        assert_eq!(leaves[0].bytes(), 0x1000);
        let table = StreamTable::new(0x4000_0000, BUS, &leaves).unwrap();
        assert_eq!(table.entry(stream(0x28)), Some(0x4000_1a00));
        assert_eq!(table.entry(stream(0x40)), None, "beyond the leaf's span");
        assert_eq!(table.entry(stream(0x1200)), Some(0x4000_0840));
        assert_eq!(table.entry(stream(0x1201)), None);
        assert_eq!(table.entry(stream(0x100)), None, "no leaf");
        assert_eq!(table.entry(stream(0x1_0000)), None, "no descriptor");
        // Span 7: 64 entries. Span 1: one.
        let expected = [(0x4000_0000, 0x4000_1007), (0x4000_0090, 0x4000_0841)];
        assert!(table.descriptors().eq(expected));
    }

    #[test]
    fn leaves_are_in_order_aligned_and_small_enough() {
        let leaf = |index, bits, address| Leaf { index, bits, address };
        let new = |leaves: &[Leaf]| StreamTable::new(0x4000_0000, BUS, leaves).map(|_| ());
        let order = |id| Err(Illegal::LeafOrder { stream: stream(id) });
        assert_eq!(new(&[leaf(1, 0, 0x1000), leaf(1, 0, 0x2000)]), order(0x100));
        assert_eq!(new(&[leaf(2, 0, 0x1000), leaf(1, 0, 0x2000)]), order(0x100));
        assert_eq!(new(&[leaf(0x100, 0, 0x1000)]), order(0x1_0000));
        let (what, align) = ("a leaf of the stream table", 0x4000);
        let refused = Illegal::Address { what, address: 0x1000, align };
        assert_eq!(new(&[leaf(1, 8, 0x1000)]), Err(refused));
        let (what, value) = ("bits of a leaf", 9);
        let refused = Illegal::Size { what, value, least: 0, most: 8 };
        assert_eq!(new(&[leaf(1, 9, 0x8000)]), Err(refused));
        let linear = Shape::linear(4).unwrap();
        assert!(StreamTable::new(0x4000_0000, linear, &[leaf(0, 0, 0x1000)]).is_err());
    }
}
