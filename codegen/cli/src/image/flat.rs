// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From the linked ELF to the flat binary that boot loaders take.
//!
//! Every loadable segment with file content goes to its physical address, relative to the lowest;
//! the rest are zeros. Memory without file content at the end (tables that boot clears) is not in
//! the file: image_size of the header covers it (Linux, Documentation/arch/arm64/booting).

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

/// Why an ELF file is no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlatError {
    /// Not an ELF file, or not one to load.
    #[error("the linked image is not an ELF file to load: {0}")]
    Elf(String),
    /// Its first bytes are not an Image header.
    #[error("the linked image has no \"ARM\\x64\" at 0x38")]
    NoHeader,
    /// The header says another load address than the link.
    #[error("the image's header says {what} {header:#x}, it is linked for {link:#x}")]
    Header { what: &'static str, header: u64, link: u64 },
}

/// The flat binary, for an image that must lie `text_offset` bytes into RAM and take `most` bytes
/// there.
pub fn flatten(image: &[u8], text_offset: u64, most: u64) -> Result<Vec<u8>, FlatError> {
    let bad = |error: object::read::Error| FlatError::Elf(error.to_string());
    let header = elf::FileHeader64::<Endianness>::parse(image).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    let segments = header.program_headers(endian, image).map_err(bad)?;
    let mut pieces = Vec::new();
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD) {
        let data = segment
            .data(endian, image)
            .map_err(|()| FlatError::Elf("a segment lies outside the file".into()))?;
        if !data.is_empty() {
            pieces.push((segment.p_paddr(endian), data));
        }
    }
    let base = pieces.iter().map(|piece| piece.0).min();
    let base = base.ok_or_else(|| FlatError::Elf("it has no segment with content".into()))?;
    let end = pieces.iter().map(|(at, data)| at + data.len() as u64).max().unwrap_or(base);
    if end - base > most {
        return Err(FlatError::Header { what: "at most", header: most, link: end - base });
    }
    let mut out = vec![0; (end - base) as usize];
    for (at, data) in pieces {
        let at = (at - base) as usize;
        out[at..at + data.len()].copy_from_slice(data);
    }
    verify(&out, text_offset)?;
    Ok(out)
}

fn verify(image: &[u8], text_offset: u64) -> Result<(), FlatError> {
    if image.get(0x38..0x3c) != Some(b"ARM\x64") {
        return Err(FlatError::NoHeader);
    }
    let word = |at: usize| {
        let bytes = image.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    if word(8) != text_offset {
        return Err(FlatError::Header { what: "text_offset", header: word(8), link: text_offset });
    }
    if word(16) < image.len() as u64 {
        return Err(FlatError::Header {
            what: "image_size",
            header: word(16),
            link: image.len() as u64,
        });
    }
    Ok(())
}
