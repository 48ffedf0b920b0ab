//! File formats: how samples become bytes, and what must stand in front of them.

pub mod lame;
pub mod lametag;
pub mod mp3;
pub mod wav;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::record::booth::{Booth, Call};
use crate::record::format::lametag::crc16;
use crate::record::format::mp3::{Layout, Mp3Engine};
use crate::record::spec::Format;

/// What the samples of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub rate_hz: u32,
    /// 1 or 2; stereo samples are interleaved, left first.
    pub channels: u8,
}

impl Shape {
    pub fn frame_samples(self) -> usize {
        usize::from(self.channels.max(1))
    }

    /// Bytes of one PCM16 sample of every channel.
    pub fn block_align(self) -> u64 {
        2 * u64::from(self.channels.max(1))
    }
}

/// The encoder refused: a setting it does not know, or a fault inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderFault(pub String);

/// Makes the encoder of a stream: LAME, or what a test has instead.
pub type Mp3Maker = Arc<dyn Fn(&Layout) -> Result<Box<dyn Mp3Engine>, EncoderFault> + Send + Sync>;

/// Turns samples into the bytes that follow the head of a file.
pub enum Encoder {
    Wav(Shape),
    Mp3(Mp3Stream),
}

/// An encoder at work, with the checksum that the Info frame wants.
pub struct Mp3Stream {
    layout: Layout,
    /// After a fault it is not asked again.
    engine: Result<Box<dyn Mp3Engine>, EncoderFault>,
    music_crc: u16,
}

impl Mp3Stream {
    /// A fault of the maker is told by the first call: a recording can begin without an encoder.
    pub fn new(shape: Shape, maker: &Mp3Maker) -> Result<Self, EncoderFault> {
        let layout = Layout::of(shape).ok_or_else(|| {
            let Shape { rate_hz, channels } = shape;
            EncoderFault(format!("no MP3 at {rate_hz} Hz with {channels} channels"))
        })?;
        let made = catch_unwind(AssertUnwindSafe(|| maker(&layout)));
        let engine = made.unwrap_or_else(|_| Err(EncoderFault("no encoder: it panicked".into())));
        Ok(Self { layout, engine, music_crc: 0 })
    }

    /// For a file that does not hold all that was given out.
    pub fn set_music_crc(&mut self, crc: u16) {
        self.music_crc = crc;
    }

    fn run(
        &mut self,
        booth: &mut Booth,
        call: Call,
        samples: &[i16],
        bytes: &mut Vec<u8>,
    ) -> Result<(), EncoderFault> {
        let no_engine = Err(EncoderFault("no encoder is left".into()));
        let engine = std::mem::replace(&mut self.engine, no_engine)?;
        let start = bytes.len();
        self.engine = Ok(booth.run(engine, call, samples, bytes)?);
        self.music_crc = crc16(self.music_crc, bytes.get(start..).unwrap_or_default());
        Ok(())
    }
}

impl Encoder {
    pub fn new(format: Format, shape: Shape, maker: &Mp3Maker) -> Result<Self, EncoderFault> {
        match format {
            Format::Wav => Ok(Self::Wav(shape)),
            Format::Mp3 => Mp3Stream::new(shape, maker).map(Self::Mp3),
        }
    }

    pub fn shape(&self) -> Shape {
        match self {
            Self::Wav(shape) => *shape,
            Self::Mp3(stream) => stream.layout.shape,
        }
    }

