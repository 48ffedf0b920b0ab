//! Calls of ours that nobody answers, against a scripted far end.

mod sip_support;

use std::time::Duration;

use sip_support::far_end::FarEnd;
use sip_support::{Message, Node, SDP, call, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::dial::Dial;
use tapeline_core::boundary::event::{EndedBy, Event};
use tapeline_core::media::ports::PortPool;

/// With a T1 of 10 ms: timers B, D and M are 640 ms.
fn quick_node() -> Node {
    let mut config = config();
    config.limits.t1 = Duration::from_millis(10);
    Node::with(config, 10)
}

/// Nothing of the call is left, and nothing of ours panicked.
fn is_clean(node: &Node) {
    node.slots_become(0);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_told_once() {
    for status in [302, 401, 404, 407, 486, 500, 603] {
        let mut node = Node::new();
        let mut bob = FarEnd::new();
        let leg = node.dial(&bob.uri());
        let invite = bob.expect("INVITE");

        for _ in 0..2 {
            bob.respond(&invite, status, "");
            let ack = bob.expect("ACK");
            assert_eq!(ack.start, format!("ACK {} SIP/2.0", bob.uri()));
            assert_eq!(ack.get("Via"), invite.get("Via"));
            assert_eq!(ack.get("CSeq"), "1 ACK");
            assert_eq!((ack.tag("To"), ack.tag("From")), (bob.tag.clone(), invite.tag("From")));
        }

        assert_eq!(node.ended(leg), (EndedBy::Rejected, status));
        assert!(node.media_now().is_none());
        bob.hears_nothing();
        is_clean(&node);
    }
}

#[test]
fn a_silent_far_end_is_called_again_and_again_and_then_given_up() {
    let mut node = quick_node();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());

    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 408));

    let mut copies: Vec<Message> = Vec::new();
    while let Some(message) = bob.receive_within(Duration::from_millis(50)) {
        copies.push(message);
    }
    // At 0, 1, 3, 7, 15, 31 and 63 times T1; the last is due a single T1 before the end.
    assert!((6..=7).contains(&copies.len()), "{} copies", copies.len());
    for copy in &copies {
        assert_eq!((&copy.start, copy.get("Via")), (&copies[0].start, copies[0].get("Via")));
    }
    is_clean(&node);
}

#[test]
fn a_host_that_cannot_be_found_or_reached_ends_the_call() {
    let mut config = config();
    config.limits.lookup = Duration::from_secs(2);
    let mut node = Node::with(config, 10);
    // Nothing is sent beyond this machine: the node's only socket is bound to it.
    for uri in ["sip:bob@nowhere.invalid", "sip:bob@192.0.2.1", "sip:bob@[::1]:5060"] {
        let leg = node.dial(uri);
        assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503), "{uri}");
    }
    is_clean(&node);
}

/// No socket may send there without being told so (EACCES).
#[test]
fn an_address_the_kernel_refuses_is_known_at_once() {
    let mut config = config();
    config.udp = vec!["0.0.0.0:0".parse().unwrap()];
    let mut node = Node::with(config, 10);
    let leg = node.dial("sip:bob@255.255.255.255");
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 503));
    is_clean(&node);
}

#[test]
fn nobody_at_that_port_is_known_at_once_and_disturbs_no_other_call() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    let begun = std::time::Instant::now();
    // Taken, so that no other test gets it, and connected elsewhere, so that it hears nobody.
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    deaf.connect("127.0.0.1:9").unwrap();
    let gone = format!("sip:bob@{}", deaf.local_addr().unwrap());

    for _ in 0..20 {
        let nowhere = node.dial(&gone);
        assert_eq!(node.ended(nowhere), (EndedBy::Unreachable, 503));
    }

    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let copies = std::iter::from_fn(|| bob.receive_within(Duration::from_millis(1))).count();
    assert!(copies < 4, "{copies} copies of the INVITE");
    bob.respond(&invite, 180, "");
    assert_eq!(node.ringing(leg), 180);
    bob.respond(&invite, 200, SDP);
    bob.expect("ACK");
    node.answered(leg);
}

