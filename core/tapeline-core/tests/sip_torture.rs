//! One odd datagram at a time: what it gets, and that the stack lives on.
//!
//! In the manner of RFC 4475, in words of our own; with the faults measured in the parser under us
//! (findings D7, D10, D11).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::net::SocketAddr;

use sip_support::{Message, Node, Phone, SDP};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::CallArrived;

/// What a datagram must get.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gets {
    Status(u16),
    Silence,
}
use Gets::{Silence, Status};

struct Odd {
    name: &'static str,
    bytes: Vec<u8>,
    gets: Gets,
}

/// A plain OPTIONS; `{n}` makes each its own transaction.
fn options(me: SocketAddr, n: usize) -> String {
    format!(
        "OPTIONS sip:tapeline@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKq{n};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=t{n}\r\nTo: <sip:tapeline@127.0.0.1>\r\n\
         Call-ID: torture-{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

type Change = fn(String) -> String;

/// Each changes a good OPTIONS in one place.
fn changes() -> Vec<(&'static str, Change, Gets)> {
    fn line(text: String, starts: &str, with: &str) -> String {
        let lines = text.split("\r\n").map(|l| if l.starts_with(starts) { with } else { l });
        lines.collect::<Vec<_>>().join("\r\n")
    }
    vec![
        ("as it is", |t| t, Status(200)),
        ("unknown method", |t| t.replace("OPTIONS", "FROBNICATE"), Status(501)),
        ("method of another server", |t| t.replace("OPTIONS", "REGISTER"), Status(405)),
        ("method in small letters", |t| t.replace("OPTIONS", "options"), Status(501)),
        ("method that is no token", |t| t.replace("OPTIONS", "OPT@ONS"), Status(400)),
        ("two blanks", |t| t.replace("OPTIONS sip", "OPTIONS  sip"), Status(400)),
        ("blank at the end", |t| t.replace("SIP/2.0\r\nVia", "SIP/2.0 \r\nVia"), Silence),
        ("no URI", |t| t.replace(" sip:tapeline@127.0.0.1 SIP", " SIP"), Status(400)),
        ("URI in brackets", |t| t.replacen("sip:tapeline@127.0.0.1", "<sip:a@b>", 1), Status(400)),
        ("unknown scheme", |t| t.replacen("sip:tapeline", "nobody:tapeline", 1), Status(416)),
        ("no scheme", |t| t.replacen("sip:tapeline@127.0.0.1", "tapeline", 1), Status(400)),
        ("tel URI", |t| t.replacen("sip:tapeline@127.0.0.1", "tel:+15550100", 1), Status(200)),
        ("version of the future", |t| t.replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1), Status(505)),
        ("version that is none", |t| t.replacen("SIP/2.0\r\n", "SIP/x\r\n", 1), Status(400)),
        ("version in small letters", |t| t.replacen("SIP/2.0\r\n", "sip/2.0\r\n", 1), Status(200)),
        ("HTTP", |t| t.replacen("SIP/2.0\r\n", "HTTP/1.1\r\n", 1), Silence),
        ("CSeq of another method", |t| t.replace("1 OPTIONS", "1 BYE"), Status(400)),
        ("CSeq too large", |t| t.replace("1 OPTIONS", "2147483648 OPTIONS"), Status(400)),
        ("CSeq negative", |t| t.replace("1 OPTIONS", "-1 OPTIONS"), Status(400)),
        ("CSeq with zeros", |t| t.replace("1 OPTIONS", "0009 \t OPTIONS"), Status(200)),
        ("no CSeq", |t| t.replace("CSeq: 1 OPTIONS\r\n", ""), Status(400)),
        ("no Call-ID", |t| line(t, "Call-ID", "X-Call: 1"), Status(400)),
        ("empty Call-ID", |t| line(t, "Call-ID", "Call-ID:"), Status(400)),
        ("two Call-IDs", |t| t.replace("Call-ID", "Call-ID: x\r\nCall-ID"), Status(400)),
        ("two To", |t| t.replace("To:", "To: <sip:b@c>\r\nTo:"), Status(400)),
        ("no From", |t| line(t, "From", "X-From: 1"), Status(400)),
        ("From without tag", |t| line(t, "From", "From: <sip:a@127.0.0.1>"), Status(400)),
        ("From unfinished", |t| line(t, "From", "From: \"a <sip:a@127.0.0.1;tag=x"), Status(400)),
        ("To that is no address", |t| line(t, "To", "To: <sip:a@127.0.0.1"), Status(400)),
        ("no Via", |t| line(t, "Via", "X-Via: 1"), Silence),
        ("Via of nonsense", |t| line(t, "Via", "Via: nonsense"), Status(400)),
        ("Via of an unknown transport", |t| t.replace("2.0/UDP", "2.0/PIGEON"), Status(400)),
        ("Via with blanks", |t| t.replace("SIP/2.0/UDP ", "SIP / 2.0 / UDP   "), Status(200)),
        (
            "Via with a name",
            |t| t.replace("SIP/2.0/UDP 127.0.0.1", "SIP/2.0/UDP x.invalid"),
            Status(200),
        ),
        (
            "two Vias in one line",
            |t| t.replace(";rport", ";rport, SIP/2.0/UDP 192.0.2.1"),
            Status(200),
        ),
        ("blanks in parameters", |t| t.replace(";tag=t", " ; tag = t"), Status(200)),
        (
            "compact forms",
            |t| {
                let t = t.replace("Via:", "v:").replace("From:", "f:").replace("To:", "t :");
                t.replace("Call-ID:", "i:").replace("Content-Length", "l")
            },
            Status(200),
        ),
        ("headers in capitals", |t| t.replace("Via:", "VIA:").replace("CSeq", "CSEQ"), Status(200)),
        (
            "folded lines",
            |t| t.replace(";branch", "\r\n ;branch").replace("CSeq: ", "CSeq:\r\n\t"),
            Status(200),
        ),
        ("line ends of Unix", |t| t.replace("\r\n", "\n"), Status(200)),
        ("empty lines before", |t| format!("\r\n\r\n\r\n{t}"), Status(200)),
        (
            "header that is none",
            |t| t.replace("CSeq", "what is this\r\n: empty\r\nCSeq"),
            Status(200),
        ),
        ("quoted separators", |t| t.replace("From: ", "From: \"a;b=c,<d>\\\"\" "), Status(200)),
        ("escaped zero", |t| t.replacen("sip:tapeline", "sip:%00tape", 1), Status(200)),
        ("Max-Forwards of zero", |t| t.replace("Forwards: 70", "Forwards: 0"), Status(200)),
        ("Max-Forwards of words", |t| t.replace("Forwards: 70", "Forwards: many"), Status(400)),
        ("Max-Forwards of 256", |t| t.replace("Forwards: 70", "Forwards: 256"), Status(400)),
        ("no Max-Forwards", |t| t.replace("Max-Forwards: 70\r\n", ""), Status(200)),
        ("unknown Require", |t| t.replace("CSeq", "Require: nothing, more\r\nCSeq"), Status(420)),
        ("unknown Proxy-Require", |t| t.replace("CSeq", "Proxy-Require: x\r\nCSeq"), Status(200)),
        ("Content-Length too long", |t| t.replace("Length: 0", "Length: 9"), Status(400)),
        ("Content-Length negative", |t| t.replace("Length: 0", "Length: -1"), Status(400)),
        (
            "Content-Length beyond numbers",
            |t| t.replace("Length: 0", "Length: 18446744073709551617"),
            Status(400),
        ),
        ("Content-Length of words", |t| t.replace("Length: 0", "Length: none"), Status(400)),
        ("no Content-Length", |t| t.replace("Content-Length: 0\r\n", ""), Status(200)),
        ("bytes after the message", |t| t + "\r\ntrailing bytes", Status(200)),
        ("no end of headers", |t| t.trim_end().to_owned(), Status(400)),
        ("BYE for nothing", |t| t.replace("OPTIONS", "BYE"), Status(481)),
        ("CANCEL for nothing", |t| t.replace("OPTIONS", "CANCEL"), Status(481)),
        ("ACK for nothing", |t| t.replace("OPTIONS", "ACK"), Silence),
        ("malformed ACK", |t| t.replace("1 OPTIONS", "x ACK").replace("OPTIONS", "ACK"), Silence),
        (
            "in a dialog we do not have",
            |t| t.replace("127.0.0.1>\r\nCall", "127.0.0.1>;tag=no\r\nCall"),
            Status(481),
        ),
        (
            "9,000 bytes",
            |t| t.replace("CSeq", &format!("X-Long: {}\r\nCSeq", "y".repeat(9_000))),
            Status(200),
        ),
        (
            "40,000 bytes of headers",
            |t| t.replace("CSeq", &format!("X: {}\r\nCSeq", "y".repeat(40_000))),
            Silence,
        ),
        (
            "300 headers",
            |t| t.replace("CSeq", &format!("{}CSeq", "X: y\r\n".repeat(300))),
            Status(513),
        ),
        (
            "a response to nothing",
            |t| t.replacen("OPTIONS sip:tapeline@127.0.0.1 SIP/2.0", "SIP/2.0 200 OK", 1),
            Silence,
        ),
        (
            "a response of nonsense",
            |t| t.replacen("OPTIONS sip:tapeline@127.0.0.1 SIP/2.0", "SIP/2.0 9999 no", 1),
            Silence,
        ),
    ]
}

fn raw() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", vec![]),
        ("one blank", b" ".to_vec()),
        ("zeros", vec![0; 500]),
        ("high bytes", vec![0xff; 1_500]),
        ("STUN without its cookie", b"\0\x01\0\0\x21\x12\xa4\x43abcdefghijkl".to_vec()),
        ("RTP", b"\x80\0\0\x01\0\0\0\xa0\0\0\0\x01payload".to_vec()),
        ("start line only", b"SIP/2.0".to_vec()),
        ("colons", vec![b':'; 2_000]),
        (
            "a URI of 60,000 bytes",
            format!("OPTIONS sip:{} SIP/2.0\r\n\r\n", "a".repeat(60_000)).into(),
        ),
        ("method only", b"INVITE\r\n\r\n".to_vec()),
    ]
}

