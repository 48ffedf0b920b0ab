//! The tick's end of a recording: a ring of samples, a ring of marks, and nothing that can block.

use std::sync::Arc;

use crate::boundary::event::FinishReason;
use crate::boundary::handle::{LegHandle, RecorderHandle};
use crate::record::spec::Target;
use crate::sys::eventfd::EventFd;

/// When a tick happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickTime {
    pub unix_us: i64,
    pub monotonic_ns: u64,
}

/// Something that belongs to a place on the recording's timeline. `position` counts samples of one
/// channel since the start, silence for lost spans included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub position: u64,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    Armed {
        at: TickTime,
    },
    /// The ring was full: so many samples were dropped here; the writer puts silence in their place.
    Overflow {
        samples: u64,
    },
    /// Ticks that never ran: silence for the writer to put in.
    SkippedTicks {
        samples: u64,
    },
    /// A participant of the recorded room. `delay_ms` is its jitter buffer's delay at that moment.
    Joined {
        leg: LegHandle,
        delay_ms: u32,
    },
    Left {
        leg: LegHandle,
    },
    BufferDelay {
        leg: LegHandle,
        delay_ms: u32,
    },
    /// Concealed samples of one leg inside the mix.
    Concealed {
        leg: LegHandle,
        samples: u32,
    },
    Finished {
        reason: FinishReason,
    },
}

/// Whether a recording goes on after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapState {
    Running,
    LimitReached,
}

/// Owned by the media thread from the tick that arms it to the tick that finishes it.
pub struct Tap {
    pub recorder: RecorderHandle,
    pub target: Target,
    channels: usize,
    limit: Option<u64>,
    samples: rtrb::Producer<i16>,
    marks: rtrb::Producer<Mark>,
    waker: Arc<EventFd>,
    position: u64,
    dropped: u64,
    /// The writer was told that half of the ring is full, and it has not been emptier since.
    is_urgent: bool,
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
/// Of them, those that only gaps and the end may use, so that facts never cost the timeline its truth.
const MARKS_FOR_GAPS: usize = 1_024;

impl Tap {
    /// Both ends of a recording's rings. `limit_samples` counts one channel; `None`: no limit.
    pub fn new(
        recorder: RecorderHandle,
        target: Target,
        rate_hz: u32,
        channels: u8,
        limit_samples: Option<u64>,
        waker: Arc<EventFd>,
    ) -> (Self, TapReader) {
        let channels = usize::from(channels.max(1));
        let capacity = (u64::from(rate_hz) * RING_MS / 1000) as usize * channels;
        let (samples, sample_reader) = rtrb::RingBuffer::new(capacity);
        let (marks, mark_reader) = rtrb::RingBuffer::new(MARKS);
        let tap = Self {
            recorder,
            target,
            channels,
            limit: limit_samples,
            samples,
            marks,
            waker,
            position: 0,
            dropped: 0,
            is_urgent: false,
        };
        (tap, TapReader { samples: sample_reader, marks: mark_reader })
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
        self.mark(MarkKind::Armed { at });
    }

    /// The writer has let go (its disk failed): nothing that is pushed arrives any more.
    pub fn is_abandoned(&self) -> bool {
        self.samples.is_abandoned()
    }

    /// One tick of a mono recording.
    pub fn push_mono(&mut self, frame: &[i16]) -> TapState {
        let length = self.within_limit(frame.len());
        if self.samples.slots() < length || !self.end_overflow() {
            return self.drop_frame(length);
        }
        if let Ok(mut chunk) = self.samples.write_chunk(length) {
            let (first, second) = chunk.as_mut_slices();
            for (slot, sample) in first.iter_mut().chain(second).zip(frame) {
                *slot = *sample;
            }
            chunk.commit_all();
        }
        self.advance(length)
    }

    /// One tick of a stereo recording; both sides have the same length.
    pub fn push_stereo(&mut self, left: &[i16], right: &[i16]) -> TapState {
        let length = self.within_limit(left.len().min(right.len()));
        if self.samples.slots() < length * 2 || !self.end_overflow() {
            return self.drop_frame(length);
        }
        if let Ok(mut chunk) = self.samples.write_chunk(length * 2) {
            let (first, second) = chunk.as_mut_slices();
            let interleaved = left.iter().zip(right).flat_map(|(left, right)| [*left, *right]);
            for (slot, sample) in first.iter_mut().chain(second).zip(interleaved) {
                *slot = sample;
            }
            chunk.commit_all();
        }
        self.advance(length)
    }

