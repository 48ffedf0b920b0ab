//! The tick's end of a recording: a ring of samples, a ring of marks, and nothing that can block.

use std::sync::Arc;

use crate::boundary::event::FinishReason;
use crate::boundary::handle::{LegHandle, RecorderHandle};
use crate::media::beep::Beep;
use crate::media::frame::{energy, frame_length};
use crate::media::resample::Fitting;
use crate::record::silence::{SilenceLimit, SilenceRule, Trim};
use crate::record::spec::{BeepRule, ChannelLayout, PauseRule, Target};
use crate::sys::eventfd::EventFd;

mod edges;
mod pause;
pub mod tracks;

pub use crate::record::mark::{Mark, MarkKind, TickTime};
use tracks::{Lead, Tracks, Voice};

/// Whether a recording goes on after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapState {
    Running,
    LimitReached,
    /// Silent for as long as its [`SilenceRule`] allows.
    SilentTooLong,
}

/// What one push did to the file, for the tracks that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A pause that is skipped.
    Nothing,
    /// Silence before the first sound is held back.
    Held,
    /// A tick, and when the file begins with it what was held before.
    Wrote {
        before: usize,
        length: usize,
    },
    /// A pause that is silence.
    Silent {
        samples: u64,
    },
    Skipped {
        samples: u64,
    },
}

/// What a tap takes and when it stops by itself.
#[derive(Clone, Copy, Debug)]
pub struct TapSpec {
    pub recorder: RecorderHandle,
    pub target: Target,
    pub layout: ChannelLayout,
    /// The leg on the left of [`ChannelLayout::LegRest`].
    pub left_leg: Option<LegHandle>,
    pub rate_hz: u32,
    /// Counts one channel; `None`: no limit.
    pub limit_samples: Option<u64>,
    pub silence: SilenceRule,
    pub pause: PauseRule,
    /// A beep in the file is neither speech nor silence.
    pub beep: BeepRule,
    pub trim_silence: bool,
}

/// Owned by the media thread from the tick that arms it to the tick that finishes it.
pub struct Tap {
    spec: TapSpec,
    channels: usize,
    samples: rtrb::Producer<i16>,
    marks: rtrb::Producer<Mark>,
    waker: Arc<EventFd>,
    armed: TickTime,
    /// Samples of one channel since it was armed, recorded or not.
    clock: u64,
    position: u64,
    dropped: u64,
    /// It has been offered a tick outside a pause.
    has_heard: bool,
    /// The clock when the pause began.
    paused_at: Option<u64>,
    silence: Option<SilenceLimit>,
    trim: Option<Trim>,
    /// Samples of a beep that are still to come into the file.
    beep_left: u64,
    /// The clock when the next beep is due.
    next_beep: Option<u64>,
    /// The writer was told that half of the ring is full, and it has not been emptier since.
    is_urgent: bool,
    step: Step,
    tracks: Option<Box<Tracks>>,
    /// Of a track that has not begun: whose it is, with its delay and what it has missed.
    joined: Option<(Voice, u32, u64)>,
    /// Of a track whose leg has another rate.
    fitting: Option<Fitting>,
    /// Of a track: where it begins in the main file.
    offset: u64,
}

/// The writer's end of the same rings.
pub struct TapReader {
    pub samples: rtrb::Consumer<i16>,
    pub marks: rtrb::Consumer<Mark>,
}

/// How long the writer may stall before a sample is lost (design.md §4.7).
pub const RING_MS: u64 = 8_192;
/// Marks that fit between two visits of the writer.
const MARKS: usize = 4_096;

impl Tap {
    /// Both ends of a recording's rings. Allocates all that the ticks will use.
    pub fn new(spec: TapSpec, waker: Arc<EventFd>) -> (Self, TapReader) {
        Self::with_marks(spec, waker, MARKS)
    }

    fn with_marks(spec: TapSpec, waker: Arc<EventFd>, marks: usize) -> (Self, TapReader) {
        let channels = usize::from(spec.layout.channels());
        let capacity = (u64::from(spec.rate_hz) * RING_MS / 1000) as usize * channels;
        let (samples, sample_reader) = rtrb::RingBuffer::new(capacity);
        let (marks, mark_reader) = rtrb::RingBuffer::new(marks);
        let tap = Self {
            spec,
            channels,
            samples,
            marks,
            waker,
            armed: TickTime { unix_us: 0, monotonic_ns: 0 },
            clock: 0,
            position: 0,
            dropped: 0,
            has_heard: false,
            paused_at: None,
            silence: SilenceLimit::new(spec.silence, spec.rate_hz),
            trim: spec.trim_silence.then(|| Trim::new(spec.rate_hz, channels)),
            beep_left: 0,
            next_beep: spec.beep.first_at(spec.rate_hz),
            is_urgent: false,
            step: Step::Nothing,
            tracks: None,
            joined: None,
            fitting: None,
            offset: 0,
        };
        (tap, TapReader { samples: sample_reader, marks: mark_reader })
    }

