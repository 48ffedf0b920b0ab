//! Listens to what is written: one-way audio, silent channels, clipping. Pure.
//!
//! *One-way audio*: for more than 10 s nothing comes from one side while the other is heard for at least a
//! second of it. The sides are the channels of a stereo file; in a mono file of two they are the legs, by
//! what the tick tells of them. *Silent channel*: more than 10 s, and not one sound. *Clipping*: tops cut flat.

use std::collections::BTreeMap;

use crate::boundary::handle::LegHandle;
use crate::media::frame::{MEAN_SQUARE_45, TICKS_PER_SECOND};
use crate::media::leg::level::{MEAN_SQUARE_NOTHING, SILENT_MS, Sound};
use crate::record::format::Shape;

pub const ONE_WAY_AUDIO: &str = "one_way_audio";
pub const SILENT_CHANNEL: &str = "silent_channel";
pub const CLIPPING: &str = "clipping";

/// As loud as G.711 can say; three samples in a row are a top that was cut.
const FLAT: u16 = 32_100;
const FLAT_SAMPLES: u32 = 3;
/// What is clipped within one second is one line, and less than that in all is no reason for a note.
const CLIPPED_MS: u64 = 100;
/// In windows: what the other side must be heard for.
const HEARD: u64 = TICKS_PER_SECOND as u64;
const SILENT_WINDOWS: u64 = SILENT_MS as u64 * TICKS_PER_SECOND as u64 / 1_000;
/// Legs that are watched; one-way audio is between two.
const LEGS: usize = 64;

/// Reasons of notes, all of them journal lines of that name.
pub const REASONS: [&str; 3] = [ONE_WAY_AUDIO, SILENT_CHANNEL, CLIPPING];

/// Whether so much of it is worth a note.
pub fn is_worth_a_note(reason: &str, samples: u64, rate_hz: u32) -> bool {
    reason != CLIPPING || samples * 1_000 >= CLIPPED_MS * u64::from(rate_hz)
}

/// A span of a channel, or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub reason: &'static str,
    pub at: u64,
    pub samples: u64,
    pub channel: Option<usize>,
}

/// One channel, in windows of 20 ms.
#[derive(Clone, Debug, Default)]
struct Channel {
    energy: u64,
    flat: u32,
    is_clipped: bool,
    /// Windows so far in which it talked, and since when nothing has come from it.
    talked: u64,
    nothing_since: Option<u64>,
    /// What the other channel had talked then.
    other_talked: u64,
    has_sounded: bool,
}

pub struct Health {
    rate_hz: u32,
    window: u64,
    filled: u64,
    /// Whole windows.
    windows: u64,
    channels: Vec<Channel>,
    present: Vec<LegHandle>,
    /// Legs from which nothing comes: since when, and what the file had talked then.
    mute: BTreeMap<LegHandle, (u64, u64)>,
    clip: Option<(u64, u64)>,
    found: Vec<Oddity>,
    totals: BTreeMap<&'static str, u64>,
}

impl Health {
    pub fn new(shape: Shape) -> Self {
        Self {
            rate_hz: shape.rate_hz,
            window: u64::from(shape.rate_hz / TICKS_PER_SECOND).max(1),
            filled: 0,
            windows: 0,
            channels: vec![Channel::default(); usize::from(shape.channels)],
            present: Vec::new(),
            mute: BTreeMap::new(),
            clip: None,
            found: Vec::new(),
            totals: BTreeMap::new(),
        }
    }

    /// Interleaved samples as they are written.
    pub fn listen(&mut self, samples: &[i16]) {
        for frame in samples.chunks_exact(self.channels.len().max(1)) {
            for (channel, sample) in self.channels.iter_mut().zip(frame) {
                let sample = i64::from(*sample);
                channel.energy += (sample * sample) as u64;
                let is_flat = sample.unsigned_abs() >= u64::from(FLAT);
                channel.flat = if is_flat { channel.flat + 1 } else { 0 };
                channel.is_clipped |= channel.flat >= FLAT_SAMPLES;
            }
            self.filled += 1;
            if self.filled == self.window {
                self.end_window();
            }
        }
    }

