//! Who stands in which channel of a recording, through the real tick, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;

use media_support::{FRAME, Stage, Tape, leg, level_of, room, tap_spec};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::room::participant::{Changes, Settings};
use tapeline_core::record::spec::{BeepRule, ChannelLayout, Target};
use tapeline_core::record::tap::{MarkKind, TapSpec};

const TONES: [(f64, f64); 3] = [(400.0, 6_000.0), (1_000.0, 6_000.0), (1_700.0, 6_000.0)];
/// -60 dB below a tone of the talkers.
const CROSSTALK: f64 = 6_000.0 / 32_768.0 / 1_000.0;

/// Which tones a channel has; what is between there and -60 dB below is a fault.
fn tones_in(samples: &[i16]) -> [bool; 3] {
    TONES.map(|(hz, _)| {
        let level = level_of(hz, samples);
        assert!(!(CROSSTALK..0.1).contains(&level), "{hz} Hz at {level}");
        level >= 0.1
    })
}

/// The channels of a recording in steady state: the first ticks have the room's comings.
fn sides(tape: &mut Tape, channels: usize) -> Vec<[bool; 3]> {
    tape.wind();
    (0..channels).map(|channel| tones_in(&tape.side(channel)[5 * FRAME..])).collect()
}

fn finished(tape: &Tape) -> Option<FinishReason> {
    tape.marks.iter().find_map(|mark| match mark.kind {
        MarkKind::Finished { reason, .. } => Some(reason),
        _ => None,
    })
}

fn join(stage: &mut Stage, slot: u32, into: u32) {
    let (leg, room) = (leg(slot), room(into));
    stage.room(RoomCommand::Join { leg, room, settings: Settings::default() });
}

#[test]
fn each_layout_has_its_talkers_in_its_channels() {
    let mut stage = Stage::with_talkers(&TONES);
    let (one, everyone) = (Target::Leg(leg(0)), Target::Room(room(0)));
    let (mine, others, all) = ([true, false, false], [false, true, true], [true; 3]);
    let cases: [(Target, ChannelLayout, &[[bool; 3]]); 7] = [
        (everyone, ChannelLayout::Mix, &[all]),
        (everyone, ChannelLayout::LegRest, &[mine, others]),
        (one, ChannelLayout::Mix, &[all]),
        (one, ChannelLayout::Rx, &[mine]),
        (one, ChannelLayout::Tx, &[others]),
        (one, ChannelLayout::RxTx, &[mine, others]),
        (one, ChannelLayout::TxRx, &[others, mine]),
    ];
    let mut tapes: Vec<Tape> = (0..)
        .zip(cases)
        .map(|(slot, (target, layout, _))| {
            let left_leg = (layout == ChannelLayout::LegRest).then_some(leg(0));
            stage.record_as(TapSpec { left_leg, ..tap_spec(slot, target, layout) })
        })
        .collect();
    stage.run(55);

    for (tape, (_, layout, expected)) in tapes.iter_mut().zip(cases) {
        assert_eq!(sides(tape, expected.len()), expected, "{layout:?}");
        assert_eq!(tape.side(0).len(), 55 * FRAME, "{layout:?}");
    }
}

#[test]
fn the_left_of_a_room_is_silent_while_its_leg_is_elsewhere_or_muted() {
    let mut stage = Stage::with_talkers(&TONES);
    let target = Target::Room(room(0));
    let spec = TapSpec { left_leg: Some(leg(0)), ..tap_spec(0, target, ChannelLayout::LegRest) };
    let mut tape = stage.record_as(spec);
    stage.run(50);
    let changes = Changes { is_muted: Some(true), ..Changes::default() };
    stage.room(RoomCommand::SetParticipant { leg: leg(0), changes });
    stage.run(50);
    stage.room(RoomCommand::Leave { leg: leg(0) });
    stage.run(50);
    stage.join(0);
    stage.run(50);
    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    stage.phones.remove(0);
    stage.run(50);

    tape.wind();
    let (left, right) = (tape.side(0), tape.side(1));
    assert_eq!(left.len(), 250 * FRAME);
    for (part, is_there) in [true, false, false, true, false].into_iter().enumerate() {
        let span = part * 50 * FRAME..(part + 1) * 50 * FRAME;
        let silent = left[span.clone()].iter().all(|sample| *sample == 0);
        assert_eq!(silent, !is_there, "part {part}");
        assert_eq!(tones_in(&right[span]), [false, true, true], "part {part}");
    }
    assert_eq!(finished(&tape), None, "a room's recording stays with its room");
}

