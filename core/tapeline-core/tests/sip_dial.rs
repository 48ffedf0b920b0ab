//! Calls of ours that are answered, against a scripted far end.

mod sip_support;

use std::time::Duration;

use sip_support::far_end::FarEnd;
use sip_support::{Node, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::dial::Dial;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::command::{Codec, Direction, MediaCommand};
use tapeline_core::media::ports::PortPool;

fn is_rung(node: &mut Node, leg: LegHandle) -> bool {
    let rung = |event: &Event| {
        matches!(event, Event::CallRinging { leg: rings, .. } if *rings == leg).then_some(())
    };
    node.event_within(Duration::ZERO, rung).is_some()
}

/// Nothing of the call is left, and nothing of ours panicked.
fn is_clean(node: &Node) {
    node.slots_become(0);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
}

#[test]
fn a_call_of_ours_rings_is_answered_and_hung_up() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let headers = vec![("X-Team".to_owned(), "red; \"1\"".to_owned())];
    let uri = format!("{};p=1", bob.uri());
    let dial = Dial::new(&uri, "+49 30", "Ann \"A\"", headers, Duration::from_secs(60)).unwrap();
    let leg = node.dial_as(dial).unwrap();

    let invite = bob.expect("INVITE");
    assert_eq!(invite.start, format!("INVITE {uri} SIP/2.0"));
    let from = format!("\"Ann \\\"A\\\"\" <sip:+49%2030@127.0.0.1>;tag={}", invite.tag("From"));
    assert_eq!(invite.get("From"), from);
    assert_eq!(invite.get("To"), format!("<{uri}>"));
    assert_eq!(invite.get("CSeq"), "1 INVITE");
    assert_eq!(invite.get("Max-Forwards"), "70");
    assert_eq!(invite.get("Contact"), format!("<sip:tapeline@{}>", node.address));
    assert_eq!(invite.get("X-Team"), "red; \"1\"");
    assert_eq!(invite.get("Content-Type"), "application/sdp");
    assert!(invite.get("Via").contains(&format!("{};branch=z9hG4bK", node.address)));
    assert!(invite.body.contains(" RTP/AVP 96 9 0 8 101 102\r\n"), "{}", invite.body);
    assert!(invite.body.contains("a=sendrecv\r\n"), "{}", invite.body);

    for status in [100, 181, 180, 183, 180, 183] {
        bob.respond(&invite, status, "");
    }
    assert_eq!((node.ringing(leg), node.ringing(leg)), (180, 183));
    assert!(node.media_now().is_none());
    bob.respond(&invite, 200, SDP);
    let ack = bob.expect("ACK");
    assert_eq!(ack.start, format!("ACK sip:bob@{};x=1 SIP/2.0", bob.me));
    assert_eq!(ack.get("CSeq"), "1 ACK");
    assert_eq!(ack.get("From"), invite.get("From"));
    assert_eq!(ack.get("To"), format!("<{uri}>;tag=bob1"));
    assert_eq!(ack.get("Call-ID"), invite.get("Call-ID"));
    assert_ne!(ack.get("Via"), invite.get("Via"));
    node.answered(leg);
    assert!(!is_rung(&mut node, leg), "a repeated response was told twice");
    let MediaCommand::AddLeg(setup) = node.media() else { panic!() };
    let port = setup.rtp.local_addr().unwrap().port();
    assert!(invite.body.contains(&format!("m=audio {port} ")), "{}", invite.body);
    assert_eq!(setup.agreement.remote, "127.0.0.1:6000".parse().unwrap());
    let events = setup.agreement.telephone_event.unwrap();
    assert_eq!((setup.agreement.codec, events.payload_type), (Codec::Pcmu, 101));
    assert!(node.sip.leg_stats(leg).is_some());

    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = bob.expect("BYE");
    assert_eq!(bye.start, format!("BYE sip:bob@{};x=1 SIP/2.0", bob.me));
    assert_eq!(bye.get("CSeq"), "2 BYE");
    assert_eq!((bye.tag("From"), bye.tag("To")), (invite.tag("From"), "bob1".to_owned()));
    bob.respond(&bye, 200, "");
    assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    assert!(matches!(node.media(), MediaCommand::RemoveLeg { leg: gone } if gone == leg));
    bob.hears_nothing();
    assert_eq!(node.count(|c| &c.calls_dialled), 1);
    assert_eq!(node.count(|c| &c.calls_answered), 1);
    is_clean(&node);
}

