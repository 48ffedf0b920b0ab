//! Who hears whom: what a participant says, how loud, and what it hears. Pure.
//!
//! | in a call centre's words | voice | ears |
//! |---|---|---|
//! | a participant, barging in | everyone | the room |
//! | muted, monitoring | nobody | the room |
//! | whispering | only these legs | the room |
//! | deaf | everyone | nothing |
//! | on hold | nobody | nothing |
//!
//! What is played to a leg it hears whatever its ears are.

use crate::boundary::handle::{Handle, LegHandle};
use crate::media::frame::{FRAME_MAX, Frame};
use crate::media::room::limiter::Limiter;

/// Legs that a whisper can be for.
pub const LISTENERS: usize = 8;
/// Hundredths of dB that a voice can be raised or lowered by.
pub const GAIN_CDB: std::ops::RangeInclusive<i16> = -6_000..=2_000;

/// Who hears what a participant says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    #[default]
    Everyone,
    /// A whisper. Those who are not in the room hear nothing.
    Only(Listeners),
    Nobody,
}

/// A few legs, inline: commands are copied on the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    legs: [LegHandle; LISTENERS],
    count: u8,
}

impl Listeners {
    /// `None` when there are more than [`LISTENERS`].
    pub fn of(handles: &[LegHandle]) -> Option<Self> {
        let mut legs = [LegHandle(Handle { slot: 0, generation: 0 }); LISTENERS];
        legs.get_mut(..handles.len())?.copy_from_slice(handles);
        Some(Self { legs, count: handles.len() as u8 })
    }

    pub fn iter(&self) -> impl Iterator<Item = LegHandle> + '_ {
        self.legs.iter().take(usize::from(self.count)).copied()
    }
}

/// All that is set of a participant; back to the default when it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub is_muted: bool,
    pub is_deaf: bool,
    /// It says and hears nothing, but for what is played to it.
    pub is_on_hold: bool,
    /// What it says is raised by it, hundredths of dB within [`GAIN_CDB`].
    pub gain_cdb: i16,
    /// Who hears it while it is neither muted nor on hold.
    pub voice: Voice,
}

/// What shall be otherwise; `None`: as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub is_muted: Option<bool>,
    pub is_deaf: Option<bool>,
    pub is_on_hold: Option<bool>,
    pub gain_cdb: Option<i16>,
    pub voice: Option<Voice>,
}

impl Settings {
    #[must_use]
    pub fn with(self, changes: Changes) -> Self {
        Self {
            is_muted: changes.is_muted.unwrap_or(self.is_muted),
            is_deaf: changes.is_deaf.unwrap_or(self.is_deaf),
            is_on_hold: changes.is_on_hold.unwrap_or(self.is_on_hold),
            gain_cdb: changes.gain_cdb.unwrap_or(self.gain_cdb),
            voice: changes.voice.unwrap_or(self.voice),
        }
    }

    /// Who hears it now.
    pub fn heard_by(&self) -> Voice {
        match self.voice {
            _ if self.is_muted || self.is_on_hold => Voice::Nobody,
            Voice::Only(legs) if legs.count == 0 => Voice::Nobody,
            voice => voice,
        }
    }

    /// Whether what it says is in the room's sum.
    pub fn is_heard_by_all(&self) -> bool {
        self.heard_by() == Voice::Everyone
    }

    pub fn hears_the_room(&self) -> bool {
        !self.is_deaf && !self.is_on_hold
    }
}

/// A leg's part in its room.
#[derive(Debug)]
pub struct Participant {
    settings: Settings,
    /// What its last frame was multiplied with at its end.
    gain: f32,
    limiter: Limiter,
}

impl Default for Participant {
    fn default() -> Self {
        Self { settings: Settings::default(), gain: 1.0, limiter: Limiter::default() }
    }
}

impl Participant {
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn set(&mut self, settings: Settings) {
        let gain_cdb = settings.gain_cdb.clamp(*GAIN_CDB.start(), *GAIN_CDB.end());
        self.settings = Settings { gain_cdb, ..settings };
    }

