//! REFER (RFC 3515) and Replaces (RFC 3891), as a node that is asked sees them.
#![allow(clippy::unwrap_used)]

mod sip_support;

use std::time::Duration;

use sip_support::{Message, Node, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::{EndedBy, Event, TransferAsked};
use tapeline_core::boundary::handle::LegHandle;

fn asked(node: &mut Node) -> TransferAsked {
    node.event(|event| match event {
        Event::TransferAsked(asked) => Some((**asked).clone()),
        _ => None,
    })
}

fn refer(phone: &mut Phone, target: &str, extra: &str) {
    phone.extra = format!("Refer-To: {target}\r\n{extra}");
    phone.send("REFER", "");
    phone.extra = String::new();
}

fn notified(phone: &Phone) -> Message {
    let notify = phone.receive();
    assert!(notify.start.starts_with("NOTIFY "), "{notify:?}");
    phone.ok(&notify);
    notify
}

#[test]
fn a_blind_transfer_is_asked_accepted_and_reported_to_its_end() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    for (round, id) in [(0, ""), (1, ";id=")] {
        refer(&mut phone, "\"Carol\" <sip:carol@127.0.0.1:5999;x=y>", "");
        let it = asked(&mut node);
        assert_eq!((it.leg, it.target.as_str()), (leg, "sip:carol@127.0.0.1:5999;x=y"));
        assert_eq!((it.replaces, it.replaces_header.as_str()), (None, ""));
        phone.hears_nothing();
        let early = node.command(SipCommand::ReportTransfer { leg, status: 200 });
        assert_eq!(early, Err("no transfer is under way".into()));

        node.command(SipCommand::AcceptTransfer { leg }).unwrap();
        phone.expect(202);
        let event = match id {
            "" => "refer".to_owned(),
            _ => format!("refer;id={}", phone.seq),
        };
        let trying = notified(&phone);
        assert_eq!(
            (trying.get("Event"), trying.body.as_str()),
            (event.as_str(), "SIP/2.0 100 Trying\r\n")
        );
        assert_eq!(trying.get("Content-Type"), "message/sipfrag;version=2.0");
        assert!(trying.get("Subscription-State").starts_with("active;expires="));
        // One at a time.
        refer(&mut phone, "<sip:dave@127.0.0.1>", "");
        phone.expect(491);
        node.command(SipCommand::ReportTransfer { leg, status: 180 }).unwrap();
        assert_eq!(notified(&phone).body, "SIP/2.0 180 Ringing\r\n");
        let (status, line) =
            [(200, "SIP/2.0 200 OK\r\n"), (486, "SIP/2.0 486 Busy Here\r\n")][round];
        node.command(SipCommand::ReportTransfer { leg, status }).unwrap();
        let last = notified(&phone);
        assert_eq!((last.get("Event"), last.body.as_str()), (event.as_str(), line));
        assert_eq!(last.get("Subscription-State"), "terminated;reason=noresource");
        let late = node.command(SipCommand::ReportTransfer { leg, status: 200 });
        assert_eq!(late, Err("no transfer is under way".into()));
    }
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn a_transfer_is_refused_as_asked_for_or_when_nobody_decides() {
    let mut config = config();
    config.limits.t1 = Duration::from_millis(20);
    let mut node = Node::with(config, 4);
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let none = node.command(SipCommand::AcceptTransfer { leg });
    assert_eq!(none, Err("no transfer is asked for".into()));
    refer(&mut phone, "<sip:carol@127.0.0.1>", "");
    asked(&mut node);
    let odd = node.command(SipCommand::RefuseTransfer { leg, status: 202 });
    assert_eq!(odd, Err("202 is no status to refuse a transfer with".into()));
    node.command(SipCommand::RefuseTransfer { leg, status: 603 }).unwrap();
    phone.expect(603);
    refer(&mut phone, "<sip:carol@127.0.0.1>", "");
    phone.expect(480);
    for (target, status) in [("<http://x/>", 416), ("<sip:x@y;method=BYE>", 501), ("<sip:", 400)] {
        refer(&mut phone, target, "");
        phone.expect(status);
    }
    phone.send("REFER", "");
    phone.expect(400);
}

#[test]
fn a_transfer_without_a_subscription_is_not_reported() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    refer(&mut phone, "<sip:carol@127.0.0.1>", "Refer-Sub: false\r\n");
    asked(&mut node);
    node.command(SipCommand::AcceptTransfer { leg }).unwrap();
    assert_eq!(phone.expect(202).get("Refer-Sub"), "false");
    node.command(SipCommand::ReportTransfer { leg, status: 200 }).unwrap();
    phone.hears_nothing();
}

