//! Whom a leg hears, to whom it talks, and what protects both: strangers, moves, SRTP, keys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use media_support::{
    FRAME, Stage, TICK_NS, address, agreement, agreement_on, leg, level_of, loss_report, rtcp, rtp,
    speech, tone,
};
use rtp_types::RtpPacket;
use tapeline_core::boundary::counters::LegStats;
use tapeline_core::boundary::digits::DigitString;
use tapeline_core::boundary::event::Event;
use tapeline_core::media::codec::{Decoder, Rate};
use tapeline_core::media::command::{Agreement, Codec, KeyEvents, MediaCommand};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::media::leg::link::{Link, MemoryLink, MemoryPacket, MemoryPeer};
use tapeline_core::media::srtp::{GROWTH, MasterKey, Opened, Srtp, SrtpKeys, Suite};
use tapeline_core::record::spec::{ChannelLayout, Target};

const SECOND: usize = 50;

fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], port))
}

/// One leg and all that is sent to it and by it.
struct Line {
    stage: Stage,
    peer: MemoryPeer,
    stats: Arc<LegStats>,
}

/// A source of packets.
struct Voice {
    from: SocketAddr,
    hz: f64,
    ssrc_of: u32,
    sequence: u16,
    spoken: usize,
    srtp: Option<Srtp>,
}

impl Voice {
    fn new(from: SocketAddr, hz: f64, ssrc_of: u32, sequence: u16) -> Self {
        Self { from, hz, ssrc_of, sequence, spoken: 0, srtp: None }
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut payload = [0; FRAME];
        Codec::Pcmu.encode(&tone(self.hz, 6_000.0, self.spoken, FRAME), &mut payload);
        let mut packet = rtp(self.ssrc_of, 0, self.sequence, self.spoken as u32, &payload);
        self.spoken += FRAME;
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(srtp) = &mut self.srtp {
            let length = packet.len();
            packet.resize(length + GROWTH, 0);
            let length = srtp.protect_rtp(&mut packet, length).unwrap();
            packet.truncate(length);
        }
        packet
    }
}

impl Line {
    fn new(agreement: Agreement) -> Self {
        let mut stage = Stage::new();
        let (link, peer) = MemoryLink::pair();
        let stats = Arc::new(LegStats::default());
        let srtp = agreement.srtp.clone().map(|keys| Box::new(Srtp::new(keys)));
        let agreed = (agreement.clone(), LegCodec::new(agreement.codec).unwrap());
        stage.tick.place_leg(leg(0), Link::memory(link, srtp), agreed, stats.clone(), stage.now);
        Self { stage, peer, stats }
    }

    fn put(&mut self, from: SocketAddr, bytes: &[u8]) {
        let arrival_ns = self.stage.now.monotonic_ns - TICK_NS / 2;
        let packet = MemoryPacket::new(from, arrival_ns, bytes);
        assert!(self.peer.to_leg.push(packet).is_ok());
    }

    /// Every voice says a packet a tick; what the leg sent, and where to.
    fn run(&mut self, ticks: usize, voices: &mut [&mut Voice]) -> Vec<MemoryPacket> {
        let mut sent = Vec::new();
        for _ in 0..ticks {
            for voice in voices.iter_mut() {
                let packet = voice.packet();
                self.put(voice.from, &packet);
            }
            self.stage.tick();
            sent.extend(std::iter::from_fn(|| self.peer.from_leg.pop().ok()));
        }
        sent
    }

    fn change(&mut self, agreement: Agreement) {
        let srtp = agreement.srtp.clone().map(|keys| Box::new(Srtp::new(keys)));
        let change = MediaCommand::ChangeLeg {
            leg: leg(0),
            agreement: Box::new(agreement),
            codec: None,
            srtp,
        };
        assert!(self.stage.media.send(change).is_ok());
    }

    fn press(&mut self, command: u64, digits: &str) {
        let digits = DigitString::parse(digits).unwrap();
        let (tone_ms, gap_ms) = (100, 60);
        let keys = MediaCommand::SendDigits { command, leg: leg(0), digits, tone_ms, gap_ms };
        assert!(self.stage.media.send(keys).is_ok());
    }
}

fn targets(sent: &[MemoryPacket]) -> Vec<SocketAddr> {
    let mut targets: Vec<_> = sent.iter().filter(|p| !p.is_rtcp).map(|p| p.peer).collect();
    targets.dedup();
    targets
}

