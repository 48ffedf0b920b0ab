//! One recording on a writer thread: from its ring and its marks to its file, journal and events.

mod ending;

use std::collections::BTreeMap;
use std::io;

use crate::boundary::counters::Counters;
use crate::boundary::event::{Event, FinishReason, RecordingFinished, TrackFile};
use crate::boundary::handle::RecorderHandle;
use crate::boundary::sink::EventSink;
use crate::record::booth::Booth;
use crate::record::disk::Spool;
use crate::record::format::{Mp3Maker, Shape};
use crate::record::journal::{Journal, TrackSeat};
use crate::record::part::body::FileHash;
use crate::record::part::remake::Remake;
use crate::record::part::{Part, PartFault, Tools};
use crate::record::tap::{Mark, MarkKind, RING_MS, TapReader};
use crate::record::writer::health::Health;
use crate::record::writer::sync::{GroupSync, Ticket};
use crate::record::writer::timeline::{Gap, Step, Timeline};

/// Seconds of audio that one visit handles before others get their turn.
pub const VISIT_SECONDS: u64 = 10;

/// Visits in which the first samples of a recording may come: a second of short ones.
const FRESH_VISITS: u32 = 25;

/// What is noted of a recording whose encoder failed.
pub const ENCODER_FAULT: &str = "encoder_fault";

/// What all recordings of a writer thread share.
pub struct Desk {
    pub events: EventSink,
    pub counters: std::sync::Arc<Counters>,
    pub disk: std::sync::Arc<dyn Spool>,
    pub group: std::sync::Arc<GroupSync>,
    pub mp3: Mp3Maker,
    pub booth: Booth,
    pub samples: Vec<i16>,
    pub bytes: Vec<u8>,
}

impl Desk {
    fn tools(&mut self) -> Tools<'_> {
        Tools { spool: self.disk.as_ref(), booth: &mut self.booth, scratch: &mut self.bytes }
    }
}

/// How far a recording is; it only moves forward.
enum Phase {
    Running,
    /// The encoder had failed: all is encoded once more, up to `keep` samples.
    Remaking {
        remake: Box<Remake>,
        reason: FinishReason,
        keep: u64,
    },
    /// The file is final; its hash is being made.
    Hashing {
        hash: FileHash,
        reason: FinishReason,
    },
    /// All is written; what is left is to make it durable and say so.
    Sealed {
        reason: FinishReason,
        sha256: String,
    },
    /// Never armed, because its target had gone: no trace of it shall stay.
    Unwanted {
        reason: FinishReason,
    },
}

/// What the thread has to do about a recording after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Nothing before more samples come.
    Waiting,
    /// There is more to do at once.
    More,
    Sealed,
    Unwanted,
}

pub struct Recording {
    recorder: RecorderHandle,
    shape: Shape,
    reader: TapReader,
    timeline: Timeline,
    part: Part,
    journal: Journal,
    phase: Phase,
    started_unix_us: Option<i64>,
    /// Samples of each channel in the file, those that the encoder still holds included.
    sample_count: u64,
    /// Samples of silence that stand for lost ones, by reason.
    missing: BTreeMap<&'static str, u64>,
    /// Where the encoder failed.
    encoder_fault_at: Option<u64>,
    progress: Option<Progress>,
    visits: u32,
    has_failed: bool,
    health: Health,
    /// `None`: it is a main recording.
    seat: Option<TrackSeat>,
    /// Tracks that are final.
    tracks: Vec<TrackFile>,
}

/// What the file held when a sync was asked for.
struct Progress {
    ticket: Ticket,
    sample_count: u64,
    byte_count: u64,
}

impl Recording {
    pub fn new(
        recorder: RecorderHandle,
        shape: Shape,
        reader: TapReader,
        part: Part,
        journal: Journal,
    ) -> Self {
        Self {
            recorder,
            shape,
            reader,
            timeline: Timeline::default(),
            part,
            journal,
            phase: Phase::Running,
            started_unix_us: None,
            sample_count: 0,
            missing: BTreeMap::new(),
            encoder_fault_at: None,
            progress: None,
            visits: 0,
            has_failed: false,
            health: Health::new(shape),
            seat: None,
            tracks: Vec::new(),
        }
    }

    /// It is one stay of a participant beside the main recording of the same recorder.
    pub fn as_track(mut self, seat: TrackSeat) -> Self {
        self.seat = Some(seat);
        self
    }

    pub fn is_track(&self) -> bool {
        self.seat.is_some()
    }

    pub fn add_track(&mut self, track: TrackFile) {
        self.tracks.push(track);
    }

    pub fn recorder(&self) -> RecorderHandle {
        self.recorder
    }

    /// Whether nothing of it is on the disk yet: its first samples shall not wait. One that is still
    /// without any is waiting for a sound, and then nobody waits for it.
    pub fn is_fresh(&self) -> bool {
        // An encoder keeps the first samples to itself for a while.
        let is_empty = !self.part.has_audio() && matches!(self.phase, Phase::Running);
        is_empty && self.visits < FRESH_VISITS
    }

