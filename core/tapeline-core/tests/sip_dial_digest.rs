//! Calls of ours to who asks for a digest, wants to know who calls, or takes other audio.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::Duration;

use sip_support::digest::{ha1, hash, parameter};
use sip_support::far_end::FarEnd;
use sip_support::{Message, Node, SDP, call, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::dial::{CallSrtp, Dial};
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::boundary::handle::LegHandle;

fn asks(realm: &str, nonce: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth,auth-int\"")
}

fn www(realm: &str, nonce: &str) -> String {
    format!("WWW-Authenticate: {}\r\n", asks(realm, nonce))
}

fn proxy(realm: &str, nonce: &str) -> String {
    format!("Proxy-Authenticate: {}\r\n", asks(realm, nonce))
}

fn refuse(bob: &mut FarEnd, request: &Message, status: u16, lines: &str) {
    bob.extra = lines.to_owned();
    bob.respond(request, status, "");
    bob.extra.clear();
}

fn is_proved(request: &Message, header: &str) -> bool {
    let value = request.get(header);
    let get = |name: &str| parameter(value, name).unwrap().to_owned();
    let mut words = request.start.split(' ');
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let secret = ha1("MD5", "ann", &get("realm"), "secret");
    let asked = hash("MD5", &format!("{method}:{uri}"));
    let (nonce, nc, cnonce) = (get("nonce"), get("nc"), get("cnonce"));
    let text = format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{asked}");
    get("response") == hash("MD5", &text) && get("uri") == uri && value.contains(", qop=auth, ")
}

/// Dials `bob` with an account.
fn dial(node: &mut Node, bob: &FarEnd) -> LegHandle {
    node.dial_as(call(&bob.uri()).with_account("ann", "secret").unwrap()).unwrap()
}

/// The INVITE with the given CSeq; copies of earlier ones are skipped.
fn next_invite(bob: &mut FarEnd, sequence: u32) -> Message {
    let wanted = format!("{sequence} INVITE");
    std::iter::repeat_with(|| bob.expect("INVITE")).find(|m| m.get("CSeq") == wanted).unwrap()
}

#[test]
fn a_challenge_is_acknowledged_and_answered_in_the_same_call() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = dial(&mut node, &bob);
    let first = bob.expect("INVITE");
    assert!(first.all("Authorization").is_empty());
    refuse(&mut bob, &first, 401, &www("c", "n1"));
    let ack = bob.expect("ACK");
    assert_eq!((ack.get("CSeq"), ack.get("Via")), ("1 ACK", first.get("Via")));
    let second = next_invite(&mut bob, 2);
    assert!(is_proved(&second, "Authorization"), "{second:?}");
    for same in ["Call-ID", "From", "To"] {
        assert_eq!(second.get(same), first.get(same), "{same}");
    }
    assert_ne!(second.get("Via"), first.get("Via"));
    assert!(second.body.contains("m=audio"));

    // A proxy on the way asks too; then the far end rings and answers.
    refuse(&mut bob, &second, 407, &proxy("p", "n2"));
    bob.expect("ACK");
    let third = next_invite(&mut bob, 3);
    assert!(is_proved(&third, "Authorization") && is_proved(&third, "Proxy-Authorization"));
    bob.respond(&third, 180, "");
    assert_eq!(node.ringing(leg), 180);
    bob.respond(&third, 200, SDP);
    assert_eq!(bob.expect("ACK").get("CSeq"), "3 ACK");
    node.answered(leg);

    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = bob.expect("BYE");
    assert_eq!(bye.get("CSeq"), "4 BYE");
    refuse(&mut bob, &bye, 407, &proxy("p", "n3"));
    let bye = bob.expect("BYE");
    assert_eq!(bye.get("CSeq"), "5 BYE");
    assert!(is_proved(&bye, "Proxy-Authorization"));
    bob.respond(&bye, 200, "");
    assert_eq!(node.ended(leg), (EndedBy::Command, 200));
    bob.hears_nothing();
    node.slots_become(0);
}

#[test]
fn a_wrong_password_and_no_account_end_the_call() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = dial(&mut node, &bob);
    let first = bob.expect("INVITE");
    refuse(&mut bob, &first, 401, &www("c", "n1"));
    bob.expect("ACK");
    let second = next_invite(&mut bob, 2);
    refuse(&mut bob, &second, 401, &www("c", "n2"));
    bob.expect("ACK");
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 401));
    bob.hears_nothing();

    let mut eve = FarEnd::new();
    let leg = node.dial(&eve.uri());
    let invite = eve.expect("INVITE");
    refuse(&mut eve, &invite, 407, &proxy("p", "n"));
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 407));
    assert_eq!(node.count(|c| &c.caught_panics), 0);
}