#[test]
fn a_call_is_cancelled_before_during_and_across_its_answer() {
    let mut node = Node::new();
    // Rings: CANCEL at once.
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 180, "");
    assert_eq!(node.ringing(leg), 180);
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(node.ended(leg), (EndedBy::Command, 487));
    let cancel = bob.expect("CANCEL");
    assert_eq!(cancel.start, invite.start.replace("INVITE", "CANCEL"));
    for name in ["Via", "From", "To", "Call-ID", "Max-Forwards"] {
        assert_eq!(cancel.get(name), invite.get(name));
    }
    assert_eq!(cancel.get("CSeq"), "1 CANCEL");
    bob.respond(&cancel, 200, "");
    bob.respond(&invite, 487, "");
    bob.expect("ACK");
    bob.hears_nothing();

    // Not a word yet: CANCEL waits for the first (RFC 3261 §9.1).
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(node.ended(leg), (EndedBy::Command, 487));
    bob.hears_nothing();
    bob.respond(&invite, 100, "");
    let cancel = bob.expect("CANCEL");
    bob.respond(&cancel, 200, "");

    // The 200 crosses it: a call that nobody wants is acknowledged and hung up.
    for _ in 0..2 {
        bob.respond(&invite, 200, SDP);
        assert_eq!(bob.expect("ACK").tag("To"), "bob1");
        if let Some(bye) = bob.receive_within(Duration::from_millis(100)) {
            assert!(bye.start.starts_with("BYE "), "{bye:?}");
            assert_eq!((bye.get("CSeq"), bye.tag("To")), ("2 BYE", "bob1".to_owned()));
            bob.respond(&bye, 200, "");
        }
    }
    let answered = |event: &Event| matches!(event, Event::CallAnswered { .. }).then_some(());
    assert_eq!(node.event_within(Duration::ZERO, answered), None);
    assert!(node.media_now().is_none());
    is_clean(&node);
}

#[test]
fn a_call_that_rings_too_long_is_cancelled() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let short = Dial::new(&bob.uri(), "", "", vec![], Duration::from_millis(200)).unwrap();
    let leg = node.dial_as(short.clone()).unwrap();
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 183, "");
    assert_eq!(node.ringing(leg), 183);
    assert_eq!(node.ended(leg), (EndedBy::Unanswered, 408));
    bob.expect("CANCEL");

    let mut silent = FarEnd::new();
    let short = Dial::new(&silent.uri(), "", "", vec![], Duration::from_millis(200)).unwrap();
    let leg = node.dial_as(short).unwrap();
    silent.expect("INVITE");
    assert_eq!(node.ended(leg), (EndedBy::Unreachable, 408));
    silent.hears_nothing();
    is_clean(&node);
}

#[test]
fn an_answer_without_a_codec_of_ours_is_acknowledged_and_hung_up() {
    let other_codec = SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 18");
    let refused = SDP.replace("audio 6000", "audio 0");
    for body in ["", "no SDP", other_codec.as_str(), refused.as_str()] {
        let mut node = Node::new();
        let mut bob = FarEnd::new();
        let leg = node.dial(&bob.uri());
        let invite = bob.expect("INVITE");
        bob.respond(&invite, 200, body);

        bob.expect("ACK");
        let bye = bob.expect("BYE");
        bob.respond(&bye, 200, "");
        assert_eq!(node.ended(leg), (EndedBy::Rejected, 488), "{body}");
        assert!(node.media_now().is_none());
        is_clean(&node);
    }
}

#[test]
fn a_leg_that_is_calling_can_only_be_hung_up() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    bob.expect("INVITE");
    for command in [
        SipCommand::Ring { leg },
        SipCommand::Answer { leg },
        SipCommand::Reject { leg, status: 486, reason: String::new() },
    ] {
        let reason = "the leg is calling: only the far end can ring, answer or reject";
        assert_eq!(node.command(command), Err(reason.into()));
    }
    node.command(SipCommand::HangUp { leg }).unwrap();
    assert_eq!(node.ended(leg), (EndedBy::Command, 487));
}

#[test]
fn a_node_that_drains_or_is_full_dials_nobody() {
    let mut config = config();
    config.limits.dialogs = 1;
    config.ports = PortPool::new("127.0.0.1".parse().unwrap(), 41_510..=41_511).unwrap();
    let mut node = Node::with(config, 5);
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    let full = node.dial_as(call(&bob.uri())).unwrap_err();
    assert_eq!(full, "as many calls as configured are open");
    bob.respond(&invite, 486, "");
    node.ended(leg);

    node.command(SipCommand::SetDraining { draining: true }).unwrap();
    let late = node.dial_as(call(&bob.uri())).unwrap_err();
    assert_eq!(late, "the node takes no new calls");
    node.command(SipCommand::SetDraining { draining: false }).unwrap();
    let taken = PortPool::new("127.0.0.1".parse().unwrap(), 41_510..=41_511).unwrap();
    let held = taken.bind_pair().unwrap();
    let portless = node.dial_as(call(&bob.uri())).unwrap_err();
    assert!(portless.contains("no free RTP port pair in 41510-41511"), "{portless}");
    drop(held);
    is_clean(&node);
    node.dial(&bob.uri());
}

#[test]
fn a_stop_cancels_what_rings() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let invite = bob.expect("INVITE");
    bob.respond(&invite, 180, "");
    node.ringing(leg);

    let sip = node.sip.clone();
    let stopper = std::thread::spawn(move || sip.stop());
    let cancel = bob.expect("CANCEL");
    bob.respond(&cancel, 200, "");
    bob.respond(&invite, 487, "");
    bob.expect("ACK");

    assert!(stopper.join().unwrap());
    assert_eq!(node.ended(leg), (EndedBy::Command, 487));
}