#[test]
fn stranger_cannot_steal() {
    // The stranger uses an SSRC of its own, then the caller's, and numbers ahead of the caller's.
    for stranger_ssrc in [9, 0] {
        let mut line = Line::new(agreement(0));
        let mut caller = Voice::new(address(0), 400.0, 0, 100);
        let mut stranger = Voice::new(elsewhere(7), 1_000.0, stranger_ssrc, 130);
        line.run(5, &mut [&mut caller]);
        let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);

        let mut sent = line.run(5 * SECOND, &mut [&mut stranger, &mut caller]);
        tape.wind();
        sent.extend(line.run(5 * SECOND, &mut [&mut stranger, &mut caller]));
        tape.wind();
        let reports = vec![0x80, 203, 0, 1, 0x50, 0, 0, 0];
        line.put(elsewhere(8), &reports);
        // Two seconds of silence are a pause, and the stranger talks into it.
        line.run(2 * SECOND, &mut [&mut stranger]);
        let after = line.run(2 * SECOND, &mut [&mut stranger, &mut caller]);

        assert_eq!(targets(&sent), [address(0)]);
        assert_eq!(targets(&after), [address(0)]);
        tape.wind();
        assert!(level_of(400.0, &tape.samples[..10 * SECOND * FRAME]) > 0.1);
        assert!(level_of(1_000.0, &tape.samples) < 0.001);
        assert!(level_of(400.0, &tape.samples[tape.samples.len() - 8_000..]) > 0.1);
        assert!(line.stats.packets_lost.load(Ordering::Relaxed) <= 1);
    }
}

#[test]
fn stranger_cannot_steal_from_a_caller_behind_a_nat() {
    let mut line = Line::new(agreement(0));
    let mut caller = Voice::new(elsewhere(5), 400.0, 0, 100);
    let mut stranger = Voice::new(elsewhere(7), 1_000.0, 9, 130);
    line.run(3, &mut [&mut caller]);
    let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
    let sent = line.run(10 * SECOND, &mut [&mut stranger, &mut caller]);

    assert_eq!(targets(&sent), [elsewhere(5)]);
    tape.wind();
    assert!(level_of(400.0, &tape.samples) > 0.1);
    assert!(level_of(1_000.0, &tape.samples) < 0.001);
}

#[test]
fn moved_source_is_heard_within_3_s() {
    let mut line = Line::new(agreement(0));
    let mut before = Voice::new(address(0), 400.0, 0, 100);
    let mut after = Voice::new(elsewhere(5), 1_000.0, 3, 60_000);
    line.run(2 * SECOND, &mut [&mut before]);
    let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
    let sent = line.run(5 * SECOND, &mut [&mut after]);

    tape.wind();
    let heard = tape.samples.chunks(FRAME).position(|frame| level_of(1_000.0, frame) > 0.05);
    let heard = heard.unwrap();
    assert!((2 * SECOND..3 * SECOND + 5).contains(&heard), "after {heard} ticks");
    assert_eq!(targets(&sent), [address(0), elsewhere(5)]);
}

#[test]
fn r19_a_new_port_or_ssrc_by_reinvite_loses_at_most_100_ms() {
    // From where, SSRC and first sequence number of what comes after the re-INVITE.
    for (from, ssrc, sequence) in [
        (elsewhere(6_000), 0, 100 + 2 * SECOND as u16), // a new address, the stream goes on
        (address(0), 7, 40_000),                        // a new stream at the same address
        (elsewhere(6_000), 7, 40_000),
    ] {
        let mut line = Line::new(agreement(0));
        let mut before = Voice::new(address(0), 400.0, 0, 100);
        let mut after = Voice::new(from, 1_000.0, ssrc, sequence);
        after.spoken = if ssrc == 0 { 2 * SECOND * FRAME } else { 1 << 20 };
        let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
        line.run(2 * SECOND, &mut [&mut before]);
        line.change(Agreement { remote: from, ..agreement(0) });
        let sent = line.run(2 * SECOND, &mut [&mut after]);

        tape.wind();
        let end = 2 * SECOND;
        let silent = tape.samples.chunks(FRAME).enumerate().skip(5).filter(|(tick, frame)| {
            let hz = if *tick < end { 400.0 } else { 1_000.0 };
            level_of(hz, frame) < 0.05
        });
        let lost: Vec<_> = silent.map(|(tick, _)| tick).collect();
        assert!(lost.len() <= 5, "{from} {ssrc}: {lost:?}");
        assert_eq!(targets(&sent), [from]);
    }
}

