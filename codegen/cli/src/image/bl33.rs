// SPDX-License-Identifier: Apache-2.0 OR MIT
//! bulkhead.bl33: the flat binary for firmware that loads and enters it at one fixed address.
//!
//! TF-A is built with the address of BL33, for every image that will ever run there. The image
//! itself begins further up, as far as this system's tables and code want. This file begins where
//! the hypervisor's memory does, which the board alone decides: an arm64 Image whose first
//! instruction is a branch to the flat binary. The zeros between become tables once EL2 runs.

use codegen::plan::Plan;

const HEADER: usize = 64;

/// The file of `image`, the flat binary of `plan`.
pub fn bl33(plan: &Plan, image: &[u8]) -> Vec<u8> {
    let own = &plan.hypervisor;
    let gap = own.image.value() - own.base.value();
    ahead(gap, image)
}

fn ahead(gap: u64, image: &[u8]) -> Vec<u8> {
    let mut out = vec![0; gap as usize];
    if let (Some(to), Some(from)) = (out.get_mut(..HEADER), image.get(..HEADER)) {
        to.copy_from_slice(from);
        // B, forward by words (DDI 0487 C6.2.26).
        to[..4].copy_from_slice(&(0x1400_0000 | (gap / 4) as u32).to_le_bytes());
        // text_offset and image_size count from the start of this file.
        for (at, other) in [(8, gap.wrapping_neg()), (16, gap)] {
            let field = &mut to[at..at + 8];
            let value = field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            field.copy_from_slice(&value.wrapping_add(other).to_le_bytes());
        }
    }
    out.extend(image);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_leads_to_the_image() {
        let mut image = vec![0u8; 128];
        image[..4].copy_from_slice(&0x1400_0010u32.to_le_bytes());
        image[8..16].copy_from_slice(&0x20_3000u64.to_le_bytes());
        image[16..24].copy_from_slice(&0x4_0000u64.to_le_bytes());
        image[0x38..0x3c].copy_from_slice(b"ARM\x64");
        let out = ahead(0x3000, &image);
        assert_eq!(out.len(), 0x3080);
        assert_eq!(out[..4], 0x1400_0c00u32.to_le_bytes());
        assert_eq!(out[8..16], 0x20_0000u64.to_le_bytes());
        assert_eq!(out[16..24], 0x4_3000u64.to_le_bytes());
        assert_eq!(&out[0x38..0x3c], b"ARM\x64");
        assert_eq!(out[0x3000..], image);
        assert_eq!(ahead(0, &image), image);
    }
}
