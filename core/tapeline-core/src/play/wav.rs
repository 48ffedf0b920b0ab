//! WAV as others write it: PCM of 8 to 32 bits, float, G.711; one or two channels.

use std::io::{ErrorKind, Read};

use crate::media::codec::g711::{ALAW_TO_LINEAR, ULAW_TO_LINEAR};
use crate::play::input::Input;
use crate::play::source::{DAMAGED, Fault, RATES_HZ, mix_down};

const NOT_PLAYED: Fault = Fault("the WAV holds neither PCM, float nor G.711");
const TOO_MANY_CHANNELS: Fault = Fault("the WAV has more than two channels");
const RATE: Fault = Fault("the WAV's rate is not between 8 and 48 kHz");

/// Chunks before the audio; a file with more is not one that anybody wrote to be played.
const CHUNKS: usize = 64;
/// Frames read at once.
const FRAMES: usize = 2_048;
/// Length of a stream that was not known when its head was written.
const UNKNOWN: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Alaw,
    Ulaw,
}

impl Coding {
    fn of(tag: u16, bits: u16) -> Option<Self> {
        Some(match (tag, bits) {
            (1, 8) => Self::Unsigned8,
            (1, 16) => Self::Signed16,
            (1, 24) => Self::Signed24,
            (1, 32) => Self::Signed32,
            (3, 32) => Self::Float32,
            (3, 64) => Self::Float64,
            (6, 8) => Self::Alaw,
            (7, 8) => Self::Ulaw,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Alaw | Self::Ulaw => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// One sample, full scale at ±1; `bytes` has its length.
    fn decode(self, bytes: &[u8]) -> f32 {
        let table = |table: &[i16; 256], byte: u8| {
            f32::from(table.get(usize::from(byte)).copied().unwrap_or(0)) / 32_768.0
        };
        match (self, bytes) {
            (Self::Unsigned8, [byte]) => (f32::from(*byte) - 128.0) / 128.0,
            (Self::Alaw, [byte]) => table(&ALAW_TO_LINEAR, *byte),
            (Self::Ulaw, [byte]) => table(&ULAW_TO_LINEAR, *byte),
            (Self::Signed16, [a, b]) => f32::from(i16::from_le_bytes([*a, *b])) / 32_768.0,
            (Self::Signed24, [a, b, c]) => {
                (i32::from_le_bytes([0, *a, *b, *c]) as f64 / 2_147_483_648.0) as f32
            }
            (Self::Signed32, [a, b, c, d]) => {
                (f64::from(i32::from_le_bytes([*a, *b, *c, *d])) / 2_147_483_648.0) as f32
            }
            (Self::Float32, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]),
            (Self::Float64, eight) => {
                eight.try_into().map_or(0.0, |eight| f64::from_le_bytes(eight) as f32)
            }
            _ => 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    coding: Coding,
    channels: usize,
    rate_hz: u32,
}

impl Format {
    /// From a `fmt ` chunk.
    fn of(chunk: &[u8]) -> Result<Self, Fault> {
        let word = |at: usize| {
            let pair = chunk.get(at..at + 2).and_then(|pair| pair.try_into().ok());
            pair.map(u16::from_le_bytes).ok_or(DAMAGED)
        };
        let rate_hz = u32::from(word(4)?) | u32::from(word(6)?) << 16;
        let (channels, align, bits) = (usize::from(word(2)?), usize::from(word(12)?), word(14)?);
        // WAVE_FORMAT_EXTENSIBLE: the coding is the first word of the sub-format.
        let tag = match word(0)? {
            0xfffe => word(24)?,
            tag => tag,
        };
        let coding = Coding::of(tag, bits).ok_or(NOT_PLAYED)?;
        if channels > 2 {
            return Err(TOO_MANY_CHANNELS);
        }
        if !RATES_HZ.contains(&rate_hz) {
            return Err(RATE);
        }
        if channels == 0 || align != channels * coding.bytes() {
            return Err(DAMAGED);
        }
        Ok(Self { coding, channels, rate_hz })
    }
}

pub struct WavSource {
    reader: Input,
    format: Format,
    /// Bytes of the data chunk that were not read yet.
    left: u64,
    bytes: Vec<u8>,
    fault: Option<Fault>,
}

impl WavSource {
    pub fn open(mut reader: Input) -> Result<Self, Fault> {
        let mut head = [0; 12];
        reader.read_exact(&mut head).map_err(|_| DAMAGED)?;
        if !head.ends_with(b"WAVE") {
            return Err(DAMAGED);
        }
        let mut format = None;
        for _ in 0..CHUNKS {
            let mut chunk = [0; 8];
            reader.read_exact(&mut chunk).map_err(|_| DAMAGED)?;
            let [a, b, c, d, size @ ..] = chunk;
            let size = u32::from_le_bytes(size);
            match &[a, b, c, d] {
                b"data" => {
                    let format = format.ok_or(DAMAGED)?;
                    let left = if size == UNKNOWN { u64::MAX } else { u64::from(size) };
                    return Ok(Self { reader, format, left, bytes: Vec::new(), fault: None });
                }
                b"fmt " if size <= 256 => {
                    let mut bytes = vec![0; size as usize];
                    reader.read_exact(&mut bytes).map_err(|_| DAMAGED)?;
                    format = Some(Format::of(&bytes)?);
                    skip(&mut reader, size & 1)?;
                }
                _ => skip(&mut reader, size.saturating_add(size & 1))?,
            }
        }
        Err(DAMAGED)
    }

    pub fn rate_hz(&self) -> u32 {
        self.format.rate_hz
    }

    /// A file that is shorter than it says ends where it ends.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> Result<bool, Fault> {
        let Format { coding, channels, .. } = self.format;
        let frame = coding.bytes() * channels;
        let wanted = self.left.min((FRAMES * frame) as u64);
        self.bytes.clear();
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let read = Read::by_ref(&mut self.reader).take(wanted).read_to_end(&mut self.bytes);
        // What came before a fault is heard.
        self.fault = read.err().map(|error| Fault::of_reading(&error));
        let taken = self.bytes.len();
        self.left -= taken as u64;
        let whole = self.bytes.get(..taken / frame * frame).unwrap_or(&[]);
        mix_down(whole.chunks_exact(coding.bytes()).map(|it| coding.decode(it)), channels, mono);
        Ok(self.fault.is_some() || (taken as u64 == wanted && self.left > 0))
    }
}

/// Padding and chunks that are not audio.
fn skip(reader: &mut Input, bytes: u32) -> Result<(), Fault> {
    reader.skip(bytes.into()).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => DAMAGED,
        _ => Fault::of_reading(&error),
    })
}
