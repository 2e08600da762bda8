// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plans of VMs with a virtual ITS.

use codegen::plan::{ItsPolicy, MmioKind, Plan, VmIndex};

use crate::{rules, software, stand_in};

fn hostile() -> Plan {
    stand_in::at("tests/qemu/systems/its-hostile.toml")
}

/// Every vPE can take every event, and the frame is where the board has it.
#[test]
fn a_guest_may_move_its_events() {
    let plan = hostile();
    rules::hold(&plan);
    software::deliver(&plan);
    let vm = &plan.vms[0];
    assert_eq!((vm.name.as_str(), vm.its), ("hostile", ItsPolicy::Remap));
    assert!(
        plan.vpes[vm.first_vpe.into()..][..vm.vpe_count.into()]
            .iter()
            .all(|vpe| vpe.tables.is_some())
    );
    let frame = |vm: &codegen::plan::Vm| {
        vm.mmio.iter().find(|region| region.kind == MmioKind::Its).map(|region| region.base.value())
    };
    assert_eq!(frame(vm), Some(0x0808_0000));
    assert_eq!(frame(&plan.vms[1]), None, "a VM without");
}

/// What rings a channel's end is out of the way of the numbers that an operating system chooses
/// first.
#[test]
fn rings_stand_apart() {
    let plan = hostile();
    let end =
        |vm: usize| plan.channel_ends.iter().find(|end| end.vm == VmIndex::at(vm)).unwrap().vintid;
    assert_eq!((end(0), end(2)), (9216, 8192), "the peer has no virtual ITS");
}
