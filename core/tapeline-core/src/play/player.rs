//! The thread that opens, decodes and feeds: every playback gets a slice in turn.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::boundary::counters::Counters;
use crate::boundary::event::Event;
use crate::boundary::sink::EventSink;
use crate::media::command::{MediaBusy, MediaCommand, MediaHandle};
use crate::play::feed::{Feed, feed};
use crate::play::program::{Program, slice_length};
use crate::play::source::{Fault, Origin};
use crate::play::{PlayRequest, PlaySource};
use crate::record::disk::explain;

/// Streams at once, a thread each.
const STREAMS: usize = 64;
const FILE_LIMIT: u64 = 64 << 20;
/// Rings hold two seconds: looked after ten times a second they stay full.
const PERIOD: Duration = Duration::from_millis(100);

pub struct Player {
    requests: Receiver<PlayRequest>,
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
    jobs: Vec<Job>,
    /// Each ends with its playback.
    streams: Vec<JoinHandle<()>>,
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
        Self { requests, media, events, counters, jobs: Vec::new(), streams: Vec::new() }
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
        self.streams.retain(|thread| !thread.is_finished());
        let command = request.command;
        if let Err(reason) = self.open(request) {
            self.events.send(Event::CommandFailed { command, reason: reason.into() });
        }
    }

    /// The media thread answers when the playback is queued there; the reason is for people.
    fn open(&mut self, request: PlayRequest) -> Result<(), String> {
        let PlayRequest { command, playback, spec, rate } = request;
        let (playback, feed) = feed(playback, &spec, rate);
        let origin = match spec.source {
            PlaySource::Tones(tones) => Origin::Tones(tones),
            PlaySource::File(path) if is_socket(&path) => {
                if self.streams.len() == STREAMS {
                    return Err(format!("{STREAMS} streams play already"));
                }
                Origin::Stream(path, playback.alive())
            }
            PlaySource::File(path) => Origin::File(open_file(&path)?),
        };
        let is_stream = matches!(origin, Origin::Stream(..));
        let job = Job { feed, program: Program::new(origin, spec.loops, rate, spec.level_cdb) };
        let play = Box::new(playback);
        if let Err(MediaBusy) = self.media.send(MediaCommand::AddPlay { command, play }) {
            return Err("the audio thread takes no more commands now".into());
        }
        if is_stream {
            let counters = self.counters.clone();
            let name = thread::Builder::new().name("tl-stream".into());
            let thread = name.spawn(move || job.run_alone(&counters));
            // Without a thread the job is dropped, and the media thread says that it has failed.
            self.streams.push(thread.map_err(|error| format!("no thread for a stream: {error}"))?);
        } else {
            self.jobs.push(job);
        }
        Ok(())
    }

    /// One slice for each; true when there is more to do at once.
    fn feed_all(&mut self) -> bool {
        let mut has_more = false;
        let counters = &self.counters;
        self.jobs.retain_mut(|job| {
            let step = job.guarded_step(counters);
            has_more |= step == Step::More;
            step != Step::Over
        });
        has_more
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

/// Only what can be read without waiting for anybody.
fn open_file(path: &Path) -> Result<File, String> {
    // A FIFO or a device would hold everybody up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| explain(&error, path))?;
    let metadata = file.metadata().map_err(|error| explain(&error, path))?;
    if !metadata.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    if metadata.len() > FILE_LIMIT {
        let (size, limit) = (metadata.len() >> 20, FILE_LIMIT >> 20);
        return Err(format!("the file has {size} MB, at most {limit} MB are played"));
    }
    Ok(file)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The ring is full for now.
    Full,
    More,
    Over,
}

impl Job {
    /// A stream: reading it may wait for whoever sends it.
    fn run_alone(mut self, counters: &Counters) {
        loop {
            match self.guarded_step(counters) {
                Step::Full => thread::sleep(PERIOD),
                Step::More => {}
                Step::Over => return,
            }
        }
    }

    fn guarded_step(&mut self, counters: &Counters) -> Step {
        catch_unwind(AssertUnwindSafe(|| self.step())).unwrap_or_else(|_| {
            Counters::add(&counters.caught_panics, 1);
            self.feed.end(Err("a fault inside the player"));
            Step::Over
        })
    }

    fn step(&mut self) -> Step {
        if self.feed.is_abandoned() {
            return Step::Over;
        }
        if self.feed.room() < slice_length(self.feed.rate()) {
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
