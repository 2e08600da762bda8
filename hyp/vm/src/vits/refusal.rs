// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a command of a guest was ignored.

/// The last one of a VM is kept for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// No command of a GICv3's ITS.
    Opcode = 1,
    /// The VM has no event of this device.
    Device,
    /// The device is not mapped.
    DeviceUnmapped,
    /// More EventID bits than GITS_TYPER has, or an EventID outside of the device's table.
    Size,
    /// The plan gives the VM no such event of the device.
    Event,
    /// The event is not mapped.
    EventUnmapped,
    /// More than GITS_TYPER's collections.
    Collection,
    /// The collection has no redistributor.
    CollectionUnmapped,
    /// No redistributor of the VM's.
    Redistributor,
    /// No vLPI of the VM's.
    Intid,
    /// Another event of the VM has this vINTID.
    Taken,
    /// Not the plan's vINTID, and the VM's ITS is "fixed".
    Fixed,
    /// The queue is not in the VM's memory, or GITS_CWRITER not in the queue.
    Queue,
}

impl Refusal {
    const ALL: [Self; 13] = [
        Self::Opcode,
        Self::Device,
        Self::DeviceUnmapped,
        Self::Size,
        Self::Event,
        Self::EventUnmapped,
        Self::Collection,
        Self::CollectionUnmapped,
        Self::Redistributor,
        Self::Intid,
        Self::Taken,
        Self::Fixed,
        Self::Queue,
    ];

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| *refusal as u8 == number)
    }

    /// As the report says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opcode => "unknown command",
            Self::Device => "not a device with events of this VM",
            Self::DeviceUnmapped => "the device is not mapped",
            Self::Size => "outside of the device's EventIDs",
            Self::Event => "the plan has no such event",
            Self::EventUnmapped => "the event is not mapped",
            Self::Collection => "no such collection",
            Self::CollectionUnmapped => "the collection is not mapped",
            Self::Redistributor => "no redistributor of this VM",
            Self::Intid => "not a vLPI of this VM",
            Self::Taken => "another event has this vINTID",
            Self::Fixed => "not the planned vINTID",
            Self::Queue => "the queue is not in the VM's memory",
        }
    }
}
