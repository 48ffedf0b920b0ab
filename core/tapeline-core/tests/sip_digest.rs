//! Who is calling: strangers, trunks by their address, endpoints by their digest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::Duration;

use sip_support::digest::{Prover, ha1, parameter};
use sip_support::{Node, Phone, SDP, config, networks};
use tapeline_core::boundary::command::{Access, SipCommand};
use tapeline_core::boundary::identity::{Credentials, Sources};
use tapeline_core::boundary::transport::Transport;

/// Of a node that knows nobody by address and `ann` by her password.
fn node_of_ann() -> Node {
    node_with(Access { networks: vec![], ..config().access })
}

fn node_with(access: Access) -> Node {
    let mut node = Node::with(sip_support::with_access(access), 100);
    let row = |user: &str, owner: &str| {
        let hash = |algorithm| ha1(algorithm, user, "tapeline", "secret");
        (user.to_owned(), owner.to_owned(), hash("MD5"), hash("SHA-256"))
    };
    let rows = vec![row("ann", "ep_ann"), row("bob", "ep_bob")];
    let credentials = Credentials::new(rows).unwrap();
    node.command(SipCommand::SetCredentials { credentials }).unwrap();
    node
}

fn uri(phone: &Phone) -> String {
    format!("sip:{}@{}", phone.called, phone.node)
}

/// INVITE, 401, ACK, INVITE with the answer; what the node says then is still to be read.
fn invite_as(phone: &mut Phone, prover: &Prover) {
    phone.send_invite(SDP);
    let refused = phone.expect(401);
    phone.ack_refusal();
    phone.extra = prover.line(&refused, "INVITE", &uri(phone));
    phone.send_invite(SDP);
}

#[test]
fn a_caller_is_asked_and_is_known_by_its_answer() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut node = node_of_ann();
        let mut phone = Phone::new(&node);
        phone.send_invite(SDP);
        let refused = phone.expect(401);
        let challenges = refused.all("WWW-Authenticate");
        assert_eq!(challenges.len(), 2);
        assert!(challenges[0].ends_with("qop=\"auth\", algorithm=SHA-256"), "{challenges:?}");
        assert!(challenges[1].ends_with("qop=\"auth\", algorithm=MD5"), "{challenges:?}");
        assert!(refused.get("To").contains(";tag="));
        phone.ack_refusal();
        phone.hears_nothing();
        node.no_call_arrives();
        assert_eq!((node.slots.in_use(), node.count(|c| &c.sip_challenged)), (0, 1));

        let prover = Prover { algorithm, ..Prover::new("ann", "secret") };
        phone.extra = prover.line(&refused, "INVITE", &uri(&phone));
        let invite = phone.send_invite(SDP);
        let call = node.arrived();
        assert_eq!((call.owner.as_str(), call.transport), ("ep_ann", Transport::Udp));
        phone.send_raw(&invite);
        phone.expect(100);
        node.command(SipCommand::Answer { leg: call.leg }).unwrap();
        phone.expect(200);
        phone.ack();
        phone.extra.clear();
        phone.send("BYE", "");
        phone.expect(200);
        node.ended(call.leg);
        node.slots_become(0);
    }
}

#[test]
fn wrong_and_unknown_are_told_the_same_and_take_the_challenge_anew() {
    let mut node = node_of_ann();
    let mut said = Vec::new();
    for (user, password) in [("ann", "Secret"), ("nobody", "secret"), ("bob", "")] {
        let mut phone = Phone::new(&node);
        invite_as(&mut phone, &Prover::new(user, password));
        let refused = phone.expect(401);
        let challenge = refused.all("WWW-Authenticate")[0];
        let nonce = parameter(challenge, "nonce").unwrap();
        said.push(challenge.replace(nonce, ""));
    }
    assert!(said.iter().all(|text| *text == said[0] && !text.contains("stale")), "{said:?}");
    assert_eq!(node.count(|c| &c.sip_wrong_digest), 3);
    node.no_call_arrives();
}

#[test]
fn counts_are_hexadecimal_and_each_is_good_once() {
    let mut node = node_of_ann();
    let mut first = Phone::new(&node);
    first.send_invite(SDP);
    let refused = first.expect(401);
    first.ack_refusal();
    let prover = Prover::new("ann", "secret");

    // D5: from the tenth use of a nonce on, and from the 256th.
    for nc in ["00000001", "00000009", "0000000a", "00000010", "00000100", "000000ff"] {
        let mut phone = Phone::new(&node);
        let prover = Prover { nc: nc.into(), ..prover.clone() };
        phone.extra = prover.line(&refused, "INVITE", &uri(&phone));
        phone.send_invite(SDP);
        let leg = node.arrived().leg;
        node.command(SipCommand::Reject { leg, status: 486, reason: String::new() }).unwrap();
        phone.expect(486);
        phone.ack_refusal();
    }
    let mut phone = Phone::new(&node);
    let prover = Prover { nc: "0000000A".into(), ..prover };
    phone.extra = prover.line(&refused, "INVITE", &uri(&phone));
    phone.send_invite(SDP);
    let again = phone.expect(401);
    assert!(again.all("WWW-Authenticate")[0].ends_with(", stale=true"), "a replay");
    phone.ack_refusal();
    phone.extra = Prover::new("ann", "secret").line(&again, "INVITE", &uri(&phone));
    phone.send_invite(SDP);
    assert_eq!(node.arrived().owner, "ep_ann");
}

