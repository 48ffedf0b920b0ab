//! Brings a mono signal from any rate to another: a sinc under a Kaiser window, looked up in a table.

use std::sync::LazyLock;

/// Zero crossings on each side; with β 7 what lies beyond the new band is 70 dB down.
const CROSSINGS: usize = 12;
const BETA: f64 = 7.0;
/// Table entries between two zero crossings; between entries it is linear.
const STEPS: usize = 512;
/// Of the lower Nyquist frequency: room for the filter's slope.
const CUTOFF: f64 = 0.92;

pub struct Resampler {
    /// Input samples for one of output.
    step: f64,
    /// The kernel's own rate, 1 for what goes up.
    scale: f64,
    half: usize,
    table: &'static [f32],
    /// Input that is still needed, from `half` samples before `position` on.
    history: Vec<f32>,
    /// Of the next output, in `history`.
    position: f64,
}

impl Resampler {
    /// `None` when there is nothing to do.
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        if from_hz == to_hz {
            return None;
        }
        let step = f64::from(from_hz) / f64::from(to_hz.max(1));
        let scale = CUTOFF / step.max(1.0);
        let half = (CROSSINGS as f64 / scale).ceil() as usize;
        let history = vec![0.0; half];
        Some(Self { step, scale, half, table: &TABLE, history, position: half as f64 })
    }

    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.history.extend_from_slice(input);
        while self.position + (self.half as f64) < self.history.len() as f64 {
            out.push(self.sample());
            self.position += self.step;
        }
        let done = (self.position as usize).saturating_sub(self.half).min(self.history.len());
        self.history.drain(..done);
        self.position -= done as f64;
    }

    /// The end of the signal: what is still inside.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let silence = vec![0.0; self.half];
        self.process(&silence, out);
    }

    fn sample(&self) -> f32 {
        let whole = self.position as usize;
        let part = self.position - whole as f64;
        let first = (whole + 1).saturating_sub(self.half);
        let taps = self.history.iter().enumerate().skip(first).take(2 * self.half);
        let sum: f64 = taps
            .map(|(at, sample)| {
                let distance = (at as f64 - whole as f64 - part).abs() * self.scale;
                f64::from(*sample) * self.kernel(distance)
            })
            .sum();
        (sum * self.scale) as f32
    }

    /// `distance` in zero crossings.
    fn kernel(&self, distance: f64) -> f64 {
        let place = distance * STEPS as f64;
        let index = place as usize;
        let at = |index: usize| f64::from(self.table.get(index).copied().unwrap_or(0.0));
        let (here, next) = (at(index), at(index + 1));
        here + (next - here) * (place - index as f64)
    }
}

static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let entry = |index: usize| {
        let distance = index as f64 / STEPS as f64;
        let turn = std::f64::consts::PI * distance;
        let sinc = if index == 0 { 1.0 } else { turn.sin() / turn };
        let inside = 1.0 - (distance / CROSSINGS as f64).powi(2);
        (sinc * bessel(BETA * inside.max(0.0).sqrt()) / bessel(BETA)) as f32
    };
    (0..=CROSSINGS * STEPS).map(entry).collect()
});

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    (1..32).fold(1.0, |sum, k| {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum + term
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate_hz: u32, hz: f64, seconds: usize) -> Vec<f32> {
        let at = |n: usize| (std::f64::consts::TAU * hz * n as f64 / f64::from(rate_hz)).sin();
        (0..rate_hz as usize * seconds).map(|n| at(n) as f32 * 0.5).collect()
    }

    fn resampled(rate_hz: u32, input: &[f32]) -> Vec<f32> {
        let mut resampler = Resampler::new(rate_hz, 8_000).unwrap();
        let mut out = Vec::new();
        // In pieces of any size, as decoders give them.
        for piece in input.chunks(577) {
            resampler.process(piece, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    #[test]
    fn tones_of_the_band_pass_and_keep_their_place_and_length() {
        for rate_hz in [8_001, 11_025, 12_000, 16_000, 22_050, 32_000, 44_100, 48_000] {
            for hz in [300.0, 1_000.0, 3_000.0] {
                let out = resampled(rate_hz, &tone(rate_hz, hz, 1));
                let expected = tone(8_000, hz, 1);

                assert!(out.len().abs_diff(8_000) <= 1, "{rate_hz}: {}", out.len());
                let pairs = || out.iter().zip(&expected).skip(200).take(7_600);
                let error: f32 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
                let signal: f32 = pairs().map(|(_, b)| b.powi(2)).sum();
                let snr_db = 10.0 * (signal / error).log10();
                assert!(snr_db > 50.0, "{hz} Hz at {rate_hz}: {snr_db} dB");
            }
        }
    }

    #[test]
    fn what_the_band_cannot_hold_is_gone() {
        for rate_hz in [16_000, 44_100, 48_000] {
            let out = resampled(rate_hz, &tone(rate_hz, 5_000.0, 1));
            let peak = out[200..7_800].iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
            assert!(peak < 0.5 / 1_000.0, "{rate_hz}: {peak}");
        }
    }
}
