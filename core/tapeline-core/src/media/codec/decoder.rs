//! From payloads to samples, with what a codec remembers from one packet to the next.

use crate::media::codec::g722::G722Decoder;
use crate::media::codec::opus::OpusDecoder;
use crate::media::codec::{Codec, CodecFault, g711, l16};

/// Longest packet that is decoded: 120 ms at 48 kHz.
pub const PACKET_MAX: usize = 5_760;

/// One stream's decoder. Packets are decoded once each and in order; the lost ones are concealed or
/// recovered in their place.
pub struct Decoder {
    codec: Codec,
    state: State,
}

enum State {
    Stateless,
    G722(Box<G722Decoder>),
    Opus(OpusDecoder),
}

impl Decoder {
    /// Allocates: off the tick.
    pub fn new(codec: Codec) -> Result<Self, CodecFault> {
        let state = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16(_) => State::Stateless,
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus(rate) => State::Opus(OpusDecoder::new(rate)?),
        };
        Ok(Self { codec, state })
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// A whole payload into `out` ([`PACKET_MAX`] is always enough), at the codec's rate; returns the
    /// samples written, 0 when the payload cannot be decoded.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match (self.codec, &mut self.state) {
            (Codec::Pcmu, _) => g711::expand(&g711::ULAW_TO_LINEAR, payload, out),
            (Codec::Pcma, _) => g711::expand(&g711::ALAW_TO_LINEAR, payload, out),
            (Codec::L16(_), _) => l16::decode(payload, out),
            (_, State::G722(state)) => state.decode(payload, out),
            (_, State::Opus(state)) => state.decode(payload, out),
            (_, State::Stateless) => 0,
        }
    }

    /// Makes up what a lost packet held: Opus, when `out` is a multiple of 2.5 ms. False: this codec
    /// does not, the caller's concealer shall.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        match &mut self.state {
            State::Stateless | State::G722(_) => false,
            State::Opus(state) => state.conceal(out),
        }
    }

    /// Takes what a lost packet held from the packet behind it (Opus in-band FEC), which is decoded by
    /// itself afterwards. False: there is nothing of it inside.
    pub fn recover(&mut self, successor: &[u8], out: &mut [i16]) -> bool {
        match &mut self.state {
            State::Stateless | State::G722(_) => false,
            State::Opus(state) => state.recover(successor, out),
        }
    }

    /// What follows belongs to another stream. Allocates nothing.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::Stateless => {}
            State::G722(state) => **state = G722Decoder::default(),
            State::Opus(state) => state.reset(),
        }
    }
}
