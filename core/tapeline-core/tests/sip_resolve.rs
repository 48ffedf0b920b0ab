//! Host names (RFC 3263), asked of a name server that knows what a test tells it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sip_support::far_end::FarEnd;
use sip_support::pipe::{Bytes, Heard, Pipe};
use sip_support::{Message, Node, PATIENCE, Phone, SDP, config};
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::sip::{Limits, SipConfig};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

/// RFC 1035 over UDP; what it does not know does not exist.
struct NameServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

type Records = HashMap<(&'static str, u16), Vec<Vec<u8>>>;

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

fn a(address: [u8; 4]) -> Vec<u8> {
    Ipv4Addr::from(address).octets().to_vec()
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Vec<u8> {
    [priority, weight, port].iter().flat_map(|n| n.to_be_bytes()).chain(encoded(target)).collect()
}

fn naptr(order: u16, service: &str, replacement: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = [order, 10].iter().flat_map(|n| n.to_be_bytes()).collect();
    for text in ["s", service, ""] {
        bytes.push(text.len() as u8);
        bytes.extend(text.as_bytes());
    }
    bytes.extend(encoded(replacement));
    bytes
}

/// The name and type that a query asks for, and where its question ends.
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut at, mut name) = (12, String::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        name.push_str(&String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        name.push('.');
        at += length + 1;
    }
    (name, u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

impl NameServer {
    fn new(records: Records) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1_024];
            while let Ok((length, source)) = socket.recv_from(&mut buffer) {
                let (name, kind, end) = question(&buffer[..length]);
                // That there is no IPv6 address may be kept only where an SOA says so.
                count.fetch_add(usize::from(kind != AAAA), Ordering::Relaxed);
                let found = records.iter().find(|((n, k), _)| *n == name && *k == kind);
                let found = found.map(|(_, found)| found.as_slice()).unwrap_or_default();
                let is_name = records.keys().any(|(n, _)| *n == name);
                let code = if is_name { 0x80 } else { 0x83 };
                let mut reply = buffer[..2].to_vec();
                reply.extend([0x81, code, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
                reply.extend(&buffer[12..end]);
                for data in found {
                    reply.extend([0xC0, 12]);
                    reply.extend(kind.to_be_bytes());
                    reply.extend([0, 1, 0, 0, 1, 0]);
                    reply.extend((data.len() as u16).to_be_bytes());
                    reply.extend(data);
                }
                let _ = socket.send_to(&reply, source);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn asking(dns: SocketAddr) -> SipConfig {
    let mut config = config();
    config.dns = vec![dns];
    config.limits = Limits { lookup: Duration::from_secs(2), ..config.limits };
    config
}

#[test]
fn a_domain_leads_to_its_best_living_host_and_its_answers_are_kept() {
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = far.local_addr().unwrap().port();
    let server = NameServer::new(HashMap::from([
        (
            ("pbx.test.", NAPTR),
            vec![
                naptr(50, "SIP+D2U", "_sip._udp.pbx.test"),
                naptr(10, "SIP+D2T", "over-tcp.pbx.test"),
            ],
        ),
        (
            ("over-tcp.pbx.test.", SRV),
            vec![srv(20, 1, port, "two.pbx.test"), srv(10, 1, closed, "one.pbx.test")],
        ),
        (("one.pbx.test.", A), vec![a([127, 0, 0, 1])]),
        (("two.pbx.test.", A), vec![a([127, 0, 0, 1])]),
    ]));
    let mut node = Node::with(asking(server.address), 10);

    let leg = node.start_dial("sip:bob@pbx.test");

    let (socket, _) = far.accept().unwrap();
    let mut pipe = Bytes::new(socket.try_clone().unwrap(), socket);
    let texts = FarEnd::new();
    let mut refuse = |status| {
        let Heard::Bytes(bytes) = pipe.read(PATIENCE) else { panic!("no INVITE came") };
        let invite = Message::parse(&bytes);
        assert!(invite.start.starts_with("INVITE sip:bob@pbx.test "), "{}", invite.start);
        assert!(invite.get("Via").starts_with("SIP/2.0/TCP "), "{invite:?}");
        pipe.write(texts.response(&invite, status, "").as_bytes()).unwrap();
        assert!(matches!(pipe.read(PATIENCE), Heard::Bytes(ack) if ack.starts_with(b"ACK ")));
    };
    refuse(486);
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));
    let asked = server.asked();
    assert!(asked >= 4, "{asked} questions");

    let again = node.start_dial("sip:bob@pbx.test");
    refuse(503);
    assert_eq!(node.ended(again), (EndedBy::Rejected, 503));
    assert_eq!(server.asked(), asked);
}

#[test]
fn a_host_that_is_overloaded_or_gone_is_followed_by_the_next() {
    let (mut first, mut second) = (FarEnd::new(), FarEnd::new());
    let gone = FarEnd::new().me.port();
    let server = NameServer::new(HashMap::from([
        (
            ("_sip._udp.trunk.test.", SRV),
            vec![
                srv(3, 0, second.me.port(), "h.trunk.test"),
                srv(2, 0, first.me.port(), "h.trunk.test"),
                srv(1, 0, gone, "h.trunk.test"),
            ],
        ),
        (("h.trunk.test.", A), vec![a([127, 0, 0, 1])]),
    ]));
    let mut node = Node::with(asking(server.address), 10);
    let leg = node.dial("sip:bob@trunk.test");
    let invite = first.expect("INVITE");
    first.respond(&invite, 503, "");
    first.expect("ACK");

    let (again, _) = second.answer();
    node.answered(leg);
    assert_eq!(again.get("Call-ID"), invite.get("Call-ID"));
    assert_ne!(again.get("Via"), invite.get("Via"));

    // Busy is an answer.
    let leg = node.dial("sip:bob@trunk.test");
    let invite = first.expect("INVITE");
    first.respond(&invite, 486, "");
    first.expect("ACK");
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));
    second.hears_nothing();
}

#[test]
fn a_plain_host_needs_its_address_alone() {
    let mut far = FarEnd::new();
    let server = NameServer::new(HashMap::from([(("h.test.", A), vec![a([127, 0, 0, 1])])]));
    let mut node = Node::with(asking(server.address), 10);
    let leg = node.dial(&format!("sip:bob@h.test:{}", far.me.port()));
    let (invite, _) = far.answer();
    node.answered(leg);
    assert!(invite.get("Via").starts_with("SIP/2.0/UDP "), "{invite:?}");

    let nobody = node.dial("sip:bob@nowhere.test");
    assert_eq!(node.ended(nobody), (EndedBy::Unreachable, 503));
}

#[test]
fn a_silent_name_server_delays_nothing_else() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut node = Node::with(asking(silent.local_addr().unwrap()), 300);
    let begun = Instant::now();
    let legs: Vec<_> = (0..200).map(|n| node.start_dial(&format!("sip:a@h{n}.test"))).collect();
    let mut phone = Phone::new(&node);
    let asked = Instant::now();
    phone.is_answered();
    phone.send_invite(SDP);
    node.arrived();
    assert!(asked.elapsed() < Duration::from_millis(700), "{:?}", asked.elapsed());
    for leg in legs {
        assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