fn keys(suite: Suite, seed: u8) -> (SrtpKeys, Srtp) {
    let key =
        |seed: u8| MasterKey::from_bytes(suite, &vec![seed; 16 + suite.salt_bytes()]).unwrap();
    let ours = SrtpKeys { tag: 1, ours: key(seed), theirs: key(seed + 1) };
    let phone = SrtpKeys { tag: 1, ours: key(seed + 1), theirs: key(seed) };
    (ours, Srtp::new(phone))
}

#[test]
fn srtp_is_heard_and_spoken_and_only_with_its_keys() {
    for suite in Suite::ALL {
        let (ours, phone) = keys(suite, 10);
        let mut line = Line::new(Agreement { srtp: Some(ours), ..agreement(0) });
        // A plain packet and one of another key from the right place, an eavesdropper's copies.
        let mut plain = Voice::new(address(0), 1_000.0, 0, 1);
        let mut wrong = Voice::new(address(0), 1_700.0, 0, 1);
        wrong.srtp = Some(keys(suite, 50).1);
        line.run(20, &mut [&mut plain, &mut wrong]);
        assert_eq!(line.stage.count("srtp_forged"), 40);
        assert_eq!(line.stats.packets_received.load(Ordering::Relaxed), 0);
        assert!(line.run(1, &mut []).iter().all(|packet| packet.peer == address(0)));

        let mut caller = Voice::new(elsewhere(5), 400.0, 0, 65_500);
        caller.srtp = Some(phone);
        let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
        let mut sent = Vec::new();
        for _ in 0..2 * SECOND {
            let packet = caller.packet();
            line.put(caller.from, &packet);
            line.put(elsewhere(66), &packet);
            sent.extend(line.run(1, &mut [&mut plain, &mut wrong]));
        }

        assert_eq!(line.stage.count("srtp_replayed"), 2 * SECOND as u64);
        tape.wind();
        assert!(level_of(400.0, &tape.samples[FRAME * 10..]) > 0.15, "{suite:?}");
        for hz in [1_000.0, 1_700.0] {
            assert!(level_of(hz, &tape.samples) < 0.001, "{suite:?}");
        }
        let opened = sent.iter().filter(|packet| !packet.is_rtcp).map(|packet| {
            let mut bytes = packet.bytes().to_vec();
            caller.srtp.as_mut().unwrap().open_rtp(&mut bytes)
        });
        assert!(opened.into_iter().all(|opened| opened == Opened::Plain(12 + FRAME)));
        assert_eq!(targets(&sent).last(), Some(&elsewhere(5)));
        assert!(sent.iter().all(|packet| packet.peer.port() != 66));
    }
}

#[test]
fn new_srtp_keys_by_reinvite_lose_nothing() {
    for suite in Suite::ALL {
        let (ours, phone) = keys(suite, 10);
        let mut line = Line::new(Agreement { srtp: Some(ours), ..agreement(0) });
        let mut caller = Voice::new(address(0), 400.0, 0, 100);
        caller.srtp = Some(phone);
        let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
        line.run(SECOND, &mut [&mut caller]);
        let (next, phone) = keys(suite, 90);
        line.change(Agreement { srtp: Some(next), ..agreement(0) });
        // Packets of the old key that were on their way when the answer came.
        line.run(5, &mut [&mut caller]);
        caller.srtp = Some(phone);
        let sent = line.run(SECOND, &mut [&mut caller]);

        tape.wind();
        let silent = tape.samples.chunks(FRAME).skip(5).filter(|f| level_of(400.0, f) < 0.05);
        assert_eq!(silent.count(), 0);
        assert_eq!(line.stage.count("srtp_forged"), 0);
        let last = sent.iter().rfind(|packet| !packet.is_rtcp).unwrap();
        let opened = caller.srtp.as_mut().unwrap().open_rtp(&mut last.bytes().to_vec());
        assert_eq!(opened, Opened::Plain(12 + FRAME));
    }
}