#[test]
fn every_odd_datagram_gets_what_it_must() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let mut odds: Vec<_> = changes()
        .into_iter()
        .enumerate()
        .map(|(n, (name, change, gets))| Odd {
            name,
            bytes: change(options(phone.me, n)).into_bytes(),
            gets,
        })
        .collect();
    odds.extend(raw().into_iter().map(|(name, bytes)| Odd { name, bytes, gets: Silence }));
    let latin = options(phone.me, 900).replace("<sip:a@", "J?rg <sip:a@").into_bytes();
    let latin = latin.iter().map(|&b| if b == b'?' { 0xf6 } else { b }).collect();
    odds.push(Odd { name: "Latin-1 in a name", bytes: latin, gets: Status(200) });
    let zero = options(phone.me, 901).replace("CSeq", "X-Zero: a\0b\r\nCSeq").into_bytes();
    odds.push(Odd { name: "a zero byte", bytes: zero, gets: Status(200) });

    for Odd { name, bytes, gets } in odds {
        phone.send_raw(&bytes);
        let patience = if gets == Silence { sip_support::SILENCE } else { sip_support::PATIENCE };
        let got = phone.receive_within(patience);
        let status = got.as_ref().map_or(Silence, |message| Status(message.status()));
        assert_eq!(status, gets, "{name}: {got:?}");
        if let Some(message) = got {
            explained(name, &message);
        }
        phone.is_answered();
    }
    node.no_call_arrives();
    assert_eq!(node.count(|c| &c.caught_panics), 0);
    assert_eq!(node.count(|c| &c.sip_rebuilds), 0);
}

