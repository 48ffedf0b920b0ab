//! Mutated datagrams against a live SIP thread: seeded, bounded, and the stack lives on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sip_support;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip_support::far_end::FarEnd;
use sip_support::mutation::{Random, mutated};
use sip_support::{Message, Node, Phone, SDP, call, config};
use tapeline_core::boundary::command::SipCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::KeyEvents;
use tapeline_core::sdp;

const DATAGRAMS: usize = 30_000;
const DESCRIPTIONS: usize = 200_000;
/// Between two checks that the stack has kept up.
const BATCH: usize = 100;

/// Good messages of every kind, in and out of the live dialog of `phone`.
fn seeds(phone: &Phone, stranger: &Phone) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "REFER"] {
        let body = if matches!(method, "INVITE" | "UPDATE") { SDP } else { "" };
        seeds.push(stranger.text(method, "z9hG4bKfuzz", 1, body));
        if method != "BYE" {
            seeds.push(phone.text(method, "z9hG4bKlive", 1_000_000, body));
        }
    }
    let reply = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n";
    seeds.push(reply.into());
    seeds.into_iter().map(String::into_bytes).collect()
}

#[test]
fn mutated_datagrams_leave_the_stack_alive() {
    let seed = 0x7a9e_11e5_eed5;
    let mut random = Random(seed);
    let mut config = config();
    config.limits.dialogs = 200;
    let mut node = Node::with(config, 300);
    let mut phone = Phone::new(&node);
    let leg = node.talk(&mut phone);
    let stranger = Phone::new(&node);
    let seeds = seeds(&phone, &stranger);
    let begun = Instant::now();

    for number in 0..DATAGRAMS {
        let bytes = mutated(&seeds[random.below(seeds.len())], &seeds, &mut random);
        stranger.send_raw(&bytes);
        if number % BATCH == 0 {
            react(&mut node, &mut random);
            phone.is_answered();
            swallow(&stranger);
        }
        assert!(begun.elapsed() < Duration::from_secs(50), "only {number} of {DATAGRAMS}");
    }

    phone.is_answered();
    assert_eq!(node.count(|c| &c.caught_panics), 0, "seed {seed:#x}");
    assert_eq!(node.count(|c| &c.sip_rebuilds), 0);
    assert!(node.count(|c| &c.sip_received) > DATAGRAMS as u64 * 9 / 10);
    node.command(SipCommand::SetDraining { draining: false }).unwrap();
    // The call may have been ended by a mutant that was a good BYE; if not, it still works.
    node.post(SipCommand::HangUp { leg });
    node.sip.stop();
    assert_eq!(node.count(|c| &c.caught_panics), 0, "seed {seed:#x}");
    assert_eq!(node.slots.in_use(), 0);
}

/// Responses of the mutants' far end to one INVITE before it is dialled again.
const RESPONSES: usize = 60;

#[test]
fn mutated_responses_leave_the_stack_alive() {
    let seed = 0x00d1_a11e_d5ee_d001;
    let mut random = Random(seed);
    let mut config = config();
    config.limits.t1 = Duration::from_millis(20);
    config.limits.dialogs = 200;
    let mut node = Node::with(config, 300);
    let mut probe = Phone::new(&node);
    let begun = Instant::now();

    // Their ports stay taken until nobody repeats anything to them: 64*T1.
    let mut former = VecDeque::new();
    for round in 0..800 {
        former.truncate(400);
        let mut bob = FarEnd::new();
        bob.extra = "Record-Route: <sip:127.0.0.1:9;lr>, <sip:h;lr>\r\nRequire: 100rel\r\n".into();
        let Ok(leg) = node.dial_as(call(&bob.uri())) else { continue };
        let invite = bob.expect("INVITE");
        let seeds: Vec<Vec<u8>> =
            [(100, ""), (180, ""), (183, SDP), (200, SDP), (200, ""), (302, "")]
                .into_iter()
                .chain([(401, ""), (487, ""), (503, "")])
                .map(|(status, body)| bob.response(&invite, status, body).into_bytes())
                .collect();
        // Towards the end of a script the final responses, so that much is tried before them.
        for number in 0..RESPONSES {
            let kinds = if number < RESPONSES / 2 { 3 } else { seeds.len() };
            let chosen = &seeds[random.below(kinds)];
            bob.send_raw(mutated(chosen, &seeds, &mut random));
        }
        if random.below(2) == 0 {
            node.post(SipCommand::HangUp { leg });
        }
        bob.send_raw(&seeds[random.below(seeds.len())]);
        bob.socket.set_nonblocking(true).unwrap();
        while let Some(message) = bob.receive_now() {
            assert!(!message.get("Call-ID").is_empty());
        }
        if round % 10 == 0 {
            probe.is_answered();
            while node.media_now().is_some() {}
        }
        former.push_front(bob);
        assert!(begun.elapsed() < Duration::from_secs(40), "only {round} rounds");
    }

    probe.is_answered();
    node.sip.stop();
    assert_eq!(node.count(|c| &c.caught_panics), 0, "seed {seed:#x}");
    assert_eq!(node.count(|c| &c.sip_rebuilds), 0);
    assert_eq!(node.slots.in_use(), 0);
    assert!(node.count(|c| &c.calls_answered) > 10);
}

