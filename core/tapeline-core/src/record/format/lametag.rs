//! The Info frame at the start of an MP3: a silent frame whose data area tells decoders how many
//! samples to leave out at both ends (Xing header with LAME extension, "Mp3 Info Tag rev 1").
//!
//! While a recording grows, the frame is patched with what the file holds so far, so a file that was never
//! finished has its tones in their place too (ffmpeg and mpg123 leave the encoder's delay in when the
//! frame count is missing: measured). A decoder that knows no tag plays one frame of silence.

use crate::record::format::mp3::{ENCODER_DELAY, Layout};

/// Frames, bytes, seek table and quality are there.
const FLAGS: u32 = 0b1111;
/// The padding field has 12 bits.
const PADDING_LIMIT: u64 = 4095;

/// What is known at the end. Bytes count the Info frame, frames do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub frames: u32,
    pub bytes: u32,
    /// Samples behind the last one of the recording.
    pub padding: u16,
    pub music_crc: u16,
}

impl Totals {
    /// For `body_bytes` of frames behind the Info frame that hold `sample_count` samples.
    pub fn of(layout: &Layout, body_bytes: u64, sample_count: u64) -> Self {
        let frames = layout.whole_frames(body_bytes);
        let held = (frames * layout.samples_per_frame).saturating_sub(ENCODER_DELAY);
        let padding = held.saturating_sub(sample_count).min(PADDING_LIMIT);
        Self {
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
            bytes: u32::try_from(frames * layout.frame_bytes + layout.head_bytes)
                .unwrap_or(u32::MAX),
            padding: padding as u16,
            music_crc: 0,
        }
    }

    pub fn with_music_crc(self, music_crc: u16) -> Self {
        Self { music_crc, ..self }
    }

    pub fn sample_count(&self, layout: &Layout) -> u64 {
        let held = u64::from(self.frames) * layout.samples_per_frame;
        held.saturating_sub(ENCODER_DELAY + u64::from(self.padding))
    }
}

/// The Info frame of a file that has `body_bytes` so far, its encoder not flushed.
pub fn growing_frame(layout: &Layout, body_bytes: u64) -> Vec<u8> {
    let sample_count = layout.decodable_samples(layout.whole_frames(body_bytes));
    frame(layout, Totals::of(layout, body_bytes, sample_count))
}

/// The whole Info frame.
pub fn frame(layout: &Layout, totals: Totals) -> Vec<u8> {
    let mut frame = layout.head_header().to_vec();
    frame.resize(4 + layout.side_bytes(), 0);
    frame.extend(b"Info");
    frame.extend(FLAGS.to_be_bytes());
    frame.extend(totals.frames.to_be_bytes());
    frame.extend(totals.bytes.to_be_bytes());
    // Seek table: at constant bit rate, byte 256·n/100 of 256 is at n percent of the time.
    frame.extend((0..100_u32).map(|percent| (percent * 256 / 100) as u8));
    frame.extend(0_u32.to_be_bytes());
    extension(layout, totals, &mut frame);
    let crc = crc16(0, &frame);
    frame.extend(crc.to_be_bytes());
    frame.resize(layout.head_bytes as usize, 0);
    frame
}

fn extension(layout: &Layout, totals: Totals, frame: &mut Vec<u8>) {
    const CONSTANT_BIT_RATE: u8 = 1;
    frame.extend(b"LAME3.100");
    frame.push(CONSTANT_BIT_RATE);
    // Low-pass unknown, no peak, no replay gains, no flags.
    frame.extend([0; 10]);
    frame.push(layout.bitrate_kbps.min(255) as u8);
    let delay = ENCODER_DELAY as u32;
    let delays = (delay << 12) | u32::from(totals.padding);
    frame.extend(delays.to_be_bytes().iter().skip(1));
    // Misc, gain, preset.
    frame.extend([0; 4]);
    frame.extend(totals.bytes.to_be_bytes());
    frame.extend(totals.music_crc.to_be_bytes());
}

/// Reads the totals of a frame that [`frame`] made; `None` when it has none, or is not ours.
pub fn parse(layout: &Layout, bytes: &[u8]) -> Option<Totals> {
    let tag = bytes.get(4 + layout.side_bytes()..)?;
    let word = |at: usize| tag.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    if tag.get(..4)? != b"Info" || word(4)? != FLAGS {
        return None;
    }
    let delays = word(140)? & 0x00ff_ffff;
    let totals = Totals {
        frames: word(8)?,
        bytes: word(12)?,
        padding: (delays & 0xfff) as u16,
        music_crc: (word(150)? & 0xffff) as u16,
    };
    // What we would have written is the best check of everything else, CRC included.
    (bytes.get(..layout.head_bytes as usize)? == frame(layout, totals)).then_some(totals)
}

/// CRC-16 of the tag and of the music (polynomial x¹⁶+x¹⁵+x²+1, reflected, start 0).
pub fn crc16(start: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |crc, byte| {
        let index = usize::from((crc ^ u16::from(*byte)) & 0xff);
        (crc >> 8) ^ CRC_TABLE.get(index).copied().unwrap_or_default()
    })
}

static CRC_TABLE: [u16; 256] = crc_table();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn crc_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::Shape;

    #[test]
    fn the_crc_is_the_arc_crc() {
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
    }

    #[test]
    fn totals_survive_the_frame() {
        for (rate_hz, channels) in [(8000, 1), (8000, 2), (16_000, 1), (16_000, 2), (48_000, 2)] {
            let layout = Layout::of(Shape { rate_hz, channels }).unwrap();
            let totals = Totals::of(&layout, layout.frame_bytes * 20, 9_900).with_music_crc(0xbeef);
            let bytes = frame(&layout, totals);

            assert_eq!(bytes.len() as u64, layout.head_bytes);
            assert_eq!(parse(&layout, &bytes), Some(totals));
            assert_eq!(parse(&layout, &layout.silent_frame()), None);
        }
    }

    #[test]
    fn a_sample_count_is_what_the_padding_leaves() {
        let layout = Layout::of(Shape { rate_hz: 8000, channels: 1 }).unwrap();
        let totals = Totals::of(&layout, 144 * 20, 10_000);
        assert_eq!(totals.padding, 944);
        assert_eq!(totals.sample_count(&layout), 10_000);
    }
}
