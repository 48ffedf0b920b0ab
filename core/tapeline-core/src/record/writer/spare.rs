//! The writer's end of a track that was made ahead: it becomes a recording when somebody joins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::boundary::event::TrackFile;
use crate::boundary::handle::RecorderHandle;
use crate::record::format::{Encoder, EncoderFault, Shape};
use crate::record::journal::{Journal, TrackSeat};
use crate::record::part::Part;
use crate::record::spec::{BeepRule, ChannelLayout, RecordingSpec};
use crate::record::tap::{MarkKind, TapReader};
use crate::record::writer::recording::{Desk, Recording};

/// What all tracks of a recording have in common.
pub struct TrackPlan {
    /// The main recording's; tracks have its format and rate, and lie in its folder.
    pub spec: RecordingSpec,
    pub recorder: RecorderHandle,
}

pub struct SpareTrack {
    plan: Arc<TrackPlan>,
    reader: TapReader,
}

/// What has become of a spare track.
pub enum Look {
    Waiting(SpareTrack),
    /// Its recording is over and nobody ever got it.
    Unused,
    Began(Box<Recording>),
    /// Somebody got it, but its files could not be made.
    Failed(TrackFile, String),
}

impl SpareTrack {
    pub fn new(plan: Arc<TrackPlan>, reader: TapReader) -> Self {
        Self { plan, reader }
    }

    /// The main recording.
    pub fn recorder(&self) -> RecorderHandle {
        self.plan.recorder
    }

    /// Opens its files when it has begun. Nothing of it touches a disk before.
    pub fn look(mut self, desk: &Desk) -> Look {
        // In this order: what the tick marked before it let go is seen.
        let is_abandoned = self.reader.samples.is_abandoned();
        match self.reader.marks.pop().map(|mark| mark.kind) {
            Ok(MarkKind::TrackBegan { voice, number, offset }) => {
                let seat = TrackSeat { number, voice, offset_samples: offset };
                let lost = seat.file(self.plan.spec.rate_hz);
                match self.open(seat, desk) {
                    Ok(recording) => Look::Began(Box::new(recording)),
                    Err(reason) => Look::Failed(lost, reason),
                }
            }
            _ if is_abandoned => Look::Unused,
            _ => Look::Waiting(self),
        }
    }

    fn open(self, seat: TrackSeat, desk: &Desk) -> Result<Recording, String> {
        let Self { plan, reader } = self;
        let spec = RecordingSpec {
            folder: folder_of(&plan.spec, seat.number),
            layout: ChannelLayout::Mix,
            left_leg: None,
            beep: BeepRule::NONE,
            tracks: false,
            ..plan.spec.clone()
        };
        let shape = Shape { rate_hz: spec.rate_hz, channels: 1 };
        let encoder =
            Encoder::new(spec.format, shape, &desk.mp3).map_err(|EncoderFault(reason)| reason)?;
        let mut journal = Journal::new(spec.rate_hz);
        journal.start(&spec, Some(seat), unix_us(SystemTime::now()));
        let first_lines = std::mem::take(journal.lines());
        let part = Part::create(desk.disk.as_ref(), &spec.folder, encoder, &first_lines)
            .map_err(|fault| fault.to_string())?;
        let recording = Recording::new(plan.recorder, shape, reader, part, journal);
        Ok(recording.as_track(seat))
    }
}

/// `tracks/001`, …
fn folder_of(main: &RecordingSpec, number: u32) -> PathBuf {
    main.folder.join(TRACKS_FOLDER).join(format!("{number:03}"))
}

/// Inside a recording's folder.
pub const TRACKS_FOLDER: &str = "tracks";

pub fn unix_us(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
