//! Tones of whole Hz at 8 kHz, whether they are heard, and µ-law.

pub const RATE_HZ: usize = 8_000;

/// A tone whose loop of a second closes.
pub fn tone(hz: u64, amplitude: f64) -> Vec<i16> {
    (0..RATE_HZ)
        .map(|n| {
            let turns = (hz as usize * n % RATE_HZ) as f64 / RATE_HZ as f64;
            (amplitude * (std::f64::consts::TAU * turns).sin()) as i16
        })
        .collect()
}

/// A square wave of 1 kHz.
pub fn pulse(amplitude: i16, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| if n / 4 % 2 == 0 { amplitude } else { -amplitude }).collect()
}

/// 100 ms: with its window, tones 37 Hz apart are told apart.
const BLOCK: usize = RATE_HZ / 10;

/// The usual amplitude of a frequency: the median of its blocks, because a jitter buffer that makes or
/// drops a frame moves the phase of all that follows.
pub fn amplitude_of(hz: u64, samples: &[i16]) -> f64 {
    let mut found: Vec<f64> =
        samples.chunks_exact(BLOCK).map(|block| block_amplitude(hz, block)).collect();
    found.sort_unstable_by(f64::total_cmp);
    found.get(found.len() / 2).copied().unwrap_or(0.0)
}

/// Goertzel under a Hann window.
fn block_amplitude(hz: u64, block: &[i16]) -> f64 {
    let tau = std::f64::consts::TAU;
    let step = 2.0 * (tau * hz as f64 / RATE_HZ as f64).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for (n, sample) in block.iter().enumerate() {
        let window = 1.0 - (tau * n as f64 / BLOCK as f64).cos();
        let now = f64::from(*sample) * window + step * last - before;
        (before, last) = (last, now);
    }
    let power = before * before + last * last - step * before * last;
    2.0 * power.max(0.0).sqrt() / BLOCK as f64
}

/// G.711 §3.2.
pub fn ulaw(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let biased = (sample.unsigned_abs().min(32_635) + 132) >> 3;
    let exponent = (biased.ilog2() as u8).saturating_sub(4);
    let mantissa = (biased >> exponent) as u8 & 0x0F;
    !(sign | exponent << 4 | mantissa)
}

/// The inverse of [`ulaw`].
pub fn linear(byte: u8) -> i16 {
    let bits = !byte;
    let magnitude = ((i32::from(bits & 0x0F) << 3) + 132) << ((bits >> 4) & 7);
    (if bits & 0x80 == 0 { magnitude - 132 } else { 132 - magnitude }) as i16
}
