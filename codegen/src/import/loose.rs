// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees as they are: names longer than the devicetree specification has them are cut.
//!
//! Many of Linux's own trees have properties and labels of more than 31 characters (0.4, 2.2.4.1),
//! and the parser refuses those. None of the names that an import looks for is among them.

use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::bounds::TREE_DEPTH;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const LONGEST: usize = 31;

/// The same tree with names that fit. The error says what is wrong with it.
pub fn strict(blob: &[u8]) -> Result<Vec<u8>, String> {
    let damaged = || "its structure is damaged".to_owned();
    let mut reader = Reader { blob, at: 0, strings: 0 };
    if reader.word(0) != Some(0xd00d_feed) {
        return Err("it does not begin as one does".into());
    }
    let kept = reader.reservations().ok_or("its memory reservations have no end")?;
    reader.at = reader.word(8).ok_or_else(damaged)? as usize;
    reader.strings = reader.word(12).ok_or_else(damaged)? as usize;
    let mut tree = DeviceTree::new();
    tree.memory_reservations = kept;
    let mut open: Vec<DeviceTreeNode> = Vec::new();
    loop {
        match reader.next().ok_or_else(damaged)? {
            BEGIN_NODE => {
                if open.len() >= TREE_DEPTH {
                    return Err(format!("its nodes are more than {TREE_DEPTH} deep"));
                }
                let name = reader.name().ok_or_else(damaged)?;
                open.push(DeviceTreeNode::new_unchecked(name));
            }
            PROP => {
                let (name, value) = reader.property().ok_or_else(damaged)?;
                let node = open.last_mut().ok_or_else(damaged)?;
                node.add_property(DeviceTreeProperty::new_unchecked(name, value));
            }
            END_NODE => {
                let node = open.pop().ok_or_else(damaged)?;
                match open.last_mut() {
                    Some(parent) => parent.add_child(node),
                    None => {
                        tree.root = node;
                        return Ok(tree.to_dtb());
                    }
                }
            }
            NOP => {}
            _ => return Err(damaged()),
        }
    }
}

struct Reader<'a> {
    blob: &'a [u8],
    at: usize,
    strings: usize,
}

impl<'a> Reader<'a> {
    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.blob.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// `/memreserve/` (5.3): pairs of address and size, up to a pair of zeros.
    fn reservations(&self) -> Option<Vec<MemoryReservation>> {
        let mut at = self.word(16)? as usize;
        let mut all = Vec::new();
        loop {
            let pair = self.blob.get(at..at.checked_add(16)?)?;
            let (address, size) = pair.split_first_chunk()?;
            let pair = (u64::from_be_bytes(*address), u64::from_be_bytes(size.try_into().ok()?));
            if pair == (0, 0) {
                return Some(all);
            }
            if pair.1 > 0 {
                all.push(MemoryReservation::new(pair.0, pair.1));
            }
            at += 16;
        }
    }

    fn next(&mut self) -> Option<u32> {
        let word = self.word(self.at)?;
        self.at += 4;
        Some(word)
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        let bytes = self.blob.get(at..)?;
        Some(&bytes[..bytes.iter().position(|byte| *byte == 0)?])
    }

    /// A node's name: what is behind the `@` stays whole.
    fn name(&mut self) -> Option<String> {
        let bytes = self.text(self.at)?;
        self.at = (self.at + bytes.len() + 1).next_multiple_of(4);
        let name = String::from_utf8_lossy(bytes).into_owned();
        Some(match name.split_once('@') {
            Some((name, address)) => {
                format!(
                    "{}@{}",
                    cut(name, false),
                    address.chars().filter(|c| plain(*c)).collect::<String>()
                )
            }
            None => cut(&name, false),
        })
    }

    fn property(&mut self) -> Option<(String, Vec<u8>)> {
        let bytes = self.next()? as usize;
        let name = self.next()? as usize;
        let value = self.blob.get(self.at..self.at.checked_add(bytes)?)?.to_vec();
        self.at = (self.at + bytes).checked_next_multiple_of(4)?;
        let name = self.text(self.strings.checked_add(name)?)?;
        Some((cut(&String::from_utf8_lossy(name), true), value))
    }
}

/// Letters of any name.
fn plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ",._+-".contains(letter)
}

fn cut(name: &str, property: bool) -> String {
    let allowed = |letter: &char| plain(*letter) || (property && "?#".contains(*letter));
    let name: String = name.chars().filter(allowed).take(LONGEST).collect();
    // A node begins with a letter, and the root has no name.
    match name.chars().next() {
        Some(first) if !property && !first.is_ascii_alphabetic() => {
            format!("n{}", &name[..name.len().min(LONGEST - 1)])
        }
        None if property => "unnamed".into(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use dtoolkit::Node;

    use super::*;
    use crate::tree::parse::parse;

    #[test]
    fn reservations_stay() {
        let mut tree = DeviceTree::new();
        let (base, size) = (0x8000_0000, 0x8_0000);
        tree.memory_reservations = vec![MemoryReservation::new(base, size)];
        let made = strict(&tree.to_dtb()).unwrap();
        let made = parse(&made).unwrap();
        let kept: Vec<_> = made.memory_reservations().collect();
        assert_eq!(kept, tree.memory_reservations);
    }

    #[test]
    fn long_names_are_cut_and_damage_is_said() {
        let mut tree = DeviceTree::new();
        let mut node = DeviceTreeNode::new_unchecked(format!("{}@1,0", "n".repeat(40)));
        node.add_property(DeviceTreeProperty::new_unchecked("p".repeat(50), 7u32));
        tree.root.add_child(node);
        let blob = tree.to_dtb();
        assert!(parse(&blob).is_err());
        let made = strict(&blob).unwrap();
        let made = parse(&made).unwrap();
        let node = made.root().children().next().unwrap();
        assert_eq!(node.name(), format!("{}@1,0", "n".repeat(31)));
        assert!(node.property(&"p".repeat(31)).is_some());
        let structure = u32::from_be_bytes(blob[8..12].try_into().unwrap()) as usize;
        // The list of reservations is empty.
        assert_eq!(made.memory_reservations().count(), 0);
        (0..structure + 8).for_each(|end| assert!(strict(&blob[..end]).is_err(), "{end}"));
    }
}
