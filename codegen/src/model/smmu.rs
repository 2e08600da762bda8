//! SMMUs, and which devices are behind them.

use super::{At, Board, Device, DeviceKind, Region};

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
}

impl Smmu {
    /// Bytes of its registers.
    pub const BYTES: u64 = 128 << 10;
}

impl Board {
    /// The SMMU that a device's accesses go through, as an index into `smmus`, and its StreamID.
    pub fn stream(&self, device: &Device) -> Option<(usize, u32)> {
        let DeviceKind::Pci { host, address, .. } = &device.kind else { return None };
        let host = self.pcie.get(host.value)?;
        let smmu = host.smmu.as_ref()?.value;
        (smmu < self.smmus.len()).then(|| (smmu, host.stream_id(address.value)))
    }
}
