// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The SMMUs, and an `[[smmu]]` for each: identification registers alone (IHI 0070 6.3).

use crate::board::BOARD;
use crate::line::Out;
use crate::mmio;
use smmu::regs::{self, SMMU_IDR0, SMMU_IDR1, SMMU_IDR5};
use vm::text::Text;

/// SMMU_IDR5.OAS in bits.
const BITS: [u64; 8] = [32, 36, 40, 42, 44, 48, 52, 52];

pub fn write(out: &mut Out) {
    for smmu in BOARD.smmus {
        let read = |offset: usize| mmio::read32(smmu.base + offset as u64);
        let (Some(idr0), Some(idr1), Some(idr5)) =
            (read(regs::IDR0), read(regs::IDR1), read(regs::IDR5))
        else {
            out.silent(smmu.base, "base of [[smmu]]", smmu.name);
            continue;
        };
        out.text("\n[[smmu]]\n");
        out.word("name", smmu.name);
        out.register("SMMU_IDR0", idr0.into());
        out.register("SMMU_IDR1", idr1.into());
        out.register("SMMU_IDR5", idr5.into());
        for (name, offset) in [("SMMU_IIDR", regs::IIDR), ("SMMU_AIDR", regs::AIDR)] {
            out.register(name, read(offset).unwrap_or(0).into());
        }
        let field = |value: u32, shift: usize, mask: u32| value >> shift & mask;
        let bits = field(idr1, SMMU_IDR1::SIDSIZE.shift, SMMU_IDR1::SIDSIZE.mask);
        out.number("stream_id_bits", bits.into());
        let coherent = field(idr0, SMMU_IDR0::COHACC.shift, 1) != 0;
        out.truth("coherent", coherent);
        out.truth("two_level", field(idr0, SMMU_IDR0::ST_LEVEL.shift, 3) == 1);
        let size = field(idr5, SMMU_IDR5::OAS.shift, 7) as usize;
        out.number("address_bits", BITS.get(size).copied().unwrap_or(52));
        if field(idr0, SMMU_IDR0::S2P.shift, 1) == 0 {
            out.wrong("SMMU_IDR0.S2P = 0: it has no stage 2, Bulkhead cannot use it");
        }
    }
}