/// Does what a control plane might with calls that arrived.
fn react(node: &mut Node, random: &mut Random) {
    while node.media_now().is_some() {}
    let arrived = |event: &Event| match event {
        Event::CallArrived(call) => Some(call.leg),
        _ => None,
    };
    while let Some(leg) = node.event_within(Duration::ZERO, arrived) {
        let command = match random.below(4) {
            0 => SipCommand::Ring { leg },
            1 => SipCommand::HangUp { leg },
            2 => SipCommand::Reject { leg, status: 486, reason: String::new() },
            _ => SipCommand::Answer { leg },
        };
        node.post(command);
    }
}

/// Every reply must be whole.
fn swallow(phone: &Phone) {
    let mut buffer = [0; 65_535];
    phone.socket.set_nonblocking(true).unwrap();
    while let Ok(length) = phone.socket.recv(&mut buffer) {
        if &buffer[..length] != b"\r\n" {
            Message::parse(&buffer[..length]);
        }
    }
    phone.socket.set_nonblocking(false).unwrap();
}

#[test]
fn mutated_descriptions_are_read_or_refused() {
    let mut random = Random(0x5d9);
    let long = SDP.to_owned()
        + "m=video 5000 RTP/AVP 31\r\na=ptime:40\r\na=sendonly\r\nm=audio 1 RTP/AVPF 8 96\r\n\
           c=IN IP6 ::1\r\na=rtpmap:96 telephone-event/8000\r\na=inactive\r\n";
    let wide = SDP.replace("0 8 101", "111 9 97 98 0 13 110 101")
        + "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;maxplaybackrate=16000;stereo=1;\
           sprop-maxcapturerate=8000\r\na=rtpmap:97 L16/16000\r\na=rtpmap:98 L16/48000/1\r\n\
           a=rtpmap:9 G722/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
           a=maxptime:60\r\na=ptime:30\r\n";
    let keyed = SDP.replace("RTP/AVP", "RTP/SAVP")
        + "a=rtcp-mux\r\na=rtcp:6007 IN IP4 127.0.0.1\r\n\
           a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^20\r\n\
           a=crypto:2 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw== WSH=64\r\n";
    let seeds = [SDP, &long, &wide, &keyed].map(|text| text.as_bytes().to_vec());
    let linear = sdp::Preference::new(&["L16".into(), "opus".into()], Rate::Full).unwrap();
    let codecs = [sdp::Preference::default(), linear];
    let (mut read, mut agreed_on) = (0, 0);
    for number in 0..DESCRIPTIONS {
        let bytes = mutated(&seeds[number % seeds.len()], &seeds, &mut random);
        let Ok(mut remote) = sdp::parse(&bytes) else { continue };
        read += 1;
        let terms = [sdp::Terms::Plain, sdp::Terms::Either, sdp::Terms::Protected];
        sdp::settle_offer(&mut remote, terms[random.below(3)], None);
        let preference = &codecs[random.below(2)];
        let agreed = sdp::agree(&remote, preference, number % 3 == 0, None);
        let mut local = sdp::LocalDescription::new([127, 0, 0, 1].into(), 2, random.next());
        let answer = local.answer(&remote, agreed.as_ref());
        assert_eq!(answer.matches("\r\nm=").count(), remote.streams.len(), "{answer}");
        let again = sdp::parse(answer.as_bytes());
        assert!(again.is_ok(), "{again:?}: {answer:?}");
        if let Some(agreed) = agreed {
            agreed_on += 1;
            let agreement = agreed.agreement;
            assert!((10..=60).contains(&agreement.packet_ms), "{answer}");
            let offer = local.offer(preference, Some(&agreement));
            let kept = sdp::agree(&sdp::parse(offer.as_bytes()).unwrap(), preference, false, None);
            let kept = kept.unwrap().agreement;
            let events = (kept.telephone_event, agreement.telephone_event);
            assert_eq!(kept.payload_type, agreement.payload_type, "{offer}");
            // Those of 8 kHz beside Opus give way to better ones.
            let is_second_best = |it: KeyEvents| it.clock_hz != agreement.codec.clock_hz();
            assert!(events.1.is_none_or(is_second_best) || events.0 == events.1, "{offer}");
        }
    }
    assert!(agreed_on > DESCRIPTIONS / 20, "only {agreed_on} were agreed on");
    assert!(read > DESCRIPTIONS / 10, "only {read} were readable");
}
