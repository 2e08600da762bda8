// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the GIC is given: memory, base registers that name it, and commands that name it.
//!
//! The GIC reads and writes memory by itself, behind the compiler's back. So a value that makes it
//! do so is a promise, and can only be made in `unsafe` code, by who laid the memory out; whoever
//! has the value may use it in safe code. What is left to safe code cannot touch any other memory.
//! With feature `model`, `gicv4::model` makes such values safely: its memory is its own.
//!
//! Base registers are those of IHI 0069H 12.11 (GICR_PROPBASER, GICR_PENDBASER, GICR_VPROPBASER,
//! GICR_VPENDBASER) and 12.19 (GITS_BASERn, GITS_CBASER); the commands are MAPD and VMAPP (5.3).
#![allow(unsafe_code)]

use crate::command::{Command, Encoded, opcode};
use crate::intid::{DeviceId, EventId, RdBase, VpeId};
use core::fmt;
use core::marker::PhantomData;

/// Physical memory that the GIC may read and write from now on.
///
/// Not `Copy`: an ITS with one memory for two tables would take an entry of one, such as a
/// collection's redistributor, for an address in the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Memory {
    address: u64,
    bytes: u64,
}

impl Memory {
    /// # Safety
    /// The `bytes` from physical `address` on are RAM that belongs to the GIC alone, for good or
    /// until the GIC is told to stop using it. The program writes there through
    /// [`crate::hw::QueueRam`] and [`crate::hw::LpiTable`] only.
    pub const unsafe fn new(address: u64, bytes: u64) -> Self {
        Self { address, bytes }
    }

    /// As for [`Base::known`].
    #[cfg(feature = "model")]
    pub(crate) const fn known(address: u64, bytes: u64) -> Self {
        Self { address, bytes }
    }

    /// Physical address of the first byte.
    pub const fn address(&self) -> u64 {
        self.address
    }
    /// Length in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A value of the base register with bit fields `L`: memory, and how to use it. Functions of
/// [`crate::layout`] work the bits out.
#[repr(transparent)]
pub struct Base<L> {
    bits: u64,
    register: PhantomData<fn() -> L>,
}

impl<L> Base<L> {
    /// # Safety
    /// The memory that the register names with these `bits` is the GIC's as for [`Memory::new`]. A
    /// command queue (GITS_CBASER) holds no command yet that names other memory.
    pub const unsafe fn new(bits: u64) -> Self {
        Self::known(bits)
    }

    /// The register's value.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// A value whose memory was given before, by another `Base`, a [`Memory`] or the register
    /// itself, or that names none.
    #[inline(always)]
    pub(crate) const fn known(bits: u64) -> Self {
        Self { bits, register: PhantomData }
    }
}

impl<L> Clone for Base<L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<L> Copy for Base<L> {}
impl<L> PartialEq for Base<L> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<L> Eq for Base<L> {}
impl<L> fmt::Debug for Base<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.bits)
    }
}

/// An encoded ITS command that names no memory, or memory that is the GIC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Vetted(Encoded);

/// MAPD and VMAPP with V = 1.
#[inline(always)]
const fn names_memory(words: &Encoded) -> bool {
    matches!(words[0] as u8, opcode::MAPD | opcode::VMAPP) && words[2] >> 63 != 0
}

impl Vetted {
    /// A command that names no memory; None: it does.
    #[inline(always)]
    pub const fn new(words: Encoded) -> Option<Self> {
        if names_memory(&words) { None } else { Some(Self(words)) }
    }

    /// Commands that name no memory; None: one does.
    #[inline(always)]
    pub fn all(commands: &[Encoded]) -> Option<&[Self]> {
        if commands.iter().any(names_memory) {
            return None;
        }
        // SAFETY: none of them names memory.
        Some(unsafe { Self::trust(commands) })
    }

    /// A list of commands, such as a boot script.
    ///
    /// # Safety
    /// The memory of every MAPD (an interrupt translation table) and VMAPP (a virtual pending
    /// table, on GICv4.1 a virtual configuration table too) in it is the GIC's as for
    /// [`Memory::new`].
    #[inline(always)]
    pub const unsafe fn trust(commands: &[Encoded]) -> &[Self] {
        let first = commands.as_ptr().cast();
        // SAFETY: `Vetted` is transparent; what it says of its commands is the caller's promise.
        unsafe { core::slice::from_raw_parts(first, commands.len()) }
    }

    /// INT: makes an event pending, as its device would.
    #[inline(always)]
    pub const fn int(device: DeviceId, event: EventId) -> Self {
        Self::harmless(Command::Int { device, event })
    }
    /// SYNC: what earlier commands did to this redistributor is complete.
    #[inline(always)]
    pub const fn sync(redistributor: RdBase) -> Self {
        Self::harmless(Command::Sync { redistributor })
    }
    /// VINVALL: configuration bytes of any vLPI of the vPE have changed.
    #[inline(always)]
    pub const fn vinvall(vpe: VpeId) -> Self {
        Self::harmless(Command::Vinvall { vpe })
    }
    /// VSYNC: what earlier commands did to this vPE is complete.
    #[inline(always)]
    pub const fn vsync(vpe: VpeId) -> Self {
        Self::harmless(Command::Vsync { vpe })
    }

    /// For commands of this crate that name no memory.
    #[inline(always)]
    pub(crate) const fn harmless(command: Command) -> Self {
        Self(command.encode())
    }

    /// As for [`Base::known`].
    #[cfg(feature = "model")]
    pub(crate) const fn known(words: Encoded) -> Self {
        Self(words)
    }

    /// What pads a short list; it is never given to an ITS.
    pub(crate) const PADDING: Self = Self([0; 4]);

    /// The command's doublewords.
    #[inline(always)]
    pub const fn words(&self) -> &Encoded {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::command::{Itt, VpeMapping, Vpt};

    #[test]
    fn only_mappings_of_memory_need_a_promise() {
        let (device, vpe, redistributor) = (DeviceId::new(8), VpeId::new(9), RdBase::processor(1));
        let mapping = VpeMapping { redistributor, vpt: Vpt::new(0x4000_0000, 14).unwrap() };
        let names = [
            Command::Mapd { device, itt: Itt::new(0x4000_0000, 5) }.encode(),
            Command::Vmapp { vpe, mapping: Some(mapping) }.encode(),
        ];
        let harmless = [
            Command::Mapd { device, itt: None }.encode(),
            Command::Vmapp { vpe, mapping: None }.encode(),
            Command::Mapc {
                collection: crate::CollectionId::new(0),
                redistributor: Some(redistributor),
            }
            .encode(),
            Command::Int { device, event: EventId::new(3) }.encode(),
        ];
        for words in names {
            assert_eq!(Vetted::new(words), None);
            assert_eq!(Vetted::all(&[harmless[3], words]), None);
        }
        for words in harmless {
            assert_eq!(Vetted::new(words).map(|command| *command.words()), Some(words));
        }
        let all = Vetted::all(&harmless).unwrap();
        assert!(all.iter().map(Vetted::words).eq(&harmless));
    }
}
