// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a VM runs.

use std::path::PathBuf;

use super::{At, Format};

#[derive(Clone, Debug)]
pub struct Payload {
    pub kind: PayloadKind,
    /// Where the VM names it.
    pub at: At<()>,
    /// Initial RAM disk, as /chosen says; the plan places it.
    pub initrd: Option<At<PathBuf>>,
    /// A device tree blob to use instead of the generated one.
    pub dtb: Option<At<PathBuf>>,
    /// An overlay that goes on the one or the other.
    pub overlay: Option<At<PathBuf>>,
    /// IPA of the device tree. None: the plan places it.
    pub dtb_at: Option<At<u64>>,
    /// `/chosen/bootargs` of a VM that says nothing.
    pub arguments: Option<At<String>>,
    /// Where its files come from.
    pub source: Option<String>,
}

impl Payload {
    /// A package without a name, which is no payload yet.
    pub fn nothing(at: At<()>) -> Self {
        let kind = PayloadKind::Rust { package: at.with(String::new()), directory: PathBuf::new() };
        Self {
            kind,
            at,
            initrd: None,
            dtb: None,
            overlay: None,
            dtb_at: None,
            arguments: None,
            source: None,
        }
    }
}

#[derive(Clone, Debug)]
pub enum PayloadKind {
    /// A Rust package of this workspace, built for aarch64-unknown-none; its ELF is the payload.
    Rust { package: At<String>, directory: PathBuf },
    File {
        /// Resolved: relative paths are relative to the TOML that names them.
        path: At<PathBuf>,
        format: Format,
        /// Bytes from the start of the VM's first memory. None: for an Image its header's
        /// text_offset; for an ELF its own addresses, or 0 if it is position-independent (only then
        /// may it be given); for raw 0.
        load_offset: Option<At<u64>>,
        /// IPA of the first instruction. None: Image and raw: the load address; ELF: its own entry.
        entry: Option<At<u64>>,
    },
}
