//! Calls from INVITE to BYE against a live SIP thread.

mod sip_support;

use std::time::Duration;

use sip_support::{Node, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::media::command::{Codec, Direction, MediaCommand};

#[test]
fn a_call_is_reported_answered_and_ended_by_the_caller() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.called = "room-My%20Conf".into();
    phone.extra = "X-Team: red\r\nx-two: 2\r\nSubject: no\r\n".into();

    phone.send_invite(SDP);
    assert_eq!(phone.receive().status(), 100);
    let call = node.arrived();
    assert_eq!((call.called.as_str(), call.caller.as_str()), ("room-My Conf", "anna"));
    assert_eq!(call.caller_name, "Test Phone");
    assert_eq!(call.request_uri, format!("sip:room-My%20Conf@{}", node.address));
    assert_eq!(call.source, phone.me.to_string());
    assert_eq!(call.sip_call_id, phone.call_id);
    let extra = [("X-Team".to_owned(), "red".to_owned()), ("x-two".to_owned(), "2".to_owned())];
    assert_eq!(call.extra_headers, extra);

    let leg = call.leg;
    node.command(SipCommand::Ring { leg }).unwrap();
    let ringing = phone.expect(180);
    assert_eq!(ringing.get("Contact"), format!("<sip:tapeline@{}>", node.address));
    assert!(node.sip.leg_stats(leg).is_none() && node.media_now().is_none());

    node.post(SipCommand::Answer { leg });
    let answer = phone.expect(200);
    let Some(MediaCommand::AddLeg(setup)) = node.media_now() else {
        panic!("the 200 left before the leg could be heard");
    };
    assert_eq!(answer.tag("To"), ringing.tag("To"));
    assert_eq!(answer.get("To").matches("tag=").count(), 1);
    assert_eq!(answer.get("Content-Type"), "application/sdp");
    let port = setup.rtp.local_addr().unwrap().port();
    assert!(answer.body.contains(&format!("m=audio {port} RTP/AVP 0 101\r\n")), "{answer:?}");
    assert!(answer.body.contains("c=IN IP4 127.0.0.1\r\n"));
    assert_eq!(setup.agreement.remote, "127.0.0.1:6000".parse().unwrap());
    assert_eq!(setup.agreement.codec, Codec::Pcmu);
    assert!(node.sip.leg_stats(leg).is_some());
    node.event(|e| {
        matches!(e, Event::CallAnswered { leg: answered } if *answered == leg).then_some(())
    });

    phone.ack();
    phone.hears_nothing();
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
    assert!(matches!(node.media(), MediaCommand::RemoveLeg { leg: removed } if removed == leg));
    node.slots_become(0);
    assert!(node.sip.leg_stats(leg).is_none());
    phone.send("BYE", "");
    phone.expect(481);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
    assert_eq!(node.count(|c| &c.calls_ended), 1);
}

#[test]
fn a_call_is_ended_by_us_and_the_bye_is_repeated_until_answered() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);

    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = phone.receive();
    assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    assert_eq!(bye.start, format!("BYE sip:anna@{} SIP/2.0", phone.me));
    assert_eq!(bye.get("Call-ID"), phone.call_id);
    assert_eq!(bye.tag("To"), phone.from_tag);
    assert_eq!(Some(bye.tag("From")), phone.to_tag);
    assert_eq!(bye.get("CSeq"), "1 BYE");
    assert_eq!(bye.get("Max-Forwards"), "70");

    let again = phone.receive();
    assert_eq!(again.get("Via"), bye.get("Via"));
    phone.ok(&again);
    assert!(phone.receive_within(Duration::from_millis(1_200)).is_none());
    assert_eq!(node.command(SipCommand::HangUp { leg }), Err("no such leg".into()));
}

#[test]
fn a_cancel_while_it_rings_ends_the_call() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Ring { leg }).unwrap();
    phone.expect(180);
    phone.to_tag = None;

    phone.cancel();
    let cancelled = phone.expect(200);
    assert_eq!(cancelled.get("CSeq"), "1 CANCEL");
    let terminated = phone.expect(487);
    assert_eq!(cancelled.tag("To"), terminated.tag("To"));
    phone.ack_refusal();

    assert_eq!(node.ended(leg), (EndedBy::RemoteCancel, 487));
    assert!(node.media_now().is_none());
    node.slots_become(0);
    assert!(phone.receive_within(Duration::from_millis(700)).is_none());
    let late = node.command(SipCommand::Answer { leg });
    assert_eq!(late, Err("no such leg".into()));
}

