// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing bulkhead.itb with a key of the user's, by U-Boot's mkimage.
//!
//! mkimage takes KEY.key and KEY.crt, side by side, and adds the public key to U-Boot's control
//! device tree, marked as required: that U-Boot then starts no configuration without a signature.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::fit::signature_bytes;

/// What U-Boot verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    #[default]
    Rsa2048,
    Rsa3072,
    Rsa4096,
    Ecdsa256,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::Ecdsa256];

    /// As U-Boot names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "sha256,rsa2048",
            Self::Rsa3072 => "sha256,rsa3072",
            Self::Rsa4096 => "sha256,rsa4096",
            Self::Ecdsa256 => "sha256,ecdsa256",
        }
    }

    /// As the option names it.
    const fn word(self) -> &'static str {
        self.name().split_at("sha256,".len()).1
    }

    /// Bytes of a signature.
    const fn bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::Ecdsa256 => 64,
        }
    }
}

/// Who signs.
#[derive(Clone, Debug)]
pub struct Key {
    /// NAME.key, the private key, beside NAME.crt, its certificate.
    pub file: PathBuf,
    pub algorithm: Algorithm,
    /// U-Boot's control device tree, which gets the public key.
    pub control: Option<PathBuf>,
}

/// Why a FIT is not signed.
#[derive(Debug, Error)]
pub enum SignError {
    #[error("{}: a key for mkimage is NAME.key, beside its certificate NAME.crt", .0.display())]
    Name(PathBuf),
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    #[error("mkimage: {0}; it is in the package u-boot-tools, which ./setup.sh installs")]
    Start(io::Error),
    #[error("mkimage did not sign {}:\n{said}", fit.display())]
    Refused { fit: PathBuf, said: String },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} signs with {bytes} bytes, {} has {}: {}", key.display(), wanted.word(),
        wanted.bytes(), advice(*bytes))]
    Length { key: PathBuf, bytes: usize, wanted: Algorithm },
}

fn advice(bytes: usize) -> String {
    match Algorithm::ALL.iter().find(|algorithm| algorithm.bytes() == bytes) {
        Some(algorithm) => format!("write --fit-algorithm {}", algorithm.word()),
        None => "U-Boot has no such algorithm".to_owned(),
    }
}

impl Key {
    /// The key's name and directory, when both its files and the control tree are there.
    pub fn find(&self) -> Result<(&str, &Path), SignError> {
        let named = self.file.file_stem().and_then(OsStr::to_str);
        let named = named.filter(|_| self.file.extension() == Some(OsStr::new("key")));
        let name = named.ok_or_else(|| SignError::Name(self.file.clone()))?;
        let certificate = self.file.with_extension("crt");
        for file in [&self.file, &certificate].into_iter().chain(&self.control) {
            if !file.is_file() {
                return Err(SignError::Missing(file.clone()));
            }
        }
        let directory = self.file.parent().filter(|parent| parent.as_os_str() != "");
        Ok((name, directory.unwrap_or(Path::new("."))))
    }

    /// Signs `fit`, whose signature node names this key.
    pub fn sign(&self, fit: &Path) -> Result<(), SignError> {
        let (_, directory) = self.find()?;
        let mut mkimage = Command::new("mkimage");
        mkimage.arg("-F").arg("-k").arg(directory);
        if let Some(control) = &self.control {
            mkimage.arg("-K").arg(control).arg("-r");
        }
        let output = mkimage.arg(fit).output().map_err(SignError::Start)?;
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| SignError::File { path: path.into(), error })
        };
        let bytes = signature_bytes(&read(fit)?);
        match bytes.filter(|_| output.status.success()) {
            Some(bytes) if bytes == self.algorithm.bytes() => Ok(()),
            Some(bytes) => {
                Err(SignError::Length { key: self.file.clone(), bytes, wanted: self.algorithm })
            }
            None => Err(SignError::Refused {
                fit: fit.into(),
                said: String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
                    .trim_end()
                    .to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name_and_a_certificate() {
        let key =
            |file: &str| Key { file: file.into(), algorithm: Algorithm::Rsa2048, control: None };
        assert!(matches!(key("dev.pem").find(), Err(SignError::Name(_))));
        assert!(matches!(key("no/such.key").find(), Err(SignError::Missing(_))));
    }

    #[test]
    fn advice_names_the_option() {
        assert_eq!(advice(512), "write --fit-algorithm rsa4096");
        assert_eq!(advice(64), "write --fit-algorithm ecdsa256");
        assert_eq!(advice(100), "U-Boot has no such algorithm");
    }
}
