//! Codecs: payload bytes to samples and back. Pure; what a codec remembers is a [`Decoder`] or an
//! [`Encoder`] of its leg, made off the tick because it may allocate.

mod decoder;
mod encoder;
pub mod g711;
mod g722;
mod l16;
mod noise;
mod opus;

pub use decoder::{Decoder, PACKET_MAX};
pub use encoder::{Encoder, PAYLOAD_MAX};
pub use noise::ComfortNoise;

use crate::media::frame::frame_length;

/// Sample rates of rooms, frames and recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    Narrow,
    Wide,
    Full,
}

impl Rate {
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Wide, Self::Full];

    pub fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// `None`: not a rate of ours.
    pub fn of(hz: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.hz() == hz)
    }

    /// Samples of one tick.
    pub fn frame(self) -> usize {
        frame_length(self.hz())
    }
}

/// What carries a leg's speech. The rate of Opus is the one we decode and encode at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T G.711, µ-law.
    Pcmu,
    /// ITU-T G.711, A-law.
    Pcma,
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// Linear samples, the high byte first (RFC 3551 §4.5.11).
    L16(Rate),
    /// RFC 6716 in RTP (RFC 7587).
    Opus(Rate),
}

/// A codec's state could not be made: its library refuses the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecFault(pub &'static str);

impl Codec {
    /// Rate of the decoded signal.
    pub fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 => Rate::Wide,
            Self::L16(rate) | Self::Opus(rate) => rate,
        }
    }

    pub fn rate_hz(self) -> u32 {
        self.rate().hz()
    }

    /// Units of the RTP timestamp per second. Not always the rate: 8000 for G.722 (RFC 3551 §4.5.2),
    /// 48000 for Opus (RFC 7587 §4.1).
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::L16(rate) => rate.hz(),
            Self::Opus(_) => 48_000,
        }
    }

    /// How long a payload lasts, in units of the RTP clock; 0: it is no payload of this codec.
    pub fn duration_of(self, payload: &[u8]) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u32,
            Self::L16(_) if !payload.len().is_multiple_of(2) => 0,
            Self::L16(_) => (payload.len() / 2) as u32,
            Self::Opus(_) => opus::duration(payload),
        }
    }

    /// G.711, which remembers nothing: decodes into `samples`, as many as both have room for; returns
    /// how many, 0 for every other codec.
    pub fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Self::Pcmu => g711::expand(&g711::ULAW_TO_LINEAR, payload, samples),
            Self::Pcma => g711::expand(&g711::ALAW_TO_LINEAR, payload, samples),
            _ => 0,
        }
    }

    /// G.711 the other way; returns the bytes written.
    pub fn encode(self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Self::Pcmu => g711::compress(g711::ulaw, samples, payload),
            Self::Pcma => g711::compress(g711::alaw, samples, payload),
            _ => 0,
        }
    }

    /// The codec that RFC 3551 §6 binds to a static payload type.
    pub fn of_static_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }
}
