// SPDX-License-Identifier: Apache-2.0 OR MIT
//! As much of a payload's file as a check needs.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use crate::bounds;
use crate::model::Format;
use crate::payload::{BIG_ENDIAN, gzip};

/// What a file says about itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    Raw {
        bytes: u64,
    },
    /// `bytes` in memory, bss included.
    Image {
        text_offset: u64,
        bytes: u64,
    },
    /// Segments to load, as (address, bytes in memory): physical addresses, or where `relocatable`
    /// offsets. The entry is as the file has it.
    Elf {
        segments: Vec<(u64, u64)>,
        relocatable: bool,
        entry: u64,
    },
}

#[derive(Debug)]
pub enum Error {
    /// It cannot be read, and why.
    Missing(String),
    /// It is not of the format, and why.
    Format(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Missing(match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".into(),
            io::ErrorKind::IsADirectory => "it is a directory".into(),
            _ => error.to_string(),
        })
    }
}

pub fn read(path: &Path, format: Format) -> Result<Header, Error> {
    let bytes = bounds::length(path)?;
    if bytes > bounds::PAYLOAD {
        return Err(bounds::too_big(bounds::PAYLOAD).into());
    }
    let mut file = File::open(path)?;
    if format != Format::Raw && is_packed(&mut file)? {
        let mut packed = Vec::new();
        file.take(bounds::PAYLOAD).read_to_end(&mut packed)?;
        return unpacked(&packed, format);
    }
    parse(&mut file, bytes, format)
}

fn is_packed(file: &mut File) -> io::Result<bool> {
    let mut magic = [0; 2];
    let have = read_up_to(file, &mut magic)?;
    file.rewind()?;
    Ok(gzip::is_packed(&magic[..have]))
}

fn unpacked(packed: &[u8], format: Format) -> Result<Header, Error> {
    let bytes = gzip::unpack(packed)
        .map_err(|error| Error::Format(format!("packed by gzip, and does not unpack: {error}")))?;
    let len = bytes.len() as u64;
    parse(&mut Cursor::new(bytes), len, format)
}

/// `bytes` is the file's length.
fn parse(file: &mut (impl Read + Seek), bytes: u64, format: Format) -> Result<Header, Error> {
    let mut head = [0; 64];
    let have = read_up_to(file, &mut head)?;
    match format {
        Format::Raw => Ok(Header::Raw { bytes }),
        Format::Image => image(&head[..have], bytes),
        Format::Elf => elf(file, &head[..have]),
    }
}

pub fn is_device_tree(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == [0xd0, 0x0d, 0xfe, 0xed]
}

/// Linux's Image header: text_offset at 8, image_size at 16, magic at 56. An image_size of 0 is an
/// old kernel's, which means a text_offset of 512 KiB.
fn image(head: &[u8], file: u64) -> Result<Header, Error> {
    // An EFI program that unpacks itself (Linux, drivers/firmware/efi/libstub/zboot-header.S).
    if head.starts_with(b"MZ") && head.get(4..8) == Some(b"zimg") {
        return Err(Error::Format("it is packed for EFI (zboot): take the Image in it".into()));
    }
    if field(head, 56, 4) != Some(0x644d_5241) {
        return Err(Error::Format("no \"ARM\\x64\" at offset 56".into()));
    }
    if field(head, 24, 8).is_some_and(|flags| flags & BIG_ENDIAN != 0) {
        return Err(Error::Format("its kernel is big-endian, and all that a VM has is not".into()));
    }
    let (text_offset, size) = (field(head, 8, 8).unwrap_or(0), field(head, 16, 8).unwrap_or(0));
    let text_offset = if size == 0 { 512 << 10 } else { text_offset };
    Ok(Header::Image { text_offset, bytes: size.max(file) })
}

/// ELF64, little-endian, AArch64; program headers of type PT_LOAD.
fn elf(file: &mut (impl Read + Seek), head: &[u8]) -> Result<Header, Error> {
    if !head.starts_with(b"\x7fELF") {
        return Err(Error::Format("it does not begin with \"\\x7fELF\"".into()));
    }
    let kind = (field(head, 4, 2), field(head, 18, 2));
    if kind != (Some(0x0102), Some(183)) || head.len() < 64 {
        return Err(Error::Format("it is not a 64-bit little-endian AArch64 ELF".into()));
    }
    let relocatable = field(head, 16, 2) == Some(3);
    let offset = field(head, 32, 8).unwrap_or(0);
    let (entry_size, count) = (field(head, 54, 2).unwrap_or(0), field(head, 56, 2).unwrap_or(0));
    let entry = field(head, 24, 8).unwrap_or(0);
    let mut segments = Vec::new();
    for n in 0..count {
        let mut header = [0; 56];
        file.seek(SeekFrom::Start(offset.saturating_add(n * entry_size)))?;
        if entry_size != 56 || read_up_to(file, &mut header)? < header.len() {
            return Err(Error::Format("its program headers are cut off".into()));
        }
        let (kind, bytes) = (field(&header, 0, 4), field(&header, 40, 8));
        let address = field(&header, if relocatable { 16 } else { 24 }, 8);
        if let (Some(1), Some(address), Some(bytes)) = (kind, address, bytes)
            && bytes > 0
        {
            segments.push((address, bytes));
        }
    }
    if segments.is_empty() {
        return Err(Error::Format("it has nothing to load".into()));
    }
    Ok(Header::Elf { segments, relocatable, entry })
}

fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read(&mut buffer[have..])? {
            0 => break,
            n => have += n,
        }
    }
    Ok(have)
}

/// A little-endian number of up to 8 bytes.
fn field(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn of(bytes: &[u8], format: Format) -> Result<Header, Error> {
        parse(&mut Cursor::new(bytes), bytes.len() as u64, format)
    }

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn image_of(text_offset: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        put(&mut bytes, 8, &text_offset.to_le_bytes());
        put(&mut bytes, 16, &size.to_le_bytes());
        put(&mut bytes, 56, b"ARM\x64");
        bytes
    }

    /// Two program headers: one to load at `address`, one that is a note.
    fn elf_of(kind: u16, address: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 2 * 56];
        put(&mut bytes, 0, b"\x7fELF\x02\x01\x01");
        put(&mut bytes, 16, &kind.to_le_bytes());
        put(&mut bytes, 18, &183u16.to_le_bytes());
        put(&mut bytes, 32, &64u64.to_le_bytes());
        put(&mut bytes, 54, &56u16.to_le_bytes());
        put(&mut bytes, 56, &2u16.to_le_bytes());
        put(&mut bytes, 64, &1u32.to_le_bytes());
        put(&mut bytes, 64 + 24, &address.to_le_bytes());
        put(&mut bytes, 64 + 40, &size.to_le_bytes());
        put(&mut bytes, 64 + 56, &4u32.to_le_bytes());
        bytes
    }

    #[test]
    fn images() {
        let image = of(&image_of(0x8_0000, 0x20_0000), Format::Image).unwrap();
        assert_eq!(image, Header::Image { text_offset: 0x8_0000, bytes: 0x20_0000 });
        // Without a size it is an old kernel, as big as its file and 512 KiB from the block's
        // start.
        let old = of(&image_of(0, 0), Format::Image).unwrap();
        assert_eq!(old, Header::Image { text_offset: 0x8_0000, bytes: 4096 });
        let mut big = image_of(0, 0x20_0000);
        big[24] = 1;
        assert!(
            matches!(of(&big, Format::Image), Err(Error::Format(why)) if why.contains("big-endian"))
        );
        for bad in [&b"MZ\0\0zimg"[..], b"", &[0; 64]] {
            assert!(matches!(of(bad, Format::Image), Err(Error::Format(_))));
        }
    }

    #[test]
    fn packed_images() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&image_of(0, 0x20_0000)).unwrap();
        let mut packed = packed.finish().unwrap();
        let image = unpacked(&packed, Format::Image).unwrap();
        assert_eq!(image, Header::Image { text_offset: 0, bytes: 0x20_0000 });
        packed.truncate(packed.len() - 1);
        assert!(matches!(unpacked(&packed, Format::Image), Err(Error::Format(_))));
    }

    #[test]
    fn elves() {
        let fixed = of(&elf_of(2, 0x4008_0000, 0x1234), Format::Elf).unwrap();
        assert_eq!(
            fixed,
            Header::Elf { segments: vec![(0x4008_0000, 0x1234)], relocatable: false, entry: 0 }
        );
        let free = of(&elf_of(3, 0, 0x1234), Format::Elf).unwrap();
        assert_eq!(free, Header::Elf { segments: vec![(0, 0x1234)], relocatable: true, entry: 0 });
        let good = elf_of(2, 0, 1);
        for cut in [0, 3, 40, 63, 64, 100] {
            assert!(matches!(of(&good[..cut], Format::Elf), Err(Error::Format(_))), "{cut}");
        }
        let mut arm = good.clone();
        put(&mut arm, 18, &40u16.to_le_bytes());
        assert!(matches!(of(&arm, Format::Elf), Err(Error::Format(_))));
        assert!(matches!(of(&elf_of(2, 0, 0), Format::Elf), Err(Error::Format(_))));
    }
}