    fn end_window(&mut self) {
        self.filled = 0;
        self.windows += 1;
        let now = self.windows;
        let is_clipped = self.channels.iter().any(|channel| channel.is_clipped);
        let talked: Vec<u64> = self.channels.iter().map(|channel| channel.talked).collect();
        let mut ended = Vec::new();
        for (index, channel) in self.channels.iter_mut().enumerate() {
            let energy = std::mem::take(&mut channel.energy);
            channel.is_clipped = false;
            let other = talked.get(1 - index.min(1)).copied().unwrap_or(0);
            if energy >= MEAN_SQUARE_NOTHING * self.window {
                channel.has_sounded = true;
                if let Some(since) = channel.nothing_since.take() {
                    ended.push((index, since, other - channel.other_talked));
                }
            } else if channel.nothing_since.is_none() {
                channel.nothing_since = Some(now - 1);
                channel.other_talked = other;
            }
            if energy as f32 > MEAN_SQUARE_45 * self.window as f32 {
                channel.talked += 1;
            }
        }
        for (index, since, heard) in ended {
            self.end_nothing(Some(index), (since, now - 1), heard);
        }
        self.note_clipping(is_clipped);
    }

    /// From one side nothing came, while the other was `heard` for so many windows.
    fn end_nothing(&mut self, channel: Option<usize>, (since, until): (u64, u64), heard: u64) {
        let is_stereo = self.channels.len() == 2;
        let is_side = channel.is_some() == is_stereo;
        if is_side && until.saturating_sub(since) > SILENT_WINDOWS && heard >= HEARD {
            self.find(ONE_WAY_AUDIO, (since, until), channel);
        }
    }

    fn note_clipping(&mut self, is_clipped: bool) {
        let now = self.windows;
        match &mut self.clip {
            Some((_, count)) if is_clipped => *count += 1,
            None if is_clipped => self.clip = Some((now - 1, 1)),
            _ => {}
        }
        if let Some((since, count)) = self.clip.filter(|(since, _)| now - since >= HEARD) {
            self.clip = None;
            self.find(CLIPPING, (since, since + count), None);
        }
    }

    fn find(&mut self, reason: &'static str, (since, until): (u64, u64), channel: Option<usize>) {
        let samples = until.saturating_sub(since) * self.window;
        *self.totals.entry(reason).or_default() += samples;
        self.found.push(Oddity { reason, at: since * self.window, samples, channel });
    }

    pub fn joined(&mut self, leg: LegHandle) {
        if !self.present.contains(&leg) && self.present.len() < LEGS {
            self.present.push(leg);
        }
    }

    pub fn left(&mut self, leg: LegHandle) {
        self.end_mute(leg);
        self.present.retain(|other| *other != leg);
    }

    /// What the tick says of a leg, when it has been so for 10 s.
    pub fn sound(&mut self, leg: LegHandle, sound: Sound) {
        if sound == Sound::Heard {
            self.end_mute(leg);
        } else if self.present.len() <= 2 && self.mute.len() < LEGS {
            let since = self.windows.saturating_sub(SILENT_WINDOWS + 1);
            let talked = self.talked();
            self.mute.entry(leg).or_insert((since, talked));
        }
    }

    fn end_mute(&mut self, leg: LegHandle) {
        if let Some((since, talked)) = self.mute.remove(&leg) {
            let heard = self.talked() - talked;
            self.end_nothing(None, (since, self.windows), heard);
        }
    }

    fn talked(&self) -> u64 {
        self.channels.first().map_or(0, |channel| channel.talked)
    }

    /// The end: what still lasts ends here.
    pub fn finish(&mut self) {
        while let Some(leg) = self.mute.keys().next().copied() {
            self.end_mute(leg);
        }
        let now = self.windows;
        let talked: Vec<u64> = self.channels.iter().map(|channel| channel.talked).collect();
        for index in 0..self.channels.len() {
            let Some(channel) = self.channels.get_mut(index) else { break };
            let (has_sounded, since) = (channel.has_sounded, channel.nothing_since.take());
            let heard = talked.get(1 - index.min(1)).map_or(0, |it| it - channel.other_talked);
            if let Some(since) = since {
                self.end_nothing(Some(index), (since, now), heard);
            }
            if !has_sounded && now > SILENT_WINDOWS {
                self.find(SILENT_CHANNEL, (0, now), Some(index));
            }
        }
        if let Some((since, count)) = self.clip.take() {
            self.find(CLIPPING, (since, since + count), None);
        }
    }