#[test]
fn a_muted_leg_is_recorded_as_silence_and_hears_on() {
    let mut stage = Stage::with_talkers(&TONES);
    let changes = Changes { is_muted: Some(true), ..Changes::default() };
    stage.room(RoomCommand::SetParticipant { leg: leg(0), changes });
    let mut tape = stage.record(0, Target::Leg(leg(0)), ChannelLayout::RxTx);
    stage.run(55);
    tape.wind();
    assert!(tape.side(0).iter().all(|sample| *sample == 0));
    assert_eq!(tones_in(&tape.side(1)[5 * FRAME..]), [false, true, true]);
}

/// Alone, in a room with one, in a room with the other, alone again, gone.
#[test]
fn a_legs_recording_follows_it_without_losing_or_doubling_a_tick() {
    let mut stage = Stage::new();
    for slot in 0..2 {
        stage.room(RoomCommand::CreateRoom { room: room(slot), rate_hz: 8_000 });
    }
    for (slot, says) in (0..).zip(TONES) {
        stage.phone(slot).says = Some(says);
    }
    join(&mut stage, 1, 0);
    join(&mut stage, 2, 1);
    stage.run(5);
    let mut tape = stage.record(0, Target::Leg(leg(0)), ChannelLayout::RxTx);
    let mut rest = stage.record(1, Target::Leg(leg(0)), ChannelLayout::Mix);
    stage.run(50);
    join(&mut stage, 0, 0);
    stage.run(50);
    join(&mut stage, 0, 1);
    stage.run(50);
    stage.room(RoomCommand::CloseRoom { room: room(1) });
    stage.run(50);
    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    stage.run(2);

    tape.wind();
    let (rx, tx) = (tape.side(0), tape.side(1));
    assert_eq!((rx.len(), tx.len()), (200 * FRAME, 200 * FRAME));
    // One unbroken tone: a sample lost or doubled would show as noise beside it.
    assert_eq!(tones_in(&rx), [true, false, false]);
    let jumps = rx
        .windows(3)
        .filter(|w| (i32::from(w[0]) + i32::from(w[2]) - 2 * i32::from(w[1])).abs() > 1_500)
        .count();
    assert_eq!(jumps, 0, "the caller's tone is unbroken");
    for (part, heard) in
        [[false; 3], [false, true, false], [false, false, true], [false; 3]].into_iter().enumerate()
    {
        let part = &tx[part * 50 * FRAME..(part + 1) * 50 * FRAME];
        assert_eq!(tones_in(part), heard);
    }
    assert_eq!(finished(&tape), Some(FinishReason::LegGone));
    assert_eq!(rest.wind().samples.len(), 200 * FRAME);
}

#[test]
fn both_sides_of_a_call_are_aligned_to_the_tick() {
    let mut stage = Stage::with_talkers(&[TONES[0], TONES[1]]);
    stage.phones[0].says = None;
    stage.phones[1].says = None;
    let mut tape = stage.record(0, Target::Leg(leg(0)), ChannelLayout::RxTx);
    stage.run(40);
    stage.phones[0].says = Some(TONES[0]);
    stage.phones[1].says = Some(TONES[1]);
    stage.run(40);

    tape.wind();
    let onset = |side: usize| tape.side(side).iter().position(|it| it.abs() > 500).unwrap();
    assert!(onset(0).abs_diff(onset(1)) <= FRAME, "{} and {}", onset(0), onset(1));
}

