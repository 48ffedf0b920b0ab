//! The decoder of a stream, and its samples at any instant of the sender's clock.
//!
//! G.711 has no memory and is cut in its bytes, wherever a frame begins. A packet of any other codec is
//! decoded once, in order and whole, into a store that holds one packet.

use crate::media::codec::{Codec, Decoder};
use crate::media::frame::FRAME_MAX;
use crate::media::jitter::clock::Clock;
use crate::media::jitter::ring::{PacketRing, Waiting};

/// Longest packet, milliseconds (RFC 6716 §2: Opus).
pub const PACKET_MAX_MS: u32 = 120;
/// Of the packets that are passed over, so many before the next are decoded all the same. The next one's
/// error is then 33 dB (G.722) and 26 dB (Opus) below the signal; 20 and 15 with four, 1 with none. It
/// costs 0.1 ms at most, and only where a spurt begins anew with packets waiting.
const RUN_UP: u32 = 8;
/// Samples that are brought to a higher rate at once.
const CHUNK: usize = 160;
/// Opus conceals whole multiples of 2.5 ms.
const CONCEALED_PER_SECOND: u32 = 400;
/// An Opus packet without speech (RFC 6716 §3.1: a bare table of contents, or little more).
const DTX_BYTES: usize = 2;

/// The decoder of a stream, and the packet that it decoded last.
pub(super) struct Voice {
    decoder: Decoder,
    /// Empty for a codec that is cut.
    samples: Box<[i16]>,
    start: u32,
    units: u32,
    length: usize,
    /// Sequence number of the packet decoded last.
    last: Option<u32>,
    /// That packet said that a pause follows.
    is_pausing: bool,
}

impl Voice {
    /// Allocates.
    pub fn new(decoder: Decoder) -> Self {
        let codec = decoder.codec();
        let longest = if is_cut(codec) { 0 } else { codec.rate_hz() * PACKET_MAX_MS / 1_000 };
        let samples = vec![0; longest as usize].into();
        Self { decoder, samples, start: 0, units: 0, length: 0, last: None, is_pausing: false }
    }

    pub fn codec(&self) -> Codec {
        self.decoder.codec()
    }

    /// The codec itself, and G.711 in its place where the RTP clock is the same: some peers switch to
    /// it without asking.
    pub fn can_decode(&self, codec: Codec) -> bool {
        let is_like_it = is_cut(codec) && codec.clock_hz() == self.codec().clock_hz();
        codec == self.codec() || is_like_it
    }

    /// What follows belongs to another stream.
    pub fn restart(&mut self) {
        self.forget();
        self.decoder.reset();
        self.last = None;
        self.is_pausing = false;
    }

    /// The clock has jumped: the rest of the packet in the store has no place any more.
    pub fn forget(&mut self) {
        (self.units, self.length) = (0, 0);
    }

    pub fn is_pausing(&self) -> bool {
        self.is_pausing
    }

    /// Units from `at` on that the store holds.
    pub fn held(&self, at: u32) -> i64 {
        i64::from(self.units.saturating_sub(at.wrapping_sub(self.start)))
    }

    /// Samples from `at` on up to the end of their packet; returns how many, 0 when none is here.
    pub fn read(&mut self, ring: &mut PacketRing, clock: Clock, at: u32, out: &mut [i16]) -> usize {
        if self.held(at) > 0 {
            return self.rest(clock, at, out);
        }
        let Some(waiting) = ring.at(at) else { return 0 };
        let sequence = waiting.span.sequence;
        if is_cut(waiting.codec) {
            let (written, is_spent) = cut(&waiting, clock, at, out);
            if is_spent {
                ring.played(sequence);
                self.last = Some(sequence);
                self.is_pausing = false;
            }
            return written;
        }
        if self.last.is_none_or(|last| (sequence.wrapping_sub(last) as i32) > 0) {
            self.run_up(ring, sequence);
            self.decode(ring, sequence);
        }
        ring.played(sequence);
        self.rest(clock, at, out)
    }

    /// Samples of the packet in the store.
    fn rest(&self, clock: Clock, at: u32, out: &mut [i16]) -> usize {
        let into = at.wrapping_sub(self.start);
        if into >= self.units {
            return 0;
        }
        let skip = clock.samples_in(i64::from(into));
        let rest = self.samples.get(skip..self.length).unwrap_or(&[]);
        let length = rest.len().min(out.len());
        if let (Some(rest), Some(out)) = (rest.get(..length), out.get_mut(..length)) {
            out.copy_from_slice(rest);
        }
        length
    }

    /// Brings the decoder up to the packet that is played next.
    fn run_up(&mut self, ring: &mut PacketRing, next: u32) {
        let Some(last) = self.last else { return };
        let skipped = next.wrapping_sub(last).saturating_sub(1).min(RUN_UP);
        for sequence in (1..=skipped).rev().map(|behind| next.wrapping_sub(behind)) {
            self.decode(ring, sequence);
            ring.played(sequence);
        }
    }

    /// A payload that cannot be decoded leaves the store empty: it is concealed like a loss.
    fn decode(&mut self, ring: &PacketRing, sequence: u32) {
        let Some(waiting) = ring.of_sequence(sequence) else { return };
        self.forget();
        if is_cut(waiting.codec) {
            return;
        }
        let written = self.decoder.decode(waiting.payload, &mut self.samples);
        self.length = written.min(self.samples.len());
        if self.length > 0 {
            self.start = waiting.span.timestamp;
            self.units = u32::from(waiting.span.units);
            self.last = Some(sequence);
            self.is_pausing = waiting.payload.len() <= DTX_BYTES;
        }
    }