    /// Looks for the end without touching a file: recordings that end go before those that go on.
    pub fn is_ending(&mut self) -> bool {
        self.pull_marks();
        matches!(self.phase, Phase::Running) && self.timeline.is_ending()
    }

    /// Does what can be done now. On a fault call [`Recording::fail`].
    pub fn visit(&mut self, desk: &mut Desk) -> Result<Visit, PartFault> {
        self.visits = self.visits.saturating_add(1);
        if matches!(self.phase, Phase::Running) {
            let visit = self.write_waiting(desk)?;
            if matches!(self.phase, Phase::Running) && desk.group.is_disk_full(desk.disk.as_ref()) {
                self.end_for_lack_of_room(desk)?;
                return Ok(Visit::More);
            }
            if matches!(self.phase, Phase::Running) {
                self.report_progress(desk)?;
                return Ok(visit);
            }
        }
        self.go_on(desk)
    }

    /// The node stops: what runs is finished as if a command had said so.
    pub fn wind_up(&mut self, desk: &mut Desk) -> Result<Visit, PartFault> {
        while matches!(self.phase, Phase::Running) && self.write_waiting(desk)? == Visit::More {}
        if matches!(self.phase, Phase::Running) {
            self.end(FinishReason::Command, self.sample_count, desk)?;
        }
        self.go_on(desk)
    }

    fn write_waiting(&mut self, desk: &mut Desk) -> Result<Visit, PartFault> {
        // In this order: what the tick pushed before a mark is seen when the mark is.
        let is_abandoned = self.reader.samples.is_abandoned();
        let mut available = self.available();
        self.pull_marks();
        if self.timeline.is_ending() || is_abandoned {
            available = self.available();
        }
        let second = u64::from(self.shape.rate_hz);
        // The tick calls once when half of the ring is full: it shall be emptier before we sleep.
        let is_behind = available * 1000 > second * RING_MS / 2;
        let mut budget = second * VISIT_SECONDS;
        while budget > 0 {
            let Some(step) = self.timeline.next(available, second.min(budget)) else {
                self.settle(desk)?;
                if is_abandoned {
                    self.end_abandoned(desk)?;
                }
                return Ok(if is_behind { Visit::More } else { Visit::Waiting });
            };
            match step {
                Step::Audio(samples) => {
                    available -= samples;
                    budget = budget.saturating_sub(samples);
                    self.write_audio(samples, desk)?;
                }
                Step::Silence(samples) => {
                    budget = budget.saturating_sub(samples);
                    self.write_silence(samples, desk)?;
                }
                Step::GapBegins { gap, samples } => self.note_gap(gap, samples, desk),
                Step::Fact(mark) => self.note_fact(mark, desk),
                Step::End { reason, keep } => {
                    self.end(reason, keep, desk)?;
                    return Ok(Visit::More);
                }
            }
        }
        self.settle(desk)?;
        Ok(Visit::More)
    }

    /// Samples of one channel that wait.
    fn available(&self) -> u64 {
        (self.reader.samples.slots() / self.shape.frame_samples()) as u64
    }

    fn pull_marks(&mut self) {
        while let Ok(mark) = self.reader.marks.pop() {
            self.timeline.add(mark);
        }
    }

    fn write_audio(&mut self, samples: u64, desk: &mut Desk) -> Result<(), PartFault> {
        let length = samples as usize * self.shape.frame_samples();
        desk.samples.clear();
        if let Ok(chunk) = self.reader.samples.read_chunk(length) {
            let (first, second) = chunk.as_slices();
            desk.samples.extend_from_slice(first);
            desk.samples.extend_from_slice(second);
            chunk.commit_all();
        }
        self.append(samples, desk)
    }

    fn write_silence(&mut self, samples: u64, desk: &mut Desk) -> Result<(), PartFault> {
        desk.samples.clear();
        desk.samples.resize(samples as usize * self.shape.frame_samples(), 0);
        self.append(samples, desk)
    }

    fn append(&mut self, samples: u64, desk: &mut Desk) -> Result<(), PartFault> {
        let before = self.part.byte_count();
        let waiting = std::mem::take(&mut desk.samples);
        let result = self.part.append(&waiting, &mut desk.tools());
        self.health.listen(&waiting);
        self.note_oddities();
        desk.samples = waiting;
        Counters::add(&desk.counters.bytes_written, self.part.byte_count() - before);
        self.sample_count += samples;
        self.note_encoder_fault(desk);
        result
    }

    fn settle(&mut self, desk: &mut Desk) -> Result<(), PartFault> {
        for _ in 0..self.timeline.take_dropped_facts() {
            self.journal.omit(1);
        }
        self.part.settle(self.journal.lines())?;
        if self.progress.is_none() {
            self.progress = Some(Progress {
                ticket: desk.group.ticket(),
                sample_count: self.sample_count,
                byte_count: self.part.byte_count(),
            });
        }
        Ok(())
    }

