//! The tick's end of tracks: beside a room's recording a tap of its own for every stay of a participant,
//! beside a call's one for what the call says and one for what it hears.
//!
//! Tracks follow the main tap sample by sample: what it writes they write, in its pauses they pause. Their
//! taps are made ahead ([`TrackMaker`]), so that one is at hand in the very tick in which somebody joins; one
//! that was never handed out leaves no trace.

use std::sync::Arc;

use crate::boundary::event::FinishReason;
use crate::boundary::handle::LegHandle;
use crate::media::frame::{FRAME_MAX, frame_length};
use crate::media::resample::Fitting;
use crate::record::spec::{BeepRule, ChannelLayout, Target};
use crate::record::tap::{Mark, MarkKind, Step, Tap, TapReader, TapSpec, TickTime};
use crate::sys::eventfd::EventFd;

/// Taps that wait for whoever joins: so many can join in one tick without a sample missing.
pub const SPARES: usize = 32;
/// Tracks of a call: what it says and what it hears, for as long as it is recorded.
const SIDES: usize = 2;
/// Tracks of one recording that run at once; whoever comes then has none.
pub const TRACKS_AT_ONCE: usize = 1_024;
/// Marks of a track between two visits of the writer: 20 a second of its own leg, and the gaps.
const MARKS: usize = 512;

/// What a track has of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Says(LegHandle),
    Hears(LegHandle),
}

impl Voice {
    pub fn leg(self) -> LegHandle {
        match self {
            Self::Says(leg) | Self::Hears(leg) => leg,
        }
    }
}

/// One stay of a participant, or one side of a call. The recording's timeline is that of its main tap.
struct Track {
    voice: Voice,
    tap: Box<Tap>,
    /// Its first sample has been written.
    has_begun: bool,
}

/// Somebody for whom there was no tap at hand.
struct Late {
    voice: Voice,
    delay_ms: u32,
    /// Samples of the main file that passed meanwhile.
    missed: u64,
}

/// Owned by the main tap.
pub struct Tracks {
    /// What is recorded is one call: its track of what it hears follows that of what it says.
    has_heard: bool,
    live: Vec<Track>,
    late: Vec<Late>,
    /// They have ended; those whose ring of marks is full are told at a later tick.
    ending: Vec<Ending>,
    spares: rtrb::Consumer<Box<Tap>>,
    back: rtrb::Producer<Box<Tap>>,
    bell: Arc<EventFd>,
    next_number: u32,
}

struct Ending {
    tap: Box<Tap>,
    reason: FinishReason,
    keep: u64,
}

/// What the main tap did in a tick, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Lead {
    pub step: Step,
    pub is_paused: bool,
    pub position: u64,
    pub now: TickTime,
}

impl Tracks {
    /// A fact about a participant, or about everything.
    pub(super) fn note(&mut self, kind: MarkKind, is_paused: bool) {
        match kind {
            MarkKind::Joined { leg, delay_ms } if !is_paused => {
                self.join(Voice::Says(leg), delay_ms);
                if self.has_heard {
                    self.join(Voice::Hears(leg), 0);
                }
            }
            MarkKind::Left { leg } => self.leave(leg),
            MarkKind::BufferDelay { leg, .. }
            | MarkKind::Concealed { leg, .. }
            | MarkKind::Sound { leg, .. }
                if !is_paused =>
            {
                let said = Voice::Says(leg);
                if let Some(track) = self.live.iter_mut().find(|track| track.voice == said) {
                    track.tap.mark(kind);
                }
            }
            MarkKind::PauseBegan { .. } | MarkKind::PauseEnded { .. } => {
                for track in self.live.iter_mut().filter(|track| track.has_begun) {
                    track.tap.mark_surely(kind);
                }
            }
            _ => {}
        }
    }

    /// What was held before the first sound belongs to other times than what comes now.
    pub(super) fn forget_held(&mut self) {
        for track in self.live.iter_mut().filter(|track| !track.has_begun) {
            if let Some(trim) = &mut track.tap.trim {
                trim.forget();
            }
        }
    }

    fn join(&mut self, voice: Voice, delay_ms: u32) {
        let is_known = self.live.iter().any(|track| track.voice == voice)
            || self.late.iter().any(|late| late.voice == voice);
        if is_known || self.live.len() + self.late.len() >= TRACKS_AT_ONCE {
            return;
        }
        match self.spare() {
            Some(mut tap) => {
                tap.joined = Some((voice, delay_ms, 0));
                self.live.push(Track { voice, tap, has_begun: false });
            }
            None => self.late.push(Late { voice, delay_ms, missed: 0 }),
        }
    }

