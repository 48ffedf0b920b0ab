//! The thread that opens recordings: a disk that stalls holds up neither asyncio nor a writer.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::SystemTime;

use crate::boundary::command::{CommandId, StartRecording};
use crate::boundary::event::Event;
use crate::boundary::handle::RecorderHandle;
use crate::boundary::sink::EventSink;
use crate::media::codec::Rate;
use crate::media::command::{MediaBusy, MediaCommand, MediaHandle};
use crate::record::crew::{CrewPort, Supplier};
use crate::record::disk::{Spool, explain, lack_of_room};
use crate::record::format::{Encoder, EncoderFault, Mp3Maker, Shape};
use crate::record::journal::{Journal, LABEL_LIMIT};
use crate::record::part::Part;
use crate::record::spec::{ChannelLayout, RecordingSpec};
use crate::record::tap::tracks::tracks;
use crate::record::tap::{Tap, TapSpec};
use crate::record::writer::WriterPort;
use crate::record::writer::recording::Recording;
use crate::record::writer::spare::{TrackPlan, unix_us};

/// Of a recording that leaves its rate to its target.
const RATE_HZ: u32 = 8_000;

pub struct OpenRequest {
    pub command: CommandId,
    pub start: StartRecording,
}

pub struct Opener {
    pub requests: Receiver<OpenRequest>,
    pub spool: PathBuf,
    pub reserve_bytes: u64,
    pub disk: Arc<dyn Spool>,
    pub mp3: Mp3Maker,
    pub media: MediaHandle,
    pub events: EventSink,
    pub writers: Arc<Vec<WriterPort>>,
    pub crew: CrewPort,
}

impl Drop for Opener {
    /// The crew goes with it.
    fn drop(&mut self) {
        self.crew.bell.signal();
    }
}

impl Opener {
    /// Runs until nobody can send requests any more.
    pub fn run(self) {
        for OpenRequest { command, start } in &self.requests {
            self.events.send(match self.open(start) {
                Ok(()) => Event::CommandDone { command },
                Err(reason) => Event::CommandFailed { command, reason: reason.into() },
            });
        }
    }

    /// Opens the files and puts the tap on the audio thread's ring: it is there before the next frame,
    /// so whatever arrives from now on is in the file. The reason is for people, and nothing is left
    /// behind.
    fn open(&self, start: StartRecording) -> Result<(), String> {
        let StartRecording { recorder, mut spec } = start;
        if spec.rate_hz == 0 {
            spec.rate_hz = RATE_HZ;
        }
        check(&spec, &self.spool)?;
        let free = self.disk.free_bytes().map_err(|error| explain(&error, &self.spool))?;
        lack_of_room(free, self.reserve_bytes).map_or(Ok(()), Err)?;
        let shape = Shape { rate_hz: spec.rate_hz, channels: spec.layout.channels() };
        let encoder =
            Encoder::new(spec.format, shape, &self.mp3).map_err(|EncoderFault(reason)| reason)?;
        let mut journal = Journal::new(spec.rate_hz);
        journal.start(&spec, None, unix_us(SystemTime::now()));
        let first_lines = std::mem::take(journal.lines());
        let ports = self.writers.iter().enumerate();
        let least_busy = ports.min_by_key(|(_, it)| it.load.load(Ordering::Relaxed));
        let (number, writer) = least_busy.ok_or("no writer thread runs")?;
        let part = Part::create(self.disk.as_ref(), &spec.folder, encoder, &first_lines)
            .map_err(|fault| fault.to_string())?;

        let tap_spec = tap_spec(recorder, &spec);
        let (mut tap, reader) = Tap::new(tap_spec, writer.waker.clone());
        let mut supplier = None;
        if spec.tracks {
            let (ours, maker) = tracks(&tap_spec, writer.waker.clone(), self.crew.bell.clone());
            tap = tap.with_tracks(ours);
            let plan = Arc::new(TrackPlan { spec, recorder });
            let made = supplier.insert(Supplier { maker, plan, writer: number });
            made.refill(&self.writers);
        }
        let tap = Box::new(tap);
        if let Err(MediaBusy) = self.media.send(MediaCommand::AddTap { tap }) {
            part.discard(self.disk.as_ref());
            return Err("the audio thread takes no more commands now".into());
        }
        if !writer.take_on(Recording::new(recorder, shape, reader, part, journal)) {
            return Err("the writer thread is gone".into());
        }
        if let Some(supplier) = supplier {
            // It only fails when the crew is gone, with the node.
            let _ = self.crew.suppliers.send(supplier);
        }
        Ok(())
    }
}

