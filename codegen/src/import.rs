// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board TOML from a device tree.
//!
//! [`import`] is the whole interface. What a tree says is taken over; what it cannot say stands
//! there with a comment that names where to look, and in [`Imported::open`]. What Bulkhead has no
//! use for is a comment with the reason. A board that it cannot run on is one sentence:
//! [`Refused`].
//!
//! Bindings are those of the devicetree specification 0.4 and of Linux. Nothing here is trusted to
//! be right: `bulkhead check` judges the result, and boot compares it with the hardware.

mod devices;
mod dmesg;
mod gic;
mod iommu;
mod live;
mod loose;
mod memory;
mod pcie;
mod processors;
mod text;
mod uart;

use crate::tree::bus::{Range, texts};
use crate::tree::parse::parse;
use crate::tree::part;

pub use live::blob as live;

use dmesg::Messages;
use part::Parts;
use text::{Text, name_of};

/// What a board is made from.
#[derive(Debug)]
pub struct Source<'a> {
    /// The device tree blob.
    pub blob: &'a [u8],
    /// What the tree is called in the first comment.
    pub origin: &'a str,
    /// Name of the board.
    pub name: &'a str,
    /// Linux's boot messages on the board.
    pub messages: Option<&'a str>,
    /// RAM instead of the tree's: first address, bytes.
    pub ram: &'a [Range],
    /// Where the board's TOML is to find the tree, for its devices' nodes.
    pub tree: Option<&'a str>,
}

/// A board TOML.
#[derive(Debug)]
pub struct Imported {
    pub toml: String,
    /// The tree, as [`Source::tree`] is to hold it.
    pub tree: Vec<u8>,
    /// What the tree did not say, as in `[timer] frequency: CNTFRQ_EL0`.
    pub open: Vec<String>,
}

/// Why Bulkhead cannot run on the board, or the tree is none: one sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not importable: {0}")]
    Board(String),
    /// Firmware writes the RAM into the tree when it starts the board.
    #[error(
        "not importable: the tree has no RAM, firmware fills it in: add --ram BASE,SIZE, or import \
         the tree of the running board"
    )]
    NoRam,
    #[error("no device tree: {0}")]
    Damaged(String),
}

fn refused(why: impl Into<String>) -> Refused {
    Refused::Board(why.into())
}

/// The board that `source` describes.
///
/// # Errors
/// Why there is none.
pub fn import(source: &Source) -> Result<Imported, Refused> {
    let blob = loose::strict(source.blob).map_err(Refused::Damaged)?;
    let fdt = parse(&blob).map_err(Refused::Damaged)?;
    let parts = Parts::of(&fdt);
    let messages = source.messages.map(Messages::of).unwrap_or_default();
    if messages.el1 {
        return Err(refused("Linux was started at EL1: firmware keeps EL2"));
    }
    let gic = gic::find(&parts)?;
    let cpus = processors::cpus(&parts)?;
    let timer = processors::timer(&parts, gic)?;
    let ram = memory::ram(&parts, source.ram)?;

    let mut text = Text::default();
    let root = texts(&parts.root, "compatible");
    text.line("#:schema ../configs/board.schema.json");
    text.note(&format!(
        "Imported from {}{}. Nothing here was tried. \
         What the tree does not say is marked UNKNOWN: boot compares it with the hardware, and \
         names the first difference in one line.",
        source.origin,
        if source.messages.is_some() { " and Linux's messages" } else { "" }
    ));
    let mut board = Text::default();
    let mut taken = memory::taken(&ram);
    let frames = gic::frames(gic, &cpus, &messages, &mut taken)?;
    processors::write(&mut board, &cpus, &frames.elsewhere);
    memory::write(&mut board, &parts, &ram);
    gic::write(&mut board, &parts, gic, &frames, &messages, &mut taken);
    processors::write_timer(&mut board, &parts, gic, &timer, &messages);
    let mut intids = timer.intids();
    let console = uart::console(&parts, &mut taken);
    uart::write(&mut board, &console, &mut intids);
    let iommus = iommu::write(&mut board, &parts, &mut taken, &mut intids);
    pcie::write(&mut board, &parts, &iommus, &mut taken, &mut intids);
    let nodes = source.tree.is_some();
    devices::write(&mut board, (&parts, nodes), &iommus, &mut taken, &intids);

    text.line("");
    text.line("[board]");
    text.line(&format!("name = \"{}\"", name_of(source.name)));
    text.line(&format!("description = {}", text::quoted(&root.join(", "))));
    if console.usable() {
        text.line("uart = \"uart0\"");
    }
    text.line("psci = \"smc\"");
    if let Some(tree) = source.tree {
        text.line(&format!("tree = {}", text::quoted(tree)));
    }
    let end = taken.end();
    if end > 1 << 40 {
        let bits = if end > 1 << 44 { 48 } else { 44 };
        text.unknown(
            "[board] address_bits: the least that reaches all below, ID_AA64MMFR0_EL1.PARange",
            &format!("address_bits = {bits}"),
        );
    }
    text.append(board);
    Ok(Imported { toml: text.lines, tree: blob.to_vec(), open: text.open })
}