    /// What was found since the last call.
    pub fn take_found(&mut self) -> Vec<Oddity> {
        std::mem::take(&mut self.found)
    }

    /// Samples by reason, of what is worth a note.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let totals = self.totals.iter().map(|(reason, samples)| (*reason, *samples));
        totals.filter(|(reason, samples)| is_worth_a_note(reason, *samples, self.rate_hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::handle::Handle;

    const ONE: LegHandle = LegHandle(Handle { slot: 1, generation: 1 });
    const TWO: LegHandle = LegHandle(Handle { slot: 2, generation: 1 });
    const VOICE: i16 = 3_000;

    fn health(channels: u8) -> Health {
        Health::new(Shape { rate_hz: 8_000, channels })
    }

    /// Seconds of samples of so many amplitudes, one for each channel.
    fn play(health: &mut Health, seconds: usize, amplitudes: &[i16]) {
        for n in 0..seconds * 8_000 {
            let sign = if n % 8 < 4 { 1 } else { -1 };
            let frame: Vec<i16> = amplitudes.iter().map(|it| it * sign).collect();
            health.listen(&frame);
        }
    }

    fn notes(mut health: Health) -> Vec<(&'static str, u64)> {
        health.finish();
        health.totals().map(|(reason, samples)| (reason, samples / 8)).collect()
    }

    #[test]
    fn a_side_that_stays_silent_while_the_other_talks_is_one_way_audio() {
        // Silence of A-law is 8; (seconds, left, right)
        type Script = &'static [(usize, i16, i16)];
        let cases: [(Script, &[(&str, u64)]); 6] = [
            (&[(5, VOICE, VOICE), (11, 8, VOICE), (5, VOICE, 0)], &[(ONE_WAY_AUDIO, 11_000)]),
            (&[(5, VOICE, VOICE), (11, VOICE, 0)], &[(ONE_WAY_AUDIO, 11_000)]),
            (&[(5, VOICE, VOICE), (10, 8, VOICE), (5, VOICE, VOICE)], &[]),
            (&[(5, VOICE, VOICE), (60, 0, 0), (5, VOICE, VOICE)], &[]),
            (&[(5, VOICE, VOICE), (60, 20, VOICE), (5, VOICE, VOICE)], &[]),
            (&[(20, VOICE, 0)], &[(ONE_WAY_AUDIO, 20_000), (SILENT_CHANNEL, 20_000)]),
        ];
        for (script, expected) in cases {
            let mut health = health(2);
            for (seconds, left, right) in script {
                play(&mut health, *seconds, &[*left, *right]);
            }
            assert_eq!(notes(health), expected, "{script:?}");
        }
    }

    #[test]
    fn in_a_mono_file_of_two_the_tick_says_who_is_silent() {
        let three = LegHandle(Handle { slot: 3, generation: 1 });
        for (others, expected) in
            [(vec![TWO], vec![(ONE_WAY_AUDIO, 15_020)]), (vec![TWO, three], vec![])]
        {
            let mut health = health(1);
            health.joined(ONE);
            others.into_iter().for_each(|other| health.joined(other));
            play(&mut health, 20, &[VOICE]);
            health.sound(ONE, Sound::Silent);
            play(&mut health, 5, &[VOICE]);
            health.sound(ONE, Sound::Heard);
            play(&mut health, 5, &[VOICE]);
            assert_eq!(notes(health), expected);
        }
    }

    #[test]
    fn flat_tops_are_clipping_and_loud_speech_is_not() {
        for (amplitude, expected) in [(32_767, vec![(CLIPPING, 2_000)]), (32_000, vec![])] {
            let mut health = health(1);
            play(&mut health, 2, &[amplitude]);
            play(&mut health, 2, &[VOICE]);
            assert_eq!(notes(health), expected, "{amplitude}");
        }
    }

    #[test]
    fn a_mono_file_without_a_sound_is_a_silent_channel_after_ten_seconds() {
        for (seconds, expected) in [(10, vec![]), (11, vec![(SILENT_CHANNEL, 11_000)])] {
            let mut health = health(1);
            play(&mut health, seconds, &[0]);
            assert_eq!(notes(health), expected);
        }
    }
}
