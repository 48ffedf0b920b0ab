//! Rooms, legs and recordings through the real tick, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use std::sync::atomic::Ordering;

use media_support::{FRAME, Stage, address, agreement, leg, level_of, room, rtp, tap_spec};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::{Event, FinishReason, MediaTrouble};
use tapeline_core::media::command::{Direction, MediaCommand};
use tapeline_core::media::leg::link::MemoryPacket;
use tapeline_core::media::room::participant::{Changes, Settings};
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::{MarkKind, TapSpec};

const TONES: [(f64, f64); 3] = [(400.0, 6_000.0), (1_000.0, 6_000.0), (1_700.0, 6_000.0)];

/// Whether the last 200 ms of what a phone heard have each talker's tone.
fn hears(stage: &Stage, phone: usize) -> Vec<bool> {
    let heard = &stage.phones[phone].heard;
    let recent = &heard[heard.len() - 10 * FRAME..];
    TONES.iter().map(|(hz, _)| level_of(*hz, recent) > 0.05).collect()
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::ParticipantJoined { .. } => Some("joined"),
            Event::ParticipantLeft { .. } => Some("left"),
            Event::RoomEmpty { .. } => Some("empty"),
            Event::RecordingArmed { .. } => Some("armed"),
            Event::MediaTrouble { kind, .. } => Some(kind.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn everyone_hears_all_the_others_and_not_itself() {
    let mut stage = Stage::with_talkers(&TONES);
    stage.run(20);
    for phone in 0..3 {
        let expected: Vec<bool> = (0..3).map(|talker| talker != phone).collect();
        assert_eq!(hears(&stage, phone), expected, "phone {phone}");
    }
    assert_eq!(stage.count("frames_concealed"), 0);
    assert_eq!(stage.count("caught_panics"), 0);
}

#[test]
fn mute_deaf_leave_and_another_room_apply_at_the_next_tick() {
    let mut stage = Stage::with_talkers(&TONES);
    let set = |is_muted, is_deaf| {
        let changes = Changes { is_muted, is_deaf, ..Changes::default() };
        RoomCommand::SetParticipant { leg: leg(0), changes }
    };

    stage.room(set(Some(true), None));
    stage.run(30);
    assert_eq!(hears(&stage, 1), [false, false, true]);
    assert_eq!(hears(&stage, 0), [false, true, true]);

    stage.room(set(Some(false), Some(true)));
    stage.run(30);
    assert_eq!(hears(&stage, 1), [true, false, true]);
    assert_eq!(hears(&stage, 0), [false, false, false]);

    stage.room(RoomCommand::Leave { leg: leg(0) });
    stage.run(30);
    assert_eq!(hears(&stage, 1), [false, false, true]);

    stage.room(RoomCommand::CreateRoom { room: room(1), rate_hz: 8_000 });
    for slot in [0, 2] {
        let (leg, room) = (leg(slot), room(1));
        stage.room(RoomCommand::Join { leg, room, settings: Settings::default() });
    }
    stage.run(30);
    assert_eq!(hears(&stage, 0), [false, false, true]);
    assert_eq!(hears(&stage, 1), [false, false, false]);
    assert_eq!(hears(&stage, 2), [true, false, false]);
}

#[test]
fn every_command_is_answered_and_every_move_reported() {
    let mut stage = Stage::new();
    let create = stage.room(RoomCommand::CreateRoom { room: room(0), rate_hz: 8_000 });
    let nowhere = stage.join(7);
    stage.phone(0);
    let join = stage.join(0);
    let odd = stage.room(RoomCommand::CreateRoom { room: room(1), rate_hz: 12_000 });
    let leave = stage.room(RoomCommand::Leave { leg: leg(0) });
    let again = stage.join(0);
    stage.run(1);
    assert_eq!(stage.answer(create), Some(Ok(())));
    assert!(stage.answer(nowhere).unwrap().is_err());
    assert_eq!(stage.answer(join), Some(Ok(())));
    assert!(stage.answer(odd).unwrap().unwrap_err().contains("8000"));
    assert_eq!(stage.answer(leave), Some(Ok(())));
    assert_eq!(stage.answer(again), Some(Ok(())));
    assert_eq!(names(&stage.events()), ["joined", "left", "empty", "joined"]);

    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    let close = stage.room(RoomCommand::CloseRoom { room: room(0) });
    let late = stage.join(0);
    stage.run(1);
    assert_eq!(stage.answer(close), Some(Ok(())));
    assert!(stage.answer(late).unwrap().is_err());
    assert_eq!(names(&stage.events()), ["left", "empty"]);
}

#[test]
fn a_recording_begins_with_the_tick_that_armed_it_and_ends_with_the_stop() {
    let mut stage = Stage::with_talkers(&TONES);
    let mut tape = stage.record(3, Target::Room(room(0)), ChannelLayout::Mix);
    let armed_at = stage.now;
    stage.run(50);
    stage.room(RoomCommand::StopRecording { recorder: tape.recorder });
    stage.run(3);

    tape.wind();
    assert_eq!(tape.samples.len(), 50 * FRAME);
    assert!(TONES.iter().all(|(hz, _)| level_of(*hz, &tape.samples[..FRAME * 5]) > 0.1));
    assert_eq!(tape.has(|kind| *kind == MarkKind::Armed { at: armed_at }), Some(0));
    let joined = tape.marks.iter().filter(|m| matches!(m.kind, MarkKind::Joined { .. })).count();
    assert_eq!(joined, 3);
    let keep = 50 * FRAME as u64;
    let finished = MarkKind::Finished { reason: FinishReason::Command, keep };
    assert_eq!(tape.has(|kind| *kind == finished), Some(keep));
    let armed = stage.events().iter().any(|event| {
        matches!(event, Event::RecordingArmed { recorder, unix_us }
            if *recorder == tape.recorder && *unix_us == armed_at.unix_us)
    });
    assert!(armed);
}

#[test]
fn a_tone_stands_in_the_mix_at_the_first_tick_after_its_first_packet() {
    for early_ms in [0, 1, 7, 19] {
        let mut stage = Stage::with_talkers(&[]);
        stage.phone(0);
        stage.join(0);
        let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
        stage.run(20);
        stage.phones[0].says = Some((1_000.0, 8_000.0));
        for _ in 0..10 {
            let arrival_ns = stage.now.monotonic_ns - early_ms * 1_000_000;
            stage.phones[0].speak(arrival_ns);
            stage.tick();
        }
        tape.wind();
        let onset = tape.samples.iter().position(|sample| sample.abs() > 500).unwrap();
        assert!((20 * FRAME..21 * FRAME).contains(&onset), "{early_ms} ms early: at {onset}");
    }
}

#[test]
fn a_leg_is_recorded_with_what_it_says_left_and_what_it_hears_right() {
    let mut stage = Stage::with_talkers(&TONES[..2]);
    let mut stereo = stage.record(0, Target::Leg(leg(0)), ChannelLayout::RxTx);
    let mut mono = stage.record(1, Target::Leg(leg(0)), ChannelLayout::Mix);
    stage.run(25);
    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    stage.run(1);

    stereo.wind();
    mono.wind();
    for (samples, expected) in [
        (stereo.side(0), [true, false]),
        (stereo.side(1), [false, true]),
        (mono.samples.clone(), [true, true]),
    ] {
        let found = [400.0, 1_000.0].map(|hz| level_of(hz, &samples) > 0.1);
        assert_eq!(found, expected);
    }
    assert_eq!((stereo.samples.len(), mono.samples.len()), (50 * FRAME, 25 * FRAME));
    assert!(stereo.is_finished() && mono.is_finished());
}

#[test]
fn comings_and_goings_are_marked_at_their_sample() {
    let mut stage = Stage::with_talkers(&TONES[..1]);
    let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    stage.run(10);
    stage.phone(1);
    stage.join(1);
    stage.run(10);
    stage.room(RoomCommand::Leave { leg: leg(0) });
    stage.run(10);
    stage.room(RoomCommand::Leave { leg: leg(1) });
    stage.run(10);
    stage.room(RoomCommand::CloseRoom { room: room(0) });
    stage.run(1);

    tape.wind();
    let at = |wanted: MarkKind| tape.has(|kind| *kind == wanted).map(|at| at / FRAME as u64);
    let joined = tape.has(|k| matches!(k, MarkKind::Joined { leg: l, .. } if *l == leg(1)));
    assert_eq!(joined, Some(10 * FRAME as u64));
    assert_eq!(at(MarkKind::Left { leg: leg(0) }), Some(20));
    assert_eq!(at(MarkKind::Left { leg: leg(1) }), Some(30));
    let keep = 40 * FRAME as u64;
    assert_eq!(at(MarkKind::Finished { reason: FinishReason::RoomClosed, keep }), Some(40));
    assert_eq!(tape.samples.len(), 40 * FRAME);
}

#[test]
fn a_time_limit_ends_the_recording_to_the_sample() {
    let mut stage = Stage::with_talkers(&TONES);
    let mut tape = stage.record_as(TapSpec {
        limit_samples: Some(1_000),
        ..tap_spec(0, Target::Room(room(0)), ChannelLayout::Mix)
    });
    stage.run(20);
    tape.wind();
    assert_eq!(tape.samples.len(), 1_000);
    let finished = MarkKind::Finished { reason: FinishReason::TimeLimit, keep: 1_000 };
    assert_eq!(tape.has(|kind| *kind == finished), Some(1_000));
}

#[test]
fn skipped_ticks_are_silence_of_their_length_and_the_call_goes_on() {
    let mut stage = Stage::with_talkers(&TONES);
    let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    stage.run(10);
    stage.pass(7);
    for phone in &mut stage.phones {
        phone.advance(7, 7 * FRAME as u32); // sent, and lost in the socket's buffer
    }
    stage.tick.skip(7);
    stage.run(20);

    tape.wind();
    let skipped = MarkKind::SkippedTicks { samples: 7 * FRAME as u64 };
    assert_eq!(tape.has(|kind| *kind == skipped), Some(10 * FRAME as u64));
    assert_eq!(tape.samples.len(), 30 * FRAME);
    let after = &tape.samples[11 * FRAME..14 * FRAME];
    assert!(TONES.iter().all(|(hz, _)| level_of(*hz, after) > 0.1));
}

#[test]
fn a_fault_in_one_leg_is_counted_and_harms_nobody_else() {
    let mut stage = Stage::with_talkers(&TONES);
    std::panic::set_hook(Box::new(|_| {}));
    for _ in 0..10 {
        let arrival_ns = stage.now.monotonic_ns;
        let mut fault = MemoryPacket::new(address(0), arrival_ns, &[]);
        fault.is_fault = true;
        assert!(stage.phones[0].peer.to_leg.push(fault).is_ok());
        stage.run(1);
    }
    let _ = std::panic::take_hook();
    assert_eq!(stage.count("caught_panics"), 10);
    assert!(hears(&stage, 1)[2]);
    assert!(hears(&stage, 2)[1]);

    stage.run(30);
    assert_eq!(hears(&stage, 1), [true, false, true]);
    assert_eq!(stage.count("caught_panics"), 10);
}

#[test]
fn r26_fifty_digits_inside_speech_are_heard_once_and_leave_the_speech_untouched() {
    let mut plain = Stage::with_talkers(&TONES[..2]);
    let mut tape_without = plain.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    plain.run(700);

    let mut stage = Stage::with_talkers(&TONES[..2]);
    let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    for round in 0..50_u32 {
        for step in 0..14_u16 {
            let arrival_ns = stage.now.monotonic_ns - 10_000_000;
            stage.run(1);
            if (4..10).contains(&step) {
                // Audio goes on; the events share its sequence numbers (RFC 4733 §2.5.1).
                let phone = &mut stage.phones[0];
                let end = if step >= 7 { 0x80 } else { 0 };
                let [high, low] = ((step.min(7) - 3) * 160).to_be_bytes();
                let start = round * 10_000;
                let payload = [(round % 12) as u8, end | 10, high, low];
                let bytes = rtp(0, 101, phone.sequence, start, &payload);
                phone.put(arrival_ns + 20_000_000, &bytes);
                phone.advance(1, 0);
            }
        }
    }
    let digits: Vec<u8> = stage
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Digit { digit, .. } => Some(*digit),
            _ => None,
        })
        .collect();
    let expected: Vec<u8> = (0..50).map(|round| b"0123456789*#"[round % 12]).collect();
    assert_eq!(digits, expected);
    assert_eq!(stage.count("frames_concealed"), 0);
    assert_eq!(stage.count("rtp_lost"), 0);
    assert_eq!(tape.wind().samples, tape_without.wind().samples);
}

