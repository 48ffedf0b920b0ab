//! Certificates: shown, asked for, checked, and changed while calls go on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use sip_support::far_end::FarEnd;
use sip_support::pipe::{Bytes, Caller, Heard, Pipe};
use sip_support::{Message, Node, PATIENCE, Phone, SDP, config, tls};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::boundary::transport::Transport;
use tapeline_core::sip::SrtpPolicy;

fn connected(node: &Node) -> TcpStream {
    let socket = TcpStream::connect(node.door(Transport::Tls)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Whether an OPTIONS is answered, with that certificate shown or none.
fn is_heard(node: &Node, shows: Option<&str>) -> bool {
    let mut stream = tls::client(connected(node), shows);
    let mut phone = Phone::new(node);
    phone.via = "TLS";
    let text = phone.text("OPTIONS", &Phone::branch(), 1, "");
    let mut buffer = [0; 4_096];
    let answer = stream.write_all(text.as_bytes()).and_then(|()| stream.read(&mut buffer));
    answer.is_ok_and(|length| buffer[..length].starts_with(b"SIP/2.0 200"))
}

#[test]
fn certificates_are_changed_without_losing_a_connection() {
    let folder = std::env::temp_dir().join(format!("tapeline-sip-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = |name: &str| {
        std::fs::copy(tls::file(&format!("{name}.pem")), folder.join("now.pem")).unwrap();
        std::fs::copy(tls::file(&format!("{name}.key")), folder.join("now.key")).unwrap();
    };
    copy("node");
    let mut config = config();
    config.tls.certificate = folder.join("now.pem");
    config.tls.key = folder.join("now.key");
    let node = Node::with(config, 10);
    let mut before = Caller::new(&node, Transport::Tls);
    before.is_answered();

    copy("renewed");
    node.sip.reload_tls().unwrap();

    let mut after = tls::client(connected(&node), None);
    after.write_all(b"\r\n\r\n").unwrap();
    after.read_exact(&mut [0; 2]).unwrap();
    assert!(tls::is_of(&tls::shown(&after), "renewed.pem"));
    before.is_answered();

    std::fs::write(folder.join("now.pem"), "nothing").unwrap();
    assert!(node.sip.reload_tls().is_err());
    assert!(is_heard(&node, None));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn phones_show_a_certificate_where_one_is_asked_for_and_browsers_need_none() {
    let mut config = config();
    config.tls.client_ca = tls::file("ca.pem");
    let node = Node::with(config, 10);

    assert!(is_heard(&node, Some("phone")));
    assert!(!is_heard(&node, None));
    Caller::new(&node, Transport::Wss).is_answered();
}

#[test]
fn a_door_for_tls_needs_a_certificate() {
    let mut config = config();
    config.tls = Default::default();
    let counters = Default::default();
    let (sink, _tick, _events) =
        tapeline_core::boundary::sink::event_path(std::sync::Arc::clone(&counters)).unwrap();
    let (media, _commands) = tapeline_core::media::command::MediaHandle::new();
    let slots = std::sync::Arc::new(tapeline_core::boundary::handle::SlotAllocator::new(1));
    let started = tapeline_core::sip::start(config, media, sink, counters, slots);
    assert!(started.is_err_and(|error| error.to_string().contains("certificate")));
}

#[test]
fn our_offer_carries_keys_where_nobody_reads_along() {
    let mut config = config();
    config.srtp.policy = SrtpPolicy::Require;
    let mut node = Node::with(config, 10);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let leg = node.start_dial(&format!("sips:bob@localhost:{port}"));
    let (_, invite) = called(&listener, "node").unwrap();
    assert!(invite.body.contains("RTP/SAVP"), "{}", invite.body);
    assert!(invite.body.contains("a=crypto:1 "), "{}", invite.body);
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));

    let mut plain = FarEnd::new();
    node.dial(&plain.uri());
    assert!(!plain.expect("INVITE").body.contains("a=crypto"));
}

#[test]
fn who_calls_a_sips_uri_is_answered_with_one() {
    let mut node = Node::new();
    let mut caller = Caller::new(&node, Transport::Tls);
    let text = caller.phone.text("INVITE", &Phone::branch(), 1, SDP);
    caller.write(text.replacen("INVITE sip:", "INVITE sips:", 1));
    let leg = node.arrived().leg;
    node.command(SipCommand::Ring { leg }).unwrap();
    let here = node.door(Transport::Tls);
    assert_eq!(caller.expect(180).get("Contact"), format!("<sips:tapeline@{here}>"));
}

/// A far end over TLS; what it was asked for by SNI, and the INVITE.
fn called(listener: &TcpListener, shows: &str) -> Option<(String, Message)> {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut pipe = Bytes::new(tls::server(socket.try_clone().unwrap(), shows), socket);
    let Heard::Bytes(bytes) = pipe.read(PATIENCE) else { return None };
    let invite = Message::parse(&bytes);
    let asked_for = pipe.stream.conn.server_name().unwrap_or_default().to_owned();
    pipe.write(FarEnd::new().response(&invite, 486, "").as_bytes()).unwrap();
    pipe.read(PATIENCE);
    Some((asked_for, invite))
}

#[test]
fn a_call_by_tls_goes_to_whom_its_certificate_names() {
    let mut node = Node::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();

    let leg = node.start_dial(&format!("sips:bob@localhost:{port}"));
    let (asked_for, invite) = called(&listener, "node").unwrap();
    assert_eq!(asked_for, "localhost");
    assert!(invite.get("Via").starts_with("SIP/2.0/TLS "), "{invite:?}");
    let here = node.door(Transport::Tls);
    assert_eq!(invite.get("Contact"), format!("<sips:tapeline@{here}>"));
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));

    let leg = node.start_dial(&format!("sip:bob@127.0.0.1:{port};transport=tls"));
    assert!(called(&listener, "node").is_some());
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 486));

    // A certificate for somebody else.
    let leg = node.start_dial(&format!("sips:bob@127.0.0.1:{port}"));
    assert!(called(&listener, "phone").is_none());
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));
}
