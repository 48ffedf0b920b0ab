//! From samples to payloads, with what a codec remembers from one frame to the next.

use crate::media::codec::g722::G722Encoder;
use crate::media::codec::opus::OpusEncoder;
use crate::media::codec::{Codec, CodecFault, g711, l16};

/// Longest payload of one tick: L16 at 48 kHz.
pub const PAYLOAD_MAX: usize = 1_920;

/// One stream's encoder.
pub struct Encoder {
    codec: Codec,
    state: State,
}

enum State {
    Stateless,
    G722(Box<G722Encoder>),
    Opus(OpusEncoder),
}

impl Encoder {
    /// Allocates: off the tick.
    pub fn new(codec: Codec) -> Result<Self, CodecFault> {
        let state = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16(_) => State::Stateless,
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus(rate) => State::Opus(OpusEncoder::new(rate)?),
        };
        Ok(Self { codec, state })
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// One tick at the codec's rate into `payload` ([`PAYLOAD_MAX`] is always enough); returns the
    /// bytes written.
    pub fn encode(&mut self, frame: &[i16], payload: &mut [u8]) -> usize {
        match (self.codec, &mut self.state) {
            (Codec::Pcmu, _) => g711::compress(g711::ulaw, frame, payload),
            (Codec::Pcma, _) => g711::compress(g711::alaw, frame, payload),
            (Codec::L16(_), _) => l16::encode(frame, payload),
            (_, State::G722(state)) => state.encode(frame, payload),
            (_, State::Opus(state)) => state.encode(frame, payload),
            (_, State::Stateless) => 0,
        }
    }

    /// Goes on exactly as `other` would, bit by bit (a listener who begins to speak leaves the shared
    /// stream). Both have the same codec. Allocates nothing.
    pub fn continue_from(&mut self, other: &Self) {
        match (&mut self.state, &other.state) {
            (State::G722(ours), State::G722(theirs)) => ours.clone_from(theirs),
            (State::Opus(ours), State::Opus(theirs)) => ours.continue_from(theirs),
            _ => {}
        }
    }

    /// What share of its packets the far end loses, in percent: how much of it is sent twice. Only Opus
    /// does that.
    pub fn expect_loss(&mut self, percent: u8) {
        if let State::Opus(state) = &mut self.state {
            state.expect_loss(percent);
        }
    }

    /// What follows belongs to another stream. Allocates nothing.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::Stateless => {}
            State::G722(state) => **state = G722Encoder::default(),
            State::Opus(state) => state.reset(),
        }
    }
}