#[test]
fn a_call_is_refused_with_the_status_and_words_asked_for() {
    let mut node = Node::new();
    for (status, reason, line) in [
        (404, "", "SIP/2.0 404 Not Found"),
        (486, "Busy Here", "SIP/2.0 486 Busy Here"),
        (480, "no\r\nroom", "SIP/2.0 480 noroom"),
        (603, "Decline", "SIP/2.0 603 Decline"),
    ] {
        let mut phone = Phone::new(&node);
        phone.send_invite(SDP);
        let leg = node.arrived().leg;
        node.command(SipCommand::Reject { leg, status, reason: reason.into() }).unwrap();

        assert_eq!(phone.expect(status).start, line);
        phone.ack_refusal();
        assert_eq!(node.ended(leg), (EndedBy::Command, status));
    }
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    let odd = node.command(SipCommand::Reject { leg, status: 200, reason: String::new() });
    assert_eq!(odd, Err("200 is no status to reject a call with".into()));
    node.command(SipCommand::HangUp { leg }).unwrap();
    phone.expect(480);
    node.slots_become(0);
}

#[test]
fn what_cannot_be_agreed_on_never_becomes_a_call() {
    let mut node = Node::new();
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    let cases = [
        (format!("{head}m=audio 6000 RTP/AVP 3 18\r\n"), 488),
        (format!("{head}m=audio 6000 RTP/SAVP 0\r\n"), 488),
        (format!("{head}m=video 6000 RTP/AVP 31\r\n"), 488),
        (format!("{head}m=audio 0 RTP/AVP 0\r\n"), 488),
        (SDP.replace("IP4 127.0.0.1\r\nt=", "IP6 ::1\r\nt="), 488),
        (head.to_owned(), 400),
        ("this is no SDP".to_owned(), 400),
        (format!("{head}{}", "m=audio 6000 RTP/AVP 0\r\n".repeat(20)), 413),
    ];
    for (sdp, status) in cases {
        let mut phone = Phone::new(&node);
        phone.send_invite(&sdp);
        let refused = phone.expect(status);
        assert!(refused.get("To").contains(";tag="), "{refused:?}");
        phone.ack_refusal();
    }
    node.no_call_arrives();
    assert_eq!(node.slots.in_use(), 0);
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_brings_its_answer_in_the_ack() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite("");
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let offer = phone.expect(200);
    assert!(offer.body.contains("RTP/AVP 96 9 0 8 101 102\r\n"), "{}", offer.body);
    assert!(node.media_now().is_none());

    phone.ack_with(&SDP.replace("0 8 101", "8"));
    let MediaCommand::AddLeg(setup) = node.media() else { panic!() };
    assert_eq!((setup.agreement.codec, setup.agreement.telephone_event), (Codec::Pcma, None));

    let mut mute = Phone::new(&node);
    mute.send_invite("");
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    mute.expect(200);
    mute.ack();
    assert!(mute.receive().start.starts_with("BYE "));
    assert_eq!(node.ended(leg), (EndedBy::NoAck, 488));
}

