//! One pass through a file: which decoder it needs, and its audio as mono samples of its own rate.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Weak;

use crate::media::codec::Rate;
use crate::play::input::Input;
use crate::play::mp3::Mp3Source;
use crate::play::opus::OpusSource;
use crate::play::tones::{ToneSource, Tones};
use crate::play::wav::WavSource;

/// What can be wrong with a file, for people; static, because the tick reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

pub const DAMAGED: Fault = Fault("the file is damaged");
const UNKNOWN: Fault = Fault("the file is neither WAV nor MP3 nor Ogg Opus");

impl Fault {
    pub fn of_reading(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self("the stream gave nothing for 30 s"),
            io::ErrorKind::ConnectionAborted => Self("nobody hears the stream any more"),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self("the stream broke off")
            }
            _ => Self("the file cannot be read"),
        }
    }

    /// A decoder's: what is no fault of reading is one of the file.
    pub fn of_decoding(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                DAMAGED
            }
            _ => Self::of_reading(error),
        }
    }
}

/// Samples a second of the files that are played.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Where the audio comes from, to be opened for each pass.
pub enum Origin {
    File(File),
    Tones(Tones),
    /// A socket, and what lives as long as somebody hears it.
    Stream(PathBuf, Weak<()>),
}

impl Origin {
    /// `rate`: what is made here has it; a file keeps its own.
    pub fn open(&self, rate: Rate) -> Result<Source, Fault> {
        let input = match self {
            Self::File(file) => Input::of_file(file),
            Self::Stream(path, playback) => Input::of_stream(path, playback.clone()),
            Self::Tones(tones) => return Ok(Source::Tones(ToneSource::new(tones, rate))),
        };
        Source::open(input.map_err(|error| Fault::of_reading(&error))?, rate)
    }
}

pub enum Source {
    Wav(WavSource),
    Mp3(Box<Mp3Source>),
    Opus(Box<OpusSource>),
    Tones(ToneSource),
}

impl Source {
    fn open(input: Input, rate: Rate) -> Result<Self, Fault> {
        match input.start() {
            b"RIFF" | b"RF64" => WavSource::open(input).map(Self::Wav),
            b"OggS" => OpusSource::open(input, rate).map(|it| Self::Opus(Box::new(it))),
            [b'I', b'D', b'3', ..] => Mp3Source::open(input).map(|it| Self::Mp3(Box::new(it))),
            // The eleven bits that begin every frame.
            [0xff, second, ..] if second & 0xe0 == 0xe0 => {
                Mp3Source::open(input).map(|it| Self::Mp3(Box::new(it)))
            }
            _ => Err(UNKNOWN),
        }
    }

    pub fn rate_hz(&self) -> u32 {
        match self {
            Self::Wav(source) => source.rate_hz(),
            Self::Mp3(source) => source.rate_hz(),
            Self::Opus(source) => source.rate_hz(),
            Self::Tones(source) => source.rate_hz(),
        }
    }

    /// Appends some of what comes next, full scale at ±1, both channels as their mean. False at the end.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<bool, Fault> {
        match self {
            Self::Wav(source) => source.read(mono),
            Self::Mp3(source) => source.read(mono),
            Self::Opus(source) => source.read(mono),
            Self::Tones(source) => Ok(source.read(mono)),
        }
    }
}

/// Appends interleaved samples as mono.
pub fn mix_down(
    interleaved: impl ExactSizeIterator<Item = f32>,
    channels: usize,
    mono: &mut Vec<f32>,
) {
    let mut left = None;
    mono.extend(interleaved.filter_map(|sample| {
        // NaN and infinities of a hostile file are silence.
        let sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        match (channels, left.take()) {
            (1, _) => Some(sample),
            (_, Some(left)) => Some((left + sample) / 2.0),
            (_, None) => {
                left = Some(sample);
                None
            }
        }
    }));
}
