//! Between the rates of legs and rooms: a polyphase FIR, a sinc under a Kaiser window. Pure.

use std::sync::LazyLock;

use crate::media::codec::Rate;
use crate::media::frame::TICKS_PER_SECOND;

/// Taps of each phase: twelve zero crossings on each side, at the lower of both rates.
const TAPS: usize = 24;
/// What lies beyond the lower rate's band is 76 dB down from 0.575 of that rate on.
const BETA: f64 = 7.5;
/// Of the lower rate's Nyquist frequency: 3 kHz passes at 8 kHz, 3.4 kHz is 1.6 dB down.
const CUTOFF: f64 = 0.92;
/// The highest quotient of two rates, 48 kHz to 8 kHz.
const PHASES_MAX: usize = 6;
/// Samples of the lower rate that are worked on at once.
const BLOCK: usize = 160;
/// Outputs that are summed side by side, so that the sums stay in registers.
const WIDTH: usize = 16;
const LANE: usize = BLOCK + TAPS;

type Phase = [f32; TAPS];

/// One signal's way from one rate to another: mono, 16 bits. Allocates nothing, ever.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: Rate,
    to: Rate,
    /// The last [`TAPS`] samples of the lower rate; of a higher input, all that make them.
    history: [i16; TAPS * PHASES_MAX],
}

impl Resampler {
    pub fn new(from: Rate, to: Rate) -> Self {
        // The table is made here, not on the tick.
        LazyLock::force(&TABLES);
        Self { from, to, history: [0; TAPS * PHASES_MAX] }
    }

    pub fn from(&self) -> Rate {
        self.from
    }

    pub fn to(&self) -> Rate {
        self.to
    }

    /// How much later the signal comes out, in samples of the rate it comes out at: 1.5 ms when one of
    /// both rates is 8 kHz, 0.75 ms between 16 and 48 kHz.
    pub fn delay_samples(&self) -> usize {
        match self.from.cmp(&self.to) {
            std::cmp::Ordering::Less => TAPS / 2 * self.quotient(),
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => TAPS / 2,
        }
    }

    /// Makes the past end with `history`, samples of the input's rate: what follows comes out as if it
    /// had been running all the time. What is older than `history` was silence.
    pub fn prime(&mut self, history: &[i16]) {
        let length = self.history_length();
        let kept = history.get(history.len().saturating_sub(length)..).unwrap_or(&[]);
        let past = self.history.get_mut(..length).unwrap_or(&mut []);
        let (before, recent) = past.split_at_mut(past.len() - kept.len());
        before.fill(0);
        recent.copy_from_slice(kept);
    }

    /// Silence went before.
    pub fn reset(&mut self) {
        self.history.fill(0);
    }

    /// The same signal goes to another rate from here on, without a break when both ways lead upwards.
    pub fn redirect(&mut self, to: Rate) {
        if self.from > self.to.min(to) {
            self.reset();
        }
        self.to = to;
    }

