//! A stand-in for the media thread: takes taps off the command ring and pushes ticks as fast as the
//! writer takes them, so hours of audio pass in seconds through the real threads and files.

#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod faulty_disk;
pub mod sparse_disk;
pub mod traced_disk;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tapeline_core::boundary::command::StartRecording;
use tapeline_core::boundary::counters::Counters;
use tapeline_core::boundary::event::{Event, FinishReason, RecordingFinished};
use tapeline_core::boundary::handle::{Handle, LegHandle, RecorderHandle, RoomHandle};
use tapeline_core::boundary::sink::{EventQueue, event_path};
use tapeline_core::media::command::{MediaCommand, MediaHandle};
use tapeline_core::record::disk::{DiskSpool, Spool};
use tapeline_core::record::format::{Mp3Maker, SecondBlocks, Shape, lame};
use tapeline_core::record::silence::SilenceRule;
use tapeline_core::record::spec::{
    BeepRule, ChannelLayout, Format, PauseRule, RecordingSpec, Target,
};
use tapeline_core::record::tap::{RING_MS, Tap, TapState, TickTime};
use tapeline_core::record::{RecordConfig, RecordThreads, start_on};

pub const STARTED_UNIX_US: i64 = 1_790_000_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// The recorder's threads, a spool, and everything they report.
pub struct Studio {
    pub folder: TempFolder,
    pub threads: RecordThreads,
    pub counters: Arc<Counters>,
    commands: rtrb::Consumer<MediaCommand>,
    events: EventQueue,
    seen: Vec<Event>,
    next: u64,
}

impl Studio {
    pub fn new() -> Self {
        let folder = TempFolder::new();
        let disk = DiskSpool::open(&folder.path).unwrap();
        Self::on(folder, disk)
    }

    pub fn on(folder: TempFolder, disk: Arc<dyn Spool>) -> Self {
        Self::with(folder, disk, lame::maker())
    }

    pub fn with(folder: TempFolder, disk: Arc<dyn Spool>, mp3: Mp3Maker) -> Self {
        let counters = Arc::new(Counters::default());
        let (sink, _tick, events) = event_path(counters.clone()).unwrap();
        let (media, commands) = MediaHandle::new();
        let config = RecordConfig { reserve_bytes: 1 << 20, ..RecordConfig::new(&folder.path) };
        let threads = start_on(disk, mp3, config, media, sink, counters.clone()).unwrap();
        Self { folder, threads, counters, commands, events, seen: Vec::new(), next: 0 }
    }

    pub fn spec(&mut self, format: Format, rate_hz: u32, channels: u8) -> RecordingSpec {
        self.next += 1;
        let handle = Handle { slot: 1, generation: 1 };
        let (target, layout) = match channels {
            1 => (Target::Room(RoomHandle(handle)), ChannelLayout::Mix),
            _ => (Target::Leg(LegHandle(handle)), ChannelLayout::RxTx),
        };
        RecordingSpec {
            folder: self.folder.path.join(format!("rec_{}", self.next)),
            format,
            target,
            layout,
            left_leg: None,
            rate_hz,
            limit_ms: 0,
            silence: SilenceRule::default(),
            pause: PauseRule::default(),
            beep: BeepRule::NONE,
            trim_silence: false,
            tracks: false,
            label: format!("{{\"recording\":\"rec_{}\"}}", self.next),
        }
    }

    pub fn handle(&self) -> RecorderHandle {
        RecorderHandle(Handle { slot: self.next as u32, generation: 1 })
    }

    pub fn open(&mut self, spec: RecordingSpec) -> RecorderHandle {
        let recorder = self.handle();
        self.threads.open(self.next, StartRecording { recorder, spec }).unwrap();
        recorder
    }

