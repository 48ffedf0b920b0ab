//! The bytes of one recording while it grows: `audio.part` with a head that is always right, its block
//! hashes and its journal, and beside them raw samples when the encoder failed. Knows no ring and no
//! event.

pub mod body;
pub mod file;
pub mod remake;
pub mod rest;

use std::io;
use std::path::{Path, PathBuf};

use crate::record::booth::Booth;
use crate::record::disk::{Spool, explain};
use crate::record::format::{Encoder, EncoderFault};
use crate::record::journal;
use crate::record::part::body::{Body, FileHash};
use crate::record::part::file::GrowingFile;
use crate::record::part::remake::Remake;
use crate::record::part::rest::Rest;

pub const AUDIO_NAME: &str = "audio.part";
pub const BLOCKS_NAME: &str = "blocks.sha256";

/// Why a recording cannot go on.
#[derive(Debug)]
pub enum PartFault {
    File { path: PathBuf, error: io::Error },
    Encoder(EncoderFault),
}

impl std::fmt::Display for PartFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, error } => out.write_str(&explain(error, path)),
            Self::Encoder(EncoderFault(what)) => out.write_str(what),
        }
    }
}

/// What a writer thread lends to its recordings.
pub struct Tools<'a> {
    pub spool: &'a dyn Spool,
    pub booth: &'a mut Booth,
    pub scratch: &'a mut Vec<u8>,
}

/// All files of one recording, open.
pub struct Part {
    folder: PathBuf,
    body: Body,
    journal: GrowingFile,
    held: Held,
    rest: Option<Rest>,
    /// Why there is a rest, until somebody asked.
    fault: Option<EncoderFault>,
}

/// Samples that a foreign encoder was given and that are not yet in the file: they start where what
/// a decoder gets out of the file ends.
struct Held {
    is_needed: bool,
    /// Samples of each channel before its first.
    at: u64,
    samples: Vec<i16>,
}

impl Held {
    fn add(&mut self, samples: &[i16]) {
        if self.is_needed {
            self.samples.extend_from_slice(samples);
        }
    }

    fn drop_until(&mut self, at: u64, channels: usize) {
        let length = at.saturating_sub(self.at) as usize * channels;
        self.samples.drain(..length.min(self.samples.len()));
        self.at = self.at.max(at);
    }
}

impl Part {
    /// Makes the folder and the files and writes their first bytes. Leaves nothing behind on a fault.
    pub fn create(
        spool: &dyn Spool,
        folder: &Path,
        encoder: Encoder,
        first_lines: &[u8],
    ) -> Result<Self, PartFault> {
        let made_folder = spool
            .make_folder(folder)
            .map_err(|error| PartFault::File { path: folder.to_path_buf(), error })?;
        let mut made = Vec::new();
        let result = Self::create_files(spool, folder, encoder, first_lines, &mut made);
        if result.is_err() {
            remove(spool, &made, made_folder.then_some(folder));
        }
        result
    }

    fn create_files(
        spool: &dyn Spool,
        folder: &Path,
        encoder: Encoder,
        first_lines: &[u8],
        made: &mut Vec<PathBuf>,
    ) -> Result<Self, PartFault> {
        let held = Held { is_needed: encoder.is_foreign(), at: 0, samples: Vec::new() };
        let body = Body::create(spool, folder, (AUDIO_NAME, BLOCKS_NAME), encoder, made)?;
        let mut journal = GrowingFile::create(spool, folder.join(journal::FILE_NAME))?;
        made.push(journal.path().to_path_buf());
        journal.append(first_lines)?;
        let folder = folder.to_path_buf();
        Ok(Self { folder, body, journal, held, rest: None, fault: None })
    }

    /// Removes all files, and the folder when nothing else is in it.
    pub fn discard(self, spool: &dyn Spool) {
        let mut paths = self.body.paths().to_vec();
        paths.push(self.journal.path().to_path_buf());
        paths.extend(self.rest.map(|rest| rest.file.path().to_path_buf()));
        remove(spool, &paths, Some(&self.folder));
    }

    /// Whether more than a head is in a file.
    pub fn has_audio(&self) -> bool {
        self.rest.is_some() || self.body.body_bytes() > 0
    }

    /// Of the audio, raw samples beside it included.
    pub fn byte_count(&self) -> u64 {
        self.body.byte_count() + self.rest.as_ref().map_or(0, |rest| rest.file.length())
    }

    /// Encodes and appends interleaved samples, at most a second of them. From an encoder's fault on they
    /// are written as they are.
    pub fn append(&mut self, samples: &[i16], tools: &mut Tools<'_>) -> Result<(), PartFault> {
        if let Some(rest) = &mut self.rest {
            return rest.append(samples, tools.scratch);
        }
        self.held.add(samples);
        match self.body.append(samples, tools.booth, tools.scratch) {
            Err(PartFault::Encoder(fault)) => self.go_on_raw(fault, tools),
            result => {
                let channels = self.body.shape().frame_samples();
                self.held.drop_until(self.body.decodable_samples(), channels);
                result
            }
        }
    }