    /// Ticks that were never run: their time is silence.
    pub fn skip(&mut self, samples: u64) -> TapState {
        let samples = match self.limit {
            Some(limit) => samples.min(limit.saturating_sub(self.position)),
            None => samples,
        };
        let mark = Mark { position: self.position, kind: MarkKind::SkippedTicks { samples } };
        // A gap that cannot be told now is told together with the overflow that it adjoins.
        if !self.end_overflow() || self.marks.push(mark).is_err() {
            self.dropped += samples;
        }
        self.position += samples;
        self.state()
    }

    /// Adds a fact at the present position. A full ring of marks drops it: audio goes first.
    pub fn mark(&mut self, kind: MarkKind) {
        if self.marks.slots() > MARKS_FOR_GAPS {
            let _ = self.marks.push(Mark { position: self.position, kind });
        }
    }

    /// The last call: tells the writer where the recording ends, and wakes it.
    /// False when the writer has not made room for it yet: call again at the next tick.
    pub fn finish(&mut self, reason: FinishReason) -> bool {
        self.end_overflow();
        let position = self.position;
        let told = self.marks.push(Mark { position, kind: MarkKind::Finished { reason } }).is_ok();
        self.waker.signal();
        told
    }

    fn within_limit(&self, length: usize) -> usize {
        match self.limit {
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
        match self.limit {
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
mod tests {
    use super::*;
    use crate::boundary::handle::{Handle, RoomHandle};

    const LEG: LegHandle = LegHandle(Handle { slot: 1, generation: 1 });

    fn tap(limit: Option<u64>) -> (Tap, TapReader, Arc<EventFd>) {
        let waker = Arc::new(EventFd::new().unwrap());
        let room = Target::Room(RoomHandle(Handle { slot: 1, generation: 1 }));
        let recorder = RecorderHandle(Handle { slot: 1, generation: 1 });
        let (tap, reader) = Tap::new(recorder, room, 8000, 1, limit, waker.clone());
        (tap, reader, waker)
    }

    #[test]
    fn facts_never_take_the_room_of_gaps_and_the_end() {
        let (mut tap, mut reader, _waker) = tap(None);
        for _ in 0..2 * MARKS {
            tap.mark(MarkKind::Left { leg: LEG });
        }
        tap.skip(160);
        assert!(tap.finish(FinishReason::Command));

        let marks: Vec<Mark> = std::iter::from_fn(|| reader.marks.pop().ok()).collect();
        assert_eq!(marks.len(), MARKS - MARKS_FOR_GAPS + 2);
        let skipped = Mark { position: 0, kind: MarkKind::SkippedTicks { samples: 160 } };
        assert_eq!(marks[marks.len() - 2], skipped);
        assert_eq!(marks[marks.len() - 1].position, 160);
    }

    #[test]
    fn a_gap_that_cannot_be_told_goes_on_until_it_can() {
        let (mut tap, mut reader, _waker) = tap(None);
        for _ in 0..MARKS {
            tap.skip(1);
        }
        tap.skip(160);
        tap.push_mono(&[7; 160]);
        assert_eq!(reader.samples.slots(), 0, "audio behind a gap nobody knows of would be early");
        assert!(!tap.finish(FinishReason::Command));
        while reader.marks.pop().is_ok() {}

        tap.push_mono(&[8; 160]);

        let gap = reader.marks.pop().unwrap();
        let kind = MarkKind::Overflow { samples: 320 };
        assert_eq!(gap, Mark { position: MARKS as u64, kind });
        assert_eq!(reader.samples.slots(), 160);
        assert_eq!(tap.position(), MARKS as u64 + 480);
    }

    #[test]
    fn a_limit_holds_for_silence_too() {
        let (mut tap, _reader, _waker) = tap(Some(400));
        assert_eq!(tap.push_mono(&[1; 160]), TapState::Running);
        assert_eq!(tap.skip(16_000), TapState::LimitReached);
        assert_eq!(tap.position(), 400);
    }

    #[test]
    fn the_writer_is_called_once_when_half_of_the_ring_is_full() {
        let (mut tap, mut reader, waker) = tap(None);
        let is_called = || waker.wait(std::time::Duration::ZERO);
        for _ in 0..200 {
            tap.push_mono(&[0; 160]);
        }
        assert!(!is_called());
        for _ in 0..20 {
            tap.push_mono(&[0; 160]);
        }
        assert!(is_called());
        tap.push_mono(&[0; 160]);
        assert!(!is_called());

        reader.samples.read_chunk(30_000).unwrap().commit_all();
        for _ in 0..220 {
            tap.push_mono(&[0; 160]);
        }
        assert!(is_called());
    }
}
