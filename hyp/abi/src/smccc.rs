// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The SMC calling convention (DEN 0028, SMCCC 1.2): its own functions, and results in x0.
//!
//! The function is in w0, arguments from x1, results from x0.

/// SMCCC_VERSION.
pub const VERSION: u32 = 0x8000_0000;
/// SMCCC_ARCH_FEATURES.
pub const ARCH_FEATURES: u32 = 0x8000_0001;
/// SMCCC_ARCH_WORKAROUND_1: branch targets.
pub const ARCH_WORKAROUND_1: u32 = 0x8000_8000;
/// SMCCC_ARCH_WORKAROUND_2: stores passed by loads.
pub const ARCH_WORKAROUND_2: u32 = 0x8000_7fff;
/// SMCCC_ARCH_WORKAROUND_3: branch history.
pub const ARCH_WORKAROUND_3: u32 = 0x8000_3fff;
/// UID of the vendor specific hypervisor service.
pub const HYPERVISOR_UID: u32 = 0x8600_ff01;
/// Revision of the vendor specific hypervisor service.
pub const HYPERVISOR_REVISION: u32 = 0x8600_ff03;

/// What VERSION answers: 1.2.
pub const VERSION_1_2: u64 = 0x1_0002;
/// 8f2f9c4e-6d1a-4b58-9a51-62756c6b6864, four bytes in each register, first byte lowest
/// (DEN 0028 6.2).
pub const UID: [u64; 4] = [0x4e9c_2f8f, 0x584b_1a6d, 0x7562_519a, 0x6468_6b6c];
/// Major and minor.
pub const REVISION: [u64; 2] = [0, 1];

pub const SUCCESS: u64 = 0;
pub const NOT_SUPPORTED: u64 = -1i64 as u64;
/// ARCH_FEATURES of a workaround: this CPU needs none. Elsewhere the same number is [`DENIED`].
pub const NOT_REQUIRED: u64 = -2i64 as u64;
/// RING: the peer's VM is off. MODE_SWITCH: another VM may ask, or none.
pub const DENIED: u64 = -2i64 as u64;
pub const INVALID_PARAMETERS: u64 = -3i64 as u64;
/// MODE_SWITCH: another switch is not over yet.
pub const BUSY: u64 = -4i64 as u64;
