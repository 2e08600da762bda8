// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bulkhead's own hypercalls: SMCCC fast calls of the vendor's hypervisor range.
//!
//! The function is in w0, arguments are in x1 and x2, the result is in x0 ([`crate::smccc`]).

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $number;)*
        /// Every function with its name, by number.
        pub const FUNCTIONS: &[(u32, &str)] = &[$(($number, stringify!($name)),)*];
    };
}

functions! {
    /// x1: 0 pass, other: the guest's failure code. Records a result.
    REPORT = 0xc600_0001;
    /// x1 vPE of the VM, x2 counter ([`crate::Counter`]): its value in x1.
    COUNTER = 0xc600_0002;
    /// The table of counters goes to the console.
    SHOW_COUNTERS = 0xc600_0003;
    /// x1 channel end, in the device tree's order: rings the peer.
    RING = 0xc600_0004;
    /// Does nothing, for measuring a round trip.
    NOTHING = 0xc600_0005;
    /// x1 mode, by its number in the device tree's `modes`.
    MODE_SWITCH = 0xc600_0006;
    /// Feeds the VM's watchdog.
    FEED = 0xc600_0007;
}
