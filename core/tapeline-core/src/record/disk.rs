//! Where recordings are written: files behind a small trait (tests put faults and delays there), the
//! reserve that keeps a disk from filling up, and reasons that people understand.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sys;

/// A disk that holds the spool.
pub trait Spool: Send + Sync {
    /// Makes the folder of one recording; true when it was not there before.
    fn make_folder(&self, folder: &Path) -> io::Result<bool>;
    /// A new file; one that exists already is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn SpoolFile>>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder that is empty.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Moves a file over another one of the same folder, durably.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes everything written so far durable, names included.
    fn sync_all(&self) -> io::Result<()>;
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file of a recording. Nothing here moves a file offset.
pub trait SpoolFile: Send {
    /// May write less than asked for.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    fn set_length(&mut self, length: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    /// False when somebody removed the file: what is written no longer has a name.
    fn is_linked(&mut self) -> io::Result<bool>;
}

/// Writes all of it, or says how much of it is there.
pub fn write_all_at(
    file: &mut dyn SpoolFile,
    bytes: &[u8],
    offset: u64,
) -> Result<(), (u64, io::Error)> {
    let mut done = 0_usize;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, offset + done as u64) {
            Ok(0) => return Err((done as u64, io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((done as u64, error)),
        }
    }
    Ok(())
}

/// A folder on a real disk.
pub struct DiskSpool {
    root: PathBuf,
    folder: File,
}

impl DiskSpool {
    /// Makes the folder when it is missing.
    pub fn open(root: &Path) -> io::Result<Arc<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Arc::new(Self { root: root.to_path_buf(), folder: File::open(root)? }))
    }
}

impl Spool for DiskSpool {
    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        if let Some(parent) = folder.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn SpoolFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    fn sync_all(&self) -> io::Result<()> {
        sys::disk::sync_file_system(&self.folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        free_bytes(&self.root)
    }
}

impl SpoolFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn is_linked(&mut self) -> io::Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }
}

/// Bytes that may still be written where `path` is.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    sys::disk::free_bytes(path)
}

/// The reason against a new recording, if the disk is too full for one.
pub fn lack_of_room(free: u64, reserve: u64) -> Option<String> {
    let mebibytes = |bytes: u64| bytes >> 20;
    (free < reserve).then(|| {
        let (left, kept) = (mebibytes(free), mebibytes(reserve));
        format!("disk space: {left} MB left, {kept} MB are kept free")
    })
}

/// What went wrong with a file, in words: `no space left on the disk: /spool/rec_1/audio.part`.
pub fn explain(error: &io::Error, path: &Path) -> String {
    let what = match error.kind() {
        io::ErrorKind::StorageFull => "no space left on the disk",
        io::ErrorKind::QuotaExceeded => "the disk quota is used up",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        io::ErrorKind::AlreadyExists => "there is a recording already",
        io::ErrorKind::NotFound => "the file or its folder is gone",
        io::ErrorKind::WriteZero => "the disk takes no more bytes",
        _ => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => "too many open files",
            _ => return format!("{error}: {}", path.display()),
        },
    };
    format!("{what}: {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_no_new_recording() {
        assert_eq!(lack_of_room(200 << 20, 100 << 20), None);
        assert_eq!(
            lack_of_room((12 << 20) + 77, 100 << 20).unwrap(),
            "disk space: 12 MB left, 100 MB are kept free"
        );
    }

    #[test]
    fn reasons_name_what_happened_and_where() {
        let cases = [
            (libc::ENOSPC, "no space left on the disk: /spool/a"),
            (libc::EACCES, "permission denied: /spool/a"),
            (libc::EROFS, "the file system is read-only: /spool/a"),
            (libc::EMFILE, "too many open files: /spool/a"),
        ];
        for (code, reason) in cases {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(explain(&error, Path::new("/spool/a")), reason);
        }
    }
}
