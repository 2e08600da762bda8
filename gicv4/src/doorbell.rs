// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Doorbells of GICv4.0: a physical LPI for each vPE, worked through a proxy device.
//!
//! A doorbell is an LPI that no event maps to (only VMAPTI names it), so no command could mask,
//! clear or move it. Hence a *proxy*: an event of a device that does not exist, mapped to the same
//! LPI; INV, CLEAR and MOVI on it act on the doorbell. The sequences here are lists of encoded
//! commands; the caller runs them through its [`crate::queue::Queue`]. Follows IHI 0069H 5.3 and
//! 5.6.2.
//!
//! [`Doorbell`] is what to do when, so that a wake-up is never lost and a doorbell never storms (on
//! GICv4.0 it rings on *every* event while the vPE is not resident):
//!
//! ```text
//!            waits: unmask                 rang: mask, run
//!   Silent -----------------------> Armed -----------------> Silent
//!     |                             ^   |
//!     | entered     waits: clear,   |   | entered: mask and clear
//!     '----------> Stale -----------'   '------------------> Silent
//!                          unmask
//! ```
//!
//! `waits` comes while the vPE is still resident: no event rings, so that what `clear` removes is
//! stale, and the doorbell can be unmasked in the same batch. From the end of residency on an event
//! rings, or is pending in [`crate::vpe::Left`]; then the vPE has work and is not to wait for its
//! doorbell. [`crate::residency`] has both in their order. A vPE that is pre-empted does not say
//! `waits`: its doorbell stays masked, may become pending, and nothing needs to be told. Masked
//! does not mean deaf: an LPI that becomes pending while disabled is delivered after unmask and
//! INV, which is why a stale one is cleared before.
//!
//! Not supported: masking by DirectLPI registers; GICv4.1, whose default doorbells need none of
//! this ([`crate::vpe41`]).

use crate::command::Command;
use crate::given::Vetted;
use crate::intid::{CollectionId, DeviceId, EventId, IntId, RdBase};
use crate::lpi::{ConfigTable, LpiConfig};

/// A doorbell LPI and the proxy event that is mapped to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The physical LPI that rings.
    pub intid: IntId,
    /// The proxy's device.
    pub device: DeviceId,
    /// The proxy event.
    pub event: EventId,
    /// Of the LPI.
    pub priority: u8,
}

/// Up to three commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    commands: [Vetted; 3],
    len: usize,
}

impl Batch {
    const fn one_and_sync(command: Command, redistributor: RdBase) -> Self {
        let sync = Vetted::sync(redistributor);
        Self { commands: [Vetted::harmless(command), sync, Vetted::PADDING], len: 2 }
    }
    const fn two_and_sync(first: Command, second: Command, redistributor: RdBase) -> Self {
        let sync = Vetted::sync(redistributor);
        Self { commands: [Vetted::harmless(first), Vetted::harmless(second), sync], len: 3 }
    }
    /// No command.
    pub const EMPTY: Self = Self { commands: [Vetted::PADDING; 3], len: 0 };

    /// The commands, in their order.
    pub fn as_slice(&self) -> &[Vetted] {
        self.commands.get(..self.len).unwrap_or(&[])
    }
}

impl Proxy {
    /// The priority of doorbells unless chosen otherwise.
    pub const PRIORITY: u8 = 0xa0;

    /// With [`Self::PRIORITY`].
    pub const fn new(intid: IntId, device: DeviceId, event: EventId) -> Self {
        Self { intid, device, event, priority: Self::PRIORITY }
    }

    /// The configuration byte of a masked or unmasked doorbell.
    pub const fn config(&self, enabled: bool) -> LpiConfig {
        LpiConfig::new(self.priority, enabled)
    }

    /// Maps the proxy event, once at boot. The proxy device needs a MAPD before.
    pub const fn map(&self, collection: CollectionId) -> Command {
        Command::Mapti { device: self.device, event: self.event, intid: self.intid, collection }
    }

    /// Writes the configuration byte; the commands make the GIC see it. `redistributor` is where
    /// the doorbell is.
    pub fn mask(&self, config: &mut impl ConfigTable, redistributor: RdBase) -> Batch {
        self.write(config, false);
        Batch::one_and_sync(self.inv(), redistributor)
    }

    /// As [`Self::mask`]. If the doorbell rang while it was masked, it is delivered now.
    pub fn unmask(&self, config: &mut impl ConfigTable, redistributor: RdBase) -> Batch {
        self.write(config, true);
        Batch::one_and_sync(self.inv(), redistributor)
    }

    /// Takes the pending state away.
    pub const fn clear(&self, redistributor: RdBase) -> Batch {
        Batch::one_and_sync(
            Command::Clear { device: self.device, event: self.event },
            redistributor,
        )
    }

    /// [`Self::mask`], and what rang before is taken back.
    pub fn mask_and_clear(&self, config: &mut impl ConfigTable, redistributor: RdBase) -> Batch {
        self.write(config, false);
        let clear = Command::Clear { device: self.device, event: self.event };
        Batch::two_and_sync(self.inv(), clear, redistributor)
    }

    /// While its vPE is resident, so that it cannot ring in between.
    pub fn clear_and_unmask(&self, config: &mut impl ConfigTable, redistributor: RdBase) -> Batch {
        self.write(config, true);
        let clear = Command::Clear { device: self.device, event: self.event };
        Batch::two_and_sync(clear, self.inv(), redistributor)
    }

