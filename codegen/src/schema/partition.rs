// SPDX-License-Identifier: Apache-2.0 OR MIT
//! partitions/GROUP/NAME/partition.toml, and a payload given in place.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Address, S};
use crate::units::Size;

/// A partition: a program that a VM runs, or where its file is.
///
/// One file partitions/GROUP/NAME/partition.toml, or partitions/NAME/partition.toml; a VM names it
/// by `partition = "NAME"`. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(tag = "kind")]
pub enum PartitionFile {
    /// A Rust package of this workspace; `bulkhead image` builds it.
    Rust(RustPackage),
    /// An arm64 Linux Image, plain or packed by gzip.
    Image(FilePayload),
    /// An ELF file for AArch64, plain or packed by gzip.
    Elf(FilePayload),
    /// Bytes, loaded as they are.
    Raw(FilePayload),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RustPackage {
    /// One line for people.
    pub description: Option<String>,
    /// Name of the package, as in the Cargo.toml beside this file.
    pub package: S<String>,
    /// Arguments for a VM that gives none: /chosen/bootargs in its device tree.
    pub arguments: Option<S<String>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePayload {
    /// One line for people.
    pub description: Option<String>,
    /// The file.
    pub path: S<String>,
    /// Where it is loaded, from the start of the VM's first memory.
    #[schemars(extend("x-default" = "image: its header's text_offset; elf: its own addresses, or 0 \
                                     B if position-independent; raw: 0 B"))]
    pub load_offset: Option<S<Size>>,
    /// Address of the first instruction, as the guest sees it.
    #[schemars(extend("x-default" = "image, raw: where it is loaded; elf: its own entry"))]
    pub entry: Option<S<Address>>,
    /// Initial RAM disk, given to the guest by /chosen.
    pub initrd: Option<S<String>>,
    /// Device tree blob (dtc -O dtb) to use instead of the generated one; it is compared with what
    /// the VM has.
    pub dtb: Option<S<String>>,
    /// Overlay (dtc -@ -O dtb) that goes on the device tree.
    pub overlay: Option<S<String>>,
    /// Where the device tree goes, as the guest sees it; a multiple of 8.
    #[schemars(extend("x-default" = "the start of the first memory, if the payload leaves room \
                                     there, or else its end"))]
    pub dtb_at: Option<S<Address>>,
    /// Arguments for a VM that gives none: /chosen/bootargs in its device tree.
    pub arguments: Option<S<String>>,
    /// Where its files come from, for the message about a missing one.
    pub source: Option<S<String>>,
}

/// A payload given in place. Paths are relative to this file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InlinePayload {
    /// The file.
    pub path: S<String>,
    /// What it is.
    pub format: Format,
    /// Where it is loaded, from the start of the VM's first memory.
    #[schemars(extend("x-default" = "image: its header's text_offset; elf: its own addresses, or 0 \
                                     B if position-independent; raw: 0 B"))]
    pub load_offset: Option<S<Size>>,
    /// Address of the first instruction, as the guest sees it.
    #[schemars(extend("x-default" = "image, raw: where it is loaded; elf: its own entry"))]
    pub entry: Option<S<Address>>,
    /// Initial RAM disk, given to the guest by /chosen.
    pub initrd: Option<S<String>>,
    /// Device tree blob (dtc -O dtb) to use instead of the generated one; it is compared with what
    /// the VM has.
    pub dtb: Option<S<String>>,
    /// Overlay (dtc -@ -O dtb) that goes on the device tree.
    pub overlay: Option<S<String>>,
    /// Where the device tree goes, as the guest sees it; a multiple of 8.
    #[schemars(extend("x-default" = "the start of the first memory, if the payload leaves room \
                                     there, or else its end"))]
    pub dtb_at: Option<S<Address>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An arm64 Linux Image, plain or packed by gzip.
    Image,
    /// An ELF file for AArch64, plain or packed by gzip.
    Elf,
    /// Bytes, loaded as they are.
    Raw,
}
