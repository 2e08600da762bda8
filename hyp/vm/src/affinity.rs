// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Affinities of a VM's vPEs: sixteen for each Aff1.

/// vPEs with the same Aff1: as many as the target list of ICC_SGI1R_EL1 names without a range
/// selector (GICD_TYPER.RSS = 0).
pub const CLUSTER: usize = 16;

/// Affinity fields of a VM's vPE: Aff1 15:8, Aff0 7:0.
pub const fn affinity_of(number: usize) -> u32 {
    (number / CLUSTER * 0x100 + number % CLUSTER) as u32
}

/// Number of the vPE with affinity fields Aff3 31:24, Aff2 23:16, Aff1, Aff0 in a VM that has so
/// many; more than any has: nobody's.
pub const fn number_of(affinity: u32) -> usize {
    if affinity & 0xffff_00f0 != 0 {
        return usize::MAX;
    }
    (affinity >> 8) as usize * CLUSTER + (affinity & 0xf) as usize
}
