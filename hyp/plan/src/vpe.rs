// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One virtual processing element.

#[cfg(feature = "host")]
use crate::Pa;
use crate::{CpuIndex, Hex, VmIndex};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Vpe {
    pub vm: VmIndex,
    /// Position among its VM's vPEs, and Aff0 of the MPIDR the guest sees.
    pub number: u16,
    /// CPU it runs on; with modes, in the first.
    pub cpu: CpuIndex,
    /// Its position in that CPU's table; 0 on an exclusive CPU.
    pub slot: u8,
    /// None: this vPE can have no vLPI, and the ITS does not know it.
    pub tables: Option<VpeTables>,
}

/// What makes a vPE resident, and what calls for it when it is not (IHI 0069 5.3).
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, Copy, serde::Serialize, crate::constant::Constant))]
pub struct VpeTables {
    /// GICR_VPROPBASER while resident; 0 on GICv4.1, where VMAPP says it.
    pub vpropbaser: Hex,
    /// GICR_VPENDBASER while resident, without Valid, PendingLast and IDAI.
    pub vpendbaser: Hex,
    /// Its pending table.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub pending: Pa,
    #[cfg_attr(feature = "host", serde(flatten))]
    pub doorbell: Doorbell,
}

/// A vPE's doorbell: a physical LPI, and the proxy event that masks, clears and invalidates it. On
/// GICv4.1 it is the default doorbell, and nothing is mapped to the proxy event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Doorbell {
    /// INTID of the LPI, 8192 or more.
    #[cfg_attr(feature = "host", serde(rename = "doorbell"))]
    pub intid: u32,
    /// DeviceID of the proxy device; no real device has it.
    #[cfg_attr(feature = "host", serde(rename = "proxy_device"))]
    pub device: u32,
    /// EventID on the proxy device.
    #[cfg_attr(feature = "host", serde(rename = "proxy_event"))]
    pub event: u32,
}
