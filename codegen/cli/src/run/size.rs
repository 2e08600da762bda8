// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an image weighs, section by section.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, SectionFlags, elf};
use serde::{Deserialize, Serialize};

use super::RunError;

/// One section that takes memory when the image runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub name: String,
    pub bytes: u64,
}

/// The sections of an ELF file that take memory, in the file's order; empty ones are left out.
pub fn sections(path: &Path) -> Result<Vec<Section>, RunError> {
    let failed = |error| RunError::File { path: path.to_path_buf(), error };
    let data = fs::read(path).map_err(failed)?;
    let file = object::File::parse(&*data).map_err(|error| failed(std::io::Error::other(error)))?;
    let mut out = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        if sh_flags & u64::from(elf::SHF_ALLOC) != 0 && section.size() > 0 {
            out.push(Section {
                name: section.name().unwrap_or("?").to_owned(),
                bytes: section.size(),
            });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_text_and_no_debug_sections() {
        let own = sections(&std::env::current_exe().expect("path")).expect("sections");
        assert!(own.iter().any(|section| section.name == ".text" && section.bytes > 1000));
        assert!(own.iter().all(|section| !section.name.starts_with(".debug_info")));
    }
}
