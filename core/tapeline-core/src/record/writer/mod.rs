//! Writer threads: each visits its recordings every 200 ms, and those that end at once.

pub mod health;
pub mod recording;
pub mod spare;
pub mod sync;
pub mod timeline;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::boundary::counters::Counters;
use crate::boundary::event::{Event, RecordingFinished, TrackFile};
use crate::boundary::handle::RecorderHandle;
use crate::record::part::PartFault;
use crate::record::writer::recording::{Desk, Recording, Visit};
use crate::record::writer::spare::{Look, SpareTrack};
use crate::record::writer::sync::timed;
use crate::sys::eventfd::EventFd;

const VISIT_PERIOD: Duration = Duration::from_millis(200);
/// While a recording has nothing on the disk yet.
const FIRST_VISIT_PERIOD: Duration = Duration::from_millis(40);
/// Up to here, recordings that end together are synced one by one: three small syncs each, and no
/// waiting for what others wrote. From here on one sync of the whole disk is cheaper (measured:
/// docs/decisions/0010-group-sync.md).
const SINGLE_SYNCS: usize = 2;

/// What a writer thread is given.
enum Arrival {
    Recording(Box<Recording>),
    Spare(SpareTrack),
}

/// How the opener reaches a writer thread.
pub struct WriterPort {
    inbox: Mutex<Sender<Arrival>>,
    pub waker: Arc<EventFd>,
    /// Recordings that it has, those in its inbox included.
    pub load: Arc<AtomicUsize>,
    is_stopping: Arc<AtomicBool>,
}

impl WriterPort {
    /// The port, and what its thread runs.
    pub fn new(desk: Desk) -> std::io::Result<(Self, Writer)> {
        let (sender, inbox) = channel();
        let waker = Arc::new(EventFd::new()?);
        let load = Arc::new(AtomicUsize::new(0));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            inbox,
            waker: waker.clone(),
            load: load.clone(),
            is_stopping: is_stopping.clone(),
            desk,
            recordings: Vec::new(),
            spares: Vec::new(),
            complete: Vec::new(),
        };
        Ok((Self { inbox: Mutex::new(sender), waker, load, is_stopping }, writer))
    }

    /// False when the thread is gone; the recording's files are left for repair then.
    pub fn take_on(&self, recording: Recording) -> bool {
        self.load.fetch_add(1, Ordering::Relaxed);
        let is_taken = self.send(Arrival::Recording(Box::new(recording)));
        // Its first samples shall not wait for the visit of the others.
        self.waker.signal();
        is_taken
    }

    /// As [`WriterPort::take_on`]; it counts as load once it has begun.
    pub fn take_on_spare(&self, spare: SpareTrack) -> bool {
        self.send(Arrival::Spare(spare))
    }

    fn send(&self, arrival: Arrival) -> bool {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).send(arrival).is_ok()
    }

    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.waker.signal();
    }
}

/// What a writer thread owns.
pub struct Writer {
    inbox: Receiver<Arrival>,
    waker: Arc<EventFd>,
    load: Arc<AtomicUsize>,
    is_stopping: Arc<AtomicBool>,
    desk: Desk,
    recordings: Vec<(Recording, Visit)>,
    spares: Vec<SpareTrack>,
    /// They are durable; their last word waits for their tracks.
    complete: Vec<RecordingFinished>,
}

impl Writer {
    /// Runs until told to stop; recordings that still run are finished then.
    pub fn run(mut self) {
        loop {
            let is_stopping = self.is_stopping.load(Ordering::Acquire);
            let is_cut_off = self.take_inbox();
            self.sweep(is_stopping);
            let is_idle = self.recordings.is_empty() && self.complete.is_empty();
            if is_idle && (is_stopping || is_cut_off) {
                return;
            }
            if self.recordings.iter().all(|(_, visit)| *visit == Visit::Waiting) {
                let has_fresh = self.recordings.iter().any(|(recording, _)| recording.is_fresh());
                let period = if has_fresh { FIRST_VISIT_PERIOD } else { VISIT_PERIOD };
                self.waker.wait(period);
            }
        }
    }

    /// True when nobody can bring recordings any more.
    fn take_inbox(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Arrival::Recording(recording)) => {
                    self.recordings.push((*recording, Visit::Waiting));
                }
                Ok(Arrival::Spare(spare)) => self.spares.push(spare),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// Spare tracks that somebody got become recordings.
    fn look_at_spares(&mut self) {
        for spare in std::mem::take(&mut self.spares) {
            let recorder = spare.recorder();
            match spare.look(&self.desk) {
                Look::Waiting(spare) => self.spares.push(spare),
                Look::Unused => {}
                Look::Began(track) => {
                    self.load.fetch_add(1, Ordering::Relaxed);
                    self.recordings.push((*track, Visit::Waiting));
                }
                Look::Failed(track, detail) => {
                    self.note_track(recorder, track);
                    self.desk.events.send(Event::RecorderTrouble { recorder, detail });
                }
            }
        }
    }

