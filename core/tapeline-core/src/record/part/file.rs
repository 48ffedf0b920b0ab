//! A file of a recording that only grows, on any disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::disk::{Spool, SpoolFile, write_all_at};
use crate::record::part::PartFault;

/// A slice takes SHA-256 about 1 ms where the CPU has instructions for it, about 7 ms where not.
const SLICE_BYTES: usize = 2 << 20;

pub struct GrowingFile {
    path: PathBuf,
    file: Box<dyn SpoolFile>,
    length: u64,
}

impl GrowingFile {
    /// A new file; one that exists already is a fault.
    pub fn create(spool: &dyn Spool, path: PathBuf) -> Result<Self, PartFault> {
        match spool.create(&path) {
            Ok(file) => Ok(Self { path, file, length: 0 }),
            Err(error) => Err(PartFault::File { path, error }),
        }
    }

    /// A file that is there already and has `length` bytes.
    pub fn reopened(path: PathBuf, file: Box<dyn SpoolFile>, length: u64) -> Self {
        Self { path, file, length }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), PartFault> {
        match write_all_at(self.file.as_mut(), bytes, self.length) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err((written, error)) => {
                self.length += written;
                Err(self.fault(error))
            }
        }
    }

    pub fn overwrite(&mut self, bytes: &[u8], offset: u64) -> Result<(), PartFault> {
        write_all_at(self.file.as_mut(), bytes, offset).map_err(|(_, error)| self.fault(error))
    }

    pub fn read_through(
        &mut self,
        from: u64,
        scratch: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), PartFault> {
        let mut offset = from;
        while offset < self.length {
            self.read_slice(offset, scratch)?;
            take(scratch);
            offset += scratch.len() as u64;
        }
        Ok(())
    }

    /// Up to a slice of the file, from `offset` on.
    pub fn read_slice(&mut self, offset: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        self.read_some(offset, SLICE_BYTES, scratch)
    }

    /// Up to `most` bytes from `offset` on; none at the end.
    pub fn read_some(
        &mut self,
        offset: u64,
        most: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<(), PartFault> {
        let left = self.length.saturating_sub(offset);
        scratch.clear();
        scratch.resize(left.min(most as u64) as usize, 0);
        let mut done = 0;
        while let Some(rest) = scratch.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => return Err(self.fault(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(())
    }

    pub fn cut(&mut self, length: u64) -> Result<(), PartFault> {
        self.file.set_length(length).map_err(|error| self.fault(error))?;
        self.length = length;
        Ok(())
    }

    /// Keeps the first lines; all when there are not more.
    pub fn cut_behind_line(&mut self, lines: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        let (mut seen, mut kept) = (0, 0);
        self.read_through(0, scratch, |bytes| {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if seen < lines {
                    kept += line.len() as u64;
                    seen += u64::from(line.ends_with(b"\n"));
                }
            }
        })?;
        self.cut(kept)
    }

    pub fn sync(&mut self) -> Result<(), PartFault> {
        self.file.sync().map_err(|error| self.fault(error))
    }

    /// Takes the place of another file, durably when it was synced before.
    pub fn rename(&mut self, spool: &dyn Spool, to: PathBuf) -> Result<(), PartFault> {
        spool.rename(&self.path, &to).map_err(|error| self.fault(error))?;
        self.path = to;
        Ok(())
    }

    /// False when somebody removed the file: what is written no longer has a name.
    pub fn is_linked(&mut self) -> bool {
        !matches!(self.file.is_linked(), Ok(false))
    }

    pub fn fault(&self, error: io::Error) -> PartFault {
        PartFault::File { path: self.path.clone(), error }
    }
}