#[test]
fn a_reinvite_holds_resumes_and_asks_for_our_offer() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let hold = SDP.to_owned() + "a=sendonly\r\n";
    let old_hold = SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
    let off = SDP.replace("audio 6000", "audio 0");
    let moved = SDP.replace("6000", "6002");
    let cases = [
        (hold.as_str(), Direction::RecvOnly, 6000, "a=recvonly\r\n"),
        (SDP, Direction::SendRecv, 6000, "a=sendrecv\r\n"),
        (old_hold.as_str(), Direction::RecvOnly, 6000, "a=recvonly\r\n"),
        (moved.as_str(), Direction::SendRecv, 6002, "a=sendrecv\r\n"),
        (off.as_str(), Direction::Inactive, 6002, "m=audio 0 RTP/AVP 0 8 101\r\n"),
    ];
    let mut version = 1;
    for (sdp, direction, port, answered) in cases {
        phone.send_invite(sdp);
        let answer = phone.expect(200);
        phone.ack();

        let MediaCommand::ChangeLeg { leg: changed, agreement, .. } = node.media() else {
            panic!()
        };
        assert_eq!(changed, leg);
        assert_eq!(agreement.direction, direction, "{sdp}");
        assert_eq!(agreement.remote, format!("127.0.0.1:{port}").parse().unwrap());
        assert!(answer.body.contains(answered), "{}", answer.body);
        let now = answer.body.split(' ').nth(2).unwrap().parse::<u64>().unwrap();
        assert!(now >= version, "{}", answer.body);
        version = now;
    }

    phone.send_invite("");
    let offer = phone.expect(200);
    assert!(offer.body.contains("RTP/AVP 0 96 9 8 101 102\r\n"));
    phone.ack_with(SDP);
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.direction, Direction::SendRecv);

    phone.send_invite(&SDP.replace("0 8 101", "18"));
    phone.expect(488);
    phone.ack_refusal();
    phone.send_invite("no SDP");
    phone.expect(400);
    phone.ack_refusal();
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn a_lost_200_is_sent_again_and_one_ack_ends_it() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();

    let first = phone.expect(200);
    let second = phone.expect(200);
    assert_eq!(first.body, second.body);
    phone.ack();
    assert!(phone.receive_within(Duration::from_millis(1_300)).is_none());
    phone.ack();
    phone.hears_nothing();
}

#[test]
fn a_retransmitted_invite_is_the_same_call() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let invite = phone.send_invite(SDP);
    let leg = node.arrived().leg;
    phone.send_raw(&invite);
    node.no_call_arrives();
    node.command(SipCommand::Ring { leg }).unwrap();
    phone.expect(180);
    phone.send_raw(&invite);
    phone.expect(180);
    node.command(SipCommand::Answer { leg }).unwrap();
    phone.expect(200);
    phone.ack();
    phone.send_raw(&invite);
    node.no_call_arrives();
    assert_eq!(phone.expect(200).get("CSeq"), "1 INVITE");

    // The same request by another way (RFC 3261 §8.2.2.2).
    phone.send_raw(invite.replace(&phone.invite_branch, "z9hG4bK-other-way"));
    phone.expect(482);
    node.no_call_arrives();
}

#[test]
fn requests_in_a_dialog_are_each_answered() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Ring { leg }).unwrap();
    phone.expect(180);

    // Early: no answer to the first offer yet (RFC 3261 §14.2, RFC 3311 §5.2).
    for (method, body, status) in [("INVITE", SDP, 500), ("UPDATE", SDP, 500), ("UPDATE", "", 200)]
    {
        phone.send(method, body);
        let response = phone.expect(status);
        assert_eq!(!response.all("Retry-After").is_empty(), status == 500, "{method}");
    }
    node.command(SipCommand::Answer { leg }).unwrap();
    phone.invite_seq = 1;
    phone.expect(200);
    assert!(matches!(node.media(), MediaCommand::AddLeg(_)));

    // Before the ACK (D7).
    for (method, body, status) in [("INFO", "", 200), ("INVITE", SDP, 491), ("UPDATE", SDP, 200)] {
        phone.send(method, body);
        assert!(phone.expect(status).get("CSeq").ends_with(method));
    }
    phone.ack();

    phone.send("UPDATE", &(SDP.to_owned() + "a=inactive\r\n"));
    assert!(phone.expect(200).body.contains("a=inactive\r\n"));
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.direction, Direction::Inactive);
    phone.send("UPDATE", &SDP.replace("0 8 101", "18"));
    phone.expect(488);
    phone.send("INFO", "");
    phone.expect(200);
    phone.send("OPTIONS", "");
    assert!(phone.expect(200).get("Allow").contains("UPDATE"));
    phone.send("MESSAGE", "");
    assert!(phone.expect(405).get("Allow").contains("INVITE"));
    phone.seq = 1;
    phone.send("INFO", "");
    phone.expect(500);
    let true_tag = phone.to_tag.replace("wrong".into());
    phone.seq = 50;
    for method in ["INFO", "BYE", "UPDATE", "INVITE", "OPTIONS"] {
        phone.send(method, "");
        phone.expect(481);
    }
    phone.to_tag = true_tag;
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn digits_in_info_requests_are_told() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let mut send = |kind: &str, body: &str| {
        phone.extra = format!("Content-Type: {kind}\r\n");
        phone.seq += 1;
        let text = phone.text("INFO", &format!("z9hG4bKinfo{}", phone.seq), phone.seq, "");
        let length = format!("Content-Length: {}\r\n", body.len());
        let text = text.replace("Content-Length: 0\r\n", &length) + body;
        for _ in 0..2 {
            phone.send_raw(&text);
            phone.expect(200);
        }
    };
    send("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    send("application/dtmf", "#");
    send("application/media_control+xml", "5");

    // The media thread knows whether the same keys came in RTP.
    for told in [(b'5', 160), (b'#', 100)] {
        let MediaCommand::Key { leg: pressed, digit, duration_ms } = node.media() else { panic!() };
        assert_eq!((pressed, (digit, duration_ms)), (leg, told));
    }
    assert!(node.media_now().is_none());
}

