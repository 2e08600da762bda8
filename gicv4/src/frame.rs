// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Register frames: which registers there are, how wide they are, and who may write what.
//!
//! [`Frame`] is the one thing that hardware ([`crate::hw::MmioFrame`]) and the software GIC
//! (`model`) have in common. A [`Register`] knows its block, offset, width, access and bit
//! fields, and only [`crate::regs`] can make one, so that neither a wrong width nor a wrong frame
//! compiles, nor a write to what is read-only:
//!
//! ```
//! # use gicv4::frame::{Distributor, Frame};
//! # use gicv4::regs::gicd::{self, GICD_TYPER};
//! fn has_lpis(distributor: &impl Frame<Block = Distributor>) -> bool {
//!     distributor.fields(gicd::TYPER).is_set(GICD_TYPER::LPIS)
//! }
//! ```
//!
//! GICD_CTLR has 32 bits:
//!
//! ```compile_fail,E0308
//! # use gicv4::frame::{Distributor, Frame};
//! # use gicv4::regs::gicd;
//! fn write(distributor: &impl Frame<Block = Distributor>) {
//!     distributor.write(gicd::CTLR, 0u64);
//! }
//! ```
//!
//! GICD_TYPER is read-only:
//!
//! ```compile_fail,E0277
//! # use gicv4::frame::{Distributor, Frame};
//! # use gicv4::regs::gicd;
//! fn write(distributor: &impl Frame<Block = Distributor>) {
//!     distributor.write(gicd::TYPER, 0u32);
//! }
//! ```
//!
//! GITS_CTLR is not the distributor's:
//!
//! ```compile_fail,E0308
//! # use gicv4::frame::{Distributor, Frame};
//! # use gicv4::regs::gits;
//! fn read(distributor: &impl Frame<Block = Distributor>) -> u32 {
//!     distributor.read(gits::CTLR)
//! }
//! ```
//!
//! GITS_CBASER names memory, which must have been given to the GIC ([`crate::given`]):
//!
//! ```compile_fail,E0308
//! # use gicv4::frame::{Frame, Its};
//! # use gicv4::regs::gits;
//! fn write(its: &impl Frame<Block = Its>) {
//!     its.write(gits::CBASER, 0x8000_0000_4000_0000u64);
//! }
//! ```

use crate::given::Base;
use core::fmt;
use core::marker::PhantomData;
use tock_registers::{LocalRegisterCopy, RegisterLongName, UIntLike};

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// A block of registers: a kind of frame.
pub trait Block: Sealed {
    /// The manual's prefix of its registers.
    const NAME: &'static str;
    /// Bytes that it spans from its base.
    const BYTES: usize;
}

/// The distributor: one frame of 64 KiB at GICD_base.
#[derive(Clone, Copy, Debug)]
pub enum Distributor {}
/// A redistributor's RD and SGI frames: 128 KiB at RD_base.
#[derive(Clone, Copy, Debug)]
pub enum Redistributor {}
/// A redistributor's VLPI frame: 64 KiB at VLPI_base, which is RD_base + 128 KiB
/// ([`crate::regs::vlpi::FROM_RD_BASE`]). Only where GICR_TYPER.VLPIS is 1.
#[derive(Clone, Copy, Debug)]
pub enum VirtualLpis {}
/// The control frame of an ITS: 64 KiB at GITS_base. Devices write to the next one.
#[derive(Clone, Copy, Debug)]
pub enum Its {}
/// The virtual SGI frame of a GICv4.1 ITS: 64 KiB, 128 KiB after GITS_base.
#[derive(Clone, Copy, Debug)]
pub enum ItsSgis {}

macro_rules! blocks {
    ($($block:ident $name:literal $bytes:literal,)*) => {
        $(
            impl Sealed for $block {}
            impl Block for $block {
                const NAME: &'static str = $name;
                const BYTES: usize = $bytes;
            }
        )*
    };
}
blocks! {
    Distributor "GICD" 0x1_0000,
    Redistributor "GICR" 0x2_0000,
    VirtualLpis "GICR" 0x1_0000,
    Its "GITS" 0x1_0000,
    ItsSgis "GITS" 0x1_0000,
}

/// The width of a register: `u8`, `u32` or `u64`.
pub trait Width: Copy + Sealed {
    /// 1, 4 or 8.
    const BYTES: usize;
    /// The low bytes of a value.
    fn from_bits(bits: u64) -> Self;
    /// The value, extended by zeros.
    fn bits(self) -> u64;
}

macro_rules! widths {
    ($($width:ty)*) => {
        $(
            impl Sealed for $width {}
            impl Width for $width {
                const BYTES: usize = size_of::<$width>();
                #[inline(always)]
                fn from_bits(bits: u64) -> Self {
                    bits as Self
                }
                #[inline(always)]
                fn bits(self) -> u64 {
                    self.into()
                }
            }
        )*
    };
}
widths!(u8 u32 u64);

/// Access to a register that may be read.
pub trait Readable: Sealed {}

/// Access to a register with bit fields `L` that may be written, with values of `Value`.
pub trait Writable<W, L>: Sealed {
    /// The width, or [`Base`] where the value names memory.
    type Value: Copy;
    /// The value as the register takes it.
    fn bits(value: Self::Value) -> W;
}