fn tap_spec(recorder: RecorderHandle, spec: &RecordingSpec) -> TapSpec {
    let limit_samples = spec.limit_ms.saturating_mul(u64::from(spec.rate_hz)) / 1000;
    TapSpec {
        recorder,
        target: spec.target,
        layout: spec.layout,
        left_leg: spec.left_leg,
        rate_hz: spec.rate_hz,
        limit_samples: (spec.limit_ms > 0).then_some(limit_samples),
        silence: spec.silence,
        pause: spec.pause,
        beep: spec.beep,
        trim_silence: spec.trim_silence,
    }
}

/// What can be refused before a disk is touched.
fn check(spec: &RecordingSpec, spool: &Path) -> Result<(), String> {
    let is_inside = spec.folder.starts_with(spool)
        && spec.folder != spool
        && !spec.folder.components().any(|part| part == Component::ParentDir);
    if !is_inside {
        let (folder, spool) = (spec.folder.display(), spool.display());
        return Err(format!("the folder {folder} is not inside the spool {spool}"));
    }
    let layout = spec.layout.as_str();
    if !spec.layout.suits(spec.target) {
        return Err(format!("the layout {layout} does not suit what is recorded"));
    }
    if (spec.layout == ChannelLayout::LegRest) != spec.left_leg.is_some() {
        return Err(format!("the layout {layout} and its left leg do not go together"));
    }
    if Rate::of(spec.rate_hz).is_none() {
        let rate_hz = spec.rate_hz;
        return Err(format!("a file has 8000, 16000 or 48000 samples a second, not {rate_hz}"));
    }
    if spec.label.len() > LABEL_LIMIT {
        return Err(format!("the label is longer than {LABEL_LIMIT} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::handle::{Handle, LegHandle, RoomHandle};
    use crate::record::silence::SilenceRule;
    use crate::record::spec::{BeepRule, Format, PauseRule, Target};

    #[test]
    fn impossible_recordings_are_refused_with_the_reason() {
        let sound = RecordingSpec {
            folder: "/spool/rec_1".into(),
            format: Format::Wav,
            target: Target::Room(RoomHandle(Handle { slot: 0, generation: 1 })),
            layout: ChannelLayout::Mix,
            left_leg: None,
            rate_hz: 8000,
            limit_ms: 0,
            silence: SilenceRule::default(),
            pause: PauseRule::default(),
            beep: BeepRule::NONE,
            trim_silence: false,
            tracks: false,
            label: String::new(),
        };
        let spool = Path::new("/spool");
        assert_eq!(check(&sound, spool), Ok(()));
        type Bend = fn(&mut RecordingSpec);
        let cases: [(Bend, &str); 8] = [
            (|spec| spec.folder = "/etc/passwd".into(), "not inside the spool"),
            (|spec| spec.folder = "/spool/../etc".into(), "not inside the spool"),
            (|spec| spec.folder = "/spool".into(), "not inside the spool"),
            (|spec| spec.layout = ChannelLayout::RxTx, "rx_tx does not suit"),
            (|spec| spec.layout = ChannelLayout::LegRest, "do not go together"),
            (|spec| spec.left_leg = Some(LegHandle::from_u64(1)), "do not go together"),
            (|spec| spec.rate_hz = 4000, "not 4000"),
            (|spec| spec.label = "x".repeat(LABEL_LIMIT + 1), "the label is longer"),
        ];
        for (bend, reason) in cases {
            let mut spec = sound.clone();
            bend(&mut spec);
            assert!(check(&spec, spool).unwrap_err().contains(reason), "{reason}");
        }
    }
}
