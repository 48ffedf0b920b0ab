//! Pauses and beeps, from phones in memory to decoded files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod house;
mod media_support;
mod record_support;

use house::House;
use media_support::{FRAME, leg, level_of, room};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::Event;
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::{BeepRule, ChannelLayout, Format, PauseRule, Target};

const ROOM: fn() -> Target = || Target::Room(room(0));
const VOICE: (f64, f64) = (400.0, 6_000.0);
const SECRET: (f64, f64) = (1_700.0, 6_000.0);

fn loud_ticks(hz: f64, samples: &[i16]) -> usize {
    samples.chunks(FRAME).filter(|tick| level_of(hz, tick) > 0.02).count()
}

#[test]
fn r35_a_pause_is_silence_or_nothing_as_its_recording_says() {
    for format in [Format::Wav, Format::Mp3] {
        let mut house = House::with_talkers(&[VOICE]);
        let mut lives = Vec::new();
        for as_silence in [false, true] {
            let mut spec = house.spec(format, ROOM(), ChannelLayout::Mix);
            spec.pause = PauseRule { as_silence, limit_ms: 0 };
            lives.push(house.start(spec));
        }
        house.run(50);
        for live in &lives {
            house.room(RoomCommand::PauseRecording { recorder: live.recorder });
        }
        house.run(150);
        for live in &lives {
            house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
        }
        house.run(50);

        let finished = house.stop_all(&lives);
        for ((live, finished), (ticks, silent)) in
            lives.iter().zip(finished).zip([(100, 50..50), (250, 53..197)])
        {
            let samples = live.samples();
            assert_eq!(finished.sample_count, (ticks * FRAME) as u64, "{format:?}");
            assert_eq!(samples.len(), ticks * FRAME);
            assert_eq!(finished.missing_ms, [], "a pause is nothing missing");
            for (at, tick) in samples.chunks(FRAME).enumerate().skip(3) {
                let is_silent = tick.iter().all(|sample| sample.unsigned_abs() < 40);
                assert!(is_silent || !silent.contains(&at), "{format:?}: sound in tick {at}");
            }
            assert!(loud_ticks(VOICE.0, &samples) >= 95);
            let (began, ended) = (&live.journal("pause_began")[0], &live.journal("pause_ended")[0]);
            assert_eq!(
                (began["at"].as_u64(), ended["duration_ms"].as_u64()),
                (Some(8_000), Some(3_000))
            );
            assert_eq!(ended["at"].as_u64(), Some(if ticks == 100 { 8_000 } else { 32_000 }));
        }
        house.assert_no_trouble();
    }
}

#[test]
fn r43_of_a_paused_span_nothing_reaches_the_disk() {
    let mut house = House::with_talkers(&[VOICE]);
    let mut lives = Vec::new();
    let room = ROOM();
    for (target, layout) in [
        (room, ChannelLayout::Mix),
        (room, ChannelLayout::LegRest),
        (Target::Leg(leg(0)), ChannelLayout::RxTx),
        (Target::Leg(leg(0)), ChannelLayout::Mix),
    ] {
        for as_silence in [false, true] {
            for trim_silence in [false, true] {
                let mut spec = house.spec(Format::Wav, target, layout);
                spec.left_leg = (layout == ChannelLayout::LegRest).then_some(leg(0));
                (spec.pause.as_silence, spec.trim_silence) = (as_silence, trim_silence);
                spec.tracks = false;
                lives.push(house.start(spec));
            }
        }
    }
    house.run(50);
    for live in &lives {
        house.room(RoomCommand::PauseRecording { recorder: live.recorder });
    }
    // What the jitter buffer holds was said before: it comes out first.
    house.run(10);
    house.stage.phones[0].says = Some(SECRET);
    house.run(100);
    house.stage.phones[0].says = Some(VOICE);
    house.run(20);
    for live in &lives {
        house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
    }
    house.run(50);

    let finished = house.stop_all(&lives);
    for (live, finished) in lives.iter().zip(finished) {
        // Trimming may take what the jitter buffer had no sound for.
        assert!(finished.sample_count >= 95 * FRAME as u64, "{finished:?}");
        let channels = if finished.channels == 2 {
            vec![live.side(0), live.side(1)]
        } else {
            vec![live.samples()]
        };
        assert!(channels.iter().all(|samples| loud_ticks(SECRET.0, samples) == 0), "{live:?}");
        assert!(loud_ticks(VOICE.0, &channels[0]) >= 90, "{live:?}");
        for track in &finished.tracks {
            assert_eq!(loud_ticks(SECRET.0, &live.track(track.number)), 0, "{live:?}");
        }
    }
    house.assert_no_trouble();
}

#[test]
fn a_pause_that_is_forgotten_ends_by_itself() {
    let mut house = House::with_talkers(&[VOICE]);
    let mut spec = house.spec(Format::Wav, ROOM(), ChannelLayout::Mix);
    spec.pause.limit_ms = 2_000;
    let guarded = house.start(spec);
    let spec = house.spec(Format::Wav, ROOM(), ChannelLayout::Mix);
    let unguarded = house.start(spec);
    house.run(50);
    for live in [&guarded, &unguarded] {
        house.room(RoomCommand::PauseRecording { recorder: live.recorder });
    }
    house.run(200);

    let resumed = house.wait(|event| match event {
        Event::RecordingResumed { recorder } => Some(*recorder),
        _ => None,
    });
    assert_eq!(resumed, guarded.recorder);
    assert_eq!(house.stop(&guarded).sample_count, 150 * FRAME as u64);
    assert_eq!(house.stop(&unguarded).sample_count, 50 * FRAME as u64);
    let again = house.events().iter().any(|it| matches!(it, Event::RecordingResumed { .. }));
    assert!(!again, "told once, and not of the other");
}

