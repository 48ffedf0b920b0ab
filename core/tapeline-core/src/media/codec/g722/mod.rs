//! ITU-T G.722 at 64 kbit/s: two sub-bands of ADPCM under a quadrature mirror filter. A byte is two
//! samples of 16 kHz: two bits of the upper band, six of the lower. Small states, kept inline.

mod band;
mod tables;

use band::{Band, HIGH, LOW, limited};
use tables::{
    HIGH_DECISION, HIGH_LOG_STEPS, HIGH_MULTIPLIERS, LOW_DECISIONS, LOW_LEVELS, LOW_LOG_STEPS,
    LOW_MULTIPLIERS_4, LOW_MULTIPLIERS_6, QMF,
};

/// Bytes worked on at once: a tick.
const BLOCK: usize = 160;
/// Samples that the mirror filter looks back from a new pair.
const PAST: usize = QMF.len() * 2 - 2;

/// Samples to bytes.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    low: Band,
    high: Band,
    past: [i16; PAST],
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self { low: Band::new(LOW), high: Band::new(HIGH), past: [0; PAST] }
    }
}

impl G722Encoder {
    /// Pairs of samples to a byte each, as many as both have room for; returns the bytes written.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let pieces = samples.chunks(BLOCK * 2).zip(out.chunks_mut(BLOCK));
        pieces.map(|(piece, place)| self.encode_block(piece, place)).sum()
    }

    fn encode_block(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let mut signal = [0; PAST + BLOCK * 2];
        let bytes = (samples.len() / 2).min(out.len());
        extend(&mut signal, &self.past, samples);
        for (pair, byte) in signal.windows(QMF.len() * 2).step_by(2).zip(out.iter_mut().take(bytes))
        {
            let (odd, even) = mirrored(pair);
            let low = self.encode_low((even + odd) >> 14);
            let high = self.encode_high((even - odd) >> 14);
            *byte = high << 6 | low;
        }
        self.past = tail(&signal, bytes * 2);
        bytes
    }

    /// QUANTL, INVQAL
    #[inline]
    fn encode_low(&mut self, sample: i32) -> u8 {
        let error = limited(sample - self.low.estimate());
        let magnitude = if error < 0 { -(error + 1) } else { error };
        let scale = self.low.scale();
        let level = level_of(magnitude as u16, scale as u32);
        let code = match (error < 0, level) {
            (true, 0..=1) => 63 - level,
            (true, _) => 33 - level,
            (false, _) => 61 - level,
        };
        let coarse = usize::from(code >> 2);
        let difference = self.low.dequantised(entry(&LOW_MULTIPLIERS_4, coarse));
        self.low.adapt(difference, entry(&LOW_LOG_STEPS, coarse));
        code
    }

    /// QUANTH, INVQAH
    #[inline]
    fn encode_high(&mut self, sample: i32) -> u8 {
        let error = limited(sample - self.high.estimate());
        let magnitude = if error < 0 { -(error + 1) } else { error };
        let is_far = magnitude >= (HIGH_DECISION * self.high.scale()) >> 12;
        let code = if error < 0 { 1 } else { 3 } - u8::from(is_far);
        let difference = self.high.dequantised(entry(&HIGH_MULTIPLIERS, usize::from(code)));
        self.high.adapt(difference, entry(&HIGH_LOG_STEPS, usize::from(code)));
        code
    }
}

/// Bytes to samples.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    low: Band,
    high: Band,
    /// Sums and differences of the sub-bands, alternating.
    past: [i16; PAST],
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self { low: Band::new(LOW), high: Band::new(HIGH), past: [0; PAST] }
    }
}

impl G722Decoder {
    /// Two samples for each byte, as many as `out` has room for; returns how many.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let pieces = payload.chunks(BLOCK).zip(out.chunks_mut(BLOCK * 2));
        pieces.map(|(piece, place)| self.decode_block(piece, place)).sum()
    }

    fn decode_block(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let mut bands = [0; BLOCK * 2];
        let bytes = payload.len().min(out.len() / 2);
        let (pairs, _) = bands.as_chunks_mut::<2>();
        for (byte, pair) in payload.iter().take(bytes).zip(pairs) {
            let low = self.decode_low(usize::from(byte & 0x3f));
            let high = self.decode_high(usize::from(byte >> 6));
            // Both are of 15 bits, so these are of 16.
            *pair = [(low + high) as i16, (low - high) as i16];
        }
        let mut signal = [0; PAST + BLOCK * 2];
        extend(&mut signal, &self.past, &bands);
        let (places, _) = out.as_chunks_mut::<2>();
        let windows = signal.windows(QMF.len() * 2).step_by(2);
        for (window, place) in windows.zip(places.iter_mut().take(bytes)) {
            let (odd, even) = mirrored(window);
            *place = [limited(even >> 11) as i16, limited(odd >> 11) as i16];
        }
        self.past = tail(&signal, bytes * 2);
        bytes * 2
    }

    /// INVQBL, RECONS, LIMIT; INVQAL
    #[inline]
    fn decode_low(&mut self, code: usize) -> i32 {
        let fine = self.low.dequantised(entry(&LOW_MULTIPLIERS_6, code));
        let sample = (self.low.estimate() + fine).clamp(-16_384, 16_383);
        let coarse = code >> 2;
        let difference = self.low.dequantised(entry(&LOW_MULTIPLIERS_4, coarse));
        self.low.adapt(difference, entry(&LOW_LOG_STEPS, coarse));
        sample
    }

    /// INVQAH, RECONS, LIMIT
    #[inline]
    fn decode_high(&mut self, code: usize) -> i32 {
        let difference = self.high.dequantised(entry(&HIGH_MULTIPLIERS, code));
        let sample = (self.high.estimate() + difference).clamp(-16_384, 16_383);
        self.high.adapt(difference, entry(&HIGH_LOG_STEPS, code));
        sample
    }
}

/// How many decision levels, at this scale, a magnitude reaches. Counting all of them is faster than a
/// search: it is done side by side. The three that fill the vector lie above all real ones.
#[inline]
fn level_of(magnitude: u16, scale: u32) -> u8 {
    let reached = |it: &u16| u16::from(magnitude >= ((u32::from(*it) * scale) >> 16) as u16);
    LOW_DECISIONS.iter().map(reached).sum::<u16>().min(LOW_LEVELS) as u8
}

/// The two halves of the mirror filter over twelve pairs: over the first samples of each, over the
/// second ones with the filter turned round.
#[inline]
fn mirrored(window: &[i16]) -> (i32, i32) {
    let (pairs, _) = window.as_chunks::<2>();
    let taps = QMF.iter().zip(QMF.iter().rev());
    pairs.iter().zip(taps).fold((0, 0), |(first, second), (pair, (tap, turned))| {
        let [a, b] = pair.map(i32::from);
        (first + a * tap, second + b * turned)
    })
}

fn extend(signal: &mut [i16], past: &[i16; PAST], samples: &[i16]) {
    signal.iter_mut().zip(past.iter().chain(samples)).for_each(|(place, it)| *place = *it);
}

fn tail(signal: &[i16], from: usize) -> [i16; PAST] {
    let mut past = [0; PAST];
    past.iter_mut().zip(signal.iter().skip(from)).for_each(|(place, it)| *place = *it);
    past
}

#[inline]
fn entry<const N: usize>(table: &[i32; N], at: usize) -> i32 {
    table.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
