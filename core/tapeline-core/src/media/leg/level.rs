//! How loud a leg is and whether it talks. Pure.

use crate::media::frame::{MEAN_SQUARE_45, TICK_MS};

/// Above -45 dBov for so long starts talking.
const START_TICKS: u32 = 60 / TICK_MS;
/// Below it for so long ends talking.
const HANGOVER_TICKS: u32 = 400 / TICK_MS;
/// What silence is called, hundredths of dBov.
pub const SILENCE_CDB: i32 = -9_000;

/// RMS over a window, hundredths of dBov (a full-scale square wave is 0).
#[derive(Clone, Copy, Debug, Default)]
pub struct LevelWindow {
    energy: u64,
    samples: u64,
}

impl LevelWindow {
    pub fn add(&mut self, energy: u64, samples: usize) {
        self.energy += energy;
        self.samples += samples as u64;
    }

    /// The level since the last call.
    pub fn take_cdb(&mut self) -> i32 {
        let window = std::mem::take(self);
        if window.energy == 0 || window.samples == 0 {
            return SILENCE_CDB;
        }
        let mean_square = window.energy as f64 / window.samples as f64;
        let level = 1_000.0 * (mean_square / (32_768.0 * 32_768.0)).log10();
        (level.round() as i32).clamp(SILENCE_CDB, 0)
    }
}

/// Talking with hangover, so that pauses between words do not flicker.
#[derive(Clone, Copy, Debug, Default)]
pub struct TalkDetector {
    is_talking: bool,
    ticks: u32,
}

impl TalkDetector {
    /// One tick; the new state when it changed.
    pub fn tick(&mut self, energy: u64, samples: usize) -> Option<bool> {
        let is_loud = energy as f32 > MEAN_SQUARE_45 * samples as f32;
        self.ticks = if is_loud == self.is_talking { 0 } else { self.ticks + 1 };
        let needed = if self.is_talking { HANGOVER_TICKS } else { START_TICKS };
        if self.ticks < needed {
            return None;
        }
        self.is_talking = !self.is_talking;
        self.ticks = 0;
        Some(self.is_talking)
    }

    pub fn is_talking(&self) -> bool {
        self.is_talking
    }
}

/// What comes from a leg that is expected to say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sound {
    #[default]
    Heard,
    /// Packets for 10 s, and nothing in them: not even the noise of a line.
    Silent,
    NoPackets,
}

impl Sound {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "sound_again",
            Self::Silent => "silent",
            Self::NoPackets => "no_packets",
        }
    }
}

/// Below -66 dBov (mean square) there is nothing: A-law has its silence at -72.
pub const MEAN_SQUARE_NOTHING: u64 = 256;
/// For so long nothing is no pause any more.
pub const SILENT_MS: u32 = 10_000;
const SILENT_TICKS: u32 = SILENT_MS / TICK_MS;

/// Finds a leg that sends packets without a sound in them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilenceWatch {
    ticks: u32,
    is_silent: bool,
}

impl SilenceWatch {
    /// One tick; the new state when it changed. `is_expected`: packets come, and nobody muted it.
    pub fn tick(&mut self, energy: u64, samples: usize, is_expected: bool) -> Option<bool> {
        let is_nothing = energy < MEAN_SQUARE_NOTHING * samples as u64;
        self.ticks = if is_nothing && is_expected { self.ticks.saturating_add(1) } else { 0 };
        let is_silent = if is_expected { self.ticks >= SILENT_TICKS } else { self.is_silent };
        let is_silent = is_silent && is_nothing;
        (std::mem::replace(&mut self.is_silent, is_silent) != is_silent).then_some(is_silent)
    }

    pub fn is_silent(&self) -> bool {
        self.is_silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::energy;

    #[test]
    fn levels_are_relative_to_a_full_scale_square_wave() {
        let cases = [(32_767_i16, 0), (16_384, -602), (1_036, -3_000), (0, SILENCE_CDB)];
        for (amplitude, expected) in cases {
            let square: Vec<i16> =
                (0..160).map(|n| if n % 2 == 0 { amplitude } else { -amplitude }).collect();
            let mut window = LevelWindow::default();
            for _ in 0..5 {
                window.add(energy(&square), square.len());
            }
            assert!((window.take_cdb() - expected).abs() <= 1, "{amplitude}");
            assert_eq!(window.take_cdb(), SILENCE_CDB);
        }
    }

    #[test]
    fn ten_seconds_of_nothing_are_told_and_the_first_sound_again() {
        let (nothing, noise) = (160 * 64, 160 * 400);
        let mut watch = SilenceWatch::default();
        let mut changes = Vec::new();
        let script = [
            (nothing, true, 499),
            (noise, true, 1),
            (nothing, false, 600),
            (nothing, true, 520),
            (nothing, false, 10),
            (noise, true, 1),
            (nothing, true, 499),
        ];
        let mut tick = 0;
        for (energy, is_expected, ticks) in script {
            for _ in 0..ticks {
                tick += 1;
                changes.extend(watch.tick(energy, 160, is_expected).map(|it| (tick, it)));
            }
        }
        assert_eq!(changes, [(1_600, true), (1_631, false)]);
    }

    #[test]
    fn talking_starts_after_60_ms_and_ends_after_400() {
        let (loud, quiet) = (160 * 1_000_000, 160 * 100);
        let mut detector = TalkDetector::default();
        let mut changes = Vec::new();
        let script =
            [(loud, 2), (quiet, 1), (loud, 5), (quiet, 19), (loud, 1), (quiet, 25), (loud, 3)];
        let mut tick = 0;
        for (energy, ticks) in script {
            for _ in 0..ticks {
                tick += 1;
                changes.extend(detector.tick(energy, 160).map(|talks| (tick, talks)));
            }
        }
        assert_eq!(changes, [(6, true), (48, false), (56, true)]);
    }
}
