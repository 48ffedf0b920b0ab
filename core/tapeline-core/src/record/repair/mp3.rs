//! An MP3 that was not finished: frames lie on a grid, so each can be checked by itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::record::format::lametag::{self, Totals, crc16};
use crate::record::format::mp3::Layout;
use crate::record::repair::audio::{Mended, read_through, replace_head};
use crate::record::repair::wav::end_of_sound;
use crate::record::spec::Format;

/// Cuts behind the last frame, puts silent frames over holes, and completes the Info frame.
pub fn mend(audio: &mut File, length: u64, layout: &Layout, head: &[u8]) -> io::Result<Mended> {
    let frames = sound_frames(audio, length, layout)?;
    let body_bytes = frames * layout.frame_bytes;
    let byte_count = layout.head_bytes + body_bytes;
    let patched_bytes = patch_holes(audio, frames, layout)?;
    if byte_count != length {
        audio.set_len(byte_count)?;
    }
    let mut crc = 0;
    read_through(audio, layout.head_bytes, byte_count, |bytes| crc = crc16(crc, bytes))?;
    // Finished but for the journal's last line: the Info frame has the true count.
    let told = lametag::parse(layout, head).filter(|totals| u64::from(totals.frames) == frames);
    let sample_count =
        told.map_or_else(|| layout.decodable_samples(frames), |it| it.sample_count(layout));
    let totals = Totals::of(layout, body_bytes, sample_count).with_music_crc(crc);
    let has_new_head = replace_head(audio, head, &lametag::frame(layout, totals))?;
    Ok(Mended {
        format: Format::Mp3,
        shape: layout.shape,
        sample_count,
        byte_count,
        cut_bytes: length.saturating_sub(byte_count),
        patched_bytes,
        has_new_head,
    })
}

/// Frames up to and with the last one that has its header. When zeros follow it, space was allotted and
/// never written: then a frame that ends in zeros itself is not whole either.
fn sound_frames(audio: &File, length: u64, layout: &Layout) -> io::Result<u64> {
    let mut frames = 0;
    each_frame(audio, length, layout, |index, is_frame| {
        if is_frame {
            frames = index + 1;
        }
        Ok(())
    })?;
    let end = |frames: u64| layout.head_bytes + frames * layout.frame_bytes;
    if frames > 0 && end(frames) < length {
        let sounding = end_of_sound(audio, end(frames - 1), length)?;
        if sounding + layout.frame_bytes / 2 < end(frames) {
            return Ok(frames - 1);
        }
    }
    Ok(frames)
}

fn patch_holes(audio: &File, frames: u64, layout: &Layout) -> io::Result<u64> {
    let silence = layout.silent_frame();
    let mut patched = 0;
    let end = layout.head_bytes + frames * layout.frame_bytes;
    each_frame(audio, end, layout, |index, is_frame| {
        if !is_frame {
            audio.write_all_at(&silence, layout.head_bytes + index * layout.frame_bytes)?;
            patched += layout.frame_bytes;
        }
        Ok(())
    })?;
    Ok(patched)
}

/// Calls back for every place of the grid that lies wholly inside `length`.
fn each_frame(
    audio: &File,
    length: u64,
    layout: &Layout,
    mut take: impl FnMut(u64, bool) -> io::Result<()>,
) -> io::Result<()> {
    const BATCH: u64 = 1024;
    let total = layout.whole_frames(length.saturating_sub(layout.head_bytes));
    let mut buffer = vec![0; (total.min(BATCH) * layout.frame_bytes) as usize];
    let mut index = 0;
    while index < total {
        let count = (total - index).min(BATCH);
        let batch = buffer.get_mut(..(count * layout.frame_bytes) as usize).unwrap_or_default();
        audio.read_exact_at(batch, layout.head_bytes + index * layout.frame_bytes)?;
        for frame in batch.chunks(layout.frame_bytes as usize) {
            take(index, layout.is_frame(frame))?;
            index += 1;
        }
    }
    Ok(())
}
