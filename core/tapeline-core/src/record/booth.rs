//! Where foreign encoders run: on a thread that can be left behind.
//!
//! An encoder is a C library at work on a call's audio. One that reports a fault or panics costs its
//! recording the live encoding; one that never returns would cost every recording of the writer thread its
//! ring. So the writer hands each call to a thread of its own and waits for a limited time: an
//! encoder that takes longer is given up with its thread, and the next call gets a new one. A call costs two
//! changes of threads, five times a second for each recording.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use crate::record::format::EncoderFault;
use crate::record::format::mp3::Mp3Engine;
use crate::sys::disk::lower_own_priority;

/// How long a call may take; one for each that may hang, and when they are used up no encoder is
/// called any more. Together less than a ring holds, so that those who wait lose nothing. A second of
/// audio takes 1 to 5 ms.
const LIMITS: [Duration; 3] =
    [Duration::from_secs(3), Duration::from_secs(1), Duration::from_secs(1)];

/// What an encoder is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Encode,
    Flush,
}

struct Job {
    engine: Box<dyn Mp3Engine>,
    call: Call,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

struct Done {
    engine: Result<Box<dyn Mp3Engine>, EncoderFault>,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

struct Line {
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
}

/// One writer's; its thread starts with the first call and ends with it.
pub struct Booth {
    nice: i32,
    line: Option<Line>,
    hung: usize,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

impl Booth {
    /// Its thread gets the priority `nice`.
    pub fn new(nice: i32) -> Self {
        Self { nice, line: None, hung: 0, samples: Vec::new(), bytes: Vec::new() }
    }

    /// One call of `engine`, whose output is appended to `bytes`. After a fault the engine is gone.
    pub fn run(
        &mut self,
        engine: Box<dyn Mp3Engine>,
        call: Call,
        samples: &[i16],
        bytes: &mut Vec<u8>,
    ) -> Result<Box<dyn Mp3Engine>, EncoderFault> {
        let Some(limit) = LIMITS.get(self.hung) else {
            let count = self.hung;
            return Err(EncoderFault(format!("{count} calls of the encoder hung: not used")));
        };
        let mut own = std::mem::take(&mut self.samples);
        own.clear();
        own.extend_from_slice(samples);
        let job = Job { engine, call, samples: own, bytes: std::mem::take(&mut self.bytes) };
        let done = self.hand_over(job, *limit)?;
        if done.engine.is_ok() {
            bytes.extend_from_slice(&done.bytes);
        }
        (self.samples, self.bytes) = (done.samples, done.bytes);
        done.engine
    }

    fn hand_over(&mut self, job: Job, limit: Duration) -> Result<Done, EncoderFault> {
        let line = match self.line.take() {
            Some(line) => line,
            None => open(self.nice)
                .map_err(|error| EncoderFault(format!("no thread for the encoder: {error}")))?,
        };
        let gone = || EncoderFault("the encoder's thread is gone".into());
        line.jobs.send(job).map_err(|_| gone())?;
        match line.done.recv_timeout(limit) {
            Ok(done) => {
                self.line = Some(line);
                Ok(done)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.hung += 1;
                Err(EncoderFault(format!("the encoder hung for {} s", limit.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

fn open(nice: i32) -> io::Result<Line> {
    let (jobs, inbox) = sync_channel::<Job>(1);
    let (outbox, done) = sync_channel(1);
    Builder::new().name("tl-encode".into()).spawn(move || {
        if let Err(error) = lower_own_priority(nice) {
            log::warn!("encoders run at normal priority: {error}");
        }
        for job in inbox {
            if outbox.send(work(job)).is_err() {
                return; // it took too long
            }
        }
    })?;
    Ok(Line { jobs, done })
}

fn work(job: Job) -> Done {
    let Job { mut engine, call, samples, mut bytes } = job;
    bytes.clear();
    let outcome = catch_unwind(AssertUnwindSafe(|| match call {
        Call::Encode => engine.encode(&samples, &mut bytes),
        Call::Flush => engine.flush(&mut bytes),
    }));
    let engine = match outcome {
        Ok(Ok(())) => Ok(engine),
        Ok(Err(fault)) => Err(fault),
        Err(_) => {
            // Its destructor may be as broken as the rest of it.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
            Err(EncoderFault("the encoder panicked".into()))
        }
    };
    Done { engine, samples, bytes }
}