#[test]
fn a_digest_of_another_request_does_not_count() {
    let mut node = node_of_ann();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let refused = phone.expect(401);
    phone.ack_refusal();
    phone.extra = Prover::new("ann", "secret").line(&refused, "INVITE", "sip:another@tapeline");
    phone.send_invite(SDP);
    phone.expect(401);
    phone.ack_refusal();
    phone.extra = Prover::new("ann", "secret").line(&refused, "REGISTER", &uri(&phone));
    phone.send_invite(SDP);
    phone.expect(401);
    node.no_call_arrives();
}

#[test]
fn a_trunk_is_known_by_its_address_and_an_allowed_network_is_nobodys() {
    let mut node = node_of_ann();
    let rows = vec![("tr_one".to_owned(), vec!["127.0.0.0/24".to_owned()])];
    node.command(SipCommand::SetSources { sources: Sources::new(rows).unwrap() }).unwrap();
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    assert_eq!(node.arrived().owner, "tr_one");
    phone.is_answered();

    let access = Access { networks: networks(&["127.0.0.1"]), ..config().access };
    node.command(SipCommand::SetAccess { access }).unwrap();
    Phone::new(&node).send_invite(SDP);
    assert_eq!(node.arrived().owner, "");
}

#[test]
fn a_call_that_was_proved_goes_on_without_more_proof() {
    let mut node = node_of_ann();
    let mut phone = Phone::new(&node);
    invite_as(&mut phone, &Prover::new("ann", "secret"));
    let leg = node.arrived().leg;
    phone.extra.clear();
    phone.cancel();
    let answers = [phone.receive(), phone.receive(), phone.receive()].map(|m| m.status());
    assert!(answers.contains(&200) && answers.contains(&487), "{answers:?}");
    phone.ack_refusal();
    phone.hears_nothing();
    assert_eq!(node.ended(leg).1, 487);

    // Its Call-ID is no pass for another call.
    let mut phone = Phone::new(&node);
    invite_as(&mut phone, &Prover::new("ann", "secret"));
    node.arrived();
    phone.expect(100);
    let mut other = Phone::new(&node);
    other.call_id = phone.call_id.clone();
    other.send_invite(SDP);
    other.expect(401);
}

#[test]
fn who_guesses_is_not_heard_for_a_while_and_others_are() {
    let access = Access { networks: vec![], rate_exempt: vec![], ..config().access };
    let mut node = node_with(access);
    let rows = vec![("tr_one".to_owned(), vec!["127.0.0.7".to_owned()])];
    node.command(SipCommand::SetSources { sources: Sources::new(rows).unwrap() }).unwrap();
    let mut phone = Phone::new(&node);
    let mut refusals = 0;
    for guess in 0..40 {
        phone.extra.clear();
        phone.send_invite(SDP);
        let Some(refused) = phone.receive_within(Duration::from_millis(300)) else { break };
        phone.ack_refusal();
        let prover = Prover::new("ann", &format!("guess {guess}"));
        phone.extra = prover.line(&refused, "INVITE", &uri(&phone));
        phone.send_invite(SDP);
        if phone.receive_within(Duration::from_millis(300)).is_none() {
            break;
        }
        phone.ack_refusal();
        refusals += 1;
    }
    assert!((8..=10).contains(&refusals), "{refusals}");

    invite_as_unheard(&mut Phone::new(&node));
    assert!(node.count(|c| &c.sip_silenced) > 0);
    let mut trunk = Phone::on(&node, "127.0.0.7:0");
    trunk.send_invite(SDP);
    assert_eq!(node.arrived().owner, "tr_one");
    let mut elsewhere = Phone::on(&node, "127.0.0.8:0");
    elsewhere.send_invite(SDP);
    elsewhere.expect(401);
}

fn invite_as_unheard(phone: &mut Phone) {
    phone.send_invite(SDP);
    phone.hears_nothing();
}

#[test]
fn a_scanner_gets_little_and_then_nothing() {
    let access = Access { networks: vec![], rate_exempt: vec![], ..config().access };
    let node = node_with(access);
    let mut phone = Phone::on(&node, "127.0.0.9:0");
    for method in ["OPTIONS", "REGISTER", "NONSENSE", "SUBSCRIBE"] {
        phone.send(method, "");
    }
    phone.send_invite(SDP);
    let challenge = loop {
        let answer = phone.receive();
        if answer.get("CSeq").ends_with(" INVITE") {
            break answer;
        }
    };
    assert_eq!(challenge.status(), 401);
    // Amplification: the answer to a small request is no larger than twice it.
    let least = phone.text("INVITE", "z9hG4bKx", 9, "");
    let size: usize = challenge.headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    assert!(size < 2 * least.len(), "{size} of {}", least.len());

    let mut answers = 0;
    for _ in 0..400 {
        phone.send_invite(SDP);
        answers += usize::from(phone.receive_within(Duration::from_millis(20)).is_some());
    }
    assert!((150..=260).contains(&answers), "{answers}");
    assert!(phone.receive_within(Duration::from_millis(100)).is_none());
    let mut later = Phone::on(&node, "127.0.0.9:0");
    invite_as_unheard(&mut later);
}

#[test]
fn a_flood_without_a_digest_makes_nothing() {
    let mut node = node_of_ann();
    let mut phone = Phone::new(&node);
    for _ in 0..2_000 {
        phone.send_invite(SDP);
        phone.expect(401);
    }
    assert_eq!(node.slots.in_use(), 0);
    assert_eq!(node.count(|c| &c.sip_challenged), 2_000);
    assert_eq!(node.count(|c| &c.calls_arrived), 0);
    node.no_call_arrives();
}
