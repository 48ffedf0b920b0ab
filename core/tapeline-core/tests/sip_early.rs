//! Early media and reliable provisional responses (RFC 3262), from both ends.
#![allow(clippy::unwrap_used)]

mod sip_support;

use std::time::Duration;

use sip_support::far_end::FarEnd;
use sip_support::{Message, Node, PATIENCE, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::boundary::handle::LegHandle;
use tapeline_core::media::command::{Direction, MediaCommand};

/// A caller that takes what `extra` says of reliable responses; its INVITE has arrived.
fn call(node: &mut Node, extra: &str, sdp: &str) -> (Phone, LegHandle) {
    let mut phone = Phone::new(node);
    phone.extra = extra.into();
    phone.send_invite(sdp);
    phone.extra = String::new();
    let leg = node.arrived().leg;
    (phone, leg)
}

fn rack(response: &Message) -> String {
    format!("RAck: {} {}\r\n", response.get("RSeq"), response.get("CSeq"))
}

/// Sends PRACK; the next answer to it.
fn prack(phone: &mut Phone, rack: &str, sdp: &str) -> Message {
    phone.extra = rack.into();
    phone.send("PRACK", sdp);
    phone.extra = String::new();
    loop {
        let message = phone.receive();
        if message.get("CSeq").ends_with(" PRACK") {
            return message;
        }
    }
}

#[test]
fn a_183_opens_the_audio_and_the_200_repeats_its_description() {
    let mut node = Node::new();
    let (mut phone, leg) = call(&mut node, "", SDP);

    node.post(SipCommand::Progress { leg });
    let progress = phone.expect(183);
    assert!(
        matches!(node.media_now(), Some(MediaCommand::AddLeg(setup)) if setup.leg == leg),
        "the 183 left before the leg could be heard"
    );
    assert!(progress.all("Require").is_empty() && progress.all("RSeq").is_empty());
    assert_eq!(progress.get("Content-Type"), "application/sdp");
    assert!(node.sip.leg_stats(leg).is_some());
    // Once more is as good as once.
    node.command(SipCommand::Progress { leg }).unwrap();
    phone.hears_nothing();

    node.command(SipCommand::Answer { leg }).unwrap();
    let answer = phone.expect(200);
    assert_eq!(answer.body, progress.body);
    assert_eq!(answer.tag("To"), progress.tag("To"));
    phone.ack();
    assert!(node.media_now().is_none());
    node.answered(leg);
    let late = node.command(SipCommand::Progress { leg });
    assert!(late.is_err());
}

#[test]
fn early_audio_ends_with_a_refused_call() {
    let mut node = Node::new();
    let (mut phone, leg) = call(&mut node, "", SDP);
    node.command(SipCommand::Progress { leg }).unwrap();
    phone.expect(183);
    assert!(matches!(node.media(), MediaCommand::AddLeg(_)));
    node.command(SipCommand::Reject { leg, status: 486, reason: String::new() }).unwrap();
    phone.expect(486);
    phone.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::Command, 486));
    assert!(matches!(node.media(), MediaCommand::RemoveLeg { leg: gone } if gone == leg));
    node.slots_become(0);
}

#[test]
fn who_takes_reliable_responses_gets_the_183_until_its_prack_and_the_answer_after_it() {
    for extra in ["Supported: timer, 100rel\r\n", "Require: 100rel\r\n"] {
        let mut node = Node::new();
        let (mut phone, leg) = call(&mut node, extra, SDP);
        node.command(SipCommand::Progress { leg }).unwrap();
        let first = phone.expect(183);
        assert_eq!(first.get("Require"), "100rel");
        let again = phone.expect(183);
        assert_eq!((again.get("RSeq"), &again.body), (first.get("RSeq"), &first.body));
        // RFC 3262 §3: no 2xx before the PRACK of a response with SDP.
        let answered = node.post(SipCommand::Answer { leg });

        let number: u32 = first.get("RSeq").parse().unwrap();
        for wrong in [format!("{} 1 INVITE", number + 1), format!("{number} 2 INVITE"), "x".into()]
        {
            let refused = prack(&mut phone, &format!("RAck: {wrong}\r\n"), "");
            assert_eq!(refused.status(), 481, "{wrong}");
        }
        assert_eq!(prack(&mut phone, "", "").status(), 400);
        assert_eq!(prack(&mut phone, &rack(&first), "").status(), 200);
        let answer = phone.expect(200);
        assert_eq!(answer.body, first.body);
        phone.ack();
        node.answered(leg);
        node.event(|event| match event {
            Event::CommandDone { command } => (*command == answered).then_some(()),
            _ => None,
        });
        assert_eq!(prack(&mut phone, &rack(&first), "").status(), 481);
        assert!(phone.receive_within(Duration::from_millis(1_200)).is_none());
        assert_eq!(node.count(|c| &c.caught_panics), 0);
    }
}

