// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What EL2 counts for each vPE: the numbers and names of the hypercall COUNTER.
//!
//! One table is the source of the numbers, the names in the report and those in docs/guest-abi.md.

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What is counted; the number is the guest's (hypercall COUNTER).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Counter {
            $($(#[$doc])* $variant = $number,)*
        }
        impl Counter {
            /// Every counter, by number.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)*];
            /// Name in the report and in docs/guest-abi.md.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)*
                }
            }
        }
    };
}

counters! {
    /// For all reasons: the sum of the exits below; never counted itself.
    Exits = 0, "exits";
    ExitInterrupt = 1, "exits: interrupt";
    ExitHvc = 2, "exits: HVC";
    ExitSmc = 3, "exits: SMC";
    ExitSysReg = 4, "exits: system register";
    ExitSgi = 5, "exits: SGI register";
    ExitMmio = 6, "exits: emulated MMIO";
    /// An abort or an UNDEFINED exception was given to the guest.
    ExitDenied = 7, "exits: denied";
    ExitWfx = 8, "exits: WFI or WFE";
    ExitOther = 9, "exits: other";
    InjectedSgi = 10, "injections by list register: SGI";
    InjectedTimer = 11, "injections by list register: timer";
    InjectedSpi = 12, "injections by list register: SPI or LPI";
    InjectedEmulated = 13, "injections by list register: emulated device";
    Doorbells = 14, "doorbells";
    ResidencyChanges = 15, "residency changes";
    /// In ticks of the counter.
    LongestStay = 16, "longest stay in EL2";
    ChannelRings = 17, "channel rings";
    Overflows = 18, "list register overflows";
    /// Times the vPE's registers were loaded on a shared CPU.
    Switches = 19, "residency switches";
    Overruns = 20, "budget overruns";
    /// In ticks of the counter.
    LongestWake = 21, "longest wake to run";
    /// Commands of the guest to its ITS, refused ones too.
    ItsCommands = 22, "guest ITS: commands";
    ItsRefused = 23, "guest ITS: commands refused";
    /// What they made of the physical ITS: DISCARD or VMAPTI of an event,
    ItsDiscarded = 24, "physical ITS: events unmapped";
    ItsRemapped = 25, "physical ITS: events mapped";
    /// VMOVI,
    ItsMoved = 26, "physical ITS: events moved";
    /// INV after a change of the configuration byte,
    ItsConfigured = 27, "physical ITS: events configured";
    /// INT or CLEAR.
    ItsSet = 28, "physical ITS: events set or cleared";
    InjectedPmu = 29, "injections by list register: PMU";
    /// The VM had used up what it may cause there.
    ItsWaits = 30, "physical ITS: waits for the allowance";
    /// Rings that were delivered later, or with others.
    RingsKept = 31, "channel rings: kept for later";
    /// Of the VM's memory, before its starts: counted for its first vPE.
    ClearedBytes = 32, "starts: bytes cleared";
    /// In ticks of the counter.
    ClearedTicks = 33, "starts: ticks of clearing";
    /// GICR_VPENDBASER.Dirty was not clear in time: something was taken for pending.
    SlowTables = 34, "pending table: waits given up";
}

/// How many counters there are.
pub const COUNT: usize = Counter::ALL.len();
