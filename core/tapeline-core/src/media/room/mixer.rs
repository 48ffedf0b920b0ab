//! A room at one rate: the sum of what is said to all, the whole mix, and that mix at other rates. Pure.

use crate::media::codec::Rate;
use crate::media::frame::{FRAME_MAX, TICK_MS, energy};
use crate::media::resample::Resampler;
use crate::media::room::limiter::Limiter;

/// A change of rate: what was is heard for so long, while the new filters fill, then both are blended.
const KEPT_MS: usize = 5;
const BLENDED_MS: usize = 5;

/// The whole mix at one rate.
struct Mix {
    /// From the room's rate, as it is now and as it was before this tick.
    resampler: Resampler,
    before: Resampler,
    samples: [i16; FRAME_MAX],
    energy: u64,
    is_wanted: bool,
}

/// Made off the tick. 65,536 full-scale talkers fit into its sum.
pub struct Mixer {
    rate: Rate,
    sum: [i32; FRAME_MAX],
    limiter: Limiter,
    /// By rate.
    mixes: [Mix; Rate::ALL.len()],
}

impl Mixer {
    pub fn new() -> Self {
        let same = Resampler::new(Rate::Narrow, Rate::Narrow);
        let mix = || Mix {
            resampler: same.clone(),
            before: same.clone(),
            samples: [0; FRAME_MAX],
            energy: 0,
            is_wanted: false,
        };
        Self {
            rate: Rate::Narrow,
            sum: [0; FRAME_MAX],
            limiter: Limiter::default(),
            mixes: [mix(), mix(), mix()],
        }
    }

    /// Begins anew; a mixer that goes on from another keeps its gain.
    pub fn open(&mut self, rate: Rate, limiter: Limiter) {
        self.rate = rate;
        self.limiter = limiter;
        for mix in &mut self.mixes {
            mix.is_wanted = false;
            mix.samples.fill(0);
        }
        self.clear();
    }

    pub fn rate(&self) -> Rate {
        self.rate
    }

    pub fn limiter(&self) -> Limiter {
        self.limiter
    }

    pub fn clear(&mut self) {
        self.sum_mut().fill(0);
    }

    pub fn sum(&self) -> &[i32] {
        self.sum.get(..self.rate.frame()).unwrap_or(&[])
    }

    pub fn sum_mut(&mut self) -> &mut [i32] {
        self.sum.get_mut(..self.rate.frame()).unwrap_or(&mut [])
    }

    pub fn add(&mut self, frame: &[i16]) {
        for (sum, sample) in self.sum_mut().iter_mut().zip(frame) {
            *sum += i32::from(*sample);
        }
    }

    /// Makes the whole mix of this tick, once for all who take it at a rate.
    pub fn blend(&mut self, wanted: [bool; Rate::ALL.len()]) {
        let Self { rate, sum, limiter, mixes } = self;
        let mut whole = [0; FRAME_MAX];
        let (Some(whole), Some(sum)) = (whole.get_mut(..rate.frame()), sum.get(..rate.frame()))
        else {
            return;
        };
        limiter.apply(sum, whole);
        for ((to, mix), is_wanted) in Rate::ALL.into_iter().zip(mixes).zip(wanted) {
            if to == *rate {
                mix.put(to, |samples| samples.copy_from_slice(whole));
            } else if is_wanted {
                if !mix.is_wanted || mix.resampler.from() != *rate {
                    mix.resampler = Resampler::new(*rate, to);
                }
                mix.before.clone_from(&mix.resampler);
                let Mix { resampler, .. } = mix;
                let mut resampler = resampler.clone();
                mix.put(to, |samples| resampler.process(whole, samples));
                mix.resampler = resampler;
            }
            mix.is_wanted = is_wanted;
        }
    }

    /// This tick's mix begins as `former`'s, which had another rate until now.
    pub fn blend_in(&mut self, former: &Self) {
        for (rate, mix) in Rate::ALL.into_iter().zip(&mut self.mixes) {
            mix.put(rate, |samples| blend_in(former.mix(rate), samples));
        }
    }

    /// What [`Mixer::blend`] made at the room's own rate or one that was wanted.
    pub fn mix(&self, rate: Rate) -> &[i16] {
        let mix = self.mixes.get(rate as usize);
        mix.and_then(|mix| mix.samples.get(..rate.frame())).unwrap_or(&[])
    }

    /// Sum of squares of [`Mixer::mix`].
    pub fn energy(&self, rate: Rate) -> u64 {
        self.mixes.get(rate as usize).map_or(0, |mix| mix.energy)
    }

    /// The filter of the mix at another rate, before [`Mixer::blend`]; `None`: it is not made.
    pub fn filter(&self, rate: Rate) -> Option<&Resampler> {
        let mix = self.mixes.get(rate as usize)?;
        (mix.is_wanted && rate != self.rate).then_some(&mix.resampler)
    }

    /// A mix of this tick that lacks something, as it would be had the others lacked it too.
    pub fn variant(&self, mixed: &[i16], rate: Rate, out: &mut [i16]) {
        match self.mixes.get(rate as usize) {
            Some(mix) if rate != self.rate => mix.before.clone().process(mixed, out),
            _ => out.iter_mut().zip(mixed).for_each(|(out, sample)| *out = *sample),
        }
    }
}

impl Mix {
    fn put(&mut self, rate: Rate, make: impl FnOnce(&mut [i16])) {
        let samples = self.samples.get_mut(..rate.frame()).unwrap_or(&mut []);
        make(samples);
        self.energy = energy(samples);
    }
}

/// One tick of a signal that came another way until now: it begins as `former` and ends as it is.
pub fn blend_in(former: &[i16], now: &mut [i16]) {
    let per_ms = now.len() / TICK_MS as usize;
    let (kept, blended) = (KEPT_MS * per_ms, BLENDED_MS * per_ms);
    for (index, (now, former)) in now.iter_mut().zip(former).take(kept + blended).enumerate() {
        let weight = (index.saturating_sub(kept)) as i32;
        let whole = blended as i32;
        let sum = i32::from(*former) * (whole - weight) + i32::from(*now) * weight;
        *now = (sum / whole.max(1)) as i16;
    }
}