    /// Beside what it takes, every participant of a room, or each side of a call, gets a track.
    pub fn with_tracks(mut self, tracks: Tracks) -> Self {
        self.tracks = Some(Box::new(tracks));
        self
    }

    pub fn spec(&self) -> &TapSpec {
        &self.spec
    }

    pub fn recorder(&self) -> RecorderHandle {
        self.spec.recorder
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of one channel that the ring has room for now.
    pub fn room(&self) -> usize {
        self.samples.slots() / self.channels
    }

    /// Samples of one channel so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn arm(&mut self, at: TickTime) {
        self.armed = at;
        self.mark(MarkKind::Armed { at });
    }

    /// The writer has let go (its disk failed): nothing that is pushed arrives any more.
    pub fn is_abandoned(&self) -> bool {
        self.samples.is_abandoned()
    }

    /// One tick of a mono recording.
    pub fn push_mono(&mut self, frame: &[i16]) -> TapState {
        self.push(frame.len(), || energy(frame), frame.iter().copied())
    }

    /// One tick of a stereo recording; both sides have the same length.
    pub fn push_stereo(&mut self, left: &[i16], right: &[i16]) -> TapState {
        let length = left.len().min(right.len());
        let interleaved = left.iter().zip(right).flat_map(|(left, right)| [*left, *right]);
        self.push(length, || energy(left).max(energy(right)), interleaved)
    }

    /// One tick of a paused recording: what it would be is not even asked for.
    pub fn push_nothing(&mut self) -> TapState {
        self.push(frame_length(self.spec.rate_hz), || 0, std::iter::empty())
    }

    /// `samples` are interleaved, `energy` is that of the louder side.
    fn push(
        &mut self,
        length: usize,
        energy: impl FnOnce() -> u64,
        samples: impl Iterator<Item = i16>,
    ) -> TapState {
        self.clock += length as u64;
        self.step = Step::Nothing;
        if self.is_paused() {
            return self.push_paused(length);
        }
        self.has_heard = true;
        let from = self.position;
        let state = self.push_running(length, energy, samples);
        if self.step == Step::Nothing {
            let length = (self.position - from) as usize;
            self.step = Step::Wrote { before: 0, length };
        }
        state
    }

    fn push_running(
        &mut self,
        length: usize,
        energy: impl FnOnce() -> u64,
        samples: impl Iterator<Item = i16>,
    ) -> TapState {
        let is_beep = self.beep_left > 0;
        self.beep_left = self.beep_left.saturating_sub(length as u64);
        if self.silence.is_none() && self.trim.is_none() {
            return self.write(length, samples);
        }
        let energy = energy();
        let is_over =
            self.silence.as_mut().is_some_and(|limit| !is_beep && limit.tick(energy, length));
        let is_sound = is_beep || Trim::is_sound(energy, length);
        let state = self.write_trimmed(is_sound, length, samples);
        if is_over && state == TapState::Running { TapState::SilentTooLong } else { state }
    }

