// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A payload's ELF: which function and line an address is in, and the instruction there.

use std::borrow::Cow;

use addr2line::gimli::{self, EndianSlice, LittleEndian, SectionId};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};

const WFI: u32 = 0xd503_207f;
const WFE: u32 = 0xd503_205f;
/// Functions inlined into each other that are shown.
const FRAMES: usize = 4;

/// Bytes behind a label of assembly that are taken for its code.
const LABEL: u64 = 4096;

/// What the instruction does that a vPE stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Interrupt,
    Event,
    /// Another instruction.
    No,
}

/// One payload as it is in its VM's memory.
#[derive(Debug, Default)]
pub struct Symbols {
    data: Vec<u8>,
    /// From an address of the ELF to the guest's.
    offset: u64,
}

impl Symbols {
    /// `entry`: where the VM begins, which is the file's own entry. What is no ELF has no symbols.
    pub fn new(data: Vec<u8>, entry: u64) -> Self {
        let own = object::File::parse(&*data).ok().map(|file| file.entry());
        match own {
            Some(own) => Self { data, offset: entry.wrapping_sub(own) },
            None => Self::default(),
        }
    }

    fn file(&self) -> Option<object::File<'_>> {
        object::File::parse(&*self.data).ok()
    }

    /// The instruction at `address`.
    pub fn instruction(&self, address: u64) -> Option<u32> {
        let own = address.wrapping_sub(self.offset);
        let file = self.file()?;
        let bytes = file.segments().find_map(|segment| segment.data_range(own, 4).ok()?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// What a vPE at `pc` waits by. None: the payload does not say. WFE does not hold an emulated
    /// CPU: there it is found nearby, in its loop.
    pub fn wait(&self, pc: u64) -> Option<Wait> {
        let at = |back: i64| self.instruction(pc.wrapping_add_signed(back));
        let before = at(-4)?;
        if before == WFI || at(0) == Some(WFI) {
            return Some(Wait::Interrupt);
        }
        let near = [-8, -4, 0, 4].map(at);
        Some(if near.contains(&Some(WFE)) { Wait::Event } else { Wait::No })
    }

    /// "function, file:line", the innermost of inlined functions first. None: no such place.
    pub fn place(&self, address: u64) -> Option<String> {
        let own = address.wrapping_sub(self.offset);
        let file = self.file()?;
        let frames = frames(&file, own).unwrap_or_default();
        // The standard library's functions say less than who uses them.
        let library =
            |frame: &Frame| frame.line.as_ref().is_some_and(|at| at.starts_with("/rustc/"));
        let mut shown: Vec<&Frame> = frames.iter().filter(|frame| !library(frame)).collect();
        if shown.is_empty() {
            shown = frames.iter().collect();
        }
        let functions = shown.iter().filter_map(|frame| frame.function.as_deref()).take(FRAMES);
        let functions = functions.collect::<Vec<_>>().join(" in ");
        let function = if functions.is_empty() { symbol(&file, own)? } else { functions };
        let line = shown.first().and_then(|frame| frame.line.as_ref());
        let line =
            line.map_or(String::new(), |line| format!(", {}", line.trim_start_matches("./")));
        Some(function + &line)
    }
}

/// One of several functions that are inlined into each other.
struct Frame {
    function: Option<String>,
    /// "file:line".
    line: Option<String>,
}

/// What the debug sections say of an address of the file's own.
fn frames(file: &object::File<'_>, own: u64) -> Option<Vec<Frame>> {
    let load = |id: SectionId| -> Result<Cow<'_, [u8]>, gimli::Error> {
        let section = file.section_by_name(id.name());
        let data = section.and_then(|section| section.uncompressed_data().ok());
        Ok(data.unwrap_or_default())
    };
    let sections = gimli::DwarfSections::load(load).ok()?;
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let context = addr2line::Context::from_dwarf(dwarf).ok()?;
    let mut found = context.find_frames(own).skip_all_loads().ok()?;
    let mut out = Vec::new();
    while let Ok(Some(frame)) = found.next() {
        let name = frame.function.as_ref().and_then(|name| name.demangle().ok());
        let at = frame.location.as_ref();
        out.push(Frame {
            function: name.map(Cow::into_owned),
            line: at.and_then(|at| Some(format!("{}:{}", at.file?, at.line?))),
        });
    }
    Some(out)
}

/// The function of the symbol table that an address is in.
fn symbol(file: &object::File<'_>, own: u64) -> Option<String> {
    let text = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let below = text.filter(|symbol| symbol.address() <= own);
    let nearest = below.max_by_key(ObjectSymbol::address)?;
    // A label of assembly has no size.
    let size = if nearest.size() == 0 { LABEL } else { nearest.size() };
    let inside = own - nearest.address() < size;
    let name = addr2line::demangle_auto(nearest.name().ok()?.into(), None);
    inside.then(|| format!("{name}+{:#x}", own - nearest.address()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test program is an ELF with symbols and lines.
    #[test]
    fn a_function_of_this_program() {
        let data = std::fs::read(std::env::current_exe().expect("path")).expect("program");
        let file = object::File::parse(&*data).expect("ELF");
        let named = |symbol: &object::Symbol<'_, '_>| {
            symbol.size() > 0 && symbol.name().is_ok_and(|name| name.contains("find_me"))
        };
        let address = file.symbols().find(named).expect("find_me").address();
        let entry = file.entry();
        assert_eq!(find_me(1), 3);
        let symbols = Symbols::new(data, entry + 0x1000);
        let place = symbols.place(address + 0x1000).expect("a place");
        assert!(place.contains("find_me") && place.contains("symbols.rs:"), "{place}");
        assert_eq!(symbols.place(1), None);
        assert_eq!(Symbols::new(b"no ELF".to_vec(), 0).place(0), None);
    }

    #[inline(never)]
    fn find_me(value: u64) -> u64 {
        std::hint::black_box(value) + 2
    }
}