#[test]
fn a_transfer_that_waits_when_the_call_ends_is_answered() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    refer(&mut phone, "<sip:carol@127.0.0.1>", "");
    asked(&mut node);
    phone.send("BYE", "");
    let mut statuses =
        [phone.receive(), phone.receive()].map(|it| (it.status(), it.get("CSeq").to_owned()));
    statuses.sort();
    assert_eq!(statuses.map(|(status, _)| status), [200, 481]);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn an_attended_transfer_names_the_other_leg() {
    let mut node = Node::new();
    let mut first = Phone::new(&node);
    let leg = node.talk(&mut first);
    let mut second = Phone::new(&node);
    let other = node.talk(&mut second);
    let (call_id, ours) = (second.call_id.replace('@', "%40"), second.to_tag.clone().unwrap());
    let theirs = second.from_tag.clone();
    for (to_tag, from_tag) in [(&ours, &theirs), (&theirs, &ours)] {
        let replaces = format!("{call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}");
        refer(&mut first, &format!("<sip:room@{}?Replaces={replaces}>", node.address), "");
        let it = asked(&mut node);
        assert_eq!((it.leg, it.replaces), (leg, Some(other)));
        node.command(SipCommand::RefuseTransfer { leg, status: 603 }).unwrap();
        first.expect(603);
    }
    refer(&mut first, "<sip:x@127.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", "");
    let it = asked(&mut node);
    assert_eq!((it.replaces, it.replaces_header.as_str()), (None, "a;to-tag=b;from-tag=c"));
}

/// An INVITE with `Replaces`.
fn replacing(node: &Node, value: &str) -> Phone {
    let mut phone = Phone::new(node);
    phone.extra = format!("Require: replaces\r\nReplaces: {value}\r\n");
    phone.send_invite(SDP);
    phone.extra = String::new();
    phone
}

#[test]
fn an_invite_that_replaces_a_call_says_which() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let named = |phone: &Phone, more: &str| {
        let ours = phone.to_tag.clone().unwrap();
        format!("{};to-tag={ours};from-tag={}{more}", phone.call_id, phone.from_tag)
    };
    let whole = named(&phone, "");
    let mut new = replacing(&node, &whole);
    let call = node.arrived();
    assert_eq!(call.replaces, Some(leg));
    node.command(SipCommand::Answer { leg: call.leg }).unwrap();
    new.expect(200);
    new.ack();

    let ringing = {
        let mut phone = Phone::new(&node);
        phone.send_invite(SDP);
        let leg = node.arrived().leg;
        node.command(SipCommand::Ring { leg }).unwrap();
        phone.expect(180);
        phone
    };
    for (value, status) in [
        (named(&phone, ";early-only"), 486),
        (named(&ringing, ""), 481),
        (whole.replace("to-tag=", "to-tag=x"), 481),
        ("nothing".into(), 400),
        (format!("{whole}\r\nReplaces: {whole}"), 400),
    ] {
        let mut late = replacing(&node, &value);
        late.expect(status);
        late.ack_refusal();
    }
    node.no_call_arrives();

    phone.send("BYE", "");
    phone.expect(200);
    node.ended(leg);
    let mut late = replacing(&node, &whole);
    late.expect(481);
}

#[test]
fn a_call_that_replaces_nothing_says_so() {
    let mut node = Node::new();
    let phone = &mut Phone::new(&node);
    phone.send_invite(SDP);
    let call = node.arrived();
    assert_eq!(call.replaces, None::<LegHandle>);
}
