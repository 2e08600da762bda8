// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Boards whose buses are not coherent, and what firmware left behind.

use codegen::emit::constants;
use codegen::model::{RdBase, System, quirk};
use codegen::plan::{ItsCommand, Plan};

use crate::{rules, software, stand_in};

fn tree(plan: &Plan, vm: usize) -> &[u8] {
    &plan.vms[vm].loads.iter().find(|load| load.what == "device tree").unwrap().bytes.data
}

/// How many nodes say that they are coherent.
fn coherent(plan: &Plan, vm: usize) -> usize {
    let has = |part: &&[u8]| *part == b"dma-coherent\0";
    // The strings of a tree are apart from its nodes, which name them by their offset.
    let tree = tree(plan, vm);
    let word = |at: usize| u32::from_be_bytes(tree[at..at + 4].try_into().unwrap()) as usize;
    let (structure, strings) = (word(8), word(12));
    let Some(name) = tree[strings..].windows(13).position(|part| has(&part)) else { return 0 };
    // FDT_PROP, no bytes, that name.
    let property: Vec<u8> =
        [3, 0, name as u32].iter().flat_map(|word| word.to_be_bytes()).collect();
    tree[structure..].windows(12).filter(|part| *part == property).count()
}

#[test]
fn a_host_that_is_not_coherent_is_not_said_to_be() {
    let mut system = stand_in::load(stand_in::HOSTS);
    let directory = stand_in::directory("firmware-hosts");
    let plan = stand_in::plan(&system, &directory).unwrap();
    assert_eq!(coherent(&plan, 0), 2, "both hosts");
    system.board.pcie[1].coherent = false;
    let plan = stand_in::plan(&system, &directory).unwrap();
    assert_eq!(coherent(&plan, 0), 1);
    system.board.pcie[0].coherent = false;
    let plan = stand_in::plan(&system, &directory).unwrap();
    assert_eq!(coherent(&plan, 0), 0);
}

#[test]
fn a_gic_that_is_not_coherent_takes_its_tables() {
    for path in [stand_in::HOSTS, stand_in::MODES] {
        let mut system = stand_in::load(path);
        system.board.gic.coherent = false;
        let directory = stand_in::directory(&format!("firmware-gic-{}", system.name.value));
        let plan = stand_in::plan(&system, &directory).unwrap();
        rules::hold(&plan);
        // On the model, whose base registers then read back shareability 0.
        software::deliver(&plan);
        let its = plan.its.as_ref().unwrap();
        let registers = plan.cpus.iter().flat_map(|cpu| [cpu.propbaser.0, cpu.pendbaser.0]);
        let virtual_ones = plan.vpes.iter().flat_map(|vpe| &vpe.tables);
        let virtual_ones =
            virtual_ones.flat_map(|tables| [tables.vpropbaser.0, tables.vpendbaser.0]);
        for value in registers.chain(virtual_ones).chain([its.cbaser.0]) {
            assert_eq!(value >> 10 & 3, 0, "{value:#x} is shareable");
        }
        assert!(constants::file(&plan).contains("gic_coherent: false"));
    }
}

/// RDbase of the first command in `script` with this opcode, and the opcode behind it.
fn first(script: &[ItsCommand], opcode: u64) -> (u64, u64) {
    let at = script.iter().position(|line| line.words[0].0 & 0xff == opcode).unwrap();
    (script[at].words[2].0 & 0xf_ffff_ffff_0000, script[at + 1].words[0].0 & 0xff)
}

#[test]
fn virtual_commands_are_as_the_quirks_want_them() {
    const VMAPP: u64 = 0x29;
    const VMOVP: u64 = 0x22;
    const VINVALL: u64 = 0x2d;
    const VSYNC: u64 = 0x25;
    let mut system = stand_in::load(stand_in::MODES);
    system.board.gic.its.as_mut().unwrap().rdbase = RdBase::Address;
    let at = system.board.gic.at.with(&quirk::HISILICON_161600802);
    let directory = stand_in::directory("firmware-quirks");
    let frames = |system: &System| {
        let plan = stand_in::plan(system, &directory).unwrap();
        let modes = plan.modes.as_ref().unwrap();
        let switches = modes.modes.iter().flat_map(|mode| &mode.switches);
        let moves =
            |script: &Vec<ItsCommand>| script.iter().any(|line| line.words[0].0 & 0xff == VMOVP);
        let script = switches.map(|switch| &switch.script).find(|script| moves(script)).unwrap();
        (first(&plan.its.as_ref().unwrap().script, VMAPP).0, first(script, VMOVP))
    };
    let (home, (to, behind)) = frames(&system);
    assert_eq!((home % 0x4_0000, to % 0x4_0000, behind), (0x2_0000, 0x2_0000, VSYNC), "RD_base");
    system.board.gic.quirks = vec![at.with(&quirk::HISILICON_161600802)];
    let (virtual_home, (virtual_to, behind)) = frames(&system);
    assert_eq!((virtual_home, virtual_to, behind), (home + 0x2_0000, to + 0x2_0000, VSYNC));
    system.board.gic.quirks = vec![at.with(&quirk::HISILICON_162100801)];
    assert_eq!(frames(&system), (home, (to, VINVALL)));
}

/// EL2 reaches the range that LPI tables may be taken over from, and no other reserved one.
#[test]
fn tables_of_firmware_are_within_reach() {
    let mut system = stand_in::load("configs/demo.toml");
    let directory = stand_in::directory("firmware-inherited");
    let mut range = system.board.reserved[0].clone();
    range.name.value = "LPI tables".into();
    range.region.base.value = 0x7fe0_0000;
    range.region.size.value = 0x3_0000;
    range.lpi_tables = true;
    let mut other = range.clone();
    other.name.value = "firmware".into();
    other.region.base.value = 0x7fe3_0000;
    other.lpi_tables = false;
    system.board.reserved.extend([range, other]);
    let plan = stand_in::plan(&system, &directory).unwrap();
    assert_eq!(plan.board.inherited.len(), 1);
    rules::hold(&plan);
    let file = constants::file(&plan);
    assert!(file.contains("inherited: &[(0x7fe00000, 196608)]"), "{file}");
}
