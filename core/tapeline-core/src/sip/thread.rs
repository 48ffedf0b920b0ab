//! The thread `tl-sip`: what runs on it, and what happens when a part of it fails.
//!
//! | panics in | caught by | lost |
//! |---|---|---|
//! | a leg's task | its guard | that leg |
//! | the handling of a datagram or command | its guard | that datagram or command |
//! | rsipstack's timers | [`keep_running`], started again | the timers that were due together |
//! | anything else | [`run`], a new [`Stack`] on the same sockets | all legs |

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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
use crate::sip::transport::{Listener, MAX_DATAGRAM};

/// Between two attempts after a failure, so that a lasting one costs no core.
const PAUSE: Duration = Duration::from_millis(20);

/// Host names looked up at once; more wait, within their own limit.
const LOOKUPS: usize = 32;

/// All that the thread owns.
pub(super) struct Parts {
    pub config: SipConfig,
    pub sockets: Vec<UdpSocket>,
    pub media: MediaHandle,
    pub events: EventSink,
    pub counters: Arc<Counters>,
    pub slots: Arc<SlotAllocator>,
    pub stats: LegStatsTable,
    pub commands: mpsc::Receiver<(CommandId, SipCommand)>,
    pub stop: CancellationToken,
}

/// Runs until `stop` is cancelled; rebuilt when it fails as a whole.
pub(super) fn run(parts: Parts) {
    let Parts { config, sockets, media, events, counters, slots, stats, mut commands, stop } =
        parts;
    let config = Rc::new(config);
    loop {
        let stack = Stack::new(
            config.clone(),
            media.clone(),
            events.clone(),
            counters.clone(),
            slots.clone(),
            stats.clone(),
        );
        let outcome = stack.and_then(|stack| {
            let stack = Rc::new(stack);
            let runtime = runtime().map_err(|error| error.to_string())?;
            let turn = catch_unwind(AssertUnwindSafe(|| {
                let turn = turn(&stack, &runtime, &sockets, &mut commands, &stop);
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
    sockets: &[UdpSocket],
    commands: &mut mpsc::Receiver<(CommandId, SipCommand)>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        for socket in sockets {
            let advertised = stack.config.advertised;
            let socket = socket.try_clone()?;
            let listener = Listener::new(socket, advertised, stack.counters.clone()).await?;
            let (stack, listener) = (stack.clone(), Rc::new(listener));
            stack.listeners.borrow_mut().push(listener.clone());
            let (shared, same) = (stack.clone(), listener.clone());
            spawn(async move {
                let work = || receive(stack.clone(), listener.clone());
                keep_running(&stack, "a receive loop", work).await;
            });
            spawn(async move {
                let work = || hear_undelivered(shared.clone(), same.clone());
                keep_running(&shared, "a loop of ICMP errors", work).await;
            });
        }
        let shared = stack.clone();
        spawn(async move {
            let endpoint = shared.endpoint.clone();
            let work = || async { endpoint.process_timer().await };
            keep_running(&shared, "the timers", work).await;
        });
        spawn(remove_media(stack.clone()));
        obey(stack, commands, stop).await;
        close(stack).await;
        Ok(())
    })
}

/// Work that should never end; started again when it does.
async fn keep_running<F, W>(stack: &Stack, name: &str, mut work: W)
where
    F: Future<Output = ()>,
    W: FnMut() -> F,
{
    loop {
        if guarded(work()).await.is_err() {
            Counters::add(&stack.counters.caught_panics, 1);
        }
        Counters::add(&stack.counters.sip_rebuilds, 1);
        log::error!("{name} of the SIP thread ended and was started again");
        sleep(PAUSE).await;
    }
}

async fn receive(stack: Rc<Stack>, listener: Rc<Listener>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match listener.receive(&mut buffer).await {
            Ok((length, source)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                if guarded(stack.on_datagram(&listener, datagram, source)).await.is_err() {
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

/// Repeats removals that the media thread's full ring refused.
async fn remove_media(stack: Rc<Stack>) {
    loop {
        stack.has_unremoved.notified().await;
        sleep(PAUSE).await;
        stack.remove_media();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::boundary::command::{Access, Network};
    use crate::boundary::dial::Dial;
    use crate::boundary::handle::LegHandle;
    use crate::boundary::sink::{EventQueue, event_path};
    use crate::media::command::MediaCommand;
    use crate::media::ports::PortPool;
    use crate::sip::config::Limits;
    use crate::sip::dialog::Input;
    use crate::sip::transport::bind_udp;

    const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 6000 RTP/AVP 0\r\n";

    fn stack() -> (Rc<Stack>, EventQueue, rtrb::Consumer<MediaCommand>) {
        let loopback = vec![Network::parse("127.0.0.1").unwrap()];
        let config = SipConfig {
            udp: vec![],
            advertised: None,
            ports: PortPool::new([127, 0, 0, 1].into(), 41_600..=41_699).unwrap(),
            user_agent: "tapeline/test".into(),
            limits: Limits::default(),
            access: Access {
                networks: loopback.clone(),
                rate_per_source: 0,
                rate_exempt: loopback,
                max_unacknowledged: 10,
            },
        };
        let counters = Arc::new(Counters::default());
        let (events, _, queue) = event_path(counters.clone()).unwrap();
        let (media, commands) = MediaHandle::new();
        let slots = Arc::new(SlotAllocator::new(4));
        let stats = LegStatsTable::default();
        let stack = Stack::new(Rc::new(config), media, events, counters, slots, stats).unwrap();
        (Rc::new(stack), queue, commands)
    }

    fn invite(phone: SocketAddr, name: &str) -> String {
        format!(
            "INVITE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {phone};branch=z9hG4bK{name}\r\n\
             From: <sip:p@{phone}>;tag={name}\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {name}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:p@{phone}>\r\n\r\n{SDP}"
        )
    }

    /// Lets every task run until none has anything to do.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn arrive(
        stack: &Rc<Stack>,
        listener: &Rc<Listener>,
        events: &EventQueue,
        phone: SocketAddr,
        name: &str,
    ) -> LegHandle {
        stack.on_datagram(listener, invite(phone, name).as_bytes(), phone).await;
        settle().await;
        let arrived = events.drain(100).into_iter().find_map(|event| match event {
            Event::CallArrived(call) => Some(call.leg),
            _ => None,
        });
        arrived.unwrap()
    }

    fn heard(phone: &UdpSocket) -> Vec<String> {
        let mut buffer = [0; 4096];
        let first_line = |length: usize, buffer: &[u8]| {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        };
        std::iter::from_fn(|| phone.recv(&mut buffer).ok().map(|n| first_line(n, &buffer)))
            .collect()
    }

    #[test]
    fn a_panic_in_one_leg_ends_that_leg_and_tells_its_peer() {
        let (stack, events, mut media) = stack();
        let runtime = runtime().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::new(socket, None, stack.counters.clone()).await.unwrap();
            let listener = Rc::new(listener);
            let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let me = phone.local_addr().unwrap();
            let ringing = arrive(&stack, &listener, &events, me, "one").await;
            let talking = arrive(&stack, &listener, &events, me, "two").await;
            let other = arrive(&stack, &listener, &events, me, "three").await;
            stack.on_command(1, SipCommand::Answer { leg: talking });
            settle().await;
            assert!(matches!(media.pop(), Ok(MediaCommand::AddLeg(_))));
            events.drain(100);
            heard(&phone);

            for leg in [ringing, talking] {
                let record = stack.tables.leg(leg).unwrap();
                assert!(record.mailbox.try_send(Input::Panic).is_ok());
                stack.on_command(7, SipCommand::HangUp { leg });
                settle().await;
                let told = events.drain(100);
                let ended = told.iter().any(|event| {
                    matches!(event, Event::CallEnded { leg: l, by: EndedBy::Fault, .. } if *l == leg)
                });
                let is_failed = told.iter().any(|event| {
                    matches!(event, Event::CommandFailed { command: 7, .. })
                });
                assert!(ended && is_failed, "{leg:?} {told:?}");
            }

            let lines = heard(&phone);
            assert_eq!(lines[0], "SIP/2.0 500 Server Internal Error");
            assert!(lines[1].starts_with("BYE sip:p@"), "{lines:?}");
            assert!(matches!(media.pop(), Ok(MediaCommand::RemoveLeg { leg }) if leg == talking));
            assert_eq!(stack.counters.caught_panics.load(std::sync::atomic::Ordering::Relaxed), 2);
            assert_eq!(stack.slots.in_use(), 1);
            stack.on_command(2, SipCommand::Reject { leg: other, status: 486, reason: "".into() });
            settle().await;
            assert_eq!(heard(&phone), ["SIP/2.0 486 Busy Here"]);
        });
    }

    #[test]
    fn a_panic_in_a_leg_that_calls_cancels_its_invite() {
        let (stack, events, _media) = stack();
        let runtime = runtime().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::new(socket, None, stack.counters.clone()).await.unwrap();
            let listener = Rc::new(listener);
            stack.listeners.borrow_mut().push(listener.clone());
            let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let me = phone.local_addr().unwrap();
            let uri = format!("sip:bob@{me}");
            let call = Box::new(Dial::new(&uri, "", "", vec![], Duration::from_secs(9)).unwrap());
            let leg: LegHandle = stack.slots.allocate().unwrap();
            stack.on_command(1, SipCommand::Dial { leg, call });
            settle().await;
            let mut buffer = [0; 4096];
            let length = phone.recv(&mut buffer).unwrap();
            let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let ringing = invite.replacen(&format!("INVITE {uri} SIP/2.0"), "SIP/2.0 180 R", 1);
            stack.on_datagram(&listener, ringing.as_bytes(), me).await;
            settle().await;

            let record = stack.tables.leg(leg).unwrap();
            assert!(record.mailbox.try_send(Input::Panic).is_ok());
            settle().await;

            let ended = events.drain(100).into_iter().any(|event| {
                matches!(event, Event::CallEnded { leg: l, by: EndedBy::Fault, .. } if l == leg)
            });
            assert!(ended && !stack.is_quiet());
            assert_eq!(heard(&phone), [format!("CANCEL {uri} SIP/2.0")]);
            assert_eq!(stack.slots.in_use(), 0);
        });
    }

    #[test]
    fn a_call_can_be_hung_up_while_its_host_is_looked_up() {
        let (stack, events, _media) = stack();
        let runtime = runtime().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::new(socket, None, stack.counters.clone()).await.unwrap();
            stack.listeners.borrow_mut().push(Rc::new(listener));
            let call = Dial::new("sip:bob@localhost:9", "", "", vec![], Duration::from_secs(9));
            let leg: LegHandle = stack.slots.allocate().unwrap();

            stack.on_command(1, SipCommand::Dial { leg, call: Box::new(call.unwrap()) });
            stack.on_command(2, SipCommand::HangUp { leg });
            settle().await;

            let told = events.drain(100);
            let [
                Event::CommandDone { command: 1 },
                Event::CallEnded { by: EndedBy::Command, sip_status: 487, .. },
                Event::CommandDone { command: 2 },
            ] = told[..]
            else {
                panic!("{told:?}")
            };
            assert_eq!(stack.slots.in_use(), 0);
        });
    }

    #[test]
    fn a_full_media_ring_delays_the_slot_not_the_end() {
        let (stack, events, mut media) = stack();
        let runtime = runtime().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::new(socket, None, stack.counters.clone()).await.unwrap();
            let listener = Rc::new(listener);
            let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            let me = phone.local_addr().unwrap();
            let leg = arrive(&stack, &listener, &events, me, "one").await;
            stack.on_command(1, SipCommand::Answer { leg });
            settle().await;
            while stack.media.send(MediaCommand::Stop).is_ok() {}

            let record = stack.tables.leg(leg).unwrap();
            stack.end(&record, EndedBy::Command, 200);
            assert_eq!(stack.slots.in_use(), 1);
            while media.pop().is_ok() {}
            assert!(stack.remove_media());

            assert!(
                matches!(media.pop(), Ok(MediaCommand::RemoveLeg { leg: gone }) if gone == leg)
            );
            assert_eq!(stack.slots.in_use(), 0);
        });
    }

    #[test]
    fn work_that_panics_is_started_again() {
        let (stack, _events, _media) = stack();
        let runtime = runtime();
        let runs = std::cell::Cell::new(0);
        let again = tokio::sync::Notify::new();
        LocalSet::new().block_on(&runtime.unwrap(), async {
            let work = || async {
                runs.set(runs.get() + 1);
                if runs.get() == 1 {
                    panic!("asked to");
                }
                again.notify_one();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = keep_running(&stack, "work", work) => {}
                () = again.notified() => {}
            }
        });
        assert_eq!(runs.get(), 2);
        let count = |c: &std::sync::atomic::AtomicU64| c.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(count(&stack.counters.caught_panics), 1);
        assert_eq!(count(&stack.counters.sip_rebuilds), 1);
    }
}
