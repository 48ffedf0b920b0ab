//! The thread that opens, decodes and feeds: every playback gets a slice in turn.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crate::boundary::counters::Counters;
use crate::boundary::event::Event;
use crate::boundary::sink::EventSink;
use crate::media::command::{MediaBusy, MediaCommand, MediaHandle};
use crate::media::frame::TICKS_PER_SECOND;
use crate::play::PlayRequest;
use crate::play::feed::{Feed, PLAY_RATE_HZ, feed};
use crate::play::resample::Resampler;
use crate::play::source::{Fault, Source};
use crate::record::disk::explain;

const FILE_LIMIT: u64 = 64 << 20;
const SECONDS_LIMIT: u64 = 2 * 3_600;
/// Rings hold two seconds: looked after ten times a second they stay full.
const PERIOD: Duration = Duration::from_millis(100);
/// Samples made for one playback before the next gets its turn: a quarter of a second.
const SLICE: usize = PLAY_RATE_HZ as usize / 4;

pub struct Player {
    requests: Receiver<PlayRequest>,
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
    jobs: Vec<Job>,
}

struct Job {
    feed: Feed,
    program: Program,
}

impl Player {
    pub fn new(
        requests: Receiver<PlayRequest>,
        media: MediaHandle,
        events: EventSink,
        counters: Arc<Counters>,
    ) -> Self {
        Self { requests, media, events, counters, jobs: Vec::new() }
    }

    /// Runs until nobody can send requests any more.
    pub fn run(mut self) {
        loop {
            let request = if self.jobs.is_empty() {
                self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.requests.recv_timeout(PERIOD)
            };
            match request {
                Ok(request) => self.take_on(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.feed_all() {
                // Somebody who begins does not wait until everybody's ring is full.
                match self.requests.try_recv() {
                    Ok(request) => self.take_on(request),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn take_on(&mut self, request: PlayRequest) {
        let command = request.command;
        if let Err(reason) = self.open(request) {
            self.events.send(Event::CommandFailed { command, reason: reason.into() });
        }
    }

    /// The media thread answers when the playback is queued there; the reason is for people.
    fn open(&mut self, request: PlayRequest) -> Result<(), String> {
        let PlayRequest { command, playback, spec } = request;
        // A FIFO or a device would hold everybody up.
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(&spec.path);
        let file = file.map_err(|error| explain(&error, &spec.path))?;
        let metadata = file.metadata().map_err(|error| explain(&error, &spec.path))?;
        if !metadata.is_file() {
            return Err(format!("{} is no file", spec.path.display()));
        }
        if metadata.len() > FILE_LIMIT {
            let (size, limit) = (metadata.len() >> 20, FILE_LIMIT >> 20);
            return Err(format!("the file has {size} MB, at most {limit} MB are played"));
        }
        let (playback, feed) = feed(playback, spec.target);
        let play = Box::new(playback);
        if let Err(MediaBusy) = self.media.send(MediaCommand::AddPlay { command, play }) {
            return Err("the audio thread takes no more commands now".into());
        }
        self.jobs.push(Job { feed, program: Program::new(file, spec.loops) });
        Ok(())
    }

    /// One slice for each; true when there is more to do at once.
    fn feed_all(&mut self) -> bool {
        let mut has_more = false;
        let counters = &self.counters;
        self.jobs.retain_mut(|job| {
            let step = catch_unwind(AssertUnwindSafe(|| job.step())).unwrap_or_else(|_| {
                Counters::add(&counters.caught_panics, 1);
                job.feed.end(Err("a fault inside the player"));
                Step::Over
            });
            has_more |= step == Step::More;
            step != Step::Over
        });
        has_more
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The ring is full for now.
    Full,
    More,
    Over,
}

impl Job {
    fn step(&mut self) -> Step {
        if self.feed.is_abandoned() {
            return Step::Over;
        }
        if self.feed.room() < SLICE {
            return Step::Full;
        }
        match self.program.slice() {
            Ok(samples) => {
                let taken = self.feed.push(samples);
                self.program.taken(taken);
                Step::More
            }
            Err(end) => {
                self.feed.end(end.map_err(|Fault(what)| what));
                Step::Over
            }
        }
    }
}

/// A file's audio as often as it shall be heard, at the rate of the rooms.
pub struct Program {
    file: File,
    /// Passes that have not begun; `None`: no end of them.
    passes_left: Option<u32>,
    pass: Option<Pass>,
    fault: Option<Fault>,
    /// Made but not taken yet.
    ready: Vec<i16>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
}

struct Pass {
    source: Source,
    resampler: Option<Resampler>,
    /// Samples of the file so far.
    heard: u64,
}

impl Program {
    /// `loops` 0: without end.
    pub fn new(file: File, loops: u32) -> Self {
        Self {
            file,
            passes_left: (loops > 0).then_some(loops),
            pass: None,
            fault: None,
            ready: Vec::new(),
            mono: Vec::new(),
            resampled: Vec::new(),
        }
    }

    /// What comes next, at most a quarter of a second; the error is the end, good or bad.
    pub fn slice(&mut self) -> Result<&[i16], Result<(), Fault>> {
        while self.ready.len() < SLICE {
            match self.make_more() {
                Ok(true) => {}
                Ok(false) if self.ready.is_empty() => return Err(Ok(())),
                Ok(false) => break,
                Err(fault) if self.ready.is_empty() => return Err(Err(fault)),
                // What could be decoded before the fault is heard first.
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        Ok(self.ready.get(..SLICE.min(self.ready.len())).unwrap_or(&[]))
    }

    pub fn taken(&mut self, samples: usize) {
        self.ready.drain(..samples.min(self.ready.len()));
    }

    /// False when all passes are over.
    fn make_more(&mut self) -> Result<bool, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Some(pass) = &mut self.pass else { return self.begin_pass() };
        self.mono.clear();
        self.resampled.clear();
        let has_more = pass.source.read(&mut self.mono)?;
        pass.heard += self.mono.len() as u64;
        if pass.heard > SECONDS_LIMIT * u64::from(pass.source.rate_hz()) {
            return Err(Fault("the file is longer than two hours"));
        }
        let samples = match &mut pass.resampler {
            None => &self.mono,
            Some(resampler) => {
                resampler.process(&self.mono, &mut self.resampled);
                if !has_more {
                    resampler.finish(&mut self.resampled);
                }
                &self.resampled
            }
        };
        self.ready.extend(samples.iter().map(|it| (it * 32_768.0).round() as i16));
        if !has_more {
            if pass.heard == 0 {
                return Err(Fault("the file holds no audio"));
            }
            // A file of a few samples that is repeated shall not be opened thousands of times a second.
            let missing = u64::from(PLAY_RATE_HZ / TICKS_PER_SECOND).saturating_sub(pass.heard);
            self.ready.extend(std::iter::repeat_n(0, missing as usize));
            self.pass = None;
        }
        Ok(true)
    }

    fn begin_pass(&mut self) -> Result<bool, Fault> {
        match &mut self.passes_left {
            Some(0) => return Ok(false),
            Some(passes) => *passes -= 1,
            None => {}
        }
        let source = Source::open(&self.file)?;
        let resampler = Resampler::new(source.rate_hz(), PLAY_RATE_HZ);
        self.pass = Some(Pass { source, resampler, heard: 0 });
        Ok(true)
    }
}
