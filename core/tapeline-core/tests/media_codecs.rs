//! Legs of different codecs in one room, and codecs that change, through the real tick in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::net::SocketAddr;

use media_support::{Stage, Tape, agreement_on, leg, level_at, room, tap_spec};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::{Agreement, Codec, Direction, MediaCommand};
use tapeline_core::media::leg::LegCodec;
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::TapSpec;

const CODECS: [Codec; 5] =
    [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16(Rate::Wide), Codec::Opus(Rate::Wide)];
const SPEAKERS: [(f64, f64); 2] = [(1_000.0, 8_000.0), (600.0, 8_000.0)];
/// Silence, then both speak.
const ONSET_TICK: usize = 60;
const TICKS: usize = 160;

/// How loud a tone is against what was said, in dB.
fn gain(rate: Rate, hz: f64, samples: &[i16]) -> f64 {
    20.0 * (level_at(rate, hz, samples) / (8_000.0 / 32_768.0)).log10()
}

/// Where a tone begins, in ms: the first 5 ms in which it has half its level.
fn onset_ms(rate: Rate, hz: f64, samples: &[i16]) -> f64 {
    let step = rate.frame() / 20;
    let half = 8_000.0 / 32_768.0 / 2.0;
    let windows = samples.windows(step * 5).step_by(step);
    let (at, _) = windows.enumerate().find(|(_, it)| level_at(rate, hz, it) > half).unwrap();
    at as f64
}

#[test]
fn r15_all_pairs_of_codecs_agree_in_sync_and_level() {
    for (one, other) in CODECS.iter().flat_map(|one| CODECS.map(|other| (*one, other))) {
        let mut stage = Stage::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        for (slot, codec) in (0..).zip([one, other]) {
            stage.phone_with(slot, codec);
            stage.join(slot);
        }
        let target = Target::Room(room(0));
        let mut tapes = [Rate::Narrow, Rate::Wide].map(|rate| {
            let spec = tap_spec(rate as u32, target, ChannelLayout::Mix);
            (rate, stage.record_as(TapSpec { rate_hz: rate.hz(), ..spec }))
        });
        stage.run(ONSET_TICK);
        for (phone, says) in stage.phones.iter_mut().zip(SPEAKERS) {
            phone.says = Some(says);
        }
        stage.run(TICKS - ONSET_TICK);

        let mut heard: Vec<(Rate, Vec<i16>, f64)> = Vec::new();
        for (rate, tape) in &mut tapes {
            tape.wind();
            assert_eq!(tape.samples.len(), TICKS * rate.frame(), "{one:?} {other:?}");
            heard.extend(SPEAKERS.map(|(hz, _)| (*rate, tape.samples.clone(), hz)));
        }
        for (phone, (hz, _)) in stage.phones.iter().zip([SPEAKERS[1], SPEAKERS[0]]) {
            let rate = phone.codec.rate();
            assert_eq!(phone.heard.len(), TICKS * rate.frame(), "{one:?} {other:?}");
            heard.push((rate, phone.heard.clone(), hz));
        }
        let expected = ONSET_TICK as f64 * 20.0;
        for (rate, samples, hz) in heard {
            let settled = &samples[(ONSET_TICK + 20) * rate.frame()..];
            let level = gain(rate, hz, settled);
            assert!(level.abs() < 1.0, "{one:?} {other:?}, {hz} Hz at {rate:?}: {level:.2} dB");
            let onset = onset_ms(rate, hz, &samples) - expected;
            assert!(onset.abs() < 20.0, "{one:?} {other:?}, {hz} Hz at {rate:?}: {onset} ms");
        }
        for (phone, (own, _)) in stage.phones.iter().zip(SPEAKERS) {
            let settled = &phone.heard[(ONSET_TICK + 20) * phone.codec.rate().frame()..];
            let echo = gain(phone.codec.rate(), own, settled);
            assert!(echo < -30.0, "{one:?} {other:?}: {own} Hz comes back at {echo:.1} dB");
        }
        assert_eq!(stage.count("caught_panics"), 0);
        assert_eq!(stage.count("frames_concealed"), 0, "{one:?} {other:?}");
    }
}

/// Ticks of a recording in which a tone is below half its level.
fn silent_ticks(tape: &mut Tape, hz: f64) -> usize {
    let half = 8_000.0 / 32_768.0 / 2.0;
    let ticks = tape.wind().samples.chunks(160);
    ticks.filter(|tick| level_at(Rate::Narrow, hz, tick) < half).count()
}

