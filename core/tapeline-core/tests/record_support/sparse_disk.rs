//! A disk on which hours of silence take no room.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tapeline_core::record::disk::{DiskSpool, Spool, SpoolFile};

use super::{Studio, TempFolder};

/// A disk that keeps no zeros: files are as long as they shall be and take hardly any room.
struct SparseDisk(Arc<DiskSpool>);

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

struct SparseFile {
    file: Box<dyn SpoolFile>,
    length: u64,
}

impl Spool for SparseDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        self.0.make_folder(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn SpoolFile>> {
        Ok(Box::new(SparseFile { file: self.0.create(path)?, length: 0 }))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.remove_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl SpoolFile for SparseFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let end = offset + bytes.len() as u64;
        // Whole slices are compared: byte by byte it would take minutes without optimisation.
        let is_zero = bytes.chunks(ZEROS.len()).all(|it| it == &ZEROS[..it.len()]);
        if offset < self.length || !is_zero {
            let count = self.file.write_at(bytes, offset)?;
            self.length = self.length.max(offset + count as u64);
            return Ok(count);
        }
        self.file.set_length(end)?;
        self.length = end;
        Ok(bytes.len())
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.length = length;
        self.file.set_length(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_linked(&mut self) -> io::Result<bool> {
        self.file.is_linked()
    }
}

/// A recorder on such a disk.
pub fn sparse_studio() -> Studio {
    let folder = TempFolder::new();
    let disk = DiskSpool::open(&folder.path).unwrap();
    Studio::on(folder, Arc::new(SparseDisk(disk)))
}
