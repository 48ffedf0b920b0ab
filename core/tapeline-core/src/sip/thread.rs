//! The thread `tl-sip`: what runs on it, and what happens when a part of it fails.
//!
//! | panics in | caught by | lost |
//! |---|---|---|
//! | a leg's task | its guard | that leg |
//! | the handling of a datagram or command | its guard | that datagram or command |
//! | rsipstack's timers | [`keep_running`], started again | the timers that were due together |
//! | a loop hangs, or the endpoint is dead | the supervisor, which has them made anew | what was open of transactions |
//! | anything else | [`run`], a new [`Stack`] on the same sockets | all legs |

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::boundary::command::{CommandId, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::handle::SlotAllocator;
use crate::boundary::sink::EventSink;
use crate::media::command::MediaHandle;
use crate::sip::config::SipConfig;
use crate::sip::guard::guarded;
use crate::sip::handle::LegStatsTable;
use crate::sip::stack::{Stack, spawn};
use crate::sip::supervisor::Renewal;
use crate::sip::trace::Trace;
use crate::sip::transport::{Door, Line, Listener, MAX_DATAGRAM, Tls, keep_open};

/// Between two attempts after a failure, so that a lasting one costs no core.
const PAUSE: Duration = Duration::from_millis(20);

/// How late a registration may be seen to end.
const EXPIRY_PAUSE: Duration = Duration::from_secs(1);

/// Host names looked up at once; more wait, within their own limit.
const LOOKUPS: usize = 32;

/// All that the thread owns.
pub(super) struct Parts {
    pub config: SipConfig,
    /// Where the supervisor asks from.
    pub probes: HashSet<SocketAddr>,
    pub renewal: Arc<Renewal>,
    pub sockets: Vec<UdpSocket>,
    pub doors: Vec<(Door, StdListener)>,
    pub media: MediaHandle,
    pub events: EventSink,
    pub counters: Arc<Counters>,
    pub slots: Arc<SlotAllocator>,
    pub stats: LegStatsTable,
    pub trace: Arc<Trace>,
    pub tls: Arc<Tls>,
    pub commands: mpsc::Receiver<(CommandId, SipCommand)>,
    pub stop: CancellationToken,
}

/// Runs until `stop` is cancelled; rebuilt when it fails as a whole.
pub(super) fn run(parts: Parts) {
    let Parts {
        config,
        probes,
        renewal,
        sockets,
        doors,
        media,
        events,
        counters,
        slots,
        stats,
        trace,
        tls,
        mut commands,
        stop,
    } = parts;
    let config = Rc::new(config);
    loop {
        let stack = Stack::new(
            config.clone(),
            media.clone(),
            events.clone(),
            counters.clone(),
            slots.clone(),
            stats.clone(),
            tls.clone(),
        );
        let outcome = stack.and_then(|mut stack| {
            stack.probes = probes.clone();
            stack.trace = trace.clone();
            let stack = Rc::new(stack);
            let runtime = runtime().map_err(|error| error.to_string())?;
            let turn = catch_unwind(AssertUnwindSafe(|| {
                let turn =
                    turn(&stack, &runtime, (&sockets, &doors), &renewal, &mut commands, &stop);
                turn.map_err(|error| error.to_string())
            }));
            stack.drop_legs(EndedBy::Fault);
            // A name server may be silent for longer than a stop may take.
            runtime.shutdown_background();
            turn.unwrap_or_else(|_| {
                Counters::add(&counters.caught_panics, 1);
                Err("it panicked".into())
            })
        });
        let Err(error) = outcome else { return };
        Counters::add(&counters.sip_rebuilds, 1);
        events.send(Event::CoreTrouble { detail: format!("the SIP thread was rebuilt: {error}") });
        if stop.is_cancelled() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(LOOKUPS).build()
}

/// One incarnation, to its orderly end.
fn turn(
    stack: &Rc<Stack>,
    runtime: &Runtime,
    (sockets, doors): (&[UdpSocket], &[(Door, StdListener)]),
    renewal: &Arc<Renewal>,
    commands: &mut mpsc::Receiver<(CommandId, SipCommand)>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        for socket in sockets {
            let advertised = stack.config.advertised;
            let socket = socket.try_clone()?;
            let (counters, trace) = (stack.counters.clone(), stack.trace.clone());
            let listener = Listener::new(socket, advertised, counters, trace).await?;
            let (stack, listener) = (stack.clone(), Rc::new(listener));
            let line = Rc::new(Line::Udp(listener.clone()));
            stack.lines.add_udp(line.clone());
            let (shared, same) = (stack.clone(), listener.clone());
            spawn(async move {
                let work = || receive(stack.clone(), listener.clone(), line.clone());
                keep_running(&stack, "a receive loop", work).await;
            });
            spawn(async move {
                let work = || hear_undelivered(shared.clone(), same.clone());
                keep_running(&shared, "a loop of ICMP errors", work).await;
            });
        }
        for (door, listener) in doors {
            let listener = Rc::new(TcpListener::from_std(listener.try_clone()?)?);
            let (stack, door) = (stack.clone(), *door);
            stack.lines.add_door(door);
            spawn(async move {
                let work = || keep_open(stack.clone(), door, listener.clone());
                keep_running(&stack, "a door for streams", work).await;
            });
        }
        let shared = stack.clone();
        spawn(async move {
            let work = || {
                let endpoint = shared.endpoint();
                async move { endpoint.process_timer().await }
            };
            keep_running(&shared, "the timers", work).await;
        });
        spawn(remove_media(stack.clone()));
        spawn(renew_when_due(stack.clone(), renewal.clone()));
        let shared = stack.clone();
        spawn(async move {
            let work = || expire_bindings(shared.clone());
            keep_running(&shared, "the registrar's clock", work).await;
        });
        obey(stack, commands, stop).await;
        close(stack).await;
        Ok(())
    })
}

