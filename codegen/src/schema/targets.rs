// SPDX-License-Identifier: Apache-2.0 OR MIT
//! targets.toml: where a user's boards take their images from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::S;
use crate::units::Size;

/// Where `bulkhead flash` puts an image: disks, folders and tools at one desk or in one lab.
///
/// `bulkhead flash SYSTEM --to NAME` takes one of these. The file is `--targets FILE`, or
/// targets.toml in the current directory, or ~/.config/bulkhead/targets.toml. Paths are relative to
/// the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetsFile {
    /// A place for an image.
    #[schemars(length(min = 1))]
    pub target: Vec<S<Target>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(tag = "kind")]
pub enum Target {
    /// A disk image with a partition that U-Boot boots: into a file, or onto an SD card, an eMMC or
    /// another disk.
    Disk(Disk),
    /// The image alone, at an offset of a disk or a file; nothing else there is changed.
    Raw(Raw),
    /// A folder from which a TFTP server serves U-Boot.
    Tftp(Tftp),
    /// A disk image by NXP's uuu.
    Uuu(Uuu),
    /// The image into memory by openocd, and started there.
    Openocd(Openocd),
    /// A disk image or the image alone by fastboot.
    Fastboot(Fastboot),
    /// The image by XMODEM to U-Boot's prompt on a serial line, and started there.
    Xmodem(Xmodem),
    /// A disk image for a place of labgrid.
    Labgrid(Labgrid),
}

impl Target {
    pub fn name(&self) -> &S<String> {
        match self {
            Self::Disk(target) => &target.name,
            Self::Raw(target) => &target.name,
            Self::Tftp(target) => &target.name,
            Self::Uuu(target) => &target.name,
            Self::Openocd(target) => &target.name,
            Self::Fastboot(target) => &target.name,
            Self::Xmodem(target) => &target.name,
            Self::Labgrid(target) => &target.name,
        }
    }

    /// What the disk image holds; None: this target takes none, or the usual one.
    pub fn layout(&self) -> Option<&S<Layout>> {
        match self {
            Self::Disk(target) => target.layout.as_ref(),
            Self::Uuu(target) => target.layout.as_ref(),
            Self::Fastboot(target) => target.layout.as_ref(),
            Self::Labgrid(target) => target.layout.as_ref(),
            Self::Raw(_) | Self::Tftp(_) | Self::Openocd(_) | Self::Xmodem(_) => None,
        }
    }
}

/// What a disk image holds: an MBR, firmware at fixed places, and one FAT partition with U-Boot's
/// script and the image.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Images on it: 1, or 2 (a and b) with a count of attempts.
    #[schemars(range(min = 1, max = 2), extend("x-default" = 1))]
    pub slots: Option<S<u8>>,
    /// How often a new slot may start before the script goes back to the other one.
    #[schemars(range(min = 1, max = 9), extend("x-default" = 3))]
    pub tries: Option<S<u8>>,
    /// Size of the partition.
    #[schemars(extend("x-default" = "what is needed, and at least 64 MiB"))]
    pub partition: Option<S<Size>>,
    /// Firmware that the board's ROM reads at fixed places, such as U-Boot. The partition begins
    /// behind the last.
    #[serde(default)]
    pub raw: Vec<S<RawFile>>,
    /// More files for the partition, such as firmware that the board's ROM finds by name.
    #[serde(default)]
    pub files: Vec<S<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// The file.
    pub file: S<String>,
    /// Where it begins, from the start of the disk; a multiple of 512 bytes.
    pub at: S<Size>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Name, for `--to`.
    pub name: S<String>,
    /// A whole disk, best by /dev/disk/by-id, or a file.
    pub device: S<String>,
    /// What the disk image holds.
    pub layout: Option<S<Layout>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Name, for `--to`.
    pub name: S<String>,
    /// A disk, a partition or a file.
    pub device: S<String>,
    /// Where the image begins, from the start of the device; a multiple of 512 bytes.
    pub at: S<Size>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tftp {
    /// Name, for `--to`.
    pub name: S<String>,
    /// The server's folder. The image goes to SYSTEM/bulkhead.bin below it.
    pub folder: S<String>,
    /// The script that U-Boot asks for: `boot_script_dhcp` of its environment.
    #[schemars(extend("x-default" = "boot.scr.uimg"))]
    pub script: Option<S<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// An SD card.
    Sd,
    /// An eMMC.
    Emmc,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uuu {
    /// Name, for `--to`.
    pub name: S<String>,
    /// The board's U-Boot with fastboot, which uuu loads first.
    pub bootloader: S<String>,
    /// What it writes: uuu's built-in script `sd_all` or `emmc_all`.
    pub storage: S<Storage>,
    /// What the disk image holds.
    pub layout: Option<S<Layout>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Openocd {
    /// Name, for `--to`.
    pub name: S<String>,
    /// openocd's configuration files, in this order: paths, or names that it finds itself.
    #[schemars(length(min = 1))]
    pub config: Vec<S<String>>,
    /// Commands between `init` and loading, such as those that stop the CPU at EL2.
    #[serde(default)]
    pub before: Vec<S<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fastboot {
    /// Name, for `--to`.
    pub name: S<String>,
    /// The partition, or what the board calls its whole disk.
    pub partition: S<String>,
    /// Serial number of the board, where several are connected.
    pub serial: Option<S<String>>,
    /// Write the image alone, not a disk image.
    #[schemars(extend("x-default" = false))]
    pub image_only: Option<bool>,
    /// What the disk image holds.
    pub layout: Option<S<Layout>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Xmodem {
    /// Name, for `--to`.
    pub name: S<String>,
    /// The line, as `bulkhead console` takes it.
    pub line: S<String>,
    /// Bits a second, of a serial device.
    #[schemars(extend("x-default" = 115_200))]
    pub baud: Option<S<u32>>,
    /// U-Boot's prompt.
    #[schemars(extend("x-default" = "\"=> \""))]
    pub prompt: Option<S<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labgrid {
    /// Name, for `--to`.
    pub name: S<String>,
    /// The place, which must be acquired.
    pub place: S<String>,
    /// Switch the place's SD card to the host before, and to the board after.
    #[schemars(extend("x-default" = false))]
    pub mux: Option<bool>,
    /// Turn the board off before, and on after.
    #[schemars(extend("x-default" = false))]
    pub power: Option<bool>,
    /// What the disk image holds.
    pub layout: Option<S<Layout>>,
}
