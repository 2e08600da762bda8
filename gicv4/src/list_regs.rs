// SPDX-License-Identifier: Apache-2.0 OR MIT
//! List registers: how a hypervisor hands an interrupt to the guest by itself.
//!
//! Values only; `ICH_LR<n>_EL2` and ICH_VTR_EL2 are system registers that the caller reads and
//! writes. IHI 0069H 4.3 and 12.4.

use crate::intid::IntId;
use crate::regs::ich::{ICH_LR, ICH_VTR};
use core::fmt;
use tock_registers::LocalRegisterCopy;

/// State of a virtual interrupt in a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The list register is free.
    Inactive,
    /// Waits to be acknowledged.
    Pending,
    /// Acknowledged, and not deactivated.
    Active,
    /// Both; reserved with HW.
    PendingActive,
}

/// A value of `ICH_LR<n>_EL2`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct ListReg(u64);

impl ListReg {
    /// A free list register.
    pub const EMPTY: Self = Self(0);

    /// A pending Group 1 interrupt of the software's own.
    pub const fn pending(vintid: IntId, priority: u8) -> Self {
        Self(
            vintid.value() as u64
                | ICH_LR::Priority.val(priority as u64).value
                | ICH_LR::Group::SET.value
                | ICH_LR::State::Pending.value,
        )
    }

    /// A pending Group 1 interrupt whose deactivation by the guest deactivates the physical
    /// `pintid`, at most 13 bits.
    pub const fn hardware(vintid: IntId, pintid: IntId, priority: u8) -> Self {
        Self(
            Self::pending(vintid, priority).0
                | ICH_LR::HW::SET.value
                | ICH_LR::PINTID.val(pintid.value() as u64).value,
        )
    }

    /// As `ICH_LR<n>_EL2` reads.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// As `ICH_LR<n>_EL2` takes it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Raise a maintenance interrupt when the guest ends this interrupt; only without HW.
    pub const fn with_end_notice(self) -> Self {
        if self.is_hardware() { self } else { Self(self.0 | ICH_LR::EOI::SET.value) }
    }
    /// The same in Group 0.
    pub const fn with_group0(self) -> Self {
        Self(self.0 & !ICH_LR::Group::SET.value)
    }
    /// The same in another state.
    pub const fn with_state(self, state: State) -> Self {
        let bits = match state {
            State::Inactive => 0,
            State::Pending => ICH_LR::State::Pending.value,
            State::Active => ICH_LR::State::Active.value,
            State::PendingActive => ICH_LR::State::PendingActive.value,
        };
        Self((self.0 & !ICH_LR::State::SET.value) | bits)
    }

    /// What the guest acknowledges.
    pub const fn vintid(self) -> IntId {
        IntId::new(self.0 as u32)
    }
    /// The physical interrupt, with HW.
    pub const fn pintid(self) -> Option<IntId> {
        if self.is_hardware() { Some(IntId::new((self.0 >> 32) as u32 & 0x1fff)) } else { None }
    }
    /// HW: its deactivation deactivates a physical interrupt.
    pub const fn is_hardware(self) -> bool {
        self.0 & ICH_LR::HW::SET.value != 0
    }
    /// EOI: its end raises a maintenance interrupt.
    pub const fn has_end_notice(self) -> bool {
        !self.is_hardware() && self.0 & ICH_LR::EOI::SET.value != 0
    }
    /// Group 1.
    pub const fn is_group1(self) -> bool {
        self.0 & ICH_LR::Group::SET.value != 0
    }
    /// Lower is more urgent.
    pub const fn priority(self) -> u8 {
        (self.0 >> 48) as u8
    }
    /// Its state.
    pub const fn state(self) -> State {
        match self.0 >> 62 {
            0 => State::Inactive,
            1 => State::Pending,
            2 => State::Active,
            _ => State::PendingActive,
        }
    }
    /// May be overwritten.
    pub const fn is_free(self) -> bool {
        self.0 >> 62 == 0
    }
}

