// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong, with what a person needs to understand it.

use crate::number::StreamId;
use core::fmt;

/// Something that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// SMMU_GBPA.Update to clear.
    GlobalBypass,
    /// SMMU_CR0ACK to follow SMMU_CR0.
    Control,
    /// SMMU_IRQ_CTRLACK to follow SMMU_IRQ_CTRL.
    Interrupts,
    /// SMMU_CMDQ_CONS to reach SMMU_CMDQ_PROD.
    CommandsConsumed,
    /// SMMU_CMDQ_CONS to leave room in the queue.
    QueueSpace,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GlobalBypass => "the SMMU to abort what it does not translate (SMMU_GBPA.Update)",
            Self::Control => "the SMMU to follow SMMU_CR0 (SMMU_CR0ACK)",
            Self::Interrupts => "the SMMU to follow SMMU_IRQ_CTRL (SMMU_IRQ_CTRLACK)",
            Self::CommandsConsumed => "the SMMU to consume its commands (SMMU_CMDQ_CONS)",
            Self::QueueSpace => "room in the SMMU's command queue (SMMU_CMDQ_CONS)",
        })
    }
}

/// Why a command queue stopped: SMMU_CMDQ_CONS.ERR (IHI 0070 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandFault {
    /// CERROR_ILL: not a command of this SMMU.
    Illegal,
    /// CERROR_ABT: the command could not be read from memory.
    Abort,
    /// CERROR_ATC_INV_SYNC: a device did not answer an ATC invalidation.
    AtcTimeout,
    /// Any other code.
    Other(u8),
}

impl CommandFault {
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Illegal,
            2 => Self::Abort,
            3 => Self::AtcTimeout,
            other => Self::Other(other),
        }
    }
    pub const fn code(self) -> u8 {
        match self {
            Self::Illegal => 1,
            Self::Abort => 2,
            Self::AtcTimeout => 3,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for CommandFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Illegal => f.write_str("illegal command"),
            Self::Abort => f.write_str("external abort when it was read"),
            Self::AtcTimeout => f.write_str("a device did not answer an ATC invalidation"),
            Self::Other(code) => write!(f, "error {code:#x}"),
        }
    }
}

/// The hardware is not what was expected, or did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A field of an identification register, or the readback of a value written, differs.
    Differs { register: &'static str, field: &'static str, expected: u64, found: u64 },
    /// A bounded wait ran out. `register` is what the register last read.
    Timeout { wait: Wait, register: u32 },
    /// The SMMU refuses the command in this slot of the queue; nothing behind it is consumed.
    Command { slot: u32, fault: CommandFault },
    /// The stream table has no entry of this stream.
    NoEntry { stream: StreamId },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { register, field, expected, found } => {
                write!(f, "{register}.{field} is {found:#x}, expected {expected:#x}")
            }
            Self::Timeout { wait, register } => {
                write!(f, "waited too long for {wait}, which reads {register:#x}")
            }
            Self::Command { slot, fault } => {
                write!(f, "the SMMU stopped at the command in slot {slot}: {fault}")
            }
            Self::NoEntry { stream } => write!(f, "{stream:?} has no entry in the stream table"),
        }
    }
}

impl core::error::Error for Error {}

/// Why a table, an entry or a queue cannot be made: what a build gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illegal {
    /// Not a multiple of what the manual asks for, or beyond 52 bits.
    Address { what: &'static str, address: u64, align: u64 },
    /// A size outside the manual's bounds.
    Size { what: &'static str, value: u64, least: u64, most: u64 },
    /// A two-level table with a leaf twice, or not in order.
    LeafOrder { stream: StreamId },
    /// A value of VTCR_EL2 that an SMMU's stage 2 does not have.
    Stage2 { what: &'static str, vtcr: u64 },
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { what, address, align } => {
                write!(f, "{what} at {address:#x}: not a multiple of {align:#x} within 52 bits")
            }
            Self::Size { what, value, least, most } => {
                write!(f, "{what} is {value}: not between {least} and {most}")
            }
            Self::LeafOrder { stream } => {
                write!(f, "the leaf of {stream:?} is there twice, or not in order")
            }
            Self::Stage2 { what, vtcr } => {
                write!(f, "an SMMU cannot use a stage 2 with VTCR_EL2 {vtcr:#x}: {what}")
            }
        }
    }
}

impl core::error::Error for Illegal {}

/// An address that a register's 52-bit field can hold and that is aligned as it must be.
pub(crate) const fn placed(what: &'static str, address: u64, align: u64) -> Result<(), Illegal> {
    if address >> 52 == 0 && address & (align - 1) == 0 {
        Ok(())
    } else {
        Err(Illegal::Address { what, address, align })
    }
}

/// A value within bounds, both of them included.
pub(crate) const fn within(
    what: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), Illegal> {
    if least <= value && value <= most {
        Ok(())
    } else {
        Err(Illegal::Size { what, value, least, most })
    }
}

/// Polls `read` up to `polls` times until it gives `Ok`; the last `Err` is the register's value.
pub(crate) fn poll<T>(
    polls: u32,
    wait: Wait,
    mut read: impl FnMut() -> Result<T, u32>,
) -> Result<T, Error> {
    let mut register = match read() {
        Ok(done) => return Ok(done),
        Err(value) => value,
    };
    for _ in 1..polls {
        core::hint::spin_loop();
        match read() {
            Ok(done) => return Ok(done),
            Err(value) => register = value,
        }
    }
    Err(Error::Timeout { wait, register })
}
