// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SMMUs: where they are, their tables, and what each device behind one reaches.

#[cfg(feature = "host")]
use crate::constant::Constant;
use crate::{CpuIndex, Hex, List, Pa, Span, Text, VmIndex};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Smmu {
    #[cfg(feature = "host")]
    #[constant(host)]
    pub name: Text,
    /// Its two register pages, 64 KiB each.
    pub base: Pa,
    /// SPI of its event queue.
    pub event_intid: u32,
    /// SPI of its global errors; may be the same.
    pub error_intid: u32,
    /// Both are edge-triggered.
    pub edge: bool,
    /// CPU that takes both: one of a VM that has a device behind it.
    pub cpu: CpuIndex,
    /// It looks into the CPUs' caches when it reads and writes tables and queues.
    pub coherent: bool,
    /// The stream table, aligned to its size, and the bits of the StreamIDs it is for.
    pub table: Span,
    pub table_bits: u8,
    /// StreamID bits of a leaf; the table then holds descriptors of leaves, ready. None: it is
    /// linear, and zero.
    pub split: Option<u8>,
    /// Its leaves: first index into `Plan::leaves`, and how many.
    #[cfg_attr(feature = "host", serde(skip))]
    pub first_leaf: u16,
    #[cfg_attr(feature = "host", serde(skip))]
    pub leaf_count: u16,
    #[cfg(feature = "host")]
    #[constant(host)]
    pub leaves: List<Leaf>,
    /// The command queue, and how many commands it holds as a power of two.
    pub commands: Span,
    pub command_bits: u8,
    /// The event queue, and how many records it holds as a power of two.
    pub events: Span,
    pub event_bits: u8,
    /// What EL2 does to it: at boot, and when a device's VM starts and stops.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub scripts: List<SmmuScript>,
}

/// What EL2 does to an SMMU on one occasion, in order.
#[cfg(feature = "host")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SmmuScript {
    /// "boot", "nvme0 starts" or "nvme0 stops".
    pub when: Text,
    pub steps: List<SmmuStep>,
}

/// A step of a script. That a command's place in the queue is written to SMMU_CMDQ_PROD goes
/// without saying.
#[cfg(feature = "host")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmmuStep {
    /// A register is written: `bytes` are 4 or 8.
    Register { name: Text, offset: Hex, value: Hex, bytes: u8 },
    /// A doubleword of a stream table entry is written.
    Entry { address: Pa, value: Hex },
    /// A command is put into the queue.
    Command { text: Text, words: [Hex; 2] },
}

/// An SMMU that no VM's device is behind: it aborts everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ClosedSmmu {
    #[cfg(feature = "host")]
    #[constant(host)]
    pub name: Text,
    /// Its two register pages, 64 KiB each.
    pub base: Pa,
}

/// Entries of a stream table for the StreamIDs `index << split` and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Leaf {
    pub index: u32,
    /// It has `1 << bits` entries.
    pub bits: u8,
    /// Zero, and aligned to its size.
    pub table: Span,
}

/// A device that reads and writes memory by itself. The image has those that an SMMU holds: each
/// reaches what its VM has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Master {
    pub name: Text,
    pub vm: VmIndex,
    /// No SMMU holds it: it reaches all memory, and what follows says nothing. The image has none.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub trusted: bool,
    /// The IOMMU between it and memory that EL2 cannot drive: "mmu0, an SMMUv2".
    #[cfg(feature = "host")]
    #[constant(host)]
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Option::is_none"))]
    pub past: Option<Text>,
    /// Index into the plan's SMMUs.
    pub smmu: u8,
    pub streams: List<u32>,
    /// VMID 63:48, and the root of the device's stage 2, as VTTBR_EL2 has them.
    pub vttbr: Hex,
    /// Its form, as VTCR_EL2 has it.
    pub vtcr: Hex,
    pub on_fault: DmaFault,
    /// Faults that it may have in one life of its VM.
    pub most_faults: u32,
}

#[cfg(feature = "host")]
impl Master {
    /// This SMMU, an index into the plan's, holds it.
    pub fn is_behind(&self, smmu: usize) -> bool {
        !self.trusted && usize::from(self.smmu) == smmu
    }
}

/// What becomes of a device that accesses what its VM does not have, beside that being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum DmaFault {
    /// Nothing, until there are too many.
    Record,
    /// It reaches nothing until its VM starts again.
    StopDevice,
    /// Its VM fails.
    Fail,
}

#[cfg(feature = "host")]
impl DmaFault {
    /// As in the TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::StopDevice => "stop-device",
            Self::Fail => "fail",
        }
    }
}

/// Those that an SMMU holds.
#[cfg(feature = "host")]
pub fn held(masters: &[Master]) -> proc_macro2::TokenStream {
    let held = masters.iter().filter(|master| !master.trusted).map(Constant::constant);
    quote::quote!(&[#(#held),*])
}
