// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading payloads: what of a file goes where in its VM's memory, and where it begins.
//!
//! Three formats: arm64 Image (Linux, Documentation/arch/arm64/booting: text_offset at 8,
//! image_size at 16, "ARM\x64" at 0x38), ELF for AArch64, raw. The first two are unpacked when gzip
//! has packed them; raw bytes and initial RAM disks stay as they are. An ELF of type EXEC is loaded
//! at its segments' physical addresses, which are the guest's (IPA); one of type DYN is position
//! independent and goes to the start of the VM's first memory. Only the file is judged here;
//! whether it fits the VM's memory is the plan's to say.

pub mod gzip;

use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::bounds;
use crate::diag::{Diagnostic, Report, rules};
use crate::model::{At, Format, PayloadKind, System, Vm};
use crate::units::Size;

/// An address of a payload in its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From the start of the VM's first memory.
    Offset(u64),
    /// As the guest sees it.
    Ipa(u64),
}

/// Bytes to copy, and bytes to clear after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub at: Place,
    pub bytes: Vec<u8>,
    pub clear: u64,
}

/// One VM's payload.
#[derive(Clone, Debug)]
pub struct Blob {
    pub segments: Vec<Segment>,
    pub entry: Place,
    pub initrd: Option<Vec<u8>>,
    /// The user's own device tree.
    pub dtb: Option<Vec<u8>>,
    /// The user's overlay on the device tree.
    pub overlay: Option<Vec<u8>>,
    /// What goes to the beginning of the VM's pieces of memory: number of the piece, and bytes.
    pub files: Vec<(usize, Vec<u8>)>,
}

/// The payloads of a system's VMs, in their order.
#[derive(Clone, Debug)]
pub struct Payloads {
    pub blobs: Vec<Blob>,
    /// Every file that was read, for build scripts.
    pub files: Vec<PathBuf>,
}

impl Payloads {
    /// Reads every payload. `built` is where the Rust partitions' ELF files are, as PACKAGE.elf.
    pub fn read(system: &System, built: &Path) -> Result<Self, Report> {
        Self::each(system, |vm, files| blob(vm, built, files))
    }

    /// The same, but a Rust partition that is not built yet is one instruction, so that all else
    /// can be judged.
    pub fn read_or_stand_in(system: &System, built: &Path) -> Result<Self, Report> {
        Self::each(system, |vm, files| match &vm.payload.kind {
            PayloadKind::Rust { package, .. } if !elf_path(built, &package.value).is_file() => {
                Ok(Blob { files: memory_files(vm, files)?, ..Blob::stand_in() })
            }
            _ => blob(vm, built, files),
        })
    }

    fn each(
        system: &System,
        mut read: impl FnMut(&Vm, &mut Vec<PathBuf>) -> Judged<Blob>,
    ) -> Result<Self, Report> {
        let mut report = Report { sources: system.sources.clone(), ..Report::default() };
        let mut files = Vec::new();
        let mut blobs = Vec::new();
        for vm in &system.vms {
            match read(vm, &mut files) {
                Ok(blob) => blobs.push(blob),
                Err(diagnostic) => report.push(*diagnostic),
            }
        }
        if report.has_errors() {
            return Err(report);
        }
        Ok(Self { blobs, files })
    }
}

impl Blob {
    /// One instruction at the start of memory.
    pub fn stand_in() -> Self {
        Self {
            segments: vec![Segment { at: Place::Offset(0), bytes: vec![0; 4], clear: 0 }],
            entry: Place::Offset(0),
            initrd: None,
            dtb: None,
            overlay: None,
            files: Vec::new(),
        }
    }
}

fn elf_path(built: &Path, package: &str) -> PathBuf {
    built.join(format!("{package}.elf"))
}

type Judged<T> = Result<T, Box<Diagnostic>>;

