//! The bytes of one recording while it grows: `audio.part` with a head that is always right, its block
//! hashes and its journal. Knows no ring, no thread and no event.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::record::blocks::{BlockHasher, hex};
use crate::record::disk::{Spool, SpoolFile, explain, write_all_at};
use crate::record::format::lametag::crc16;
use crate::record::format::{Encoder, EncoderFault};

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

/// A file that only grows.
pub struct GrowingFile {
    path: PathBuf,
    file: Box<dyn SpoolFile>,
    length: u64,
}

impl GrowingFile {
    fn create(spool: &dyn Spool, path: PathBuf) -> Result<Self, PartFault> {
        match spool.create(&path) {
            Ok(file) => Ok(Self { path, file, length: 0 }),
            Err(error) => Err(PartFault::File { path, error }),
        }
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

    fn read_through(
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
    fn read_slice(&mut self, offset: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        let left = self.length.saturating_sub(offset);
        scratch.clear();
        scratch.resize(left.min(SLICE_BYTES as u64) as usize, 0);
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

    fn cut(&mut self, length: u64) -> Result<(), PartFault> {
        self.file.set_length(length).map_err(|error| self.fault(error))?;
        self.length = length;
        Ok(())
    }

    /// Keeps the first lines; all when there are not more.
    fn cut_behind_line(&mut self, lines: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
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

    fn overwrite(&mut self, bytes: &[u8], offset: u64) -> Result<(), PartFault> {
        write_all_at(self.file.as_mut(), bytes, offset).map_err(|(_, error)| self.fault(error))
    }

    fn sync(&mut self) -> Result<(), PartFault> {
        self.file.sync().map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> PartFault {
        PartFault::File { path: self.path.clone(), error }
    }
}

/// All files of one recording, open.
pub struct Part {
    encoder: Encoder,
    audio: GrowingFile,
    blocks: GrowingFile,
    journal: GrowingFile,
    hasher: BlockHasher,
    block_lines: Vec<u8>,
    head: Vec<u8>,
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
        let mut create = |name: &str| {
            let file = GrowingFile::create(spool, folder.join(name))?;
            made.push(file.path.clone());
            Ok(file)
        };
        let mut audio = create(AUDIO_NAME)?;
        let mut journal = create(crate::record::journal::FILE_NAME)?;
        let blocks = create(BLOCKS_NAME)?;
        let head = encoder.live_head(0);
        audio.append(&head)?;
        journal.append(first_lines)?;
        let hasher = BlockHasher::new(encoder.blocks());
        Ok(Self { encoder, audio, blocks, journal, hasher, block_lines: Vec::new(), head })
    }

    /// Removes all files, and the folder when nothing else is in it.
    pub fn discard(self, spool: &dyn Spool) {
        let paths = [self.audio.path, self.journal.path, self.blocks.path];
        let folder = paths.first().and_then(|path| path.parent()).map(Path::to_path_buf);
        remove(spool, &paths, folder.as_deref());
    }

    pub fn byte_count(&self) -> u64 {
        self.audio.length
    }

    fn body_bytes(&self) -> u64 {
        self.audio.length.saturating_sub(self.head.len() as u64)
    }

    /// Encodes and appends interleaved samples, at most a second of them; `scratch` is emptied first.
    pub fn append(&mut self, samples: &[i16], scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        scratch.clear();
        self.encoder.encode(samples, scratch).map_err(PartFault::Encoder)?;
        self.append_body(scratch)
    }

    fn append_body(&mut self, bytes: &[u8]) -> Result<(), PartFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.audio.append(bytes)?;
        self.hasher.add(bytes, &mut self.block_lines);
        Ok(())
    }

    /// Brings the head, the block hashes and the journal up to what was appended.
    pub fn settle(&mut self, journal_lines: &mut Vec<u8>) -> Result<(), PartFault> {
        self.replace_head(self.encoder.live_head(self.body_bytes()))?;
        if !self.block_lines.is_empty() {
            let lines = std::mem::take(&mut self.block_lines);
            self.blocks.append(&lines)?;
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

    fn replace_head(&mut self, head: Vec<u8>) -> Result<(), PartFault> {
        if head != self.head {
            self.audio.overwrite(&head, 0)?;
            self.head = head;
        }
        Ok(())
    }

    /// Writes what the encoder held back. No sample can be appended any more.
    pub fn flush(&mut self, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        scratch.clear();
        self.encoder.flush(scratch).map_err(PartFault::Encoder)?;
        self.append_body(scratch)
    }

    /// Cuts a flushed file behind `sample_count` samples, with its block hashes.
    pub fn cut(&mut self, sample_count: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        let length = self.head.len() as u64 + self.encoder.body_bytes_of(sample_count);
        if length >= self.audio.length {
            return Ok(());
        }
        self.audio.cut(length)?;
        self.sum_up_music(scratch)?;
        let blocks = self.encoder.blocks();
        let whole = (0..).take_while(|second| blocks.range(*second).end <= length).count() as u64;
        let lines = std::mem::take(&mut self.block_lines);
        self.blocks.append(&lines)?;
        self.blocks.cut_behind_line(whole, scratch)?;
        self.hasher = BlockHasher::resume(blocks, whole);
        let (hasher, lines) = (&mut self.hasher, &mut self.block_lines);
        self.audio.read_through(blocks.range(whole).start, scratch, |it| hasher.add(it, lines))
    }

    /// Writes the final head and the last hashes of a flushed file.
    pub fn finish(&mut self, sample_count: u64) -> Result<(), PartFault> {
        self.replace_head(self.encoder.final_head(self.body_bytes(), sample_count))?;
        self.finish_blocks()
    }

    /// After a fault: keeps what is whole, with the right head and hashes. Gives the samples that are in
    /// the file.
    pub fn salvage(&mut self, scratch: &mut Vec<u8>) -> Result<u64, PartFault> {
        let (body_bytes, sample_count) = self.encoder.whole_body(self.body_bytes());
        let length = self.head.len() as u64 + body_bytes;
        if length < self.audio.length {
            self.audio.cut(length)?;
        }
        self.sum_up_music(scratch)?;
        self.replace_head(self.encoder.final_head(body_bytes, sample_count))?;
        self.salvage_blocks(scratch)?;
        Ok(sample_count)
    }

    /// The encoder's own checksum has bytes that are not in the file: makes it from the file.
    fn sum_up_music(&mut self, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        if let Encoder::Mp3(encoder) = &mut self.encoder {
            let mut crc = 0;
            self.audio.read_through(self.head.len() as u64, scratch, |bytes| {
                crc = crc16(crc, bytes);
            })?;
            encoder.set_music_crc(crc);
        }
        Ok(())
    }

    /// The block that was being hashed may have had bytes that are not in the file: once more.
    fn salvage_blocks(&mut self, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        let blocks = self.encoder.blocks();
        let second = self.hasher.second();
        self.hasher = BlockHasher::resume(blocks, second);
        let (hasher, lines) = (&mut self.hasher, &mut self.block_lines);
        let start = blocks.range(second).start;
        self.audio.read_through(start, scratch, |bytes| hasher.add(bytes, lines))?;
        if let Err(fault) = self.finish_blocks() {
            // No room for them: `repair` makes them from the file.
            log::warn!("{fault}");
        }
        Ok(())
    }

    fn finish_blocks(&mut self) -> Result<(), PartFault> {
        let unused = BlockHasher::new(self.encoder.blocks());
        let hasher = std::mem::replace(&mut self.hasher, unused);
        let mut lines = std::mem::take(&mut self.block_lines);
        hasher.finish(&self.head, &mut lines);
        self.blocks.append(&lines)
    }

    /// The file has lost its name: whatever is written, nobody will find it.
    pub fn is_lost(&mut self) -> bool {
        matches!(self.audio.file.is_linked(), Ok(false))
    }

    /// What [`Part::is_lost`] means for the recording.
    pub fn lost(&self) -> PartFault {
        self.audio.fault(io::ErrorKind::NotFound.into())
    }

    /// Makes this recording durable by itself.
    pub fn sync(&mut self) -> Result<(), PartFault> {
        self.audio.sync()?;
        self.blocks.sync()?;
        self.journal.sync()
    }

    pub fn hash(&self) -> FileHash {
        FileHash { offset: 0, hash: Sha256::new() }
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

/// SHA-256 of a finished file, slice by slice.
///
/// The head changes until the end and stands first, so the hash of the whole cannot be made on the way
/// (SHA-256 has no prefix that could be put in later): the finished file is read once more, out of the
/// page cache as a rule, in slices so that other recordings of the same writer do not wait.
pub struct FileHash {
    offset: u64,
    hash: Sha256,
}

/// A slice takes about 1 ms where the CPU has SHA instructions, about 7 ms where not.
const SLICE_BYTES: usize = 2 << 20;

impl FileHash {
    /// Reads the next slice; the digest when that was the last.
    pub fn step(
        &mut self,
        part: &mut Part,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<String>, PartFault> {
        part.audio.read_slice(self.offset, scratch)?;
        self.hash.update(&*scratch);
        self.offset += scratch.len() as u64;
        let is_end = self.offset >= part.audio.length;
        Ok(is_end.then(|| hex(&std::mem::take(&mut self.hash).finalize())))
    }
}
