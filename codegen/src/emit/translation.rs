// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Translation tables of the 4 KiB granule, as a tree that is placed later.
//!
//! Stage 1 of EL2 and stage 2 of a VM differ only in the attributes of their leaves, which the
//! caller gives, and in where walks may begin ([`Shape`]). The largest block that alignment allows
//! is used. The root is as long as the highest address wants, and lies by itself, aligned to its
//! size; every other page lies at `base + 4096 * number` once the base is known (DDI 0487, D8.2 and
//! D8.3).

const ENTRIES: usize = 512;
const PAGE: u64 = 4096;
const VALID: u64 = 1;
/// Bit 1: a table at levels 0 to 2, a page at level 3; clear: a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// Bits of an address that these tables can have at most.
pub const MOST_BITS: u32 = 48;
/// Fewer bits than this would begin at level 2.
const LEAST_BITS: u32 = 32;
/// Bits of an address that one page of level 1 translates.
const LEVEL1_BITS: u32 = 39;
/// Pages of level 1 that stage 2 may have side by side for a root, as bits.
const SIDE_BY_SIDE_BITS: u32 = 4;
/// Bits of a physical address without which no walk of stage 2 may begin at level 0.
const LEVEL0_PHYSICAL_BITS: u32 = 44;

/// How many bits of an address are translated, and the level where that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    bits: u32,
    level: u32,
}

impl Shape {
    /// Of stage 1, whose addresses are below `end`.
    pub fn stage1(end: u64) -> Self {
        let bits = bits(end);
        Self { bits, level: u32::from(bits <= LEVEL1_BITS) }
    }

    /// Of stage 2 on CPUs with `physical` bits of an address. Up to 40 bits begin at level 1, with
    /// two pages if need be; more do so only where they must, since up to 16 pages take more memory
    /// than another level does.
    pub fn stage2(end: u64, physical: u32) -> Self {
        let bits = bits(end);
        let level1 = bits <= LEVEL1_BITS + 1
            || physical < LEVEL0_PHYSICAL_BITS && bits <= LEVEL1_BITS + SIDE_BY_SIDE_BITS;
        Self { bits, level: u32::from(level1) }
    }

    /// T0SZ.
    pub const fn t0sz(self) -> u64 {
        64 - self.bits as u64
    }

    /// The level that walks begin at: 0 or 1.
    pub const fn level(self) -> u32 {
        self.level
    }

    const fn limit(self) -> u64 {
        1 << self.bits
    }

    fn entries(self) -> usize {
        (self.limit() / span(self.level)) as usize
    }
}

/// Bits of all addresses below `end`.
fn bits(end: u64) -> u32 {
    let bits = u64::BITS - end.saturating_sub(1).leading_zeros();
    bits.clamp(LEAST_BITS, MOST_BITS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Empty,
    /// Final descriptor.
    Leaf(u64),
    /// Number of the next level's page.
    Table(usize),
}

/// Why a mapping could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not in whole pages: the address or the size that is not.
    Misaligned(u64),
    /// What begins here ends above 2 to this power.
    TooHigh(u64, u32),
    /// The address is mapped already.
    Twice(u64),
}

/// Tables that map `from` addresses to `to` addresses.
#[derive(Clone, Debug)]
pub struct Tree {
    shape: Shape,
    root: Vec<Entry>,
    pages: Vec<[Entry; ENTRIES]>,
}

/// Bytes that one entry covers at `level`.
const fn span(level: u32) -> u64 {
    PAGE << (9 * (3 - level))
}

