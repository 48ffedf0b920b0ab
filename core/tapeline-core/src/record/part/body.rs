//! The audio file itself: a head that is always right, what the encoder gave, and the hash of every
//! second of it.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::record::blocks::{BlockHasher, hex};
use crate::record::booth::Booth;
use crate::record::disk::Spool;
use crate::record::format::lametag::crc16;
use crate::record::format::{Encoder, Shape};
use crate::record::part::PartFault;
use crate::record::part::file::GrowingFile;

pub struct Body {
    encoder: Encoder,
    audio: GrowingFile,
    blocks: GrowingFile,
    hasher: BlockHasher,
    block_lines: Vec<u8>,
    head: Vec<u8>,
}

impl Body {
    /// Makes both files, the audio's with a head; `made` gets the paths of those that are there even
    /// when this fails.
    pub fn create(
        spool: &dyn Spool,
        folder: &Path,
        (audio_name, blocks_name): (&str, &str),
        encoder: Encoder,
        made: &mut Vec<PathBuf>,
    ) -> Result<Self, PartFault> {
        let mut create = |name: &str| {
            let file = GrowingFile::create(spool, folder.join(name))?;
            made.push(file.path().to_path_buf());
            Ok(file)
        };
        let (mut audio, blocks) = (create(audio_name)?, create(blocks_name)?);
        let head = encoder.live_head(0);
        audio.append(&head)?;
        let hasher = BlockHasher::new(encoder.blocks());
        Ok(Self { encoder, audio, blocks, hasher, block_lines: Vec::new(), head })
    }

    pub fn audio(&mut self) -> &mut GrowingFile {
        &mut self.audio
    }

    pub fn paths(&self) -> [PathBuf; 2] {
        [self.audio.path().to_path_buf(), self.blocks.path().to_path_buf()]
    }

    pub fn byte_count(&self) -> u64 {
        self.audio.length()
    }

    fn head_bytes(&self) -> u64 {
        self.head.len() as u64
    }

    pub fn body_bytes(&self) -> u64 {
        self.audio.length().saturating_sub(self.head.len() as u64)
    }

    pub fn shape(&self) -> Shape {
        self.encoder.shape()
    }

    /// Samples of each channel that a decoder gives for what is in the file, nothing flushed.
    pub fn decodable_samples(&self) -> u64 {
        self.encoder.whole_body(self.body_bytes()).1
    }

    /// Encodes and appends interleaved samples, at most a second of them; `scratch` is emptied first.
    pub fn append(
        &mut self,
        samples: &[i16],
        booth: &mut Booth,
        scratch: &mut Vec<u8>,
    ) -> Result<(), PartFault> {
        scratch.clear();
        self.encoder.encode(samples, booth, scratch).map_err(PartFault::Encoder)?;
        self.append_bytes(scratch)
    }

    /// Writes what the encoder held back. No sample can be appended any more.
    pub fn flush(&mut self, booth: &mut Booth, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        scratch.clear();
        self.encoder.flush(booth, scratch).map_err(PartFault::Encoder)?;
        self.append_bytes(scratch)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), PartFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.audio.append(bytes)?;
        self.hasher.add(bytes, &mut self.block_lines);
        Ok(())
    }

    /// Brings the head and the block hashes up to what was appended.
    pub fn settle(&mut self) -> Result<(), PartFault> {
        self.replace_head(self.encoder.live_head(self.body_bytes()))?;
        if !self.block_lines.is_empty() {
            let lines = std::mem::take(&mut self.block_lines);
            self.blocks.append(&lines)?;
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

    /// Cuts a flushed file behind `sample_count` samples, with its block hashes.
    pub fn cut(&mut self, sample_count: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        let length = self.head_bytes() + self.encoder.body_bytes_of(sample_count);
        if length >= self.audio.length() {
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
        let length = self.head_bytes() + body_bytes;
        if length < self.audio.length() {
            self.audio.cut(length)?;
        }
        self.sum_up_music(scratch)?;
        self.replace_head(self.encoder.final_head(body_bytes, sample_count))?;
        self.salvage_blocks(scratch)?;
        Ok(sample_count)
    }

    /// The encoder's own checksum has bytes that are not in the file: makes it from the file.
    fn sum_up_music(&mut self, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        if let Encoder::Mp3(stream) = &mut self.encoder {
            let mut crc = 0;
            self.audio.read_through(self.head.len() as u64, scratch, |bytes| {
                crc = crc16(crc, bytes);
            })?;
            stream.set_music_crc(crc);
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

    pub fn sync(&mut self) -> Result<(), PartFault> {
        self.audio.sync()?;
        self.blocks.sync()
    }

    /// Takes the places of other files, the audio last: until then the old audio is what counts.
    pub fn rename(
        &mut self,
        spool: &dyn Spool,
        [audio, blocks]: [PathBuf; 2],
    ) -> Result<(), PartFault> {
        self.blocks.rename(spool, blocks)?;
        self.audio.rename(spool, audio)
    }
}

/// SHA-256 of a finished file, slice by slice.
///
/// The head changes until the end and stands first, so the hash of the whole cannot be made on the way
/// (SHA-256 has no prefix that could be put in later): the finished file is read once more, out of the
/// page cache as a rule, in slices so that other recordings of the same writer do not wait.
#[derive(Default)]
pub struct FileHash {
    offset: u64,
    hash: Sha256,
}

impl FileHash {
    /// Reads the next slice; the digest when that was the last.
    pub fn step(
        &mut self,
        audio: &mut GrowingFile,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<String>, PartFault> {
        audio.read_slice(self.offset, scratch)?;
        self.hash.update(&*scratch);
        self.offset += scratch.len() as u64;
        let is_end = self.offset >= audio.length();
        Ok(is_end.then(|| hex(&std::mem::take(&mut self.hash).finalize())))
    }
}
