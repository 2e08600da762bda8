// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hypervisor's tables and payload copies: who needs how much, and where it lies.
//!
//! Pending tables and the command queue want 64 KiB alignment for 2 to 4 KiB of content. They are
//! placed first, and the gaps between them are filled by everything else: tables with content,
//! payload copies, and last tables of zeros. Only zeros may lie below the code, because the loaded
//! part, tables.bin, is one piece after it.

use super::Arena;
use ::plan::{Item, Pa, Span};

/// Names one table until it has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(usize);

#[derive(Clone, Debug)]
struct Table {
    name: String,
    bytes: u64,
    align: u64,
    kind: Kind,
    base: u64,
}

/// In the order of placing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Content,
    Copy,
    Zeros,
}

/// All tables of a plan.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    tables: Vec<Table>,
    base: u64,
    bytes: u64,
    loaded: u64,
}

/// What boot clears is a multiple of this, and so is every table of zeros.
const LINE: u64 = 64;

impl Tables {
    /// Asks for a table of zeros.
    pub fn zeros(&mut self, name: impl Into<String>, bytes: u64, align: u64) -> Id {
        self.ask(name.into(), bytes, align, Kind::Zeros)
    }

    /// Asks for a table with content.
    pub fn content(&mut self, name: impl Into<String>, bytes: u64, align: u64) -> Id {
        self.ask(name.into(), bytes, align, Kind::Content)
    }

    /// Asks for room for a payload's pristine copy.
    pub fn copy(&mut self, name: impl Into<String>, bytes: u64) -> Id {
        self.ask(name.into(), bytes, LINE, Kind::Copy)
    }

    fn ask(&mut self, name: String, bytes: u64, align: u64, kind: Kind) -> Id {
        self.tables.push(Table {
            name,
            bytes: bytes.next_multiple_of(LINE),
            align: align.max(LINE),
            kind,
            base: 0,
        });
        Id(self.tables.len() - 1)
    }

    /// Gives every table its address: at or above `code.end`, a multiple of 4 KiB; zeros also
    /// between `low` and `code.start`.
    pub fn place(&mut self, low: u64, code: std::ops::Range<u64>) {
        let mut order: Vec<usize> = (0..self.tables.len()).collect();
        order.sort_by_key(|&n| {
            let table = &self.tables[n];
            let wide = table.align > 4096;
            (!wide, table.kind, std::cmp::Reverse((table.align, table.bytes)), n)
        });
        let mut below = Arena::new(low..code.start);
        let mut space = Arena::new(code.end..u64::MAX);
        self.base = code.end;
        for n in order {
            let table = &mut self.tables[n];
            let below = match table.kind {
                Kind::Zeros => below.take(table.bytes, table.align),
                Kind::Content | Kind::Copy => None,
            };
            if let Some(base) = below {
                table.base = base;
                continue;
            }
            // The space is as good as endless; the caller compares `bytes` with what there is.
            table.base = space.take(table.bytes, table.align).unwrap_or(code.end);
            let end = table.base + table.bytes - code.end;
            self.bytes = self.bytes.max(end);
            if table.kind != Kind::Zeros {
                self.loaded = self.loaded.max(end);
            }
        }
        self.bytes = self.bytes.next_multiple_of(4096);
    }

    pub fn address(&self, id: Id) -> u64 {
        self.tables[id.0].base
    }

    pub fn span(&self, id: Id) -> Span {
        Span { base: Pa::new(self.address(id)), bytes: self.tables[id.0].bytes }
    }

    /// Bytes of payload copies.
    pub fn copies(&self) -> u64 {
        let copies = self.tables.iter().filter(|table| table.kind == Kind::Copy);
        copies.map(|table| table.bytes).sum()
    }

    /// Bytes from the end of the code to the end of everything, in whole pages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes up to the end of the last table with content.
    pub fn loaded(&self) -> u64 {
        self.loaded
    }

    /// Every table, by address.
    pub fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = self
            .tables
            .iter()
            .map(|table| Item {
                name: table.name.clone(),
                base: Pa::new(table.base),
                bytes: table.bytes,
                zero: table.kind == Kind::Zeros,
                copy: table.kind == Kind::Copy,
            })
            .collect();
        items.sort_by_key(|item| item.base);
        items
    }

    /// Ranges that boot clears: tables of zeros, neighbours joined.
    pub fn cleared(&self) -> Vec<Span> {
        let mut out: Vec<Span> = Vec::new();
        for item in self.items().into_iter().filter(|item| item.zero) {
            match out.last_mut() {
                Some(last) if last.base.value() + last.bytes == item.base.value() => {
                    last.bytes += item.bytes
                }
                _ => out.push(Span { base: item.base, bytes: item.bytes }),
            }
        }
        out
    }

    /// tables.bin: `contents` in their places, zeros between.
    pub fn binary(&self, contents: &[(Id, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0; self.loaded as usize];
        for (id, content) in contents {
            let at = (self.address(*id) - self.base) as usize;
            out[at..at + content.len()].copy_from_slice(content);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_content_comes_early() {
        let mut tables = Tables::default();
        let queue = tables.zeros("queue", 4096, 0x1_0000);
        let pending = tables.zeros("pending", 2048, 0x1_0000);
        let small = tables.zeros("itt", 200, 256);
        let zeros = tables.zeros("devices", 4096, 4096);
        let stage2 = tables.content("stage 2", 8192, 4096);
        let copy = tables.copy("payload", 100);
        tables.place(0x4020_e000, 0x4020_f000..0x4022_0000);
        assert_eq!(tables.address(queue), 0x4022_0000);
        assert_eq!(tables.address(pending), 0x4023_0000);
        assert_eq!(tables.address(stage2), 0x4022_1000);
        assert_eq!(tables.address(copy), 0x4022_3000);
        assert_eq!(tables.address(zeros), 0x4020_e000);
        assert_eq!(tables.span(small), Span { base: Pa::new(0x4022_3100), bytes: 256 });
        assert_eq!((tables.loaded(), tables.bytes(), tables.copies()), (0x3080, 0x1_1000, 128));
        assert_eq!(tables.cleared().len(), 4);
        let bin = tables.binary(&[(stage2, vec![7; 8192])]);
        assert_eq!((bin.len(), bin[0xfff], bin[0x1000]), (0x3080, 0, 7));
    }

    #[test]
    fn a_table_may_begin_where_the_code_does() {
        let mut tables = Tables::default();
        let queue = tables.zeros("queue", 4096, 0x1_0000);
        tables.place(0x4020_0000, 0x4020_6000..0x4022_0000);
        assert_eq!((tables.address(queue), tables.bytes()), (0x4020_0000, 0));
    }
}