#[test]
fn r19_a_reinvite_with_new_codec_port_and_ssrc_loses_at_most_100_ms() {
    for (before, after) in CODECS.iter().flat_map(|one| CODECS.map(|other| (*one, other))) {
        for late_ticks in [0, 1, 7, 40] {
            let mut stage = Stage::new();
            stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
            stage.phone_with(0, before).says = Some(SPEAKERS[0]);
            stage.phone_with(1, Codec::Pcmu);
            stage.join(0);
            stage.join(1);
            stage.run(30);
            let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
            stage.run(50);

            let elsewhere = SocketAddr::from(([192, 0, 2, 77], 4_242));
            let agreement = Box::new(Agreement { remote: elsewhere, ..agreement_on(0, after) });
            let codec = (before != after).then(|| LegCodec::new(after).unwrap());
            let change = MediaCommand::ChangeLeg { leg: leg(0), agreement, codec, srtp: None };
            assert!(stage.media.send(change).is_ok());
            // The answer is on its way: it still sends as before.
            stage.run(late_ticks);
            let phone = &mut stage.phones[0];
            phone.change_codec(after);
            (phone.source, phone.ssrc) = (elsewhere, 0x1234_5678);
            (phone.sequence, phone.timestamp) = (777, 99_000);
            stage.run(100);

            let case = format!("{before:?} to {after:?} after {late_ticks} ticks");
            let lost = silent_ticks(&mut tape, SPEAKERS[0].0);
            let from_elsewhere = if late_ticks > 0 { late_ticks } else { 0 };
            // From the former address nothing is taken any more: that time is not ours to keep.
            assert!(lost <= 5 + from_elsewhere, "{case}: {lost} ticks");
            assert_eq!(tape.samples.len(), (150 + late_ticks) * 160, "{case}");
            let level = gain(Rate::Narrow, SPEAKERS[0].0, &tape.samples[(80 + late_ticks) * 160..]);
            assert!(level.abs() < 1.0, "{case}: {level}");
            assert_eq!(stage.count("caught_panics"), 0, "{case}");
        }
    }
}

#[test]
fn r19_the_former_codec_is_heard_as_long_as_the_peer_sends_it() {
    for (before, after) in CODECS.iter().flat_map(|one| CODECS.map(|other| (*one, other))) {
        if before == after {
            continue;
        }
        let mut stage = Stage::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        stage.phone_with(0, before).says = Some(SPEAKERS[0]);
        stage.join(0);
        stage.run(30);
        let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        stage.run(20);

        let agreement = Box::new(agreement_on(0, after));
        let codec = Some(LegCodec::new(after).unwrap());
        let change = MediaCommand::ChangeLeg { leg: leg(0), agreement, codec, srtp: None };
        assert!(stage.media.send(change).is_ok());
        stage.run(60);
        stage.phones[0].change_codec(after);
        stage.run(70);

        let lost = silent_ticks(&mut tape, SPEAKERS[0].0);
        assert!(lost <= 5, "{before:?} to {after:?}: {lost} ticks");
        assert_eq!(tape.samples.len(), 150 * 160);
        let heard = stage.phones[0].stats.rate_hz.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(heard, after.rate_hz());
    }
}

/// Carried out at the next tick.
fn reinvite(stage: &mut Stage, agreement: Agreement, codec: Option<Codec>) {
    let codec = codec.map(|codec| LegCodec::new(codec).unwrap());
    let agreement = Box::new(agreement);
    let change = MediaCommand::ChangeLeg { leg: leg(0), agreement, codec, srtp: None };
    assert!(stage.media.send(change).is_ok());
}

#[test]
fn r19_a_codec_is_heard_under_its_former_payload_type_too() {
    for codec in CODECS {
        let mut stage = Stage::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        stage.phone_with(0, codec).says = Some(SPEAKERS[0]);
        stage.join(0);
        stage.run(30);
        let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        reinvite(&mut stage, Agreement { payload_type: 120, ..agreement_on(0, codec) }, None);
        stage.run(50);
        stage.phones[0].payload_type = Some(120);
        stage.run(50);

        assert_eq!(silent_ticks(&mut tape, SPEAKERS[0].0), 0, "{codec:?}");
        assert_eq!(stage.count("rtp_ignored"), 0, "{codec:?}");
    }
}