    /// A stretch of signal, of any length that is a whole number of samples at both rates (every tick
    /// is); `out` has room for exactly it. What one of both has too much stays untouched.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) {
        let quotient = self.quotient();
        match self.from.cmp(&self.to) {
            std::cmp::Ordering::Less => {
                let pairs = input.chunks(BLOCK).zip(out.chunks_mut(BLOCK * quotient));
                pairs.for_each(|(block, place)| self.rise(block, place, quotient));
            }
            std::cmp::Ordering::Equal => {
                out.iter_mut().zip(input).for_each(|(place, sample)| *place = *sample);
                self.remember(input);
            }
            std::cmp::Ordering::Greater => {
                let pairs = input.chunks(BLOCK * quotient).zip(out.chunks_mut(BLOCK));
                pairs.for_each(|(block, place)| self.fall(block, place, quotient));
            }
        }
    }

    /// Upwards: each phase of the filter gives every `quotient`-th sample.
    fn rise(&mut self, input: &[i16], out: &mut [i16], quotient: usize) {
        let mut lane = [0.0; LANE];
        fill(&mut lane, self.history.iter().take(TAPS).chain(input));
        let lane = lane.get(1..).unwrap_or(&[]);
        for (number, phase) in phases(quotient).iter().enumerate() {
            let places = out.iter_mut().skip(number).step_by(quotient);
            let mut sums = [0.0; BLOCK];
            convolve(phase, lane, &mut sums, input.len());
            places.zip(&sums).for_each(|(place, sum)| *place = rounded(*sum));
        }
        self.remember(input);
    }

    /// Downwards: every `quotient`-th sample of the input meets one phase of the filter.
    fn fall(&mut self, input: &[i16], out: &mut [i16], quotient: usize) {
        let length = input.len() / quotient;
        let mut sums = [0.0; BLOCK];
        for (number, phase) in phases(quotient).iter().enumerate() {
            // Phase p weighs samples that lie p before a multiple of the quotient; only phase 0 has
            // the newest multiple itself.
            let (place, skip) = if number == 0 { (0, 1) } else { (quotient - number, 0) };
            let past = self.history.iter().take(TAPS * quotient);
            let mut lane = [0.0; LANE];
            fill(&mut lane, past.chain(input).skip(place).step_by(quotient));
            convolve(phase, lane.get(skip..).unwrap_or(&[]), &mut sums, length);
        }
        let scale = 1.0 / quotient as f32;
        out.iter_mut().zip(&sums).for_each(|(place, sum)| *place = rounded(*sum * scale));
        self.remember(input);
    }

    fn remember(&mut self, input: &[i16]) {
        let length = self.history_length();
        let past = self.history.get_mut(..length).unwrap_or(&mut []);
        if let Some(recent) = input.get(input.len().wrapping_sub(length)..) {
            past.copy_from_slice(recent);
        } else {
            past.copy_within(input.len().min(length).., 0);
            let end = past.len() - input.len().min(past.len());
            past.get_mut(end..).unwrap_or(&mut []).copy_from_slice(input);
        }
    }

    fn history_length(&self) -> usize {
        if self.from > self.to { TAPS * self.quotient() } else { TAPS }
    }

    fn quotient(&self) -> usize {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        (high.hz() / low.hz()) as usize
    }
}

fn fill<'a>(lane: &mut [f32], samples: impl Iterator<Item = &'a i16>) {
    lane.iter_mut().zip(samples).for_each(|(place, sample)| *place = f32::from(*sample));
}

/// Adds to each of the first `length` sums its stretch of the lane weighed by the phase.
fn convolve(phase: &Phase, lane: &[f32], sums: &mut [f32; BLOCK], length: usize) {
    let (blocks, _) = sums.as_chunks_mut::<WIDTH>();
    for (number, block) in blocks.iter_mut().enumerate().take(length.div_ceil(WIDTH)) {
        let stretch = lane.get(number * WIDTH..).unwrap_or(&[]);
        let mut local = *block;
        for (tap, window) in phase.iter().zip(stretch.windows(WIDTH)) {
            local.iter_mut().zip(window).for_each(|(sum, sample)| *sum += tap * sample);
        }
        *block = local;
    }
}

/// To the nearest integer within 16 bits. The library's rounding is a call; adding 1.5 * 2^23 leaves
/// the integer in the low bits of the float.
fn rounded(value: f32) -> i16 {
    const MAGIC: f32 = 12_582_912.0;
    let bits = (value.clamp(-32_768.0, 32_767.0) + MAGIC).to_bits();
    bits.wrapping_sub(MAGIC.to_bits()) as i16
}

/// Phases of the quotients 2, 3 and 6, each with its newest sample last.
static TABLES: LazyLock<[Vec<Phase>; 3]> = LazyLock::new(|| [2, 3, 6].map(table));

fn phases(quotient: usize) -> &'static [Phase] {
    let [two, three, six] = &*TABLES;
    match quotient {
        2 => two,
        3 => three,
        _ => six,
    }
}

/// Each phase sums up to one: a constant stays constant, and the lower rate's multiples are zeros.
fn table(quotient: usize) -> Vec<Phase> {
    let centre = (TAPS / 2 * quotient) as f64;
    let weight = |index: usize| {
        let distance = (index as f64 - centre) / quotient as f64;
        let turn = std::f64::consts::PI * distance * CUTOFF;
        let sinc = if distance == 0.0 { 1.0 } else { turn.sin() / turn };
        let inside = 1.0 - (2.0 * distance / TAPS as f64).powi(2);
        // The filter is as long to the left as to the right of its centre.
        if index == 0 { 0.0 } else { sinc * bessel(BETA * inside.max(0.0).sqrt()) }
    };
    let phase = |number: usize| {
        let taps: [f64; TAPS] =
            std::array::from_fn(|place| weight(number + quotient * (TAPS - 1 - place)));
        let sum: f64 = taps.iter().sum();
        taps.map(|tap| (tap / sum) as f32)
    };
    (0..quotient).map(phase).collect()
}

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    (1..32).fold(1.0, |sum, k| {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum + term
    })
}

