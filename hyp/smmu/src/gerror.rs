// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Global errors: SMMU_GERROR against SMMU_GERRORN (IHI 0070 7.5).
//!
//! The SMMU toggles a bit of GERROR; it is active until software makes the bit of GERRORN equal.

use crate::regs::SMMU_GERROR;
use core::fmt;

/// A global error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalError {
    /// The command queue stopped; SMMU_CMDQ_CONS.ERR says why.
    CommandQueue,
    /// A record could not be written; records are lost. QEMU: the queue was full.
    EventQueueAbort,
    PageRequestQueueAbort,
    CommandMsiAbort,
    EventMsiAbort,
    PageRequestMsiAbort,
    GlobalErrorMsiAbort,
    /// Service failure mode: the SMMU aborts everything and does nothing more.
    ServiceFailure,
}

const ALL: [(u32, GlobalError); 8] = [
    (SMMU_GERROR::CMDQ_ERR::SET.value, GlobalError::CommandQueue),
    (SMMU_GERROR::EVENTQ_ABT_ERR::SET.value, GlobalError::EventQueueAbort),
    (SMMU_GERROR::PRIQ_ABT_ERR::SET.value, GlobalError::PageRequestQueueAbort),
    (SMMU_GERROR::MSI_CMDQ_ABT_ERR::SET.value, GlobalError::CommandMsiAbort),
    (SMMU_GERROR::MSI_EVENTQ_ABT_ERR::SET.value, GlobalError::EventMsiAbort),
    (SMMU_GERROR::MSI_PRIQ_ABT_ERR::SET.value, GlobalError::PageRequestMsiAbort),
    (SMMU_GERROR::MSI_GERROR_ABT_ERR::SET.value, GlobalError::GlobalErrorMsiAbort),
    (SMMU_GERROR::SFM_ERR::SET.value, GlobalError::ServiceFailure),
];

impl GlobalError {
    /// Its bit of SMMU_GERROR.
    pub const fn bit(self) -> u32 {
        match self {
            Self::CommandQueue => 1 << 0,
            Self::EventQueueAbort => 1 << 2,
            Self::PageRequestQueueAbort => 1 << 3,
            Self::CommandMsiAbort => 1 << 4,
            Self::EventMsiAbort => 1 << 5,
            Self::PageRequestMsiAbort => 1 << 6,
            Self::GlobalErrorMsiAbort => 1 << 7,
            Self::ServiceFailure => 1 << 8,
        }
    }
}

impl fmt::Display for GlobalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandQueue => "the command queue stopped",
            Self::EventQueueAbort => "fault records could not be written",
            Self::PageRequestQueueAbort => "page requests could not be written",
            Self::CommandMsiAbort => "the MSI of a CMD_SYNC was aborted",
            Self::EventMsiAbort => "the event queue's MSI was aborted",
            Self::PageRequestMsiAbort => "the page request queue's MSI was aborted",
            Self::GlobalErrorMsiAbort => "the MSI of a global error was aborted",
            Self::ServiceFailure => "service failure: the SMMU aborts everything",
        })
    }
}

/// Errors that are active: a value of GERROR ^ GERRORN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveErrors(u32);

impl ActiveErrors {
    #[expect(clippy::indexing_slicing, reason = "n is below the length")]
    pub const fn new(gerror: u32, gerrorn: u32) -> Self {
        let mut known = 0;
        let mut n = 0;
        while n < ALL.len() {
            known |= ALL[n].0;
            n += 1;
        }
        Self((gerror ^ gerrorn) & known)
    }
    pub const fn none(self) -> bool {
        self.0 == 0
    }
    pub const fn contains(self, error: GlobalError) -> bool {
        self.0 & error.bit() != 0
    }
    pub fn iter(self) -> impl Iterator<Item = GlobalError> {
        ALL.into_iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, error)| error)
    }
    /// Without an error that is another's to acknowledge.
    pub const fn without(self, error: GlobalError) -> Self {
        Self(self.0 & !error.bit())
    }
    /// SMMU_GERRORN that acknowledges these and no others.
    pub const fn acknowledged(self, gerrorn: u32) -> u32 {
        gerrorn ^ self.0
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn bits_as_the_manual_has_them() {
        for (bit, error) in ALL {
            assert_eq!(bit, error.bit(), "{error}");
        }
        assert_eq!(ALL.iter().fold(0, |all, (bit, _)| all | bit), 0x1fd);
    }

    #[test]
    fn active_is_where_the_two_differ() {
        // Bit 8 was raised and acknowledged before; bit 0 raised; bit 2 raised twice.
        let active = ActiveErrors::new(0x101, 0x100);
        assert_eq!(active.iter().collect::<Vec<_>>(), [GlobalError::CommandQueue]);
        assert_eq!(active.acknowledged(0x100), 0x101);
        assert!(active.without(GlobalError::CommandQueue).none());
        // The other way round: a second error after an acknowledged first one.
        let active = ActiveErrors::new(0, 0x104);
        let both = [GlobalError::EventQueueAbort, GlobalError::ServiceFailure];
        assert_eq!(active.iter().collect::<Vec<_>>(), both);
        assert_eq!(active.without(GlobalError::ServiceFailure).acknowledged(0x104), 0x100);
        assert!(ActiveErrors::new(0xffff_fe02, 0).none(), "bits that are reserved");
    }
}
