// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The device tree of a running Linux: a directory for each node, a file for each property.

use std::fs;
use std::path::Path;

use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::bounds::TREE_DEPTH;

/// The tree below `directory`, as a blob: /proc/device-tree, or a copy of it.
///
/// # Errors
/// What cannot be read.
pub fn blob(directory: &Path) -> Result<Vec<u8>, String> {
    let mut tree = DeviceTree::new();
    fill(&mut tree.root, directory, TREE_DEPTH)?;
    Ok(tree.to_dtb())
}

fn fill(node: &mut DeviceTreeNode, directory: &Path, depth: usize) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    if depth == 0 {
        return Err(format!("{}: its nodes are more than {TREE_DEPTH} deep", directory.display()));
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let mut child = DeviceTreeNode::new_unchecked(name);
            fill(&mut child, &entry.path(), depth - 1)?;
            node.add_child(child);
        } else if kind.is_file() && name != "name" {
            let value = fs::read(entry.path())
                .map_err(|error| format!("{}: {error}", entry.path().display()))?;
            node.add_property(DeviceTreeProperty::new_unchecked(name, value));
        }
    }
    Ok(())
}
