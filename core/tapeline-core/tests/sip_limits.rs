//! Who is turned away, and what bounds hold, against a live SIP thread.

mod sip_support;

use std::time::{Duration, Instant};

use sip_support::{Node, Phone, SDP, config, networks};
use tapeline_core::boundary::command::{Access, SipCommand};
use tapeline_core::boundary::event::EndedBy;
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::ports::PortPool;

#[test]
fn a_stranger_gets_403_once_and_costs_nothing() {
    let mut config = config();
    config.access.networks = networks(&["10.0.0.0/8"]);
    let access = Access { networks: networks(&["127.0.0.1"]), ..config.access.clone() };
    let mut node = Node::with(config, 10);
    let mut phone = Phone::new(&node);

    let invite = phone.send_invite(SDP);
    let refused = phone.expect(403);
    assert!(refused.get("To").contains(";tag="));
    assert!(phone.receive_within(Duration::from_millis(700)).is_none(), "403 was repeated");
    phone.send_raw(&invite);
    assert_eq!(phone.expect(403).get("To"), refused.get("To"));
    for method in ["OPTIONS", "BYE", "REGISTER", "NONSENSE"] {
        phone.send(method, "");
    }
    phone.send_raw("\r\n\r\n");
    phone.hears_nothing();
    node.no_call_arrives();
    assert_eq!(node.count(|c| &c.sip_refused_source), 6);

    node.command(SipCommand::SetAccess { access }).unwrap();
    phone.send("OPTIONS", "");
    phone.expect(200);
}

#[test]
fn a_call_goes_on_when_its_network_is_shut_out() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let access = Access { networks: vec![], ..config().access };
    node.command(SipCommand::SetAccess { access }).unwrap();

    let mut another = Phone::new(&node);
    another.call_id = phone.call_id.clone();
    another.send_invite(SDP);
    another.expect(403);
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn a_source_beyond_its_rate_is_not_answered_but_its_call_is() {
    let mut config = config();
    config.access.rate_exempt = vec![];
    config.access.rate_per_source = 5;
    let mut node = Node::with(config, 10);
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let mut flood = Phone::new(&node);

    for _ in 0..40 {
        flood.send("OPTIONS", "");
    }
    let answers = std::iter::from_fn(|| flood.receive_within(Duration::from_millis(200))).count();

    assert!((1..=8).contains(&answers), "{answers} answers");
    assert!(node.count(|c| &c.sip_rate_limited) >= 30);
    phone.send("INFO", "");
    phone.expect(200);
    phone.send("BYE", "");
    phone.expect(200);
    assert_eq!(node.ended(leg), (EndedBy::RemoteBye, 200));
}

#[test]
fn answered_calls_without_ack_are_bounded_before_and_after_arrival() {
    let mut config = config();
    config.access.max_unacknowledged = 1;
    let mut node = Node::with(config, 10);
    let mut first = Phone::new(&node);
    let mut second = Phone::new(&node);
    first.send_invite(SDP);
    let first_leg = node.arrived().leg;
    second.send_invite(SDP);
    let second_leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg: first_leg }).unwrap();
    first.expect(200);

    // One that arrived already cannot be answered; one that comes now does not arrive (D6).
    assert!(node.command(SipCommand::Answer { leg: second_leg }).is_err());
    second.expect(503);
    second.ack_refusal();
    assert_eq!(node.ended(second_leg), (EndedBy::Command, 503));
    let mut third = Phone::new(&node);
    third.send_invite(SDP);
    assert_eq!(third.expect(503).get("Retry-After"), "5");
    node.no_call_arrives();

    first.ack();
    first.is_answered();
    let mut fourth = Phone::new(&node);
    node.media();
    node.talk(&mut fourth);
}

#[test]
fn no_slot_no_room_and_draining_give_503() {
    let mut config = config();
    config.limits.dialogs = 2;
    let mut node = Node::with(config, 1);
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let mut slotless = Phone::new(&node);
    slotless.send_invite(SDP);
    slotless.expect(503);
    slotless.ack_refusal();

    node.command(SipCommand::SetDraining { draining: true }).unwrap();
    let mut late = Phone::new(&node);
    late.send_invite(SDP);
    late.expect(503);
    late.send("OPTIONS", "");
    late.expect(503);
    phone.send("BYE", "");
    phone.expect(200);
    node.ended(leg);
    node.slots_become(0);

    node.command(SipCommand::SetDraining { draining: false }).unwrap();
    assert!(matches!(node.media(), MediaCommand::RemoveLeg { .. }));
    node.talk(&mut Phone::new(&node));
    node.no_call_arrives();
}

