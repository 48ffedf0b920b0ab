//! What happens to calls when something on the thread fails or overtakes something else.

use std::net::SocketAddr;

use super::*;
use crate::boundary::command::{Access, Network};
use crate::boundary::dial::Dial;
use crate::boundary::handle::LegHandle;
use crate::boundary::sink::{EventQueue, event_path};
use crate::media::command::MediaCommand;
use crate::media::ports::PortPool;
use crate::sdp::Preference;
use crate::sip::config::Limits;
use crate::sip::dialog::Input;
use crate::sip::transport::bind_udp;

const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 6000 RTP/AVP 0\r\n";

fn stack() -> (Rc<Stack>, EventQueue, rtrb::Consumer<MediaCommand>) {
    let loopback = vec![Network::parse("127.0.0.1").unwrap()];
    let config = SipConfig {
        udp: vec![],
        streams: vec![],
        tls: Default::default(),
        dns: vec![],
        advertised: None,
        ports: PortPool::new([127, 0, 0, 1].into(), 41_600..=41_699).unwrap(),
        codecs: Preference::default(),
        user_agent: "tapeline/test".into(),
        realm: "tapeline".into(),
        limits: Limits::default(),
        access: Access {
            networks: loopback.clone(),
            rate_per_source: 0,
            rate_exempt: loopback,
            max_unacknowledged: 10,
        },
        srtp: Default::default(),
    };
    let counters = Arc::new(Counters::default());
    let (events, _, queue) = event_path(counters.clone()).unwrap();
    let (media, commands) = MediaHandle::new();
    let slots = Arc::new(SlotAllocator::new(4));
    let stats = LegStatsTable::default();
    let tls = Arc::new(Tls::new(Default::default(), false).unwrap());
    let stack = Stack::new(Rc::new(config), media, events, counters, slots, stats, tls).unwrap();
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
    line: &Rc<Line>,
    events: &EventQueue,
    phone: SocketAddr,
    name: &str,
) -> LegHandle {
    stack.on_message(line, invite(phone, name).as_bytes(), phone).await;
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
    std::iter::from_fn(|| phone.recv(&mut buffer).ok().map(|n| first_line(n, &buffer))).collect()
}

#[test]
fn a_panic_in_one_leg_ends_that_leg_and_tells_its_peer() {
    let (stack, events, mut media) = stack();
    let runtime = runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener =
            Listener::new(socket, None, stack.counters.clone(), stack.trace.clone()).await.unwrap();
        let line = Rc::new(Line::Udp(Rc::new(listener)));
        let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let me = phone.local_addr().unwrap();
        let ringing = arrive(&stack, &line, &events, me, "one").await;
        let talking = arrive(&stack, &line, &events, me, "two").await;
        let other = arrive(&stack, &line, &events, me, "three").await;
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
            let is_failed =
                told.iter().any(|event| matches!(event, Event::CommandFailed { command: 7, .. }));
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

/// A leg that has called `phone`, and its INVITE with another start line.
async fn called(
    stack: &Rc<Stack>,
    line: &Rc<Line>,
    phone: &UdpSocket,
    start: &str,
) -> (LegHandle, String) {
    stack.lines.add_udp(line.clone());
    let uri = format!("sip:bob@{}", phone.local_addr().unwrap());
    let call = Box::new(Dial::new(&uri, "", "", vec![], Duration::from_secs(9)).unwrap());
    let leg: LegHandle = stack.slots.allocate().unwrap();
    stack.on_command(1, SipCommand::Dial { leg, call });
    settle().await;
    let mut buffer = [0; 4096];
    let length = phone.recv(&mut buffer).unwrap();
    let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let response = invite.replacen(&format!("INVITE {uri} SIP/2.0"), start, 1);
    let here = line.address_for(phone.local_addr().unwrap());
    (leg, response.replace(&format!("<sip:tapeline@{here}>"), &format!("<{uri}>")))
}

#[test]
fn a_panic_in_a_leg_that_calls_cancels_its_invite() {
    let (stack, events, _media) = stack();
    let runtime = runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener =
            Listener::new(socket, None, stack.counters.clone(), stack.trace.clone()).await.unwrap();
        let line = Rc::new(Line::Udp(Rc::new(listener)));
        let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let me = phone.local_addr().unwrap();
        let (leg, ringing) = called(&stack, &line, &phone, "SIP/2.0 180 R").await;
        stack.on_message(&line, ringing.as_bytes(), me).await;
        settle().await;

        let record = stack.tables.leg(leg).unwrap();
        assert!(record.mailbox.try_send(Input::Panic).is_ok());
        settle().await;

        let ended = events.drain(100).into_iter().any(|event| {
            matches!(event, Event::CallEnded { leg: l, by: EndedBy::Fault, .. } if l == leg)
        });
        assert!(ended && !stack.is_quiet());
        assert_eq!(heard(&phone), [format!("CANCEL sip:bob@{me} SIP/2.0")]);
        assert_eq!(stack.slots.in_use(), 0);
    });
}

#[test]
fn a_hang_up_that_the_answer_overtakes_is_a_bye() {
    let (stack, events, _media) = stack();
    let runtime = runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener =
            Listener::new(socket, None, stack.counters.clone(), stack.trace.clone()).await.unwrap();
        let line = Rc::new(Line::Udp(Rc::new(listener)));
        let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let me = phone.local_addr().unwrap();
        let (leg, answer) = called(&stack, &line, &phone, "SIP/2.0 200 OK").await;

        // The leg's task runs only after both.
        stack.on_command(2, SipCommand::HangUp { leg });
        stack.on_message(&line, answer.as_bytes(), me).await;
        settle().await;

        let lines = heard(&phone);
        assert!(lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "), "{lines:?}");
        let ended = events.drain(100).into_iter().any(|event| {
            matches!(event, Event::CallEnded { leg: l, by: EndedBy::Command, .. } if l == leg)
        });
        assert!(ended);
        assert_eq!(stack.slots.in_use(), 0);
    });
}

#[test]
fn a_call_can_be_hung_up_while_its_host_is_looked_up() {
    let (stack, events, _media) = stack();
    let runtime = runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener =
            Listener::new(socket, None, stack.counters.clone(), stack.trace.clone()).await.unwrap();
        stack.lines.add_udp(Rc::new(Line::Udp(Rc::new(listener))));
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
        let listener =
            Listener::new(socket, None, stack.counters.clone(), stack.trace.clone()).await.unwrap();
        let line = Rc::new(Line::Udp(Rc::new(listener)));
        let phone = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let me = phone.local_addr().unwrap();
        let leg = arrive(&stack, &line, &events, me, "one").await;
        stack.on_command(1, SipCommand::Answer { leg });
        settle().await;
        while stack.media.send(MediaCommand::Stop).is_ok() {}

        let record = stack.tables.leg(leg).unwrap();
        stack.end(&record, EndedBy::Command, 200);
        assert_eq!(stack.slots.in_use(), 1);
        while media.pop().is_ok() {}
        assert!(stack.remove_media());

        assert!(matches!(media.pop(), Ok(MediaCommand::RemoveLeg { leg: gone }) if gone == leg));
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