#[test]
fn the_far_end_hangs_up_holds_and_is_answered_like_any_caller() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let (invite, _) = bob.answer();
    node.answered(leg);
    assert!(matches!(node.media(), MediaCommand::AddLeg(_)));

    bob.send_raw(bob.request(&invite, "INVITE", 1, &(SDP.to_owned() + "a=sendonly\r\n")));
    let held = bob.receive_within(sip_support::PATIENCE).unwrap();
    assert_eq!(held.status(), 200);
    assert!(held.body.contains("a=recvonly\r\n"), "{}", held.body);
    let port =
        |text: &str| text.split("m=audio ").nth(1).unwrap().split(' ').next().map(str::to_owned);
    assert_eq!(port(&held.body), port(&invite.body));
    bob.send_raw(bob.request(&invite, "ACK", 1, ""));
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.direction, Direction::RecvOnly);
    bob.send_raw(bob.request(&invite, "OPTIONS", 2, ""));
    assert_eq!(bob.status(), 200);
    for command in [
        SipCommand::Ring { leg },
        SipCommand::Answer { leg },
        SipCommand::Reject { leg, status: 486, reason: String::new() },
    ] {
        assert_eq!(node.command(command), Err("the leg is confirmed".into()));
    }
    bob.send_raw(bob.request(&invite, "BYE", 3, ""));
    assert_eq!(bob.status(), 200);

    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
    is_clean(&node);
}

#[test]
fn a_host_that_is_a_name_is_looked_up() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let uri = format!("sip:bob@localhost:{}", bob.me.port());
    let leg = node.dial(&uri);

    let invite = bob.expect("INVITE");
    assert_eq!(invite.start, format!("INVITE {uri} SIP/2.0"));
    bob.respond(&invite, 200, SDP);
    bob.expect("ACK");
    node.answered(leg);
}

#[test]
fn a_repeated_200_is_acknowledged_again_and_a_second_phone_is_hung_up() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let (invite, ack) = bob.answer();
    node.answered(leg);

    bob.respond(&invite, 200, SDP);
    let again = bob.expect("ACK");
    assert_eq!(again.get("Via"), ack.get("Via"));
    bob.hears_nothing();

    bob.tag = "bob2".into();
    bob.respond(&invite, 200, SDP);
    assert_eq!(bob.expect("ACK").tag("To"), "bob2");
    let bye = bob.expect("BYE");
    assert_eq!(bye.tag("To"), "bob2");
    bob.respond(&bye, 200, "");
    bob.respond(&invite, 200, SDP);
    assert_eq!(bob.expect("ACK").tag("To"), "bob2");
    bob.hears_nothing();

    // Still the call with the first.
    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = bob.expect("BYE");
    assert_eq!((bye.tag("To"), bye.get("CSeq")), ("bob1".to_owned(), "2 BYE"));
    bob.respond(&bye, 200, "");
    // A 200 that comes when the call is over already.
    bob.tag = "bob1".into();
    bob.respond(&invite, 200, SDP);
    assert_eq!(bob.expect("ACK").tag("To"), "bob1");
    is_clean(&node);
}

#[test]
fn early_media_opens_the_audio_and_the_200_may_repeat_change_or_leave_out_its_answer() {
    let moved = SDP.replace("6000", "6002");
    for (last, is_changed) in [(SDP, false), (moved.as_str(), true), ("", false)] {
        let mut node = Node::new();
        let mut bob = FarEnd::new();
        let leg = node.dial(&bob.uri());
        let invite = bob.expect("INVITE");
        bob.respond(&invite, 183, SDP);
        bob.respond(&invite, 183, &moved);
        assert_eq!(node.ringing(leg), 183);
        assert!(matches!(node.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));
        let answered = |event: &Event| matches!(event, Event::CallAnswered { .. }).then_some(());
        assert_eq!(node.event_within(sip_support::SILENCE, answered), None);

        bob.respond(&invite, 200, last);
        bob.expect("ACK");
        node.answered(leg);
        match node.media_now() {
            Some(MediaCommand::ChangeLeg { agreement, .. }) => {
                assert!(is_changed);
                assert_eq!(agreement.remote.port(), 6002);
            }
            other => assert!(other.is_none() && !is_changed, "{last}"),
        }
        node.command(SipCommand::HangUp { leg }).unwrap();
        bob.expect("BYE");
        is_clean(&node);
    }
}