#[test]
fn digits_are_sent_in_the_leg_s_own_stream() {
    let mut line = Line::new(agreement(0));
    let mut caller = Voice::new(address(0), 400.0, 0, 100);
    line.run(10, &mut [&mut caller]);
    line.press(77, "1#");
    let sent = line.run(30, &mut [&mut caller]);
    assert_eq!(line.stage.answer(77), Some(Ok(())));

    let packets: Vec<_> = sent.iter().filter(|packet| !packet.is_rtcp).collect();
    let parsed: Vec<_> = packets.iter().map(|p| RtpPacket::parse(p.bytes()).unwrap()).collect();
    let numbers = parsed
        .windows(2)
        .map(|two| two[1].sequence_number().wrapping_sub(two[0].sequence_number()));
    assert!(numbers.into_iter().all(|step| step == 1));
    let events: Vec<_> = parsed.iter().filter(|packet| packet.payload_type() == 101).collect();
    // Five ticks pressed, the end three times; twice.
    assert_eq!(events.len(), 14);
    assert_eq!(parsed.len(), 30 - 2 * 8 + 14);
    for (key, events) in [1, 11].into_iter().zip(events.chunks(7)) {
        let start = events[0].timestamp();
        for (n, event) in events.iter().enumerate() {
            let duration = (160 * (n + 1)).min(800) as u16;
            let [high, low] = duration.to_be_bytes();
            let end = if n >= 4 { 0x80 } else { 0 };
            assert_eq!(event.payload(), [key, end | 10, high, low]);
            assert_eq!((event.timestamp(), event.marker_bit()), (start, n == 0));
        }
    }
    let apart = events[7].timestamp().wrapping_sub(events[0].timestamp());
    assert_eq!(apart, 8 * 160, "100 ms of key and 60 of gap");
    let audio: Vec<_> = parsed.iter().filter(|packet| packet.payload_type() == 0).collect();
    assert!(audio[0].marker_bit(), "the first after the keys");
    let since = audio[0].timestamp().wrapping_sub(events[0].timestamp());
    assert_eq!(since, 16 * 160);
}

/// Some peers know no events on the clock of Opus: theirs have durations of 8 kHz, both ways.
#[test]
fn digits_beside_opus_are_on_the_clock_that_was_agreed_on() {
    let events = Some(KeyEvents { payload_type: 101, clock_hz: 8_000 });
    let opus = agreement_on(0, Codec::Opus(Rate::Wide));
    let mut line = Line::new(Agreement { telephone_event: events, ..opus });
    line.run(10, &mut []);
    line.put(address(0), &rtp(0, 101, 7, 48_000, &[5, 0x8a, 3, 0x20]));
    line.press(77, "1");
    let sent = line.run(12, &mut []);
    assert_eq!(line.stage.answer(77), Some(Ok(())));

    let told = line.stage.events().into_iter().find_map(|event| match event {
        Event::Digit { digit, duration_ms, .. } => Some((digit, duration_ms)),
        _ => None,
    });
    assert_eq!(told, Some((b'5', 100)));
    let packets = sent.iter().filter(|packet| !packet.is_rtcp);
    let parsed: Vec<_> = packets.map(|it| RtpPacket::parse(it.bytes()).unwrap()).collect();
    let keys: Vec<_> = parsed.iter().filter(|packet| packet.payload_type() == 101).collect();
    let durations: Vec<u16> =
        keys.iter().map(|it| u16::from_be_bytes([it.payload()[2], it.payload()[3]])).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    assert!(keys.iter().all(|key| key.timestamp() == keys[0].timestamp()));
    let after = parsed.iter().find(|it| it.payload_type() == 111).unwrap();
    let since = after.timestamp().wrapping_sub(keys[0].timestamp());
    assert_eq!(since, 8 * 960, "the stream's own clock went on");
}

