// SPDX-License-Identifier: Apache-2.0 OR MIT
extern crate std;

use super::*;
use crate::intid::VpeId;
use std::format;
use std::string::{String, ToString};

const COHERENT: Attributes = Attributes::COHERENT;

#[test]
fn sizes_of_its_tables() {
    // 512 DeviceIDs of 8 bytes are one 4 KiB page; one more is two.
    assert_eq!(flat_table(512, 8, PageSize::Kib4), Ok(Room { bytes: 0x1000, align: 0x1000 }));
    assert_eq!(flat_table(513, 8, PageSize::Kib4), Ok(Room { bytes: 0x2000, align: 0x1000 }));
    assert_eq!(flat_table(1, 8, PageSize::Kib64), Ok(Room { bytes: 0x1_0000, align: 0x1_0000 }));
    // 16 bits of DeviceID, 8 bytes each: 512 KiB.
    assert_eq!(flat_table(1 << 16, 8, PageSize::Kib4), Ok(Room { bytes: 0x8_0000, align: 0x1000 }));
    assert_eq!(
        flat_table(1 << 18, 8, PageSize::Kib4),
        Err(LayoutError::TooManyPages { pages: 512, most: 256 })
    );
    assert!(matches!(
        flat_table(u64::MAX, 8, PageSize::Kib4),
        Err(LayoutError::TooManyPages { .. })
    ));
    assert_eq!(flat_table(0, 8, PageSize::Kib4), Err(LayoutError::Empty));
    assert_eq!(flat_table(1, 0, PageSize::Kib4), Err(LayoutError::EntryBytes { bytes: 0 }));
    assert_eq!((flat_entries(0x1000, 8), flat_entries(0x1000, 0)), (512, 0));
}

#[test]
fn sizes_of_two_level_tables() {
    let table = two_level_table(1 << 16, 8, PageSize::Kib4).unwrap();
    assert_eq!(table.entries_per_page, 512);
    assert_eq!(table.level1, Room { bytes: 0x1000, align: 0x1000 });
    assert_eq!(table.level2, Room { bytes: 0x1000, align: 0x1000 });
    // 32 bits of DeviceID in 64 KiB pages of 8 bytes: 2^19 level-1 entries, 4 MiB.
    assert_eq!(two_level_table(1 << 32, 8, PageSize::Kib64).unwrap().level1.bytes, 0x40_0000);
    assert_eq!(level1_entry(0x4567_8000, PageSize::Kib4), Ok(0x8000_0000_4567_8000));
    assert_eq!(
        level1_entry(0x4567_8000, PageSize::Kib64),
        Err(LayoutError::Misaligned { address: 0x4567_8000, align: 0x1_0000 })
    );
}

#[test]
fn sizes_of_translation_tables_and_queues() {
    assert_eq!(itt(5, 12), Ok(Room { bytes: 512, align: 256 }));
    assert_eq!(itt(1, 12), Ok(Room { bytes: 256, align: 256 }));
    assert_eq!(itt(16, 16), Ok(Room { bytes: 0x10_0000, align: 256 }));
    assert_eq!(itt(0, 12), Err(LayoutError::IdBits { bits: 0 }));
    assert_eq!(itt(33, 12), Err(LayoutError::IdBits { bits: 33 }));
    assert_eq!(itt(5, 17), Err(LayoutError::EntryBytes { bytes: 17 }));
    // 128 slots to a page, one of them always free.
    assert_eq!(command_queue(127), Ok(Room { bytes: 0x1000, align: 0x1_0000 }));
    assert_eq!(command_queue(128), Ok(Room { bytes: 0x2000, align: 0x1_0000 }));
    assert!(command_queue(u64::MAX).is_err());
}

#[test]
fn sizes_of_lpi_tables() {
    assert_eq!(lpi_config_table(14), Ok(Room { bytes: 8192, align: 0x1000 }));
    assert_eq!(lpi_config_table(16), Ok(Room { bytes: 57344, align: 0x1000 }));
    assert_eq!(pending_table(14), Ok(Room { bytes: 2048, align: 0x1_0000 }));
    assert_eq!(virtual_config_table_v41(14), Ok(Room { bytes: 8192, align: 0x1_0000 }));
    assert_eq!(lpi_config_table(13), Err(LayoutError::IntIdBits { bits: 13 }));
    assert_eq!(pending_table(33), Err(LayoutError::IntIdBits { bits: 33 }));
    for (last, bits) in [(0, 14), (8192, 14), (16383, 14), (16384, 15), (65535, 16), (u32::MAX, 32)]
    {
        assert_eq!(intid_bits_for(last), bits, "{last}");
    }
}

