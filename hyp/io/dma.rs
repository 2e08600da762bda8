// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What devices reach: the SMMUs' boot, and the streams of VMs that run.
//!
//! Compiles to nothing on a board without SMMUs. From EL2's first instructions on no
//! transaction passes one but those of a device whose VM runs, by that VM's stage 2. What is
//! refused is recorded, and charged to the device (life/dma.rs).
//!
//! 1. `close`, before anything else: everything is aborted. An SMMU that no VM's device is behind
//!    stays so.
//! 2. `boot`: verified against the plan, enabled on stream tables without a valid entry.
//! 3. `attach`, when a VM's functions are set up; `cut_off`, when they are stopped.
//! 4. `next`: records are taken.

use super::faults;
use super::halt::{differs, stop};
use crate::state::cpu::POLLS;
use crate::state::plan_data::{LEAF_COUNT, PLAN, SMMU_COUNT};
use crate::state::system::Built;
use arch::smmu::{self as board, Driver, Refused};
use arch::sysreg::Pause;
use plan::Master;
use smmu::event::Event;
use smmu::gerror::GlobalError;
use smmu::table::Leaf;
use smmu::{Error, StreamId};
use spin::mutex::TicketMutex;
use vm::text::Text;

static DRIVERS: [TicketMutex<Option<Driver<Built>>, Pause>; SMMU_COUNT] =
    [const { TicketMutex::new(None) }; SMMU_COUNT];

/// The plan's leaves, as the driver has them.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static LEAVES: [Leaf; LEAF_COUNT] = {
    let mut all = [Leaf { index: 0, bits: 0, address: 0 }; LEAF_COUNT];
    let mut n = 0;
    while n < PLAN.leaves.len() {
        let plan::Leaf { index, bits, table } = PLAN.leaves[n];
        all[n] = Leaf { index, bits, address: table.base.value() };
        n += 1;
    }
    all
};

/// No transaction passes an SMMU from here on.
pub fn close() {
    board::close::<Built>(POLLS).unwrap_or_else(|error| broken(error.into()));
}

/// Puts the SMMUs on their tables, in which no stream has an entry.
pub fn boot() {
    for (number, driver) in DRIVERS.iter().enumerate() {
        let made = Driver::enable(number, &LEAVES, POLLS).unwrap_or_else(|why| broken(why));
        *driver.lock() = Some(made);
    }
}

/// The device reaches its VM's memory from here on.
pub fn attach(master: &Master) {
    with(usize::from(master.smmu), |driver| driver.attach(master));
}

/// A device reaches nothing from here on, and records no more.
pub fn cut_off(master: &Master) {
    with(usize::from(master.smmu), |driver| driver.cut_off(master));
}

/// A StreamID that is no device's of the plan records no more: it never reached anything.
pub fn ignore(smmu: usize, stream: StreamId) {
    with(smmu, |driver| driver.ignore(stream));
}

fn with(smmu: usize, work: impl FnOnce(&mut Driver<Built>) -> Result<(), Refused>) {
    // The lock is free before this CPU stops: another one that comes here has its own line to say.
    let result = DRIVERS.get(smmu).map(|driver| driver.lock().as_mut().map_or(Ok(()), work));
    if let Some(Err(why)) = result {
        broken(why);
    }
}

/// The oldest record of a fault.
pub fn next(smmu: usize) -> Option<Event> {
    let mut event = None;
    let mut lost = false;
    with(smmu, |driver| {
        (event, lost) = driver.take();
        Ok(())
    });
    if lost {
        faults::lost();
    }
    event
}

/// The SMMU has errors of its own to tell.
pub fn errors(smmu: usize) {
    let mut failed = false;
    with(smmu, |driver| {
        failed = driver.errors().contains(GlobalError::ServiceFailure);
        Ok(())
    });
    if failed {
        stop(&mut |out| out.text("the SMMU has failed"))
    }
}

/// The SMMU is not the plan's, or did not do what it was told.
fn broken(why: Refused) -> ! {
    stop(&mut |out| match why {
        Refused::Plan => out.text("the plan's tables are not an SMMU's"),
        Refused::Hardware(Error::Differs { register, field, expected, found }) => {
            differs(out, register, field, expected, found);
        }
        Refused::Hardware(Error::Timeout { register, .. }) => {
            out.text("the SMMU took too long, a register reads ");
            out.hex(register.into());
        }
        Refused::Hardware(Error::Command { slot, .. }) => {
            out.text("the SMMU refuses the command in slot ");
            out.decimal(slot.into());
        }
        Refused::Hardware(Error::NoEntry { stream }) => {
            out.text("the stream table has no StreamID ");
            out.hex(stream.value().into());
        }
    })
}
