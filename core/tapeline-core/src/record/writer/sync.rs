//! One sync, about once a second, for all recordings of the node (docs/decisions/0010-group-sync.md), on a thread of
//! its own: a disk that stalls keeps no writer from emptying rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::boundary::counters::Counters;
use crate::boundary::event::Event;
use crate::boundary::sink::EventSink;
use crate::record::disk::Spool;
use crate::sys::eventfd::EventFd;

/// With 200 ms until a writer's visit and 280 ms that an encoder holds back, a loss of power costs less
/// than 1.5 s.
const PERIOD: Duration = Duration::from_millis(700);

/// Which syncs have begun and which are done; written by the syncing thread, read by the writers.
pub struct GroupSync {
    begun: AtomicU64,
    done: AtomicU64,
    is_dirty: AtomicBool,
    is_stopping: AtomicBool,
    is_disk_full: AtomicBool,
    floor_bytes: u64,
    bell: EventFd,
}

/// A promise: what was written before it was asked for is durable when sync `number` is done.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl GroupSync {
    /// Recordings have to end when less than `floor_bytes` are free.
    pub fn new(floor_bytes: u64) -> std::io::Result<Self> {
        Ok(Self {
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            is_dirty: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_disk_full: AtomicBool::new(false),
            floor_bytes,
            bell: EventFd::new()?,
        })
    }

    /// Call after writing.
    pub fn ticket(&self) -> Ticket {
        self.is_dirty.store(true, Ordering::SeqCst);
        Ticket(self.begun.load(Ordering::SeqCst) + 1)
    }

    pub fn is_durable(&self, ticket: Ticket) -> bool {
        self.done.load(Ordering::SeqCst) >= ticket.0
    }

    /// So little room is left that recordings have to end. Asks the disk only when the last sync found
    /// it so: there may be room again.
    pub fn is_disk_full(&self, disk: &dyn Spool) -> bool {
        self.is_disk_full.load(Ordering::Relaxed) && self.is_below_floor(disk)
    }

    fn is_below_floor(&self, disk: &dyn Spool) -> bool {
        disk.free_bytes().is_ok_and(|free| free < self.floor_bytes)
    }

    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.bell.signal();
    }

    /// The thread: syncs every period in which something was written, until stopped, and looks how much
    /// room is left.
    pub fn run(&self, disk: &Arc<dyn Spool>, events: &EventSink, counters: &Counters) {
        let mut has_failed = false;
        while !self.is_stopping.load(Ordering::SeqCst) {
            self.bell.wait(PERIOD);
            if !self.is_dirty.swap(false, Ordering::SeqCst) {
                continue;
            }
            self.is_disk_full.store(self.is_below_floor(disk.as_ref()), Ordering::Relaxed);
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            match timed(counters, || disk.sync_all()) {
                Ok(()) => {
                    self.done.store(number, Ordering::SeqCst);
                    has_failed = false;
                }
                Err(error) => {
                    self.is_dirty.store(true, Ordering::SeqCst);
                    if !std::mem::replace(&mut has_failed, true) {
                        let detail = format!("recordings could not be made durable: {error}");
                        events.send(Event::CoreTrouble { detail });
                    }
                }
            }
        }
    }
}

/// Runs a sync and counts it.
pub fn timed<R>(counters: &Counters, sync: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = sync();
    Counters::add(&counters.syncs, 1);
    Counters::add(&counters.sync_busy_us, begun.elapsed().as_micros() as u64);
    result
}