    fn spare(&mut self) -> Option<Box<Tap>> {
        self.bell.signal();
        self.spares.pop().ok()
    }

    fn leave(&mut self, leg: LegHandle) {
        self.late.retain(|late| late.voice.leg() != leg);
        while let Some(at) = self.live.iter().position(|track| track.voice.leg() == leg) {
            let track = self.live.swap_remove(at);
            self.end(track, FinishReason::LegGone, u64::MAX);
        }
    }

    fn end(&mut self, track: Track, reason: FinishReason, main_keep: u64) {
        let Track { tap, has_begun, .. } = track;
        if has_begun {
            let keep = main_keep.saturating_sub(tap.offset);
            self.ending.push(Ending { tap, reason, keep });
        } else {
            // Its writer sees that it is gone.
            self.give_back(tap);
        }
    }

    fn give_back(&mut self, tap: Box<Tap>) {
        let _ = self.back.push(tap);
        self.bell.signal();
    }

    /// After each push of the main tap. `frame_of` is what a leg says, or hears, in this tick.
    pub(super) fn follow<'a>(&mut self, lead: Lead, frame_of: impl Fn(Voice) -> &'a [i16]) {
        self.serve_late(lead);
        let mut index = 0;
        while let Some(track) = self.live.get_mut(index) {
            if track.tap.is_abandoned() {
                let track = self.live.swap_remove(index);
                self.give_back(track.tap);
                continue;
            }
            if track.tap.follow(lead, frame_of(track.voice), &mut self.next_number) {
                track.has_begun = true;
            }
            index += 1;
        }
        self.settle();
    }

    /// Those for whom there is a tap now get it; what they said meanwhile is missing from it.
    fn serve_late(&mut self, lead: Lead) {
        if self.late.is_empty() {
            return;
        }
        while let Some(late) = self.late.last() {
            let (voice, delay_ms, missed) = (late.voice, late.delay_ms, late.missed);
            let Some(mut tap) = self.spare() else { break };
            tap.joined = Some((voice, delay_ms, missed));
            self.late.pop();
            self.live.push(Track { voice, tap, has_begun: false });
        }
        for late in &mut self.late {
            late.missed += lead.step.length();
        }
    }

    /// The main recording ends here: `keep` of its samples stay. True when all writers have been told.
    pub(super) fn finish(&mut self, reason: FinishReason, keep: u64) -> bool {
        self.late.clear();
        while let Some(track) = self.live.pop() {
            self.end(track, reason, keep);
        }
        self.settle();
        self.ending.is_empty()
    }

    fn settle(&mut self) {
        let mut index = 0;
        while let Some(Ending { tap, reason, keep }) = self.ending.get_mut(index) {
            if tap.finish_track(*reason, *keep) || tap.is_abandoned() {
                let ended = self.ending.swap_remove(index);
                self.give_back(ended.tap);
            } else {
                index += 1;
            }
        }
    }
}

impl Step {
    /// Samples that the main file grew by.
    fn length(self) -> u64 {
        match self {
            Self::Nothing | Self::Held => 0,
            Self::Wrote { before, length } => (before + length) as u64,
            Self::Silent { samples } | Self::Skipped { samples } => samples,
        }
    }
}

impl Tap {
    /// One tick of a track. True when its first sample was written now.
    fn follow(&mut self, lead: Lead, frame: &[i16], next_number: &mut u32) -> bool {
        // Nothing of a pause comes into a filter.
        if matches!(lead.step, Step::Nothing | Step::Silent { .. }) {
            self.fitting = None;
        }
        let mut fitted = [0; FRAME_MAX];
        let frame = self.fitted(lead.step, frame, &mut fitted);
        let (before, length) = match lead.step {
            Step::Nothing => return false,
            Step::Held => {
                if let Some(held) = &mut self.trim {
                    held.hold(frame.iter().copied());
                }
                return false;
            }
            Step::Wrote { before, length } => (before, length),
            Step::Silent { samples } => (0, samples as usize),
            Step::Skipped { samples } => {
                if self.joined.is_none() && lead.is_paused {
                    self.mark_surely(MarkKind::PausedTicks { samples });
                    self.position += samples;
                } else if self.joined.is_none() {
                    self.skip(samples);
                }
                return false;
            }
        };
        let begins = self.joined.take();
        if let Some(joined) = begins {
            self.begin_track(joined, lead, (before, length), next_number);
        }
        let is_silent = matches!(lead.step, Step::Silent { .. });
        let voice = if is_silent { &[] } else { frame };
        self.write(length, voice.iter().copied().chain(std::iter::repeat(0)).take(length));
        begins.is_some()
    }

