//! A telephone that is called: answers what it is told to answer, by hand.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{Message, PATIENCE, SDP, SILENCE};

pub struct FarEnd {
    pub socket: UdpSocket,
    pub me: SocketAddr,
    pub tag: String,
    /// Header lines added to each response, with their line ends.
    pub extra: String,
    pub contact: String,
    /// Where the last message came from.
    node: Option<SocketAddr>,
}

impl FarEnd {
    pub fn new() -> Self {
        Self::on("127.0.0.1:0")
    }

    pub fn on(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let me = socket.local_addr().unwrap();
        let contact = format!("<sip:bob@{me};x=1>");
        Self { socket, me, tag: "bob1".into(), extra: String::new(), contact, node: None }
    }

    pub fn uri(&self) -> String {
        format!("sip:bob@{}", self.me)
    }

    pub fn receive_within(&mut self, patience: Duration) -> Option<Message> {
        let mut buffer = [0; 65_535];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let (length, source) = self.socket.recv_from(&mut buffer).ok()?;
        self.node = Some(source);
        Some(Message::parse(&buffer[..length]))
    }

    /// What waits already, on a socket that does not block; answers to keep-alives are skipped.
    pub fn receive_now(&mut self) -> Option<Message> {
        let mut buffer = [0; 65_535];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
            if &buffer[..length] != b"\r\n" {
                return Some(Message::parse(&buffer[..length]));
            }
        }
    }

    /// The next request of that method; copies of the INVITE before it are skipped.
    pub fn expect(&mut self, method: &str) -> Message {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let message = self.receive_within(PATIENCE).expect("the node says nothing");
            if message.start.starts_with(&format!("{method} ")) {
                return message;
            }
            assert!(message.start.starts_with("INVITE "), "expected {method}, got {message:?}");
        }
        panic!("no {method} came");
    }

    /// Silence apart from copies of the INVITE.
    pub fn hears_nothing(&mut self) {
        let end = Instant::now() + SILENCE;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            if let Some(message) = self.receive_within(left) {
                assert!(message.start.starts_with("INVITE "), "expected silence: {message:?}");
            }
        }
    }

    /// A response to `request` with our tag.
    pub fn response(&self, request: &Message, status: u16, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status} X\r\n");
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let to = request.get("To");
        let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={}", self.tag) };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let Self { extra, contact, .. } = self;
        let length = body.len();
        format!(
            "{text}To: {to}{tag}\r\nContact: {contact}\r\n{extra}{kind}Content-Length: {length}\r\n\
             \r\n{body}"
        )
    }

    pub fn respond(&self, request: &Message, status: u16, body: &str) {
        self.send_raw(self.response(request, status, body));
    }

    pub fn send_raw(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.node.expect("nothing came yet")).unwrap();
    }

    /// Answers the INVITE; returns it and the ACK.
    pub fn answer(&mut self) -> (Message, Message) {
        let invite = self.expect("INVITE");
        self.respond(&invite, 180, "");
        self.respond(&invite, 200, SDP);
        let ack = self.expect("ACK");
        (invite, ack)
    }

    /// A request of ours in the dialog that `invite` made.
    pub fn request(&self, invite: &Message, method: &str, sequence: u32, body: &str) -> String {
        let Self { me, tag, contact, .. } = self;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:tapeline@x SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{tag}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: {sequence} {method}\r\nContact: {contact}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            invite.get("To"),
            invite.get("From"),
            invite.get("Call-ID"),
            body.len()
        )
    }

    /// The next response of the node.
    pub fn status(&mut self) -> u16 {
        self.receive_within(PATIENCE).expect("the node says nothing").status()
    }
}
