// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SMMUs, and which devices are behind them.

use super::{At, Board, Device, DeviceKind, IommuKind, Region, Trigger};

/// An SMMUv3.
#[derive(Clone, Debug)]
pub struct Smmu {
    pub name: At<String>,
    /// Its two register pages.
    pub region: Region,
    /// SMMU_IDR1.SIDSIZE.
    pub stream_id_bits: At<u8>,
    /// SPI of its event queue.
    pub event_intid: At<u32>,
    /// SPI of its global errors.
    pub error_intid: At<u32>,
    pub trigger: Trigger,
    /// It looks into the CPUs' caches.
    pub coherent: bool,
    /// Its stream table may have two levels.
    pub two_level: bool,
    /// Bits of the addresses that it gives out.
    pub address_bits: At<u32>,
}

impl Smmu {
    /// Bytes of its registers.
    pub const BYTES: u64 = 128 << 10;
}

/// An IOMMU that EL2 cannot drive.
#[derive(Clone, Debug)]
pub struct Iommu {
    pub name: At<String>,
    pub kind: IommuKind,
}

impl IommuKind {
    pub const fn text(self) -> &'static str {
        match self {
            Self::SmmuV2 => "an SMMUv2",
            Self::Vendor => "a vendor's IOMMU",
        }
    }
}

impl Board {
    /// The SMMU that a device's accesses go through, as an index into `smmus`, and its StreamIDs.
    pub fn streams(&self, device: &Device) -> Option<(usize, Vec<u32>)> {
        let smmu = self.smmu(device).filter(|&smmu| smmu < self.smmus.len())?;
        let streams = match &device.kind {
            DeviceKind::Pci { host, address, .. } => {
                let requester = self.requester(host.value, address.value);
                vec![self.pcie.get(host.value)?.stream_id(requester)]
            }
            DeviceKind::Platform { streams, .. } => {
                streams.iter().map(|stream| stream.value).collect()
            }
        };
        Some((smmu, streams))
    }

    /// The SMMU that the board names for a device, whether there is one of that name or not.
    pub fn smmu(&self, device: &Device) -> Option<usize> {
        let smmu = match &device.kind {
            DeviceKind::Pci { host, .. } => &self.pcie.get(host.value)?.smmu,
            DeviceKind::Platform { smmu, .. } => smmu,
        };
        smmu.as_ref().map(|smmu| smmu.value)
    }

    /// The IOMMU that a device is behind to no avail.
    pub fn iommu(&self, device: &Device) -> Option<&Iommu> {
        let iommu = match &device.kind {
            DeviceKind::Pci { host, .. } => self.pcie.get(host.value)?.iommu.as_ref()?,
            DeviceKind::Platform { iommu, .. } => iommu.as_ref()?,
        };
        self.iommus.get(iommu.value)
    }
}