#[test]
fn paused_at_once_resumed_and_stopped_it_still_has_a_frame() {
    let mut house = House::with_talkers(&[VOICE]);
    for paused_ticks in [0, 5] {
        let spec = house.spec(Format::Mp3, ROOM(), ChannelLayout::Mix);
        let live = house.start(spec);
        house.room(RoomCommand::PauseRecording { recorder: live.recorder });
        house.run(paused_ticks);
        house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
        house.room(RoomCommand::StopRecording { recorder: live.recorder });
        house.run(2);
        assert_eq!(house.finished(&live).sample_count, FRAME as u64);
    }
    let spec = house.spec(Format::Wav, ROOM(), ChannelLayout::Mix);
    let live = house.start(spec);
    house.room(RoomCommand::PauseRecording { recorder: live.recorder });
    house.run(5);
    assert_eq!(house.stop(&live).sample_count, 0, "all of it was a pause");
}

#[test]
fn a_resumed_pause_is_guarded_anew_and_a_stopped_one_not_at_all() {
    let mut house = House::with_talkers(&[VOICE]);
    let mut spec = house.spec(Format::Wav, ROOM(), ChannelLayout::Mix);
    spec.pause.limit_ms = 1_000;
    let live = house.start(spec);
    for _ in 0..3 {
        house.room(RoomCommand::PauseRecording { recorder: live.recorder });
        house.run(40);
        house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
        house.run(20);
    }
    house.room(RoomCommand::PauseRecording { recorder: live.recorder });
    house.run(40);
    assert_eq!(house.stop(&live).sample_count, 60 * FRAME as u64);
    house.run(60);
    assert!(!house.events().iter().any(|it| matches!(it, Event::RecordingResumed { .. })));
}

const BEEP_HZ: f64 = 1_000.0;

/// The ticks in which a beep begins.
fn beeps(samples: &[i16]) -> Vec<usize> {
    let loud: Vec<bool> =
        samples.chunks(FRAME).map(|tick| level_of(BEEP_HZ, tick) > 0.01).collect();
    (0..loud.len()).filter(|at| loud[*at] && (*at == 0 || !loud[at - 1])).collect()
}

#[test]
fn beeps_come_at_their_interval_and_level_and_are_in_the_file_or_not() {
    for (target, layout) in [
        (ROOM(), ChannelLayout::Mix),
        (ROOM(), ChannelLayout::LegRest),
        (Target::Leg(leg(0)), ChannelLayout::Mix),
        (Target::Leg(leg(0)), ChannelLayout::RxTx),
        (Target::Leg(leg(0)), ChannelLayout::Tx),
        (Target::Leg(leg(0)), ChannelLayout::Rx),
    ] {
        for in_file in [true, false] {
            let mut house = House::with_talkers(&[VOICE, (700.0, 6_000.0)]);
            let mut spec = house.spec(Format::Wav, target, layout);
            spec.left_leg = (layout == ChannelLayout::LegRest).then_some(leg(0));
            spec.beep = BeepRule { at_start: true, every_ms: 1_000, level_cdb: -2_600, in_file };
            house.stage.phones[0].heard.clear();
            let live = house.start(spec);
            house.run(120);
            house.stop(&live);

            let what = format!("{layout:?}, in file: {in_file}");
            let file = if layout.channels() == 2 { live.side(1) } else { live.samples() };
            assert_eq!(beeps(&file), if in_file { vec![0, 50, 100] } else { vec![] }, "{what}");
            if layout.channels() == 2 {
                assert!(beeps(&live.side(0)).is_empty(), "{what}");
            }
            // With the packet that is under way the phone hears it a tick later.
            let heard = beeps(&house.stage.phones[0].heard);
            assert_eq!(heard.len(), 3, "{what}: {heard:?}");
            let level =
                level_of(BEEP_HZ, &house.stage.phones[0].heard[(heard[1] + 3) * FRAME..][..FRAME]);
            assert!((0.045..0.055).contains(&level), "{what}: {level}");
            house.assert_no_trouble();
        }
    }
}

#[test]
fn a_paused_recording_does_not_beep_and_is_repaired_as_it_is() {
    let mut house = House::with_talkers(&[VOICE]);
    let mut spec = house.spec(Format::Wav, ROOM(), ChannelLayout::Mix);
    spec.beep.every_ms = 1_000;
    spec.pause.as_silence = true;
    let live = house.start(spec);
    house.run(20);
    house.room(RoomCommand::PauseRecording { recorder: live.recorder });
    house.stage.phones[0].heard.clear();
    house.run(130);
    assert!(beeps(&house.stage.phones[0].heard[2 * FRAME..]).is_empty());
    house.room(RoomCommand::ResumeRecording { recorder: live.recorder });
    house.run(30);
    let finished = house.stop(&live);

    assert_eq!(beeps(&live.samples()), [150], "overdue: at once");
    assert_eq!(finished.sample_count, 180 * FRAME as u64);
    let report = repair(&live.folder).unwrap();
    assert!(report.was_finished && report.sample_count == finished.sample_count, "{report:?}");
}
