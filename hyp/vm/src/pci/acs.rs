// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access control services: functions reach each other by the host alone, where the SMMU is.
//!
//! What a port has of them is turned on, whatever firmware left, before any function may send; what
//! the plan relies on must be there. Functions of one device belong to one VM, and need none. PCI
//! Express 6.12.
//!
//! | control | with it |
//! |---|---|
//! | source validation | no function behind a port uses a RequesterID of a bus elsewhere |
//! | translation blocking | what a device says was translated is refused: ATS is granted to none |
//! | request and completion redirect, upstream forwarding | nothing turns round below the host |
//!
//! Egress control and direct translated accesses are turned off.

use super::capability;
use super::examine::{Config, Difference, same};

const ACS: u16 = 0x0d;
/// From its header: capability 15:0, control 31:16.
const CONTROL: u16 = 4;
const CONTROLS: u32 = 0x1f;
/// All but translation blocking. A switch's port that has ACS has these.
const OF_PORT: u32 = 0x1d;

/// A port. `needed`: the plan relies on it.
pub fn port(config: &mut impl Config, needed: bool) -> Result<(), Difference> {
    let has = turn_on(config)?.unwrap_or(0);
    match needed {
        true => same("ACS controls (4:0) of", OF_PORT.into(), u64::from(has & OF_PORT)),
        false => Ok(()),
    }
}

/// The controls that it has. None: it has no such capability.
fn turn_on(config: &mut impl Config) -> Result<Option<u32>, Difference> {
    let own =
        capability::extended(|at| config.read(at)).find(|own| capability::extended_id(own) == ACS);
    let Some(own) = own else { return Ok(None) };
    let at = own.at + CONTROL;
    let has = config.read(at) & CONTROLS;
    config.write(at, has << 16);
    same("ACS control of", has.into(), (config.read(at) >> 16).into())?;
    Ok(Some(has))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A port with ACS behind another capability; control bits that it lacks stay 0.
    struct Port {
        words: Vec<u32>,
        keeps: u32,
    }

    const AT: usize = 0x148;

    impl Config for Port {
        fn read(&self, offset: u16) -> u32 {
            self.words[usize::from(offset) / 4]
        }
        fn write(&mut self, offset: u16, value: u32) {
            assert_eq!(usize::from(offset), AT + 4, "nothing else is written");
            let word = &mut self.words[usize::from(offset) / 4];
            *word = *word & 0xffff | value & self.keeps << 16;
        }
        fn wait(&mut self, _milliseconds: u64) {}
    }

    fn with(capability: u32, control: u32) -> Port {
        let mut words = std::vec![0; 1024];
        words[0x100 / 4] = 0x1481_0001;
        words[AT / 4] = 0x0001_000d;
        words[AT / 4 + 1] = capability | control << 16;
        Port { words, keeps: capability & 0x7f }
    }

    #[test]
    fn a_port_sends_everything_to_the_host_whatever_firmware_left() {
        for left in [0, 0x7f, 0x60] {
            let mut own = with(0x7f, left);
            assert_eq!(port(&mut own, true), Ok(()));
            assert_eq!(own.words[AT / 4 + 1], 0x001f_007f);
        }
        let mut own = with(0x1d, 0);
        assert_eq!(port(&mut own, true), Ok(()));
        assert_eq!(own.words[AT / 4 + 1] >> 16, 0x1d);
    }

    #[test]
    fn a_port_that_lacks_a_control_is_no_port_that_the_plan_relies_on() {
        for lacking in [1, 4, 8, 0x10] {
            let mut own = with(0x1f & !lacking, 0);
            let found = port(&mut own, true).map_err(|it| (it.what, it.planned, it.found));
            let has = u64::from(0x1d & !lacking);
            assert_eq!(found, Err(("ACS controls (4:0) of", 0x1d, has)));
            assert_eq!(port(&mut own, false), Ok(()), "nobody relies on it");
        }
        let mut none = Port { words: std::vec![0; 1024], keeps: 0 };
        assert_eq!(port(&mut none, true).map_err(|it| it.found), Err(0));
        assert_eq!(port(&mut none, false), Ok(()));
    }

    #[test]
    fn a_control_that_does_not_take_is_a_difference() {
        let mut own = with(0x1f, 0);
        own.keeps = 0x1b;
        let found = port(&mut own, true).map_err(|it| (it.what, it.planned, it.found));
        assert_eq!(found, Err(("ACS control of", 0x1f, 0x1b)));
    }
}
