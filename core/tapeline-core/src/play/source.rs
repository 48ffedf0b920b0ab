//! One pass through a file: which decoder it needs, and its audio as mono samples of its own rate.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::play::mp3::Mp3Source;
use crate::play::wav::WavSource;

/// What can be wrong with a file, for people; static, because the tick reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

pub const DAMAGED: Fault = Fault("the file is damaged");
const UNREADABLE: Fault = Fault("the file cannot be read");
const UNKNOWN: Fault = Fault("the file is neither a WAV nor an MP3");

/// Samples a second of the files that are played.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Either kind of file.
pub enum Source {
    Wav(WavSource),
    Mp3(Box<Mp3Source>),
}

impl Source {
    /// From the file's start, whatever was read of it before.
    pub fn open(file: &File) -> Result<Self, Fault> {
        let mut file = file.try_clone().map_err(|_| UNREADABLE)?;
        let mut start = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(|_| UNREADABLE)?;
        Read::by_ref(&mut file).take(4).read_to_end(&mut start).map_err(|_| UNREADABLE)?;
        file.seek(SeekFrom::Start(0)).map_err(|_| UNREADABLE)?;
        let reader = BufReader::with_capacity(64 << 10, file);
        match start.as_slice() {
            b"RIFF" | b"RF64" => WavSource::open(reader).map(Self::Wav),
            [b'I', b'D', b'3', ..] => Mp3Source::open(reader).map(|it| Self::Mp3(Box::new(it))),
            // The eleven bits that begin every frame.
            [0xff, second, ..] if second & 0xe0 == 0xe0 => {
                Mp3Source::open(reader).map(|it| Self::Mp3(Box::new(it)))
            }
            _ => Err(UNKNOWN),
        }
    }

    pub fn rate_hz(&self) -> u32 {
        match self {
            Self::Wav(source) => source.rate_hz(),
            Self::Mp3(source) => source.rate_hz(),
        }
    }

    /// Appends some of what comes next, full scale at ±1, both channels as their mean. False at the end.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<bool, Fault> {
        match self {
            Self::Wav(source) => source.read(mono),
            Self::Mp3(source) => source.read(mono),
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