fn hex(value: u64) -> String {
    format!("{value:#018x}")
}

#[test]
fn base_registers_follow_the_manual() {
    let page = Room { bytes: 0x1000, align: 0x1000 };
    let big = Room { bytes: 0x2_0000, align: 0x1_0000 };
    let queue = Room { bytes: 0x2000, align: 0x1_0000 };
    let baser = |kind, address, room, size| baser(kind, address, room, 8, size, false, COHERENT);
    for (made, value) in [
        // Valid, InnerCache 7 (bits 61:59), Type 1, Entry_Size 7, PA, Shareability 1, 4 KiB, one
        // page.
        (baser(TableKind::Devices, 0x4500_1000, page, PageSize::Kib4), 0xb907_0000_4500_1400),
        (baser(TableKind::Vpes, 0x4500_1000, page, PageSize::Kib4), 0xba07_0000_4500_1400),
        (baser(TableKind::Collections, 0x4501_0000, big, PageSize::Kib64), 0xbc07_0000_4501_0601),
        // With 64 KiB pages, PA 51:48 goes to bits 15:12.
        (
            baser(TableKind::Devices, 0x5_0000_4501_0000, big, PageSize::Kib64),
            0xb907_0000_4501_5601,
        ),
        (cbaser(0x4502_0000, queue, COHERENT), 0xb800_0000_4502_0401),
        (propbaser(0x4503_1000, 14, COHERENT), 0x0000_0000_4503_178d),
        (pendbaser(0x4504_0000, true, COHERENT), 0x4000_0000_4504_0780),
        (pendbaser(0x4504_0000, false, Attributes::UNCACHED), 0x0000_0000_4504_0080),
        (vpropbaser(0x4503_1000, 14, COHERENT), 0x0000_0000_4503_178d),
        (vpendbaser(0x4505_0000, COHERENT), 0x0000_0000_4505_0780),
        // Valid, entry of 2 doublewords, 64 KiB pages (2 << 53), Z, two pages.
        (
            vpropbaser_v41(0x4506_0000, big, 16, PageSize::Kib64, false, true, COHERENT),
            0x8850_0000_4506_0781,
        ),
        (Ok(vpendbaser_v41(VpeId::new(0x21), false)), 0x0400_0000_0000_0021),
        (Ok(vpendbaser_v41(VpeId::new(0x21), true)), 0x0c00_0000_0000_0021),
    ] {
        assert_eq!(made.map(hex), Ok(hex(value)));
    }
    assert_eq!(baser_address(0xb907_0000_4501_5601), 0x5_0000_4501_0000);
    assert_eq!(baser_address(0xb907_0000_4500_1400), 0x4500_1000);
}

#[test]
fn what_does_not_fit_is_refused() {
    let page = Room { bytes: 0x1000, align: 0x1000 };
    let none = Room { bytes: 0, align: 0x1000 };
    let device = |address, room, entry| {
        baser(TableKind::Devices, address, room, entry, PageSize::Kib4, true, COHERENT)
    };
    assert_eq!(
        device(0x800, page, 8),
        Err(LayoutError::Misaligned { address: 0x800, align: 0x1000 })
    );
    assert_eq!(device(1 << 48, page, 8), Err(LayoutError::AddressTooWide { address: 1 << 48 }));
    assert_eq!(device(0x1000, none, 8), Err(LayoutError::Empty));
    assert_eq!(device(0x1000, page, 33), Err(LayoutError::EntryBytes { bytes: 33 }));
    assert_eq!(
        cbaser(0x1000, page, COHERENT),
        Err(LayoutError::Misaligned { address: 0x1000, align: 0x1_0000 })
    );
    assert_eq!(
        propbaser(1 << 52, 14, COHERENT),
        Err(LayoutError::AddressTooWide { address: 1 << 52 })
    );
    assert_eq!(
        vpendbaser(0x1000, COHERENT),
        Err(LayoutError::Misaligned { address: 0x1000, align: 0x1_0000 })
    );
    assert!(vpropbaser_v41(0, page, 12, PageSize::Kib4, false, false, COHERENT).is_err());
    assert_eq!(
        LayoutError::Misaligned { address: 0x800, align: 0x1000 }.to_string(),
        "address 0x800 is not a multiple of 0x1000"
    );
}