    /// Makes up a gap. False: this codec leaves it to the buffer's own concealer.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        let step = (self.codec().rate_hz() / CONCEALED_PER_SECOND).max(1) as usize;
        if out.len().is_multiple_of(step) {
            return self.decoder.conceal(out);
        }
        let mut whole = [0; FRAME_MAX];
        let Some(whole) = whole.get_mut(..out.len().next_multiple_of(step)) else { return false };
        let is_made_up = self.decoder.conceal(whole);
        for (out, sample) in out.iter_mut().zip(whole) {
            *out = *sample;
        }
        is_made_up
    }

    /// Takes the packet that is lost at `at` from its successor, when that waits; what it held is then
    /// read like any other.
    pub fn recover(&mut self, ring: &PacketRing, clock: Clock, at: u32) -> bool {
        let Some(last) = self.last else { return false };
        let Some(next) = ring.next_after(at, i64::from(u16::MAX)) else { return false };
        let is_adjacent = next.after(at) == i32::from(next.units);
        if !is_adjacent || next.sequence == last.wrapping_add(1) {
            return false;
        }
        let Some(successor) = ring.of_sequence(next.sequence) else { return false };
        let lost = clock.samples_in(next.units.into());
        let Some(place) = self.samples.get_mut(..lost) else { return false };
        if successor.codec != self.decoder.codec()
            || !self.decoder.recover(successor.payload, place)
        {
            return false;
        }
        (self.start, self.units, self.length) = (at, u32::from(next.units), lost);
        true
    }
}

/// Every byte is a sample, whatever came before.
fn is_cut(codec: Codec) -> bool {
    matches!(codec, Codec::Pcmu | Codec::Pcma)
}

/// What a packet of G.711 holds from `at` on, and whether that is its end.
fn cut(waiting: &Waiting<'_>, clock: Clock, at: u32, out: &mut [i16]) -> (usize, bool) {
    let into = at.wrapping_sub(waiting.span.timestamp) as usize;
    let rest = waiting.payload.get(into..).unwrap_or(&[]);
    let times = clock.samples_in(1);
    if times == 1 {
        let written = waiting.codec.decode(rest, out);
        return (written, written >= rest.len());
    }
    let mut chunk = [0; CHUNK];
    let length = waiting.codec.decode(rest, &mut chunk).min(out.len() / times.max(1));
    let written = raise(chunk.get(..length).unwrap_or(&[]), times, out);
    (written, length >= rest.len())
}

/// Samples at a rate `times` as high, on lines between them: good enough for narrowband in the place of
/// wideband. Returns how many were written.
fn raise(from: &[i16], times: usize, out: &mut [i16]) -> usize {
    let nexts = from.iter().skip(1).chain(from.last());
    let steps = from.iter().zip(nexts).flat_map(|(a, b)| {
        let (a, b) = (i32::from(*a), i32::from(*b));
        (0..times as i32).map(move |step| (a + (b - a) * step / times as i32) as i16)
    });
    out.iter_mut().zip(steps).map(|(out, sample)| *out = sample).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{Encoder, PACKET_MAX, PAYLOAD_MAX, Rate};

    /// Nine seconds of something like speech.
    fn packets(codec: Codec) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(codec).unwrap();
        let (frame, rate_hz) = (codec.rate().frame(), f64::from(codec.rate_hz()));
        let mut phase = 0.0;
        (0..450)
            .map(|index| {
                let samples: Vec<i16> = (0..frame)
                    .map(|n| {
                        let at = (index * frame + n) as f64 / rate_hz;
                        phase += (140.0 + 50.0 * (at * 2.3).sin()) / rate_hz;
                        let loud = 5_000.0 * (0.55 + 0.45 * (at * 11.0).sin());
                        let wave: f64 = (1..12)
                            .map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin())
                            .sum();
                        (loud * wave / 4.0) as i16
                    })
                    .collect();
                let mut payload = vec![0; PAYLOAD_MAX];
                let bytes = encoder.encode(&samples, &mut payload);
                payload.truncate(bytes);
                payload
            })
            .collect()
    }

    /// Error of the first packet after ten that were passed over, in dB below it, when so many of them
    /// were decoded all the same.
    fn error_after(codec: Codec, run_up: usize) -> f64 {
        let packets = packets(codec);
        let (mut error, mut power) = (0.0, 0.0);
        for start in (100..430).step_by(30) {
            let mut whole = Decoder::new(codec).unwrap();
            let mut leapt = Decoder::new(codec).unwrap();
            let (mut expected, mut heard) = ([0; PACKET_MAX], [0; PACKET_MAX]);
            let end = start + 10;
            for (index, packet) in packets.iter().enumerate().take(end + 1) {
                let length = whole.decode(packet, &mut expected);
                if index < start || index + run_up >= end {
                    leapt.decode(packet, &mut heard);
                }
                if index == end {
                    for (a, b) in expected.iter().zip(heard).take(length) {
                        error += f64::from(i32::from(*a) - i32::from(b)).powi(2);
                        power += f64::from(*a).powi(2);
                    }
                }
            }
        }
        10.0 * (error.max(1.0) / power).log10()
    }

    #[test]
    fn a_decoder_that_runs_up_hears_what_one_hears_that_missed_nothing() {
        for (codec, enough) in [
            (Codec::G722, -30.0),
            (Codec::Opus(Rate::Wide), -24.0),
            (Codec::Opus(Rate::Full), -24.0),
        ] {
            let errors = [0, 1, 2, 4, RUN_UP as usize].map(|run_up| error_after(codec, run_up));
            println!("{codec:?}: {errors:.1?} dB");
            assert!(errors[4] < enough, "{codec:?}: {errors:?}");
        }
    }
}
