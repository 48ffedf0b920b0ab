//! What a phone says, as payloads ready to be sent, and how what it hears becomes samples.

use tapeline_core::media::codec::{Codec, Decoder, Encoder, PAYLOAD_MAX, Rate};

use crate::tones::{RATE_HZ, linear, ulaw};

const TICKS: usize = 50;
/// Samples at 8 kHz.
const FRAME: usize = RATE_HZ / TICKS;

/// How the phones of a run speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    Pcmu,
    /// RFC 7587, at 16 kHz.
    Opus,
}

impl Speech {
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Opus => 96,
        }
    }

    /// Of the RTP clock, in 20 ms.
    pub fn step(self) -> u32 {
        match self {
            Self::Pcmu => FRAME as u32,
            Self::Opus => 960,
        }
    }

    fn opus() -> Codec {
        Codec::Opus(Rate::Wide)
    }

    /// One second of 16-bit samples at 8 kHz as fifty payloads. Opus repeats it until its beginning follows
    /// upon its end.
    pub fn payloads(self, second: &[i16]) -> Vec<Vec<u8>> {
        let frames = second.chunks_exact(FRAME);
        match self {
            Self::Pcmu => frames.map(|f| f.iter().map(|s| ulaw(i32::from(*s))).collect()).collect(),
            Self::Opus => {
                let Ok(mut encoder) = Encoder::new(Self::opus()) else { return Vec::new() };
                let mut encode = |frame: &[i16]| {
                    let doubled: Vec<i16> = frame.iter().flat_map(|s| [*s, *s]).collect();
                    let mut payload = [0; PAYLOAD_MAX];
                    let length = encoder.encode(&doubled, &mut payload);
                    payload.get(..length).unwrap_or_default().to_vec()
                };
                frames.clone().for_each(|frame| drop(encode(frame)));
                frames.map(encode).collect()
            }
        }
    }

    pub fn listener(self) -> Listener {
        match self {
            Self::Pcmu => Listener::Pcmu,
            Self::Opus => Listener::Opus(Decoder::new(Self::opus()).ok().map(Box::new)),
        }
    }
}

/// Turns payloads into samples at 8 kHz.
pub enum Listener {
    Pcmu,
    /// None: the codec could not be made, and nothing is heard.
    Opus(Option<Box<Decoder>>),
}

impl Listener {
    pub fn hear(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::Pcmu => samples.extend(payload.iter().map(|byte| linear(*byte))),
            Self::Opus(decoder) => {
                let mut out = [0; 2 * FRAME];
                let length = decoder.as_mut().map_or(0, |it| it.decode(payload, &mut out));
                // Tones stay below 4 kHz: every second sample will do.
                samples.extend(out.iter().take(length).step_by(2));
            }
        }
    }
}
