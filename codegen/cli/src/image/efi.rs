// SPDX-License-Identifier: Apache-2.0 OR MIT
//! bulkhead.efi: the flat binary as an EFI application.
//!
//! A PE32+ file (Microsoft, PE Format) of two sections: the stub (`hyp/efi`), which may run
//! anywhere and has no relocations, and the flat binary, which the stub copies to its place. Only
//! what UEFI firmware reads is other than zero in the headers.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use super::place::Place;

/// In memory and in the file: one layout for both.
const ALIGN: usize = 4096;
/// Words of the stub that are filled in, and its text, up to a zero (`hyp/efi/src/start.s`).
const WORDS: usize = 8;
const TEXT: std::ops::Range<usize> = 48..256;

/// An arm64 machine; an executable file without line numbers; an EFI application.
const MACHINE: u16 = 0xaa64;
const CHARACTERISTICS: u16 = 0x0206;
const APPLICATION: u16 = 10;
const OPTIONAL_BYTES: u16 = 112 + 6 * 8;
/// Code, executable and readable; data, readable and writable.
const CODE: u32 = 0x6000_0020;
const DATA: u32 = 0xc000_0040;

/// The EFI application of `image`, the flat binary for `own`. `stub` is the linked stub.
pub fn efi(own: &Place, stub: &[u8], image: &[u8]) -> Option<Vec<u8>> {
    let mut stub = code(stub)?;
    let room = stub.len().next_multiple_of(ALIGN);
    let bytes = image.len().next_multiple_of(64);
    let words = [own.base, own.bytes.div_ceil(ALIGN as u64), own.image, bytes as u64, room as u64];
    let filled = words.into_iter().flat_map(u64::to_le_bytes);
    stub.get_mut(WORDS..TEXT.start)?.iter_mut().zip(filled).for_each(|(to, from)| *to = from);
    let text = format!(
        "\r\nbulkhead: stopped: the firmware uses memory from {:#x} to {:#x}: write another \
         [hypervisor] base in the board's TOML, or a smaller [hypervisor] size\r\n\0",
        own.base,
        own.base + own.bytes
    );
    stub.get_mut(TEXT)?.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    let sections = [(".text", CODE, stub.as_slice()), (".data", DATA, image)];
    let mut out = headers(&sections);
    for (_, _, content) in sections {
        out.resize(out.len().next_multiple_of(ALIGN), 0);
        out.extend(content);
    }
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    Some(out)
}

/// The stub's bytes from address 0 on.
fn code(stub: &[u8]) -> Option<Vec<u8>> {
    let header = elf::FileHeader64::<Endianness>::parse(stub).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, stub).ok()?;
    let is_code = |segment: &&elf::ProgramHeader64<Endianness>| {
        segment.p_type(endian) == elf::PT_LOAD && segment.p_vaddr(endian) == 0
    };
    Some(segments.iter().find(is_code)?.data(endian, stub).ok()?.to_vec())
}

fn headers(sections: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = Header::default();
    let whole = |bytes: usize| bytes.next_multiple_of(ALIGN) as u32;
    let all: u32 = sections.iter().map(|section| whole(section.2.len())).sum();
    // The MS-DOS header: magic, and where the next one is.
    out.bytes(b"MZ").zeros(0x3a).word(0x40);
    // COFF: machine, sections, time, symbols, bytes of the optional header.
    out.bytes(b"PE\0\0").half(MACHINE).half(sections.len() as u16).word(0).word(0).word(0);
    out.half(OPTIONAL_BYTES).half(CHARACTERISTICS);
    // PE32+: bytes of code and data, entry, base of code, image base, alignments, versions.
    let (code, data) = (whole(sections[0].2.len()), all - whole(sections[0].2.len()));
    out.half(0x20b).half(0).word(code).word(data).word(0).word(ALIGN as u32).word(ALIGN as u32);
    out.word(0).word(0).word(ALIGN as u32).word(ALIGN as u32).zeros(16);
    // Bytes of all, of the headers, checksum, kind, stack and heap, directories without entries.
    out.word(ALIGN as u32 + all).word(ALIGN as u32).word(0).half(APPLICATION).half(0);
    out.zeros(4 * 8).word(0).word(6).zeros(6 * 8);
    let mut at = ALIGN as u32;
    for (name, kind, content) in sections {
        let mut field = [0; 8];
        field.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        out.bytes(&field).word(content.len() as u32).word(at);
        out.word(whole(content.len())).word(at).zeros(12).word(*kind);
        at += whole(content.len());
    }
    out.0
}

/// Little-endian fields, one after the other.
#[derive(Default)]
struct Header(Vec<u8>);

impl Header {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    fn half(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn word(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_where_the_format_has_them() {
        let head = headers(&[(".text", CODE, &[1; 100]), (".data", DATA, &[2; 5000])]);
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("a word"));
        assert_eq!(&head[..2], b"MZ");
        let pe = word(0x3c) as usize;
        assert_eq!(&head[pe..pe + 4], b"PE\0\0");
        // The optional header: magic, entry, image and section alignment, size of all, directories.
        let optional = pe + 24;
        assert_eq!(word(optional) & 0xffff, 0x20b);
        assert_eq!((word(optional + 16), word(optional + 20)), (0x1000, 0x1000));
        assert_eq!((word(optional + 32), word(optional + 36)), (0x1000, 0x1000));
        assert_eq!((word(optional + 56), word(optional + 60)), (0x4000, 0x1000));
        assert_eq!(word(optional + 68), u32::from(APPLICATION));
        assert_eq!(word(optional + 108), 6);
        // Section headers: name, bytes, address, bytes in the file, place in the file.
        let first = optional + usize::from(OPTIONAL_BYTES);
        assert_eq!(&head[first..first + 8], b".text\0\0\0");
        assert_eq!((word(first + 8), word(first + 12)), (100, 0x1000));
        assert_eq!((word(first + 56), word(first + 60)), (0x2000, 0x2000));
        assert_eq!(head.len(), first + 80);
    }
}