#[test]
fn the_route_set_of_the_200_is_followed_in_reverse() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let near = format!("<sip:{};lr>", bob.me);
    bob.extra = format!("Record-Route: <sip:far.example;lr>\r\nRecord-Route: {near}\r\n");
    bob.contact = "<sip:bob@phone.invalid:9>".into();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 200, SDP);

    let ack = bob.expect("ACK");
    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = bob.expect("BYE");

    for request in [ack, bye] {
        assert!(request.start.contains(" sip:bob@phone.invalid:9 "), "{request:?}");
        assert_eq!(request.all("Route"), [near.as_str(), "<sip:far.example;lr>"]);
    }
}

#[test]
fn responses_of_strangers_change_nothing() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    let good = bob.response(&invite, 200, SDP);
    let branch = invite.get("Via").split("branch=").nth(1).unwrap().to_owned();
    for wrong in [
        good.replace(&branch, "z9hG4bKguessed;rport"),
        good.replace(invite.get("Call-ID"), "another"),
        good.replace(&invite.tag("From"), "another"),
        good.replace("1 INVITE", "2 INVITE"),
        good.replace("1 INVITE", "1 BYE"),
    ] {
        bob.send_raw(wrong);
    }
    bob.hears_nothing();
    bob.send_raw(good);
    bob.expect("ACK");
    node.answered(leg);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
}

#[test]
fn a_node_can_call_itself() {
    let mut node = Node::new();
    let leg = node.dial(&format!("sip:room@{}", node.address));
    let arrived = node.arrived();
    assert_eq!((arrived.called.as_str(), arrived.caller.as_str()), ("room", "4711"));
    node.command(SipCommand::Ring { leg: arrived.leg }).unwrap();
    assert_eq!(node.ringing(leg), 180);
    node.command(SipCommand::Answer { leg: arrived.leg }).unwrap();
    node.answered(leg);
    node.answered(arrived.leg);

    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    assert_eq!(node.ended(arrived.leg), (EndedBy::RemoteBye, 200));
    is_clean(&node);

    let leg = node.dial(&format!("sip:room@{}", node.address));
    let arrived = node.arrived();
    node.command(SipCommand::Ring { leg: arrived.leg }).unwrap();
    node.ringing(leg);
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(node.ended(arrived.leg), (EndedBy::RemoteCancel, 487));
    is_clean(&node);
}

#[test]
fn two_hundred_calls_at_once_leave_nothing_behind() {
    let mut node = Node::new();
    let uri = format!("sip:room@{}", node.address);
    let ours: Vec<LegHandle> = (0..200).map(|_| node.dial(&uri)).collect();
    let theirs: Vec<LegHandle> = ours.iter().map(|_| node.arrived().leg).collect();
    for &leg in &theirs {
        node.command(SipCommand::Answer { leg }).unwrap();
        while node.media_now().is_some() {}
    }
    for &leg in &ours {
        node.answered(leg);
        node.command(SipCommand::HangUp { leg }).unwrap();
        while node.media_now().is_some() {}
    }
    for leg in ours {
        assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    }
    for leg in theirs {
        assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
    }
    while node.media_now().is_some() {}
    is_clean(&node);
}

#[test]
fn an_ipv6_far_end_is_called() {
    let mut config = config();
    config.udp.push("[::1]:0".parse().unwrap());
    config.ports = PortPool::new("::".parse().unwrap(), 42_000..=49_999).unwrap();
    let mut node = Node::with(config, 4);
    let mut bob = FarEnd::on("[::1]:0");
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    assert!(invite.get("From").contains("@[::1]>"), "{invite:?}");
    assert!(invite.body.contains("c=IN IP6 ::1\r\n"), "{}", invite.body);
    bob.respond(&invite, 200, &SDP.replace("IP4 127.0.0.1", "IP6 ::1"));
    bob.expect("ACK");
    node.answered(leg);
}