/// Brings frames to one rate, whatever rate they have.
#[derive(Clone, Debug)]
pub struct Fitting(Resampler);

impl Default for Fitting {
    fn default() -> Self {
        Self::new()
    }
}

impl Fitting {
    pub fn new() -> Self {
        Self(Resampler::new(Rate::Narrow, Rate::Narrow))
    }

    /// One tick; `out` has the recording's rate.
    pub fn fit(&mut self, frame: &[i16], out: &mut [i16]) {
        let rate = |length: usize| Rate::of(length as u32 * TICKS_PER_SECOND);
        let (Some(from), Some(to)) = (rate(frame.len()), rate(out.len())) else { return };
        if (self.0.from(), self.0.to()) != (from, to) {
            self.0 = Resampler::new(from, to);
        }
        self.0.process(frame, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rate::{Full, Narrow, Wide};

    const WAYS: [(Rate, Rate); 6] = [
        (Narrow, Wide),
        (Narrow, Full),
        (Wide, Full),
        (Wide, Narrow),
        (Full, Narrow),
        (Full, Wide),
    ];

    fn tone(rate: Rate, hz: f64, ticks: usize) -> Vec<i16> {
        let at = |n: usize| (std::f64::consts::TAU * hz * n as f64 / f64::from(rate.hz())).sin();
        (0..rate.frame() * ticks).map(|n| (at(n) * 16_000.0).round() as i16).collect()
    }

    fn resampled(resampler: &mut Resampler, input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; input.len() / resampler.from().frame() * resampler.to().frame()];
        let ticks = out.chunks_mut(resampler.to().frame());
        for (tick, place) in input.chunks(resampler.from().frame()).zip(ticks) {
            resampler.process(tick, place);
        }
        out
    }

    fn mean_square(samples: impl Iterator<Item = f64> + Clone) -> f64 {
        samples.clone().map(|it| it * it).sum::<f64>() / samples.count() as f64
    }

    fn db(ratio: f64) -> f64 {
        10.0 * ratio.log10()
    }

    #[test]
    fn tones_of_the_band_pass_and_come_exactly_as_late_as_said() {
        for (from, to) in WAYS {
            let band = f64::from(from.min(to).hz()) / 8_000.0;
            for hz in [300.0, 1_000.0, 2_000.0, 2_500.0] {
                let mut resampler = Resampler::new(from, to);
                let out = resampled(&mut resampler, &tone(from, hz * band, 20));
                let late = resampler.delay_samples();
                let expected = tone(to, hz * band, 20);

                let pairs = out.iter().skip(late + 500).zip(expected.iter().skip(500));
                let error = pairs.map(|(a, b)| f64::from(*a) - f64::from(*b));
                let signal = expected.iter().map(|it| f64::from(*it));
                let snr = db(mean_square(signal) / mean_square(error));
                assert!(snr > 72.0, "{hz} Hz, {from:?} to {to:?}: {snr:.1} dB");
            }
            assert!(Resampler::new(from, to).delay_samples() * 2_000 <= to.hz() as usize * 3);
        }
    }

    #[test]
    fn the_telephone_band_stays_and_aliases_and_images_are_gone() {
        for (from, to) in WAYS {
            let band = f64::from(from.min(to).hz()) / 8_000.0;
            let gain = |hz: f64| {
                let input = tone(from, hz * band, 40);
                let out = resampled(&mut Resampler::new(from, to), &input);
                let power = |samples: &[i16]| {
                    mean_square(samples[samples.len() / 4..].iter().map(|it| f64::from(*it)))
                };
                db(power(&out) / power(&input))
            };
            assert!(gain(3_000.0).abs() < 0.1, "{from:?} to {to:?}: {}", gain(3_000.0));
            assert!((-2.0..0.1).contains(&gain(3_400.0)), "{from:?} to {to:?}: {}", gain(3_400.0));
            if from > to {
                // Rounding to 16 bits is -95 dB of this tone.
                for hz in (4_600..from.hz() / 2).step_by(437) {
                    let hz = f64::from(hz);
                    if hz * band < f64::from(from.hz()) / 2.0 {
                        assert!(gain(hz) < -75.0, "{hz} Hz, {from:?} to {to:?}: {}", gain(hz));
                    }
                }
            }
        }
    }

    #[test]
    fn images_of_a_tone_stay_seventy_five_decibels_below_it() {
        for (from, to) in [(Narrow, Wide), (Narrow, Full), (Wide, Full)] {
            let hz = f64::from(from.hz()) * 0.4;
            let out = resampled(&mut Resampler::new(from, to), &tone(from, hz, 50));
            // A second of signal: whole hertz are whole turns.
            let power = |hz: f64| {
                let turn = std::f64::consts::TAU * hz / f64::from(to.hz());
                let (mut re, mut im) = (0.0, 0.0);
                for (n, sample) in out.iter().skip(out.len() / 2).enumerate() {
                    re += f64::from(*sample) * (turn * n as f64).cos();
                    im += f64::from(*sample) * (turn * n as f64).sin();
                }
                re * re + im * im
            };
            let mut image = f64::from(from.hz()) - hz;
            while image < f64::from(to.hz()) / 2.0 {
                let below = db(power(image) / power(hz));
                assert!(below < -75.0, "{from:?} to {to:?} at {image} Hz: {below:.1} dB");
                image += f64::from(from.hz());
            }
        }
    }

    #[test]
    fn the_pieces_it_comes_in_do_not_matter() {
        for (from, to) in WAYS {
            let input: Vec<i16> =
                tone(from, 700.0, 12).iter().map(|it| it.wrapping_mul(3)).collect();
            let whole = resampled(&mut Resampler::new(from, to), &input);

            let mut pieces = vec![0; whole.len()];
            let mut resampler = Resampler::new(from, to);
            // In units of the lower rate's samples: single ones, odd numbers, several ticks at once.
            let low = from.min(to).hz();
            let (step_in, step_out) = ((from.hz() / low) as usize, (to.hz() / low) as usize);
            let (mut at, mut sizes) = (0, [1, 7, 160, 23, 24, 25, 1, 480, 333].iter().cycle());
            while at < input.len() / step_in {
                let size = (*sizes.next().unwrap()).min(input.len() / step_in - at);
                let piece = &input[at * step_in..(at + size) * step_in];
                resampler.process(piece, &mut pieces[at * step_out..(at + size) * step_out]);
                at += size;
            }

            assert!(whole == pieces, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_primed_start_goes_on_as_if_it_had_always_run() {
        for (from, to) in WAYS {
            let input = tone(from, 440.0, 6);
            let (before, after) = input.split_at(3 * from.frame());
            let always = resampled(&mut Resampler::new(from, to), &input);

            let mut primed = Resampler::new(from, to);
            primed.prime(&tone(from, 3_000.0, 1));
            primed.prime(before);
            let out = resampled(&mut primed, after);

            assert!(always.ends_with(&out), "{from:?} to {to:?}");
            primed.prime(&[]);
            assert_eq!(primed.history, Resampler::new(from, to).history);
        }
    }

    #[test]
    fn full_scale_is_limited_not_wrapped_and_a_constant_stays() {
        for (from, to) in WAYS {
            let square: Vec<i16> = (0..from.frame() * 4)
                .map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN })
                .collect();
            let out = resampled(&mut Resampler::new(from, to), &square);
            let quiet: Vec<i16> = square.iter().map(|sample| sample / 4).collect();
            let quiet = resampled(&mut Resampler::new(from, to), &quiet);
            for (loud, quiet) in out.iter().zip(quiet) {
                let expected = (i32::from(quiet) * 4).clamp(-32_768, 32_767);
                assert!(i32::from(*loud).abs_diff(expected) < 8, "{from:?} to {to:?}");
            }

            let level = vec![i16::MIN; from.frame() * 2];
            let out = resampled(&mut Resampler::new(from, to), &level);
            assert!(out[to.frame()..].iter().all(|it| *it == i16::MIN), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn equal_rates_are_a_copy() {
        let mut resampler = Resampler::new(Wide, Wide);
        let input = tone(Wide, 900.0, 2);
        assert_eq!(resampled(&mut resampler, &input), input);
        assert_eq!(resampler.delay_samples(), 0);
    }
}
