//! Tones that are made, not decoded: ringing, busy, beeps; one or two frequencies, on and off.

use std::f64::consts::{SQRT_2, TAU};

use crate::media::codec::Rate;

/// Tones of one sequence.
pub const TONES: usize = 32;
/// Of one tone, on and off.
pub const TONE_MS: std::ops::RangeInclusive<u32> = 20..=60_000;
/// What every leg can carry.
pub const TONE_HZ: std::ops::RangeInclusive<u16> = 20..=3_600;
/// Hundredths of dBov of each frequency; two of the loudest just fit.
pub const TONE_CDB: std::ops::RangeInclusive<i16> = -6_000..=-910;

/// Its ends rise and fall in 5 ms: no click.
const RAMP_MS: u32 = 5;
/// Made at once.
const PIECE_MS: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// Sounded together; 0: none.
    pub hertz: [u16; 2],
    pub on_ms: u32,
    /// Silence behind it.
    pub off_ms: u32,
    pub level_cdb: i16,
}

/// Tones one behind the other, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tones(Vec<Tone>);

impl Tones {
    /// The error is for people.
    pub fn new(tones: Vec<Tone>) -> Result<Self, &'static str> {
        if tones.is_empty() || tones.len() > TONES {
            return Err("a sequence has 1 to 32 tones");
        }
        for tone in &tones {
            if !TONE_MS.contains(&tone.on_ms.saturating_add(tone.off_ms)) {
                return Err("a tone and the silence behind it take 20 to 60000 ms");
            }
            if !tone.hertz.iter().all(|hertz| *hertz == 0 || TONE_HZ.contains(hertz)) {
                return Err("a tone has 20 to 3600 Hz");
            }
            if !TONE_CDB.contains(&tone.level_cdb) {
                return Err("a tone's level is -60 to -9.1 dB");
            }
        }
        Ok(Self(tones))
    }
}

/// One pass through a sequence.
pub struct ToneSource {
    tones: Vec<Tone>,
    rate: Rate,
    /// The tone that sounds, and how many of its samples have.
    index: usize,
    done: u32,
}

impl ToneSource {
    pub fn new(tones: &Tones, rate: Rate) -> Self {
        Self { tones: tones.0.clone(), rate, index: 0, done: 0 }
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate.hz()
    }

    /// Appends what comes next, at most a tenth of a second; false at the end.
    pub fn read(&mut self, mono: &mut Vec<f32>) -> bool {
        let Some(tone) = self.tones.get(self.index) else { return false };
        let samples = |ms: u32| self.rate.hz() / 1_000 * ms;
        let (on, all) = (samples(tone.on_ms), samples(tone.on_ms + tone.off_ms));
        let end = all.min(self.done + samples(PIECE_MS));
        let ramp = samples(RAMP_MS).min(on / 2).max(1);
        let amplitude = SQRT_2 * 10.0_f64.powf(f64::from(tone.level_cdb) / 2_000.0);
        mono.extend((self.done..end).map(|at| {
            if at >= on {
                return 0.0;
            }
            let gain = f64::from(at.min(on - at).min(ramp)) / f64::from(ramp);
            let time = f64::from(at) / f64::from(self.rate.hz());
            let waves = tone.hertz.iter().filter(|hertz| **hertz > 0);
            let sum: f64 = waves.map(|hertz| (TAU * f64::from(*hertz) * time).sin()).sum();
            (amplitude * gain * sum) as f32
        }));
        self.done = end;
        if end == all {
            (self.index, self.done) = (self.index + 1, 0);
        }
        self.index < self.tones.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: Tone = Tone { hertz: [440, 480], on_ms: 150, off_ms: 250, level_cdb: -910 };

    fn all(tones: Vec<Tone>, rate: Rate) -> Vec<f32> {
        let mut source = ToneSource::new(&Tones::new(tones).unwrap(), rate);
        let mut mono = Vec::new();
        while source.read(&mut mono) {}
        mono
    }

    #[test]
    fn tones_have_their_length_and_level_at_every_rate_and_never_clip() {
        for rate in Rate::ALL {
            let beep = Tone { hertz: [1_000, 0], on_ms: 100, off_ms: 0, level_cdb: -2_000 };
            let mono = all(vec![RING, beep], rate);
            let ms = rate.hz() as usize / 1_000;
            assert_eq!(mono.len(), 500 * ms);
            let peak = |part: &[f32]| part.iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
            assert!((0.93..=1.0).contains(&peak(&mono[..150 * ms])), "{}", peak(&mono));
            assert_eq!(peak(&mono[150 * ms..400 * ms]), 0.0);
            assert!((peak(&mono[400 * ms..]) - 0.1414).abs() < 0.001);
            let steps = mono[400 * ms..].windows(2).map(|it| (it[1] - it[0]).abs());
            assert!(steps.fold(0.0, f32::max) < 0.12);
            assert!(mono[500 * ms - 1].abs() < 0.02);
        }
    }

    #[test]
    fn sequences_that_nobody_means_are_refused() {
        for bad in [
            vec![],
            vec![RING; 33],
            vec![RING, Tone { on_ms: 0, off_ms: 19, ..RING }],
            vec![Tone { off_ms: u32::MAX, ..RING }],
            vec![Tone { hertz: [440, 4_000], ..RING }],
            vec![Tone { hertz: [5, 0], ..RING }],
            vec![Tone { level_cdb: 0, ..RING }],
        ] {
            assert!(Tones::new(bad).is_err());
        }
    }
}