    /// A leg's frame in the rate of the file.
    fn fitted<'a>(&mut self, step: Step, frame: &'a [i16], out: &'a mut [i16]) -> &'a [i16] {
        let length = frame_length(self.spec.rate_hz);
        let is_taken = matches!(step, Step::Held | Step::Wrote { .. });
        let Some(out) = out.get_mut(..length) else { return &[] };
        if frame.len() == length || frame.is_empty() || !is_taken {
            return frame;
        }
        self.fitting.get_or_insert_with(Fitting::new).fit(frame, out);
        out
    }

    fn begin_track(
        &mut self,
        (voice, delay_ms, missed): (Voice, u32, u64),
        lead: Lead,
        (before, length): (usize, usize),
        next_number: &mut u32,
    ) {
        let held = self.trim.as_mut().map(|trim| trim.begin()).unwrap_or_default();
        let first = held.len().saturating_sub(before);
        let kept = held.get(first..).unwrap_or(&[]);
        let ahead = kept.len() as u64 + missed;
        self.offset = lead.position.saturating_sub(length as u64 + ahead);
        let number = *next_number;
        *next_number += 1;
        let unix_us = lead.now.unix_us - self.in_us(ahead) as i64;
        let monotonic_ns = lead.now.monotonic_ns.saturating_sub(self.in_us(ahead) * 1_000);
        let leg = voice.leg();
        self.mark_surely(MarkKind::TrackBegan { voice, number, offset: self.offset });
        self.mark_surely(MarkKind::Armed { at: TickTime { unix_us, monotonic_ns } });
        self.mark_surely(MarkKind::Joined { leg, delay_ms });
        if missed > 0 {
            self.mark_surely(MarkKind::Overflow { samples: missed });
            self.position += missed;
        }
        if !kept.is_empty() {
            self.write(kept.len(), kept.iter().copied());
        }
        if let Some(trim) = &mut self.trim {
            trim.keep(held);
        }
    }

    /// As [`Tap::finish`], of a track: the main recording keeps `keep` samples of it.
    fn finish_track(&mut self, reason: FinishReason, keep: u64) -> bool {
        self.end_overflow();
        let tick = u64::from(self.spec.rate_hz / crate::media::frame::TICKS_PER_SECOND);
        let keep = keep.max(tick).min(self.position);
        let end = Mark { position: self.position, kind: MarkKind::Finished { reason, keep } };
        let told = self.marks.push(end).is_ok();
        self.waker.signal();
        told
    }
}

/// The other end: makes taps ahead and frees those that are done, off the tick.
pub struct TrackMaker {
    spec: TapSpec,
    waker: Arc<EventFd>,
    spares: rtrb::Producer<Box<Tap>>,
    back: rtrb::Consumer<Box<Tap>>,
    /// Taps that may still be made.
    left: usize,
}

impl TrackMaker {
    /// Makes taps up to [`SPARES`]; `take_on` gets the writer's end of each, before the tick can have the
    /// tap. False when the recording is over.
    pub fn refill(&mut self, mut take_on: impl FnMut(TapReader) -> bool) -> bool {
        while self.back.pop().is_ok() {}
        while self.left > 0 && !self.spares.is_full() {
            self.left -= 1;
            if self.spares.is_abandoned() {
                return false;
            }
            let (tap, reader) = Tap::with_marks(self.spec, self.waker.clone(), MARKS);
            if !take_on(reader) || self.spares.push(Box::new(tap)).is_err() {
                return false;
            }
        }
        !self.spares.is_abandoned()
    }
}

/// Both ends of a recording's tracks; `bell` rings when taps are wanted, `waker` is their writer's.
pub fn tracks(main: &TapSpec, waker: Arc<EventFd>, bell: Arc<EventFd>) -> (Tracks, TrackMaker) {
    let has_heard = matches!(main.target, Target::Leg(_));
    let (spares, at_once, left) = match has_heard {
        true => (SIDES, SIDES, SIDES),
        false => (SPARES, TRACKS_AT_ONCE, usize::MAX),
    };
    let (spare_producer, spares) = rtrb::RingBuffer::new(spares);
    let (back, back_consumer) = rtrb::RingBuffer::new(at_once + SPARES);
    let tracks = Tracks {
        has_heard,
        live: Vec::with_capacity(at_once),
        late: Vec::with_capacity(at_once),
        ending: Vec::with_capacity(at_once * 2),
        spares,
        back,
        bell,
        next_number: 1,
    };
    let spec = TapSpec {
        layout: ChannelLayout::Mix,
        left_leg: None,
        limit_samples: None,
        silence: crate::record::silence::SilenceRule::default(),
        beep: BeepRule::NONE,
        ..*main
    };
    (tracks, TrackMaker { spec, waker, spares: spare_producer, back: back_consumer, left })
}
