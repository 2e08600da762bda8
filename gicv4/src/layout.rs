// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sizes, alignments and base-register values of every table that the GIC keeps in memory.
//!
//! All functions are `const` and total: codegen calls them when it lays out memory, a boot loader
//! may call them at run time. Address arguments are physical. Sizes are bytes. Follows IHI 0069H
//! 5.2 (ITS tables), 5.1.1 (LPI tables), 5.6 (virtual LPI tables) and the base registers'
//! descriptions in chapter 12.

use crate::regs::{gicr, gits, vlpi};
use core::fmt;

use gicr::{GICR_PENDBASER, GICR_PROPBASER};
use gits::{GITS_BASER, GITS_CBASER};
use vlpi::{GICR_VPENDBASER, GICR_VPENDBASER_V41, GICR_VPROPBASER, GICR_VPROPBASER_V41};

/// Why a layout is impossible. The fields are what was asked for; `align` and `most` what can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields, which the enum's text describes")]
pub enum LayoutError {
    /// The address is not a multiple of `align`.
    Misaligned { address: u64, align: u64 },
    /// The address has bits that the register has no room for.
    AddressTooWide { address: u64 },
    /// More pages than the Size field can say.
    TooManyPages { pages: u64, most: u64 },
    /// LPI tables need 14 INTID bits at least, 32 at most.
    IntIdBits { bits: u8 },
    /// EventIDs or DeviceIDs have 1 to 32 bits.
    IdBits { bits: u8 },
    /// An entry of no bytes, or of more than a page.
    EntryBytes { bytes: u64 },
    /// A table for nothing.
    Empty,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { address, align } => {
                write!(f, "address {address:#x} is not a multiple of {align:#x}")
            }
            Self::AddressTooWide { address } => {
                write!(f, "address {address:#x} is too wide for the register")
            }
            Self::TooManyPages { pages, most } => {
                write!(f, "{pages} pages are needed, the register can say {most}")
            }
            Self::IntIdBits { bits } => write!(f, "{bits} INTID bits; LPI tables need 14 to 32"),
            Self::IdBits { bits } => write!(f, "{bits} bits; EventIDs and DeviceIDs have 1 to 32"),
            Self::EntryBytes { bytes } => write!(f, "a table entry of {bytes} bytes"),
            Self::Empty => f.write_str("a table without entries"),
        }
    }
}

impl core::error::Error for LayoutError {}

/// How much memory a table takes, and how its base must be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its size.
    pub bytes: u64,
    /// A power of two, in bytes.
    pub align: u64,
}

/// Page size of an ITS table (GITS_BASERn.Page_Size).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
}

impl PageSize {
    /// Its size in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Kib4 => 0x1000,
            Self::Kib16 => 0x4000,
            Self::Kib64 => 0x1_0000,
        }
    }
    /// GITS_BASERn.Page_Size.
    pub const fn field(self) -> u64 {
        match self {
            Self::Kib4 => 0,
            Self::Kib16 => 1,
            Self::Kib64 => 2,
        }
    }
    /// None: reserved.
    pub const fn from_field(field: u64) -> Option<Self> {
        match field {
            0 => Some(Self::Kib4),
            1 => Some(Self::Kib16),
            2 => Some(Self::Kib64),
            _ => None,
        }
    }
}

/// What a GITS_BASERn is for (its Type field).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// ITTs by DeviceID.
    Devices,
    /// vPEs by vPEID.
    Vpes,
    /// Redistributors by collection ID.
    Collections,
}

impl TableKind {
    /// GITS_BASERn.Type.
    pub const fn field(self) -> u64 {
        match self {
            Self::Devices => 1,
            Self::Vpes => 2,
            Self::Collections => 4,
        }
    }
    /// None: not implemented, or reserved.
    pub const fn from_field(field: u64) -> Option<Self> {
        match field {
            1 => Some(Self::Devices),
            2 => Some(Self::Vpes),
            4 => Some(Self::Collections),
            _ => None,
        }
    }
}