#[test]
fn twelve_requests_at_once_are_all_answered() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    node.talk(&mut phone);
    let methods = ["INFO", "UPDATE", "OPTIONS"];

    for number in 0..12 {
        phone.send(methods[number % 3], "");
    }

    let mut answered: Vec<_> = (0..12).map(|_| phone.expect(200).get("CSeq").to_owned()).collect();
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), 12);
}

#[test]
fn a_bye_before_the_answer_ends_the_call_too() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Ring { leg }).unwrap();
    phone.expect(180);
    phone.send("BYE", "");
    phone.expect(200);
    phone.expect(487);
    phone.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 487));
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    phone.expect(200);
    node.command(SipCommand::HangUp { leg }).unwrap();
    phone.hears_nothing();

    phone.ack();
    let bye = phone.receive();
    assert!(bye.start.starts_with("BYE "), "{bye:?}");
    phone.ok(&bye);
    assert_eq!(node.ended(leg), (EndedBy::Command, 200));
}

#[test]
fn a_route_set_is_kept_and_followed() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let proxy = phone.me;
    let routes = [format!("<sip:{proxy};lr>"), "<sip:p2.example;lr>".to_owned()];
    phone.extra = format!("Record-Route: {}, {}\r\n", routes[0], routes[1]);
    let leg = node.talk(&mut phone);

    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = phone.receive();

    assert_eq!(bye.all("Route"), routes);
    assert_eq!(bye.start, format!("BYE sip:anna@{} SIP/2.0", phone.me));
    phone.ok(&bye);
}

#[test]
fn responses_that_make_a_dialog_carry_the_record_route() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.extra = "Record-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>, <sip:c;lr>\r\n".into();
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let routes = phone.expect(200).all("Record-Route").join(",");
    assert_eq!(routes, "<sip:a;lr>,<sip:b;lr>,<sip:c;lr>");
}

#[test]
fn a_private_or_named_contact_is_reached_where_it_really_is() {
    let mut node = Node::new();
    for contact in ["sip:anna@phone.invalid", "sip:%61nna@0.0.0.0:9;ob"] {
        let mut phone = Phone::new(&node);
        phone.contact = contact.into();
        let leg = node.talk(&mut phone);

        node.command(SipCommand::HangUp { leg }).unwrap();
        let bye = phone.receive();

        assert_eq!(bye.start, format!("BYE {contact} SIP/2.0"));
        phone.ok(&bye);
        assert_eq!(node.ended(leg), (EndedBy::Command, 200));
        assert!(matches!(node.media(), MediaCommand::RemoveLeg { .. }));
    }
}

#[test]
fn an_ipv6_phone_is_served() {
    let mut config = config();
    config.udp = vec!["[::1]:0".parse().unwrap()];
    config.ports =
        tapeline_core::media::ports::PortPool::new("::1".parse().unwrap(), 42_000..=49_999)
            .unwrap();
    let mut node = Node::with(config, 4);
    let mut phone = Phone::new(&node);
    phone.send_invite(&SDP.replace("IP4 127.0.0.1", "IP6 ::1"));
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let answer = phone.expect(200);
    assert!(answer.body.contains("c=IN IP6 ::1\r\n"), "{}", answer.body);
    assert!(answer.get("Via").contains("received=::1;rport="), "{answer:?}");
    phone.ack();
    let MediaCommand::AddLeg(setup) = node.media() else { panic!() };
    assert_eq!(setup.agreement.remote, "[::1]:6000".parse().unwrap());
    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = phone.receive();
    assert_eq!(bye.start, format!("BYE sip:anna@{} SIP/2.0", phone.me));
    phone.ok(&bye);
}