impl Tree {
    pub fn new(shape: Shape) -> Self {
        Self { shape, root: vec![Entry::Empty; shape.entries()], pages: Vec::new() }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Maps `bytes` from `from` to `to` with the leaf `attributes` (bits 63:50 and 11:2 of a
    /// descriptor).
    pub fn map(&mut self, from: u64, to: u64, bytes: u64, attributes: u64) -> Result<(), Refused> {
        if let Some(skew) = [from, to, bytes].into_iter().find(|it| !it.is_multiple_of(PAGE)) {
            return Err(Refused::Misaligned(skew));
        }
        if from.checked_add(bytes).is_none_or(|end| end > self.shape.limit()) {
            return Err(Refused::TooHigh(from, self.shape.bits));
        }
        if to.checked_add(bytes).is_none_or(|end| end > 1 << MOST_BITS) {
            return Err(Refused::TooHigh(to, MOST_BITS));
        }
        let mut done = 0;
        while done < bytes {
            let level = (1..=3)
                .find(|&level| {
                    (from + done).is_multiple_of(span(level))
                        && (to + done).is_multiple_of(span(level))
                        && bytes - done >= span(level)
                })
                .unwrap_or(3);
            self.leaf(from + done, to + done, level, attributes)?;
            done += span(level);
        }
        Ok(())
    }

    fn leaf(&mut self, from: u64, to: u64, level: u32, attributes: u64) -> Result<(), Refused> {
        let page = self.page(from, level)?;
        let kind = if level == 3 { TABLE_OR_PAGE } else { 0 };
        let entry = self.entry(page, from, level);
        if *entry != Entry::Empty {
            return Err(Refused::Twice(from));
        }
        *entry = Entry::Leaf(to | attributes | kind | VALID);
        Ok(())
    }

    /// The entry of `address` in the root, or in a page of `level`.
    fn entry(&mut self, page: Option<usize>, address: u64, level: u32) -> &mut Entry {
        let index = (address / span(level)) as usize;
        match page {
            None => &mut self.root[index],
            Some(page) => &mut self.pages[page][index % ENTRIES],
        }
    }

    fn at(&self, page: Option<usize>, address: u64, level: u32) -> Entry {
        let index = (address / span(level)) as usize;
        match page {
            None => self.root[index],
            Some(page) => self.pages[page][index % ENTRIES],
        }
    }

    /// The page of `level` that holds the entry of `address`, made if need be; None: the root.
    fn page(&mut self, address: u64, level: u32) -> Result<Option<usize>, Refused> {
        let mut page = None;
        for upper in self.shape.level..level {
            page = match self.at(page, address, upper) {
                Entry::Table(next) => Some(next),
                Entry::Leaf(_) => return Err(Refused::Twice(address)),
                Entry::Empty => {
                    self.pages.push([Entry::Empty; ENTRIES]);
                    let next = self.pages.len() - 1;
                    *self.entry(page, address, upper) = Entry::Table(next);
                    Some(next)
                }
            };
        }
        Ok(page)
    }

    /// Offset from the pages' base of the level-3 table that maps `address`; None: it is mapped by
    /// a block, or not at all.
    pub fn level3(&self, address: u64) -> Option<u64> {
        let mut page = None;
        for level in self.shape.level..3 {
            match self.at(page, address, level) {
                Entry::Table(next) => page = Some(next),
                _ => return None,
            }
        }
        page.map(|page| page as u64 * PAGE)
    }

    /// The lowest address of `count` unmapped pages with their entries in one level-3 table, which
    /// is made if none has room. None: there are no such pages.
    pub fn room(&mut self, count: u64) -> Option<u64> {
        let page = PAGE * count.next_power_of_two();
        let tables = self.level3_tables();
        let free = |base: u64| {
            let mut places = (base..base + span(2)).step_by(page as usize);
            places.find(|&at| {
                (at..at + PAGE * count).step_by(PAGE as usize).all(|at| self.walk(at).is_none())
            })
        };
        if let Some(room) = tables.into_iter().find_map(free) {
            return Some(room);
        }
        let mut blocks = (0..self.shape.limit()).step_by(span(2) as usize);
        let room = blocks.find(|&at| self.walk(at).is_none() && self.level3(at).is_none())?;
        self.page(room, 3).ok().map(|_| room)
    }

    /// First addresses of what each table of level 3 maps, lowest first.
    fn level3_tables(&self) -> Vec<u64> {
        let mut out = Vec::new();
        let root = self
            .root
            .iter()
            .enumerate()
            .map(|(n, &entry)| (n as u64 * span(self.shape.level), entry));
        let mut level = self.shape.level;
        let mut tables: Vec<(u64, Entry)> = root.collect();
        while level < 3 {
            level += 1;
            let pages = tables.iter().filter_map(|&(base, entry)| match entry {
                Entry::Table(page) => Some((base, page)),
                _ => None,
            });
            let pages: Vec<(u64, usize)> = pages.collect();
            out = pages.iter().map(|page| page.0).collect();
            let entries = |&(base, page): &(u64, usize)| {
                let entries = self.pages[page].into_iter().enumerate();
                entries
                    .map(move |(n, entry)| (base + n as u64 * span(level), entry))
                    .collect::<Vec<_>>()
            };
            tables = pages.iter().flat_map(entries).collect();
        }
        out
    }

    /// The address and the descriptor that `from` leads to, as the hardware would find them.
    pub fn walk(&self, from: u64) -> Option<(u64, u64)> {
        if from >= self.shape.limit() {
            return None;
        }
        let mut page = None;
        for level in self.shape.level..=3 {
            match self.at(page, from, level) {
                Entry::Table(next) => page = Some(next),
                Entry::Empty => return None,
                Entry::Leaf(descriptor) => {
                    let base = descriptor & 0x0000_ffff_ffff_f000 & !(span(level) - 1);
                    return Some((base + from % span(level), descriptor));
                }
            }
        }
        None
    }

    /// Bytes of the root, which is aligned to as many. A table of fewer than 8 entries is aligned
    /// as one of 8.
    pub fn root_bytes(&self) -> u64 {
        8 * (self.root.len() as u64).max(8)
    }

    /// Bytes of all tables but the root.
    pub fn bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// The root as it lies in memory, if the other tables lie from `base` on.
    pub fn encode_root(&self, base: u64) -> Vec<u8> {
        encode(&self.root, base)
    }

    /// The other tables as they lie in memory from `base` on.
    pub fn encode(&self, base: u64) -> Vec<u8> {
        encode(self.pages.as_flattened(), base)
    }
}

fn encode(entries: &[Entry], base: u64) -> Vec<u8> {
    let word = |entry: &Entry| match *entry {
        Entry::Empty => 0,
        Entry::Leaf(descriptor) => descriptor,
        Entry::Table(page) => (base + page as u64 * PAGE) | TABLE_OR_PAGE | VALID,
    };
    entries.iter().flat_map(|entry| word(entry).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], page: usize, entry: usize) -> u64 {
        let at = page * 4096 + entry * 8;
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn the_largest_block_that_fits() {
        let mut tree = Tree::new(Shape::stage1(1 << 32));
        let (mib2, gib) = (2 << 20, 1 << 30);
        tree.map(gib - mib2, 3 * gib - mib2, gib + 2 * mib2 + 4096, 0x400).unwrap();
        // Level-1 root, a level-2 page at each side of the gigabyte, one level-3 page for the last
        // 4 KiB.
        assert_eq!((tree.root_bytes(), tree.bytes()), (64, 3 * 4096));
        let (root, bytes) = (tree.encode_root(0x4020_1000), tree.encode(0x4020_1000));
        assert_eq!(root.len(), 32);
        assert_eq!(word(&root, 0, 0), 0x4020_1003);
        assert_eq!(word(&root, 0, 1), (3 * gib) | 0x401);
        assert_eq!(word(&bytes, 0, 511), (3 * gib - mib2) | 0x401);
        assert_eq!(word(&root, 0, 2), 0x4020_2003);
        assert_eq!(word(&bytes, 1, 0), (4 * gib) | 0x401);
        assert_eq!(word(&bytes, 1, 1), 0x4020_3003);
        assert_eq!(word(&bytes, 2, 0), (4 * gib + mib2) | 0x403);
        assert_eq!(word(&bytes, 2, 1), 0);
    }

    #[test]
    fn where_walks_begin() {
        let shape = |shape: Shape| (shape.t0sz(), shape.level(), shape.entries());
        for (end, expected) in [
            (0, (32, 1, 4)),
            (1 << 32, (32, 1, 4)),
            ((1 << 32) + 1, (31, 1, 8)),
            (1 << 39, (25, 1, 512)),
            ((1 << 39) + 1, (24, 0, 2)),
            (0x0821_0000_0000, (20, 0, 32)),
            (1 << 48, (16, 0, 512)),
        ] {
            assert_eq!(shape(Shape::stage1(end)), expected, "{end:#x}");
        }
        // Two pages of level 1 side by side, 4, 16; or level 0, where CPUs have 44 bits.
        for (end, physical, expected) in [
            (1 << 39, 40, (25, 1, 512)),
            (1 << 40, 40, (24, 1, 1024)),
            (1 << 40, 48, (24, 1, 1024)),
            (1 << 41, 42, (23, 1, 2048)),
            (1 << 42, 42, (22, 1, 4096)),
            (1 << 41, 44, (23, 0, 4)),
            (1 << 44, 44, (20, 0, 32)),
            (1 << 48, 48, (16, 0, 512)),
        ] {
            assert_eq!(shape(Shape::stage2(end, physical)), expected, "{end:#x} {physical}");
        }
    }

    #[test]
    fn high_addresses() {
        for shape in
            [Shape::stage2(1 << 42, 42), Shape::stage2(1 << 42, 44), Shape::stage1(1 << 48)]
        {
            let mut tree = Tree::new(shape);
            tree.map(0x0100_4000_0000, 0x0820_8000_0000, 0x4000_0000, 0x400).unwrap();
            tree.map(0x03ff_ffff_f000, 0xffff_ffff_f000, 0x1000, 0x400).unwrap();
            assert_eq!(tree.walk(0x0100_7fff_ffff).unwrap().0, 0x0820_bfff_ffff);
            assert_eq!(tree.walk(0x03ff_ffff_f123).unwrap().0, 0xffff_ffff_f123);
            for address in [0x4000_0000, 0x0100_8000_0000, 0x0300_4000_0000, 1 << 48] {
                assert_eq!(tree.walk(address), None);
            }
        }
    }

    #[test]
    fn a_walk_finds_what_was_mapped() {
        let mut tree = Tree::new(Shape::stage1(1 << 39));
        tree.map(0x4000_0000, 0x4800_0000, 0x40_0000, 0x400).unwrap();
        tree.map(0x4040_0000, 0x4990_0000, 0x2000, 0x400).unwrap();
        assert_eq!(tree.walk(0x4020_1234).unwrap().0, 0x4820_1234);
        assert_eq!(tree.walk(0x4040_1fff).unwrap().0, 0x4990_1fff);
        assert_eq!(tree.walk(0x4040_2000), None);
        assert_eq!(tree.level3(0x4040_0000), Some(4096));
        assert_eq!(tree.level3(0x4020_0000), None);
    }

    #[test]
    fn room_for_pages_that_mean_nothing() {
        let mut tree = Tree::new(Shape::stage1(1 << 32));
        tree.map(0x4020_0000, 0x4020_0000, 0x20_0000, 0).unwrap();
        assert_eq!(tree.room(16), Some(0), "no table of level 3: one is made");
        assert_eq!(tree.level3(0xf000), tree.level3(0));
        tree.map(0x0900_1000, 0x0900_1000, 0x1000, 0).unwrap();
        for page in (0..0x20_0000).step_by(4096).filter(|page| page % 0x1_0000 == 0) {
            tree.map(page, page, 4096, 0).unwrap();
        }
        assert_eq!(tree.room(16), Some(0x0901_0000), "beside what the other table maps");
        assert_eq!(tree.room(8), Some(0x8000));
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let mut tree = Tree::new(Shape::stage1(1 << 39));
        let (low, high) = ((1 << 39) - 4096, (1 << 48) - 4096);
        assert_eq!(tree.map(0x800, 0, 4096, 0), Err(Refused::Misaligned(0x800)));
        assert_eq!(tree.map(low, 0, 8192, 0), Err(Refused::TooHigh(low, 39)));
        assert_eq!(tree.map(0, high, 8192, 0), Err(Refused::TooHigh(high, 48)));
        tree.map(0x20_0000, 0, 0x20_0000, 0).unwrap();
        assert_eq!(tree.map(0x20_1000, 0, 4096, 0), Err(Refused::Twice(0x20_1000)));
    }
}
