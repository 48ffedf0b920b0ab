//! LAME, live: samples in, whole stream out.

use std::num::NonZeroU32;
use std::sync::Arc;

use mp3lame_encoder::{
    Bitrate, BuildError, Builder, Encoder, FlushGap, InterleavedPcm, Mode, MonoPcm, Quality,
    max_required_buffer_size,
};

use crate::record::format::mp3::{Layout, Mp3Engine};
use crate::record::format::{EncoderFault, Mp3Maker};

/// Constant bit rate, quality 7 (5 and better cost 1.3 to 2 times as much), no tag of LAME's own.
struct Lame {
    encoder: Encoder,
    channels: u8,
}

/// What makes LAME.
pub fn maker() -> Mp3Maker {
    Arc::new(engine)
}

fn engine(layout: &Layout) -> Result<Box<dyn Mp3Engine>, EncoderFault> {
    let encoder = build(layout).map_err(|error| EncoderFault(format!("LAME: {error}")))?;
    Ok(Box::new(Lame { encoder, channels: layout.shape.channels }))
}

impl Mp3Engine for Lame {
    fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        bytes.reserve(max_required_buffer_size(samples.len()));
        let result = match self.channels {
            1 => self.encoder.encode_to_vec(MonoPcm(samples), bytes),
            _ => self.encoder.encode_to_vec(InterleavedPcm(samples), bytes),
        };
        result.map(drop).map_err(|error| EncoderFault(format!("LAME: {error}")))
    }

    /// `FlushGap` pads the last frame; the other flush would drop it (measured).
    fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        bytes.reserve(max_required_buffer_size(0) * 2);
        let result = self.encoder.flush_to_vec::<FlushGap>(bytes);
        result.map(drop).map_err(|error| EncoderFault(format!("LAME: {error}")))
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
    use crate::record::format::Shape;

    #[test]
    fn a_stream_is_whole_frames_of_one_length() {
        let shapes = [(8000, 1), (8000, 2), (16_000, 1), (16_000, 2), (48_000, 1), (48_000, 2)];
        for (rate_hz, channels) in shapes {
            let shape = Shape { rate_hz, channels };
            for ticks in [0, 1, 2, 50, 173] {
                let layout = Layout::of(shape).unwrap();
                let mut encoder = engine(&layout).unwrap();
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
