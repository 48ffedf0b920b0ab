//! Mutated streams against a live SIP thread: seeded, bounded, and nothing of them is left.
//! `TAPELINE_SOAK=1` (`make soak`) makes it six thousand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::time::Duration;

use sip_support::mutation::{Random, mutated};
use sip_support::pipe::{Caller, Heard};
use sip_support::{Node, Phone, SDP, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::boundary::transport::Transport;

const ALL: [Transport; 4] = [Transport::Tcp, Transport::Ws, Transport::Tls, Transport::Wss];

/// A call, its end, and what may be said beside it.
fn seeds(phone: &Phone) -> Vec<Vec<u8>> {
    let mut seeds: Vec<String> = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"]
        .iter()
        .map(|method| {
            let body = if matches!(*method, "INVITE" | "UPDATE") { SDP } else { "" };
            phone.text(method, "z9hG4bKstream", 1, body)
        })
        .collect();
    seeds.push("\r\n\r\n".into());
    seeds.push("SIP/2.0 200 OK\r\nContent-Length: 18446744073709551610\r\n\r\n".into());
    seeds.into_iter().map(String::into_bytes).collect()
}

/// Answers, rejects or ignores what arrives.
fn react(node: &mut Node, random: &mut Random) {
    while let Some(leg) = node.event_now(|event| match event {
        Event::CallArrived(call) => Some(call.leg),
        _ => None,
    }) {
        match random.below(3) {
            0 => drop(node.post(SipCommand::Answer { leg })),
            1 => drop(node.post(SipCommand::Reject { leg, status: 486, reason: String::new() })),
            _ => {}
        }
    }
}

#[test]
fn mutated_streams_leave_the_stack_alive_and_nothing_behind() {
    let is_soak = std::env::var_os("TAPELINE_SOAK").is_some();
    let streams = if is_soak { 6_000 } else { 600 };
    let mut random = Random(0x7a9e_57e4_a5ed);
    let mut config = config();
    config.limits.streams.grace = Duration::from_millis(200);
    config.limits.ring_max = Duration::from_secs(2);
    config.limits.t1 = Duration::from_millis(10);
    let mut node = Node::with(config, 1_000);

    for number in 0..streams {
        // TLS is slow to begin with, in an unoptimised test above all.
        let transport = ALL[if number % 10 == 0 { 2 + random.below(2) } else { random.below(2) }];
        let mut caller = Caller::new(&node, transport);
        let seeds = seeds(&caller.phone);
        if random.below(4) == 0 {
            // A live call, so that some of what follows concerns one.
            caller.pipe.write(&seeds[0]).unwrap();
        }
        for _ in 0..=random.below(6) {
            let bytes = mutated(&seeds[random.below(seeds.len())], &seeds, &mut random);
            let cut = random.below(bytes.len() + 1);
            let pieces = if random.below(2) == 0 {
                vec![&bytes[..]]
            } else {
                vec![&bytes[..cut], &bytes[cut..]]
            };
            if pieces.iter().any(|piece| caller.pipe.write(piece).is_err()) {
                break;
            }
        }
        if random.below(4) == 0 {
            while matches!(caller.pipe.read(Duration::from_millis(2)), Heard::Bytes(_)) {}
        }
        if random.below(3) == 0 {
            caller.vanish();
        }
        if number % 20 == 0 {
            react(&mut node, &mut random);
            while node.media_now().is_some() {}
            Phone::new(&node).is_answered();
        }
    }

    node.streams_become(0);
    while node.media_now().is_some() {}
    node.slots_become(0);
    assert_eq!(node.count(|c| &c.caught_panics), 0);
    assert_eq!(node.count(|c| &c.sip_rebuilds), 0);
    assert!(node.count(|c| &c.calls_arrived) > streams / 10);
    Caller::new(&node, Transport::Tcp).is_answered();
}