    /// After each push: the tracks take the same tick, if there are any. `frame_of` is what a leg says, or
    /// hears.
    pub fn follow_with_tracks<'a>(&mut self, frame_of: impl Fn(Voice) -> &'a [i16]) {
        let lead = self.lead();
        if let Some(tracks) = &mut self.tracks {
            tracks.follow(lead, frame_of);
        }
    }

    fn lead(&self) -> Lead {
        let monotonic_ns = self.armed.monotonic_ns + self.in_us(self.clock) * 1_000;
        let now = TickTime { unix_us: self.unix_us(self.clock), monotonic_ns };
        Lead { step: self.step, is_paused: self.is_paused(), position: self.position, now }
    }

    /// True once for every beep: the target's beep shall sound from this tick on.
    pub fn is_beep_due(&mut self) -> bool {
        if self.is_paused() || self.next_beep.is_none_or(|at| at > self.clock) {
            return false;
        }
        let BeepRule { every_ms, in_file, .. } = self.spec.beep;
        self.next_beep = (every_ms > 0).then(|| self.clock + self.in_samples(every_ms));
        if in_file {
            self.beep_left = u64::from(Beep::samples(self.spec.rate_hz));
        }
        true
    }

    fn in_samples(&self, milliseconds: u64) -> u64 {
        milliseconds.saturating_mul(u64::from(self.spec.rate_hz)) / 1000
    }

    fn write(&mut self, length: usize, samples: impl Iterator<Item = i16>) -> TapState {
        let length = self.within_limit(length);
        let count = length * self.channels;
        if self.samples.slots() < count || !self.end_overflow() {
            return self.drop_frame(length);
        }
        if let Ok(mut chunk) = self.samples.write_chunk(count) {
            let (first, second) = chunk.as_mut_slices();
            for (slot, sample) in first.iter_mut().chain(second).zip(samples) {
                *slot = sample;
            }
            chunk.commit_all();
        }
        self.advance(length)
    }

    /// Ticks that were never run: their time is silence. Before the first sound and in a pause there is
    /// no time in the file that they could be missing from.
    pub fn skip(&mut self, samples: u64) -> TapState {
        self.clock += samples;
        self.step = Step::Nothing;
        let is_kept = !self.is_paused() || (self.spec.pause.as_silence && self.has_begun());
        if !is_kept {
            return TapState::Running;
        }
        if let Some(trim) = self.trim.as_mut().filter(|trim| !trim.has_begun()) {
            trim.forget();
            self.forget_held_of_tracks();
            return TapState::Running;
        }
        let samples = match self.spec.limit_samples {
            Some(limit) => samples.min(limit.saturating_sub(self.position)),
            None => samples,
        };
        let kind = if self.is_paused() {
            MarkKind::PausedTicks { samples }
        } else {
            MarkKind::SkippedTicks { samples }
        };
        let mark = Mark { position: self.position, kind };
        // A gap that cannot be told now is told together with the overflow that it adjoins.
        if !self.end_overflow() || self.marks.push(mark).is_err() {
            self.dropped += samples;
        }
        self.position += samples;
        self.step = Step::Skipped { samples };
        let lead = self.lead();
        if let Some(tracks) = &mut self.tracks {
            tracks.follow(lead, |_| &[]);
        }
        self.state()
    }

    /// It records, and the tick of its first frame is still to come: it was armed a moment ago, or
    /// paused at once and resumed a moment ago.
    pub fn awaits_its_first_tick(&self) -> bool {
        !self.has_heard && !self.is_paused()
    }

    /// Adds a fact at the present position. A full ring of marks drops it: audio goes first, and a quarter
    /// is only for gaps, pauses and the end, so that facts never cost the timeline its truth.
    pub fn mark(&mut self, kind: MarkKind) {
        self.note_in_tracks(kind);
        if !self.is_paused() && self.marks.slots() > self.marks_for_gaps() {
            let _ = self.marks.push(Mark { position: self.position, kind });
        }
    }

    fn forget_held_of_tracks(&mut self) {
        if let Some(tracks) = &mut self.tracks {
            tracks.forget_held();
        }
    }

    fn note_in_tracks(&mut self, kind: MarkKind) {
        let is_paused = self.is_paused();
        if let Some(tracks) = &mut self.tracks {
            tracks.note(kind, is_paused);
        }
    }

    fn marks_for_gaps(&self) -> usize {
        self.marks.buffer().capacity() / 4
    }

    /// A fact that has the room of gaps: a writer would have to stall while hundreds of them come.
    fn mark_surely(&mut self, kind: MarkKind) {
        let _ = self.marks.push(Mark { position: self.position, kind });
    }

    /// The last call: tells the writer where the recording ends, and wakes it.
    /// False when the writer has not made room for it yet: call again at the next tick.
    pub fn finish(&mut self, reason: FinishReason) -> bool {
        self.end_pause();
        self.begin_silent_file();
        self.end_overflow();
        let position = self.position;
        let keep = self.trim.as_ref().map_or(position, |trim| trim.end(position));
        let end = Mark { position, kind: MarkKind::Finished { reason, keep } };
        let told = self.tracks.as_mut().is_none_or(|tracks| tracks.finish(reason, keep))
            && self.marks.push(end).is_ok();
        self.waker.signal();
        told
    }

    fn unix_us(&self, clock: u64) -> i64 {
        self.armed.unix_us.saturating_add_unsigned(self.in_us(clock))
    }

    fn in_us(&self, samples: u64) -> u64 {
        samples.saturating_mul(1_000_000) / u64::from(self.spec.rate_hz.max(1))
    }

    fn within_limit(&self, length: usize) -> usize {
        match self.spec.limit_samples {
            Some(limit) => length.min(limit.saturating_sub(self.position) as usize),
            None => length,
        }
    }

    fn advance(&mut self, length: usize) -> TapState {
        self.position += length as u64;
        let is_half_full = self.samples.slots() < self.samples.buffer().capacity() / 2;
        if is_half_full && !self.is_urgent {
            self.waker.signal();
        }
        self.is_urgent = is_half_full;
        self.state()
    }

    fn state(&self) -> TapState {
        match self.spec.limit_samples {
            Some(limit) if self.position >= limit => TapState::LimitReached,
            _ => TapState::Running,
        }
    }

    fn drop_frame(&mut self, length: usize) -> TapState {
        self.dropped += length as u64;
        self.advance(length)
    }

    /// The ring has room again: say what was lost, at the place where the loss began. False when even
    /// that finds no room: then the gap has to go on.
    fn end_overflow(&mut self) -> bool {
        if self.dropped > 0 {
            let mark = Mark {
                position: self.position - self.dropped,
                kind: MarkKind::Overflow { samples: self.dropped },
            };
            if self.marks.push(mark).is_ok() {
                self.dropped = 0;
            }
        }
        self.dropped == 0
    }
}

#[cfg(test)]
mod tests;