/// Refusals say what would be right.
fn explained(name: &str, message: &Message) {
    match message.status() {
        405 | 501 => assert!(message.get("Allow").contains("INVITE"), "{name}"),
        420 => assert_eq!(message.get("Unsupported"), "nothing, more"),
        _ => {}
    }
    let is_plain = message.all("To").iter().all(|to| to.contains("tag="));
    assert!(is_plain, "{name}: {message:?}");
    if message.all("Via").len() == 1 {
        assert!(message.get("Via").contains("rport="), "{name}: {message:?}");
    }
}

fn arrived(change: impl Fn(String) -> Vec<u8>) -> Result<CallArrived, u16> {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.seq = 1;
    phone.invite_seq = 1;
    phone.invite_branch = "z9hG4bKtorture".into();
    phone.send_raw(change(phone.text("INVITE", "z9hG4bKtorture", 1, SDP)));
    let first = phone.receive().status();
    if first != 100 {
        return Err(first);
    }
    let call = node.arrived();
    let leg = call.leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let answer = phone.expect(200);
    assert!(answer.body.contains("m=audio"), "{answer:?}");
    phone.ack();
    Ok(call)
}

#[test]
fn odd_but_legal_invites_become_calls() {
    let call = arrived(|text| {
        // No Content-Length: the rest of the datagram is the body (D11).
        let length = format!("Content-Length: {}\r\n", SDP.len());
        text.replace(&length, "").into_bytes()
    });
    assert_eq!(call.unwrap().called, "room-One");

    let call = arrived(|text| {
        let text = text.replace("\"Test Phone\"", "\"J@rg \\\"M@ller\\\"\"");
        let latin = text.bytes().map(|b| if b == b'@' { 0xf6 } else { b });
        // Only those inside the name; the URIs keep theirs.
        let at: Vec<usize> = text.match_indices('@').map(|(at, _)| at).collect();
        let mut bytes: Vec<u8> = latin.collect();
        for at in at {
            let in_name = text[at..].starts_with("@rg") || text[at..].starts_with("@ller");
            bytes[at] = if in_name { 0xf6 } else { b'@' };
        }
        bytes
    });
    assert_eq!(call.unwrap().caller_name, "Jörg \"Möller\"");

    let call = arrived(|text| {
        let text = text
            .replace("sip:anna@", "sip:%61n%6Ea;x=1@")
            .replace("application/sdp", "APPLICATION/SDP ; x=y");
        let text = text.replace("Contact: <", "m: Anna  <").replacen(
            "INVITE sip:room-One@",
            "INVITE sip:room-One:secret@",
            1,
        );
        text.into_bytes()
    });
    let call = call.unwrap();
    assert_eq!((call.caller.as_str(), call.called.as_str()), ("anna;x=1", "room-One"));
}

#[test]
fn invites_that_ask_too_much_are_refused() {
    let cases: [(&str, &str, u16); 9] = [
        ("Contact: <", "X-Contact: <", 400),
        ("Contact: <sip:", "Contact: *, <sip:", 400),
        ("application/sdp", "text/plain", 415),
        ("application/sdp", "multipart/mixed;boundary=x", 415),
        ("Max-Forwards: 70", "Max-Forwards: 0", 483),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: precondition", 420),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nContent-Encoding: gzip", 415),
        ("INVITE sip:", "INVITE mailto:", 416),
        ("v=0", "v=9", 400),
    ];
    for (part, with, status) in cases {
        let got = arrived(|text| text.replace(part, with).into_bytes());
        assert_eq!(got.map(|call| call.called), Err(status), "{part} -> {with}");
    }
}

#[test]
fn a_keep_alive_is_answered_and_nothing_else_of_its_kind() {
    let node = Node::new();
    let phone = Phone::new(&node);
    phone.send_raw("\r\n\r\n");
    let mut buffer = [0; 16];
    phone.socket.set_read_timeout(Some(sip_support::PATIENCE)).unwrap();
    let length = phone.socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"\r\n");
    phone.send_raw("\r\n");
    phone.hears_nothing();
}