#[test]
fn a_silent_peer_is_reported_once_and_again_when_it_speaks() {
    let mut stage = Stage::with_talkers(&TONES[..2]);
    stage.phones[0].says = None;
    stage.run(1_100);
    assert_eq!(names(&stage.events())[2..], [MediaTrouble::NoPackets.as_str()]);
    stage.phones[0].says = Some(TONES[0]);
    stage.run(5);
    assert_eq!(names(&stage.events()), [MediaTrouble::PacketsAgain.as_str()]);
}

#[test]
fn hold_is_silence_of_exact_length_both_ways() {
    let mut stage = Stage::with_talkers(&TONES[..2]);
    let mut tape = stage.record(0, Target::Leg(leg(0)), ChannelLayout::RxTx);
    let mut held = agreement(0);
    held.direction = Direction::Inactive;
    let change =
        MediaCommand::ChangeLeg { leg: leg(0), agreement: Box::new(held), codec: None, srtp: None };
    assert!(stage.media.send(change).is_ok());
    stage.run(10);
    let heard = stage.phones[0].heard.len();
    stage.run(40);
    assert_eq!(stage.phones[0].heard.len(), heard);
    let change = MediaCommand::ChangeLeg {
        leg: leg(0),
        agreement: Box::new(agreement(0)),
        codec: None,
        srtp: None,
    };
    assert!(stage.media.send(change).is_ok());
    stage.run(50);

    tape.wind();
    assert_eq!(tape.samples.len(), 2 * 100 * FRAME);
    let rx: Vec<i16> = tape.samples.iter().step_by(2).copied().collect();
    assert!(rx[10 * FRAME..50 * FRAME].iter().all(|sample| *sample == 0));
    let back = rx[50 * FRAME..].iter().position(|sample| sample.abs() > 500).unwrap();
    assert!(back <= 5 * FRAME, "back after {back} samples");
}

#[test]
fn levels_talking_and_reports_are_told() {
    let mut stage = Stage::with_talkers(&TONES[..2]);
    stage.phones[1].says = Some((1_000.0, 20.0));
    stage.run(600);
    let stats = &stage.phones[0].stats;
    let level = stats.level_rx_cdb.load(Ordering::Relaxed);
    assert!((-1_800..-1_750).contains(&level), "{level}");
    assert!(stage.phones[1].stats.level_rx_cdb.load(Ordering::Relaxed) < -6_000);
    assert_eq!(stats.packets_received.load(Ordering::Relaxed) / 10, 60);
    assert_eq!(stats.packets_lost.load(Ordering::Relaxed), 0);
    assert_eq!(stats.buffer_delay_ms.load(Ordering::Relaxed), 10);
    assert!(stage.phones[0].rtcp_heard >= 2);
    let talking: Vec<_> = stage
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Talking { leg, is_talking } => Some((leg.0.slot, *is_talking)),
            _ => None,
        })
        .collect();
    assert_eq!(talking, [(0, true), (1, true), (1, false)]);
}