#[test]
fn a_call_nobody_answers_ends_with_480() {
    let mut config = config();
    config.limits.ring_max = Duration::from_millis(200);
    let mut node = Node::with(config, 10);
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    phone.expect(480);
    phone.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::Unanswered, 480));
    node.slots_become(0);
}

#[test]
fn a_call_that_is_never_acknowledged_is_hung_up() {
    let mut config = config();
    config.limits.t1 = Duration::from_millis(10);
    let mut node = Node::with(config, 4);
    let mut phone = Phone::new(&node);
    phone.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    for _ in 0..3 {
        phone.expect(200);
    }

    assert_eq!(node.ended(leg), (EndedBy::NoAck, 408));
    let bye = std::iter::repeat_with(|| phone.receive()).find(|m| m.start.starts_with("BYE "));
    phone.ok(&bye.unwrap());
    node.slots_become(0);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
}

#[test]
fn used_up_rtp_ports_refuse_the_call_and_say_so() {
    let mut config = config();
    config.ports = PortPool::new("127.0.0.1".parse().unwrap(), 41_500..=41_501).unwrap();
    let mut node = Node::with(config, 10);
    let mut first = Phone::new(&node);
    first.send_invite(SDP);
    let leg = node.arrived().leg;
    node.command(SipCommand::Answer { leg }).unwrap();
    first.expect(200);
    first.ack();
    let MediaCommand::AddLeg(_open) = node.media() else { panic!() };

    let mut second = Phone::new(&node);
    second.send_invite(SDP);
    let leg = node.arrived().leg;
    let refused = node.command(SipCommand::Answer { leg }).unwrap_err();
    assert!(refused.contains("no free RTP port pair in 41500-41501"), "{refused}");
    second.expect(503);
    second.ack_refusal();
    assert_eq!(node.ended(leg), (EndedBy::Command, 503));
}

#[test]
fn a_stop_ends_every_call_within_its_time() {
    let mut node = Node::new();
    let mut talking = Phone::new(&node);
    let mut ringing = Phone::new(&node);
    let talking_leg = node.talk(&mut talking);
    ringing.send_invite(SDP);
    let ringing_leg = node.arrived().leg;

    let sip = node.sip.clone();
    let begun = Instant::now();
    let stopper = std::thread::spawn(move || sip.stop());
    let bye = talking.receive();
    assert!(bye.start.starts_with("BYE "), "{bye:?}");
    talking.ok(&bye);
    ringing.expect(503);

    assert!(stopper.join().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(node.ended(talking_leg), (EndedBy::Command, 200));
    assert_eq!(node.ended(ringing_leg), (EndedBy::Command, 503));
    node.slots_become(0);
    assert!(node.sip.send(1, SipCommand::SetDraining { draining: true }).is_err());
    assert!(node.sip.stop(), "a second stop returns at once");
}

#[test]
fn commands_for_legs_that_are_not_there_fail() {
    let mut node = Node::new();
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    for command in [SipCommand::Answer { leg }, SipCommand::Ring { leg }] {
        assert_eq!(node.command(command), Err("the leg is confirmed".into()));
    }
    let stale = tapeline_core::boundary::handle::LegHandle::from_u64(leg.to_u64() + (1 << 32));
    assert_eq!(node.command(SipCommand::HangUp { leg: stale }), Err("no such leg".into()));
}

#[test]
fn a_stun_keep_alive_is_told_where_it_came_from() {
    let node = Node::new();
    let phone = Phone::new(&node);
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([9; 12]);
    phone.send_raw(&request);
    let mut buffer = [0; 100];
    phone.socket.set_read_timeout(Some(sip_support::PATIENCE)).unwrap();
    let length = phone.socket.recv(&mut buffer).unwrap();
    assert_eq!((length, &buffer[..2]), (32, &[1, 1][..]));
    let port = u16::from_be_bytes([buffer[26], buffer[27]]) ^ 0x2112;
    assert_eq!(port, phone.me.port());
}
