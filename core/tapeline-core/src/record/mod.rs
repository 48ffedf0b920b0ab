//! Recordings: tap, ring, writer threads, file formats, journal, hashes, repair.
//!
//! A recording goes this way: [`RecordThreads::open`] queues it, `tl-open` makes its folder with
//! `audio.part`, `journal.jsonl` and `blocks.sha256` and hands a [`tap::Tap`] to the media thread; the
//! tick pushes samples and marks; one of two writer threads `tl-writer-N` lays them out in time
//! ([`writer::timeline`]), encodes, appends, and finishes the file when the tap says so. `tl-sync` makes
//! all files durable together, about once a second. The finished file keeps its name: the control plane
//! renames it.

pub mod blocks;
pub mod booth;
mod crew;
pub mod disk;
pub mod format;
pub mod journal;
pub mod mark;
mod opener;
pub mod part;
pub mod repair;
pub mod silence;
pub mod spec;
pub mod tap;
pub mod writer;

pub use repair::probe::probe;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::boundary::command::{CommandId, StartRecording};
use crate::boundary::counters::Counters;
use crate::boundary::sink::EventSink;
use crate::media::command::MediaHandle;
use crate::record::booth::Booth;
use crate::record::crew::Crew;
use crate::record::disk::{DiskSpool, Spool};
use crate::record::format::{Mp3Maker, lame};
use crate::record::opener::{OpenRequest, Opener};
use crate::record::writer::WriterPort;
use crate::record::writer::recording::Desk;
use crate::record::writer::sync::GroupSync;
use crate::sys::disk::lower_own_priority;

/// Starts that wait for the opener; more are refused as busy.
const OPEN_QUEUE: usize = 4_096;
/// What is left of the reserve when running recordings end, too.
const FLOOR_SHARE: u64 = 8;
/// Below the media thread's priority and everybody's default: the rings hold 8 s.
const WRITER_NICE: i32 = 5;

#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// All recordings lie beneath this folder, on one file system. Made when missing.
    pub spool: PathBuf,
    /// No recording starts when less than this is free on the spool's disk, and those that run end when
    /// less than an eighth of it is.
    pub reserve_bytes: u64,
    pub writers: usize,
}

impl RecordConfig {
    /// Two writers and a reserve of 256 MiB.
    pub fn new(spool: impl Into<PathBuf>) -> Self {
        Self { spool: spool.into(), reserve_bytes: 256 << 20, writers: 2 }
    }
}

/// The opener has more starts waiting than it can take, or is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// The recorder's threads; dropping it stops them.
pub struct RecordThreads {
    requests: Mutex<Option<SyncSender<OpenRequest>>>,
    writers: Arc<Vec<WriterPort>>,
    group: Arc<GroupSync>,
    opener: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

/// Starts the recorder on the disk that holds `config.spool`.
pub fn start(
    config: RecordConfig,
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
) -> io::Result<RecordThreads> {
    let disk = DiskSpool::open(&config.spool)?;
    start_on(disk, lame::maker(), config, media, events, counters)
}

/// Starts the recorder on any disk, with any encoder.
pub fn start_on(
    disk: Arc<dyn Spool>,
    mp3: Mp3Maker,
    config: RecordConfig,
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
) -> io::Result<RecordThreads> {
    let RecordConfig { spool, reserve_bytes, writers: writer_count } = config;
    let group = Arc::new(GroupSync::new(reserve_bytes / FLOOR_SHARE)?);
    let mut ports = Vec::new();
    let mut others = Vec::new();
    for number in 0..writer_count.max(1) {
        let desk = Desk {
            events: events.clone(),
            counters: counters.clone(),
            disk: disk.clone(),
            group: group.clone(),
            mp3: mp3.clone(),
            booth: Booth::new(WRITER_NICE),
            samples: Vec::new(),
            bytes: Vec::new(),
        };
        let (port, writer) = WriterPort::new(desk)?;
        ports.push(port);
        others.push(spawn(format!("tl-writer-{number}"), move || writer.run())?);
    }
    let writers = Arc::new(ports);
    let (sync, sync_disk, sync_events) = (group.clone(), disk.clone(), events.clone());
    others.push(spawn("tl-sync".into(), move || sync.run(&sync_disk, &sync_events, &counters))?);
    let (sender, requests) = sync_channel(OPEN_QUEUE);
    let (crew, makers) = Crew::new(writers.clone())?;
    others.push(spawn("tl-tracks".into(), move || makers.run())?);
    let writers_of_opener = writers.clone();
    let opener = Opener {
        requests,
        spool,
        reserve_bytes,
        disk,
        mp3,
        media,
        events,
        writers: writers_of_opener,
        crew,
    };
    let opener = Some(Builder::new().name("tl-open".into()).spawn(move || opener.run())?);
    Ok(RecordThreads { requests: Mutex::new(Some(sender)), writers, group, opener, others })
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        if let Err(error) = lower_own_priority(WRITER_NICE) {
            log::warn!("writers run at normal priority: {error}");
        }
        run();
    })
}

impl RecordThreads {
    /// Queues a start. Answered by the media thread when it is armed, else by `CommandFailed`. Never
    /// touches a disk.
    pub fn open(&self, command: CommandId, start: StartRecording) -> Result<(), Busy> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = requests.as_ref().ok_or(Busy)?;
        sender.try_send(OpenRequest { command, start }).map_err(|_| Busy)
    }

    /// Takes no more starts, finishes what still runs as if by command, and waits for the threads. Stop
    /// the media thread first, so that its last samples are in.
    pub fn stop(&mut self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(opener) = self.opener.take() {
            join(opener);
        }
        for writer in self.writers.iter() {
            writer.stop();
        }
        self.group.stop();
        for thread in self.others.drain(..) {
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    if thread.join().is_err() {
        log::error!("the thread {name} ended with a panic");
    }
}

impl Drop for RecordThreads {
    fn drop(&mut self) {
        self.stop();
    }
}
