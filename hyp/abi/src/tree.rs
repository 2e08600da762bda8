// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names in a guest's device tree that no standard binding defines.
//!
//! All but [`VM`] are below [`NODE`]; docs/guest-abi.md shows the node. Properties of events and
//! channels with a standard name (`reg`, `memory-region`, `read-only`) have the standard meaning.

/// The root's `compatible`.
pub const VM_COMPATIBLE: &str = "bulkhead,vm";

/// The node that says a Bulkhead is underneath, in the root.
pub const NODE: &str = "bulkhead";
pub const SYSTEM_COMPATIBLE: &str = "bulkhead,system";
/// The system's name and the VM's.
pub const SYSTEM: &str = "system";
pub const VM: &str = "vm";
/// Time of the VM's watchdog in microseconds.
pub const WATCHDOG_US: &str = "watchdog-us";
/// IPA and size of EL2's log, read-only ([`crate::log`]).
pub const LOG: &str = "log";
/// Names of the modes by number, for the VM that may ask for them.
pub const MODES: &str = "modes";
/// Address that devices write their MSIs to.
pub const ITS_TRANSLATER: &str = "its-translater";

/// Node with one `event@n` for each event of a device.
pub const EVENTS: &str = "events";
pub const EVENT: &str = "event";
pub const DEVICE_ID: &str = "device-id";
pub const EVENT_ID: &str = "event-id";
pub const VINTID: &str = "vintid";
/// vPE that takes the event, by its number in the VM.
pub const VPE: &str = "vpe";
/// The board's name of the device.
pub const DEVICE: &str = "device";
/// Where the device is, if it is a PCI function: `linux,pci-domain` of its host, and its bus,
/// device and function.
pub const PCI_DOMAIN: &str = "pci-domain";
pub const REQUESTER_ID: &str = "requester-id";

/// Node with one `channel@n` for each channel end.
pub const CHANNELS: &str = "channels";
pub const CHANNEL: &str = "channel";
pub const CHANNEL_COMPATIBLE: &str = "bulkhead,channel";
pub const CHANNEL_NAME: &str = "channel-name";
/// Argument of [`crate::hypercall::RING`].
pub const INDEX: &str = "index";
/// [`FIRST`] or [`SECOND`], by the order of `ends` in the TOML.
pub const ROLE: &str = "role";
pub const FIRST: &str = "first";
pub const SECOND: &str = "second";

/// Every property and node name below [`NODE`] that has no standard meaning.
pub const NAMES: &[&str] = &[
    SYSTEM,
    VM,
    WATCHDOG_US,
    LOG,
    MODES,
    ITS_TRANSLATER,
    EVENTS,
    EVENT,
    DEVICE_ID,
    EVENT_ID,
    VINTID,
    VPE,
    DEVICE,
    PCI_DOMAIN,
    REQUESTER_ID,
    CHANNELS,
    CHANNEL,
    CHANNEL_NAME,
    INDEX,
    ROLE,
];
