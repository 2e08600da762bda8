// SPDX-License-Identifier: Apache-2.0 OR MIT
//! U-Boot's boot script, in the form that `source` takes: a legacy image of type "script".
//!
//! The form is U-Boot's `include/image.h`: a header of 64 bytes, big-endian, with a CRC-32 of
//! itself and one of the data; then the length of the text, a zero, and the text.

use super::slot::STATE;

/// Where a file is, by variables that U-Boot's distro boot and its bootflow set.
const PARTITION: &str = "${devtype} ${devnum}:${distro_bootpart}";
/// `booti` wants a device tree; the image ignores it.
const START: &str = "booti ${kernel_addr_r} - ${fdtcontroladdr}";

const MAGIC: u32 = 0x2705_1956;
const OS_LINUX: u8 = 5;
const ARCH_ARM64: u8 = 22;
const TYPE_SCRIPT: u8 = 6;

/// The script of a partition with one image.
pub fn of_disk() -> String {
    format!(
        "# Written by bulkhead flash.\n\
         echo \"boot script: bulkhead.bin of {PARTITION}\"\n\
         load {PARTITION} ${{kernel_addr_r}} /bulkhead.bin && {START}\n\
         echo \"boot script: bulkhead.bin does not start\"\n"
    )
}

/// The script of a partition with two images: counts attempts of a new one in a file, and goes back
/// to the other when there were too many. `slot_failed` is for `altbootcmd`.
pub fn of_slots() -> String {
    format!(
        "# Written by bulkhead flash.\n\
         setenv slot a\nsetenv slot_new 0\nsetenv slot_count 0\nsetenv slot_tries 3\n\
         if load {PARTITION} ${{kernel_addr_r}} /{STATE}; then\n\
         \x20 env import -t ${{kernel_addr_r}} ${{filesize}} slot slot_new slot_count slot_tries\n\
         fi\n\
         if test \"${{slot}}\" = b; then setenv slot_other a; else setenv slot a; setenv slot_other b; fi\n\
         setenv slot_back 0\n\
         if test \"${{slot_failed}}\" = 1; then setenv slot_back 1; fi\n\
         if test \"${{slot_new}}\" = 1; then\n\
         \x20 if test ${{slot_count}} -ge ${{slot_tries}}; then setenv slot_back 1; fi\n\
         fi\n\
         if test ${{slot_back}} = 1; then\n\
         \x20 echo \"boot script: slot ${{slot}} has not started, back to slot ${{slot_other}}\"\n\
         \x20 setenv slot_swap ${{slot}}\n\
         \x20 setenv slot ${{slot_other}}\n\
         \x20 setenv slot_other ${{slot_swap}}\n\
         \x20 setenv slot_new 0\n\
         \x20 setenv slot_count 0\n\
         \x20 setenv slot_failed\n\
         fi\n\
         if test \"${{slot_new}}\" = 1; then setexpr slot_count ${{slot_count}} + 1; fi\n\
         if test ${{slot_back}}${{slot_new}} != 00; then\n\
         \x20 env export -t ${{kernel_addr_r}} slot slot_new slot_count slot_tries\n\
         \x20 fatwrite {PARTITION} ${{kernel_addr_r}} /{STATE} ${{filesize}}\n\
         fi\n\
         echo \"boot script: slot ${{slot}}, attempt ${{slot_count}} of ${{slot_tries}}, new ${{slot_new}}\"\n\
         load {PARTITION} ${{kernel_addr_r}} /bulkhead-${{slot}}.bin && {START}\n\
         echo \"boot script: slot ${{slot}} cannot be loaded, trying slot ${{slot_other}}\"\n\
         load {PARTITION} ${{kernel_addr_r}} /bulkhead-${{slot_other}}.bin && {START}\n\
         echo \"boot script: no slot starts\"\n"
    )
}

/// The script that a TFTP server has: `path` is the image's on it.
pub fn of_tftp(path: &str) -> String {
    format!(
        "# Written by bulkhead flash.\n\
         echo \"boot script: {path} by TFTP\"\n\
         tftpboot ${{kernel_addr_r}} {path} && {START}\n\
         echo \"boot script: {path} does not start\"\n"
    )
}

/// As `source` takes it. No time is in it: the same script gives the same bytes.
pub fn packed(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend((text.len() as u32).to_be_bytes());
    data.extend([0; 4]);
    data.extend(text.as_bytes());
    let mut header = Vec::new();
    let words = [MAGIC, 0, 0, data.len() as u32, 0, 0, crc32fast::hash(&data)];
    words.iter().for_each(|word| header.extend(word.to_be_bytes()));
    header.extend([OS_LINUX, ARCH_ARM64, TYPE_SCRIPT, 0]);
    header.extend(b"bulkhead");
    header.resize(64, 0);
    let check = crc32fast::hash(&header);
    header[4..8].copy_from_slice(&check.to_be_bytes());
    header.extend(data);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `mkimage -A arm64 -T script -C none` makes, but for the time.
    #[test]
    fn the_header_is_u_boots() {
        let packed = packed("reset\n");
        assert_eq!(packed.len(), 64 + 8 + 6);
        assert_eq!(packed[..4], [0x27, 0x05, 0x19, 0x56]);
        assert_eq!(packed[12..16], [0, 0, 0, 14], "bytes of data");
        assert_eq!(packed[28..32], [5, 22, 6, 0], "Linux, arm64, script, not packed");
        assert_eq!(packed[64..72], [0, 0, 0, 6, 0, 0, 0, 0]);
        assert_eq!(&packed[72..], b"reset\n");
        let mut header = packed[..64].to_vec();
        header[4..8].fill(0);
        assert_eq!(packed[4..8], crc32fast::hash(&header).to_be_bytes());
        assert_eq!(packed[24..28], crc32fast::hash(&packed[64..]).to_be_bytes());
    }
}