#[test]
fn ringing_is_reliable_only_where_it_must_be() {
    let mut node = Node::new();
    let (mut phone, leg) = call(&mut node, "Supported: 100rel\r\n", SDP);
    node.command(SipCommand::Ring { leg }).unwrap();
    assert!(phone.expect(180).all("RSeq").is_empty());
    node.command(SipCommand::HangUp { leg }).unwrap();
    phone.expect(480);

    let (mut phone, leg) = call(&mut node, "Require: 100rel\r\n", SDP);
    node.command(SipCommand::Ring { leg }).unwrap();
    let ringing = phone.expect(180);
    assert_eq!((ringing.get("Require"), ringing.body.as_str()), ("100rel", ""));
    // Another must wait; it has the next number.
    node.post(SipCommand::Progress { leg });
    phone.hears_nothing();
    assert_eq!(prack(&mut phone, &rack(&ringing), "").status(), 200);
    let progress = phone.expect(183);
    let number = |message: &Message| message.get("RSeq").parse::<u32>().unwrap();
    assert_eq!(number(&progress), number(&ringing) + 1);
    phone.cancel();
    assert_eq!(phone.expect(200).get("CSeq"), "1 CANCEL");
    phone.expect(487);
    phone.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::RemoteCancel, 487));
    assert_eq!(prack(&mut phone, &rack(&progress), "").status(), 481);
    node.slots_become(0);
}

#[test]
fn an_invite_without_an_offer_is_offered_in_the_183_and_answered_in_the_prack() {
    let mut node = Node::new();
    let (mut phone, leg) = call(&mut node, "", "");
    let refused = node.command(SipCommand::Progress { leg });
    assert!(refused.unwrap_err().contains("made no offer"));
    node.command(SipCommand::HangUp { leg }).unwrap();
    phone.expect(480);
    phone.ack_refusal();

    for status in [183, 180] {
        let (mut phone, leg) = call(&mut node, "Require: 100rel\r\n", "");
        let command = match status {
            183 => SipCommand::Progress { leg },
            _ => SipCommand::Ring { leg },
        };
        node.command(command).unwrap();
        let offer = phone.expect(status);
        assert!(offer.body.contains("RTP/AVP 96 9 0 8 101 102\r\n"), "{}", offer.body);
        assert!(node.media_now().is_none());
        assert_eq!(prack(&mut phone, &rack(&offer), SDP).status(), 200);
        assert!(matches!(node.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));
        node.command(SipCommand::Answer { leg }).unwrap();
        assert_eq!(phone.expect(200).body, "");
        phone.ack();
        node.answered(leg);
        phone.send("BYE", "");
        phone.expect(200);
        assert!(matches!(node.media(), MediaCommand::RemoveLeg { .. }));
    }

    let (mut phone, leg) = call(&mut node, "Require: 100rel\r\n", "");
    node.command(SipCommand::Progress { leg }).unwrap();
    let offer = phone.expect(183);
    assert_eq!(prack(&mut phone, &rack(&offer), "").status(), 488);
    phone.expect(488);
    phone.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::NoAck, 488));
    node.slots_become(0);
}

#[test]
fn after_the_prack_another_offer_may_come_before_the_answer() {
    let mut node = Node::new();
    let (mut phone, leg) = call(&mut node, "Supported: 100rel\r\n", SDP);
    node.command(SipCommand::Progress { leg }).unwrap();
    let progress = phone.expect(183);
    let held = SDP.to_owned() + "a=sendonly\r\n";
    let early = prack(&mut phone, &rack(&progress), &held);
    assert!(early.body.contains("a=recvonly\r\n"), "{early:?}");
    assert!(matches!(node.media(), MediaCommand::AddLeg(_)));
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.direction, Direction::RecvOnly);
    phone.send("UPDATE", SDP);
    let updated = phone.expect(200);
    assert!(updated.body.contains("a=sendrecv\r\n"), "{updated:?}");
    node.command(SipCommand::Answer { leg }).unwrap();
    assert_eq!(phone.expect(200).body, updated.body);
}

