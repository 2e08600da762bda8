// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A blob that may be walked by recursion: parsed, and not too deep (devicetree specification 0.4,
//! 5.4).

use dtoolkit::fdt::Fdt;

use crate::bounds::TREE_DEPTH;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;

/// The tree in `blob`. The error says what is wrong with it.
pub fn parse(blob: &[u8]) -> Result<Fdt<'_>, String> {
    if depth(blob).is_some_and(|depth| depth > TREE_DEPTH) {
        return Err(format!("its nodes are more than {TREE_DEPTH} deep"));
    }
    Fdt::new(blob).map_err(|error| error.to_string())
}

/// Nodes within each other, counted by tokens alone. None: it is damaged, which the parser says
/// better.
fn depth(blob: &[u8]) -> Option<usize> {
    let word = |at: usize| {
        let bytes = blob.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let mut at = word(8)? as usize;
    let (mut depth, mut deepest) = (0usize, 0);
    loop {
        let token = word(at)?;
        at += 4;
        match token {
            BEGIN_NODE => {
                depth += 1;
                deepest = deepest.max(depth);
                if deepest > TREE_DEPTH {
                    return Some(deepest);
                }
                let name = blob.get(at..)?;
                at += (name.iter().position(|byte| *byte == 0)? + 1).next_multiple_of(4);
            }
            END_NODE => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(deepest);
                }
            }
            PROP => {
                at = at
                    .checked_add((word(at)? as usize).checked_add(8)?)?
                    .checked_next_multiple_of(4)?
            }
            NOP => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let node = DeviceTreeNode::new_unchecked;
        let mut innermost = node("a");
        innermost.add_property(DeviceTreeProperty::new_unchecked("reg", 1u32));
        let mut tree = DeviceTree::new();
        tree.root.add_child((2..depth).fold(innermost, |child, _| {
            let mut parent = node("a");
            parent.add_child(child);
            parent
        }));
        tree.to_dtb()
    }

    /// As nested(), of any depth: the writer recurses.
    fn deep(depth: usize) -> Vec<u8> {
        let mut tokens: Vec<u32> = Vec::new();
        tokens.extend([BEGIN_NODE, 0]);
        (1..depth).for_each(|_| tokens.extend([BEGIN_NODE, 0x6100_0000]));
        tokens.extend(vec![END_NODE; depth]);
        tokens.push(9);
        let size = 4 * tokens.len() as u32;
        let head = [0xd00d_feed, 56 + size, 56, 56 + size, 40, 17, 16, 0, 0, size];
        let reserved = [0u32; 4];
        head.iter().chain(&reserved).chain(&tokens).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_deep_tree_is_refused_before_anything_recurses() {
        assert_eq!(depth(&nested(3)), Some(3));
        assert!(parse(&nested(3)).is_ok());
        assert!(parse(&deep(TREE_DEPTH)).is_ok());
        for depth in [TREE_DEPTH + 1, 50_000] {
            assert!(parse(&deep(depth)).unwrap_err().contains("deep"), "{depth}");
        }
        let good = nested(3);
        (0..good.len()).for_each(|end| assert!(parse(&good[..end]).is_err(), "{end}"));
    }
}
