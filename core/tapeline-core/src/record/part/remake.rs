//! A recording whose encoder failed, encoded once more at its end: what the live encoder had made is
//! decoded, the raw samples follow, and all of it goes through a new encoder into a file that takes the
//! first one's place. In slices, so that other recordings of the same writer do not wait.
//!
//! What was decoded and encoded again is lossier than the rest of it; every sample is at its place.

use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

use crate::record::disk::Spool;
use crate::record::format::mp3::{DECODER_DELAY, ENCODER_DELAY, Layout};
use crate::record::format::{Encoder, Shape, wav};
use crate::record::part::body::Body;
use crate::record::part::file::GrowingFile;
use crate::record::part::rest::Rest;
use crate::record::part::{PartFault, Tools};

/// The files that are being made; they are worth nothing by themselves.
pub const AGAIN_NAMES: (&str, &str) = ("audio.again", "blocks.again");
/// Seconds of audio in one slice: about 10 ms of work.
const SLICE_SECONDS: u64 = 10;

pub struct Remake {
    body: Body,
    shape: Shape,
    decoder: Option<MpaDecoder>,
    /// Frames of the first part that were decoded.
    frames: u64,
    /// Samples of each channel given to the new encoder.
    position: u64,
    /// Samples of each channel that a decoder gives before the first of the recording.
    delay_left: u64,
    /// Interleaved: what is to be encoded next.
    samples: Vec<i16>,
    frame: Vec<i16>,
}

impl Remake {
    /// Makes the new files, over what an earlier attempt left.
    pub fn begin(spool: &dyn Spool, folder: &Path, encoder: Encoder) -> Result<Self, PartFault> {
        for name in [AGAIN_NAMES.0, AGAIN_NAMES.1] {
            // Seldom there: what is in the way is said by the creation that follows.
            let _ = spool.remove_file(&folder.join(name));
        }
        let shape = encoder.shape();
        let mut made = Vec::new();
        let body = Body::create(spool, folder, AGAIN_NAMES, encoder, &mut made)?;
        Ok(Self {
            body,
            shape,
            decoder: decoder(),
            frames: 0,
            position: 0,
            delay_left: ENCODER_DELAY + DECODER_DELAY,
            samples: Vec::new(),
            frame: Vec::new(),
        })
    }

    /// A slice of what `first` holds, silence for what it lacks up to the place of `rest`, then `rest`.
    /// True when all is encoded and flushed.
    pub fn step(
        &mut self,
        first: &mut GrowingFile,
        rest: &mut Rest,
        tools: &mut Tools<'_>,
    ) -> Result<bool, PartFault> {
        let end = rest.at + rest.sample_count();
        let second = u64::from(self.shape.rate_hz);
        let until = end.min(self.position + second * SLICE_SECONDS);
        while self.position < until {
            let length = (until - self.position).min(second);
            if self.position < rest.at {
                let length = length.min(rest.at - self.position);
                self.decode(first, length, tools)?;
                self.encode(length, tools)?;
            } else {
                self.read(rest, length, tools)?;
                self.encode(length, tools)?;
            }
        }
        self.body.settle()?;
        if self.position < end {
            return Ok(false);
        }
        self.body.flush(tools.booth, tools.scratch)?;
        Ok(true)
    }

    /// The next samples go to the new encoder; silence for those that there are not.
    fn encode(&mut self, length: u64, tools: &mut Tools<'_>) -> Result<(), PartFault> {
        let wanted = length as usize * self.shape.frame_samples();
        if self.samples.len() < wanted {
            self.samples.resize(wanted, 0);
        }
        let samples = self.samples.get(..wanted).unwrap_or_default();
        self.body.append(samples, tools.booth, tools.scratch)?;
        self.samples.drain(..wanted);
        self.position += length;
        Ok(())
    }

    fn read(
        &mut self,
        rest: &mut Rest,
        length: u64,
        tools: &mut Tools<'_>,
    ) -> Result<(), PartFault> {
        let align = self.shape.block_align();
        let from = wav::HEADER_BYTES + (self.position - rest.at) * align;
        rest.file.read_some(from, (length * align) as usize, tools.scratch)?;
        self.samples.clear();
        let pairs = tools.scratch.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
        self.samples.extend(pairs.map(i16::from_le_bytes));
        Ok(())
    }

    /// Decodes frames until `length` samples wait, or the first part ends.
    fn decode(
        &mut self,
        first: &mut GrowingFile,
        length: u64,
        tools: &mut Tools<'_>,
    ) -> Result<(), PartFault> {
        let Some(layout) = Layout::of(self.shape) else { return Ok(()) };
        let channels = self.shape.frame_samples();
        while self.samples.len() < length as usize * channels {
            let from = layout.head_bytes + self.frames * layout.frame_bytes;
            if from + layout.frame_bytes > first.length() {
                return Ok(());
            }
            first.read_some(from, layout.frame_bytes as usize, tools.scratch)?;
            self.frames += 1;
            let start = self.samples.len();
            self.decode_frame(tools.scratch, &layout);
            let early = (self.delay_left as usize * channels).min(self.samples.len() - start);
            self.samples.drain(start..start + early);
            self.delay_left -= (early / channels) as u64;
        }
        Ok(())
    }

    /// A frame that cannot be decoded is silence.
    fn decode_frame(&mut self, frame: &[u8], layout: &Layout) {
        let wanted =
            self.samples.len() + layout.samples_per_frame as usize * self.shape.frame_samples();
        let duration = Duration::from(layout.samples_per_frame);
        let packet = Packet::new(0, Timestamp::from(0), duration, frame);
        if let Some(decoder) = &mut self.decoder
            && let Ok(decoded) = decoder.decode(&packet)
            && decoded.spec().channels().count() == self.shape.frame_samples()
        {
            decoded.copy_to_vec_interleaved(&mut self.frame);
            self.samples.extend_from_slice(&self.frame);
        }
        self.samples.resize(wanted, 0);
    }

    /// Writes the final head, so that the file is whole before it takes another one's place.
    pub fn finish(&mut self, sample_count: u64) -> Result<(), PartFault> {
        self.body.finish(sample_count)
    }

    /// Cuts what was encoded behind `sample_count` samples.
    pub fn cut(&mut self, sample_count: u64, scratch: &mut Vec<u8>) -> Result<(), PartFault> {
        self.body.cut(sample_count, scratch)
    }

    /// Durable first, then in the place of the files of these names.
    pub fn take_place(mut self, spool: &dyn Spool, paths: [PathBuf; 2]) -> Result<Body, PartFault> {
        self.body.sync()?;
        self.body.rename(spool, paths)?;
        Ok(self.body)
    }
}

/// `None` when the decoder cannot be made: what it would give is silence then.
fn decoder() -> Option<MpaDecoder> {
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_MP3);
    MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default()).ok()
}
