//! Packet-loss concealment: the last pitch period is repeated and fades away. Pure.

/// Twice the longest pitch period and the window that finds it.
const HISTORY_MS: u32 = 60;
/// Pitch between 62 and 400 Hz.
const PITCH_MIN_US: u32 = 2_500;
const PITCH_MAX_US: u32 = 16_000;
const WINDOW_US: u32 = 10_000;
/// Full level for so long, then a straight line down to silence.
const HOLD_MS: u32 = 20;
const FADE_MS: u32 = 40;
/// The first good samples are blended with the concealment's continuation.
const BLEND_MS: u32 = 5;
const BLEND_MAX: usize = 240;
/// The pitch is looked for at about this rate, then around what was found.
const SEARCH_HZ: u32 = 16_000;

pub struct Concealer {
    rate_hz: u32,
    /// The newest samples, oldest first.
    history: Box<[i16]>,
    /// Pitch period in samples while concealing, else 0.
    lag: usize,
    /// Concealed samples since the last good one.
    concealed: u32,
}

impl Concealer {
    /// Allocates its history.
    pub fn new(rate_hz: u32) -> Self {
        let history = vec![0; (rate_hz / 1_000 * HISTORY_MS) as usize].into();
        Self { rate_hz, history, lag: 0, concealed: 0 }
    }

    fn samples(&self, microseconds: u32) -> usize {
        (u64::from(self.rate_hz) * u64::from(microseconds) / 1_000_000) as usize
    }

    /// Good audio: remembers it and, after a loss, blends its start with what was made up.
    pub fn pass(&mut self, samples: &mut [i16]) {
        if self.lag != 0 {
            let blend = self.samples(BLEND_MS * 1_000).min(samples.len()).min(BLEND_MAX);
            let mut made_up = [0_i16; BLEND_MAX];
            if let Some(made_up) = made_up.get_mut(..blend) {
                self.extend(made_up);
                self.fade(made_up);
                for (index, (sample, other)) in samples.iter_mut().zip(made_up).enumerate() {
                    let (new, old) = (index as i32 + 1, (blend - index) as i32);
                    let mixed = i32::from(*sample) * new + i32::from(*other) * old;
                    *sample = (mixed / (new + old)) as i16;
                }
            }
            self.lag = 0;
            self.concealed = 0;
        }
        self.remember(samples);
    }