/// Opus sends so much twice as its peer loses: nothing on a clean path.
#[test]
fn redundancy_follows_what_the_peer_reports() {
    let mut line = Line::new(agreement_on(0, Codec::Opus(Rate::Wide)));
    let mut plays = 0;
    let mut redundant = |line: &mut Line, fraction: Option<u8>| {
        let mut sent = line.run(1, &mut []);
        let ours = sent[0].bytes()[8..12].to_vec();
        for _ in 0..if fraction.is_some() { 20 } else { 0 } {
            let report = loss_report(&ours, fraction.unwrap());
            let arrival_ns = line.stage.now.monotonic_ns;
            assert!(line.peer.to_leg.push(rtcp(address(0), arrival_ns, &report)).is_ok());
        }
        // Reports are looked at every five seconds.
        line.run(260, &mut []);
        line.stage.play(plays, Target::Leg(leg(0)), &speech());
        plays += 1;
        sent = line.run(110, &mut []);
        let mut decoder = Decoder::new(Codec::Opus(Rate::Wide)).unwrap();
        let packets = sent.iter().filter(|packet| !packet.is_rtcp);
        packets
            .filter(|packet| {
                let parsed = RtpPacket::parse(packet.bytes()).unwrap();
                decoder.recover(parsed.payload(), &mut [0; 320])
            })
            .count()
    };

    let presumed = redundant(&mut line, None);
    let clean = redundant(&mut line, Some(0));
    let lossy = redundant(&mut line, Some(51));
    assert!(presumed > 20 && lossy > 20, "{presumed} and {lossy} of 110 packets");
    assert_eq!(clean, 0);
}

#[test]
fn digits_without_telephone_event_are_sounds() {
    let mut line = Line::new(Agreement { telephone_event: None, ..agreement(0) });
    let mut caller = Voice::new(address(0), 400.0, 0, 100);
    line.run(10, &mut [&mut caller]);
    line.press(77, "D");
    let sent = line.run(8, &mut [&mut caller]);
    assert_eq!(line.stage.answer(77), Some(Ok(())));

    let mut heard = vec![0; 8 * FRAME];
    let packets = sent.iter().filter(|packet| !packet.is_rtcp);
    for (packet, place) in packets.zip(heard.chunks_mut(FRAME)) {
        Codec::Pcmu.decode(RtpPacket::parse(packet.bytes()).unwrap().payload(), place);
    }
    for hz in [941.0, 1_633.0] {
        assert!(level_of(hz, &heard[..5 * FRAME]) > 0.15);
    }
    assert!(heard[5 * FRAME..].iter().all(|sample| sample.abs() < 50));
}

