//! What changes within a call, and what is said of its end: re-INVITE, UPDATE, Require, Reason.
#![allow(clippy::unwrap_used)]

mod sip_support;

use sip_support::far_end::FarEnd;
use sip_support::{Node, Phone, SDP};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::boundary::reason::Reason;
use tapeline_core::media::command::{Codec, MediaCommand};

fn updated(node: &mut Node, leg: LegHandle) -> bool {
    node.event(|event| match event {
        Event::CallUpdated { leg: changed, is_held } if *changed == leg => Some(*is_held),
        _ => None,
    })
}

fn nothing_is_told(node: &mut Node) {
    let told = node.event_within(sip_support::SILENCE, |event| match event {
        Event::CallUpdated { is_held, .. } => Some(*is_held),
        _ => None,
    });
    assert_eq!(told, None);
}

/// How it ended and the far end's reason.
fn ended(node: &mut Node, leg: LegHandle) -> (EndedBy, String) {
    node.event(|event| match event {
        Event::CallEnded { leg: ended, by, reason, .. } if *ended == leg => {
            Some((*by, reason.clone()))
        }
        _ => None,
    })
}

#[test]
fn each_kind_of_hold_and_the_way_back_are_told() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let send_only = SDP.to_owned() + "a=sendonly\r\n";
    let inactive = SDP.to_owned() + "a=inactive\r\n";
    let old = SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
    let off = SDP.replace("audio 6000", "audio 0");
    let moved = SDP.replace("6000", "6002");
    let other_codec = SDP.replace("6000", "6002").replace("0 8 101", "8");
    for method in ["INVITE", "UPDATE"] {
        for (sdp, is_held) in [
            (send_only.as_str(), true),
            (inactive.as_str(), true),
            (SDP, false),
            (old.as_str(), true),
            (SDP, false),
            (off.as_str(), true),
            (moved.as_str(), false),
            (other_codec.as_str(), false),
            (SDP, false),
        ] {
            match method {
                "INVITE" => phone.send_invite(sdp),
                _ => phone.send(method, sdp),
            };
            phone.expect(200);
            if method == "INVITE" {
                phone.ack();
            }
            assert_eq!(updated(&mut node, leg), is_held, "{method} {sdp}");
            assert!(matches!(node.media(), MediaCommand::ChangeLeg { .. }));
        }
        // What repeats the description changes nothing.
        phone.send("UPDATE", SDP);
        phone.expect(200);
        phone.send("UPDATE", "");
        assert_eq!(phone.expect(200).body, "");
        nothing_is_told(&mut node);
        assert!(node.media_now().is_none());
    }
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_is_no_hold() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    phone.send_invite("");
    let offer = phone.expect(200);
    assert!(offer.body.contains("a=sendrecv\r\n"), "{}", offer.body);
    phone.ack_with(SDP);
    nothing_is_told(&mut node);
    assert!(node.media_now().is_none());

    phone.send_invite("");
    phone.expect(200);
    phone.ack_with(&SDP.replace("0 8 101", "8"));
    assert!(!updated(&mut node, leg));
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.codec, Codec::Pcma);
}

#[test]
fn what_is_required_and_unknown_is_named() {
    let mut node = Node::new();
    for (method, required, status, unsupported) in [
        ("INVITE", "precondition, 100rel", 420, Some("precondition")),
        ("OPTIONS", "timer, replaces, 100rel", 200, None),
        ("OPTIONS", "x-one,x-two", 420, Some("x-one, x-two")),
    ] {
        let mut phone = Phone::new(&node);
        phone.extra = format!("Require: {required}\r\n");
        phone.send(method, if method == "INVITE" { SDP } else { "" });
        let answer = phone.expect(status);
        assert_eq!(answer.all("Unsupported").first().copied(), unsupported);
    }
    let mut phone = Phone::new(&node);
    phone.send("OPTIONS", "");
    let answer = phone.expect(200);
    assert_eq!(answer.get("Supported"), "100rel, replaces, timer");
    for method in ["PRACK", "REFER", "UPDATE", "INFO"] {
        assert!(answer.get("Allow").contains(method), "{answer:?}");
    }
    let mut stranger = Phone::new(&node);
    stranger.extra = "Refer-To: <sip:bob@127.0.0.1>\r\n".into();
    stranger.send("REFER", "");
    stranger.expect(405);
    node.no_call_arrives();
}

#[test]
fn the_far_ends_reason_is_told() {
    let mut node = Node::new();
    let said = "Q.850;cause=16;text=\"Normal\"";
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    phone.extra = format!("Reason: {said}\r\n");
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(ended(&mut node, leg), (EndedBy::RemoteBye, said.into()));

    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    phone.extra = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n".into();
    phone.cancel();
    phone.expect(200);
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(ended(&mut node, leg), (EndedBy::RemoteCancel, elsewhere.into()));

    let mut bob = FarEnd::new();
    bob.extra = format!("Reason: {}\r\n", "x".repeat(2_000));
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 486, "");
    let (by, reason) = ended(&mut node, leg);
    assert_eq!((by, reason.len()), (EndedBy::Rejected, 256));
}

#[test]
fn our_bye_and_cancel_say_why() {
    let mut node = Node::new();
    let reason = Reason::new(200, "Call completed elsewhere").unwrap();
    let said = "SIP;cause=200;text=\"Call completed elsewhere\"";

    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    node.command(SipCommand::HangUpFor { leg, reason: reason.clone() }).unwrap();
    let bye = phone.receive();
    assert_eq!(bye.get("Reason"), said);
    phone.ok(&bye);
    assert!(matches!(node.media(), MediaCommand::RemoveLeg { .. }));

    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 180, "");
    node.ringing(leg);
    node.command(SipCommand::HangUpFor { leg, reason }).unwrap();
    let cancel = bob.expect("CANCEL");
    assert_eq!(cancel.get("Reason"), said);
    bob.respond(&cancel, 200, "");
    // The answer crosses the CANCEL.
    bob.respond(&invite, 200, SDP);
    bob.expect("ACK");
    let bye = bob.expect("BYE");
    assert_eq!(bye.get("Reason"), said);
    bob.respond(&bye, 200, "");

    // A plain hang-up says nothing.
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert!(phone.receive().all("Reason").is_empty());
}

#[test]
fn a_second_phone_that_answers_hears_that_another_was_faster() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let (invite, _) = bob.answer();
    node.answered(leg);
    bob.tag = "bob2".into();
    bob.respond(&invite, 200, SDP);
    assert_eq!(bob.expect("ACK").tag("To"), "bob2");
    let bye = bob.expect("BYE");
    assert_eq!(bye.tag("To"), "bob2");
    assert_eq!(bye.get("Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
}