/// Work that should never end; started again when it does, and when the thread is deaf.
async fn keep_running<F, W>(stack: &Stack, name: &str, mut work: W)
where
    F: Future<Output = ()>,
    W: FnMut() -> F,
{
    loop {
        tokio::select! {
            biased;
            outcome = guarded(work()) => {
                if outcome.is_err() {
                    Counters::add(&stack.counters.caught_panics, 1);
                }
                Counters::add(&stack.counters.sip_rebuilds, 1);
                log::error!("{name} of the SIP thread ended and was started again");
            }
            () = stack.renewed.notified() => {}
        }
        sleep(PAUSE).await;
    }
}

async fn receive(stack: Rc<Stack>, listener: Rc<Listener>, line: Rc<Line>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match listener.receive(&mut buffer).await {
            Ok((length, source)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                if guarded(stack.on_message(&line, datagram, source)).await.is_err() {
                    Counters::add(&stack.counters.caught_panics, 1);
                    log::error!("a datagram from {source} made the SIP thread panic");
                }
                // What it set going comes first: the rest of a burst waits in the kernel, bounded.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                log::debug!("receiving SIP failed: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn hear_undelivered(stack: Rc<Stack>, listener: Rc<Listener>) {
    loop {
        match listener.undelivered().await {
            Ok(lost) => {
                stack.on_undelivered(&lost);
                tokio::task::yield_now().await;
            }
            Err(error) => {
                log::debug!("reading ICMP errors failed: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Commands, until the thread is told to stop or nobody can send any more.
async fn obey(
    stack: &Rc<Stack>,
    commands: &mut mpsc::Receiver<(CommandId, SipCommand)>,
    stop: &CancellationToken,
) {
    loop {
        let command = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            command = commands.recv() => command,
        };
        let Some((id, command)) = command else { return };
        let handled = catch_unwind(AssertUnwindSafe(|| stack.on_command(id, command)));
        if handled.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
            stack.failed(id, "a fault inside the core".into());
        }
    }
}

/// Ends every call and waits a bounded time for the answers.
async fn close(stack: &Stack) {
    let deadline = Instant::now() + stack.config.limits.stop_grace;
    stack.stop_legs();
    stack.trunks.stop();
    // So that what it set going counts as open.
    tokio::task::yield_now().await;
    while !stack.is_quiet() {
        tokio::select! {
            () = sleep_until(deadline) => break,
            () = stack.changed.notified() => {}
        }
    }
    stack.drop_legs(EndedBy::Command);
    while !stack.remove_media() && Instant::now() < deadline {
        sleep(PAUSE).await;
    }
}

async fn renew_when_due(stack: Rc<Stack>, renewal: Arc<Renewal>) {
    loop {
        renewal.is_due.notified().await;
        renewal.taken.fetch_add(1, Ordering::Release);
        Counters::add(&stack.counters.sip_rebuilds, 1);
        let calls = stack.tables.leg_count();
        let detail = match stack.renew() {
            Ok(()) => format!("SIP was deaf and was made anew; {calls} calls go on"),
            Err(error) => format!("SIP is deaf and could not be made anew: {error}"),
        };
        log::error!("{detail}");
        stack.events.send(Event::CoreTrouble { detail });
    }
}

async fn expire_bindings(stack: Rc<Stack>) {
    loop {
        sleep(EXPIRY_PAUSE).await;
        stack.expire_bindings();
    }
}

/// Repeats removals that the media thread's full ring refused.
async fn remove_media(stack: Rc<Stack>) {
    loop {
        stack.has_unremoved.notified().await;
        sleep(PAUSE).await;
        stack.remove_media();
    }
}

#[cfg(test)]
mod renewal;
#[cfg(test)]
mod tests;