    /// A track has become final: its recording will tell it.
    fn note_track(&mut self, recorder: RecorderHandle, track: TrackFile) {
        if let Some(main) = self.complete.iter_mut().find(|it| it.recorder == recorder) {
            main.tracks.push(track);
            return;
        }
        let mut running = self.recordings.iter_mut().map(|(recording, _)| recording);
        if let Some(main) = running.find(|it| it.recorder() == recorder && !it.is_track()) {
            main.add_track(track);
        }
    }

    fn has_tracks_open(&self, recorder: RecorderHandle) -> bool {
        self.recordings.iter().any(|(it, _)| it.recorder() == recorder && it.is_track())
    }

    fn sweep(&mut self, is_stopping: bool) {
        self.look_at_spares();
        self.visit_ending();
        for index in 0..self.recordings.len() {
            // Somebody's end does not wait for everybody's visit.
            if self.waker.wait(Duration::ZERO) {
                self.visit_ending();
            }
            if let Some((recording, visit)) = self.recordings.get_mut(index) {
                let way = if is_stopping { Recording::wind_up } else { Recording::visit };
                *visit = guarded(recording, &mut self.desk, way);
            }
        }
        self.dismiss();
    }

    fn visit_ending(&mut self) {
        for (recording, visit) in &mut self.recordings {
            if *visit != Visit::Sealed && recording.is_ending() {
                *visit = guarded(recording, &mut self.desk, Recording::visit);
            }
        }
        self.announce_sealed();
    }

    /// Lets go of the recordings that are done.
    fn dismiss(&mut self) {
        self.announce_sealed();
        self.announce_complete();
        for (recording, _) in self.recordings.extract_if(.., |(_, it)| *it == Visit::Unwanted) {
            self.load.fetch_sub(1, Ordering::Relaxed);
            recording.discard(&self.desk);
        }
    }
}

impl Writer {
    /// Makes sealed recordings durable, all at once when they are many, and says that they are done.
    fn announce_sealed(&mut self) {
        let sealed = self.recordings.extract_if(.., |(_, visit)| *visit == Visit::Sealed);
        let mut sealed: Vec<Recording> = sealed.map(|(recording, _)| recording).collect();
        if sealed.len() <= SINGLE_SYNCS {
            for mut recording in sealed {
                let result = timed(&self.desk.counters, || recording.sync());
                self.announce(recording, result.map_err(|fault| fault.to_string()));
            }
            return;
        }
        let result = timed(&self.desk.counters, || self.desk.disk.sync_all());
        let result = result.map_err(|error| error.to_string());
        for recording in sealed.drain(..) {
            self.announce(recording, result.clone());
        }
    }

    fn announce(&mut self, recording: Recording, durable: Result<(), String>) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        if let Err(detail) = &durable {
            let (recorder, detail) = (recording.recorder(), detail.clone());
            self.desk.events.send(Event::RecorderTrouble { recorder, detail });
        }
        if let Some(track) = recording.as_track_file(durable.is_ok()) {
            self.note_track(recording.recorder(), track);
        } else {
            self.complete.extend(recording.into_finished(durable.is_ok()));
        }
    }

    /// Recordings say that they are done when all their tracks are.
    fn announce_complete(&mut self) {
        if self.complete.is_empty() {
            return;
        }
        // A track that began just before the end may still be on its way: it was sent before it began.
        self.take_inbox();
        self.look_at_spares();
        for mut finished in std::mem::take(&mut self.complete) {
            if self.has_tracks_open(finished.recorder) {
                self.complete.push(finished);
                continue;
            }
            finished.tracks.sort_by_key(|track| track.number);
            Counters::add(&self.desk.counters.recordings_finished, 1);
            self.desk.events.send(Event::RecordingFinished(Box::new(finished)));
        }
    }
}

type Way = fn(&mut Recording, &mut Desk) -> Result<Visit, PartFault>;

/// One recording's turn; neither its fault nor a bug of ours reaches the others.
fn guarded(recording: &mut Recording, desk: &mut Desk, way: Way) -> Visit {
    let result = catch_unwind(AssertUnwindSafe(|| way(recording, desk)));
    let fault = match result {
        Ok(Ok(visit)) => return visit,
        Ok(Err(fault)) => Some(fault),
        Err(_) => {
            Counters::add(&desk.counters.caught_panics, 1);
            None
        }
    };
    let salvage = catch_unwind(AssertUnwindSafe(|| recording.fail(fault.as_ref(), desk)));
    salvage.unwrap_or_else(|_| {
        Counters::add(&desk.counters.caught_panics, 1);
        recording.give_up();
        Visit::Sealed
    })
}
