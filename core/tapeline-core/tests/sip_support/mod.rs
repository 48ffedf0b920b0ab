//! A live SIP thread and a telephone made of one UDP socket; no SIP library, so that no error can
//! be shared with what is tested.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod digest;
pub mod far_end;
pub mod mutation;
pub mod pipe;
pub mod tls;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tapeline_core::boundary::command::{Access, Network, SipCommand};
use tapeline_core::boundary::counters::Counters;
use tapeline_core::boundary::dial::Dial;
use tapeline_core::boundary::event::{CallArrived, EndedBy, Event};
use tapeline_core::boundary::handle::{LegHandle, SlotAllocator};
use tapeline_core::boundary::sink::{EventQueue, event_path};
use tapeline_core::boundary::transport::Transport;
use tapeline_core::media::command::{MediaCommand, MediaHandle};
use tapeline_core::media::ports::PortPool;
use tapeline_core::sdp::Preference;
use tapeline_core::sip::{Limits, SipConfig, SipHandle, start};

/// Longer than any answer takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long silence is listened to.
pub const SILENCE: Duration = Duration::from_millis(150);

pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

pub struct Node {
    pub sip: SipHandle,
    pub counters: Arc<Counters>,
    pub slots: Arc<SlotAllocator>,
    pub address: SocketAddr,
    events: EventQueue,
    waiting: Vec<Event>,
    media: rtrb::Consumer<MediaCommand>,
    commands: u64,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.sip.stop();
    }
}

pub fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| Network::parse(text).unwrap()).collect()
}

