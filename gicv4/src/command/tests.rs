// SPDX-License-Identifier: Apache-2.0 OR MIT
extern crate std;

use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;

const DEVICE: DeviceId = DeviceId::new(0x10);
const EVENT: EventId = EventId::new(3);
const ICID: CollectionId = CollectionId::new(2);
const VPE: VpeId = VpeId::new(0x1234);
const RD: RdBase = RdBase::processor(1);

fn vpt() -> Vpt {
    Vpt::new(0x4123_0000, 14).unwrap()
}

/// Each command, its doublewords as the manual's figures give them, and how it reads.
fn physical() -> [(Command, Encoded, &'static str); 16] {
    let itt = Itt::new(0x4010_0200, 5).unwrap();
    let rd3 = RdBase::address(0x80e_0000).unwrap();
    [
        (
            Command::Mapd { device: DEVICE, itt: Some(itt) },
            [0x0000_0010_0000_0008, 4, 0x8000_0000_4010_0200, 0],
            "MAPD device 16 -> ITT at 0x40100200, 5 event bits",
        ),
        (
            Command::Mapd { device: DEVICE, itt: None },
            [0x0000_0010_0000_0008, 0, 0, 0],
            "MAPD device 16: unmap",
        ),
        (
            Command::Mapc { collection: ICID, redistributor: Some(RD) },
            [0x09, 0, 0x8000_0000_0001_0002, 0],
            "MAPC collection 2 -> redistributor 1",
        ),
        (
            Command::Mapc { collection: ICID, redistributor: Some(rd3) },
            [0x09, 0, 0x8000_0000_080e_0002, 0],
            "MAPC collection 2 -> redistributor at 0x80e0000",
        ),
        (
            Command::Mapc { collection: ICID, redistributor: None },
            [0x09, 0, 2, 0],
            "MAPC collection 2: unmap",
        ),
        (
            Command::Mapti {
                device: DEVICE,
                event: EVENT,
                intid: IntId::new(8195),
                collection: ICID,
            },
            [0x0000_0010_0000_000a, 0x0000_2003_0000_0003, 2, 0],
            "MAPTI device 16 event 3 -> LPI 8195 in collection 2",
        ),
        (
            Command::Mapi { device: DEVICE, event: EventId::new(8200), collection: ICID },
            [0x0000_0010_0000_000b, 0x2008, 2, 0],
            "MAPI device 16 event 8200 -> LPI 8200 in collection 2",
        ),
        (
            Command::Movi { device: DEVICE, event: EVENT, collection: ICID },
            [0x0000_0010_0000_0001, 3, 2, 0],
            "MOVI device 16 event 3 -> collection 2",
        ),
        (
            Command::Movall { from: RD, to: RdBase::processor(2) },
            [0x0e, 0, 0x1_0000, 0x2_0000],
            "MOVALL redistributor 1 -> redistributor 2",
        ),
        (
            Command::Int { device: DEVICE, event: EVENT },
            [0x0000_0010_0000_0003, 3, 0, 0],
            "INT device 16 event 3",
        ),
        (
            Command::Clear { device: DEVICE, event: EVENT },
            [0x0000_0010_0000_0004, 3, 0, 0],
            "CLEAR device 16 event 3",
        ),
        (
            Command::Discard { device: DEVICE, event: EVENT },
            [0x0000_0010_0000_000f, 3, 0, 0],
            "DISCARD device 16 event 3",
        ),
        (
            Command::Inv { device: DEVICE, event: EVENT },
            [0x0000_0010_0000_000c, 3, 0, 0],
            "INV device 16 event 3",
        ),
        (Command::Invall { collection: ICID }, [0x0d, 0, 2, 0], "INVALL collection 2"),
        (Command::Sync { redistributor: RD }, [0x05, 0, 0x1_0000, 0], "SYNC redistributor 1"),
        (
            Command::Sync { redistributor: rd3 },
            [0x05, 0, 0x80e_0000, 0],
            "SYNC redistributor at 0x80e0000",
        ),
    ]
}

fn v4_0() -> [(Command, Encoded, &'static str); 11] {
    let (vintid, doorbell) = (IntId::new(8192), IntId::new(8193));
    [
        (
            Command::Vmapp {
                vpe: VPE,
                mapping: Some(VpeMapping { redistributor: RD, vpt: vpt() }),
            },
            [0x29, 0x0000_1234_0000_0000, 0x8000_0000_0001_0000, 0x4123_000d],
            "VMAPP vPE 4660 -> redistributor 1, pending table at 0x41230000, 14 vINTID bits",
        ),
        (
            Command::Vmapp { vpe: VPE, mapping: None },
            [0x29, 0x0000_1234_0000_0000, 0, 0],
            "VMAPP vPE 4660: unmap",
        ),
        (
            Command::Vmapti {
                device: DEVICE,
                event: EventId::new(0),
                vintid,
                vpe: VpeId::new(1),
                doorbell,
            },
            [0x0000_0010_0000_002a, 0x0000_0001_0000_0000, 0x0000_2001_0000_2000, 0],
            "VMAPTI device 16 event 0 -> vLPI 8192 on vPE 1, doorbell LPI 8193",
        ),
        (
            Command::Vmapti {
                device: DEVICE,
                event: EVENT,
                vintid,
                vpe: VPE,
                doorbell: IntId::NONE,
            },
            [0x0000_0010_0000_002a, 0x0000_1234_0000_0003, 0x0000_03ff_0000_2000, 0],
            "VMAPTI device 16 event 3 -> vLPI 8192 on vPE 4660, no doorbell",
        ),
        (
            Command::Vmapi { device: DEVICE, event: EventId::new(8192), vpe: VPE, doorbell },
            [0x0000_0010_0000_002b, 0x0000_1234_0000_2000, 0x0000_2001_0000_0000, 0],
            "VMAPI device 16 event 8192 -> vLPI 8192 on vPE 4660, doorbell LPI 8193",
        ),
        (
            Command::Vmovi { device: DEVICE, event: EVENT, vpe: VPE, doorbell: Some(doorbell) },
            [0x0000_0010_0000_0021, 0x0000_1234_0000_0003, 0x0000_2001_0000_0001, 0],
            "VMOVI device 16 event 3 -> vPE 4660, doorbell LPI 8193",
        ),
        (
            Command::Vmovi { device: DEVICE, event: EVENT, vpe: VPE, doorbell: None },
            [0x0000_0010_0000_0021, 0x0000_1234_0000_0003, 0, 0],
            "VMOVI device 16 event 3 -> vPE 4660",
        ),
        (
            Command::Vmovp { vpe: VPE, redistributor: RD, sequence: 0, its_list: 0 },
            [0x22, 0x0000_1234_0000_0000, 0x1_0000, 0],
            "VMOVP vPE 4660 -> redistributor 1",
        ),
        (
            Command::Vmovp { vpe: VPE, redistributor: RD, sequence: 0x55, its_list: 3 },
            [0x0000_0055_0000_0022, 0x0000_1234_0000_0003, 0x1_0000, 0],
            "VMOVP vPE 4660 -> redistributor 1, ITSs 0x0003 in turn 85",
        ),
        (Command::Vinvall { vpe: VPE }, [0x2d, 0x0000_1234_0000_0000, 0, 0], "VINVALL vPE 4660"),
        (Command::Vsync { vpe: VPE }, [0x25, 0x0000_1234_0000_0000, 0, 0], "VSYNC vPE 4660"),
    ]
}

fn v4_1() -> [(Command, Encoded, &'static str); 8] {
    let mapping = VpeMappingV41 {
        redistributor: RD,
        vpt: vpt(),
        config: ConfigAddress::new(0x4200_0000).unwrap(),
        zeroed: true,
        doorbell: IntId::new(8193),
    };
    let configure = SgiChange::Configure { enabled: true, group1: true, priority: 0xa0 };
    [
        (
            Command::VmappV41 { vpe: VPE, allocate: true, mapping: Some(mapping) },
            [0x4200_0329, 0x0000_1234_0000_2001, 0x8000_0000_0001_0000, 0x4123_000d],
            "VMAPP vPE 4660 -> redistributor 1, pending table at 0x41230000 (zero), 14 vINTID bits, \
             configuration at 0x42000000, doorbell LPI 8193, first",
        ),
        (
            Command::VmappV41 { vpe: VPE, allocate: true, mapping: None },
            [0x129, 0x0000_1234_0000_0000, 0, 0],
            "VMAPP vPE 4660: unmap, last",
        ),
        (
            Command::VmappV41 { vpe: VPE, allocate: false, mapping: None },
            [0x29, 0x0000_1234_0000_0000, 0, 0],
            "VMAPP vPE 4660: unmap",
        ),
        (
            Command::VmovpV41 {
                vpe: VPE,
                redistributor: RD,
                sequence: 0,
                its_list: 0,
                doorbell: Some(IntId::new(8193)),
            },
            [0x22, 0x0000_1234_0000_0000, 0x8000_0000_0001_0000, 0x2001],
            "VMOVP vPE 4660 -> redistributor 1, doorbell LPI 8193",
        ),
        (
            Command::VmovpV41 {
                vpe: VPE,
                redistributor: RD,
                sequence: 0,
                its_list: 0,
                doorbell: None,
            },
            [0x22, 0x0000_1234_0000_0000, 0x1_0000, 0],
            "VMOVP vPE 4660 -> redistributor 1",
        ),
        (
            Command::Vsgi { vpe: VPE, sgi: 5, change: configure },
            [0x0000_0005_00a0_0523, 0x0000_1234_0000_0000, 0, 0],
            "VSGI vPE 4660 vSGI 5: enabled, group 1, priority 0xa0",
        ),
        (
            Command::Vsgi { vpe: VPE, sgi: 15, change: SgiChange::Clear },
            [0x0000_000f_0000_0223, 0x0000_1234_0000_0000, 0, 0],
            "VSGI vPE 4660 vSGI 15: clear",
        ),
        (Command::Invdb { vpe: VPE }, [0x2e, 0x0000_1234_0000_0000, 0, 0], "INVDB vPE 4660"),
    ]
}

#[test]
fn doublewords_and_words_of_each_command() {
    let cases = physical().into_iter().chain(v4_0()).map(|case| (Version::V4_0, case));
    for (version, (command, words, text)) in
        cases.chain(v4_1().into_iter().map(|case| (Version::V4_1, case)))
    {
        assert_eq!(command.encode(), words, "{text}");
        assert_eq!(command.to_string(), text);
        assert_eq!(Command::decode_strict(words, version), Ok(command), "{text}");
    }
}

#[test]
fn physical_commands_are_the_same_in_both_versions() {
    for (command, words, _) in physical() {
        assert_eq!(Command::decode_for(words, Version::V4_1), Ok(command));
    }
}

#[test]
fn an_unknown_opcode_is_no_command() {
    for opcode in [0x00, 0x02, 0x06, 0x07, 0x10, 0x20, 0x24, 0x28, 0x2c, 0x2f, 0xff] {
        let words = [u64::from(opcode), 0, 0, 0];
        assert_eq!(Command::decode(words), Err(DecodeError::Opcode(opcode)));
        assert_eq!(Command::decode_strict(words, Version::V4_1), Err(DecodeError::Opcode(opcode)));
    }
    for opcode in [opcode::VSGI, opcode::INVDB] {
        assert_eq!(Command::decode([u64::from(opcode), 0, 0, 0]), Err(DecodeError::Opcode(opcode)));
    }
}

#[test]
fn only_strict_decoding_minds_reserved_bits() {
    let int = Command::Int { device: DEVICE, event: EVENT };
    for (word, bits) in [(0, 0x100), (1, 1 << 32), (2, 1), (3, 1 << 63)] {
        let mut words = int.encode();
        words[word] |= bits;
        assert_eq!(Command::decode(words), Ok(int));
        let expected = DecodeError::Reserved { opcode: opcode::INT, word: word as u8, bits };
        assert_eq!(Command::decode_strict(words, Version::V4_0), Err(expected));
    }
    // GICv4.1's fields are reserved in GICv4.0.
    let (v41, words, _) = v4_1()[0];
    assert_eq!(Command::decode_strict(words, Version::V4_1), Ok(v41));
    let expected = DecodeError::Reserved { opcode: opcode::VMAPP, word: 0, bits: 0x4200_0300 };
    assert_eq!(Command::decode_strict(words, Version::V4_0), Err(expected));
}

#[test]
fn what_cannot_be_encoded_cannot_be_made() {
    assert!(Itt::new(0x80, 5).is_none() && Itt::new(1 << 52, 5).is_none());
    assert!(Itt::new(0x100, 0).is_none() && Itt::new(0x100, 33).is_none());
    assert!(Vpt::new(0x1000, 14).is_none() && Vpt::new(1 << 52, 14).is_none());
    assert!(Vpt::new(0x1_0000, 0).is_none() && Vpt::new(0x1_0000, 33).is_none());
    assert!(ConfigAddress::new(0x1000).is_none() && ConfigAddress::new(0x1_0000).is_some());
}

fn redistributors() -> impl Strategy<Value = RdBase> {
    any::<u64>().prop_map(RdBase::from_field)
}
fn vpts() -> impl Strategy<Value = Vpt> {
    (0u64..1 << 36, 1u8..=32).prop_map(|(page, bits)| Vpt::new(page << 16, bits).unwrap())
}
fn intids() -> impl Strategy<Value = IntId> {
    any::<u32>().prop_map(IntId::new)
}

fn physical_commands() -> impl Strategy<Value = Command> {
    let itt = (0u64..1 << 44, 1u8..=32).prop_map(|(unit, bits)| Itt::new(unit << 8, bits).unwrap());
    let event = (any::<u32>().prop_map(DeviceId::new), any::<u32>().prop_map(EventId::new));
    let collection = any::<u16>().prop_map(CollectionId::new);
    prop_oneof![
        (event.clone(), prop::option::of(itt))
            .prop_map(|((device, _), itt)| Command::Mapd { device, itt }),
        (collection.clone(), prop::option::of(redistributors()))
            .prop_map(|(collection, redistributor)| Command::Mapc { collection, redistributor }),
        (event.clone(), intids(), collection.clone()).prop_map(
            |((device, event), intid, collection)| {
                Command::Mapti { device, event, intid, collection }
            }
        ),
        (event.clone(), collection.clone())
            .prop_map(|((device, event), collection)| Command::Mapi { device, event, collection }),
        (event.clone(), collection.clone())
            .prop_map(|((device, event), collection)| Command::Movi { device, event, collection }),
        (redistributors(), redistributors()).prop_map(|(from, to)| Command::Movall { from, to }),
        event.clone().prop_map(|(device, event)| Command::Int { device, event }),
        event.clone().prop_map(|(device, event)| Command::Clear { device, event }),
        event.clone().prop_map(|(device, event)| Command::Discard { device, event }),
        event.prop_map(|(device, event)| Command::Inv { device, event }),
        collection.prop_map(|collection| Command::Invall { collection }),
        redistributors().prop_map(|redistributor| Command::Sync { redistributor }),
    ]
}

fn virtual_commands() -> impl Strategy<Value = Command> {
    let event = (any::<u32>().prop_map(DeviceId::new), any::<u32>().prop_map(EventId::new));
    let vpe = || any::<u16>().prop_map(VpeId::new);
    let mapping = (redistributors(), vpts())
        .prop_map(|(redistributor, vpt)| VpeMapping { redistributor, vpt });
    prop_oneof![
        (vpe(), prop::option::of(mapping))
            .prop_map(|(vpe, mapping)| Command::Vmapp { vpe, mapping }),
        (event.clone(), intids(), vpe(), intids()).prop_map(
            |((device, event), vintid, vpe, doorbell)| {
                Command::Vmapti { device, event, vintid, vpe, doorbell }
            }
        ),
        (event.clone(), vpe(), intids()).prop_map(|((device, event), vpe, doorbell)| {
            Command::Vmapi { device, event, vpe, doorbell }
        }),
        (event, vpe(), prop::option::of(intids())).prop_map(|((device, event), vpe, doorbell)| {
            Command::Vmovi { device, event, vpe, doorbell }
        }),
        (vpe(), redistributors(), any::<u16>(), any::<u16>()).prop_map(
            |(vpe, redistributor, sequence, its_list)| {
                Command::Vmovp { vpe, redistributor, sequence, its_list }
            }
        ),
        vpe().prop_map(|vpe| Command::Vinvall { vpe }),
        vpe().prop_map(|vpe| Command::Vsync { vpe }),
    ]
}

fn v41_commands() -> impl Strategy<Value = Command> {
    let vpe = || any::<u16>().prop_map(VpeId::new);
    let config = (0u64..1 << 36).prop_map(|page| ConfigAddress::new(page << 16).unwrap());
    let mapping = (redistributors(), vpts(), config, any::<bool>(), intids()).prop_map(
        |(redistributor, vpt, config, zeroed, doorbell)| VpeMappingV41 {
            redistributor,
            vpt,
            config,
            zeroed,
            doorbell,
        },
    );
    let change = prop_oneof![
        Just(SgiChange::Clear),
        (any::<bool>(), any::<bool>(), 0u8..16).prop_map(|(enabled, group1, n)| {
            SgiChange::Configure { enabled, group1, priority: n << 4 }
        }),
    ];
    prop_oneof![
        (vpe(), any::<bool>(), prop::option::of(mapping))
            .prop_map(|(vpe, allocate, mapping)| Command::VmappV41 { vpe, allocate, mapping }),
        (vpe(), redistributors(), any::<u16>(), any::<u16>(), prop::option::of(intids())).prop_map(
            |(vpe, redistributor, sequence, its_list, doorbell)| Command::VmovpV41 {
                vpe,
                redistributor,
                sequence,
                its_list,
                doorbell
            }
        ),
        (vpe(), 0u8..16, change).prop_map(|(vpe, sgi, change)| Command::Vsgi { vpe, sgi, change }),
        vpe().prop_map(|vpe| Command::Invdb { vpe }),
    ]
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(command in prop_oneof![physical_commands(), virtual_commands()]) {
        prop_assert_eq!(Command::decode_strict(command.encode(), Version::V4_0), Ok(command));
    }

    #[test]
    fn decoding_gives_back_what_was_encoded_for_v41(command in prop_oneof![physical_commands(), v41_commands()]) {
        prop_assert_eq!(Command::decode_strict(command.encode(), Version::V4_1), Ok(command));
    }

    #[test]
    fn any_words_decode_or_do_not_but_never_panic(words: Encoded, opcode in 0u64..0x30, v41: bool) {
        let version = if v41 { Version::V4_1 } else { Version::V4_0 };
        let words = [words[0] & !0xff | opcode, words[1], words[2], words[3]];
        if let Ok(command) = Command::decode_for(words, version) {
            prop_assert_eq!(Command::decode_strict(command.encode(), version), Ok(command));
            prop_assert!(!command.to_string().is_empty());
        }
    }
}