/// Memory attributes of the GIC's accesses to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// InnerCache, 3 bits.
    pub inner: u8,
    /// OuterCache, 3 bits; 0: the same as inner.
    pub outer: u8,
    /// Shareability, 2 bits.
    pub shareability: u8,
}

impl Attributes {
    /// Inner shareable, write-back, read- and write-allocate: coherent with CPUs that use normal
    /// memory.
    pub const COHERENT: Self = Self { inner: 0b111, outer: 0, shareability: 0b01 };
    /// Non-shareable, non-cacheable: for a GIC whose accesses are not coherent.
    pub const UNCACHED: Self = Self { inner: 0b001, outer: 0, shareability: 0b00 };
}

const fn round_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to) * to
}

const fn check(address: u64, align: u64, bits: u32) -> Result<(), LayoutError> {
    if !address.is_multiple_of(align) {
        Err(LayoutError::Misaligned { address, align })
    } else if address >> bits != 0 {
        Err(LayoutError::AddressTooWide { address })
    } else {
        Ok(())
    }
}

macro_rules! attempt {
    ($e:expr) => {
        match $e {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}

// ITS tables
// -------------------------------------------------------------------------------------------------

/// Most pages that GITS_BASERn.Size can say.
pub const MOST_TABLE_PAGES: u64 = 256;
/// Bytes of a level-1 entry of a two-level table: the address of a level-2 page and Valid.
pub const LEVEL1_ENTRY_BYTES: u64 = 8;

/// A flat device, vPE or collection table of `entries` entries (IHI 0069H 5.2.1).
pub const fn flat_table(
    entries: u64,
    entry_bytes: u64,
    page: PageSize,
) -> Result<Room, LayoutError> {
    if entries == 0 {
        return Err(LayoutError::Empty);
    }
    if entry_bytes == 0 || entry_bytes > page.bytes() {
        return Err(LayoutError::EntryBytes { bytes: entry_bytes });
    }
    let pages = match entries.checked_mul(entry_bytes) {
        Some(bytes) => bytes.div_ceil(page.bytes()),
        None => u64::MAX,
    };
    if pages > MOST_TABLE_PAGES {
        return Err(LayoutError::TooManyPages { pages, most: MOST_TABLE_PAGES });
    }
    Ok(Room { bytes: pages * page.bytes(), align: page.bytes() })
}

/// Entries that a flat table of `bytes` holds.
pub const fn flat_entries(bytes: u64, entry_bytes: u64) -> u64 {
    match bytes.checked_div(entry_bytes) {
        Some(entries) => entries,
        None => 0,
    }
}

/// A two-level table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLevel {
    /// The level-1 table, which GITS_BASERn points at.
    pub level1: Room,
    /// Each level-2 page.
    pub level2: Room,
    /// Entries (DeviceIDs, vPEIDs) that one level-2 page holds.
    pub entries_per_page: u64,
}

/// A two-level device, vPE or collection table for entries 0..`entries` (GITS_BASERn.Indirect = 1).
pub const fn two_level_table(
    entries: u64,
    entry_bytes: u64,
    page: PageSize,
) -> Result<TwoLevel, LayoutError> {
    if entry_bytes == 0 || entry_bytes > page.bytes() {
        return Err(LayoutError::EntryBytes { bytes: entry_bytes });
    }
    let entries_per_page = page.bytes() / entry_bytes;
    let level1 = attempt!(flat_table(entries.div_ceil(entries_per_page), LEVEL1_ENTRY_BYTES, page));
    Ok(TwoLevel {
        level1,
        level2: Room { bytes: page.bytes(), align: page.bytes() },
        entries_per_page,
    })
}

/// A level-1 entry that points at a level-2 page.
pub const fn level1_entry(level2: u64, page: PageSize) -> Result<u64, LayoutError> {
    attempt!(check(level2, page.bytes(), 52));
    Ok(1 << 63 | level2)
}

/// An interrupt translation table for `event_bits` bits of EventID (MAPD).
pub const fn itt(event_bits: u8, entry_bytes: u64) -> Result<Room, LayoutError> {
    if event_bits == 0 || event_bits > 32 {
        return Err(LayoutError::IdBits { bits: event_bits });
    }
    if entry_bytes == 0 || entry_bytes > 16 {
        return Err(LayoutError::EntryBytes { bytes: entry_bytes });
    }
    Ok(Room { bytes: round_up(entry_bytes << event_bits, ITT_ALIGN), align: ITT_ALIGN })
}
/// Alignment of an interrupt translation table.
pub const ITT_ALIGN: u64 = 256;

/// GITS_BASERn for a table of `room.bytes` at `address`. `entry_bytes` is what the hardware must
/// read back.
pub const fn baser(
    kind: TableKind,
    address: u64,
    room: Room,
    entry_bytes: u64,
    page: PageSize,
    indirect: bool,
    attributes: Attributes,
) -> Result<u64, LayoutError> {
    // Only 64 KiB pages have room for a 52-bit address (12.19.1).
    attempt!(check(address, page.bytes(), if matches!(page, PageSize::Kib64) { 52 } else { 48 }));
    if entry_bytes == 0 || entry_bytes > 32 {
        return Err(LayoutError::EntryBytes { bytes: entry_bytes });
    }
    let pages = room.bytes.div_ceil(page.bytes());
    if pages == 0 {
        return Err(LayoutError::Empty);
    }
    if pages > MOST_TABLE_PAGES {
        return Err(LayoutError::TooManyPages { pages, most: MOST_TABLE_PAGES });
    }
    Ok(GITS_BASER::Size.val(pages - 1).value
        | GITS_BASER::PageSize.val(page.field()).value
        | GITS_BASER::Shareability.val(attributes.shareability as u64).value
        | GITS_BASER::PhysicalAddress.val((address & 0xffff_ffff_ffff) >> 12).value
        | ((address >> 48) & 0xf) << 12
        | GITS_BASER::EntrySize.val(entry_bytes - 1).value
        | GITS_BASER::OuterCache.val(attributes.outer as u64).value
        | GITS_BASER::Type.val(kind.field()).value
        | GITS_BASER::InnerCache.val(attributes.inner as u64).value
        | GITS_BASER::Indirect.val(indirect as u64).value
        | GITS_BASER::Valid.val(1).value)
}

/// Address in a GITS_BASERn value, as [`baser`] put it.
pub const fn baser_address(value: u64) -> u64 {
    let low = value & 0xffff_ffff_f000;
    if (value >> 8) & 3 == 2 { (low & !0xf000) | ((low & 0xf000) << 36) } else { low }
}

/// Bytes of one command.
pub const COMMAND_BYTES: u64 = 32;

/// A command queue that holds at least `commands` at once: whole pages, and one slot always stays
/// free.
pub const fn command_queue(commands: u64) -> Result<Room, LayoutError> {
    let pages = (commands.saturating_add(1)).saturating_mul(COMMAND_BYTES).div_ceil(0x1000);
    if pages > 256 {
        return Err(LayoutError::TooManyPages { pages, most: 256 });
    }
    Ok(Room { bytes: pages * 0x1000, align: 0x1_0000 })
}

/// GITS_CBASER. Bits 15:12 of the address must be zero.
pub const fn cbaser(address: u64, room: Room, attributes: Attributes) -> Result<u64, LayoutError> {
    attempt!(check(address, 0x1_0000, 52));
    let pages = room.bytes.div_ceil(0x1000);
    if pages == 0 {
        return Err(LayoutError::Empty);
    }
    if pages > 256 {
        return Err(LayoutError::TooManyPages { pages, most: 256 });
    }
    Ok(GITS_CBASER::Size.val(pages - 1).value
        | GITS_CBASER::Shareability.val(attributes.shareability as u64).value
        | GITS_CBASER::PhysicalAddress.val(address >> 12).value
        | GITS_CBASER::OuterCache.val(attributes.outer as u64).value
        | GITS_CBASER::InnerCache.val(attributes.inner as u64).value
        | GITS_CBASER::Valid.val(1).value)
}

// LPI tables, physical and virtual
// --------------------------------------------------------------------------------

const fn check_intid_bits(bits: u8) -> Result<(), LayoutError> {
    if bits < 14 || bits > 32 { Err(LayoutError::IntIdBits { bits }) } else { Ok(()) }
}

/// INTID bits needed for LPIs up to and including `last`: at least 14.
pub const fn intid_bits_for(last: u32) -> u8 {
    let bits = 32 - last.leading_zeros();
    if bits < 14 { 14 } else { bits as u8 }
}

/// An LPI configuration table, physical or virtual: a byte for each LPI from 8192.
pub const fn lpi_config_table(intid_bits: u8) -> Result<Room, LayoutError> {
    attempt!(check_intid_bits(intid_bits));
    Ok(Room { bytes: (1 << intid_bits) - 8192, align: 0x1000 })
}

/// A virtual LPI configuration table as GICv4.1's VMAPP wants it: on 64 KiB.
pub const fn virtual_config_table_v41(intid_bits: u8) -> Result<Room, LayoutError> {
    let room = attempt!(lpi_config_table(intid_bits));
    Ok(Room { bytes: room.bytes, align: 0x1_0000 })
}

/// An LPI pending table, or a vPE's virtual pending table: a bit for each INTID from 0.
pub const fn pending_table(intid_bits: u8) -> Result<Room, LayoutError> {
    attempt!(check_intid_bits(intid_bits));
    Ok(Room { bytes: (1 << intid_bits) / 8, align: 0x1_0000 })
}

/// GICR_PROPBASER.
pub const fn propbaser(
    config: u64,
    intid_bits: u8,
    attributes: Attributes,
) -> Result<u64, LayoutError> {
    attempt!(check_intid_bits(intid_bits));
    attempt!(check(config, 0x1000, 52));
    Ok(GICR_PROPBASER::IDbits.val(intid_bits as u64 - 1).value
        | GICR_PROPBASER::InnerCache.val(attributes.inner as u64).value
        | GICR_PROPBASER::Shareability.val(attributes.shareability as u64).value
        | GICR_PROPBASER::PhysicalAddress.val(config >> 12).value
        | GICR_PROPBASER::OuterCache.val(attributes.outer as u64).value)
}

/// GICR_PENDBASER. `zeroed`: software cleared the table, the GIC need not read it.
pub const fn pendbaser(
    table: u64,
    zeroed: bool,
    attributes: Attributes,
) -> Result<u64, LayoutError> {
    attempt!(check(table, 0x1_0000, 52));
    Ok(GICR_PENDBASER::InnerCache.val(attributes.inner as u64).value
        | GICR_PENDBASER::Shareability.val(attributes.shareability as u64).value
        | GICR_PENDBASER::PhysicalAddress.val(table >> 16).value
        | GICR_PENDBASER::OuterCache.val(attributes.outer as u64).value
        | GICR_PENDBASER::PTZ.val(zeroed as u64).value)
}

/// GICR_VPROPBASER of GICv4.0, of a vPE. VMAPP must say the same number of bits.
pub const fn vpropbaser(
    config: u64,
    intid_bits: u8,
    attributes: Attributes,
) -> Result<u64, LayoutError> {
    attempt!(check_intid_bits(intid_bits));
    attempt!(check(config, 0x1000, 52));
    Ok(GICR_VPROPBASER::IDbits.val(intid_bits as u64 - 1).value
        | GICR_VPROPBASER::InnerCache.val(attributes.inner as u64).value
        | GICR_VPROPBASER::Shareability.val(attributes.shareability as u64).value
        | GICR_VPROPBASER::PhysicalAddress.val(config >> 12).value
        | GICR_VPROPBASER::OuterCache.val(attributes.outer as u64).value)
}

/// GICR_VPENDBASER of GICv4.0, of a vPE, without Valid, PendingLast and IDAI: those are
/// residency's.
pub const fn vpendbaser(table: u64, attributes: Attributes) -> Result<u64, LayoutError> {
    attempt!(check(table, 0x1_0000, 52));
    Ok(GICR_VPENDBASER::InnerCache.val(attributes.inner as u64).value
        | GICR_VPENDBASER::Shareability.val(attributes.shareability as u64).value
        | GICR_VPENDBASER::PhysicalAddress.val(table >> 16).value
        | GICR_VPENDBASER::OuterCache.val(attributes.outer as u64).value)
}

/// GICR_VPROPBASER of GICv4.1: the vPE table that this redistributor uses. Entry sizes are 1 to 8
/// doublewords.
pub const fn vpropbaser_v41(
    address: u64,
    room: Room,
    entry_bytes: u64,
    page: PageSize,
    indirect: bool,
    zeroed: bool,
    attributes: Attributes,
) -> Result<u64, LayoutError> {
    attempt!(check(address, page.bytes(), 52));
    if entry_bytes == 0 || entry_bytes > 64 || !entry_bytes.is_multiple_of(8) {
        return Err(LayoutError::EntryBytes { bytes: entry_bytes });
    }
    let pages = room.bytes.div_ceil(page.bytes());
    if pages == 0 {
        return Err(LayoutError::Empty);
    }
    if pages > 128 {
        return Err(LayoutError::TooManyPages { pages, most: 128 });
    }
    Ok(GICR_VPROPBASER_V41::Size.val(pages - 1).value
        | GICR_VPROPBASER_V41::InnerCache.val(attributes.inner as u64).value
        | GICR_VPROPBASER_V41::Shareability.val(attributes.shareability as u64).value
        | GICR_VPROPBASER_V41::PhysicalAddress.val(address >> 12).value
        | GICR_VPROPBASER_V41::Z.val(zeroed as u64).value
        | GICR_VPROPBASER_V41::PageSize.val(page.field()).value
        | GICR_VPROPBASER_V41::Indirect.val(indirect as u64).value
        | GICR_VPROPBASER_V41::OuterCache.val(attributes.outer as u64).value
        | GICR_VPROPBASER_V41::EntrySize.val(entry_bytes / 8 - 1).value
        | GICR_VPROPBASER_V41::Valid.val(1).value)
}

/// GICR_VPROPBASER of GICv4.1 for the vPE table that the ITS has in a GITS_BASERn of this value
/// (GITS_TYPER.SVPET): the same table, in use already.
pub const fn vpropbaser_of_its(baser: u64) -> Result<u64, LayoutError> {
    let Some(page) = PageSize::from_field((baser >> 8) & 3) else {
        return Err(LayoutError::Empty);
    };
    let room = Room { bytes: ((baser & 0xff) + 1) * page.bytes(), align: page.bytes() };
    let entry_bytes = ((baser >> 48) & 0x1f) + 1;
    let attributes = Attributes {
        inner: ((baser >> 59) & 7) as u8,
        outer: ((baser >> 53) & 7) as u8,
        shareability: ((baser >> 10) & 3) as u8,
    };
    let indirect = (baser >> 62) & 1 != 0;
    vpropbaser_v41(baser_address(baser), room, entry_bytes, page, indirect, false, attributes)
}

/// GICR_VPENDBASER of GICv4.1 that makes a vPE resident with Group 1 (and Group 0) interrupts
/// signalled.
pub const fn vpendbaser_v41(vpe: crate::intid::VpeId, group0: bool) -> u64 {
    GICR_VPENDBASER_V41::VPEID.val(vpe.value() as u64).value
        | GICR_VPENDBASER_V41::VGrp1En.val(1).value
        | GICR_VPENDBASER_V41::VGrp0En.val(group0 as u64).value
}

#[cfg(test)]
mod tests;
