// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose an output directory is: outputs go by a system's name, and two files may say the same one.

use std::path::{Path, PathBuf};

use crate::image::BuildError;
use codegen::bounds;
use codegen::build::write;

/// The file in a system's output directory that names its TOML.
const SOURCE: &str = "source.txt";

/// Takes `directory` for the system `name` at `path`. Refused while another file that is still
/// there has the name.
pub fn claim(directory: &Path, name: &str, path: &Path) -> Result<(), BuildError> {
    let own = std::fs::canonicalize(path)
        .map_err(|error| BuildError::File { path: path.to_owned(), error })?;
    let taken = bounds::read(&directory.join(SOURCE), bounds::TOML).ok();
    let other =
        taken.and_then(|text| Some(PathBuf::from(String::from_utf8(text).ok()?.trim_end())));
    match other {
        Some(other) if other != own && system_name(&other).as_deref() == Some(name) => {
            Err(BuildError::Taken { name: name.to_owned(), other, own })
        }
        _ => Ok(write(directory, SOURCE, format!("{}\n", own.display()).as_bytes())?),
    }
}

/// `[system] name` of the TOML at `path`, if it is one.
fn system_name(path: &Path) -> Option<String> {
    let text = String::from_utf8(bounds::read(path, bounds::TOML).ok()?).ok()?;
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("system")?.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_belongs_to_the_file_that_has_it() {
        let room = std::env::temp_dir().join(format!("bulkhead-claim-{}", std::process::id()));
        let out = room.join("out");
        fs::create_dir_all(&room).unwrap();
        let (one, two) = (room.join("one.toml"), room.join("two.toml"));
        let text = |name: &str| format!("[system]\nname = \"{name}\"\n");
        fs::write(&one, text("same")).unwrap();
        fs::write(&two, text("same")).unwrap();
        assert!(claim(&out, "same", &one).is_ok());
        assert!(claim(&out, "same", &one).is_ok());
        let refused = claim(&out, "same", &two).unwrap_err().to_string();
        assert!(refused.contains("one.toml") && refused.contains("two.toml"), "{refused}");
        // The other one has been given another name, or is gone.
        fs::write(&one, text("other")).unwrap();
        assert!(claim(&out, "same", &two).is_ok());
        fs::remove_file(&two).unwrap();
        fs::write(&one, text("same")).unwrap();
        assert!(claim(&out, "same", &one).is_ok());
        fs::remove_dir_all(&room).unwrap();
    }
}
