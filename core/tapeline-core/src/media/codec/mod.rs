//! Codecs: payload bytes to samples and back. Pure; state, where a codec has any, belongs to its leg.

pub mod g711;

use crate::media::command::Codec;

impl Codec {
    /// Samples per second of the decoded signal.
    pub fn rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Samples that a payload of so many bytes decodes to.
    pub fn samples_in(self, payload_bytes: usize) -> usize {
        match self {
            Self::Pcmu | Self::Pcma => payload_bytes,
        }
    }

    /// Decodes into `samples`, as many as both have room for; returns how many.
    pub fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        let table = match self {
            Self::Pcmu => &g711::ULAW_TO_LINEAR,
            Self::Pcma => &g711::ALAW_TO_LINEAR,
        };
        for (sample, byte) in samples.iter_mut().zip(payload) {
            *sample = table.get(usize::from(*byte)).copied().unwrap_or(0);
        }
        payload.len().min(samples.len())
    }

    /// Encodes as many samples as `payload` has room for; returns the bytes written.
    pub fn encode(self, samples: &[i16], payload: &mut [u8]) -> usize {
        let pairs = payload.iter_mut().zip(samples);
        match self {
            Self::Pcmu => pairs.for_each(|(byte, sample)| *byte = g711::ulaw(*sample)),
            Self::Pcma => pairs.for_each(|(byte, sample)| *byte = g711::alaw(*sample)),
        }
        samples.len().min(payload.len())
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
