//! The thread that keeps taps ahead for whoever joins a recording with tracks.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use crate::record::tap::tracks::TrackMaker;
use crate::record::writer::WriterPort;
use crate::record::writer::spare::{SpareTrack, TrackPlan};
use crate::sys::eventfd::EventFd;

/// Looks for recordings that are over even when nobody rings.
const PERIOD: Duration = Duration::from_secs(1);

/// How one recording gets its tracks.
pub struct Supplier {
    pub maker: TrackMaker,
    pub plan: Arc<TrackPlan>,
    /// Of `writers`; a recording's tracks are written by the thread that writes the recording.
    pub writer: usize,
}

impl Supplier {
    /// False when the recording is over.
    pub fn refill(&mut self, writers: &[WriterPort]) -> bool {
        let Some(writer) = writers.get(self.writer) else { return false };
        let plan = &self.plan;
        self.maker.refill(|reader| writer.take_on_spare(SpareTrack::new(plan.clone(), reader)))
    }
}

/// The opener's end.
pub struct CrewPort {
    pub suppliers: Sender<Supplier>,
    /// Rung by ticks that took a tap.
    pub bell: Arc<EventFd>,
}

pub struct Crew {
    inbox: Receiver<Supplier>,
    bell: Arc<EventFd>,
    suppliers: Vec<Supplier>,
    writers: Arc<Vec<WriterPort>>,
}

impl Crew {
    pub fn new(writers: Arc<Vec<WriterPort>>) -> std::io::Result<(CrewPort, Self)> {
        let (suppliers, inbox) = channel();
        let bell = Arc::new(EventFd::new()?);
        let crew = Self { inbox, bell: bell.clone(), suppliers: Vec::new(), writers };
        Ok((CrewPort { suppliers, bell }, crew))
    }

    /// Runs until the opener is gone.
    pub fn run(mut self) {
        loop {
            self.bell.wait(PERIOD);
            loop {
                match self.inbox.try_recv() {
                    Ok(supplier) => self.suppliers.push(supplier),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.suppliers.retain_mut(|supplier| supplier.refill(&self.writers));
        }
    }
}
