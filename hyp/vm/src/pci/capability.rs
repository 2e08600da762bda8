// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Capabilities of a function, as their list has them. PCI Express 7.5.3, 7.9; PCI Local Bus 3.0
//! 6.7, appendix H.

/// Where the list begins.
pub const CAPABILITIES: u16 = 0x34;
/// Where that of the extended ones begins.
pub const EXTENDED: u16 = 0x100;
pub const POWER: u8 = 0x01;
pub const MSI: u8 = 0x05;
pub const EXPRESS: u8 = 0x10;
pub const MSI_X: u8 = 0x11;
/// More capabilities than fit: a broken chain ends here.
const MOST: usize = 48;
const MOST_EXTENDED: usize = 64;
/// Of a function's or a bridge's PCI Express capability, at 4-byte steps, what a VM sees: version
/// and kind of port, but no slot and no message number ...
pub const EXPRESS_BITS: [u32; 5] = [
    0x00ff_0000,
    // ... payload sizes, extended tags, role-based error reporting: no reset of the function ...
    0x0000_8027,
    // ... payload and request sizes, tags and ordering as they are set ...
    0x0000_79f0,
    // ... speeds, widths, the port's number: no power management, no notice of changes ...
    0xff00_03ff,
    // ... speed and width of the link as it is. The rest is not implemented.
    0x03ff_0000,
];

/// An entry of the list: where it begins, and what it begins with.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    pub at: u16,
    pub header: u32,
}

impl Capability {
    pub const fn id(&self) -> u8 {
        self.header as u8
    }

    /// The half word behind the pointer: message control of MSI and MSI-X.
    pub const fn control(&self) -> u16 {
        (self.header >> 16) as u16
    }
}

/// All of a list, as `read` finds them.
pub fn list(read: impl Fn(u16) -> u32) -> impl Iterator<Item = Capability> {
    let mut at = read(CAPABILITIES) as u16 & 0xfc;
    let next = move || {
        let found = Capability { at, header: if at < 0x40 { 0 } else { read(at) } };
        at = (found.header >> 8) as u16 & 0xfc;
        (found.at >= 0x40).then_some(found)
    };
    core::iter::from_fn(next).take(MOST)
}

/// The same of the extended ones, whose headers have ID 15:0, version 19:16, next 31:20.
pub fn extended(read: impl Fn(u16) -> u32) -> impl Iterator<Item = Capability> {
    let mut at = EXTENDED;
    let next = move || {
        let header = if at < EXTENDED { 0 } else { read(at) };
        let found = Capability { at, header };
        at = (header >> 20) as u16 & 0xffc;
        (header != 0 && header != u32::MAX).then_some(found)
    };
    core::iter::from_fn(next).take(MOST_EXTENDED)
}

pub const fn extended_id(capability: &Capability) -> u16 {
    capability.header as u16
}
