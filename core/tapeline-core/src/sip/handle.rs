//! The way onto the SIP thread.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::boundary::command::{CommandId, SipCommand};
use crate::boundary::counters::{Counters, LegStats};
use crate::boundary::handle::{LegHandle, SlotAllocator};
use crate::boundary::sink::EventSink;
use crate::boundary::transport::Transport;
use crate::media::command::MediaHandle;
use crate::sip::config::SipConfig;
use crate::sip::supervisor::{self, Probe, Renewal};
use crate::sip::thread::{Parts, run};
use crate::sip::trace::{Trace, Traced};
use crate::sip::transport::{Door, Tls, bind_stream, bind_udp};

/// Commands that wait for the SIP thread; beyond it [`SipBusy`].
const COMMAND_QUEUE: usize = 8_192;
/// What `stop` waits beyond the grace for the thread itself.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// The command was not taken: the SIP thread hangs, or has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipBusy;

impl fmt::Display for SipBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the SIP thread takes no commands")
    }
}

impl std::error::Error for SipBusy {}

/// Live figures of the legs that have audio; written by the SIP thread, read by anyone.
#[derive(Clone, Default)]
pub(super) struct LegStatsTable(Arc<Mutex<HashMap<LegHandle, Arc<LegStats>>>>);

impl LegStatsTable {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LegHandle, Arc<LegStats>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, leg: LegHandle, stats: Arc<LegStats>) {
        self.lock().insert(leg, stats);
    }

    pub(super) fn remove(&self, leg: LegHandle) -> Option<Arc<LegStats>> {
        self.lock().remove(&leg)
    }
}

/// One SIP thread. Clones share it; when the last is dropped the thread stops by itself.
#[derive(Clone)]
pub struct SipHandle {
    inner: Arc<Inner>,
}

struct Inner {
    commands: mpsc::Sender<(CommandId, SipCommand)>,
    stop: CancellationToken,
    stopped: Mutex<std_mpsc::Receiver<()>>,
    stop_limit: Duration,
    stats: LegStatsTable,
    trace: Arc<Trace>,
    addresses: Vec<SocketAddr>,
    streams: Vec<(Transport, SocketAddr)>,
    tls: Arc<Tls>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl SipHandle {
    /// Queues a command; `Event::CommandDone` or `Event::CommandFailed` answers it.
    pub fn send(&self, id: CommandId, command: SipCommand) -> Result<(), SipBusy> {
        self.inner.commands.try_send((id, command)).map_err(|_| SipBusy)
    }

    /// Figures of a leg that has audio, until it ends.
    pub fn leg_stats(&self, leg: LegHandle) -> Option<Arc<LegStats>> {
        self.inner.stats.lock().get(&leg).cloned()
    }

    /// The last messages of a call, by its Call-ID; empty when it is unknown or forgotten.
    pub fn trace(&self, call_id: &str) -> Vec<Traced> {
        self.inner.trace.of_call(call_id)
    }

    /// Call-ID of a leg, as long as its call's messages are kept.
    pub fn call_id(&self, leg: LegHandle) -> Option<String> {
        self.inner.trace.call_id_of(leg)
    }

    /// What the UDP sockets are bound to, in the order of the configuration.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// The same for streams.
    pub fn stream_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.inner.streams
    }

    /// Reads the files of certificates again; new connections use them. When they cannot be used, the
    /// old ones stay.
    pub fn reload_tls(&self) -> io::Result<()> {
        self.inner.tls.reload()
    }

    /// Ends every call (BYE, or 503 before the answer) and the thread. Returns within
    /// `Limits::stop_grace` and one second; false when the thread still ran then.
    pub fn stop(&self) -> bool {
        self.inner.stop.cancel();
        let stopped = self.inner.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(
            stopped.recv_timeout(self.inner.stop_limit),
            Err(std_mpsc::RecvTimeoutError::Timeout)
        )
    }
}

fn open((transport, address): (Transport, SocketAddr)) -> io::Result<(Door, TcpListener)> {
    let listener = bind_stream(address)?;
    Ok((Door { transport, local: listener.local_addr()? }, listener))
}

/// Binds the sockets and starts the thread `tl-sip`.
pub fn start(
    config: SipConfig,
    media: MediaHandle,
    events: EventSink,
    counters: Arc<Counters>,
    legs: Arc<SlotAllocator>,
) -> io::Result<SipHandle> {
    let sockets = config.udp.iter().map(|&to| bind_udp(to)).collect::<io::Result<Vec<_>>>()?;
    let addresses = sockets.iter().map(|s| s.local_addr()).collect::<io::Result<Vec<_>>>()?;
    let is_server = config.streams.iter().any(|(transport, _)| transport.is_secret());
    let tls = Arc::new(Tls::new(config.tls.clone(), is_server)?);
    let doors = config.streams.iter().map(|&door| open(door)).collect::<io::Result<Vec<_>>>()?;
    let streams = doors.iter().map(|(door, _)| (door.transport, door.local)).collect();
    let is_watched = !config.limits.probe.is_zero();
    let watched = addresses.iter().filter(|_| is_watched);
    let probes = watched.map(|&to| Probe::new(to)).collect::<io::Result<Vec<_>>>()?;
    let renewal = Arc::<Renewal>::default();
    let every = config.limits.probe;
    let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
    let (stopped_sender, stopped) = std_mpsc::channel();
    let stop = CancellationToken::new();
    let stats = LegStatsTable::default();
    let trace = Arc::new(Trace::default());
    let stop_limit = config.limits.stop_grace + STOP_MARGIN;
    let parts = Parts {
        config,
        probes: probes.iter().map(Probe::source).collect(),
        renewal: renewal.clone(),
        sockets,
        doors,
        media,
        events: events.clone(),
        counters: counters.clone(),
        slots: legs,
        stats: stats.clone(),
        trace: trace.clone(),
        tls: tls.clone(),
        commands: command_queue,
        stop: stop.clone(),
    };
    thread::Builder::new().name("tl-sip".into()).spawn(move || {
        run(parts);
        drop(stopped_sender);
    })?;
    if !probes.is_empty() {
        supervisor::start(probes, every, renewal, events, counters, stop.clone())?;
    }
    let stopped = Mutex::new(stopped);
    let inner =
        Inner { commands, stop, stopped, stop_limit, stats, trace, addresses, streams, tls };
    Ok(SipHandle { inner: Arc::new(inner) })
}
