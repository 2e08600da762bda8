// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong with the hardware, with what a person needs to understand it.

use core::fmt;

/// Something that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// GICD_CTLR.RWP or GICR_CTLR.RWP to clear.
    RegisterWrites,
    /// GICR_WAKER.ChildrenAsleep to clear.
    RedistributorAwake,
    /// GITS_CTLR.Quiescent to be set.
    ItsQuiescent,
    /// GITS_CREADR to catch up.
    CommandsConsumed,
    /// GITS_CREADR to leave room in the command queue.
    QueueSpace,
    /// GICR_VPENDBASER.Dirty to clear.
    PendingTableClean,
    /// GICR_VSGIPENDR.Busy to clear.
    VirtualSgiState,
    /// GICR_SYNCR.Busy to clear.
    Invalidation,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RegisterWrites => "register writes to take effect (CTLR.RWP)",
            Self::RedistributorAwake => "the redistributor to wake (GICR_WAKER.ChildrenAsleep)",
            Self::ItsQuiescent => "the ITS to become quiescent (GITS_CTLR.Quiescent)",
            Self::CommandsConsumed => "the ITS to consume its commands (GITS_CREADR)",
            Self::QueueSpace => "room in the ITS command queue (GITS_CREADR)",
            Self::PendingTableClean => {
                "the virtual pending table to be clean (GICR_VPENDBASER.Dirty)"
            }
            Self::Invalidation => "an invalidation (GICR_SYNCR.Busy)",
            Self::VirtualSgiState => "the state of virtual SGIs (GICR_VSGIPENDR.Busy)",
        })
    }
}

/// LPI tables of a redistributor that an earlier user enabled for good: physical addresses, and
/// bytes by GICR_PROPBASER.IDbits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LpisInUse {
    /// Address of the configuration table.
    pub config: u64,
    /// Its length.
    pub config_bytes: u64,
    /// Address of the pending table.
    pub pending: u64,
    /// Its length.
    pub pending_bytes: u64,
}

/// What a field was expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This value.
    Exactly(u64),
    /// This value or a higher one.
    AtLeast(u64),
    /// This value or a lower one.
    AtMost(u64),
}

impl Expected {
    /// The value without the rule.
    pub const fn value(self) -> u64 {
        match self {
            Self::Exactly(value) | Self::AtLeast(value) | Self::AtMost(value) => value,
        }
    }

    /// Whether `found` is what was expected.
    pub const fn holds(self, found: u64) -> bool {
        match self {
            Self::Exactly(value) => found == value,
            Self::AtLeast(value) => found >= value,
            Self::AtMost(value) => found <= value,
        }
    }

    /// A difference is the error.
    pub(crate) const fn check(
        self,
        register: &'static str,
        field: &'static str,
        found: u64,
    ) -> Result<(), Error> {
        if self.holds(found) {
            Ok(())
        } else {
            Err(Error::Differs { register, field, expected: self, found })
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => write!(f, "{value:#x}"),
            Self::AtLeast(value) => write!(f, "{value:#x} or more"),
            Self::AtMost(value) => write!(f, "{value:#x} or less"),
        }
    }
}

/// The hardware is not what was expected, or did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A field of an identification register, or the readback of a value written, differs.
    Differs {
        /// Name of the register.
        register: &'static str,
        /// Name of the field, or what was worked out from it.
        field: &'static str,
        /// What it should be.
        expected: Expected,
        /// What it is.
        found: u64,
    },
    /// A bounded wait ran out.
    Timeout {
        /// What was waited for.
        wait: Wait,
        /// What the register last read.
        register: u64,
    },
    /// GITS_CREADR.Stalled: the ITS refuses a command.
    Stalled {
        /// The slot of the queue that holds it.
        slot: u32,
    },
    /// An earlier user, such as a boot loader, enabled LPIs for good (GICR_CTLR.EnableLPIs), with
    /// tables that are not given to us or do not serve.
    LpisInUse(LpisInUse),
    /// The operation needs what this hardware does not have.
    Unsupported {
        /// What it needs.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { register, field, expected, found } => {
                write!(f, "{register}.{field} is {found:#x}, expected {expected}")
            }
            Self::Timeout { wait, register } => {
                write!(f, "waited too long for {wait}, which reads {register:#x}")
            }
            Self::Stalled { slot } => write!(f, "the ITS stalled at the command in slot {slot}"),
            Self::LpisInUse(LpisInUse { config, config_bytes, pending, pending_bytes }) => write!(
                f,
                "LPIs were enabled before and cannot be disabled, with a configuration table of \
                 {config_bytes:#x} bytes at {config:#x} and a pending table of {pending_bytes:#x} bytes at {pending:#x}"
            ),
            Self::Unsupported { what } => write!(f, "not supported by this hardware: {what}"),
        }
    }
}

impl core::error::Error for Error {}

/// A state transition that did not happen: the state as it was, to try again, and why.
#[derive(Debug)]
pub struct Stuck<S> {
    /// The state, unchanged.
    pub state: S,
    /// Why.
    pub error: Error,
}

/// Polls `read` up to `polls` times until it gives `Ok`; the last `Err` is the register's value for
/// the error.
#[inline(always)]
pub(crate) fn poll<T>(
    polls: u32,
    wait: Wait,
    mut read: impl FnMut() -> Result<T, u64>,
) -> Result<T, Error> {
    match read() {
        Ok(done) => Ok(done),
        Err(register) => poll_on(polls, wait, register, &mut read),
    }
}

/// It was not there at once.
#[cold]
#[inline(never)]
fn poll_on<T>(
    polls: u32,
    wait: Wait,
    mut register: u64,
    read: &mut dyn FnMut() -> Result<T, u64>,
) -> Result<T, Error> {
    for _ in 1..polls {
        core::hint::spin_loop();
        match read() {
            Ok(done) => return Ok(done),
            Err(value) => register = value,
        }
    }
    Err(Error::Timeout { wait, register })
}
