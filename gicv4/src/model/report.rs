// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the model says about a driver's mistakes.

use crate::command::{Command, DecodeError, Encoded, opcode};
use crate::intid::{DeviceId, EventId, IntId, VpeId};

/// Why a command failed, or an event became nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// DeviceID beyond GITS_TYPER.Devbits or the device table, or without a level-2 page.
    DeviceOutOfRange,
    /// MAPD with more event bits than GITS_TYPER.ID_bits.
    IttSizeOutOfRange,
    /// No such redistributor.
    RedistributorOutOfRange,
    /// Collection ID beyond what the ITS has.
    CollectionOutOfRange,
    /// The device has no translation table.
    UnmappedDevice,
    /// EventID beyond the device's translation table.
    EventOutOfRange,
    /// Not an LPI, or beyond the INTID bits.
    IntIdOutOfRange,
    /// The event is not mapped, or not to what the command wants.
    UnmappedInterrupt,
    /// The collection has no redistributor.
    UnmappedCollection,
    /// vPEID beyond the vPE table.
    VpeOutOfRange,
    /// The vPE is not mapped.
    UnmappedVpe,
    /// VPT_size beyond the INTID bits, or too small for any LPI.
    VptSizeOutOfRange,
    /// The doorbell is neither an LPI within range nor 1023.
    DoorbellOutOfRange,
    /// No such command, or not in this version.
    Unknown,
    /// Commands were posted while GITS_CBASER.Valid was 0.
    QueueInvalid,
    /// GITS_CWRITER beyond the queue.
    WriterOutOfRange,
    /// An event arrived while GITS_CTLR.Enabled was 0.
    Disabled,
}

impl Cause {
    /// The low byte of the syndrome by which an implementation may report it.
    const fn code(self, command: u8) -> Option<u32> {
        Some(match self {
            Self::DeviceOutOfRange => 0x01,
            Self::IttSizeOutOfRange => 0x02,
            Self::RedistributorOutOfRange if command == opcode::MOVALL => 0x01,
            Self::RedistributorOutOfRange => 0x02,
            Self::CollectionOutOfRange => 0x03,
            Self::UnmappedDevice => 0x04,
            Self::EventOutOfRange => 0x05,
            Self::IntIdOutOfRange => 0x06,
            Self::UnmappedInterrupt => 0x07,
            Self::UnmappedCollection => 0x09,
            _ => return None,
        })
    }
}

/// A command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// What is wrong with it.
    pub cause: Cause,
    /// Slot of the queue.
    pub slot: u32,
    /// The command, unless it was none.
    pub command: Option<Command>,
    /// As it stood in the queue.
    pub words: Encoded,
}

impl CommandError {
    /// The implementation's syndrome for a physical command, 0x01ooee: opcode and cause. Other
    /// commands have none here.
    pub fn syndrome(&self) -> Option<u32> {
        let number = match self.command?.opcode() {
            command if command > opcode::DISCARD => return None,
            // The one command whose syndromes do not carry its opcode.
            opcode::CLEAR => 0x05,
            command => u32::from(command),
        };
        Some(0x01_0000 | number << 8 | self.cause.code(self.command?.opcode())?)
    }
}