    /// Writes what the encoder held back. No sample can be appended any more.
    pub fn flush(&mut self, tools: &mut Tools<'_>) -> Result<(), PartFault> {
        if self.rest.is_some() {
            return Ok(());
        }
        match self.body.flush(tools.booth, tools.scratch) {
            Err(PartFault::Encoder(fault)) => self.go_on_raw(fault, tools),
            result => result,
        }
    }

    fn go_on_raw(&mut self, fault: EncoderFault, tools: &mut Tools<'_>) -> Result<(), PartFault> {
        let mut rest = Rest::create(tools.spool, &self.folder, self.body.shape(), self.held.at)?;
        let result = rest.append(&self.held.samples, tools.scratch);
        self.held = Held { is_needed: false, at: 0, samples: Vec::new() };
        self.rest = Some(rest);
        self.fault = Some(fault);
        result
    }

    /// The encoder's fault, once.
    pub fn take_encoder_fault(&mut self) -> Option<EncoderFault> {
        self.fault.take()
    }

    /// Brings the heads, the block hashes and the journal up to what was appended.
    pub fn settle(&mut self, journal_lines: &mut Vec<u8>) -> Result<(), PartFault> {
        self.body.settle()?;
        if let Some(rest) = &mut self.rest {
            rest.settle()?;
        }
        self.append_journal(journal_lines)
    }

    pub fn append_journal(&mut self, lines: &mut Vec<u8>) -> Result<(), PartFault> {
        if !lines.is_empty() {
            self.journal.append(lines)?;
            lines.clear();
        }
        Ok(())
    }

    /// Begins to encode everything once more.
    pub fn remake(&mut self, encoder: Encoder, spool: &dyn Spool) -> Result<Remake, PartFault> {
        if let Some(rest) = &mut self.rest {
            rest.settle()?;
        }
        Remake::begin(spool, &self.folder, encoder)
    }

    pub fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Where the raw samples end, when there are any.
    pub fn raw_end(&self) -> Option<u64> {
        self.rest.as_ref().map(|rest| rest.at + rest.sample_count())
    }

    /// The next slice of encoding everything once more; true when the file is whole.
    pub fn remake_on(
        &mut self,
        remake: &mut Remake,
        tools: &mut Tools<'_>,
    ) -> Result<bool, PartFault> {
        match &mut self.rest {
            Some(rest) => remake.step(self.body.audio(), rest, tools),
            None => Ok(true),
        }
    }

    /// What was made takes the place of what it was made from.
    pub fn adopt(&mut self, remake: Remake, spool: &dyn Spool) -> Result<(), PartFault> {
        self.body = remake.take_place(spool, self.body.paths())?;
        if let Some(rest) = self.rest.take()
            && let Err(error) = spool.remove_file(rest.file.path())
        {
            log::warn!("{}", explain(&error, rest.file.path()));
        }
        Ok(())
    }

    /// Cuts a flushed file behind `sample_count` samples, with its block hashes.
    pub fn cut(&mut self, sample_count: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        self.body.cut(sample_count, scratch)
    }

    /// Writes the final head and the last hashes of a flushed file.
    pub fn finish(&mut self, sample_count: u64) -> Result<(), PartFault> {
        self.body.finish(sample_count)
    }

    /// After a fault: keeps what is whole, with the right head and hashes. Gives the samples that are in
    /// the file.
    pub fn salvage(&mut self, scratch: &mut Vec<u8>) -> Result<u64, PartFault> {
        self.body.salvage(scratch)
    }

    /// The file has lost its name: whatever is written, nobody will find it.
    pub fn is_lost(&mut self) -> bool {
        !self.body.audio().is_linked()
    }

    /// A fault of the audio file.
    pub fn fault(&mut self, error: io::Error) -> PartFault {
        self.body.audio().fault(error)
    }

    /// Makes this recording durable by itself.
    pub fn sync(&mut self) -> Result<(), PartFault> {
        self.body.sync()?;
        if let Some(rest) = &mut self.rest {
            rest.file.sync()?;
        }
        self.journal.sync()
    }

    pub fn hash_on(
        &mut self,
        hash: &mut FileHash,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<String>, PartFault> {
        hash.step(self.body.audio(), scratch)
    }
}

fn remove(spool: &dyn Spool, files: &[PathBuf], folder: Option<&Path>) {
    for file in files {
        if let Err(error) = spool.remove_file(file) {
            log::warn!("{}", explain(&error, file));
        }
    }
    if let Some(folder) = folder
        && let Err(error) = spool.remove_folder(folder)
        && error.kind() != io::ErrorKind::DirectoryNotEmpty
    {
        log::warn!("{}", explain(&error, folder));
    }
}
