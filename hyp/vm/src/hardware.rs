// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The registers and memory that the emulation asks for, by the unit that has them.
//!
//! Traits without a default that matters: the image implements them once, tests on a model.
//! [`crate::platform`] has what they are together.

use core::sync::atomic::AtomicU32;
use gicv4::{CollectionId, RdBase, command::Encoded, list_regs::ListReg};
use plan::{EventRoute, Pa, PciBridge, PciFunction, Vm, VpeIndex};

/// The list registers of the CPU that runs the calling vPE (IHI 0069 12.4).
///
/// Register 0 is the virtual timer's; the others are shared. At least three are needed: with fewer,
/// an underflow interrupt could not make progress.
pub trait ListRegisters {
    /// How many there are, 16 at most (ICH_VTR_EL2.ListRegs + 1, or what the plan relies on). Best
    /// a constant.
    fn count(&self) -> usize;
    /// `ICH_LR<index>_EL2`.
    fn read(&self, index: usize) -> ListReg;
    fn write(&mut self, index: usize, value: ListReg);
    /// The same for a register that the compiler knows.
    #[inline(always)]
    fn get<const INDEX: usize>(&self) -> ListReg {
        self.read(INDEX)
    }
    #[inline(always)]
    fn put<const INDEX: usize>(&mut self, value: ListReg) {
        self.write(INDEX, value);
    }
    /// ICH_ELRSR_EL2: a set bit is a register without a valid interrupt, and without the notice of
    /// an end.
    fn empty(&self) -> u32;
    /// The others, as bits.
    #[inline(always)]
    fn used(&self) -> u32 {
        !self.empty() & ((1 << self.count()) - 1)
    }
    /// ICH_HCR_EL2.EOIcount, which is cleared.
    fn take_eoi_count(&mut self) -> u32;
    /// Sets the maintenance interrupt enables and the trap of ICH_HCR_EL2 to `bits`, a union of
    /// [`UNDERFLOW`], [`NOT_PRESENT`], [`NO_PENDING`], [`TRAP_DIR`], [`TRAP_GROUP1`] and
    /// [`SGIS_UNCOUNTED`]. Called only when they change.
    fn maintenance(&mut self, bits: u32);
    /// SPSR_EL2.I: the guest keeps interrupts out.
    fn masked(&self) -> bool;
    /// ICH_VMCR_EL2.VEOIM: the guest deactivates by ICC_DIR_EL1, its ICC_EOIR1_EL1 only drops the
    /// priority.
    fn splits_end(&self) -> bool;
}

// ICH_HCR_EL2.UIE.
pub const UNDERFLOW: u32 = 1 << 1;
/// ICH_HCR_EL2.LRENPIE.
pub const NOT_PRESENT: u32 = 1 << 2;
/// ICH_HCR_EL2.NPIE.
pub const NO_PENDING: u32 = 1 << 3;
/// ICH_HCR_EL2.vSGIEOICount: the end of a virtual SGI, which is in no list register, is not counted
/// (GICv4.1).
pub const SGIS_UNCOUNTED: u32 = 1 << 8;
/// ICH_HCR_EL2.TALL1: the guest's accesses of group 1's registers, ICC_IAR1_EL1 among them, come to
/// [`crate::vgic::look_again`].
pub const TRAP_GROUP1: u32 = 1 << 12;
/// ICH_HCR_EL2.TDIR: the guest's writes of ICC_DIR_EL1 come to [`crate::vgic::deactivate`].
pub const TRAP_DIR: u32 = 1 << 14;