pub fn config() -> SipConfig {
    SipConfig {
        udp: vec!["127.0.0.1:0".parse().unwrap()],
        streams: [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .map(|transport| (transport, "127.0.0.1:0".parse().unwrap()))
            .to_vec(),
        tls: tls::files(),
        dns: vec![],
        advertised: None,
        ports: PortPool::new("127.0.0.1".parse().unwrap(), 42_000..=49_999).unwrap(),
        codecs: Preference::default(),
        user_agent: "tapeline/test".into(),
        realm: "tapeline".into(),
        limits: Limits {
            stop_grace: Duration::from_millis(300),
            probe: Duration::ZERO,
            ..Limits::default()
        },
        access: Access {
            networks: networks(&["127.0.0.0/8", "::1"]),
            rate_per_source: 0,
            rate_exempt: networks(&["127.0.0.0/8"]),
            max_unacknowledged: 1_000,
        },
        srtp: Default::default(),
    }
}

pub fn with_access(access: Access) -> SipConfig {
    SipConfig { access, ..config() }
}

impl Node {
    pub fn new() -> Self {
        Self::with(config(), 1_000)
    }

    pub fn with(config: SipConfig, slots: u32) -> Self {
        let counters = Arc::new(Counters::default());
        let slots = Arc::new(SlotAllocator::new(slots));
        let (sink, _tick, events) = event_path(counters.clone()).unwrap();
        let (handle, media) = MediaHandle::new();
        let sip = start(config, handle, sink, counters.clone(), slots.clone()).unwrap();
        let address = sip.local_addresses()[0];
        Self { sip, counters, slots, address, events, waiting: vec![], media, commands: 0 }
    }

    /// The first event that `pick` wants; others stay for later.
    pub fn event<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.event_within(PATIENCE, pick).expect("the event did not come")
    }

    pub fn event_within<T>(
        &mut self,
        patience: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        loop {
            self.waiting.extend(self.events.drain(10_000));
            let found = self.waiting.iter().enumerate().find_map(|(at, e)| Some((at, pick(e)?)));
            if let Some((at, picked)) = found {
                self.waiting.remove(at);
                return Some(picked);
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// One that came already.
    pub fn event_now<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.event_within(Duration::ZERO, pick)
    }

    pub fn arrived(&mut self) -> CallArrived {
        self.event(|event| match event {
            Event::CallArrived(call) => Some((**call).clone()),
            _ => None,
        })
    }

    pub fn no_call_arrives(&mut self) {
        let arrived = self.event_within(SILENCE, |event| match event {
            Event::CallArrived(call) => Some(call.sip_call_id.clone()),
            _ => None,
        });
        assert_eq!(arrived, None);
    }

    pub fn ended(&mut self, leg: LegHandle) -> (EndedBy, u16) {
        self.event(|event| match event {
            Event::CallEnded { leg: ended, by, sip_status, .. } if *ended == leg => {
                Some((*by, *sip_status))
            }
            _ => None,
        })
    }

    /// Sends a command without waiting for its answer.
    pub fn post(&mut self, command: SipCommand) -> u64 {
        self.commands += 1;
        self.sip.send(self.commands, command).unwrap();
        self.commands
    }

    /// `Err` with the reason when it failed.
    pub fn command(&mut self, command: SipCommand) -> Result<(), String> {
        let id = self.post(command);
        self.event(|event| match event {
            Event::CommandDone { command } if *command == id => Some(Ok(())),
            Event::CommandFailed { command, reason } if *command == id => {
                Some(Err(reason.to_string()))
            }
            _ => None,
        })
    }

    /// Dials `uri` and waits until the INVITE is on its way.
    pub fn dial(&mut self, uri: &str) -> LegHandle {
        self.dial_as(call(uri)).unwrap()
    }

    /// Dials without waiting for the INVITE: a connection may have to be accepted before.
    pub fn start_dial(&mut self, uri: &str) -> LegHandle {
        let leg = self.slots.allocate().unwrap();
        self.post(SipCommand::Dial { leg, call: Box::new(call(uri)) });
        leg
    }

    pub fn dial_as(&mut self, call: Dial) -> Result<LegHandle, String> {
        let leg = self.slots.allocate().unwrap();
        self.command(SipCommand::Dial { leg, call: Box::new(call) }).map(|()| leg)
    }

    pub fn ringing(&mut self, leg: LegHandle) -> u16 {
        self.event(|event| match event {
            Event::CallRinging { leg: rings, sip_status } if *rings == leg => Some(*sip_status),
            _ => None,
        })
    }

    pub fn answered(&mut self, leg: LegHandle) {
        self.event(|event| {
            matches!(event, Event::CallAnswered { leg: answered } if *answered == leg).then_some(())
        });
    }

    pub fn media(&mut self) -> MediaCommand {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(command) = self.media.pop() {
                return command;
            }
            assert!(Instant::now() < end, "the media thread was told nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn media_now(&mut self) -> Option<MediaCommand> {
        self.media.pop().ok()
    }

    pub fn count(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        counter(&self.counters).load(Ordering::Relaxed)
    }

    /// Where the node takes streams of that transport.
    pub fn door(&self, transport: Transport) -> SocketAddr {
        let doors = self.sip.stream_addresses();
        doors.iter().find(|(named, _)| *named == transport).expect("no such door").1
    }

    /// Waits until that many streams are open.
    pub fn streams_become(&self, open: u64) {
        let now = || self.count(|c| &c.sip_streams_opened) - self.count(|c| &c.sip_streams_closed);
        let end = Instant::now() + PATIENCE;
        while now() != open {
            assert!(Instant::now() < end, "{} streams are open", now());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a figure is reached that another thread writes.
    pub fn slots_become(&self, in_use: usize) {
        let end = Instant::now() + PATIENCE;
        while self.slots.in_use() != in_use {
            assert!(Instant::now() < end, "{} slots in use", self.slots.in_use());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An answered call of `phone`, ACK sent, its `AddLeg` taken.
    pub fn talk(&mut self, phone: &mut Phone) -> LegHandle {
        phone.send_invite(SDP);
        let leg = self.arrived().leg;
        self.command(SipCommand::Answer { leg }).unwrap();
        phone.expect(200);
        phone.ack();
        assert!(matches!(self.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));
        leg
    }
}

pub fn call(uri: &str) -> Dial {
    Dial::new(uri, "4711", "", vec![], Duration::from_secs(60)).unwrap()
}

/// What came from the node.
#[derive(Clone, Debug)]
pub struct Message {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("not UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let message = Self { start, headers, body: body.to_owned() };
        assert_eq!(message.get("Content-Length"), body.len().to_string(), "{text}");
        message
    }

    pub fn status(&self) -> u16 {
        let mut words = self.start.split(' ');
        assert_eq!(words.next(), Some("SIP/2.0"), "{}", self.start);
        words.next().unwrap().parse().unwrap()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn get(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {self:?}");
        all[0]
    }

    pub fn tag(&self, name: &str) -> String {
        let (_, tag) = self.get(name).split_once(";tag=").expect("no tag");
        tag.to_owned()
    }
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// One telephone with at most one call.
pub struct Phone {
    pub socket: UdpSocket,
    pub node: SocketAddr,
    pub me: SocketAddr,
    pub call_id: String,
    pub from_tag: String,
    pub to_tag: Option<String>,
    pub seq: u32,
    /// Branch and CSeq of the INVITE, for CANCEL and for the ACK of a refusal.
    pub invite_branch: String,
    pub invite_seq: u32,
    /// The transport in its Via.
    pub via: &'static str,
    /// Header lines added to each request, with their line ends.
    pub extra: String,
    pub called: String,
    pub contact: String,
}

impl Phone {
    pub fn new(node: &Node) -> Self {
        Self::to(node.address)
    }

    pub fn to(node: SocketAddr) -> Self {
        Self::bound(node, if node.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" })
    }

    pub fn on(node: &Node, bind: &str) -> Self {
        Self::bound(node.address, bind)
    }

    fn bound(node: SocketAddr, bind: &str) -> Self {
        let socket = UdpSocket::bind(bind).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            me: socket.local_addr().unwrap(),
            contact: format!("sip:anna@{}", socket.local_addr().unwrap()),
            socket,
            node,
            call_id: format!("call-{number}@test"),
            from_tag: format!("f{number}"),
            to_tag: None,
            seq: 0,
            invite_branch: String::new(),
            invite_seq: 0,
            via: "UDP",
            extra: String::new(),
            called: "room-One".into(),
        }
    }

    pub fn send_raw(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.node).unwrap();
    }

    pub fn branch() -> String {
        format!("z9hG4bK-t{}", NUMBER.fetch_add(1, Ordering::Relaxed))
    }

    pub fn text(&self, method: &str, branch: &str, seq: u32, body: &str) -> String {
        let Self { me, node, call_id, from_tag, extra, called, contact, via, .. } = self;
        let to_tag = self.to_tag.as_ref().map(|t| format!(";tag={t}")).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{called}@{node} SIP/2.0\r\nVia: SIP/2.0/{via} {me};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Test Phone\" <sip:anna@{me}>;tag={from_tag}\r\n\
             To: <sip:{called}@{node}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {seq} {method}\r\n\
             Contact: <{contact}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A new request with the next CSeq.
    pub fn send(&mut self, method: &str, body: &str) -> String {
        self.seq += 1;
        let text = self.text(method, &Self::branch(), self.seq, body);
        self.send_raw(&text);
        text
    }

    pub fn send_invite(&mut self, sdp: &str) -> String {
        self.seq += 1;
        self.invite_seq = self.seq;
        self.invite_branch = Self::branch();
        let text = self.text("INVITE", &self.invite_branch, self.seq, sdp);
        self.send_raw(&text);
        text
    }

    pub fn cancel(&self) {
        self.send_raw(self.text("CANCEL", &self.invite_branch, self.invite_seq, ""));
    }

    /// The ACK of a 2xx: a transaction of its own.
    pub fn ack(&self) {
        self.ack_with("");
    }

    pub fn ack_with(&self, sdp: &str) {
        self.send_raw(self.text("ACK", &Self::branch(), self.invite_seq, sdp));
    }

    /// The ACK of any other final response: part of the INVITE's transaction.
    pub fn ack_refusal(&self) {
        self.send_raw(self.text("ACK", &self.invite_branch, self.invite_seq, ""));
    }

    pub fn receive_within(&self, patience: Duration) -> Option<Message> {
        let mut buffer = [0; 65_535];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(Message::parse(&buffer[..length]))
    }

    pub fn receive(&self) -> Message {
        self.receive_within(PATIENCE).expect("the node says nothing")
    }

    pub fn hears_nothing(&self) {
        if let Some(message) = self.receive_within(SILENCE) {
            panic!("expected silence, got {message:?}");
        }
    }

    /// The next response that is no 100; remembers the To tag of our dialog.
    pub fn expect(&mut self, status: u16) -> Message {
        loop {
            let message = self.receive();
            let got = message.status();
            if got == 100 && status != 100 {
                continue;
            }
            assert_eq!(got, status, "{message:?}");
            let is_invite = message.get("CSeq").ends_with(" INVITE");
            if self.to_tag.is_none() && is_invite && (180..300).contains(&got) {
                self.to_tag = Some(message.tag("To"));
            }
            return message;
        }
    }

    pub fn ok(&self, request: &Message) {
        self.respond(request, 200);
    }

    pub fn respond(&self, request: &Message, status: u16) {
        let mut text = format!("SIP/2.0 {status} X\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        self.send_raw(format!("{text}Content-Length: 0\r\n\r\n"));
    }

    /// The stack is alive.
    pub fn is_answered(&mut self) {
        let mut probe = Phone::to(self.node);
        probe.send("OPTIONS", "");
        // Its port may have been another phone's, which the node has still something to say to.
        let answer = std::iter::repeat_with(|| probe.receive())
            .find(|message| {
                message.start.starts_with("SIP/2.0 ") && message.get("CSeq").ends_with(" OPTIONS")
            })
            .expect("an endless iterator");
        assert_eq!(answer.status(), 200);
    }
}
