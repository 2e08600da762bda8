// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens once: tokens that only the head makes.
//!
//! [`SystemBoot`] is the board's, [`CpuBoot`] a CPU's. Neither can be copied or made, and what may
//! happen once takes one of them.

use crate::system::System;
use core::marker::PhantomData;
use plan::CpuIndex;

/// The first CPU's way from the head to its first guest, which the system goes once.
pub struct SystemBoot<S>(PhantomData<S>);

impl<S: System> SystemBoot<S> {
    /// # Safety
    /// Called once, by the head, on the first CPU.
    #[inline(always)]
    pub(crate) const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// A CPU's way from the head to its first guest, which each goes once.
pub struct CpuBoot<S> {
    cpu: CpuIndex,
    system: PhantomData<S>,
}

impl<S: System> CpuBoot<S> {
    /// # Safety
    /// Called once on each CPU, by the head, on the stack that belongs to `cpu`.
    #[inline(always)]
    pub(crate) const unsafe fn new(cpu: CpuIndex) -> Self {
        Self { cpu, system: PhantomData }
    }

    /// The calling CPU.
    #[inline(always)]
    pub const fn cpu(&self) -> CpuIndex {
        self.cpu
    }
}
