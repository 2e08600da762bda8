// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The registers of the control frame (IHI 0069H 12.18).
//!
//! The frame has 64 collections, GITS_BASER0 for devices and GITS_BASER1 for collections; what the
//! guest puts there is read back and means nothing. GITS_CBASER and GITS_BASERn do not change while
//! the ITS is enabled. What is not a register reads as zero.

use super::{
    Its, Refusal,
    its::{BASER_FIXED, BASER_RESET, ENABLED, QUIESCENT},
    queue::{self, COMMAND_BYTES, STALLED},
};
use crate::{
    Guest, Platform,
    mmio::{Access, Device, Written},
    vgic::{IIDR, PIDR2},
};
use core::sync::atomic::Ordering::{Relaxed, Release};
use gicv4::regs::gits::offset as gits;

/// Offset of GITS_CWRITER and GITS_CREADR.
const OFFSET: u64 = 0xf_ffe0;
/// GITS_CWRITER.Retry.
const RETRY: u64 = 1;
/// GITS_CBASER's fields: Valid, caches, address, shareability, size.
const CBASER_BITS: u64 = 1 << 63 | 7 << 59 | 7 << 53 | 0x000f_ffff_ffff_f000 | 3 << 10 | 0xff;

impl Device for Its {
    #[inline(never)]
    fn read<P: Platform>(guest: &Guest, _: &mut P, access: Access) -> Option<u64> {
        Self::read(guest, access.offset, access.bytes)
    }

    #[inline(never)]
    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        Self::write(guest, platform, access.offset, access.bytes, value)
    }
}

impl Its {
    /// Reads `bytes` at `offset` of the frame; None: refused.
    pub fn read(guest: &Guest, offset: u64, bytes: u32) -> Option<u64> {
        let its = &guest.vm.its;
        match bytes {
            8 => Some(its.doubleword(guest.view().id_bits(), offset)),
            4 => Some(match offset as usize {
                gits::CTLR => {
                    let ctlr = its.ctlr.load(Relaxed);
                    if ctlr & ENABLED != 0 { ctlr } else { ctlr | QUIESCENT }
                }
                gits::IIDR => u64::from(IIDR),
                gits::PIDR2 => u64::from(PIDR2),
                _ => {
                    its.doubleword(guest.view().id_bits(), offset & !7) >> (8 * (offset & 4))
                        & 0xffff_ffff
                }
            }),
            _ => None,
        }
    }

    /// Writes.
    pub fn write<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        bytes: u32,
        value: u64,
    ) -> Written {
        let its = &guest.vm.its;
        if bytes != 4 && bytes != 8 {
            return Written::Refused;
        }
        if offset as usize == gits::CTLR {
            its.ctlr.store(value & ENABLED, Relaxed);
            return queue::run(guest, platform);
        }
        let at = offset & !7;
        let value = match (bytes, offset & 4) {
            (8, _) => value,
            (_, 0) => {
                its.doubleword(guest.view().id_bits(), at) & !0xffff_ffff | value & 0xffff_ffff
            }
            _ => its.doubleword(guest.view().id_bits(), at) & 0xffff_ffff | value << 32,
        };
        let enabled = its.ctlr.load(Relaxed) & ENABLED != 0;
        match at as usize {
            gits::CBASER if !enabled => {
                its.cbaser.store(value & CBASER_BITS, Relaxed);
                its.creadr.store(0, Relaxed);
                its.reached.store(0, Relaxed);
            }
            gits::CWRITER => return its.write_cwriter(guest, platform, value),
            gits::BASER..0x140 if !enabled => {
                let n = (at as usize - gits::BASER) / 8;
                if let (Some(baser), Some(fixed)) = (its.basers.get(n), BASER_RESET.get(n)) {
                    baser.store(value & !BASER_FIXED | fixed & BASER_FIXED, Relaxed);
                }
            }
            _ => {}
        }
        Written::Done
    }

    fn write_cwriter<P: Platform>(&self, guest: &Guest, platform: &mut P, value: u64) -> Written {
        let offset = value & OFFSET;
        if offset >= queue::bytes(self.cbaser.load(Relaxed)) {
            self.refuse(&guest.vpe.counters, [0; 4], Refusal::Queue);
            return Written::Done;
        }
        self.cwriter.store(offset, Release);
        if value & RETRY != 0 {
            self.creadr.fetch_and(!STALLED, Relaxed);
        }
        queue::run(guest, platform)
    }
}

const _: () = assert!(COMMAND_BYTES == 32);