#[test]
fn digits_that_cannot_be_sent_are_refused() {
    let mut line = Line::new(agreement(0));
    line.run(1, &mut []);
    (1..=5).for_each(|command| line.press(command, "123"));
    line.run(1, &mut []);
    assert!(line.stage.answer(5).unwrap().unwrap_err().contains("wait already"));
    assert!(line.stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    line.press(6, "1");
    line.run(1, &mut []);
    for command in [1, 2, 3, 4, 6] {
        assert!(line.stage.answer(command).unwrap().is_err(), "{command}");
    }
}

#[test]
fn a_key_told_in_rtp_and_by_info_is_one_digit() {
    let mut line = Line::new(agreement(0));
    let mut caller = Voice::new(address(0), 400.0, 0, 100);
    line.run(10, &mut [&mut caller]);
    line.stage.events();
    for (n, key) in [5_u8, 5, 7].into_iter().enumerate() {
        let event = rtp(0, 101, caller.sequence, 90_000 + 1_600 * n as u32, &[key, 0x8a, 3, 32]);
        line.put(caller.from, &event);
        caller.sequence += 1;
        if key == 5 {
            let told = MediaCommand::Key { leg: leg(0), digit: b'5', duration_ms: 90 };
            assert!(line.stage.media.send(told).is_ok());
        }
        line.run(3, &mut [&mut caller]);
    }
    let told = MediaCommand::Key { leg: leg(0), digit: b'9', duration_ms: 90 };
    assert!(line.stage.media.send(told).is_ok());
    line.run(1, &mut [&mut caller]);

    let heard: Vec<u8> = line.stage.events().iter().filter_map(digit).collect();
    assert_eq!(heard, *b"5579");
}

fn digit(event: &Event) -> Option<u8> {
    match event {
        Event::Digit { digit, .. } => Some(*digit),
        _ => None,
    }
}

#[test]
fn reports_tell_how_the_call_is() {
    let mut line = Line::new(agreement(0));
    let mut caller = Voice::new(address(0), 400.0, 0, 100);
    let mut sent = line.run(12 * SECOND, &mut [&mut caller]);
    let stats = line.stats.clone();
    let mos = stats.mos_x100.load(Ordering::Relaxed);
    assert!((430..=441).contains(&mos), "{mos}");
    assert_eq!(stats.round_trip_us.load(Ordering::Relaxed), 0);

    // The peer answers our last report: 300 ms after it left, 200 of them its own rest.
    let report = sent.iter().rfind(|packet| packet.is_rtcp).unwrap();
    assert_eq!(report.peer, SocketAddr::new(address(0).ip(), address(0).port() + 1));
    let bytes = report.bytes().to_vec();
    let ntp_middle = &bytes[10..14];
    let mut answer = vec![0x81, 201, 0, 7, 0x50, 0, 0, 0];
    answer.extend(&bytes[4..8]);
    answer.extend([25, 0, 0, 42, 0, 0, 0, 1, 0, 0, 0, 80]);
    answer.extend(ntp_middle);
    answer.extend((65_536_u32 / 5).to_be_bytes());
    let due = sent.iter().filter(|packet| packet.is_rtcp).count();
    while sent.iter().filter(|packet| packet.is_rtcp).count() == due {
        sent.extend(line.run(1, &mut [&mut caller]));
    }
    let report = sent.iter().rfind(|packet| packet.is_rtcp).unwrap().bytes().to_vec();
    answer[24..28].copy_from_slice(&report[10..14]);
    line.run(14, &mut [&mut caller]);
    let arrival_ns = line.stage.now.monotonic_ns;
    let mut packet = MemoryPacket::new(elsewhere(1), arrival_ns, &answer);
    packet.is_rtcp = true;
    assert!(line.peer.to_leg.push(packet.clone()).is_ok());
    line.run(10, &mut [&mut caller]);
    assert_eq!(stats.remote_lost.load(Ordering::Relaxed), 0, "a stranger's report");
    packet.peer = address(0);
    assert!(line.peer.to_leg.push(packet).is_ok());
    line.run(10, &mut [&mut caller]);
    assert_eq!(stats.remote_lost.load(Ordering::Relaxed), 42);
    let round_trip_ms = stats.round_trip_us.load(Ordering::Relaxed) / 1_000;
    assert!((90..=130).contains(&round_trip_ms), "{round_trip_ms}");

    // Every fifth packet is lost.
    for _ in 0..12 * 10 {
        line.run(4, &mut [&mut caller]);
        caller.packet();
        line.run(1, &mut []);
    }
    let mos = stats.mos_x100.load(Ordering::Relaxed);
    assert!((200..300).contains(&mos), "{mos}");
    // A fifth of the second half.
    let quality = stats.quality();
    assert!((290..380).contains(&quality.mos_x100.unwrap()), "{quality:?}");
    assert!((110..=121).contains(&quality.packets_lost), "{quality:?}");
    assert!(quality.packets_received > 1_000 && quality.packets_sent > 1_200, "{quality:?}");
    assert_eq!((quality.remote_lost, LegStats::default().quality().mos_x100), (42, None));
    assert!(line.stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    let farewell = line.run(1, &mut []);
    let last = farewell.iter().rfind(|packet| packet.is_rtcp).unwrap().bytes().to_vec();
    assert_eq!(last[last.len() - 8..last.len() - 4], [0x81, 203, 0, 1]);
}

#[test]
fn mutated_packets_change_a_recording_s_health_by_nothing() {
    let mut line = Line::new(agreement(0));
    let mut caller = Voice::new(address(0), 400.0, 0, 100);
    line.run(10, &mut [&mut caller]);
    let mut tape = line.stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice as usize
    };
    for _ in 0..1_000 {
        for _ in 0..20 {
            // With CSRCs, extensions and padding that claim more than there is.
            let mut bytes =
                rtp(0, [0, 101, 13][roll() % 3], roll() as u16, roll() as u32, &[0; 40]);
            bytes[0] = roll() as u8;
            for _ in 0..roll() % 6 {
                let place = roll() % bytes.len();
                bytes[place] = roll() as u8;
            }
            bytes.truncate(roll() % (bytes.len() + 1));
            line.put(elsewhere(roll() as u16), &bytes);
        }
        line.run(1, &mut [&mut caller]);
        tape.wind();
    }
    assert_eq!(line.stage.count("caught_panics"), 0);
    assert_eq!(tape.samples.len(), 1_000 * FRAME);
    assert!(level_of(400.0, &tape.samples) > 0.17);
    let quiet = tape.samples.chunks(FRAME).filter(|frame| level_of(400.0, frame) < 0.1);
    assert_eq!(quiet.count(), 0);
}
