//! MP3, by symphonia's frame reader and decoder alone (docs/decisions/0012-symphonia-to-play-files.md).

use std::io::{Cursor, Read};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::default::codecs::MpaDecoder;
use symphonia::default::formats::MpaReader;

use crate::play::input::Input;
use crate::play::source::{DAMAGED, Fault, RATES_HZ, mix_down};

/// Frames in a row that cannot be decoded; a break in a stream costs two or three.
const BAD_FRAMES: u32 = 100;
/// ID3v2 tags one behind the other.
const TAGS: usize = 4;

pub struct Mp3Source {
    frames: MpaReader<'static>,
    decoder: MpaDecoder,
    rate_hz: u32,
    interleaved: Vec<f32>,
}

impl Mp3Source {
    pub fn open(mut input: Input) -> Result<Self, Fault> {
        let reader = skip_tags(&mut input)?.chain(input);
        let stream =
            MediaSourceStream::new(Box::new(ReadOnlySource::new(reader)), Default::default());
        let frames = MpaReader::try_new(stream, FormatOptions::default()).map_err(|_| DAMAGED)?;
        let track = frames.tracks().first().ok_or(DAMAGED)?;
        let parameters = track.codec_params.as_ref().and_then(|it| it.audio()).ok_or(DAMAGED)?;
        let rate_hz = parameters.sample_rate.filter(|it| RATES_HZ.contains(it)).ok_or(DAMAGED)?;
        let decoder = MpaDecoder::try_new(parameters, &AudioDecoderOptions::default());
        let decoder = decoder.map_err(|_| DAMAGED)?;
        Ok(Self { frames, decoder, rate_hz, interleaved: Vec::new() })
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// One frame; those that cannot be decoded are left out, as every player does.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<bool, Fault> {
        for _ in 0..BAD_FRAMES {
            let packet = match self.frames.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                Err(Error::DecodeError(_)) => continue,
                Err(Error::IoError(error)) => return Err(Fault::of_decoding(&error)),
                Err(_) => return Err(DAMAGED),
            };
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    let channels = decoded.spec().channels().count();
                    if !(1..=2).contains(&channels) || decoded.spec().rate() != self.rate_hz {
                        continue;
                    }
                    self.interleaved.clear();
                    decoded.copy_to_vec_interleaved(&mut self.interleaved);
                    mix_down(self.interleaved.iter().copied(), channels, mono);
                    return Ok(true);
                }
                Err(Error::DecodeError(_)) => {}
                Err(_) => return Err(DAMAGED),
            }
        }
        Err(DAMAGED)
    }
}

/// ID3v2 tags at the start (id3.org, ID3v2.4 §3.1): nobody here reads them. Gives back what was read
/// behind them.
fn skip_tags(input: &mut Input) -> Result<Cursor<[u8; 10]>, Fault> {
    for _ in 0..TAGS {
        let mut head = [0; 10];
        input.read_exact(&mut head).map_err(|_| DAMAGED)?;
        let [b'I', b'D', b'3', _, _, flags, size @ ..] = head else {
            return Ok(Cursor::new(head));
        };
        // Seven bits a byte; a footer repeats the head.
        let size = size.iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 != 0 { 10 } else { 0 };
        input.skip(size + footer).map_err(|_| DAMAGED)?;
    }
    Err(DAMAGED)
}
