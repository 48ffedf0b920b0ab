//! Phones in memory, the real tick in virtual time, and behind it the real opener, writers and files.
//! A test file that uses it also has `media_support` and `record_support`.

#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapeline_core::boundary::command::{RoomCommand, StartRecording};
use tapeline_core::boundary::event::{Event, RecordingFinished};
use tapeline_core::boundary::handle::{Handle, RecorderHandle};
use tapeline_core::media::room::participant::Settings;
use tapeline_core::record::disk::{DiskSpool, Spool};
use tapeline_core::record::format::lame;
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{
    BeepRule, ChannelLayout, Format, PauseRule, RecordingSpec, Target,
};
use tapeline_core::record::{RecordConfig, RecordThreads, start_on};

use crate::media_support::{Stage, leg, room};
use crate::record_support::{TempFolder, decode};

const PATIENCE: Duration = Duration::from_secs(20);
/// Ticks that run without a look at the writers: two seconds of rings that hold eight.
const BURST: usize = 100;

pub struct House {
    pub stage: Stage,
    pub folder: TempFolder,
    pub threads: RecordThreads,
    events: Vec<Event>,
    /// Specs made, and recordings asked for.
    next: u32,
    asked: u32,
}

/// A recording of the house.
#[derive(Clone, Debug)]
pub struct Live {
    pub recorder: RecorderHandle,
    pub folder: PathBuf,
    pub format: Format,
}

impl House {
    /// A room with a talker per tone, all joined and settled.
    pub fn with_talkers(tones: &[(f64, f64)]) -> Self {
        Self::of(Stage::with_talkers(tones))
    }

    pub fn of(stage: Stage) -> Self {
        let folder = TempFolder::new();
        let disk = DiskSpool::open(&folder.path).unwrap();
        Self::on(stage, folder, disk, 1 << 20)
    }

    pub fn on(stage: Stage, folder: TempFolder, disk: Arc<dyn Spool>, reserve_bytes: u64) -> Self {
        let config = RecordConfig { reserve_bytes, ..RecordConfig::new(&folder.path) };
        let (media, sink) = (stage.media.clone(), stage.sink.clone());
        let threads =
            start_on(disk, lame::maker(), config, media, sink, stage.counters.clone()).unwrap();
        Self { stage, folder, threads, events: Vec::new(), next: 0, asked: 0 }
    }

    /// A recording without limits; each call names another folder.
    pub fn spec(&mut self, format: Format, target: Target, layout: ChannelLayout) -> RecordingSpec {
        self.next += 1;
        RecordingSpec {
            folder: self.folder.path.join(format!("rec_{}", self.next)),
            format,
            target,
            layout,
            left_leg: None,
            rate_hz: 0,
            limit_ms: 0,
            silence: SilenceRule::default(),
            pause: PauseRule::default(),
            beep: BeepRule::NONE,
            trim_silence: false,
            tracks: false,
            label: "{}".into(),
        }
    }

    /// Asks for it; the answer.
    pub fn ask(&mut self, spec: RecordingSpec) -> Result<Live, String> {
        let slot = self.asked;
        self.asked += 1;
        let recorder = RecorderHandle(Handle { slot, generation: 1 });
        let command = 1_000_000 + u64::from(slot);
        let live = Live { recorder, folder: spec.folder.clone(), format: spec.format };
        self.threads.open(command, StartRecording { recorder, spec }).unwrap();
        self.wait(|event| match event {
            Event::CommandDone { command: done } if *done == command => Some(Ok(live.clone())),
            Event::CommandFailed { command: failed, reason } if *failed == command => {
                Some(Err(reason.to_string()))
            }
            _ => None,
        })
    }

    /// The next tick gives its first sample.
    pub fn start(&mut self, spec: RecordingSpec) -> Live {
        self.ask(spec).unwrap()
    }

    /// A recording of two who talk elsewhere.
    pub fn start_in_another_room(&mut self) -> Live {
        self.room(RoomCommand::CreateRoom { room: room(1), rate_hz: 8_000 });
        for slot in [40, 41] {
            self.stage.phone(slot).says = Some((700.0, 5_000.0));
            let settings = Settings::default();
            self.room(RoomCommand::Join { leg: leg(slot), room: room(1), settings });
        }
        self.stage.run(5);
        let spec = self.spec(Format::Wav, Target::Room(room(1)), ChannelLayout::Mix);
        self.start(spec)
    }

    pub fn room(&mut self, action: RoomCommand) -> u64 {
        self.stage.room(action)
    }

    /// Ticks with every phone saying what it says, no faster than the writers write.
    pub fn run(&mut self, ticks: usize) {
        for done in 0..ticks {
            self.stage.run(1);
            if done % BURST == BURST - 1 {
                self.let_writers_write();
            }
        }
    }

    /// Until nothing has been written for a while.
    fn let_writers_write(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = u64::MAX;
        loop {
            let now = self.stage.count("bytes_written");
            if now == last || Instant::now() > deadline {
                return;
            }
            last = now;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stop(&mut self, live: &Live) -> RecordingFinished {
        self.room(RoomCommand::StopRecording { recorder: live.recorder });
        self.stage.tick();
        self.finished(live)
    }

    /// Stops them at one tick.
    pub fn stop_all(&mut self, lives: &[Live]) -> Vec<RecordingFinished> {
        for live in lives {
            self.room(RoomCommand::StopRecording { recorder: live.recorder });
        }
        self.stage.tick();
        lives.iter().map(|live| self.finished(live)).collect()
    }

    pub fn finished(&mut self, live: &Live) -> RecordingFinished {
        self.wait(|event| match event {
            Event::RecordingFinished(it) if it.recorder == live.recorder => Some((**it).clone()),
            _ => None,
        })
    }

    /// Waits for an event and takes it out of those seen.
    pub fn wait<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.stage.drain();
            self.events.extend(self.stage.events());
            let found = self.events.iter().enumerate().find_map(|(at, it)| Some((at, wanted(it)?)));
            if let Some((at, value)) = found {
                self.events.remove(at);
                return value;
            }
            assert!(Instant::now() < deadline, "it never came; seen: {:?}", self.events);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Everything that was reported and nobody has waited for.
    pub fn events(&mut self) -> &[Event] {
        self.stage.drain();
        self.events.extend(self.stage.events());
        &self.events
    }

    /// Nothing was reported wrong.
    pub fn assert_no_trouble(&mut self) {
        for event in self.events() {
            let is_trouble =
                matches!(event, Event::RecorderTrouble { .. } | Event::CoreTrouble { .. });
            assert!(!is_trouble, "{event:?}");
        }
        assert_eq!(self.stage.count("caught_panics"), 0);
        assert_eq!(self.stage.count("ring_overflow_frames"), 0);
    }
}

impl Live {
    /// Interleaved samples of the finished file.
    pub fn samples(&self) -> Vec<i16> {
        decode(&self.folder.join("audio.part"), self.format)
    }

    /// One channel of two.
    pub fn side(&self, channel: usize) -> Vec<i16> {
        self.samples().into_iter().skip(channel).step_by(2).collect()
    }

    pub fn track(&self, number: u32) -> Vec<i16> {
        decode(&track_folder(&self.folder, number).join("audio.part"), self.format)
    }

    /// The journal's lines of one type.
    pub fn journal(&self, kind: &str) -> Vec<serde_json::Value> {
        journal(&self.folder, kind)
    }
}

pub fn track_folder(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("tracks/{number:03}"))
}

pub fn journal(folder: &Path, kind: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line["type"] == kind).collect()
}
