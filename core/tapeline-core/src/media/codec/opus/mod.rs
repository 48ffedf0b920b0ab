//! Opus (RFC 6716) by libopus, its states in memory of ours: the library allocates nothing, a state is
//! copied by copying its bytes, and starting anew takes no memory.

mod state;
#[cfg(test)]
mod tests;

use state::{DecoderState, EncoderState};

use crate::media::codec::{CodecFault, Rate};

pub use state::duration;

/// How much the encoder searches, 0 to 10. 20 ms of speech at 16 kHz cost 38 µs at 0, 40 at 1, 82 at 2,
/// 88 at 3, 114 at 5; at 48 kHz 62, 71, 112, 118, 144.
const COMPLEXITY: i32 = 0;
/// Percent of packets that the far end is expected to lose until it reports; 0 would switch the
/// in-band FEC off.
const EXPECTED_LOSS: u8 = 10;
const LOSS_MAX: u8 = 30;
/// Longer than any frame of ours becomes; RFC 6716 §3.2.1 allows 1275 bytes a frame.
const PAYLOAD_MAX: usize = 1_276;

/// Bits per second, FEC included. With less, libopus spends nothing on FEC at [`EXPECTED_LOSS`].
fn bit_rate(rate: Rate) -> i32 {
    match rate {
        Rate::Narrow | Rate::Wide => 28_000,
        Rate::Full => 32_000,
    }
}

/// Mono, speech, in-band FEC.
pub struct OpusEncoder {
    state: EncoderState,
    rate: Rate,
    loss_percent: u8,
}

impl OpusEncoder {
    pub fn new(rate: Rate) -> Result<Self, CodecFault> {
        let mut encoder = Self { state: EncoderState::new(), rate, loss_percent: EXPECTED_LOSS };
        encoder.prepare()?;
        Ok(encoder)
    }

    /// A frame of 10, 20, 40 or 60 ms; returns the bytes written, 0 when it is no such frame.
    pub fn encode(&mut self, frame: &[i16], payload: &mut [u8]) -> usize {
        let room = payload.len().min(PAYLOAD_MAX);
        self.state.encode(frame, payload.get_mut(..room).unwrap_or(&mut []))
    }

    /// Tunes the in-band FEC to what the far end reports (RFC 3550 §6.4.1).
    pub fn expect_loss(&mut self, percent: u8) {
        let percent = percent.min(LOSS_MAX);
        if percent != self.loss_percent && self.state.set_loss(percent.into()) {
            self.loss_percent = percent;
        }
    }

    /// Nothing happens when the rates differ.
    pub fn continue_from(&mut self, other: &Self) {
        if self.rate == other.rate {
            self.state.copy_from(&other.state);
            self.loss_percent = other.loss_percent;
        }
    }

    pub fn reset(&mut self) {
        // The same settings were taken when it was made.
        let taken = self.prepare();
        debug_assert_eq!(taken, Ok(()));
    }

    fn prepare(&mut self) -> Result<(), CodecFault> {
        let is_taken = self.state.init(self.rate)
            && self.state.set_bit_rate(bit_rate(self.rate))
            && self.state.set_complexity(COMPLEXITY)
            && self.state.set_speech()
            && self.state.set_fec(true)
            && self.state.set_loss(self.loss_percent.into());
        is_taken.then_some(()).ok_or(CodecFault("libopus refuses the encoder's settings"))
    }
}

/// Mono, whatever the packets have; at any of our rates, whatever they were encoded at.
pub struct OpusDecoder {
    state: DecoderState,
    rate: Rate,
}

impl OpusDecoder {
    pub fn new(rate: Rate) -> Result<Self, CodecFault> {
        let mut decoder = Self { state: DecoderState::new(), rate };
        decoder.prepare()?;
        Ok(decoder)
    }

    /// A packet of a single byte is one of silence (DTX): it becomes its duration of noise.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        self.state.decode(payload, out)
    }

    /// `out` is a multiple of 2.5 ms, or false is returned.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        self.is_possible(out) && self.state.conceal(out)
    }

    /// As [`OpusDecoder::conceal`]; false also when `successor` carries nothing of its forerunner.
    pub fn recover(&mut self, successor: &[u8], out: &mut [i16]) -> bool {
        state::has_fec(successor) && self.is_possible(out) && self.state.recover(successor, out)
    }

    pub fn reset(&mut self) {
        let taken = self.prepare();
        debug_assert_eq!(taken, Ok(()));
    }

    fn is_possible(&self, out: &[i16]) -> bool {
        let unit = self.rate.hz() as usize / 400;
        (unit..=48 * unit).contains(&out.len()) && out.len().is_multiple_of(unit)
    }

    fn prepare(&mut self) -> Result<(), CodecFault> {
        let is_taken = self.state.init(self.rate) && self.state.ignore_extensions();
        is_taken.then_some(()).ok_or(CodecFault("libopus refuses the decoder's settings"))
    }
}
