//! How silent a recording is: when that ends it, and how much of its ends is silence. Pure.

use crate::media::frame::{MEAN_SQUARE_45, TICKS_PER_SECOND};
use crate::media::leg::level::TalkDetector;

/// Mean square at -50 dBov. Trimming cuts only what is quieter in every 20 ms: a soft voice stays,
/// comfort noise goes.
const MEAN_SQUARE_50: f32 = 10_737.0;
/// Ticks kept before the first sound: 100 ms, so that no onset is cut.
const TICKS_BEFORE: u32 = 5;
/// Ticks kept behind the last one with sound: with what that one has left, at most 100 ms.
const TICKS_BEHIND: u32 = 4;

/// Ends a recording that has been silent for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SilenceRule {
    /// 0: silence never ends it.
    pub limit_ms: u64,
    /// Silence counts only after somebody has spoken.
    pub waits_for_speech: bool,
}

/// A [`SilenceRule`] at work. Speech is what [`TalkDetector`] calls talking: a click is none.
pub struct SilenceLimit {
    limit_samples: u64,
    is_waiting: bool,
    quiet_samples: u64,
    talk: TalkDetector,
}

impl SilenceLimit {
    /// `None`: the rule has no limit.
    pub fn new(rule: SilenceRule, rate_hz: u32) -> Option<Self> {
        (rule.limit_ms > 0).then(|| Self {
            limit_samples: rule.limit_ms.saturating_mul(u64::from(rate_hz)) / 1000,
            is_waiting: rule.waits_for_speech,
            quiet_samples: 0,
            talk: TalkDetector::default(),
        })
    }

    /// One tick of the recorded signal; true when it has been silent for as long as the rule says.
    /// Silence begins behind the last loud tick of what was said, not when the hangover ends.
    pub fn tick(&mut self, energy: u64, samples: usize) -> bool {
        let has_begun = self.talk.tick(energy, samples) == Some(true);
        if has_begun {
            self.is_waiting = false;
        }
        if has_begun || (self.talk.is_talking() && is_above(energy, samples, MEAN_SQUARE_45)) {
            self.quiet_samples = 0;
        } else if !self.is_waiting {
            self.quiet_samples += samples as u64;
        }
        self.quiet_samples >= self.limit_samples
    }
}

/// What trimming knows of a recording whose silent ends are cut.
pub struct Trim {
    /// Interleaved: the last ticks before the first sound. Never grows beyond its capacity.
    before: Vec<i16>,
    before_limit: usize,
    samples_behind: u64,
    has_begun: bool,
    sound_end: u64,
}

impl Trim {
    pub fn new(rate_hz: u32, channels: usize) -> Self {
        let tick = (rate_hz / TICKS_PER_SECOND) as usize;
        let before_limit = tick * TICKS_BEFORE as usize * channels;
        Self {
            before: Vec::with_capacity(before_limit + tick * channels),
            before_limit,
            samples_behind: tick as u64 * u64::from(TICKS_BEHIND),
            has_begun: false,
            sound_end: 0,
        }
    }

    pub fn is_sound(energy: u64, samples: usize) -> bool {
        is_above(energy, samples, MEAN_SQUARE_50)
    }

    /// Nothing is written before the first sound.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// A tick before the first sound.
    pub fn hold(&mut self, samples: impl Iterator<Item = i16>) {
        let room = self.before.capacity() - self.before.len();
        self.before.extend(samples.take(room));
        let excess = self.before.len().saturating_sub(self.before_limit);
        self.before.drain(..excess);
    }

    /// What was held belongs to other times than what comes now.
    pub fn forget(&mut self) {
        self.before.clear();
    }

    /// The file begins: takes what was held. Give it back by [`Trim::keep`], so that it is freed off the
    /// tick.
    pub fn begin(&mut self) -> Vec<i16> {
        self.has_begun = true;
        std::mem::take(&mut self.before)
    }

    pub fn keep(&mut self, before: Vec<i16>) {
        self.before = before;
    }

    /// The file has sound up to `position`.
    pub fn sound_until(&mut self, position: u64) {
        self.sound_end = position;
    }

    /// Where a file of `position` samples is cut.
    pub fn end(&self, position: u64) -> u64 {
        if self.sound_end == 0 {
            position
        } else {
            position.min(self.sound_end + self.samples_behind)
        }
    }
}

fn is_above(energy: u64, samples: usize, mean_square: f32) -> bool {
    energy as f32 > mean_square * samples as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: u64 = 160 * 1_000_000;

    /// Energy, and ticks that have it.
    type Script = &'static [(u64, u32)];

    /// The tick that ended it, counted from 1.
    fn ended_at(rule: SilenceRule, script: Script) -> Option<u32> {
        let mut limit = SilenceLimit::new(rule, 8000)?;
        let ticks = script.iter().flat_map(|(energy, ticks)| (0..*ticks).map(|_| *energy));
        (1..).zip(ticks).find(|(_, energy)| limit.tick(*energy, 160)).map(|(tick, _)| tick)
    }

    #[test]
    fn silence_ends_a_recording_after_its_limit() {
        let from_start = SilenceRule { limit_ms: 1000, waits_for_speech: false };
        let after_speech = SilenceRule { waits_for_speech: true, ..from_start };
        let cases: [(SilenceRule, Script, Option<u32>); 8] = [
            (SilenceRule::default(), &[(0, 9999)], None),
            (from_start, &[(0, 9999)], Some(50)),
            (after_speech, &[(0, 9999)], None),
            (from_start, &[(LOUD, 10), (0, 60)], Some(60)),
            (after_speech, &[(0, 500), (LOUD, 10), (0, 60)], Some(560)),
            // Pauses between words do not add up; a click is no speech.
            (from_start, &[(LOUD, 10), (0, 40), (LOUD, 10), (0, 49)], None),
            (from_start, &[(0, 30), (LOUD, 1), (0, 60)], Some(50)),
            (after_speech, &[(0, 30), (LOUD, 2), (0, 900)], None),
        ];
        for (rule, script, expected) in cases {
            assert_eq!(ended_at(rule, script), expected, "{rule:?} {script:?}");
        }
    }

    #[test]
    fn what_is_held_is_the_last_hundred_milliseconds_and_allocates_nothing() {
        let mut trim = Trim::new(8000, 2);
        let capacity = trim.before.capacity();
        for tick in 0..20_i16 {
            trim.hold(std::iter::repeat_n(tick, 320));
        }
        assert_eq!(trim.before.capacity(), capacity);
        let held = trim.begin();
        assert_eq!((held.len(), held[0], held[1599]), (1600, 15, 19));
    }

    #[test]
    fn the_end_keeps_less_than_a_hundred_milliseconds() {
        let mut trim = Trim::new(8000, 1);
        assert_eq!(trim.end(160), 160, "all silent: the one tick that there is stays");
        trim.sound_until(8000);
        assert_eq!((trim.end(8000), trim.end(20_000)), (8000, 8640));
    }
}
