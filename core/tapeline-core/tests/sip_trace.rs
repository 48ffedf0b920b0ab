//! What is kept of a call's messages, seen through a live SIP thread.

mod sip_support;

use sip_support::far_end::FarEnd;
use sip_support::{Node, Phone, SDP};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::EndedBy;

#[test]
fn the_messages_of_a_call_are_kept_in_order_and_without_its_digits() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    phone.extra = "Authorization: Digest response=\"secret\"\r\n".into();
    let leg = node.talk(&mut phone);
    phone.extra = "Content-Type: application/dtmf-relay\r\n".into();
    let digits = "Signal=7\r\nDuration=100\r\n";
    let text = phone.text("INFO", "z9hG4bKinfo", 2, "");
    let length = format!("Content-Length: {}\r\n", digits.len());
    phone.send_raw(text.replace("Content-Length: 0\r\n", &length) + digits);
    phone.expect(200);
    phone.extra = String::new();
    phone.seq = 2;
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));

    assert_eq!(node.sip.call_id(leg).as_deref(), Some(phone.call_id.as_str()));
    let kept = node.sip.trace(&phone.call_id);
    let starts: Vec<_> = kept
        .iter()
        .map(|it| {
            let way = if it.is_sent { "> " } else { "< " };
            let first = it.text.split("\r\n").next().unwrap_or_default();
            let words = if first.starts_with("SIP/2.0") { 1..2 } else { 0..1 };
            way.to_owned() + first.split(' ').nth(words.start).unwrap_or_default()
        })
        .collect();
    assert_eq!(
        starts,
        ["< INVITE", "> 100", "> 200", "< ACK", "< INFO", "> 200", "< BYE", "> 200"]
    );
    assert!(kept.iter().all(|it| it.peer == phone.me && !it.text.contains("secret")));
    assert!(kept.iter().all(|it| !it.text.contains("Signal=7")));
    assert!(kept[0].text.contains("Authorization: (hidden)\r\n"), "{}", kept[0].text);
    assert!(kept[0].text.contains("m=audio 6000 "), "{}", kept[0].text);
    assert!(kept.windows(2).all(|pair| pair[0].unix_us <= pair[1].unix_us));
}

#[test]
fn a_call_of_ours_is_traced_and_what_is_no_call_is_not() {
    let mut node = Node::new();
    let mut bob = FarEnd::new();
    let leg = node.dial(&bob.uri());
    let (invite, _) = bob.answer();
    node.answered(leg);
    node.command(SipCommand::HangUp { leg }).unwrap();
    let bye = bob.expect("BYE");
    bob.respond(&bye, 200, "");
    node.ended(leg);
    let call_id = node.sip.call_id(leg).unwrap();
    assert_eq!(call_id, invite.get("Call-ID"));
    let sent = |word: &str| {
        node.sip.trace(&call_id).iter().any(|it| it.is_sent && it.text.starts_with(word))
    };
    assert!(sent("INVITE ") && sent("ACK ") && sent("BYE "));

    let mut stranger = Phone::new(&node);
    stranger.send("OPTIONS", "");
    stranger.expect(200);
    assert!(node.sip.trace(&stranger.call_id).is_empty());
    let mut refused = Phone::new(&node);
    refused.extra = "Require: precondition\r\n".into();
    refused.send_invite(SDP);
    refused.expect(420);
    assert!(node.sip.trace(&refused.call_id).is_empty());
}
