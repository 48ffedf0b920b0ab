//! SRTP keys in offers and answers (RFC 4568), as the listener's rule allows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod sip_support;

use sip_support::{Node, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::media::command::{Agreement, MediaCommand, RtcpPlace};
use tapeline_core::media::srtp::Suite;
use tapeline_core::sip::{SrtpPolicy, SrtpRule};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const OTHER_KEY: &str = "zzECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn node(policy: SrtpPolicy, sdes_over_plain_sip: bool) -> Node {
    let srtp = SrtpRule { policy, sdes_over_plain_sip };
    Node::with(tapeline_core::sip::SipConfig { srtp, ..config() }, 64)
}

fn protected(key: &str) -> String {
    let line = format!("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=rtcp-mux\r\n");
    SDP.replace("RTP/AVP", "RTP/SAVP") + "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n" + &line
}

fn crypto(body: &str) -> Vec<String> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    lines.map(str::to_owned).collect()
}

fn agreement(command: MediaCommand) -> (Agreement, bool) {
    match command {
        MediaCommand::AddLeg(setup) => (setup.agreement, setup.srtp.is_some()),
        MediaCommand::ChangeLeg { agreement, srtp, .. } => (*agreement, srtp.is_some()),
        _ => panic!("neither a new leg nor a changed one"),
    }
}

#[test]
fn what_is_offered_is_taken_as_the_rule_says() {
    use SrtpPolicy::{Accept, Never, Require};
    let (plain, keyed) = (SDP.to_owned(), protected(KEY));
    for (policy, is_open, sdp, is_taken) in [
        (Accept, false, &keyed, false),
        (Accept, false, &plain, true),
        (Accept, true, &keyed, true),
        (Accept, true, &plain, true),
        (Never, true, &keyed, false),
        (Never, true, &plain, true),
        (Require, true, &keyed, true),
        (Require, true, &plain, false),
        (Require, false, &keyed, false),
    ] {
        let mut node = node(policy, is_open);
        let mut phone = Phone::new(&node);
        phone.send_invite(sdp);
        if is_taken {
            node.arrived();
        } else {
            phone.expect(488);
            phone.ack_refusal();
            node.no_call_arrives();
        }
    }
}

#[test]
fn keys_are_answered_with_our_own_and_changed_by_reinvite() {
    let mut node = node(SrtpPolicy::Accept, true);
    let mut phone = Phone::new(&node);
    phone.send_invite(&protected(KEY));
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let answer = phone.expect(200);
    phone.ack();

    let (agreed, is_protected) = agreement(node.media());
    assert!(is_protected && agreed.rtcp == RtcpPlace::Multiplexed);
    let keys = agreed.srtp.unwrap();
    assert_eq!((keys.theirs.to_base64(), keys.theirs.suite()), (KEY.to_owned(), Suite::AesCm80));
    assert!(answer.body.contains(" RTP/SAVP 0") && answer.body.contains("a=rtcp-mux\r\n"));
    let ours = format!("3 AES_CM_128_HMAC_SHA1_80 inline:{}", keys.ours.to_base64());
    assert_eq!(crypto(&answer.body), std::slice::from_ref(&ours));

    phone.send_invite(&protected(OTHER_KEY));
    let answer = phone.expect(200);
    phone.ack();
    let (agreed, is_protected) = agreement(node.media());
    let next = agreed.srtp.unwrap();
    assert!(is_protected);
    assert_eq!((next.theirs.to_base64(), next.ours), (OTHER_KEY.to_owned(), keys.ours));
    assert_eq!(crypto(&answer.body), [ours]);

    // A call may become plain, and a re-INVITE without SDP gets what is in use.
    phone.send_invite("");
    let offer = phone.expect(200);
    assert_eq!(crypto(&offer.body).len(), 1, "{}", offer.body);
    phone.ack_with(&protected(OTHER_KEY));
    phone.send_invite(SDP);
    assert_eq!(crypto(&phone.expect(200).body), [""; 0]);
    phone.ack();
    let (agreed, is_protected) = agreement(node.media());
    assert!(agreed.srtp.is_none() && !is_protected);
}

#[test]
fn our_own_offers_carry_a_key_for_each_suite_where_srtp_must_be() {
    let mut node = node(SrtpPolicy::Require, true);
    let mut phone = Phone::new(&node);
    phone.send_invite("");
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let offer = phone.expect(200);
    let lines = crypto(&offer.body);
    assert!(offer.body.contains(" RTP/SAVP "), "{}", offer.body);
    assert_eq!(lines.len(), 3);
    let answer = format!("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n");
    phone.ack_with(&(SDP.replace("RTP/AVP", "RTP/SAVP") + &answer));

    let (agreed, is_protected) = agreement(node.media());
    let keys = agreed.srtp.unwrap();
    assert!(is_protected);
    assert_eq!((keys.tag, keys.theirs.to_base64()), (2, KEY.to_owned()));
    assert!(lines[1].ends_with(&keys.ours.to_base64()));
}

#[test]
fn an_answer_without_a_key_ends_the_call_and_no_event_shows_one() {
    let mut node = node(SrtpPolicy::Require, true);
    let mut phone = Phone::new(&node);
    phone.send_invite("");
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    let offer = phone.expect(200);
    phone.ack_with(SDP);
    assert_eq!(node.ended(leg).1, 488);

    let mut second = Phone::new(&node);
    second.send_invite(&(protected(KEY) + "a=fmtp:broken\r\nm=nonsense\r\n"));
    second.expect(400);
    second.ack_refusal();
    let seen = std::cell::RefCell::new(String::new());
    node.event_within(std::time::Duration::from_millis(100), |event: &Event| {
        seen.borrow_mut().push_str(&format!("{event:?}"));
        None::<()>
    });
    let seen = seen.into_inner();
    for line in crypto(&offer.body) {
        let key = line.split("inline:").nth(1).unwrap();
        assert!(key.len() > 30 && !seen.contains(key), "{seen}");
    }
    assert!(!seen.contains(KEY));
}
