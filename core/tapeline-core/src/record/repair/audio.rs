//! Makes the bytes of an audio file whole, by the rule of its format.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::record::format::mp3::Layout;
use crate::record::format::{Shape, lametag, wav};
use crate::record::repair::{mp3, wav as wav_repair};
use crate::record::spec::Format;

/// What a file holds after it was mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    pub format: Format,
    pub shape: Shape,
    pub sample_count: u64,
    pub byte_count: u64,
    pub cut_bytes: u64,
    pub patched_bytes: u64,
    pub has_new_head: bool,
}

impl Mended {
    pub fn is_changed(&self) -> bool {
        self.cut_bytes > 0 || self.patched_bytes > 0 || self.has_new_head
    }
}

/// `known` is what the journal says; the file's own head goes before it. `None`: nobody knows what
/// the bytes are.
pub fn mend(audio: &mut File, known: Option<(Format, Shape)>) -> io::Result<Option<Mended>> {
    let length = audio.metadata()?.len();
    let head = read_head(audio)?;
    if let Some(header) = wav::parse(&head) {
        return wav_repair::mend(audio, length, header.shape, Some(header)).map(Some);
    }
    if let Some(layout) = Layout::of_head(&head) {
        return mp3::mend(audio, length, &layout, &head).map(Some);
    }
    match known {
        Some((Format::Wav, shape)) => wav_repair::mend(audio, length, shape, None).map(Some),
        Some((Format::Mp3, shape)) => match Layout::of(shape) {
            Some(layout) => mp3::mend(audio, length, &layout, &head).map(Some),
            None => Ok(None),
        },
        None => Ok(None),
    }
}

/// Enough of the start for every head of ours.
pub const HEAD_LIMIT: usize = 512;

/// The first bytes; fewer when the file is shorter.
pub fn read_head(audio: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_LIMIT);
    let limit = audio.metadata()?.len().min(HEAD_LIMIT as u64);
    read_through(audio, 0, limit, |bytes| head.extend_from_slice(bytes))?;
    Ok(head)
}

const CHUNK_BYTES: u64 = 256 << 10;

/// Reads from one offset to another and hands the bytes over in pieces.
pub fn read_through(
    audio: &File,
    from: u64,
    to: u64,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; to.saturating_sub(from).min(CHUNK_BYTES) as usize];
    let mut offset = from;
    while offset < to {
        let length = (to - offset).min(CHUNK_BYTES) as usize;
        let piece = buffer.get_mut(..length).unwrap_or_default();
        audio.read_exact_at(piece, offset)?;
        take(piece);
        offset += length as u64;
    }
    Ok(())
}

/// Puts the head in front when it is another one; true when it was.
pub fn replace_head(audio: &File, old: &[u8], new: &[u8]) -> io::Result<bool> {
    if old.starts_with(new) {
        return Ok(false);
    }
    audio.write_all_at(new, 0)?;
    Ok(true)
}

/// What a whole file says about itself, without changing it.
pub fn sample_count(audio: &File) -> io::Result<Option<(Format, Shape, u64)>> {
    let length = audio.metadata()?.len();
    let head = read_head(audio)?;
    if let Some(header) = wav::parse(&head) {
        let held = header.data_bytes.min(length.saturating_sub(wav::HEADER_BYTES));
        return Ok(Some((Format::Wav, header.shape, held / header.shape.block_align())));
    }
    let Some(layout) = Layout::of_head(&head) else { return Ok(None) };
    let count = match lametag::parse(&layout, &head) {
        Some(totals) => totals.sample_count(&layout),
        None => {
            let frames = layout.whole_frames(length.saturating_sub(layout.head_bytes));
            layout.decodable_samples(frames)
        }
    };
    Ok(Some((Format::Mp3, layout.shape, count)))
}
