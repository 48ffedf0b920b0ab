//! Calls of ours over streams: dialled, reused, and in place of a datagram that is too long.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use sip_support::far_end::FarEnd;
use sip_support::pipe::{Bytes, Heard, Pipe};
use sip_support::{Message, Node, PATIENCE, SDP, call, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::dial::Dial;
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::sip::{Limits, StreamLimits};

/// A far end that takes UDP and TCP at the same address.
struct Both {
    udp: FarEnd,
    tcp: TcpListener,
}

impl Both {
    fn new() -> Self {
        loop {
            let udp = FarEnd::new();
            if let Ok(tcp) = TcpListener::bind(udp.me) {
                return Self { udp, tcp };
            }
        }
    }

    fn uri(&self) -> String {
        format!("{};transport=tcp", self.udp.uri())
    }

    fn accept(&self) -> Box<dyn Pipe> {
        let (socket, _) = self.tcp.accept().unwrap();
        Box::new(Bytes::new(socket.try_clone().unwrap(), socket))
    }

    fn answer(&self, pipe: &mut dyn Pipe) -> (Message, Message) {
        let invite = heard(pipe);
        assert!(invite.start.starts_with("INVITE "), "{}", invite.start);
        for (status, body) in [(180, ""), (200, SDP)] {
            pipe.write(self.udp.response(&invite, status, body).as_bytes()).unwrap();
        }
        let ack = heard(pipe);
        assert!(ack.start.starts_with("ACK "), "{}", ack.start);
        (invite, ack)
    }
}

fn heard(pipe: &mut dyn Pipe) -> Message {
    match pipe.read(PATIENCE) {
        Heard::Bytes(bytes) => Message::parse(&bytes),
        other => panic!("the node says nothing: {other:?}"),
    }
}

fn long_call(uri: &str) -> Dial {
    let headers = vec![("X-Long".to_owned(), "y".repeat(1_300))];
    Dial::new(uri, "4711", "", headers, Duration::from_secs(60)).unwrap()
}

#[test]
fn a_call_goes_out_by_tcp_and_the_next_takes_the_same_connection() {
    let mut node = Node::new();
    let far = Both::new();
    let first = node.dial(&far.uri());
    let mut pipe = far.accept();
    let (invite, ack) = far.answer(&mut *pipe);
    node.answered(first);

    assert!(invite.get("Via").starts_with("SIP/2.0/TCP "), "{invite:?}");
    let here = node.door(tapeline_core::boundary::transport::Transport::Tcp);
    assert_eq!(invite.get("Contact"), format!("<sip:tapeline@{here};transport=tcp>"));
    assert_eq!(ack.get("CSeq"), "1 ACK");

    let second = node.dial(&far.uri());
    let (again, _) = far.answer(&mut *pipe);
    node.answered(second);
    assert_ne!(again.get("Call-ID"), invite.get("Call-ID"));
    assert_eq!(node.count(|c| &c.sip_streams_opened), 1);

    for leg in [first, second] {
        node.post(SipCommand::HangUp { leg });
        let bye = heard(&mut *pipe);
        assert!(bye.start.starts_with("BYE "), "{}", bye.start);
        pipe.write(far.udp.response(&bye, 200, "").as_bytes()).unwrap();
        assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    }
    // The far end hangs up over the connection that we opened.
    let third = node.dial(&far.uri());
    let (invite, _) = far.answer(&mut *pipe);
    node.answered(third);
    pipe.write(far.udp.request(&invite, "BYE", 7, "").as_bytes()).unwrap();
    assert_eq!(heard(&mut *pipe).status(), 200);
    assert_eq!(node.ended(third), (EndedBy::RemoteBye, 200));
    drop(pipe);
    node.streams_become(0);
}

#[test]
fn a_route_leads_back_over_the_stream_of_its_peer() {
    use sip_support::pipe::Caller;
    use tapeline_core::boundary::transport::Transport;

    let mut node = Node::new();
    let mut phone = Caller::new(&node, Transport::Tcp);
    phone.is_answered();
    let me = phone.pipe.socket().local_addr().unwrap();
    let dial = call("sip:anna@nowhere.invalid").by_route(&format!("tcp;{me}")).unwrap();

    let leg = node.dial_as(dial).unwrap();

    let invite = phone.receive();
    assert!(invite.start.starts_with("INVITE sip:anna@nowhere.invalid "), "{}", invite.start);
    let far = FarEnd::new();
    phone.write(far.response(&invite, 486, ""));
    assert!(phone.receive().start.starts_with("ACK "));
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));
    assert_eq!(node.count(|c| &c.sip_streams_opened), 1);
}

#[test]
fn a_long_request_moves_to_tcp_where_the_peer_takes_it_and_stays_a_datagram_elsewhere() {
    let mut node = Node::new();
    let far = Both::new();
    let leg = node.dial_as(long_call(&far.udp.uri())).unwrap();
    let mut pipe = far.accept();
    let (invite, _) = far.answer(&mut *pipe);
    node.answered(leg);
    assert!(invite.get("Via").starts_with("SIP/2.0/TCP "), "{invite:?}");

    let mut udp_alone = FarEnd::new();
    let leg = node.dial_as(long_call(&udp_alone.uri())).unwrap();
    let (invite, _) = udp_alone.answer();
    node.answered(leg);
    assert!(invite.get("Via").starts_with("SIP/2.0/UDP "), "{invite:?}");

    let mut as_asked = Both::new();
    let uri = format!("{};transport=udp", as_asked.udp.uri());
    let leg = node.dial_as(long_call(&uri)).unwrap();
    as_asked.udp.answer();
    node.answered(leg);
    // A short one needs no connection.
    let mut short = Both::new();
    let leg = node.dial(&short.udp.uri());
    short.udp.answer();
    node.answered(leg);
}

#[test]
fn nobody_there_is_told_at_once_and_nobody_answering_within_the_handshake() {
    let mut config = config();
    let handshake = Duration::from_millis(300);
    let streams = StreamLimits { handshake, ..StreamLimits::default() };
    config.limits = Limits { streams, ..config.limits };
    let mut node = Node::with(config, 10);
    let closed = FarEnd::new();
    let leg = node.dial(&format!("{};transport=tcp", closed.uri()));
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));

    // TLS is spoken to a far end that accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = mute.local_addr().unwrap();
    let leg = node.dial(&format!("sips:bob@{address}"));
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));
    node.slots_become(0);
}

#[test]
fn a_stream_that_dies_before_any_answer_ends_the_call() {
    let mut node = Node::new();
    let far = Both::new();
    let leg = node.dial(&far.uri());
    let mut pipe = far.accept();
    heard(&mut *pipe);
    drop(pipe);
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));
    node.slots_become(0);
}