impl fmt::Debug for ListReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_free() {
            return f.write_str("free");
        }
        write!(f, "{:?} {:?}, priority {:#04x}", self.vintid(), self.state(), self.priority())?;
        if let Some(pintid) = self.pintid() {
            write!(f, ", hardware {pintid:?}")?;
        }
        if self.has_end_notice() {
            f.write_str(", tells its end")?;
        }
        if self.is_group1() { Ok(()) } else { f.write_str(", group 0") }
    }
}

/// What ICH_VTR_EL2 says of the virtual CPU interface.
#[derive(Clone, Copy, Debug)]
pub struct VirtualInterface(LocalRegisterCopy<u64, ICH_VTR::Register>);

impl VirtualInterface {
    /// Of ICH_VTR_EL2's value.
    pub const fn new(ich_vtr: u64) -> Self {
        Self(LocalRegisterCopy::new(ich_vtr))
    }
    /// Number of list registers, 1 to 16.
    pub fn list_registers(&self) -> u8 {
        self.0.read(ICH_VTR::ListRegs) as u8 + 1
    }
    /// Priority bits that exist.
    pub fn priority_bits(&self) -> u8 {
        self.0.read(ICH_VTR::PRIbits) as u8 + 1
    }
    /// Priority bits that preempt.
    pub fn preemption_bits(&self) -> u8 {
        self.0.read(ICH_VTR::PREbits) as u8 + 1
    }
    /// vINTID bits in a list register.
    pub fn intid_bits(&self) -> u8 {
        if self.0.read(ICH_VTR::IDbits) == 0 { 16 } else { 24 }
    }
    /// GICv4: virtual interrupts may be injected directly.
    pub fn direct_injection(&self) -> bool {
        !self.0.is_set(ICH_VTR::NV4)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn values_follow_the_manual() {
        for (made, bits) in [
            (ListReg::pending(IntId::new(33), 0xa0), 0x50a0_0000_0000_0021),
            (ListReg::pending(IntId::new(5), 0).with_end_notice(), 0x5000_0200_0000_0005),
            (ListReg::pending(IntId::new(5), 0).with_group0(), 0x4000_0000_0000_0005),
            (ListReg::hardware(IntId::new(27), IntId::new(27), 0x80), 0x7080_001b_0000_001b),
            (
                ListReg::hardware(IntId::new(27), IntId::new(27), 0x80).with_end_notice(),
                0x7080_001b_0000_001b,
            ),
            (
                ListReg::pending(IntId::new(33), 0xa0).with_state(State::Active),
                0x90a0_0000_0000_0021,
            ),
            (
                ListReg::pending(IntId::new(33), 0xa0).with_state(State::PendingActive),
                0xd0a0_0000_0000_0021,
            ),
            (
                ListReg::pending(IntId::new(33), 0xa0).with_state(State::Inactive),
                0x10a0_0000_0000_0021,
            ),
            (ListReg::EMPTY, 0),
        ] {
            assert_eq!(made.bits(), bits, "{made:?}");
        }
    }

    #[test]
    fn fields_read_back() {
        let timer = ListReg::hardware(IntId::new(27), IntId::new(30), 0x80);
        assert_eq!(timer.vintid(), IntId::new(27));
        assert_eq!(timer.pintid(), Some(IntId::new(30)));
        assert_eq!((timer.priority(), timer.state()), (0x80, State::Pending));
        assert!(timer.is_group1() && !timer.is_free() && !timer.has_end_notice());
        assert_eq!(ListReg::pending(IntId::new(27), 0).pintid(), None);
        assert!(timer.with_state(State::Inactive).is_free());
        for state in [State::Inactive, State::Pending, State::Active, State::PendingActive] {
            assert_eq!(timer.with_state(state).state(), state);
        }
        assert_eq!(format!("{timer:?}"), "PPI 27 Pending, priority 0x80, hardware PPI 30");
        assert_eq!(format!("{:?}", ListReg::EMPTY), "free");
    }

    #[test]
    fn virtual_interface_of_a_known_cpu() {
        let interface = VirtualInterface::new(0x90a8_0003);
        assert_eq!(interface.list_registers(), 4);
        assert_eq!((interface.priority_bits(), interface.preemption_bits()), (5, 5));
        assert_eq!(interface.intid_bits(), 24);
        assert!(interface.direct_injection());
        assert!(!VirtualInterface::new(0x90b8_0003).direct_injection());
    }
}