#[test]
fn a_pause_takes_exactly_its_ticks_out() {
    let mut stage = Stage::with_talkers(&TONES);
    let mut tape = stage.record(0, Target::Room(room(0)), ChannelLayout::Mix);
    let mut whole = stage.record(1, Target::Room(room(0)), ChannelLayout::Mix);
    let recorder = tape.recorder;
    stage.run(10);
    let pauses = [0, 1].map(|_| stage.room(RoomCommand::PauseRecording { recorder }));
    stage.run(5);
    stage.room(RoomCommand::Leave { leg: leg(2) });
    stage.run(5);
    let resumes = [0, 1].map(|_| stage.room(RoomCommand::ResumeRecording { recorder }));
    stage.run(10);
    stage.room(RoomCommand::PauseRecording { recorder });
    stage.run(3);
    let stop = stage.room(RoomCommand::StopRecording { recorder });
    stage.run(1);
    let late = stage.room(RoomCommand::PauseRecording { recorder });
    stage.run(1);

    let (tape, whole) = (tape.wind(), whole.wind());
    let kept = [&whole.samples[..10 * FRAME], &whole.samples[20 * FRAME..30 * FRAME]].concat();
    assert_eq!(tape.samples, kept);
    for command in pauses.into_iter().chain(resumes).chain([stop]) {
        assert_eq!(stage.answer(command), Some(Ok(())));
    }
    assert!(stage.answer(late).unwrap().is_err());
    let after: Vec<(u64, bool)> = tape
        .marks
        .iter()
        .filter(|mark| mark.position > 0)
        .filter_map(|mark| match mark.kind {
            MarkKind::PauseBegan { .. } => Some((mark.position, true)),
            MarkKind::PauseEnded { samples } => Some((mark.position + samples, false)),
            _ => None,
        })
        .collect();
    let tick = FRAME as u64;
    assert_eq!(
        after,
        [(10 * tick, true), (20 * tick, false), (20 * tick, true), (23 * tick, false)]
    );
    assert_eq!(tape.has(|kind| matches!(kind, MarkKind::Left { .. })), None, "told in no pause");
    let again = |mark: &&tapeline_core::record::tap::Mark| {
        mark.position == 10 * tick && matches!(mark.kind, MarkKind::Joined { .. })
    };
    assert_eq!(tape.marks.iter().filter(again).count(), 2, "who is there now");
}

#[test]
fn a_silent_recording_ends_by_its_rule_and_others_go_on() {
    let mut stage = Stage::with_talkers(&TONES[..1]);
    let silence =
        tapeline_core::record::silence::SilenceRule { limit_ms: 1_000, waits_for_speech: true };
    let target = Target::Room(room(0));
    let mut ends = stage.record_as(TapSpec { silence, ..tap_spec(0, target, ChannelLayout::Mix) });
    let mut stays = stage.record(1, target, ChannelLayout::Mix);
    stage.run(30);
    stage.phones[0].says = None;
    stage.run(100);

    assert_eq!(finished(ends.wind()), Some(FinishReason::SilenceLimit));
    assert_eq!(finished(stays.wind()), None);
    let ticks = ends.samples.len() / FRAME;
    // What the peer said last is concealed for a while before it is silence.
    assert!((80..=90).contains(&ticks), "{ticks}");
}

const BEEP: f64 = 1_000.0;

fn beep_ticks(samples: &[i16]) -> usize {
    samples.chunks(FRAME).filter(|tick| level_of(BEEP, tick) > 0.05).count()
}

#[test]
fn a_beep_is_heard_by_the_target_and_stands_at_the_start_of_its_file() {
    for (target, layout, heard_by) in [
        (Target::Room(room(0)), ChannelLayout::Mix, [true, true]),
        (Target::Room(room(0)), ChannelLayout::LegRest, [true, true]),
        (Target::Leg(leg(0)), ChannelLayout::Mix, [true, false]),
        (Target::Leg(leg(0)), ChannelLayout::Rx, [true, false]),
        (Target::Leg(leg(0)), ChannelLayout::Tx, [true, false]),
        (Target::Leg(leg(0)), ChannelLayout::TxRx, [true, false]),
    ] {
        let mut stage = Stage::with_talkers(&[TONES[0], TONES[2]]);
        let left_leg = (layout == ChannelLayout::LegRest).then_some(leg(0));
        let spec = TapSpec { left_leg, beep: BeepRule::AT_START, ..tap_spec(0, target, layout) };
        stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
        let mut tape = stage.record_as(spec);
        stage.run(30);

        tape.wind();
        let channel = usize::from(layout == ChannelLayout::LegRest);
        let file = tape.side(channel);
        assert_eq!(beep_ticks(&file[..15 * FRAME]), 15, "{layout:?}");
        assert_eq!(beep_ticks(&file[15 * FRAME..]), 0, "{layout:?}");
        for (phone, is_heard) in stage.phones.iter().zip(heard_by) {
            let ticks = beep_ticks(&phone.heard);
            assert_eq!(ticks, if is_heard { 15 } else { 0 }, "{layout:?}, phone {}", phone.slot);
        }
    }
}