/// The physical distributor and redistributors, for interrupts that belong to the VM.
///
/// `word` is INTID / 32, 1..=31; `bits` are the VM's own. SPIs that the VM does not own are never
/// named.
pub trait PhysicalGic {
    /// `GICD_ISENABLER<word>`.
    fn enable(&mut self, word: usize, bits: u32);
    /// `GICD_ICENABLER<word>`, complete (RWP) on return.
    fn disable(&mut self, word: usize, bits: u32);
    /// `GICD_ISPENDR<word>`.
    fn set_pending(&mut self, word: usize, bits: u32);
    /// `GICD_ICPENDR<word>`.
    fn clear_pending(&mut self, word: usize, bits: u32);
    /// `GICD_ISACTIVER<word>`.
    fn set_active(&mut self, word: usize, bits: u32);
    /// `GICD_ICACTIVER<word>`.
    fn clear_active(&mut self, word: usize, bits: u32);
    /// `GICD_ISPENDR<word>` as read.
    fn pending(&self, word: usize) -> u32;
    /// `GICD_ISACTIVER<word>` as read.
    fn active(&self, word: usize) -> u32;
    /// `GICD_ICFGR<index>` as read; index is INTID / 16.
    fn config(&self, index: usize) -> u32;
    /// `GICD_ICFGR<index>`: bits under `mask` become `value`, the others stay.
    fn set_config(&mut self, index: usize, mask: u32, value: u32);
    /// `GICD_IROUTER<intid>`: to the CPU of `vpe`; None: to no CPU, so that it stays pending.
    fn route(&mut self, intid: u32, vpe: Option<VpeIndex>);
    /// Enables or disables PPIs, bits of `plan::Vm::ppis`, at the redistributor of `vpe`'s CPU.
    fn enable_ppis(&mut self, vpe: VpeIndex, bits: u32, on: bool);
    /// ICC_DIR_EL1 on this CPU: the physical interrupt is no longer active.
    fn deactivate(&mut self, intid: u32);
    /// GICR_ISACTIVER0 of this CPU: the PPI is active, complete on return.
    fn activate(&mut self, intid: u32);
    /// GICR_ISPENDR0 of the CPU of `vpe` as read, of its PPIs; 0 while another vPE has that CPU.
    fn pending_ppis(&self, vpe: VpeIndex) -> u32;
}

/// Configuration space of a function that the VM owns. Offsets are multiples of 4 below 4096.
pub trait ConfigSpace {
    fn config_read(&self, function: &PciFunction, offset: u16) -> u32;
    /// Writes `bytes` (1, 2 or 4) bytes at `offset`, naturally aligned, so that the neighbours stay
    /// untouched. The function has a write to its header when this returns.
    fn config_write(&mut self, function: &PciFunction, offset: u16, bytes: u8, value: u32);
    /// A word of the pages that hold the function's MSI-X table; `offset` is from the first page
    /// on. Memory space is on.
    fn table_read(&self, function: &PciFunction, offset: u32) -> u32;
    fn table_write(&mut self, function: &PciFunction, offset: u32, value: u32);
    /// A bridge that the VM sees; it is nobody's, so there is no write.
    fn bridge_read(&self, bridge: &PciBridge, offset: u16) -> u32;
}

/// The physical ITS, for events that belong to the VM, and memory of the VM that its virtual one
/// reads.
///
/// Addresses were checked to be memory of the VM; the bytes may change at any time.
pub trait PhysicalIts {
    /// The four doublewords at `from`, a multiple of 32.
    fn read_command(&self, from: Pa) -> Encoded;
    fn read_byte(&self, from: Pa) -> u8;
    /// The byte of `vintid`, which is one of the VM's, in its virtual configuration table. The ITS
    /// sees it before any later command.
    fn configure(&mut self, vm: &Vm, vintid: u32, byte: u8);
    /// The byte of the physical LPI that the plan's event `event` is, likewise. Where EL2 lists
    /// events only, as the next three.
    fn configure_lpi(&mut self, _event: usize, _byte: u8) {}
    /// Events that wait for a list register: a bit for each of the plan's.
    fn waiting_lpis(&self) -> &'static [AtomicU32] {
        &[]
    }
    /// What vPEs are to drop that others cleared or unmapped: beside the plan's events, in words of
    /// `vgic::lpi`'s.
    fn stale_lpis(&self) -> &'static [AtomicU32] {
        &[]
    }
    /// The byte of `vintid`, a vLPI of the vPE, is in use from here on. With
    /// [`crate::Platform::INVALIDATES`] only.
    fn invalidate(&mut self, _vpe: VpeIndex, _vintid: u32) {}
    /// Raises an event that the ITS translates, as a device would: INT, of EL2's own.
    fn interrupt(&mut self, _: &EventRoute) {}
    /// The GIC makes the vPE's virtual SGI pending, and wakes the vPE by its doorbell if it waits.
    /// With [`crate::Platform::VIRTUAL_SGIS`] only, as the next one.
    fn send_sgi(&mut self, _vpe: VpeIndex, _sgi: u32) {}
    /// Those of the vPE that are pending, as bits.
    fn pending_sgis(&mut self, _vpe: VpeIndex) -> u32 {
        0
    }
    /// The CPU of a vPE as commands name it.
    fn home(&self, _vpe: VpeIndex) -> (CollectionId, RdBase) {
        (CollectionId::new(0), RdBase::processor(0))
    }
    /// Gives the ITS these commands and waits until it has taken them. At most [`BATCH`].
    fn command(&mut self, commands: &[Encoded]);
    /// A physical interrupt waits for this CPU to return to its guest.
    fn interrupted(&self) -> bool;
    /// The system counter, with the frequency that the plan says.
    fn ticks(&self) -> u64;
}

/// Commands in a batch, at most.
pub const BATCH: usize = 3;