    /// Makes of what came in what it says: nothing when nobody hears it, else as loud as was set,
    /// without clipping. A gain that changed is reached at the frame's end.
    pub fn shape(&mut self, frame: &mut Frame) {
        if self.settings.heard_by() == Voice::Nobody {
            frame.silence_it();
            return;
        }
        let wanted = match self.settings.gain_cdb {
            0 => 1.0,
            cdb => 10.0_f32.powf(f32::from(cdb) / 2_000.0),
        };
        if wanted == 1.0 && self.gain == 1.0 && self.limiter.is_at_rest() {
            return;
        }
        let samples = frame.samples_mut();
        let mut scaled = [0_i32; FRAME_MAX];
        let Some(scaled) = scaled.get_mut(..samples.len()) else { return };
        let step = (wanted - self.gain) / samples.len() as f32;
        for (index, (scaled, sample)) in scaled.iter_mut().zip(samples.iter()).enumerate() {
            *scaled = (f32::from(*sample) * (self.gain + step * (index + 1) as f32)) as i32;
        }
        self.gain = wanted;
        self.limiter.apply(scaled, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(slot: u32) -> LegHandle {
        LegHandle(Handle { slot, generation: 1 })
    }

    fn tone(amplitude: f32) -> Frame {
        let mut frame = Frame::silence(8_000);
        for (n, sample) in frame.samples_mut().iter_mut().enumerate() {
            *sample = (amplitude * (std::f32::consts::TAU * n as f32 / 20.0).sin()) as i16;
        }
        frame
    }

    fn peak(frame: &Frame) -> u16 {
        frame.samples().iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    }

    #[test]
    fn roles_are_values_of_voice_and_ears() {
        let whisper = Voice::Only(Listeners::of(&[leg(3)]).unwrap());
        let nobody = Voice::Only(Listeners::of(&[]).unwrap());
        let plain = Settings::default();
        let cases = [
            (plain, Voice::Everyone, true),
            (Settings { is_muted: true, ..plain }, Voice::Nobody, true),
            (Settings { is_deaf: true, ..plain }, Voice::Everyone, false),
            (Settings { is_on_hold: true, ..plain }, Voice::Nobody, false),
            (Settings { voice: whisper, ..plain }, whisper, true),
            (Settings { voice: nobody, ..plain }, Voice::Nobody, true),
            (Settings { voice: whisper, is_muted: true, ..plain }, Voice::Nobody, true),
        ];
        for (settings, voice, has_ears) in cases {
            assert_eq!((settings.heard_by(), settings.hears_the_room()), (voice, has_ears));
        }
    }

    #[test]
    fn a_change_leaves_the_rest_and_nine_listeners_are_too_many() {
        let before = Settings { is_muted: true, gain_cdb: -300, ..Settings::default() };
        let after = before.with(Changes { is_deaf: Some(true), ..Changes::default() });
        assert_eq!(after, Settings { is_deaf: true, ..before });
        let nine: Vec<LegHandle> = (0..9).map(leg).collect();
        assert_eq!(Listeners::of(&nine), None);
        assert_eq!(Listeners::of(&nine[..8]).unwrap().iter().collect::<Vec<_>>(), nine[..8]);
    }

    #[test]
    fn gain_is_reached_within_a_frame_and_never_clips() {
        for (gain_cdb, expected) in [(600, 19_952.0), (-2_000, 1_000.0), (-6_000, 10.0)] {
            let mut part = Participant::default();
            part.set(Settings { gain_cdb, ..Settings::default() });
            let mut first = tone(10_000.0);
            part.shape(&mut first);
            let steps = first.samples().windows(2).map(|it| it[0].abs_diff(it[1])).max().unwrap();
            assert!(steps < 7_000, "{gain_cdb}: a step of {steps}");
            let mut second = tone(10_000.0);
            part.shape(&mut second);
            assert!((f32::from(peak(&second)) - expected).abs() < 2.0, "{}", peak(&second));
        }

        let mut part = Participant::default();
        part.set(Settings { gain_cdb: 9_999, ..Settings::default() });
        let flat: usize = (0..20)
            .map(|_| {
                let mut frame = tone(20_000.0);
                part.shape(&mut frame);
                assert!(peak(&frame) > 30_000);
                let tops = frame.samples().windows(3);
                tops.filter(|top| top.iter().all(|it| it.unsigned_abs() >= 32_766)).count()
            })
            .sum();
        assert_eq!(flat, 0);
    }

    #[test]
    fn what_nobody_hears_is_silence_and_without_gain_nothing_is_changed() {
        let mut part = Participant::default();
        let mut frame = tone(20_000.0);
        part.shape(&mut frame);
        assert_eq!(frame.samples(), tone(20_000.0).samples());
        part.set(Settings { is_on_hold: true, gain_cdb: 600, ..Settings::default() });
        part.shape(&mut frame);
        assert_eq!(peak(&frame), 0);
    }
}
