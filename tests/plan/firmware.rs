//! Boards whose buses are not coherent, and what firmware left behind.

use codegen::emit::tables;
use codegen::plan::Decided;

use crate::{rules, software, stand_in};

fn tree(plan: &Decided, vm: usize) -> &[u8] {
    &plan.vms[vm].loads.iter().find(|load| load.what == "device tree").unwrap().data
}

/// How many nodes say that they are coherent.
fn coherent(plan: &Decided, vm: usize) -> usize {
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
        assert!(tables::file(&plan).contains("gic_coherent: false"));
    }
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
    let file = tables::file(&plan);
    assert!(file.contains("inherited: &[(0x7fe00000, 196608u64)]"), "{file}");
}