/// The peer gives the payload type of one codec to another, and what is on its way is of the first.
#[test]
fn r19_a_payload_type_that_comes_to_mean_another_codec_is_not_mistaken() {
    const TYPE: u8 = 96;
    for (before, after) in CODECS.iter().flat_map(|one| CODECS.map(|other| (*one, other))) {
        if before.clock_hz() == after.clock_hz() {
            continue; // Nothing tells them apart.
        }
        let mut stage = Stage::new();
        stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
        stage.phone_with(0, before).says = Some(SPEAKERS[0]);
        stage.phones[0].payload_type = Some(TYPE);
        let of = |codec| Agreement { payload_type: TYPE, ..agreement_on(0, codec) };
        reinvite(&mut stage, of(before), None);
        stage.join(0);
        stage.run(30);
        let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        stage.run(20);
        reinvite(&mut stage, of(after), Some(after));
        stage.run(60);
        stage.phones[0].change_codec(after);
        stage.run(70);

        let case = format!("{before:?} to {after:?}");
        let lost = silent_ticks(&mut tape, SPEAKERS[0].0);
        assert!(lost <= 5, "{case}: {lost} ticks");
        let loudest = tape.samples.iter().map(|it| it.unsigned_abs()).max().unwrap();
        assert!(loudest < 12_000, "{case}: noise of {loudest}");
    }
}

/// Each packet time of Opus is heard whole, and says so in its packets.
#[test]
fn opus_is_sent_in_the_packet_time_of_its_peer() {
    for (packet_ms, packets) in [(10, 200), (20, 100), (40, 50), (60, 33)] {
        for is_listener in [false, true] {
            let codec = Codec::Opus(Rate::Wide);
            let mut stage = Stage::new();
            stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 0 });
            stage.phone_with(0, codec).says = (!is_listener).then_some(SPEAKERS[0]);
            stage.phone_with(1, Codec::G722).says = Some(SPEAKERS[1]);
            // Another who hears the same, each in its own time.
            stage.phone_with(2, codec);
            for slot in 0..3 {
                stage.join(slot);
            }
            reinvite(&mut stage, Agreement { packet_ms, ..agreement_on(0, codec) }, None);
            stage.run(30);
            for phone in &mut stage.phones {
                phone.got.clear();
                phone.heard.clear();
            }
            stage.run(100);

            let case = format!("{packet_ms} ms, listener: {is_listener}");
            let phone = &stage.phones[0];
            // At most one packet in flight; where the encoder changes its mode one is shorter.
            assert!(
                (packets..=packets + 2).contains(&phone.got.len()),
                "{case}: {}",
                phone.got.len()
            );
            let whole = usize::from(packet_ms) * 48;
            let others = phone.got.iter().filter(|it| codec.duration_of(it) as usize != whole);
            assert!(others.count() <= 2, "{case}");
            for phone in [phone, &stage.phones[2]] {
                assert!(phone.heard.len() >= 97 * 320, "{case}: {}", phone.heard.len());
                let level = gain(Rate::Wide, SPEAKERS[1].0, &phone.heard[3_200..]);
                // In 10 ms the same bits say less.
                assert!(level.abs() < 2.0, "{case}: {level}");
            }
            assert_eq!(stage.phones[2].got.len(), 100, "{case}");
        }
    }
}

#[test]
fn r16_hold_is_silence_of_exact_length_less_the_skipped_pause() {
    for held in [Direction::RecvOnly, Direction::SendOnly, Direction::Inactive] {
        let mut stage = Stage::new();
        stage.phone_with(0, Codec::G722).says = Some(SPEAKERS[0]);
        stage.run(30);
        let mut tape = stage.record(0, Target::Leg(leg(0)), ChannelLayout::Rx);
        let recorder = tape.recorder;
        stage.run(20);
        let change = |direction| MediaCommand::ChangeLeg {
            leg: leg(0),
            agreement: Box::new(Agreement { direction, ..agreement_on(0, Codec::G722) }),
            codec: None,
            srtp: None,
        };
        assert!(stage.media.send(change(held)).is_ok());
        let says = stage.phones[0].says;
        if held == Direction::RecvOnly {
            stage.phones[0].says = None; // it plays no music
        }
        stage.run(50);
        stage.room(RoomCommand::PauseRecording { recorder });
        stage.run(15);
        stage.room(RoomCommand::ResumeRecording { recorder });
        stage.phones[0].says = says;
        assert!(stage.media.send(change(Direction::SendRecv)).is_ok());
        stage.run(50);

        let samples = &tape.wind().samples;
        assert_eq!(samples.len(), 120 * 160, "{held:?}: stop less start less the pause");
        let loud = |tick: &[i16]| level_at(Rate::Narrow, 1_000.0, tick) > 0.1;
        let ticks: Vec<bool> = samples.chunks(160).map(loud).collect();
        assert!(ticks[..20].iter().all(|loud| *loud), "{held:?}");
        assert!(!ticks[25..70].iter().any(|loud| *loud), "{held:?}");
        assert!(ticks[75..].iter().all(|loud| *loud), "{held:?}");
    }
}
