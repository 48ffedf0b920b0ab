//! What a recording goes on with when its encoder fails: raw samples in a second file, a WAV by itself.
//!
//! Its name says where it goes on: `rest-16895.wav` follows the first 16,895 samples of `audio.part`, those
//! that a decoder gets out of it. So both can be put together again whatever became of the journal.

use std::path::{Path, PathBuf};

use crate::record::disk::Spool;
use crate::record::format::{Shape, wav};
use crate::record::part::PartFault;
use crate::record::part::file::GrowingFile;

pub struct Rest {
    pub file: GrowingFile,
    pub shape: Shape,
    /// Samples of each channel before its first.
    pub at: u64,
    claimed: u64,
}

impl Rest {
    pub fn create(
        spool: &dyn Spool,
        folder: &Path,
        shape: Shape,
        at: u64,
    ) -> Result<Self, PartFault> {
        let mut file = GrowingFile::create(spool, path(folder, at))?;
        file.append(&wav::header(shape, 0))?;
        Ok(Self { file, shape, at, claimed: 0 })
    }

    /// A file that is there already and whole.
    pub fn reopened(file: GrowingFile, shape: Shape, at: u64) -> Self {
        Self { file, shape, at, claimed: 0 }
    }

    /// Interleaved samples; `scratch` is emptied first.
    pub fn append(&mut self, samples: &[i16], scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        scratch.clear();
        wav::encode(samples, scratch);
        self.file.append(scratch)
    }

    /// Brings the head up to what was appended.
    pub fn settle(&mut self) -> Result<(), PartFault> {
        let data_bytes = self.data_bytes();
        if data_bytes != self.claimed {
            self.file.overwrite(&wav::header(self.shape, data_bytes), 0)?;
            self.claimed = data_bytes;
        }
        Ok(())
    }

    /// Samples of each channel in it.
    pub fn sample_count(&self) -> u64 {
        self.data_bytes() / self.shape.block_align()
    }

    /// What is whole of it.
    fn data_bytes(&self) -> u64 {
        let body = self.file.length().saturating_sub(wav::HEADER_BYTES);
        body / self.shape.block_align() * self.shape.block_align()
    }
}

fn path(folder: &Path, at: u64) -> PathBuf {
    folder.join(format!("rest-{at}.wav"))
}

/// Where the samples of a file of that name go on; `None` for other names.
pub fn position_of(name: &str) -> Option<u64> {
    name.strip_prefix("rest-")?.strip_suffix(".wav")?.parse().ok()
}