    /// Whether a fault of the encoder is possible, and what is given to it may come out later.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Mp3(_))
    }

    pub fn blocks(&self) -> SecondBlocks {
        match self {
            Self::Wav(shape) => SecondBlocks::Wav(*shape),
            Self::Mp3(stream) => SecondBlocks::Mp3(stream.layout),
        }
    }

    /// The head of a file that still grows and holds `body_bytes` so far.
    pub fn live_head(&self, body_bytes: u64) -> Vec<u8> {
        match self {
            Self::Wav(shape) => wav::header(*shape, body_bytes).to_vec(),
            Self::Mp3(stream) => lametag::growing_frame(&stream.layout, body_bytes),
        }
    }

    /// The head of a finished file that holds `sample_count` samples of each channel.
    pub fn final_head(&self, body_bytes: u64, sample_count: u64) -> Vec<u8> {
        match self {
            Self::Wav(shape) => wav::header(*shape, body_bytes).to_vec(),
            Self::Mp3(stream) => {
                let totals = lametag::Totals::of(&stream.layout, body_bytes, sample_count);
                let crc = stream.music_crc;
                lametag::frame(&stream.layout, totals.with_music_crc(crc))
            }
        }
    }

    /// Appends to `bytes` what the (interleaved) samples give; an encoder may hold some back.
    pub fn encode(
        &mut self,
        samples: &[i16],
        booth: &mut Booth,
        bytes: &mut Vec<u8>,
    ) -> Result<(), EncoderFault> {
        match self {
            Self::Wav(_) => wav::encode(samples, bytes),
            Self::Mp3(stream) => stream.run(booth, Call::Encode, samples, bytes)?,
        }
        Ok(())
    }

    /// Appends what was held back. The last call.
    pub fn flush(&mut self, booth: &mut Booth, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        match self {
            Self::Wav(_) => Ok(()),
            Self::Mp3(stream) => stream.run(booth, Call::Flush, &[], bytes),
        }
    }

    /// Bytes of a flushed body that `sample_count` samples need.
    pub fn body_bytes_of(&self, sample_count: u64) -> u64 {
        match self {
            Self::Wav(shape) => sample_count * shape.block_align(),
            Self::Mp3(stream) => stream.layout.body_bytes_of(sample_count),
        }
    }

    /// Of a body that ends anywhere: the longest part that is whole, and the samples a decoder gives
    /// for it when nothing was flushed.
    pub fn whole_body(&self, body_bytes: u64) -> (u64, u64) {
        match self {
            Self::Wav(shape) => {
                let count = body_bytes / shape.block_align();
                (count * shape.block_align(), count)
            }
            Self::Mp3(stream) => {
                let layout = stream.layout;
                let frames = layout.whole_frames(body_bytes);
                (frames * layout.frame_bytes, layout.decodable_samples(frames))
            }
        }
    }
}

/// The rule that cuts a file into blocks of one second each, for the hash tree.
///
/// A block is a byte range of the file behind its head. WAV: the bytes of one second of samples.
/// MP3: the frames whose first decoded sample falls into that second of the recording (the encoder's
/// and decoder's delay taken off), so damage inside block *n* is heard in second *n*, and at most two
/// frames of the bit reservoir later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondBlocks {
    Wav(Shape),
    Mp3(Layout),
}

impl SecondBlocks {
    /// `None`: no such file.
    pub fn of(format: Format, shape: Shape) -> Option<Self> {
        match format {
            Format::Wav => Some(Self::Wav(shape)),
            Format::Mp3 => Layout::of(shape).map(Self::Mp3),
        }
    }

    pub fn head_bytes(&self) -> u64 {
        match self {
            Self::Wav(_) => wav::HEADER_BYTES,
            Self::Mp3(layout) => layout.head_bytes,
        }
    }

    /// Where block `second` lies in the file.
    pub fn range(&self, second: u64) -> Range<u64> {
        self.start(second)..self.start(second + 1)
    }

    fn start(&self, second: u64) -> u64 {
        match self {
            Self::Wav(shape) => {
                wav::HEADER_BYTES + second * u64::from(shape.rate_hz) * shape.block_align()
            }
            Self::Mp3(layout) => {
                layout.head_bytes + layout.first_frame_of_second(second) * layout.frame_bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_touch_and_hold_about_a_second() {
        let mono = Shape { rate_hz: 8000, channels: 1 };
        let wav = SecondBlocks::Wav(mono);
        assert_eq!(wav.range(0), 80..16_080);
        assert_eq!(wav.range(3), 48_080..64_080);

        let mp3 = SecondBlocks::Mp3(Layout::of(mono).unwrap());
        assert_eq!(mp3.range(0).start, 288);
        for second in 0..100 {
            let block = mp3.range(second);
            assert_eq!(block.end, mp3.range(second + 1).start);
            let frames = (block.end - block.start) / 144;
            assert!((13..=16).contains(&frames), "second {second}: {frames} frames");
        }
    }
}