fn blob(vm: &Vm, built: &Path, files: &mut Vec<PathBuf>) -> Judged<Blob> {
    let (segments, entry) = match &vm.payload.kind {
        PayloadKind::Rust { package, .. } => {
            let path = elf_path(built, &package.value);
            let file = File::read(vm, package.with(path), Format::Elf, files)?;
            elf(&file, None)?
        }
        PayloadKind::File { path, format, load_offset, entry } => {
            let file = File::read(vm, path.clone(), *format, files)?.unpacked()?;
            let offset = load_offset.as_ref().map(|offset| offset.value);
            let (segments, start) = match format {
                Format::Image => image(&file, offset)?,
                Format::Elf => elf(&file, offset)?,
                Format::Raw => raw(&file, offset),
            };
            (segments, entry.as_ref().map_or(start, |entry| Place::Ipa(entry.value)))
        }
    };
    let mut extra = |path: &Option<At<PathBuf>>, most| -> Judged<Option<Vec<u8>>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::read_at_most(vm, path.clone(), Format::Raw, most, files)?;
        Ok(Some(file.bytes))
    };
    let initrd = extra(&vm.payload.initrd, bounds::PAYLOAD)?;
    let dtb = extra(&vm.payload.dtb, bounds::TREE)?;
    let overlay = extra(&vm.payload.overlay, bounds::TREE)?;
    Ok(Blob { segments, entry, initrd, dtb, overlay, files: memory_files(vm, files)? })
}

/// Files of the VM's pieces of memory.
fn memory_files(vm: &Vm, files: &mut Vec<PathBuf>) -> Judged<Vec<(usize, Vec<u8>)>> {
    let pieces = vm.memory.iter().enumerate();
    let named = pieces.filter_map(|(n, piece)| Some((n, piece.file.as_ref()?)));
    named
        .map(|(n, path)| Ok((n, File::read(vm, path.clone(), Format::Raw, files)?.bytes)))
        .collect()
}

/// A file that was read for a VM.
struct File<'a> {
    vm: &'a Vm,
    path: At<PathBuf>,
    format: Format,
    bytes: Vec<u8>,
}

impl<'a> File<'a> {
    fn read(
        vm: &'a Vm,
        path: At<PathBuf>,
        format: Format,
        files: &mut Vec<PathBuf>,
    ) -> Judged<Self> {
        Self::read_at_most(vm, path, format, bounds::PAYLOAD, files)
    }

    fn read_at_most(
        vm: &'a Vm,
        path: At<PathBuf>,
        format: Format,
        most: u64,
        files: &mut Vec<PathBuf>,
    ) -> Judged<Self> {
        files.push(path.value.clone());
        match bounds::read(&path.value, most) {
            Ok(bytes) => Ok(Self { vm, path, format, bytes }),
            Err(error) => Err(Box::new(
                rules::PAYLOAD_MISSING
                    .says(format!("the payload of \"{}\" cannot be read: {error}", vm.name.value))
                    .label(&path, format!("\"{}\"", path.value.display()))
                    .help(
                        vm.payload
                            .source
                            .as_deref()
                            .unwrap_or("write the path of an existing file, relative to this TOML"),
                    ),
            )),
        }
    }

    /// An Image or an ELF file that gzip has packed is loaded as what it was.
    fn unpacked(mut self) -> Judged<Self> {
        if self.format != Format::Raw && gzip::is_packed(&self.bytes) {
            self.bytes = gzip::unpack(&self.bytes).map_err(|error| {
                self.refuse(&format!("it does not unpack: {error}"), "pack it again by gzip")
            })?;
        }
        Ok(self)
    }

