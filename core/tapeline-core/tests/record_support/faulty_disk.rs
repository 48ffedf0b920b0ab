//! A real disk that fills up, stalls, panics or is slow, as a test tells it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tapeline_core::record::disk::{DiskSpool, Spool, SpoolFile};

use super::{Stage, Studio, TempFolder, noise};

/// A real disk with an allowance of bytes, a gate that holds all writes up, and a slow flush.
pub struct FaultyDisk {
    disk: Arc<DiskSpool>,
    faults: Arc<Faults>,
}

pub struct Faults {
    /// Bytes of `audio.part` bodies that may still be written.
    pub allowance: AtomicI64,
    is_shut: Mutex<bool>,
    /// Writers that stand before the gate.
    pub held_up: AtomicU64,
    opened: Condvar,
    pub panics: AtomicBool,
    pub free_bytes: AtomicU64,
    pub flush: Mutex<Duration>,
    pub flushes: AtomicU64,
    /// When the last sample was written, and when the first flush that began later was done.
    written: Mutex<(Option<Instant>, Option<Instant>)>,
}

struct FaultyFile {
    file: Box<dyn SpoolFile>,
    is_audio: bool,
    faults: Arc<Faults>,
}

impl FaultyDisk {
    pub fn studio() -> (Studio, Arc<Faults>) {
        let folder = TempFolder::new();
        let (faulty, faults) = Self::over(&folder.path);
        (Studio::on(folder, faulty), faults)
    }

    /// The disk that holds the folder.
    pub fn over(folder: &Path) -> (Arc<Self>, Arc<Faults>) {
        let faults = Arc::new(Faults {
            allowance: AtomicI64::new(i64::MAX),
            is_shut: Mutex::new(false),
            held_up: AtomicU64::new(0),
            opened: Condvar::new(),
            panics: AtomicBool::new(false),
            free_bytes: AtomicU64::new(u64::MAX),
            flush: Mutex::new(Duration::ZERO),
            flushes: AtomicU64::new(0),
            written: Mutex::new((None, None)),
        });
        let disk = DiskSpool::open(folder).unwrap();
        (Arc::new(Self { disk, faults: faults.clone() }), faults)
    }
}

impl Faults {
    fn pass_gate(&self) {
        let mut is_shut = self.is_shut.lock().unwrap();
        self.held_up.fetch_add(1, Ordering::SeqCst);
        while *is_shut {
            is_shut = self.opened.wait(is_shut).unwrap();
        }
        self.held_up.fetch_sub(1, Ordering::SeqCst);
    }

    /// Shuts the gate; a writer that stands before it takes nothing more out of any ring.
    pub fn hold_up(&self, stage: &mut Stage) {
        self.set_gate(true);
        while self.held_up.load(Ordering::SeqCst) == 0 {
            stage.tick(noise);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn set_gate(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }

    /// When all samples that were written had become durable.
    pub fn durable_since(&self) -> Option<Instant> {
        self.written.lock().unwrap().1
    }

    fn flush(&self) {
        let time = *self.flush.lock().unwrap();
        let begun = Instant::now();
        std::thread::sleep(time);
        let mut written = self.written.lock().unwrap();
        if written.0.is_some_and(|last| last <= begun) {
            written.1 = written.1.or(Some(Instant::now()));
        }
        drop(written);
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Spool for FaultyDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        self.disk.make_folder(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn SpoolFile>> {
        let file = self.disk.create(path)?;
        let is_audio =
            path.extension().is_some_and(|it| it == "part" || it == "wav" || it == "again");
        Ok(Box::new(FaultyFile { file, is_audio, faults: self.faults.clone() }))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.remove_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.faults.flush();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.faults.free_bytes.load(Ordering::Relaxed))
    }
}

impl SpoolFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.faults.pass_gate();
        if !self.is_audio || offset == 0 {
            return self.file.write_at(bytes, offset);
        }
        assert!(!self.faults.panics.load(Ordering::Relaxed), "injected");
        *self.faults.written.lock().unwrap() = (Some(Instant::now()), None);
        let length = bytes.len() as i64;
        let left = self.faults.allowance.fetch_sub(length, Ordering::Relaxed);
        let allowed = left.clamp(0, length) as usize;
        if allowed == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        self.file.write_at(&bytes[..allowed], offset)
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.flush();
        Ok(())
    }

    fn is_linked(&mut self) -> io::Result<bool> {
        self.file.is_linked()
    }
}
