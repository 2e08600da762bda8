// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What stands between the board's devices and memory.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Trigger, yes};
use crate::schema::{Address, S};

/// An SMMUv3, with interrupts by wire. The hypervisor keeps it. One that no VM's device is behind
/// aborts everything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smmu {
    /// Name, for a host's `smmu`.
    pub name: S<String>,
    /// First address of its registers, 128 KiB.
    pub base: S<Address>,
    /// Bits of a StreamID (SMMU_IDR1.SIDSIZE).
    #[schemars(range(min = 0, max = 32))]
    pub stream_id_bits: S<u8>,
    /// INTID of its event queue's SPI.
    pub event_intid: S<u32>,
    /// INTID of its global errors' SPI; the same where one wire is for both (`combined`).
    pub error_intid: S<u32>,
    /// How they are signalled.
    #[serde(default = "edge")]
    #[schemars(extend("x-default" = "edge"))]
    pub trigger: Trigger,
    /// It reads and writes its tables and queues through the CPUs' caches (SMMU_IDR0.COHACC, and
    /// `dma-coherent` of its node).
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// It has stream tables of two levels (SMMU_IDR0.ST_LEVEL). Without them StreamIDs have at most
    /// 12 bits.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub two_level: bool,
    /// Bits of the physical addresses that it gives out (SMMU_IDR5.OAS).
    #[schemars(range(min = 32, max = 52), extend("x-default" = "the board's address_bits"))]
    pub address_bits: Option<S<u32>>,
}

fn edge() -> Trigger {
    Trigger::Edge
}

/// An IOMMU that the hypervisor cannot drive. Firmware has to leave it so that it lets everything
/// through, addresses unchanged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Iommu {
    /// Name, for a host's or a device's `iommu`.
    pub name: S<String>,
    /// What it is: an SMMUv2, Arm's MMU-500 among them, or a vendor's own.
    pub kind: IommuKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IommuKind {
    SmmuV2,
    Vendor,
}