    /// The tap of the next start that the opener hands over.
    pub fn tap(&mut self) -> Box<Tap> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.commands.pop() {
                Ok(MediaCommand::AddTap { tap }) => return tap,
                Ok(_) => {}
                Err(_) => {
                    assert!(Instant::now() < deadline, "no tap; events: {:?}", self.drain());
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Opens, arms, gives a stage to play on.
    pub fn start(&mut self, format: Format, rate_hz: u32, channels: u8) -> Stage {
        let spec = self.spec(format, rate_hz, channels);
        self.start_spec(spec)
    }

    pub fn start_spec(&mut self, spec: RecordingSpec) -> Stage {
        let (folder, rate_hz) = (spec.folder.clone(), spec.rate_hz);
        let recorder = self.open(spec);
        let mut tap = self.tap();
        assert_eq!(tap.recorder(), recorder);
        tap.arm(TickTime { unix_us: STARTED_UNIX_US, monotonic_ns: 1 });
        Stage { tap, recorder, folder, rate_hz }
    }

    pub fn drain(&mut self) -> &[Event] {
        let events = self.events.drain(10_000);
        self.seen.extend(events);
        &self.seen
    }

    /// Waits for an event and takes it out of those seen.
    pub fn wait<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.drain();
            let found = self.seen.iter().enumerate().find_map(|(at, it)| Some((at, wanted(it)?)));
            if let Some((at, value)) = found {
                self.seen.remove(at);
                return value;
            }
            assert!(Instant::now() < deadline, "it never came; seen: {:?}", self.seen);
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Lets go of what was seen, so that hours of progress take no memory.
    pub fn forget(&mut self) {
        self.seen.retain(|event| !matches!(event, Event::RecordingProgress { .. }));
    }

    /// As [`Studio::wait_finished`], for files that take long to hash.
    pub fn wait_finished_in(
        &mut self,
        recorder: RecorderHandle,
        patience: Duration,
    ) -> RecordingFinished {
        let deadline = Instant::now() + patience;
        let is_it = |event: &Event| matches!(event, Event::RecordingFinished(it) if it.recorder == recorder);
        while !self.drain().iter().any(is_it) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.wait_finished(recorder)
    }

    pub fn wait_finished(&mut self, recorder: RecorderHandle) -> RecordingFinished {
        self.wait(|event| match event {
            Event::RecordingFinished(it) if it.recorder == recorder => Some((**it).clone()),
            _ => None,
        })
    }

    pub fn wait_failed(&mut self) -> String {
        self.wait(|event| match event {
            Event::CommandFailed { reason, .. } => Some(reason.to_string()),
            _ => None,
        })
    }

    /// Everything that was reported wrong so far.
    pub fn troubles(&mut self) -> Vec<String> {
        let trouble = |event: &Event| match event {
            Event::RecorderTrouble { detail, .. } | Event::CoreTrouble { detail } => {
                Some(detail.clone())
            }
            _ => None,
        };
        self.drain().iter().filter_map(trouble).collect()
    }

    pub fn count(&self, counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// One recording, seen from the tick.
pub struct Stage {
    pub tap: Box<Tap>,
    pub recorder: RecorderHandle,
    pub folder: PathBuf,
    pub rate_hz: u32,
}

impl Stage {
    pub fn audio_path(&self) -> PathBuf {
        self.folder.join("audio.part")
    }

    /// One tick of 20 ms of whatever `wave` gives for (sample, channel); waits while the ring is full.
    pub fn tick(&mut self, wave: impl Fn(u64, usize) -> i16) -> TapState {
        let length = u64::from(self.rate_hz / 50);
        self.frame(length, wave)
    }

    pub fn frame(&mut self, length: u64, wave: impl Fn(u64, usize) -> i16) -> TapState {
        self.wait_for_room(length);
        let from = self.tap.position();
        let side = |channel| (from..from + length).map(|at| wave(at, channel)).collect::<Vec<_>>();
        match self.tap.channels() {
            1 => self.tap.push_mono(&side(0)),
            _ => self.tap.push_stereo(&side(0), &side(1)),
        }
    }

    pub fn play_ms(&mut self, milliseconds: u64, wave: impl Fn(u64, usize) -> i16) {
        for _ in 0..milliseconds / 20 {
            self.tick(&wave);
        }
    }

    fn wait_for_room(&self, length: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.tap.room() < length as usize && !self.tap.is_abandoned() {
            assert!(Instant::now() < deadline, "the writer takes nothing");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub fn finish(&mut self, reason: FinishReason) {
        while !self.tap.finish(reason) {
            std::thread::yield_now();
        }
    }
}

/// A ring's worth of ticks and one more.
pub fn ticks_of_a_ring() -> u64 {
    RING_MS / 20 + 1
}

/// A tone of `hz` that begins at `onset` (a sample) and is silence before.
pub fn tone(rate_hz: u32, hz: f64, onset: u64) -> impl Fn(u64, usize) -> i16 {
    move |at, _channel| sine(rate_hz, hz, onset, at)
}

pub fn sine(rate_hz: u32, hz: f64, onset: u64, at: u64) -> i16 {
    if at < onset {
        return 0;
    }
    let turns = (at - onset) as f64 * hz / f64::from(rate_hz);
    ((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16
}

/// Interleaved samples, as ffmpeg decodes the file; `format` is what its name would have told.
pub fn decode(path: &Path, format: Format) -> Vec<i16> {
    let format = if format == Format::Wav { "wav" } else { "mp3" };
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", format, "-i"])
        .arg(path)
        .args(["-f", "s16le", "-c:a", "pcm_s16le", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{path:?}: {complaints}");
    output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// One second of 1 kHz at an eighth of full scale, as ffmpeg writes it.
pub fn made(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=f=1000:r=48000:d=1"])
        .args(options)
        .arg(&path)
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

/// The first sample of `channel` that is louder than a quarter of a tone.
pub fn onset(samples: &[i16], channels: usize, channel: usize) -> Option<usize> {
    samples.iter().skip(channel).step_by(channels).position(|it| it.unsigned_abs() > 3000)
}

/// A folder that goes when its owner goes.
pub struct TempFolder {
    pub path: PathBuf,
}

impl TempFolder {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tapeline-record-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// White noise that a place and a channel determine; never zero.
pub fn noise(at: u64, channel: usize) -> i16 {
    let mixed = (at * 2 + channel as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 48) as i16) | 1
}

/// Numbers that repeat with their seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// The block hashes of a whole file, by the rule in docs/reference/journal.md.
pub fn blocks_of(bytes: &[u8], (format, rate_hz, channels): (Format, u32, u8)) -> String {
    let shape = Shape { rate_hz, channels };
    let blocks = SecondBlocks::of(format, shape).unwrap();
    let mut text = String::new();
    let mut line = |start: usize, end: usize| {
        let digest = Sha256::digest(&bytes[start..end]);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("{start} {end} {hex}\n");
    };
    for second in 0.. {
        let range = blocks.range(second);
        let end = bytes.len().min(range.end as usize);
        if range.start as usize >= end {
            break;
        }
        line(range.start as usize, end);
    }
    line(0, blocks.head_bytes() as usize);
    text
}
