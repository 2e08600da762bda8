// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's interrupt controller: GICv3 or GICv4.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Frame, yes};
use crate::schema::{Address, S};
use crate::units::Size;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gic {
    /// Version of the GIC. With "v4.0" and "v4.1" events reach a guest without the hypervisor.
    pub version: S<GicVersion>,
    /// Number of SPIs: INTIDs from 32 up to 32 + spis - 1.
    #[schemars(range(min = 0, max = 988))]
    pub spis: S<u32>,
    /// List registers of each CPU (ICH_VTR_EL2.ListRegs + 1).
    #[schemars(range(min = 3, max = 16))]
    pub list_registers: S<u8>,
    /// The distributor's frame (GICD).
    pub distributor: S<Frame>,
    /// The redistributors' frames (GICR).
    pub redistributors: S<Redistributors>,
    /// Its accesses to tables in memory are coherent with the CPUs' caches. With false the tables
    /// are non-cacheable to it, and the hypervisor cleans what it writes there: needed where base
    /// registers read back shareability 0, or wrongly do not.
    #[serde(default = "yes")]
    #[schemars(extend("x-default" = true))]
    pub coherent: bool,
    /// Where it differs from the architecture. Boot compares with GITS_IIDR and GICD_IIDR, and
    /// names one that is missing here or does not fit. "hisilicon-161600802": VMAPP and VMOVP name
    /// the VLPI frame. "hisilicon-162100801": VINVALL follows each VMOVP. "arm-2941627": the
    /// hypervisor deactivates SPIs by GICD_ICACTIVER; not for a VM of several vPEs with SPIs, nor
    /// with modes. "rockchip-3588001": `coherent = false` is needed. "rockchip-3568002": that, and
    /// the hypervisor's memory below 4 GiB. "socionext-pre-its": no events of devices.
    /// "nvidia-t241-fabric-4": refused, SPIs of other chips are out of reach.
    #[serde(default)]
    pub quirks: Vec<S<Quirk>>,
    /// "v4.1" only: its redistributors have GICR_INVLPIR (GICR_TYPER.DirectLPI or GICR_CTLR.IR), by
    /// which the hypervisor invalidates the configuration of a guest's event. With false it does so
    /// by commands.
    #[schemars(extend("x-default" = true))]
    pub invalidation_registers: Option<S<bool>>,
    /// The interrupt translation service (GITS). Without it there are no events.
    pub its: Option<S<Its>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum Quirk {
    #[serde(rename = "hisilicon-161600802")]
    Hisilicon161600802,
    #[serde(rename = "hisilicon-162100801")]
    Hisilicon162100801,
    #[serde(rename = "arm-2941627")]
    Arm2941627,
    #[serde(rename = "rockchip-3588001")]
    Rockchip3588001,
    #[serde(rename = "rockchip-3568002")]
    Rockchip3568002,
    #[serde(rename = "socionext-pre-its")]
    SocionextPreIts,
    #[serde(rename = "nvidia-t241-fabric-4")]
    NvidiaT241Fabric4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GicVersion {
    #[serde(rename = "v3")]
    V3,
    #[serde(rename = "v4.0")]
    V4_0,
    #[serde(rename = "v4.1")]
    V4_1,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redistributors {
    /// Address of the first CPU's redistributor.
    pub base: S<Address>,
    /// Distance from one CPU's redistributor to the next: "128 KiB" for GICv3, "256 KiB" for GICv4.
    pub stride: S<Size>,
    /// Size of the whole region.
    #[schemars(extend("x-default" = "stride * CPUs"))]
    pub size: Option<S<Size>>,
    /// Further regions, as a tree with `#redistributor-regions` has them. The CPUs' redistributors
    /// fill one region after the other, in the order of `[[cpu]]`.
    #[serde(default)]
    pub more: Vec<Frame>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Its {
    /// Address of the control frame.
    pub base: S<Address>,
    /// Size of its frames: "128 KiB", with "v4.1" "256 KiB".
    pub size: S<Size>,
    /// Bits of a DeviceID (GITS_TYPER.Devbits + 1).
    #[schemars(range(min = 1, max = 32))]
    pub device_id_bits: S<u8>,
    /// Bits of an EventID (GITS_TYPER.ID_bits + 1).
    #[schemars(range(min = 1, max = 32))]
    pub event_id_bits: S<u8>,
    /// Bytes of one interrupt translation entry (GITS_TYPER.ITT_entry_size + 1).
    #[schemars(range(min = 1, max = 16))]
    pub entry_size: S<u8>,
    /// Bytes of one entry of the device, collection and vPE tables (GITS_BASERn.Entry_Size + 1), at
    /// most: an ITS with smaller ones will do.
    #[schemars(range(min = 1, max = 32))]
    pub table_entry_size: S<u8>,
    /// The same of the device table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub device_entry_size: Option<S<u8>>,
    /// The same of the collection table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub collection_entry_size: Option<S<u8>>,
    /// The same of the vPE table alone.
    #[schemars(range(min = 1, max = 32), extend("x-default" = "table_entry_size"))]
    pub vpe_entry_size: Option<S<u8>>,
    /// Largest page that the ITS may demand of a table (GITS_BASERn.Page_Size): "4 KiB", "16 KiB"
    /// or "64 KiB". Tables are made of whole pages of that size; boot finds out which one the ITS
    /// has.
    #[schemars(extend("x-default" = "64 KiB"))]
    pub table_page: Option<S<Size>>,
    /// "v4.1" only: the redistributors have the ITS's vPE table (GITS_TYPER.SVPET is not 0). With
    /// false they have one of their own.
    #[schemars(extend("x-default" = true))]
    pub shared_vpe_table: Option<S<bool>>,
    /// "v4.1" only: it and the redistributors have virtual SGIs (GITS_TYPER.VSGI, GICR_TYPER.VSGI),
    /// and the CPUs take them (ID_AA64PFR0_EL1.GIC is 3). A guest that asks for SGIs without an
    /// active state gets them from the GIC. With false no guest is offered that.
    #[schemars(extend("x-default" = true))]
    pub virtual_sgis: Option<S<bool>>,
    /// How an ITS command names a redistributor (GITS_TYPER.PTA).
    pub rdbase: RdBase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RdBase {
    /// PTA = 0: the processor number.
    ProcessorNumber,
    /// PTA = 1: the redistributor's physical address.
    Address,
}
