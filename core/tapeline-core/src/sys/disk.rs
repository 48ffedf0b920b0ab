//! What std does not offer about disks: syncing a whole file system, and how much room is left.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Makes everything written to the file system of `file` durable (`syncfs(2)`), directory entries
/// included. Linux 5.8 and later report write-back errors here.
pub fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed.
    match unsafe { libc::syncfs(file.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes that an unprivileged writer may still write on the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut figures = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in NUL and the buffer has the size of the structure.
    let result = unsafe { libc::statvfs(path.as_ptr(), figures.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs returned 0, so it filled the structure.
    let figures = unsafe { figures.assume_init() };
    // `u64` here, narrower on 32-bit targets.
    #[allow(clippy::unnecessary_cast)]
    let (blocks, block_bytes) = (figures.f_bavail as u64, figures.f_frsize as u64);
    Ok(blocks.saturating_mul(block_bytes))
}

/// Lets the calling thread run only when those of normal priority do not want to (`nice` 1 to 19).
pub fn lower_own_priority(nice: i32) -> io::Result<()> {
    // SAFETY: no pointers; on Linux `PRIO_PROCESS` with 0 means the calling thread alone.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_and_can_be_synced() {
        let folder = std::env::temp_dir();
        assert!(free_bytes(&folder).unwrap() > 0);
        sync_file_system(&File::open(&folder).unwrap()).unwrap();
        assert!(free_bytes(&folder.join("not there")).is_err());
    }
}