    /// Moves the doorbell with its pending state to another collection, away from the redistributor
    /// `from`. VMOVP does not do that. The SYNC is of `from`, which has to give the pending state
    /// away (IHI 0069H 5.3, MOVI).
    pub const fn move_to(&self, collection: CollectionId, from: RdBase) -> Batch {
        Batch::one_and_sync(
            Command::Movi { device: self.device, event: self.event, collection },
            from,
        )
    }

    /// The commands of a [`Todo`]; none where the GIC has nothing to do.
    pub fn commands(
        &self,
        todo: Todo,
        config: &mut impl ConfigTable,
        redistributor: RdBase,
    ) -> Batch {
        match todo {
            Todo::Nothing => Batch::EMPTY,
            Todo::Unmask => self.unmask(config, redistributor),
            Todo::MaskAndRun => self.mask(config, redistributor),
            Todo::MaskAndClear => self.mask_and_clear(config, redistributor),
            Todo::ClearAndUnmask => self.clear_and_unmask(config, redistributor),
        }
    }

    fn write(&self, config: &mut impl ConfigTable, enabled: bool) {
        config.store(self.intid, self.config(enabled));
        config.publish();
    }

    const fn inv(&self) -> Command {
        Command::Inv { device: self.device, event: self.event }
    }
}

/// A proxy with its commands encoded, for who runs them often.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    proxy: Proxy,
    invalidate: Vetted,
    clear: Vetted,
}

impl Prepared {
    /// Encodes the commands of `proxy`.
    pub const fn new(proxy: Proxy) -> Self {
        let clear = Command::Clear { device: proxy.device, event: proxy.event };
        Self { proxy, invalidate: Vetted::harmless(proxy.inv()), clear: Vetted::harmless(clear) }
    }

    /// The same as [`Proxy::commands`], given to `run`. `sync` is SYNC of the redistributor where
    /// the doorbell is.
    #[inline]
    pub fn carry_out<E>(
        &self,
        todo: Todo,
        config: &mut impl ConfigTable,
        sync: &Vetted,
        run: impl FnOnce(&[Vetted]) -> Result<(), E>,
    ) -> Result<(), E> {
        match todo {
            Todo::Nothing => Ok(()),
            Todo::Unmask | Todo::MaskAndRun => {
                self.proxy.write(config, matches!(todo, Todo::Unmask));
                run(&[self.invalidate, *sync])
            }
            Todo::MaskAndClear => {
                self.proxy.write(config, false);
                run(&[self.invalidate, self.clear, *sync])
            }
            Todo::ClearAndUnmask => {
                self.proxy.write(config, true);
                run(&[self.clear, self.invalidate, *sync])
            }
        }
    }
}

/// What follows from a transition of [`Doorbell`]. Whoever gets it does it before the next
/// transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Todo {
    /// Nothing is to be done.
    Nothing,
    /// Unmask the doorbell.
    Unmask,
    /// Mask the doorbell and make the vPE runnable.
    MaskAndRun,
    /// Mask the doorbell, and take back what rang.
    MaskAndClear,
    /// Take back what rang, then unmask the doorbell.
    ClearAndUnmask,
}

/// Whether a vPE's doorbell may ring. Begins masked, as the configuration byte in the plan's tables
/// should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doorbell {
    /// Masked: the vPE has work. Of one that is resident, nothing is pending.
    Silent,
    /// Masked, the vPE is or was resident; it may have rung before that.
    Stale,
    /// Unmasked: the vPE waits for it, or is about to.
    Armed,
}

impl Doorbell {
    /// Before [`crate::vpe::Resident::leave`], for a vPE that waits for an interrupt.
    pub const fn waits(&mut self) -> Todo {
        let todo = match *self {
            Self::Silent => Todo::Unmask,
            Self::Stale => Todo::ClearAndUnmask,
            Self::Armed => Todo::Nothing,
        };
        *self = Self::Armed;
        todo
    }

    /// The LPI was acknowledged. One that was on its way while it was masked means nothing.
    pub const fn rang(&mut self) -> Todo {
        match *self {
            Self::Armed => {
                *self = Self::Silent;
                Todo::MaskAndRun
            }
            Self::Silent | Self::Stale => Todo::Nothing,
        }
    }

    /// After [`crate::vpe::NonResident::enter`].
    pub const fn entered(&mut self) -> Todo {
        match *self {
            Self::Armed => {
                *self = Self::Silent;
                Todo::MaskAndClear
            }
            Self::Silent | Self::Stale => {
                *self = Self::Stale;
                Todo::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[derive(Default)]
    struct Config(Vec<(u32, u8)>);

    impl ConfigTable for Config {
        fn store(&mut self, intid: IntId, config: LpiConfig) {
            self.0.push((intid.value(), config.byte()));
        }
        fn publish(&self) {}
    }

    #[test]
    fn prepared_commands_are_the_same() {
        let proxy = Proxy::new(IntId::new(8195), DeviceId::new(26), EventId::new(3));
        let prepared = Prepared::new(proxy);
        let at = RdBase::processor(2);
        let sync = Vetted::sync(at);
        for todo in [
            Todo::Nothing,
            Todo::Unmask,
            Todo::MaskAndRun,
            Todo::MaskAndClear,
            Todo::ClearAndUnmask,
        ] {
            let (mut one, mut other) = (Config::default(), Config::default());
            let batch = proxy.commands(todo, &mut one, at);
            let mut given = Vec::new();
            let done: Result<(), ()> = prepared.carry_out(todo, &mut other, &sync, |commands| {
                given.extend_from_slice(commands);
                Ok(())
            });
            assert_eq!(done, Ok(()));
            assert_eq!((given.as_slice(), other.0), (batch.as_slice(), one.0), "{todo:?}");
        }
    }
}
