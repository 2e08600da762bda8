// SPDX-License-Identifier: Apache-2.0 OR MIT
//! bulkhead.itb: the flat binary as a FIT, which U-Boot's bootm checks and starts.
//!
//! A FIT is a device tree (U-Boot, doc/usage/fit/source_file_format.rst): the image, with the
//! address where it is put and entered, a device tree, each with its SHA-256, and a configuration
//! of the two. bootm starts no arm64 kernel without a device tree. The image ignores it, so it only
//! names the system. A U-Boot that looks for the configuration that suits the board would look into
//! that tree: bootm is told the configuration's name.
//!
//! A configuration that is to be signed has a signature node without a value: `mkimage -F` adds
//! one ([`sign`](super::sign)).

use dtoolkit::error::ModelError;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node, Property, ToPropertyValue};
use sha2::{Digest, Sha256};

use super::place::Place;

const KERNEL: &str = "kernel";
const TREE: &str = "fdt";
/// Of every image, so that a boot script does not depend on it.
const CONFIGURATION: &str = "bulkhead";
const SIGNATURE: &str = "signature-1";

/// Who is to sign the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Such as "sha256,rsa2048".
    pub algorithm: &'a str,
    /// Name of the key, by which mkimage finds its file and U-Boot its node.
    pub key: &'a str,
}

/// The FIT of `image`, the flat binary for `own`.
pub fn fit(own: &Place, image: &[u8], signer: Option<Signer<'_>>) -> Result<Vec<u8>, ModelError> {
    let title = own.title.as_str();
    let at = own.image;
    let mut kernel = part(KERNEL, title, "kernel", image)?;
    put(&mut kernel, "os", "linux");
    put(&mut kernel, "load", at);
    put(&mut kernel, "entry", at);
    let tree = part(TREE, "for bootm; the image ignores it", "flat_dt", &tree(title)?)?;
    let mut images = DeviceTreeNode::new("images")?;
    images.add_child(kernel);
    images.add_child(tree);
    let mut one = DeviceTreeNode::new(CONFIGURATION)?;
    put(&mut one, "description", title);
    put(&mut one, "kernel", KERNEL);
    put(&mut one, "fdt", TREE);
    if let Some(signer) = signer {
        let mut signature = DeviceTreeNode::new(SIGNATURE)?;
        put(&mut signature, "algo", signer.algorithm);
        put(&mut signature, "key-name-hint", signer.key);
        put(&mut signature, "sign-images", [KERNEL, TREE].as_slice());
        one.add_child(signature);
    }
    let mut configurations = DeviceTreeNode::new("configurations")?;
    put(&mut configurations, "default", CONFIGURATION);
    configurations.add_child(one);
    let mut root = DeviceTree::new();
    put(&mut root.root, "#address-cells", 2u32);
    put(&mut root.root, "description", title);
    // U-Boot wants one; the same sources give the same bytes.
    put(&mut root.root, "timestamp", 0u32);
    root.root.add_child(images);
    root.root.add_child(configurations);
    Ok(root.to_dtb())
}

/// Bytes of a FIT's signature; None: it has none.
pub fn signature_bytes(fit: &[u8]) -> Option<usize> {
    let configurations = Fdt::new(fit).ok()?.find_node("/configurations")?;
    let signature = configurations.children().find_map(|one| one.child(SIGNATURE))?;
    Some(signature.property("value")?.value().len())
}

fn put(node: &mut DeviceTreeNode, name: &str, value: impl ToPropertyValue) {
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

fn part(name: &str, about: &str, kind: &str, data: &[u8]) -> Result<DeviceTreeNode, ModelError> {
    let mut hash = DeviceTreeNode::new("hash-1")?;
    put(&mut hash, "algo", "sha256");
    put(&mut hash, "value", Sha256::digest(data).as_slice());
    let mut node = DeviceTreeNode::new(name)?;
    put(&mut node, "description", about);
    put(&mut node, "data", data);
    put(&mut node, "type", kind);
    put(&mut node, "arch", "arm64");
    put(&mut node, "compression", "none");
    node.add_child(hash);
    Ok(node)
}

fn tree(title: &str) -> Result<Vec<u8>, ModelError> {
    let mut tree = DeviceTree::new();
    put(&mut tree.root, "#address-cells", 2u32);
    put(&mut tree.root, "#size-cells", 2u32);
    put(&mut tree.root, "compatible", "bulkhead,image");
    put(&mut tree.root, "model", title);
    Ok(tree.to_dtb())
}