/// Something that the architecture calls UNPREDICTABLE, or that hardware would punish later.
#[expect(missing_docs, reason = "fields have types that say what they are")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// GITS_BASERn or GITS_CBASER written while the ITS was enabled; ignored.
    WriteWhileEnabled { register: &'static str },
    /// An access that no register of the frame answers, or of the wrong width.
    UnknownRegister { frame: &'static str, offset: usize },
    /// GICD_ICFGR of an SPI changed while it was enabled, or its disable had not taken effect:
    /// UNPREDICTABLE.
    TriggerOfEnabled { intid: IntId },
    /// A command with reserved bits set; executed without them.
    ReservedBits(DecodeError),
    /// MAPTI or VMAPTI on an event that is mapped.
    EventAlreadyMapped { device: DeviceId, event: EventId },
    /// MAPD with V = 1 on a device that is mapped.
    DeviceAlreadyMapped { device: DeviceId },
    /// VMAPP with V = 1 on a vPE that is mapped.
    VpeAlreadyMapped { vpe: VpeId },
    /// VMAPP of GICv4.1 whose Alloc is not what the vPE's state needs.
    WrongAlloc { vpe: VpeId },
    /// VMAPP with a pending table that is not zero.
    PendingTableNotZero { vpe: VpeId },
    /// VMAPP with V = 0, or VMOVP, of a resident vPE.
    VpeResident { vpe: VpeId },
    /// VMAPP of GICv4.1 that promises a pending table of zeros (PTZ) without being the vPE's first
    /// (Alloc).
    PendingTableNotFirst { vpe: VpeId },
    /// GICv4.1: a command or a residency needs the vPE table of a redistributor, whose
    /// GICR_VPROPBASER is not valid or has no entry for the vPE.
    NoVpeTable { cpu: u16, vpe: VpeId },
    /// GICR_VPROPBASER differs from that of a redistributor that shares the vPE table, or from the
    /// ITS's GITS_BASERn.
    VpeTableDiffers { cpu: u16 },
    /// GICR_VPROPBASER changed while a vPE was mapped.
    VpeTableInUse { cpu: u16 },
    /// GICR_VPROPBASER.Z promises zeros, but the table is in use already, or is not zero.
    VpeTableNotZero { cpu: u16 },
    /// A base register's address is not a multiple of what it must be.
    Misaligned { cpu: u16, register: &'static str },
    /// A register written with bits that this version does not define.
    ReservedRegisterBits { cpu: u16, register: &'static str, bits: u64 },
    /// GICR_INVLPIR, INVALLR or VSGIR written while the last one's answer is outstanding.
    WriteWhileBusy { cpu: u16, register: &'static str },
    /// A write of a register names a vPE that no VMAPP mapped; ignored.
    NoSuchVpe { vpe: VpeId, register: &'static str },
    /// GICR_VSGIR of a redistributor asks for a vPE that VMAPP or VMOVP put elsewhere.
    AskedElsewhere { vpe: VpeId, cpu: u16 },
    /// GICv4.1 has no doorbells of events.
    EventDoorbell { device: DeviceId, event: EventId, doorbell: IntId },
    /// GICR_VPENDBASER.Valid cleared while Dirty.
    ClearedValidWhileDirty { cpu: u16 },
    /// GICR_VPENDBASER.Valid set while the table of the last vPE was still being written.
    SetValidWhileDirty { cpu: u16 },
    /// GICR_VPENDBASER written with Valid kept, or GICR_VPROPBASER, while Valid; ignored.
    WriteWhileValid { cpu: u16, register: &'static str },
    /// Valid set without PendingLast, which is RES1 then.
    PendingLastNotSet { cpu: u16 },
    /// Valid set with another IDAI than was read when the vPE left.
    IdaiNotRestored { vpe: VpeId },
    /// A vPE became resident on a redistributor that is not the one VMAPP or VMOVP named.
    ResidentElsewhere { vpe: VpeId, cpu: u16 },
    /// A vPE became resident on two redistributors.
    ResidentTwice { vpe: VpeId, cpu: u16 },
    /// Valid set for a pending table or vPEID that no VMAPP named.
    ResidentUnmapped { cpu: u16 },
    /// Valid set while GICR_CTLR.EnableLPIs was 0.
    ResidentWithoutLpis { cpu: u16 },
    /// VMAPP's VPT_size and GICR_VPROPBASER.IDbits of a vPE differ.
    IdBitsDiffer { vpe: VpeId, vpt_bits: u8, vpropbaser_bits: u8 },
    /// An LPI arrived at a redistributor with GICR_CTLR.EnableLPIs = 0; dropped.
    LpiWhileDisabled { cpu: u16, intid: IntId },
    /// A register of a redistributor that is off. Hardware may answer with an abort.
    AccessWithoutPower { cpu: u16, offset: usize },
    /// A command names a redistributor that is off, asleep, or has LPIs off.
    RedistributorNotReady { cpu: u16 },
    /// VMOVP where GITS_TYPER.VMOVP = 0 whose ITSList leaves this ITS out, or whose sequence number
    /// is not the next.
    VmovpNotCoordinated { vpe: VpeId },
    /// A vLPI of an absent vPE lies beyond the GICR_VPROPBASER.IDbits of its redistributor;
    /// dropped.
    VlpiBeyondIdBits { vpe: VpeId, vintid: IntId },
    /// GICR_PROPBASER or PENDBASER written while GICR_CTLR.EnableLPIs was 1; ignored.
    WriteWhileLpisEnabled { cpu: u16, register: &'static str },
}