    fn report_progress(&mut self, desk: &mut Desk) -> Result<(), PartFault> {
        let Some(progress) = self.progress.take_if(|it| desk.group.is_durable(it.ticket)) else {
            return Ok(());
        };
        if self.part.is_lost() {
            return Err(self.part.fault(io::ErrorKind::NotFound.into()));
        }
        if self.started_unix_us.is_some() && !self.is_track() {
            desk.events.send(Event::RecordingProgress {
                recorder: self.recorder,
                sample_count: progress.sample_count,
                byte_count: progress.byte_count,
            });
        }
        Ok(())
    }

    fn note_gap(&mut self, gap: Gap, samples: u64, desk: &mut Desk) {
        self.journal.gap(self.timeline.position(), gap, samples);
        *self.missing.entry(gap.as_str()).or_default() += samples;
        if gap == Gap::Overflow {
            let tick = u64::from(self.shape.rate_hz / 50).max(1);
            Counters::add(&desk.counters.ring_overflow_frames, samples.div_ceil(tick));
        }
    }

    fn note_oddities(&mut self) {
        for oddity in self.health.take_found() {
            self.journal.oddity(&oddity);
        }
    }

    fn note_fact(&mut self, mark: Mark, desk: &mut Desk) {
        match mark.kind {
            MarkKind::Joined { leg, .. } => self.health.joined(leg),
            MarkKind::Left { leg } => self.health.left(leg),
            MarkKind::Sound { leg, sound } => self.health.sound(leg, sound),
            MarkKind::Armed { at } => {
                self.started_unix_us = Some(at.unix_us);
                if !self.is_track() {
                    Counters::add(&desk.counters.recordings_started, 1);
                }
            }
            MarkKind::AudioBegan { unix_us } => self.started_unix_us = Some(unix_us),
            _ => {}
        }
        self.journal.fact(mark);
    }

    /// Makes a sealed recording durable by itself.
    pub fn sync(&mut self) -> Result<(), PartFault> {
        self.part.sync()
    }

    /// What its main recording will tell of it; `None`: it is one itself.
    pub fn as_track_file(&self, is_durable: bool) -> Option<TrackFile> {
        let file = self.seat?.file(self.shape.rate_hz);
        let missing_ms = self.missing_ms().into_iter().collect();
        match &self.phase {
            Phase::Sealed { sha256, .. } if is_durable && !sha256.is_empty() => Some(TrackFile {
                sample_count: self.sample_count,
                byte_count: self.part.byte_count(),
                sha256: sha256.clone(),
                missing_ms,
                ..file
            }),
            _ => Some(TrackFile { missing_ms, ..file }),
        }
    }

    /// The last word on a sealed recording. Its tap sees that nobody writes any more.
    pub fn into_finished(self, is_durable: bool) -> Option<RecordingFinished> {
        let missing_ms = self.missing_ms().into_iter().collect();
        let notes = self.notes();
        let Phase::Sealed { reason, sha256 } = self.phase else { return None };
        let is_closed = !sha256.is_empty();
        Some(RecordingFinished {
            recorder: self.recorder,
            reason: if is_durable { reason } else { FinishReason::WriterFailed },
            sample_count: if is_closed { self.sample_count } else { 0 },
            rate_hz: self.shape.rate_hz,
            channels: self.shape.channels,
            byte_count: if is_closed { self.part.byte_count() } else { 0 },
            sha256,
            started_unix_us: self.started_unix_us.unwrap_or_default(),
            missing_ms,
            notes,
            tracks: self.tracks,
        })
    }

    /// Removes every trace and says that nothing was recorded.
    pub fn discard(self, desk: &Desk) {
        let Phase::Unwanted { reason } = self.phase else { return };
        self.part.discard(desk.disk.as_ref());
        desk.events.send(Event::RecordingFinished(Box::new(RecordingFinished {
            recorder: self.recorder,
            reason,
            sample_count: 0,
            rate_hz: self.shape.rate_hz,
            channels: self.shape.channels,
            byte_count: 0,
            sha256: String::new(),
            started_unix_us: 0,
            missing_ms: Vec::new(),
            notes: Vec::new(),
            tracks: Vec::new(),
        })));
    }

    fn notes(&self) -> Vec<(String, u64)> {
        let raw = self.encoder_fault_at.map(|at| self.sample_count.saturating_sub(at));
        let raw = raw.map(|samples| (ENCODER_FAULT, samples)).into_iter();
        let notes = raw.chain(self.health.totals());
        notes.map(|(reason, samples)| (reason.to_owned(), self.in_ms(samples))).collect()
    }

    fn missing_ms(&self) -> BTreeMap<String, u64> {
        let in_ms = |(why, samples): (&&str, &u64)| ((*why).to_owned(), self.in_ms(*samples));
        self.missing.iter().map(in_ms).collect()
    }

    fn in_ms(&self, samples: u64) -> u64 {
        (samples * 1000).div_ceil(u64::from(self.shape.rate_hz.max(1)))
    }
}