    fn refuse(&self, why: &str, help: &str) -> Box<Diagnostic> {
        let format = match self.format {
            Format::Image => "an arm64 Image",
            Format::Elf => "an ELF file to load",
            Format::Raw => "a raw file",
        };
        Box::new(
            rules::PAYLOAD_FORMAT
                .says(format!("the payload of \"{}\" is not {format}: {why}", self.vm.name.value))
                .label(&self.path, "this file")
                .help(help),
        )
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}

/// Bytes that every Image begins with.
const IMAGE_HEADER: usize = 64;
/// Of the header's flags.
pub const BIG_ENDIAN: u64 = 1;
/// Where an Image without image_size wants to be (before Linux 3.17).
const OLD_TEXT_OFFSET: u64 = 0x8_0000;

fn image(file: &File, offset: Option<u64>) -> Judged<(Vec<Segment>, Place)> {
    let bytes = &file.bytes;
    if bytes.len() < IMAGE_HEADER || &bytes[0x38..0x3c] != b"ARM\x64" {
        let help =
            "unpack it if it is compressed, or write `format = \"elf\"` or `format = \"raw\"`";
        return Err(file.refuse("there is no \"ARM\\x64\" at 0x38", help));
    }
    if word(bytes, 24) & BIG_ENDIAN != 0 {
        return Err(file.refuse(
            "its kernel is big-endian",
            "build it little-endian, as all that a VM has is",
        ));
    }
    let (text_offset, image_size) = match (word(bytes, 8), word(bytes, 16)) {
        (_, 0) => (OLD_TEXT_OFFSET, bytes.len() as u64),
        header => header,
    };
    let at = Place::Offset(offset.unwrap_or(text_offset));
    let segment =
        Segment { at, bytes: bytes.clone(), clear: image_size.saturating_sub(bytes.len() as u64) };
    Ok((vec![segment], at))
}

fn raw(file: &File, offset: Option<u64>) -> (Vec<Segment>, Place) {
    let at = Place::Offset(offset.unwrap_or(0));
    let segment = Segment { at, bytes: file.bytes.clone(), clear: 0 };
    (vec![segment], at)
}

fn elf(file: &File, offset: Option<u64>) -> Judged<(Vec<Segment>, Place)> {
    let data = file.bytes.as_slice();
    let bad = |why: &str| {
        file.refuse(why, "build it for a 64-bit little-endian Arm without an operating system")
    };
    let header =
        elf::FileHeader64::<Endianness>::parse(data).map_err(|error| bad(&error.to_string()))?;
    let endian = header.endian().map_err(|error| bad(&error.to_string()))?;
    if header.e_machine(endian) != elf::EM_AARCH64 || endian != Endianness::Little {
        return Err(bad("it is for another machine"));
    }
    let movable = match header.e_type(endian) {
        elf::ET_EXEC => false,
        elf::ET_DYN => true,
        _ => return Err(bad("it is not linked")),
    };
    let headers = header.program_headers(endian, data).map_err(|error| bad(&error.to_string()))?;
    let loads = headers
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD && segment.p_memsz(endian) > 0);
    let entry = header.e_entry(endian);
    let mut start = Place::Ipa(entry);
    let mut segments = Vec::new();
    let mut total = 0u64;
    for segment in loads {
        // Segments may share bytes of the file: many of them come to more than it has.
        total = total.saturating_add(segment.p_filesz(endian));
        if total > bounds::UNPACKED {
            return Err(bad(&format!("its segments come to more than {}", Size(bounds::UNPACKED))));
        }
        let bytes =
            segment.data(endian, data).map_err(|()| bad("a segment lies outside the file"))?;
        let (linked, memory) = (segment.p_vaddr(endian), segment.p_memsz(endian));
        let place = |address: u64| match movable {
            true => Place::Offset(offset.unwrap_or(0).wrapping_add(address)),
            false => Place::Ipa(segment.p_paddr(endian).wrapping_add(address.wrapping_sub(linked))),
        };
        // A kernel linked for virtual addresses begins where its first segment is, physically.
        if (linked..linked.saturating_add(memory)).contains(&entry) {
            start = place(entry);
        }
        segments.push(Segment {
            at: place(linked),
            bytes: bytes.to_vec(),
            clear: memory.saturating_sub(bytes.len() as u64),
        });
    }
    if segments.is_empty() {
        return Err(bad("it has no segment to load"));
    }
    Ok((segments, start))
}
