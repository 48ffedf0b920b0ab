//! A WAV that was not finished: its length comes from its bytes, and from what its header last claimed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::record::format::wav::{HEADER_BYTES, WavHeader, header};
use crate::record::format::{Shape, wav};
use crate::record::repair::audio::{Mended, read_head, replace_head};
use crate::record::spec::Format;
use crate::record::writer::recording::VISIT_SECONDS;

/// `claim` is the header, when it could be read.
///
/// The writer patches the header after each append, so a file is at most one visit's worth longer than
/// its header says; what lies further out is not ours. Behind the claim, zeros at the very end are
/// space that was allotted and never written (power loss), and at most 200 ms of true silence.
pub fn mend(
    audio: &mut File,
    length: u64,
    shape: Shape,
    claim: Option<WavHeader>,
) -> io::Result<Mended> {
    let frame_bytes = shape.block_align();
    let body = length.saturating_sub(HEADER_BYTES);
    let claimed = claim.map_or(0, |it| it.data_bytes).min(body);
    let visit_bytes = VISIT_SECONDS * u64::from(shape.rate_hz) * frame_bytes;
    let reach = if claim.is_some() { body.min(claimed + visit_bytes) } else { body };
    let sounding = end_of_sound(audio, HEADER_BYTES + claimed, HEADER_BYTES + reach)?;
    let kept = sounding.saturating_sub(HEADER_BYTES).next_multiple_of(frame_bytes).min(reach);
    let data_bytes = kept / frame_bytes * frame_bytes;

    let byte_count = HEADER_BYTES + data_bytes;
    if byte_count != length {
        audio.set_len(byte_count)?;
    }
    let has_new_head = replace_head(audio, &read_head(audio)?, &header(shape, data_bytes))?;
    Ok(Mended {
        format: Format::Wav,
        shape,
        sample_count: data_bytes / frame_bytes,
        byte_count,
        cut_bytes: length.saturating_sub(byte_count),
        patched_bytes: 0,
        has_new_head: has_new_head || length < wav::HEADER_BYTES,
    })
}

/// Where the last byte that is not zero ends; `from` when there is none up to `to`.
pub fn end_of_sound(audio: &File, from: u64, to: u64) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut buffer = vec![0; CHUNK as usize];
    let mut end = to;
    while end > from {
        let start = end.saturating_sub(CHUNK).max(from);
        let piece = buffer.get_mut(..(end - start) as usize).unwrap_or_default();
        audio.read_exact_at(piece, start)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(from)
}
