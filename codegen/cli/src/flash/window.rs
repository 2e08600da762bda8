// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A part of a file, which begins at 0 for whoever uses it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// `bytes` bytes of `file` from `base` on.
pub struct Window<'a> {
    file: &'a File,
    base: u64,
    bytes: u64,
    at: u64,
}

impl<'a> Window<'a> {
    pub fn new(file: &'a File, base: u64, bytes: u64) -> Self {
        Self { file, base, bytes, at: 0 }
    }

    fn room(&self, wanted: usize) -> usize {
        wanted.min(usize::try_from(self.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        let count = self.file.read_at(&mut buffer[..room], self.base + self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let count = self.file.write_at(&bytes[..room], self.base + self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
