// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where fields lie in a command's doublewords (IHI 0069H 5.3.2 to 5.3.27).

use super::{SgiChange, Vpt};
use crate::intid::{CollectionId, DeviceId, EventId, VpeId};

/// V of mapping commands, DB of VMOVP.
pub(super) const VALID: u64 = 1 << 63;
/// VMAPP, GICv4.1, first doubleword.
pub(super) const ALLOC: u64 = 1 << 8;
pub(super) const PTZ: u64 = 1 << 9;
/// VSGI, first doubleword.
pub(super) const SGI_ENABLE: u64 = 1 << 8;
pub(super) const SGI_CLEAR: u64 = 1 << 9;
pub(super) const SGI_GROUP1: u64 = 1 << 10;

pub(super) const fn flag(set: bool, bit: u64) -> u64 {
    if set { bit } else { 0 }
}
/// Bits 63:32.
pub(super) const fn high(value: u32) -> u64 {
    (value as u64) << 32
}
pub(super) const fn device_id(device: DeviceId) -> u64 {
    high(device.value())
}
pub(super) const fn event_id(event: EventId) -> u64 {
    event.value() as u64
}
pub(super) const fn icid(collection: CollectionId) -> u64 {
    collection.value() as u64
}
/// Bits 47:32.
pub(super) const fn vpe_id(vpe: VpeId) -> u64 {
    (vpe.value() as u64) << 32
}
pub(super) const fn vpt(vpt: Vpt) -> u64 {
    vpt.address() | (vpt.intid_bits() as u64 - 1)
}
/// Everything but the vINTID.
pub(super) const fn sgi_change(change: SgiChange) -> u64 {
    match change {
        SgiChange::Clear => SGI_CLEAR,
        SgiChange::Configure { enabled, group1, priority } => {
            (((priority >> 4) as u64) << 20) | flag(enabled, SGI_ENABLE) | flag(group1, SGI_GROUP1)
        }
    }
}