/// Writes are ignored.
#[derive(Clone, Copy, Debug)]
pub enum ReadOnly {}
/// Reads tell nothing.
#[derive(Clone, Copy, Debug)]
pub enum WriteOnly {}
/// Read and written.
#[derive(Clone, Copy, Debug)]
pub enum ReadWrite {}
/// Read and written; the value names memory that the GIC reads and writes by itself.
#[derive(Clone, Copy, Debug)]
pub enum NamesMemory {}

impl Sealed for ReadOnly {}
impl Sealed for WriteOnly {}
impl Sealed for ReadWrite {}
impl Sealed for NamesMemory {}
impl Readable for ReadOnly {}
impl Readable for ReadWrite {}
impl Readable for NamesMemory {}
impl<W: Width, L> Writable<W, L> for WriteOnly {
    type Value = W;
    #[inline(always)]
    fn bits(value: W) -> W {
        value
    }
}
impl<W: Width, L> Writable<W, L> for ReadWrite {
    type Value = W;
    #[inline(always)]
    fn bits(value: W) -> W {
        value
    }
}
impl<L> Writable<u64, L> for NamesMemory {
    type Value = Base<L>;
    #[inline(always)]
    fn bits(value: Base<L>) -> u64 {
        value.bits()
    }
}

/// Holds none of them.
type Kind<B, W, A, L> = fn() -> (B, W, A, L);

/// A register of block `B`, `W` wide, with access `A` and the bit fields of `L`.
pub struct Register<B, W, A, L = ()> {
    offset: usize,
    marker: PhantomData<Kind<B, W, A, L>>,
}

impl<B: Block, W: Width, A, L> Register<B, W, A, L> {
    /// Lies within the block, aligned to its width.
    pub(crate) const fn new(offset: usize) -> Self {
        assert!(offset.is_multiple_of(W::BYTES) && offset + W::BYTES <= B::BYTES);
        Self { offset, marker: PhantomData }
    }
}

impl<B, W, A, L> Register<B, W, A, L> {
    /// Bytes from the base of its frame.
    #[inline(always)]
    pub const fn offset(self) -> usize {
        self.offset
    }
}

impl<B, W, A, L> Clone for Register<B, W, A, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B, W, A, L> Copy for Register<B, W, A, L> {}
impl<B: Block, W, A, L> fmt::Debug for Register<B, W, A, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {:#06x}", B::NAME, self.offset)
    }
}

/// Registers of one kind, one after the other.
pub struct Bank<B, W, A, L = ()> {
    first: Register<B, W, A, L>,
    count: usize,
}

impl<B: Block, W: Width, A, L> Bank<B, W, A, L> {
    /// All of them lie within the block.
    pub(crate) const fn new(offset: usize, count: usize) -> Self {
        assert!(offset + count * W::BYTES <= B::BYTES);
        Self { first: Register::new(offset), count }
    }

    /// Register `n`; None: it does not exist.
    #[inline(always)]
    pub const fn get(self, n: usize) -> Option<Register<B, W, A, L>> {
        if n < self.count {
            let offset = self.first.offset + n * W::BYTES;
            Some(Register { offset, marker: PhantomData })
        } else {
            None
        }
    }
}

impl<B, W, A, L> Bank<B, W, A, L> {
    /// Number of registers.
    pub const fn count(self) -> usize {
        self.count
    }
    /// Bytes of the first one from the base of the frame.
    pub const fn offset(self) -> usize {
        self.first.offset
    }
}

impl<B, W, A, L> Clone for Bank<B, W, A, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B, W, A, L> Copy for Bank<B, W, A, L> {}
impl<B: Block, W, A, L> fmt::Debug for Bank<B, W, A, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} of them", self.first, self.count)
    }
}

/// Reads and writes the registers of a block.
///
/// Methods take `&self`: registers are shared with the hardware in any case, and several CPUs use
/// one distributor.
pub trait Frame {
    /// Whose registers they are.
    type Block: Block;

    /// Reads a register.
    fn read<W: Width, A: Readable, L>(&self, register: Register<Self::Block, W, A, L>) -> W;

    /// Writes a register.
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<Self::Block, W, A, L>,
        value: A::Value,
    );

    /// Reads a register by its bit fields.
    #[inline(always)]
    fn fields<W: Width + UIntLike, A: Readable, L: RegisterLongName>(
        &self,
        register: Register<Self::Block, W, A, L>,
    ) -> LocalRegisterCopy<W, L> {
        LocalRegisterCopy::new(self.read(register))
    }

    /// Reads register `n` of a bank; one that does not exist reads as 0.
    #[inline(always)]
    fn read_at<W: Width, A: Readable, L>(&self, bank: Bank<Self::Block, W, A, L>, n: usize) -> W {
        bank.get(n).map_or_else(|| W::from_bits(0), |register| self.read(register))
    }

    /// Writes register `n` of a bank; one that does not exist ignores it.
    #[inline(always)]
    fn write_at<W: Width, A: Writable<W, L>, L>(
        &self,
        bank: Bank<Self::Block, W, A, L>,
        n: usize,
        value: A::Value,
    ) {
        if let Some(register) = bank.get(n) {
            self.write(register, value);
        }
    }
}

impl<F: Frame + ?Sized> Frame for &F {
    type Block = F::Block;
    #[inline(always)]
    fn read<W: Width, A: Readable, L>(&self, register: Register<Self::Block, W, A, L>) -> W {
        (**self).read(register)
    }
    #[inline(always)]
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<Self::Block, W, A, L>,
        value: A::Value,
    ) {
        (**self).write(register, value);
    }
}
