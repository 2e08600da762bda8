// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A node of a device tree in the making.
//!
//! Properties and children stay in the order in which they are given (devicetree specification 0.4,
//! 2.2 and 2.3). Names of nodes may come from a TOML and are checked; those of properties are ours.

use dtoolkit::ToPropertyValue;
use dtoolkit::error::ModelError;
use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};

/// With the properties and children that it has so far.
pub struct Node(DeviceTreeNode);

pub type Result<T = Node> = std::result::Result<T, ModelError>;

impl Node {
    pub fn new(name: impl Into<String>) -> Result {
        DeviceTreeNode::new(name).map(Self)
    }

    /// "name@address".
    pub fn at(name: &str, address: u64) -> Result {
        Self::new(format!("{name}@{address:x}"))
    }

    /// Numbers are big-endian, strings end with a zero.
    pub fn with(mut self, name: &str, value: impl ToPropertyValue) -> Self {
        self.0.add_property(DeviceTreeProperty::new_unchecked(name, value));
        self
    }

    /// A property without a value.
    pub fn flag(self, name: &str) -> Self {
        self.with(name, [0u8; 0])
    }

    pub fn strings<'a>(self, name: &str, strings: impl IntoIterator<Item = &'a str>) -> Self {
        let bytes = strings.into_iter().flat_map(|text| text.bytes().chain([0]));
        self.with(name, bytes.collect::<Vec<u8>>())
    }

    pub fn doublewords(self, name: &str, words: &[u64]) -> Self {
        let bytes = words.iter().flat_map(|word| word.to_be_bytes());
        self.with(name, bytes.collect::<Vec<u8>>())
    }

    /// Addresses and sizes, of two cells each.
    pub fn reg(self, ranges: &[u64]) -> Self {
        self.doublewords("reg", ranges)
    }

    pub fn cells(self, address: u32, size: u32) -> Self {
        self.with("#address-cells", address).with("#size-cells", size)
    }

    /// What another tree has.
    pub fn copied(
        mut self,
        properties: Vec<DeviceTreeProperty>,
        children: Vec<DeviceTreeNode>,
    ) -> Self {
        properties.into_iter().for_each(|property| self.0.add_property(property));
        children.into_iter().for_each(|child| self.0.add_child(child));
        self
    }

    pub fn child(mut self, child: Self) -> Self {
        self.0.add_child(child.0);
        self
    }

    pub fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    pub fn done(self) -> DeviceTreeNode {
        self.0
    }
}

/// A node for each of `items`, or the first error.
pub fn all<I: IntoIterator, T>(items: I, node: impl FnMut(I::Item) -> Result<T>) -> Result<Vec<T>> {
    items.into_iter().map(node).collect()
}