    /// Fills a gap.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.lag == 0 {
            self.lag = self.find_pitch();
        }
        self.extend(out);
        self.remember(out);
        self.fade(out);
    }

    /// One more frame like the last, unfaded: used to insert time where it is quiet.
    pub fn repeat(&mut self, out: &mut [i16]) {
        let start = self.history.len().saturating_sub(out.len());
        for (out, sample) in out.iter_mut().zip(self.history.get(start..).unwrap_or(&[])) {
            *out = *sample;
        }
        self.remember(out);
    }

    /// True when the concealment has faded to silence.
    pub fn is_silent(&self) -> bool {
        self.concealed >= (HOLD_MS + FADE_MS) * self.rate_hz / 1_000
    }

    /// What follows is not blended with what was made up.
    pub fn settle(&mut self) {
        (self.lag, self.concealed) = (0, 0);
    }

    /// Forgets the signal: what follows belongs to something else.
    pub fn restart(&mut self) {
        self.history.fill(0);
        (self.lag, self.concealed) = (0, 0);
    }

    /// Samples that somebody else made up.
    pub fn remember(&mut self, samples: &[i16]) {
        let kept = self.history.len().saturating_sub(samples.len());
        self.history.copy_within(self.history.len() - kept.., 0);
        let newest = samples.get(samples.len().saturating_sub(self.history.len())..);
        if let (Some(place), Some(newest)) = (self.history.get_mut(kept..), newest) {
            place.copy_from_slice(newest);
        }
    }

    /// Goes on with the period that ends the history.
    fn extend(&self, out: &mut [i16]) {
        let start = self.history.len().saturating_sub(self.lag.max(1));
        let period = self.history.get(start..).unwrap_or(&[]);
        for (out, sample) in out.iter_mut().zip(period.iter().cycle()) {
            *out = *sample;
        }
    }

    fn fade(&mut self, out: &mut [i16]) {
        let hold = HOLD_MS * self.rate_hz / 1_000;
        let fade = (FADE_MS * self.rate_hz / 1_000).max(1);
        for sample in out {
            let into_fade = self.concealed.saturating_sub(hold).min(fade);
            *sample = (i64::from(*sample) * i64::from(fade - into_fade) / i64::from(fade)) as i16;
            self.concealed = self.concealed.saturating_add(1);
        }
    }

    /// The lag whose past looks most like the newest window.
    fn find_pitch(&self) -> usize {
        let size = self.history.len();
        let window = self.samples(WINDOW_US).min(size / 3);
        let longest = self.samples(PITCH_MAX_US).min(size - window);
        let shortest = self.samples(PITCH_MIN_US).clamp(1, longest.max(1));
        let step = (self.rate_hz / SEARCH_HZ).max(1) as usize;
        let found = self.best_lag(window, (shortest..=longest).step_by(step), step);
        if step == 1 {
            return found;
        }
        let around = found.saturating_sub(step - 1).max(shortest)..=(found + step - 1).min(longest);
        self.best_lag(window, around, 1)
    }

    /// By normalised correlation, of every `step`th sample.
    fn best_lag(&self, window: usize, lags: impl Iterator<Item = usize>, step: usize) -> usize {
        let size = self.history.len();
        let newest = self.history.get(size - window..).unwrap_or(&[]);
        let mut best = (f32::MIN, 1);
        for lag in lags {
            let start = (size - window).saturating_sub(lag);
            let past = self.history.get(start..start + window).unwrap_or(&[]);
            let (mut product, mut energy) = (0.0_f32, 1.0_f32);
            for (a, b) in newest.iter().zip(past).step_by(step) {
                product += f32::from(*a) * f32::from(*b);
                energy += f32::from(*b) * f32::from(*b);
            }
            let likeness = product.max(0.0) * product / energy;
            if likeness > best.0 {
                best = (likeness, lag);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, from: usize, count: usize) -> Vec<i16> {
        (from..from + count)
            .map(|n| (10_000.0 * (std::f32::consts::TAU * hz * n as f32 / 8_000.0).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_lost_frame_of_a_tone_is_the_tone() {
        for hz in [80.0, 200.0, 317.0, 1_000.0] {
            let mut concealer = Concealer::new(8_000);
            for frame in 0..5 {
                concealer.pass(&mut tone(hz, frame * 160, 160));
            }
            let (expected, mut made_up) = (tone(hz, 800, 160), [0; 160]);
            concealer.conceal(&mut made_up);
            let error: f64 = expected
                .iter()
                .zip(made_up)
                .map(|(a, b)| f64::from(i32::from(*a) - i32::from(b)).powi(2))
                .sum();
            let signal: f64 = expected.iter().map(|a| f64::from(*a).powi(2)).sum();
            assert!(error / signal < 0.15, "{hz}: {}", error / signal);
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_within_60_ms() {
        let mut concealer = Concealer::new(8_000);
        for frame in 0..5 {
            concealer.pass(&mut tone(200.0, frame * 160, 160));
        }
        let peaks: Vec<u16> = (0..4)
            .map(|_| {
                let mut out = [0; 160];
                concealer.conceal(&mut out);
                out.iter().map(|sample| sample.unsigned_abs()).max().unwrap()
            })
            .collect();
        assert!(peaks[0] > 9_000 && peaks[1] < 10_000 && peaks[2] < peaks[1], "{peaks:?}");
        assert_eq!(peaks[3], 0);
        assert!(concealer.is_silent());
    }

    #[test]
    fn good_audio_passes_untouched_and_a_return_has_no_click() {
        let mut concealer = Concealer::new(8_000);
        let mut frame = tone(200.0, 0, 160);
        concealer.pass(&mut frame);
        assert_eq!(frame, tone(200.0, 0, 160));
        for n in 1..3 {
            concealer.pass(&mut tone(200.0, n * 160, 160));
        }

        let mut out = [0; 160];
        concealer.conceal(&mut out);
        let mut back = tone(200.0, 640 + 13, 160); // the sender's phase has moved
        concealer.pass(&mut back);
        let jump = (i32::from(back[0]) - i32::from(out[159])).abs();
        assert!(jump < 2_600, "{jump}");
        assert_eq!(back[60..], tone(200.0, 653, 160)[60..]);
    }

    #[test]
    fn nothing_heard_gives_nothing() {
        let mut concealer = Concealer::new(8_000);
        let mut out = [1; 160];
        concealer.conceal(&mut out);
        assert_eq!(out, [0; 160]);
    }
}
