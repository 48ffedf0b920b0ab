//! Session timers (RFC 4028) in both roles, and what becomes of our own requests inside a call.
#![allow(clippy::unwrap_used)]

mod sip_support;

use std::time::{Duration, Instant};

use sip_support::far_end::FarEnd;
use sip_support::{Message, Node, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::command::MediaCommand;

const TIMER: &str = "Supported: timer\r\n";
const UPDATES: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n";

/// Sessions of `seconds`, so that a test sees their middle and their end.
fn brief(seconds: u32) -> Node {
    let mut config = config();
    config.limits.session_expires = seconds;
    config.limits.session_min = 1;
    Node::with(config, 16)
}

/// An answered call; the 200.
fn answered(node: &mut Node, phone: &mut Phone, extra: &str) -> (LegHandle, Message) {
    phone.extra = extra.into();
    phone.send_invite(SDP);
    phone.extra = String::new();
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let answer = phone.expect(200);
    phone.ack();
    assert!(matches!(node.media(), MediaCommand::AddLeg(_)));
    (leg, answer)
}

/// A response with more header lines and a body.
fn respond(phone: &Phone, request: &Message, status: u16, extra: &str, body: &str) {
    let mut text = format!("SIP/2.0 {status} X\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        text.push_str(&format!("{name}: {}\r\n", request.get(name)));
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let (contact, length) = (&phone.contact, body.len());
    let head = format!("Contact: <{contact}>\r\n{extra}{kind}Content-Length: {length}\r\n\r\n");
    phone.send_raw(text + &head + body);
}

fn still_up(node: &mut Node) {
    let ended = node.event_within(sip_support::SILENCE, |event| {
        matches!(event, Event::CallEnded { .. }).then_some(())
    });
    assert_eq!(ended, None);
}

#[test]
fn a_caller_gets_the_interval_and_the_refresher_it_asks_for() {
    let mut node = Node::new();
    for (extra, expires) in [
        ("", None),
        ("Session-Expires: 600\r\n", None),
        (TIMER, Some("1800;refresher=uas")),
        ("Supported: timer\r\nx: 600;refresher=uac\r\n", Some("600;refresher=uac")),
        ("k: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", Some("3600;refresher=uas")),
    ] {
        let mut phone = Phone::new(&node);
        let (_, answer) = answered(&mut node, &mut phone, extra);
        assert_eq!(answer.all("Session-Expires").first().copied(), expires, "{extra}");
        assert_eq!(answer.all("Require").first().copied(), expires.map(|_| "timer"));
    }
}

#[test]
fn an_interval_that_is_too_small_is_refused_with_the_least_there_is() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.extra = format!("{TIMER}Session-Expires: 89\r\n");
    phone.send_invite(SDP);
    assert_eq!(phone.expect(422).get("Min-SE"), "90");
    phone.ack_refusal();
    node.no_call_arrives();

    let mut phone = Phone::new(&node);
    answered(&mut node, &mut phone, TIMER);
    phone.extra = format!("{TIMER}Session-Expires: 10\r\n");
    for method in ["UPDATE", "INVITE"] {
        match method {
            "INVITE" => phone.send_invite(SDP),
            _ => phone.send(method, ""),
        };
        assert_eq!(phone.expect(422).get("Min-SE"), "90");
    }
    phone.ack_refusal();
    still_up(&mut node);
}

#[test]
fn we_refresh_by_update_at_half_time_as_long_as_it_is_answered() {
    let mut node = brief(2);
    let mut phone = Phone::new(&node);
    let begun = Instant::now();
    let extra = format!("{TIMER}{UPDATES}Session-Expires: 2\r\n");
    answered(&mut node, &mut phone, &extra);
    for round in 1..=3 {
        let update = phone.receive();
        assert!(update.start.starts_with("UPDATE "), "{update:?}");
        assert_eq!(update.get("Session-Expires"), "2;refresher=uac");
        assert_eq!((update.get("Min-SE"), update.body.as_str()), ("1", ""));
        assert!(begun.elapsed() >= Duration::from_millis(950 * round));
        let said = format!("{TIMER}Session-Expires: 2;refresher=uac\r\n");
        respond(&phone, &update, 200, &said, "");
    }
    still_up(&mut node);
    assert!(node.media_now().is_none());
}

#[test]
fn who_takes_no_update_gets_a_reinvite_that_changes_nothing() {
    for knows_update in [false, true] {
        let mut node = brief(2);
        let mut phone = Phone::new(&node);
        let extra = if knows_update { UPDATES } else { "" };
        let (leg, answer) = answered(&mut node, &mut phone, extra);
        let mut request = phone.receive();
        if knows_update {
            // It said so, and does not do it.
            assert!(request.start.starts_with("UPDATE "), "{request:?}");
            respond(&phone, &request, 405, "", "");
            request = phone.receive();
        }
        assert!(request.start.starts_with("INVITE "), "{request:?}");
        assert_eq!(request.body, answer.body);
        let number = request.get("CSeq").split(' ').next().unwrap().to_owned();
        // Theirs crosses ours (RFC 3261 §14.2).
        phone.send_invite(SDP);
        phone.expect(491);
        phone.ack_refusal();

        respond(&phone, &request, 100, "", "");
        respond(&phone, &request, 200, "", SDP);
        let ack = phone.receive();
        assert_eq!(ack.get("CSeq"), format!("{number} ACK"));
        respond(&phone, &request, 200, "", SDP);
        assert_eq!(phone.receive().get("Via"), ack.get("Via"));
        let refreshed = phone.receive();
        assert!(refreshed.start.starts_with("INVITE "), "{refreshed:?}");
        assert_ne!(refreshed.get("CSeq"), request.get("CSeq"));
        respond(&phone, &refreshed, 481, "", "");
        assert!(phone.receive().start.starts_with("ACK "));
        assert!(phone.receive().start.starts_with("BYE "));
        assert_eq!(node.ended(leg), (EndedBy::Unreachable, 481));
        assert_eq!(node.count(|c| &c.caught_panics), 0);
    }
}

#[test]
fn after_a_491_we_wait_as_the_one_who_was_called_does() {
    let mut node = brief(14);
    let mut phone = Phone::new(&node);
    answered(&mut node, &mut phone, "");
    let first = phone.receive_within(Duration::from_secs(9)).unwrap();
    let begun = Instant::now();
    respond(&phone, &first, 491, "", "");
    assert!(phone.receive().start.starts_with("ACK "));
    let second = phone.receive();
    assert!(second.start.starts_with("INVITE "), "{second:?}");
    assert!(begun.elapsed() < Duration::from_millis(2_500));
    assert_ne!(second.get("CSeq"), first.get("CSeq"));
    respond(&phone, &second, 200, "", SDP);
    assert!(phone.receive().start.starts_with("ACK "));
    still_up(&mut node);
}

#[test]
fn a_session_that_its_far_end_does_not_refresh_ends() {
    let mut node = brief(2);
    let mut phone = Phone::new(&node);
    let extra = format!("{TIMER}Session-Expires: 2;refresher=uac\r\n");
    let (leg, answer) = answered(&mut node, &mut phone, &extra);
    assert_eq!(answer.get("Session-Expires"), "2;refresher=uac");
    std::thread::sleep(Duration::from_millis(900));
    phone.extra = extra.clone();
    phone.send("UPDATE", "");
    phone.extra = String::new();
    assert_eq!(phone.expect(200).get("Session-Expires"), "2;refresher=uac");

    let begun = Instant::now();
    let bye = phone.receive();
    assert!(bye.start.starts_with("BYE "), "{bye:?}");
    assert!(begun.elapsed() > Duration::from_millis(1_200));
    assert_eq!(bye.get("Reason"), "SIP;cause=408;text=\"Session expired\"");
    phone.ok(&bye);
    assert_eq!(node.ended(leg), (EndedBy::Expired, 408));
}

#[test]
fn a_far_end_that_no_longer_answers_ends_with_the_session() {
    let mut node = brief(2);
    let mut phone = Phone::new(&node);
    let (leg, _) = answered(&mut node, &mut phone, UPDATES);
    assert!(phone.receive().start.starts_with("UPDATE "));
    assert_eq!(node.ended(leg), (EndedBy::Expired, 408));
}

#[test]
fn a_refresh_refused_for_its_interval_is_sent_again_with_a_longer_one() {
    let mut node = brief(2);
    let mut phone = Phone::new(&node);
    answered(&mut node, &mut phone, UPDATES);
    let first = phone.receive();
    respond(&phone, &first, 422, "Min-SE: 60\r\n", "");
    let second = phone.receive();
    assert!(second.start.starts_with("UPDATE "), "{second:?}");
    assert_eq!(second.get("Session-Expires"), "60;refresher=uac");
    respond(&phone, &second, 200, "Session-Expires: 60;refresher=uac\r\n", "");
    assert!(phone.receive_within(Duration::from_millis(2_500)).is_none());
    still_up(&mut node);
}

#[test]
fn calls_of_ours_ask_for_a_session_and_once_more_for_a_longer_one() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let first = bob.expect("INVITE");
    assert_eq!((first.get("Session-Expires"), first.get("Min-SE")), ("1800", "90"));
    bob.extra = "Min-SE: 3600\r\n".into();
    bob.respond(&first, 422, "");
    let ack = bob.expect("ACK");
    assert_eq!((ack.get("CSeq"), ack.get("Via")), ("1 ACK", first.get("Via")));
    let second = bob.expect("INVITE");
    assert_eq!((second.get("Session-Expires"), second.get("Min-SE")), ("3600", "3600"));
    assert_eq!(second.get("CSeq"), "2 INVITE");
    assert_eq!(
        (second.get("Call-ID"), second.tag("From")),
        (first.get("Call-ID"), first.tag("From"))
    );
    assert_eq!(second.body, first.body);
    bob.extra = "Session-Expires: 3600;refresher=uas\r\n".into();
    bob.respond(&second, 200, SDP);
    assert_eq!(bob.expect("ACK").get("CSeq"), "2 ACK");
    node.answered(leg);
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(bob.expect("BYE").get("CSeq"), "3 BYE");

    // The same again is a refusal like any other.
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let first = bob.expect("INVITE");
    bob.extra = "Min-SE: 90\r\n".into();
    bob.respond(&first, 422, "");
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 422));
}
