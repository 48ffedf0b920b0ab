//! A thread that hangs, is blocked, or panics, under its supervisor, over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::boundary::command::{Access, Network, SipCommand};
use crate::boundary::counters::Counters;
use crate::boundary::event::{EndedBy, Event};
use crate::boundary::handle::{LegHandle, SlotAllocator};
use crate::boundary::sink::{EventQueue, event_path};
use crate::media::command::{MediaCommand, MediaHandle};
use crate::media::ports::PortPool;
use crate::sdp::Preference;
use crate::sip::config::{Limits, SipConfig};
use crate::sip::handle::{SipHandle, start};

const PATIENCE: Duration = Duration::from_secs(5);
const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 6000 RTP/AVP 0\r\n";

/// A node with one answered call.
struct Case {
    sip: SipHandle,
    counters: Arc<Counters>,
    queue: EventQueue,
    media: rtrb::Consumer<MediaCommand>,
    phone: UdpSocket,
    to_tag: String,
    leg: LegHandle,
    waiting: Vec<Event>,
}

impl Drop for Case {
    fn drop(&mut self) {
        self.sip.stop();
    }
}

fn config() -> SipConfig {
    let loopback = vec![Network::parse("127.0.0.1").unwrap()];
    SipConfig {
        udp: vec!["127.0.0.1:0".parse().unwrap()],
        streams: vec![],
        tls: Default::default(),
        dns: vec![],
        advertised: None,
        ports: PortPool::new([127, 0, 0, 1].into(), 41_700..=41_799).unwrap(),
        codecs: Preference::default(),
        user_agent: "tapeline/test".into(),
        realm: "tapeline".into(),
        limits: Limits {
            probe: Duration::from_millis(250),
            stop_grace: Duration::from_millis(100),
            ..Limits::default()
        },
        access: Access {
            networks: loopback.clone(),
            rate_per_source: 0,
            rate_exempt: loopback,
            max_unacknowledged: 10,
        },
        srtp: Default::default(),
    }
}

impl Case {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let (events, _, queue) = event_path(counters.clone()).unwrap();
        let (handle, media) = MediaHandle::new();
        let slots = Arc::new(SlotAllocator::new(4));
        let sip = start(config(), handle, events, counters.clone(), slots).unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.connect(sip.local_addresses()[0]).unwrap();
        phone.set_read_timeout(Some(PATIENCE)).unwrap();
        let (to_tag, waiting) = (String::new(), Vec::new());
        let leg = LegHandle::from_u64(0);
        let mut case = Self { sip, counters, queue, media, phone, to_tag, leg, waiting };
        case.call();
        case
    }

    fn call(&mut self) {
        self.send("INVITE", 1, SDP);
        self.leg = self.event(|event| match event {
            Event::CallArrived(call) => Some(call.leg),
            _ => None,
        });
        self.sip.send(1, SipCommand::Answer { leg: self.leg }).unwrap();
        let answer = self.expect("SIP/2.0 200");
        let (_, tag) = answer.split_once("\r\nTo: ").unwrap().1.split_once(";tag=").unwrap();
        self.to_tag = tag.split("\r\n").next().unwrap().to_owned();
        self.send("ACK", 1, "");
    }

    fn send(&self, method: &str, sequence: u32, body: &str) {
        let me: SocketAddr = self.phone.local_addr().unwrap();
        let tag = match self.to_tag.as_str() {
            "" => String::new(),
            tag => format!(";tag={tag}"),
        };
        let text = format!(
            "{method} sip:a@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {me};branch=z9hG4bK{method}{sequence}\r\n\
             From: <sip:p@{me}>;tag=p\r\nTo: <sip:a@127.0.0.1>{tag}\r\nCall-ID: renewal\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:p@{me}>\r\n\r\n{body}"
        );
        self.phone.send(text.as_bytes()).unwrap();
    }

    fn plant(&self, what: &str) {
        self.phone.send(what.as_bytes()).unwrap();
    }

    fn expect(&self, start: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let length = self.phone.recv(&mut buffer).expect("the node says nothing");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    fn event<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            self.waiting.extend(self.queue.drain(1_000));
            let found = self.waiting.iter().enumerate().find_map(|(at, e)| Some((at, pick(e)?)));
            if let Some((at, picked)) = found {
                self.waiting.remove(at);
                return picked;
            }
            assert!(Instant::now() < end, "the event did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn trouble(&mut self) -> String {
        self.event(|event| match event {
            Event::CoreTrouble { detail } => Some(detail.clone()),
            _ => None,
        })
    }

    fn rebuilds(&self) -> u64 {
        self.counters.sip_rebuilds.load(Ordering::Relaxed)
    }

    /// The call is there, its audio was never touched, and it ends as any other.
    fn goes_on(&mut self) {
        assert!(self.sip.leg_stats(self.leg).is_some());
        assert!(matches!(self.media.pop(), Ok(MediaCommand::AddLeg(_))));
        assert!(self.media.pop().is_err(), "the media thread was told something");
        self.send("OPTIONS", 2, "");
        self.expect("SIP/2.0 200");
        self.send("BYE", 3, "");
        self.expect("SIP/2.0 200");
        let leg = self.leg;
        let by = self.event(|event| match event {
            Event::CallEnded { leg: ended, by, .. } if *ended == leg => Some(*by),
            _ => None,
        });
        assert_eq!(by, EndedBy::RemoteBye);
    }
}

#[test]
fn a_thread_that_hears_is_left_alone() {
    let mut case = Case::new();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(case.rebuilds(), 0);
    assert_eq!(case.counters.sip_received.load(Ordering::Relaxed), 2, "probes do not count");
    case.goes_on();
}

#[test]
fn a_loop_that_hangs_is_made_anew_and_its_calls_go_on() {
    let mut case = Case::new();
    case.plant("HANG");
    assert_eq!(case.trouble(), "SIP was deaf and was made anew; 1 calls go on");
    assert_eq!(case.rebuilds(), 1);
    case.goes_on();
    assert_eq!(case.counters.caught_panics.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_is_blocked_is_told_and_goes_on_when_it_can() {
    let mut case = Case::new();
    case.plant("BLOCK");
    assert_eq!(case.trouble(), "the SIP thread is blocked: it neither hears nor answers");
    assert_eq!(case.trouble(), "SIP was deaf and was made anew; 1 calls go on");
    case.goes_on();
}

#[test]
fn a_datagram_that_panics_harms_no_call() {
    let mut case = Case::new();
    for _ in 0..5 {
        case.plant("PANIC");
    }
    case.goes_on();
    assert_eq!(case.counters.caught_panics.load(Ordering::Relaxed), 5);
}
