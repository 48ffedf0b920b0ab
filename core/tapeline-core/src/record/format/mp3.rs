//! MPEG audio layer III at constant bit rate: frame sizes, frame headers, and what a decoder makes of
//! them (ISO 11172-3 §2.4.2.3; 13818-3; MPEG 2.5 for 8 kHz).
//!
//! At the rates used here every frame has the same length, so frame *n* lies at a known place and a file
//! can be cut, checked and repaired without decoding it. The bit reservoir stays on: a frame's data may
//! begin up to 255 bytes earlier (511 at 48 kHz), never later, so a cut between two frames harms none
//! before it.

use crate::record::format::{EncoderFault, Shape};

/// Samples that LAME puts before the first one (its ENCDELAY), in every stream.
pub const ENCODER_DELAY: u64 = 576;
/// Samples by which every layer III decoder is late (528 and one).
pub const DECODER_DELAY: u64 = 529;

/// How a stream of ours is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub shape: Shape,
    pub bitrate_kbps: u16,
    pub samples_per_frame: u64,
    pub frame_bytes: u64,
    /// Length of the frame at the start that is kept for the Info tag: it needs more room than an audio
    /// frame has, so it has a higher bit rate (LAME does the same).
    pub head_bytes: u64,
    version: u8,
    rate_index: u8,
    bitrate_index: u8,
    head_bitrate_index: u8,
}

struct Row {
    rate_hz: u32,
    /// Bits 4 and 3 of the second header byte.
    version: u8,
    rate_index: u8,
    /// kbit/s and index, for one channel and for two.
    mono: (u16, u8),
    stereo: (u16, u8),
    head: (u16, u8),
}

const MPEG_2_5: u8 = 0b00;
const MPEG_2: u8 = 0b10;
const MPEG_1: u8 = 0b11;

const ROWS: [Row; 3] = [
    Row {
        rate_hz: 8000,
        version: MPEG_2_5,
        rate_index: 2,
        mono: (16, 2),
        stereo: (32, 4),
        head: (32, 4),
    },
    Row {
        rate_hz: 16_000,
        version: MPEG_2,
        rate_index: 2,
        mono: (24, 3),
        stereo: (48, 6),
        head: (64, 8),
    },
    Row {
        rate_hz: 48_000,
        version: MPEG_1,
        rate_index: 1,
        mono: (64, 5),
        stereo: (128, 9),
        head: (128, 9),
    },
];

impl Layout {
    /// `None`: no MP3 of this rate or channel count.
    pub fn of(shape: Shape) -> Option<Self> {
        let row = ROWS.iter().find(|row| row.rate_hz == shape.rate_hz)?;
        let (bitrate_kbps, bitrate_index) = match shape.channels {
            1 => row.mono,
            2 => row.stereo,
            _ => return None,
        };
        let samples_per_frame = if row.version == MPEG_1 { 1152 } else { 576 };
        let length =
            |kbps: u16| samples_per_frame / 8 * u64::from(kbps) * 1000 / u64::from(row.rate_hz);
        Some(Self {
            shape,
            bitrate_kbps,
            samples_per_frame,
            frame_bytes: length(bitrate_kbps),
            head_bytes: length(row.head.0),
            version: row.version,
            rate_index: row.rate_index,
            bitrate_index,
            head_bitrate_index: row.head.1,
        })
    }

    /// The layout of the stream that starts with this head; `None` for other bytes.
    pub fn of_head(bytes: &[u8]) -> Option<Self> {
        ROWS.iter()
            .flat_map(|row| [(row.rate_hz, 1), (row.rate_hz, 2)])
            .filter_map(|(rate_hz, channels)| Self::of(Shape { rate_hz, channels }))
            .find(|layout| bytes.starts_with(&layout.head_header()))
    }

    /// Header of the frame that holds the Info tag.
    pub fn head_header(&self) -> [u8; 4] {
        self.header(self.head_bitrate_index)
    }

    /// Header of an audio frame; LAME sets the "original" bit.
    pub fn frame_header(&self) -> [u8; 4] {
        self.header(self.bitrate_index)
    }

    fn header(&self, bitrate_index: u8) -> [u8; 4] {
        let mode = if self.shape.channels == 1 { 0b11 } else { 0b00 };
        [
            0xff,
            0xe0 | (self.version << 3) | 0b011,
            (bitrate_index << 4) | (self.rate_index << 2),
            (mode << 6) | 0b100,
        ]
    }

    /// Whether an audio frame of this stream begins here.
    pub fn is_frame(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.frame_header())
    }

    /// A frame without data: silence, whatever the frames around it are.
    pub fn silent_frame(&self) -> Vec<u8> {
        let mut frame = self.frame_header().to_vec();
        frame.resize(self.frame_bytes as usize, 0);
        frame
    }

    /// Bytes of side information behind the four of the header.
    pub fn side_bytes(&self) -> usize {
        match (self.version == MPEG_1, self.shape.channels == 1) {
            (true, true) => 17,
            (true, false) => 32,
            (false, true) => 9,
            (false, false) => 17,
        }
    }

    pub fn whole_frames(&self, body_bytes: u64) -> u64 {
        body_bytes / self.frame_bytes
    }

    /// Bytes of the frames that a decoder needs for so many samples.
    pub fn body_bytes_of(&self, sample_count: u64) -> u64 {
        let held = sample_count + ENCODER_DELAY + DECODER_DELAY;
        held.div_ceil(self.samples_per_frame) * self.frame_bytes
    }

    /// Samples of the recording that so many frames give when nothing was flushed behind them.
    pub fn decodable_samples(&self, frames: u64) -> u64 {
        (frames * self.samples_per_frame).saturating_sub(ENCODER_DELAY + DECODER_DELAY)
    }

    /// The first frame whose output begins in this second of the recording; second 0 also has those
    /// before it.
    pub fn first_frame_of_second(&self, second: u64) -> u64 {
        if second == 0 {
            return 0;
        }
        let sample = second * u64::from(self.shape.rate_hz) + ENCODER_DELAY + DECODER_DELAY;
        sample.div_ceil(self.samples_per_frame)
    }
}

/// Turns the samples of one stream into frames. What it appends is frames of the stream's [`Layout`].
pub trait Mp3Engine: Send {
    /// Interleaved samples; some may be held back.
    fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault>;
    /// Gives what was held back. The last call.
    fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_lengths_of_the_standard() {
        let cases = [
            (8000, 1, 144, 288, 576),
            (8000, 2, 288, 288, 576),
            (16_000, 1, 108, 288, 576),
            (16_000, 2, 216, 288, 576),
            (48_000, 1, 192, 384, 1152),
            (48_000, 2, 384, 384, 1152),
        ];
        for (rate_hz, channels, frame, head, samples) in cases {
            let layout = Layout::of(Shape { rate_hz, channels }).unwrap();
            assert_eq!(layout.frame_bytes, frame);
            assert_eq!(layout.head_bytes, head);
            assert_eq!(layout.samples_per_frame, samples);
            assert!(layout.is_frame(&layout.silent_frame()));
            assert_eq!(Layout::of_head(&layout.head_header()), Some(layout));
        }
        assert_eq!(Layout::of(Shape { rate_hz: 44_100, channels: 1 }), None);
        assert_eq!(Layout::of(Shape { rate_hz: 8000, channels: 3 }), None);
        assert_eq!(Layout::of_head(b"RIFF"), None);
    }
}