#[test]
fn a_reliable_response_that_nobody_acknowledges_ends_the_call() {
    let mut config = config();
    // The seventh copy leaves one T1 before the end: a busy machine must not be later than that.
    config.limits.t1 = Duration::from_millis(75);
    let mut node = Node::with(config, 4);
    let (phone, leg) = call(&mut node, "Supported: 100rel\r\n", SDP);
    node.command(SipCommand::Progress { leg }).unwrap();
    let waits = node.post(SipCommand::Answer { leg });
    let mut copies = 0;
    let refused = loop {
        let message = phone.receive();
        match message.status() {
            100 => {}
            183 => copies += 1,
            status => break status,
        }
    };
    assert_eq!(refused, 504);
    assert_eq!(copies, 7);
    assert_eq!(node.ended(leg), (EndedBy::NoAck, 504));
    node.event(|event| match event {
        Event::CommandFailed { command, .. } => (*command == waits).then_some(()),
        _ => None,
    });
}

/// A reliable response of the far end.
fn reliably(bob: &mut FarEnd, invite: &Message, status: u16, number: u32, sdp: &str) {
    bob.extra = format!("Require: 100rel\r\nRSeq: {number}\r\n");
    bob.respond(invite, status, sdp);
    bob.extra = String::new();
}

#[test]
fn we_acknowledge_reliable_responses_of_a_far_end_in_their_order() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    assert_eq!(invite.get("Supported"), "100rel, replaces, timer");
    reliably(&mut bob, &invite, 183, 7, SDP);
    let prack = bob.expect("PRACK");
    assert_eq!(prack.get("RAck"), "7 1 INVITE");
    assert_eq!((prack.get("CSeq"), prack.tag("To")), ("2 PRACK", "bob1".to_owned()));
    assert_eq!(prack.start, format!("PRACK sip:bob@{};x=1 SIP/2.0", bob.me));
    bob.respond(&prack, 200, "");
    assert_eq!(node.ringing(leg), 183);
    assert!(matches!(node.media(), MediaCommand::AddLeg(setup) if setup.leg == leg));

    // Heard already, and one that overtook another: nothing.
    reliably(&mut bob, &invite, 183, 7, SDP);
    reliably(&mut bob, &invite, 180, 9, "");
    bob.hears_nothing();
    reliably(&mut bob, &invite, 180, 8, "");
    let prack = bob.expect("PRACK");
    assert_eq!((prack.get("RAck"), prack.get("CSeq")), ("8 1 INVITE", "3 PRACK"));
    bob.respond(&prack, 200, "");
    assert_eq!(node.ringing(leg), 180);

    bob.respond(&invite, 200, "");
    assert_eq!(bob.expect("ACK").get("CSeq"), "1 ACK");
    node.answered(leg);
    assert!(node.media_now().is_none());
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(bob.expect("BYE").get("CSeq"), "4 BYE");
}

#[test]
fn the_phone_that_answers_is_heard_as_it_described_itself_before() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    for (tag, port) in [("one", "6000"), ("two", "6002")] {
        bob.tag = tag.into();
        reliably(&mut bob, &invite, 183, 1, &SDP.replace("6000", port));
        let prack = bob.expect("PRACK");
        assert_eq!(prack.tag("To"), tag);
        bob.respond(&prack, 200, "");
    }
    let MediaCommand::AddLeg(setup) = node.media() else { panic!() };
    assert_eq!(setup.agreement.remote.port(), 6000);
    bob.respond(&invite, 200, "");
    bob.expect("ACK");
    node.answered(leg);
    let MediaCommand::ChangeLeg { agreement, .. } = node.media() else { panic!() };
    assert_eq!(agreement.remote.port(), 6002);
}

#[test]
fn early_dialogs_of_one_call_are_bounded() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    for number in 0..8 {
        bob.tag = format!("t{number}");
        reliably(&mut bob, &invite, 183, 1, "");
        let prack = bob.expect("PRACK");
        bob.respond(&prack, 200, "");
    }
    bob.tag = "t9".into();
    reliably(&mut bob, &invite, 183, 1, "");
    bob.hears_nothing();
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert!(bob.receive_within(PATIENCE).unwrap().start.starts_with("CANCEL "));
}
