//! LAME, live: samples in, whole stream out, with the checksum that the Info frame wants.

use std::num::NonZeroU32;

use mp3lame_encoder::{
    Bitrate, BuildError, Builder, Encoder, FlushGap, InterleavedPcm, Mode, MonoPcm, Quality,
    max_required_buffer_size,
};

use crate::record::format::lametag::crc16;
use crate::record::format::mp3::Layout;
use crate::record::format::{EncoderFault, Shape};

/// Constant bit rate, quality 7 (5 and better cost 1.3 to 2 times as much), no tag of LAME's own.
pub struct Mp3Encoder {
    lame: Encoder,
    layout: Layout,
    music_crc: u16,
}

impl Mp3Encoder {
    pub fn new(shape: Shape) -> Result<Self, EncoderFault> {
        let layout = Layout::of(shape).ok_or_else(|| {
            let Shape { rate_hz, channels } = shape;
            EncoderFault(format!("no MP3 at {rate_hz} Hz with {channels} channels"))
        })?;
        let lame = build(&layout).map_err(|error| EncoderFault(format!("LAME: {error}")))?;
        Ok(Self { lame, layout, music_crc: 0 })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Checksum of all bytes given out so far.
    pub fn music_crc(&self) -> u16 {
        self.music_crc
    }

    /// For a file that does not hold all that was given out.
    pub fn set_music_crc(&mut self, crc: u16) {
        self.music_crc = crc;
    }

    pub fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        let start = bytes.len();
        bytes.reserve(max_required_buffer_size(samples.len()));
        let result = match self.layout.shape.channels {
            1 => self.lame.encode_to_vec(MonoPcm(samples), bytes),
            _ => self.lame.encode_to_vec(InterleavedPcm(samples), bytes),
        };
        result.map_err(|error| EncoderFault(format!("LAME: {error}")))?;
        self.count(bytes, start);
        Ok(())
    }

    /// `FlushGap` pads the last frame; the other flush would drop it (measured).
    pub fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        let start = bytes.len();
        bytes.reserve(max_required_buffer_size(0) * 2);
        self.lame
            .flush_to_vec::<FlushGap>(bytes)
            .map_err(|error| EncoderFault(format!("LAME: {error}")))?;
        self.count(bytes, start);
        Ok(())
    }

    fn count(&mut self, bytes: &[u8], start: usize) {
        self.music_crc = crc16(self.music_crc, bytes.get(start..).unwrap_or_default());
    }
}

fn build(layout: &Layout) -> Result<Encoder, BuildError> {
    let is_mono = layout.shape.channels == 1;
    let mut builder = Builder::new().ok_or(BuildError::NoMem)?;
    builder.set_num_channels(layout.shape.channels)?;
    builder.set_sample_rate(layout.shape.rate_hz)?;
    builder.set_output_sample_rate(NonZeroU32::new(layout.shape.rate_hz))?;
    builder.set_brate(bitrate(layout.bitrate_kbps).ok_or(BuildError::BadBRate)?)?;
    builder.set_quality(Quality::Ok)?;
    // Plain stereo: joint stereo would let one side be heard in the other.
    builder.set_mode(if is_mono { Mode::Mono } else { Mode::Stereo })?;
    builder.set_to_write_vbr_tag(false)?;
    builder.build()
}

fn bitrate(kbps: u16) -> Option<Bitrate> {
    Some(match kbps {
        16 => Bitrate::Kbps16,
        24 => Bitrate::Kbps24,
        32 => Bitrate::Kbps32,
        48 => Bitrate::Kbps48,
        64 => Bitrate::Kbps64,
        128 => Bitrate::Kbps128,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_whole_frames_of_one_length() {
        let shapes = [(8000, 1), (8000, 2), (16_000, 1), (16_000, 2), (48_000, 1), (48_000, 2)];
        for (rate_hz, channels) in shapes {
            let shape = Shape { rate_hz, channels };
            for ticks in [0, 1, 2, 50, 173] {
                let mut encoder = Mp3Encoder::new(shape).unwrap();
                let layout = encoder.layout();
                let mut bytes = Vec::new();
                let tick = rate_hz as usize / 50 * usize::from(channels);
                for number in 0..ticks {
                    let wave = |at: usize| ((at * at * (number + 3)) % 20_011) as i16 - 10_000;
                    let samples: Vec<i16> = (0..tick).map(wave).collect();
                    encoder.encode(&samples, &mut bytes).unwrap();
                }
                encoder.flush(&mut bytes).unwrap();

                let frame_bytes = layout.frame_bytes as usize;
                assert_eq!(bytes.len() % frame_bytes, 0, "{shape:?}, {ticks} ticks");
                assert!(bytes.chunks(frame_bytes).all(|frame| layout.is_frame(frame)));
                let held = bytes.len() / frame_bytes * layout.samples_per_frame as usize;
                assert!(held >= ticks * rate_hz as usize / 50 + 576 + 529, "{shape:?} {ticks}");
            }
        }
    }
}
