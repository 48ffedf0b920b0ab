//! Streams: calls over each of them, and what peers do to them that mean harm or are broken. Numbers
//! D1 to D13 are those of the attacks a SIP stack must stand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::{Duration, Instant};

use sip_support::pipe::{Caller, Heard};
use sip_support::{Node, PATIENCE, Phone, SDP, SILENCE, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::boundary::transport::Transport;
use tapeline_core::sip::{Limits, SipConfig, StreamLimits};

const ALL: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

fn with(streams: StreamLimits) -> SipConfig {
    let mut config = config();
    config.limits = Limits { streams, ..config.limits };
    config
}

/// Each test over each transport, on a node of its own.
fn over_each(config: impl Fn() -> SipConfig, test: impl Fn(&mut Node, Transport)) {
    for transport in ALL {
        let mut node = Node::with(config(), 200);
        test(&mut node, transport);
        assert_eq!(node.count(|c| &c.caught_panics), 0, "{transport:?}");
    }
}

fn talk(node: &mut Node, caller: &mut Caller) -> tapeline_core::boundary::handle::LegHandle {
    caller.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    caller.expect(200);
    caller.ack();
    leg
}

#[test]
fn a_call_is_made_and_ended_over_its_own_connection() {
    over_each(config, |node, transport| {
        let mut caller = Caller::new(node, transport);
        caller.send_invite(SDP);
        let leg = node.arrived().leg;
        node.command(SipCommand::Ring { leg }).unwrap();
        caller.expect(180);
        node.command(SipCommand::Answer { leg }).unwrap();
        let answer = caller.expect(200);
        let here = node.door(transport);
        let parameter = transport.uri_parameter();
        assert_eq!(answer.get("Contact"), format!("<sip:tapeline@{here}{parameter}>"));
        caller.ack();
        caller.send("OPTIONS", "");
        caller.expect(200);

        let id = node.post(SipCommand::HangUp { leg });

        let bye = caller.receive();
        assert!(bye.start.starts_with("BYE sip:anna@nowhere.invalid"), "{}", bye.start);
        let via = format!("SIP/2.0/{} {here};", transport.via());
        assert!(bye.get("Via").starts_with(&via), "{bye:?}");
        caller.ok(&bye);
        assert_eq!(node.ended(leg), (EndedBy::Command, 200));
        assert!(id > 0 && caller.is_open());
        drop(caller);
        node.streams_become(0);
        node.slots_become(0);
    });
}

#[test]
fn a_caller_hangs_up_over_its_connection() {
    over_each(config, |node, transport| {
        let mut caller = Caller::new(node, transport);
        let leg = talk(node, &mut caller);
        caller.send("BYE", "");
        caller.expect(200);
        assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
    });
}

#[test]
fn odd_messages_are_answered_and_the_connection_is_kept() {
    // D10, D11.
    over_each(config, |node, transport| {
        let mut caller = Caller::new(node, transport);
        let cases = [
            ("PUBLISH sip:a@b SIP/2.0", "PUBLISH", 405),
            ("FROBNICATE sip:a@b SIP/2.0", "FROBNICATE", 501),
            ("OPTIONS sip:a@b SIP/7.0", "OPTIONS", 505),
            ("OPTIONS <sip:a@b> SIP/2.0", "OPTIONS", 400),
            ("OPTIONS http://a SIP/2.0", "OPTIONS", 416),
        ];
        for (start, method, status) in cases {
            let sane = caller.phone.text(method, &Phone::branch(), 1, "");
            let (_, rest) = sane.split_once("\r\n").unwrap();
            caller.write(format!("{start}\r\n{rest}"));
            assert_eq!(caller.receive().status(), status, "{start}");
        }
        let sane = caller.phone.text("OPTIONS", &Phone::branch(), 1, "");
        caller.write(sane.replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS"));
        assert_eq!(caller.receive().status(), 400);
        let latin = sane.replace("Test Phone", "J\u{f6}rg");
        let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
        caller.write(bytes);
        assert_eq!(caller.receive().status(), 200);

        caller.is_answered();
    });
}

#[test]
fn messages_are_found_however_they_are_cut() {
    let mut node = Node::new();
    let mut caller = Caller::new(&node, Transport::Tcp);
    let texts: Vec<_> =
        (1..=3).map(|seq| caller.phone.text("OPTIONS", &Phone::branch(), seq, "")).collect();
    caller.write(format!("\r\n{}\r\n{}{}", texts[0], texts[1], &texts[2][..100]));
    caller.expect(200);
    caller.expect(200);
    assert!(caller.is_open());
    for byte in texts[2].as_bytes()[100..].chunks(7) {
        caller.write(byte);
    }
    assert_eq!(caller.expect(200).get("CSeq"), "3 OPTIONS");

    // A body that is long enough to come in several reads.
    let leg = {
        caller.phone.extra = format!("X-Long: {}\r\n", "y".repeat(9_000));
        caller.send_invite(SDP);
        node.arrived().leg
    };
    node.command(SipCommand::Reject { leg, status: 486, reason: String::new() }).unwrap();
    caller.expect(486);
}

#[test]
fn keep_alives_are_answered() {
    over_each(config, |node, transport| {
        let mut caller = Caller::new(node, transport);
        caller.write("\r\n\r\n");
        assert_eq!(caller.pipe.read(PATIENCE), Heard::Bytes(b"\r\n".to_vec()));
        caller.is_answered();
    });
}

/// D1: rsipstack answers unknown CANCELs inside its receive loop.
#[test]
fn a_peer_that_does_not_read_is_cut_and_nobody_else_notices() {
    over_each(config, |node, transport| {
        let mut deaf = Caller::new(node, transport);
        let cancels: Vec<_> = (0..20u32)
            .map(|seq| deaf.phone.text("CANCEL", &format!("z9hG4bKno{seq}"), 7, ""))
            .collect();
        let mut udp = Phone::new(node);
        let begun = Instant::now();
        let mut is_cut = false;
        for round in 0..3_000 {
            if cancels.iter().any(|cancel| deaf.pipe.write(cancel.as_bytes()).is_err()) {
                is_cut = true;
                break;
            }
            if round % 100 == 0 {
                let asked = Instant::now();
                udp.is_answered();
                assert!(asked.elapsed() < Duration::from_secs(1), "{transport:?}");
            }
        }
        assert!(is_cut, "{transport:?}: all was taken within {:?}", begun.elapsed());
        node.streams_become(0);
        udp.is_answered();
    });
}

/// D2: a stream that is gone before our final response.
#[test]
fn calls_whose_peer_vanished_end_after_the_grace_and_leave_nothing() {
    let grace = Duration::from_millis(300);
    over_each(
        || with(StreamLimits { grace, ..StreamLimits::default() }),
        |node, transport| {
            let mut legs = Vec::new();
            for _ in 0..20 {
                let mut caller = Caller::new(node, transport);
                caller.send_invite(SDP);
                legs.push(node.arrived().leg);
                caller.vanish();
            }
            let mut talker = Caller::new(node, transport);
            legs.push(talk(node, &mut talker));
            talker.vanish();
            node.streams_become(0);

            for leg in legs {
                assert_eq!(node.ended(leg), (EndedBy::Unreachable, 408));
            }

            while let Some(command) = node.media_now() {
                drop(command);
            }
            node.slots_become(0);
        },
    );
}

#[test]
fn a_peer_comes_back_by_another_stream_within_the_grace() {
    let grace = Duration::from_millis(400);
    over_each(
        || with(StreamLimits { grace, ..StreamLimits::default() }),
        |node, transport| {
            let mut caller = Caller::new(node, transport);
            let leg = talk(node, &mut caller);
            caller.vanish();
            node.streams_become(0);
            caller.reconnect(node, transport);
            caller.send("OPTIONS", "");
            caller.expect(200);
            std::thread::sleep(grace + SILENCE);

            node.post(SipCommand::HangUp { leg });

            let bye = caller.receive();
            assert!(bye.start.starts_with("BYE "), "{}", bye.start);
            caller.ok(&bye);
            assert_eq!(node.ended(leg), (EndedBy::Command, 200));
        },
    );
}

#[test]
fn slow_idle_and_surplus_streams_are_cut() {
    // D9.
    let limits = StreamLimits {
        message: Duration::from_millis(300),
        idle: Duration::from_millis(900),
        per_source: 3,
        ..StreamLimits::default()
    };
    over_each(
        || with(limits),
        |node, transport| {
            let mut idle = Caller::new(node, transport);
            let mut busy = Caller::new(node, transport);
            let mut slow = Caller::new(node, transport);
            node.streams_become(3);
            let surplus = std::net::TcpStream::connect(node.door(transport)).unwrap();
            surplus.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut one = [0];
            let read = std::io::Read::read(&mut &surplus, &mut one);
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
            assert_eq!(node.count(|c| &c.sip_streams_refused), 1);

            if matches!(transport, Transport::Tcp | Transport::Tls) {
                let begun = Instant::now();
                let text = slow.phone.text("OPTIONS", &Phone::branch(), 1, "");
                for (place, byte) in text.as_bytes().chunks(1).enumerate() {
                    if slow.pipe.write(byte).is_err() {
                        break;
                    }
                    if place % 20 == 0 {
                        busy.is_answered();
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                assert!(slow.is_closed_within(PATIENCE));
                assert!(begun.elapsed() < Duration::from_secs(4));
            }
            if transport == Transport::Ws {
                // The head of a frame of 100 bytes, masked with zeros, and a byte now and then.
                let mut socket = slow.pipe.socket();
                std::io::Write::write_all(&mut socket, &[0x81, 0x80 | 100, 0, 0, 0, 0]).unwrap();
                for place in 0..60 {
                    if std::io::Write::write_all(&mut socket, b"x").is_err() {
                        break;
                    }
                    if place % 20 == 0 {
                        busy.is_answered();
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                assert!(slow.is_closed_within(Duration::from_millis(100)));
            }
            for _ in 0..8 {
                busy.is_answered();
                std::thread::sleep(Duration::from_millis(150));
            }
            assert!(idle.is_closed_within(PATIENCE));
            busy.is_answered();
        },
    );
}

/// D13, and the bounds of a message.
#[test]
fn lengths_that_lie_close_the_stream_and_harm_nobody() {
    over_each(config, |node, transport| {
        if !matches!(transport, Transport::Tcp | Transport::Tls) {
            return;
        }
        let lies =
            ["18446744073709551615", "18446744073709551000", "99999999999999999999", "65536"];
        for length in lies {
            let mut caller = Caller::new(node, transport);
            let text = caller.phone.text("OPTIONS", &Phone::branch(), 1, "");
            caller.write(text.replace("Content-Length: 0", &format!("Content-Length: {length}")));
            assert!(caller.is_closed_within(PATIENCE), "{length}");
        }
        for length in ["-1", "x", "0\r\nl: 5"] {
            let mut caller = Caller::new(node, transport);
            let text = caller.phone.text("OPTIONS", &Phone::branch(), 1, "");
            caller.write(text.replace("Content-Length: 0", &format!("Content-Length: {length}")));
            assert_eq!(caller.receive().status(), 400, "{length}");
            assert!(caller.is_closed_within(PATIENCE), "{length}");
        }
        let long = format!("X-Long: {}\r\n", "y".repeat(17_000));
        for extra in [long, "X-Many: y\r\n".repeat(101)] {
            let mut caller = Caller::new(node, transport);
            caller.phone.extra = extra;
            caller.send("OPTIONS", "");
            assert!(caller.is_closed_within(PATIENCE));
        }
        let mut other = Caller::new(node, transport);
        other.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(other.is_closed_within(PATIENCE));
        Phone::new(node).is_answered();
        drop(other);
        node.streams_become(0);
    });
}

#[test]
fn several_streams_of_one_node_do_not_mix() {
    over_each(config, |node, transport| {
        let mut callers: Vec<_> = (0..5).map(|_| Caller::new(node, transport)).collect();
        let legs: Vec<_> = callers.iter_mut().map(|caller| talk(node, caller)).collect();
        for (caller, leg) in callers.iter_mut().zip(legs).rev() {
            node.post(SipCommand::HangUp { leg });
            let bye = caller.receive();
            assert_eq!(bye.get("Call-ID"), caller.phone.call_id);
            caller.ok(&bye);
            node.ended(leg);
        }
    });
}

#[test]
fn a_handshake_that_is_not_finished_is_cut() {
    // D3.
    let handshake = Duration::from_millis(300);
    let mut node = Node::with(with(StreamLimits { handshake, ..StreamLimits::default() }), 10);
    let begun = Instant::now();
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mute = std::net::TcpStream::connect(node.door(transport)).unwrap();
        mute.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(matches!(std::io::Read::read(&mut &mute, &mut [0]), Ok(0) | Err(_)));
        let slow = std::net::TcpStream::connect(node.door(transport)).unwrap();
        let is_cut = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            std::io::Write::write_all(&mut &slow, b"G").is_err()
        });
        assert!(is_cut, "{transport:?}");
    }
    assert!(begun.elapsed() < PATIENCE * 2);
    assert!(node.count(|c| &c.sip_streams_refused) >= 6);
    assert_eq!(node.count(|c| &c.sip_streams_opened), 0);
    Phone::new(&node).is_answered();
    node.no_call_arrives();
}

#[test]
fn a_websocket_must_speak_sip_and_keep_its_messages_small() {
    let node = Node::new();
    let socket = std::net::TcpStream::connect(node.door(Transport::Ws)).unwrap();
    let refused = sip_support::pipe::upgraded(socket, "chat").unwrap_err();
    assert!(refused.contains("400"), "{refused}");

    for transport in [Transport::Ws, Transport::Wss] {
        let mut caller = Caller::new(&node, transport);
        let text = caller.phone.text("OPTIONS", &Phone::branch(), 1, &"y".repeat(70_000));
        // The node may be gone before all of it is written.
        let _ = caller.pipe.write(text.as_bytes());
        assert!(caller.is_closed_within(PATIENCE), "{transport:?}");
    }
    // D3: one message in fragments without end (opcode text, no FIN, masked with zeros).
    let caller = Caller::new(&node, Transport::Ws);
    let mut socket = caller.pipe.socket();
    let fragment = |opcode: u8| {
        let mut frame = vec![opcode, 0x80 | 126, 0x40, 0, 0, 0, 0, 0];
        frame.extend([b'y'; 0x4000]);
        frame
    };
    std::io::Write::write_all(&mut socket, &fragment(1)).unwrap();
    let fragments = (0..10_000)
        .take_while(|_| std::io::Write::write_all(&mut socket, &fragment(0)).is_ok())
        .count();
    assert!(fragments < 2_000, "{fragments} fragments were taken");
    node.streams_become(0);
}

#[test]
fn keys_of_srtp_travel_where_nobody_reads_along() {
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let offer = SDP.replace("RTP/AVP", "RTP/SAVP")
        + &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
    over_each(config, |node, transport| {
        let mut caller = Caller::new(node, transport);
        caller.send_invite(&offer);
        if !transport.is_secret() {
            caller.expect(488);
            return;
        }
        let leg = node.arrived().leg;
        node.command(SipCommand::Answer { leg }).unwrap();
        let answer = caller.expect(200);
        assert!(answer.body.contains("RTP/SAVP"), "{}", answer.body);
        assert!(answer.body.contains("a=crypto:1 "), "{}", answer.body);
        caller.ack();
    });
}