#[test]
fn a_call_that_was_challenged_can_be_cancelled() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = dial(&mut node, &bob);
    let first = bob.expect("INVITE");
    refuse(&mut bob, &first, 407, &proxy("p", "n"));
    bob.expect("ACK");
    let second = next_invite(&mut bob, 2);
    bob.respond(&second, 180, "");
    node.ringing(leg);
    node.command(SipCommand::HangUp { leg }).unwrap();
    let cancel = bob.expect("CANCEL");
    assert_eq!((cancel.get("CSeq"), cancel.get("Via")), ("2 CANCEL", second.get("Via")));
    bob.respond(&cancel, 200, "");
    bob.respond(&second, 487, "");
    assert_eq!(bob.expect("ACK").get("CSeq"), "2 ACK");
    assert_eq!(node.ended(leg).0, EndedBy::Command);
}

#[test]
fn a_carrier_is_told_who_calls_and_the_called_is_not() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let ann = || Dial::new(&bob.uri(), "4711", "Ann", vec![], Duration::from_secs(60)).unwrap();
    let open = ann().with_identity("sip:+4930@carrier.example", false).unwrap();
    let hidden = ann().with_identity("tel:+4930", true).unwrap();
    node.dial_as(open).unwrap();
    let invite = bob.expect("INVITE");
    assert_eq!(invite.get("P-Asserted-Identity"), "<sip:+4930@carrier.example>");
    assert!(invite.all("Privacy").is_empty());
    assert!(invite.get("From").starts_with("\"Ann\" <sip:4711@127.0.0.1>;tag="));
    bob.respond(&invite, 486, "");
    bob.expect("ACK");

    node.dial_as(hidden).unwrap();
    let call_id = invite.get("Call-ID").to_owned();
    let invite = std::iter::repeat_with(|| bob.expect("INVITE"))
        .find(|invite| invite.get("Call-ID") != call_id)
        .unwrap();
    assert_eq!(invite.get("P-Asserted-Identity"), "<tel:+4930>");
    assert_eq!(invite.get("Privacy"), "id");
    let from = invite.get("From");
    assert!(from.starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{from}");
    let rest: Vec<_> = invite.headers.iter().filter(|(n, _)| n != "P-Asserted-Identity").collect();
    assert!(!format!("{rest:?}{}", invite.body).contains("4711"), "{invite:?}");
}

#[test]
fn a_call_may_have_fewer_codecs_than_the_node() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let uri = bob.uri();
    let with = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        call(&uri).with_audio(&names, None).unwrap()
    };
    let narrow = with(&["PCMA", "G722"]);
    node.dial_as(narrow).unwrap();
    let invite = bob.expect("INVITE");
    assert!(invite.body.contains(" RTP/AVP 8 9 "), "{}", invite.body);
    bob.respond(&invite, 486, "");
    bob.expect("ACK");
    let mut narrow_node = config();
    narrow_node.codecs = tapeline_core::sdp::Preference::new(
        &["PCMU".to_owned()],
        tapeline_core::media::codec::Rate::Wide,
    )
    .unwrap();
    let mut node = Node::with(narrow_node, 10);
    let refused = node.dial_as(with(&["PCMA"])).unwrap_err();
    assert_eq!(refused, "the node has none of these codecs");
    node.slots_become(0);
}

#[test]
fn srtp_is_offered_and_given_up_when_nobody_insists() {
    let mut config = config();
    config.srtp.sdes_over_plain_sip = true;
    let mut node = Node::with(config, 10);
    let mut bob = FarEnd::new();
    let with = |srtp| call(&bob.uri()).with_audio(&[], Some(srtp)).unwrap();
    let (offer, require, never) =
        (with(CallSrtp::Offer), with(CallSrtp::Require), with(CallSrtp::Never));
    let leg = node.dial_as(offer).unwrap();
    let invite = bob.expect("INVITE");
    assert!(invite.body.contains("RTP/SAVP ") && invite.body.contains("a=crypto:"));
    bob.respond(&invite, 488, "");
    bob.expect("ACK");
    let plain = next_invite(&mut bob, 2);
    assert!(plain.body.contains("RTP/AVP ") && !plain.body.contains("a=crypto:"), "{}", plain.body);
    bob.respond(&plain, 200, SDP);
    bob.expect("ACK");
    node.answered(leg);

    let mut carol = FarEnd::new();
    let to_carol = |dial: Dial| dial.by_route(&format!("udp;{}", carol.me)).unwrap();
    let (require, never) = (to_carol(require), to_carol(never));
    let leg = node.dial_as(require).unwrap();
    let invite = carol.expect("INVITE");
    assert!(invite.body.contains("RTP/SAVP "));
    carol.respond(&invite, 488, "");
    assert_eq!(node.ended(leg), (EndedBy::Rejected, 488));
    carol.expect("ACK");
    node.dial_as(never).unwrap();
    let invite = std::iter::repeat_with(|| carol.expect("INVITE"))
        .find(|invite| !invite.body.contains("SAVP"))
        .unwrap();
    assert!(invite.body.contains("RTP/AVP "));
}
