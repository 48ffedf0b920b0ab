//! The tone that says "recording": 1 kHz for 300 ms, without a click at its ends. Pure.

pub const BEEP_MS: u32 = 300;
const HZ: u32 = 1_000;
/// Its ends rise and fall in 5 ms.
const RAMPS_PER_SECOND: u32 = 200;

/// Silent until started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beep {
    rate_hz: u32,
    amplitude: f32,
    /// Of a turn, in parts of `rate_hz`.
    phase: u32,
    /// Samples that have sounded, and those that will.
    done: u32,
    left: u32,
    /// `phase`, `done` and `left` before the last samples.
    before: (u32, u32, u32),
}

impl Beep {
    /// Samples of a whole beep.
    pub fn samples(rate_hz: u32) -> u32 {
        rate_hz / 1_000 * BEEP_MS
    }

    /// Sounds for 300 ms from now on, with a peak of `level_cdb` hundredths of dB below full scale. One
    /// that sounds already goes on without a break, as loud as it is.
    pub fn start(&mut self, rate_hz: u32, level_cdb: i32) {
        if self.left == 0 {
            (self.phase, self.done) = (0, 0);
            self.amplitude = 32_767.0 * 10_f32.powf(level_cdb.min(0) as f32 / 2_000.0);
        }
        self.rate_hz = rate_hz.max(1);
        self.left = Self::samples(rate_hz);
    }

    /// Goes on at another rate.
    pub fn change_rate(&mut self, rate_hz: u32) {
        let (from, to) = (self.rate_hz.max(1), rate_hz.max(1));
        let scaled = |count: u32| (u64::from(count) * u64::from(to) / u64::from(from)) as u32;
        (self.phase, self.done, self.left) =
            (scaled(self.phase), scaled(self.done), scaled(self.left));
        self.rate_hz = to;
    }

    pub fn is_sounding(&self) -> bool {
        self.left > 0
    }

    /// Adds the next samples. To be called every tick.
    pub fn add_to(&mut self, sum: &mut [i32]) {
        self.before = (self.phase, self.done, self.left);
        let ramp = (self.rate_hz / RAMPS_PER_SECOND).max(1);
        for sample in sum.iter_mut().take(self.left as usize) {
            let turn = self.phase as f32 / self.rate_hz as f32;
            let gain = self.done.min(self.left).min(ramp) as f32 / ramp as f32;
            *sample += (self.amplitude * gain * (std::f32::consts::TAU * turn).sin()) as i32;
            self.phase = (self.phase + HZ) % self.rate_hz;
            self.done = self.done.saturating_add(1);
            self.left -= 1;
        }
    }

    /// Whether the last samples had a sound.
    pub fn has_sounded(&self) -> bool {
        self.before.2 > 0
    }

    /// Takes away what the last call of [`Beep::add_to`] added.
    pub fn take_from(&self, sum: &mut [i32]) {
        let mut again = *self;
        (again.phase, again.done, again.left) = self.before;
        again.amplitude = -self.amplitude;
        again.add_to(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(beep: &mut Beep, ticks: usize) -> Vec<i32> {
        let mut sum = vec![0; ticks * 160];
        sum.chunks_mut(160).for_each(|tick| beep.add_to(tick));
        sum
    }

    #[test]
    fn a_beep_is_300_ms_of_its_tone_without_clicks() {
        let mut beep = Beep::default();
        assert!(play(&mut beep, 2).iter().all(|sample| *sample == 0));

        beep.start(8_000, -1_500);
        let heard = play(&mut beep, 20);

        let last = heard.iter().rposition(|sample| *sample != 0).unwrap();
        assert!((2_380..2_400).contains(&last), "{last}");
        let rises = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((298..=300).contains(&rises), "{rises}");
        assert!(heard[..8].iter().all(|sample| sample.abs() < 1_200));
        assert!(!beep.is_sounding());
    }

    #[test]
    fn a_beep_started_again_goes_on_for_300_ms() {
        let mut beep = Beep::default();
        beep.start(8_000, -1_500);
        play(&mut beep, 5);

        beep.start(8_000, -1_500);
        let heard = play(&mut beep, 20);

        assert!((heard[2].abs() - 5_827).abs() < 10, "no new ramp: {}", heard[2]);
        assert!(heard[2_300..2_380].iter().any(|sample| sample.abs() > 5_000));
        assert!(!beep.is_sounding());
    }

    #[test]
    fn what_a_beep_added_can_be_taken_away_again() {
        let mut beep = Beep::default();
        beep.start(8_000, -600);
        let mut loudest = 0;
        for tick in 0..16_i32 {
            let voice: Vec<i32> = (0..160).map(|n| n * tick).collect();
            let mut sum = voice.clone();
            beep.add_to(&mut sum);
            loudest = sum.iter().zip(&voice).fold(loudest, |peak, (s, v)| peak.max((s - v).abs()));
            assert_eq!(beep.has_sounded(), tick < 15, "{tick}");
            beep.take_from(&mut sum);
            assert_eq!(sum, voice);
        }
        assert!((loudest - 16_422).abs() < 20, "{loudest}");
    }
}
