//! Translation tables of the 4 KiB granule, three levels for 39 bits, as a tree that is placed later.
//!
//! Stage 1 of EL2 and stage 2 of a VM differ only in the attributes of their leaves, which the caller gives; the walk
//! begins with one root page at level 1 in both (DDI 0487, D8.2 and D8.3). The largest block that alignment allows is
//! used. Page 0 is the root; every page lies at `base + 4096 * number` once the base is known.

const ENTRIES: usize = 512;
const PAGE: u64 = 4096;
const VALID: u64 = 1;
/// Bit 1: a table at levels 1 and 2, a page at level 3; clear: a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// First address beyond the tables' reach.
pub const LIMIT: u64 = 1 << 39;

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
    /// Ends above 2^39.
    TooHigh(u64),
    /// The address is mapped already.
    Twice(u64),
}

/// Tables that map `from` addresses to `to` addresses.
#[derive(Clone, Debug)]
pub struct Tree {
    pages: Vec<[Entry; ENTRIES]>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { pages: vec![[Entry::Empty; ENTRIES]] }
    }
}

/// Bytes that one entry covers at `level`.
const fn span(level: u32) -> u64 {
    PAGE << (9 * (3 - level))
}

fn index(address: u64, level: u32) -> usize {
    (address / span(level)) as usize % ENTRIES
}

impl Tree {
    /// Maps `bytes` from `from` to `to` with the leaf `attributes` (bits 63:50 and 11:2 of a descriptor).
    pub fn map(&mut self, from: u64, to: u64, bytes: u64, attributes: u64) -> Result<(), Refused> {
        if let Some(skew) = [from, to, bytes].into_iter().find(|it| !it.is_multiple_of(PAGE)) {
            return Err(Refused::Misaligned(skew));
        }
        if from.checked_add(bytes).is_none_or(|end| end > LIMIT) {
            return Err(Refused::TooHigh(from));
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
        let entry = &mut self.pages[page][index(from, level)];
        if *entry != Entry::Empty {
            return Err(Refused::Twice(from));
        }
        *entry = Entry::Leaf(to | attributes | kind | VALID);
        Ok(())
    }

    /// The page of `level` that holds the entry of `address`, made if need be.
    fn page(&mut self, address: u64, level: u32) -> Result<usize, Refused> {
        let mut page = 0;
        for upper in 1..level {
            let slot = index(address, upper);
            page = match self.pages[page][slot] {
                Entry::Table(next) => next,
                Entry::Leaf(_) => return Err(Refused::Twice(address)),
                Entry::Empty => {
                    self.pages.push([Entry::Empty; ENTRIES]);
                    let next = self.pages.len() - 1;
                    self.pages[page][slot] = Entry::Table(next);
                    next
                }
            };
        }
        Ok(page)
    }

    /// Offset from the base of the level-3 table that maps `address`; None: a block maps it, or nothing.
    pub fn level3(&self, address: u64) -> Option<u64> {
        let mut page = 0;
        for level in 1..3 {
            match self.pages[page][index(address, level)] {
                Entry::Table(next) => page = next,
                _ => return None,
            }
        }
        Some(page as u64 * PAGE)
    }

    /// The address and the descriptor that `from` leads to, as the hardware would find them.
    pub fn walk(&self, from: u64) -> Option<(u64, u64)> {
        if from >= LIMIT {
            return None;
        }
        let mut page = 0;
        for level in 1..=3 {
            match self.pages[page][index(from, level)] {
                Entry::Table(next) => page = next,
                Entry::Empty => return None,
                Entry::Leaf(descriptor) => {
                    let base = descriptor & 0x0000_ffff_ffff_f000 & !(span(level) - 1);
                    return Some((base + from % span(level), descriptor));
                }
            }
        }
        None
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// The tables as they lie in memory from `base` on, root first.
    pub fn encode(&self, base: u64) -> Vec<u8> {
        let word = |entry: &Entry| match *entry {
            Entry::Empty => 0,
            Entry::Leaf(descriptor) => descriptor,
            Entry::Table(page) => (base + page as u64 * PAGE) | TABLE_OR_PAGE | VALID,
        };
        self.pages.iter().flatten().flat_map(|entry| word(entry).to_le_bytes()).collect()
    }
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
        let mut tree = Tree::default();
        let (mib2, gib) = (2 << 20, 1 << 30);
        tree.map(gib - mib2, 3 * gib - mib2, gib + 2 * mib2 + 4096, 0x400).unwrap();
        // Level 1 root, a level-2 page at each side of the gigabyte, one level-3 page for the last 4 KiB.
        assert_eq!(tree.bytes(), 4 * 4096);
        let bytes = tree.encode(0x4020_0000);
        assert_eq!(word(&bytes, 0, 0), 0x4020_1003);
        assert_eq!(word(&bytes, 0, 1), (3 * gib) | 0x401);
        assert_eq!(word(&bytes, 1, 511), (3 * gib - mib2) | 0x401);
        assert_eq!(word(&bytes, 0, 2), 0x4020_2003);
        assert_eq!(word(&bytes, 2, 0), (4 * gib) | 0x401);
        assert_eq!(word(&bytes, 2, 1), 0x4020_3003);
        assert_eq!(word(&bytes, 3, 0), (4 * gib + mib2) | 0x403);
        assert_eq!(word(&bytes, 3, 1), 0);
    }

    #[test]
    fn a_walk_finds_what_was_mapped() {
        let mut tree = Tree::default();
        tree.map(0x4000_0000, 0x4800_0000, 0x40_0000, 0x400).unwrap();
        tree.map(0x4040_0000, 0x4990_0000, 0x2000, 0x400).unwrap();
        assert_eq!(tree.walk(0x4020_1234).unwrap().0, 0x4820_1234);
        assert_eq!(tree.walk(0x4040_1fff).unwrap().0, 0x4990_1fff);
        assert_eq!(tree.walk(0x4040_2000), None);
        assert_eq!(tree.level3(0x4040_0000), Some(2 * 4096));
        assert_eq!(tree.level3(0x4020_0000), None);
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let mut tree = Tree::default();
        assert_eq!(tree.map(0x800, 0, 4096, 0), Err(Refused::Misaligned(0x800)));
        assert_eq!(tree.map(LIMIT - 4096, 0, 8192, 0), Err(Refused::TooHigh(LIMIT - 4096)));
        tree.map(0x20_0000, 0, 0x20_0000, 0).unwrap();
        assert_eq!(tree.map(0x20_1000, 0, 4096, 0), Err(Refused::Twice(0x20_1000)));
    }
}
