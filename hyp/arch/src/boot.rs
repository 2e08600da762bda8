// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens once: tokens that only the head makes.
//!
//! [`SystemBoot`] is the board's, [`CpuBoot`] a CPU's. Neither can be copied or made, nor leave its
//! CPU: a CPU on the stack of another one would overwrite it. What may happen once takes one of
//! them.

use crate::system::System;
use core::marker::PhantomData;
use plan::CpuIndex;

/// Keeps a value on its CPU: neither `Send` nor `Sync`.
pub(crate) type Here<S> = PhantomData<*mut S>;

/// The first CPU's way from the head to its first guest, which the system goes once.
pub struct SystemBoot<S>(Here<S>);

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
    system: Here<S>,
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
