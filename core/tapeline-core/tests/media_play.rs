//! Files and streams that are heard: who hears them, and where they stand in recordings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;
mod record_support;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use media_support::{FRAME, Stage, leg, level_of, room, tap_spec, tone};
use record_support::{TempFolder, made};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::PlayEnd;
use tapeline_core::boundary::handle::{Handle, PlaybackHandle};
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::room::participant::{Changes, Listeners, Settings, Voice};
use tapeline_core::play::{self, PlayRequest, PlaySource, PlaySpec};
use tapeline_core::record::spec::{ChannelLayout, Target};
use tapeline_core::record::tap::TapSpec;

const TALKERS: [(f64, f64); 2] = [(400.0, 6_000.0), (1_000.0, 6_000.0)];
const PLAYED: f64 = 2_200.0;

fn file(milliseconds: usize) -> Vec<i16> {
    tone(PLAYED, 6_000.0, 0, milliseconds * 8)
}

fn has(hz: f64, samples: &[i16]) -> bool {
    let level = level_of(hz, samples);
    assert!(!(0.005..0.08).contains(&level), "{hz} Hz at {level}");
    level >= 0.08
}

/// Ticks in which the played tone is.
fn played_ticks(samples: &[i16]) -> usize {
    samples.chunks(FRAME).filter(|tick| level_of(PLAYED, tick) > 0.05).count()
}

#[test]
fn what_is_played_to_a_leg_only_that_leg_hears_over_all_else() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let mine = Target::Leg(leg(0));
    let mut stereo = stage.record(0, mine, ChannelLayout::RxTx);
    let mut everybody = stage.record(1, Target::Room(room(0)), ChannelLayout::Mix);
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    let (command, _) = stage.play(0, mine, &file(1_000));
    stage.run(60);

    assert_eq!(stage.answer(command), Some(Ok(())));
    assert_eq!(played_ticks(&stage.phones[0].heard), 50);
    assert_eq!(played_ticks(&stage.phones[1].heard), 0);
    assert!(has(TALKERS[1].0, &stage.phones[0].heard[5 * FRAME..45 * FRAME]));
    stereo.wind();
    assert_eq!((played_ticks(&stereo.side(0)), played_ticks(&stereo.side(1))), (0, 50));
    assert_eq!(played_ticks(&everybody.wind().samples), 0);
    assert_eq!(stage.ended(), [(0, PlayEnd::Completed, "")]);
    assert_eq!((stage.count("play_underruns"), stage.count("caught_panics")), (0, 0));
}

#[test]
fn a_leg_alone_and_a_deaf_one_hear_what_is_played_to_them() {
    let mut stage = Stage::with_talkers(&TALKERS);
    stage.phone(2);
    let changes = Changes { is_deaf: Some(true), ..Changes::default() };
    stage.room(RoomCommand::SetParticipant { leg: leg(0), changes });
    for slot in [0, 2] {
        stage.play(slot, Target::Leg(leg(slot)), &file(500));
    }
    stage.run(30);
    for phone in [0, 2] {
        assert_eq!(played_ticks(&stage.phones[phone].heard), 25, "phone {phone}");
    }
}

#[test]
fn what_is_played_to_a_room_everybody_hears_and_its_recordings_have() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let target = Target::Room(room(0));
    let mut mix = stage.record(0, target, ChannelLayout::Mix);
    let left = TapSpec { left_leg: Some(leg(0)), ..tap_spec(1, target, ChannelLayout::LegRest) };
    let mut dual = stage.record_as(left);
    let mut call = stage.record(2, Target::Leg(leg(1)), ChannelLayout::RxTx);
    stage.play(0, target, &file(600));
    stage.run(40);

    for phone in &stage.phones {
        assert_eq!(played_ticks(&phone.heard), 30);
    }
    dual.wind();
    call.wind();
    assert_eq!(played_ticks(&mix.wind().samples), 30);
    assert_eq!((played_ticks(&dual.side(0)), played_ticks(&dual.side(1))), (0, 30));
    assert_eq!((played_ticks(&call.side(0)), played_ticks(&call.side(1))), (0, 30));
}

#[test]
fn files_for_one_target_play_one_after_the_other() {
    let mut stage = Stage::with_talkers(&[]);
    stage.phone(0);
    let target = Target::Leg(leg(0));
    let tones = [500.0, 900.0, 1_300.0, 1_700.0];
    for (slot, hz) in (0..).zip(tones) {
        stage.play(slot, target, &tone(hz, 6_000.0, 0, 10 * FRAME));
    }
    let stop = PlaybackHandle(Handle { slot: 2, generation: 1 });
    let stop = stage.room(RoomCommand::StopPlay { playback: stop });
    stage.run(40);

    let heard = &stage.phones[0].heard;
    for (place, hz) in [500.0, 900.0, 1_700.0].into_iter().enumerate() {
        let part = &heard[place * 10 * FRAME..(place + 1) * 10 * FRAME];
        assert_eq!(tones.map(|tone| has(tone, part)), tones.map(|tone| tone == hz));
    }
    assert!(heard[30 * FRAME..].iter().all(|sample| *sample == 0));
    assert_eq!(stage.answer(stop), Some(Ok(())));
    let (completed, stopped) = (PlayEnd::Completed, PlayEnd::Stopped);
    assert_eq!(
        stage.ended(),
        [(2, stopped, ""), (0, completed, ""), (1, completed, ""), (3, completed, "")]
    );
}

#[test]
fn plays_end_with_their_target_and_by_command() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let (one, all) = (Target::Leg(leg(0)), Target::Room(room(0)));
    stage.play(0, one, &file(2_000));
    stage.play(1, one, &file(2_000));
    stage.play(2, all, &file(2_000));
    let (_, fourth) = stage.play(3, Target::Leg(leg(1)), &file(2_000));
    stage.run(5);
    let stop = stage.room(RoomCommand::StopPlay { playback: fourth });
    let again = stage.room(RoomCommand::StopPlay { playback: fourth });
    assert!(stage.media.send(MediaCommand::RemoveLeg { leg: leg(0) }).is_ok());
    stage.room(RoomCommand::CloseRoom { room: room(0) });
    stage.run(5);
    let (nobody, _) = stage.play(4, one, &file(100));
    stage.run(1);

    let gone = PlayEnd::TargetGone;
    let ended = [(3, PlayEnd::Stopped, ""), (0, gone, ""), (1, gone, ""), (2, gone, "")];
    assert_eq!(stage.ended(), ended);
    assert_eq!(stage.answer(stop), Some(Ok(())));
    assert!(stage.answer(again).unwrap().is_err());
    assert!(stage.answer(nobody).unwrap().is_err());
}

#[test]
fn what_is_played_instead_is_all_that_its_target_hears_and_stands_alone_in_recordings() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let (one, all) = (Target::Leg(leg(0)), Target::Room(room(0)));
    // A whisper is not heard beside it either.
    let whisper = Voice::Only(Listeners::of(&[leg(0)]).unwrap());
    stage.phone(2).says = Some((3_000.0, 6_000.0));
    let settings = Settings { voice: whisper, ..Settings::default() };
    stage.room(RoomCommand::Join { leg: leg(2), room: room(0), settings });
    let mut mix = stage.record(0, all, ChannelLayout::Mix);
    let left = TapSpec { left_leg: Some(leg(0)), ..tap_spec(1, all, ChannelLayout::LegRest) };
    let mut dual = stage.record_as(left);
    let mut call = stage.record(2, one, ChannelLayout::RxTx);
    stage.run(10);
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    let instead = |target| PlaySpec {
        is_instead: true,
        ..PlaySpec::new(PlaySource::File("".into()), target)
    };
    stage.play_as(0, &instead(all), &file(400));
    stage.run(20);
    stage.play_as(1, &instead(one), &file(400));
    stage.run(20);
    stage.run(10);

    let talkers = |samples: &[i16]| TALKERS.map(|(hz, _)| has(hz, samples));
    let whispered = |samples: &[i16]| has(3_000.0, samples);
    let during = |samples: &[i16], tick: usize| samples[tick * FRAME..(tick + 20) * FRAME].to_vec();
    for phone in 0..2 {
        let heard = during(&stage.phones[phone].heard, 0);
        assert_eq!((played_ticks(&heard), talkers(&heard)), (20, [false; 2]), "phone {phone}");
        assert!(!whispered(&heard));
    }
    // To one leg alone: the other one hears its talker and nothing of the file.
    let (mine, other) = (during(&stage.phones[0].heard, 20), during(&stage.phones[1].heard, 20));
    assert_eq!((played_ticks(&mine), talkers(&mine)), (20, [false; 2]));
    assert!(!whispered(&mine));
    assert_eq!((played_ticks(&other), talkers(&other)), (0, [true, false]));
    let after = &stage.phones[0].heard[40 * FRAME..];
    assert_eq!((played_ticks(after), talkers(after), whispered(after)), (0, [false, true], true));

    // From the tenth tick on the recordings are in step with what was heard.
    mix.wind();
    dual.wind();
    call.wind();
    let of = |samples: &[i16], tick| {
        let part = during(samples, tick);
        (played_ticks(&part), talkers(&part))
    };
    assert_eq!(of(&mix.samples, 10), (20, [false; 2]));
    assert_eq!(of(&mix.samples, 30), (0, [true; 2]));
    assert_eq!(of(&dual.side(0), 10), (0, [false; 2]));
    assert_eq!(of(&dual.side(1), 10), (20, [false; 2]));
    assert_eq!(of(&dual.side(0), 30), (0, [true, false]));
    for tick in [10, 30] {
        assert_eq!(of(&call.side(0), tick), (0, [true, false]));
        assert_eq!(of(&call.side(1), tick), (20, [false; 2]));
    }
    let completed = PlayEnd::Completed;
    assert_eq!(stage.ended(), [(0, completed, ""), (1, completed, "")]);
}

#[test]
fn on_hold_a_leg_hears_what_is_played_to_it_and_nothing_of_its_room() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let hold = |is_on_hold| {
        let changes = Changes { is_on_hold: Some(is_on_hold), ..Changes::default() };
        RoomCommand::SetParticipant { leg: leg(0), changes }
    };
    stage.room(hold(true));
    stage.play(0, Target::Leg(leg(0)), &file(1_000));
    stage.play(1, Target::Room(room(0)), &tone(3_000.0, 6_000.0, 0, 4_000));
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    stage.run(20);
    let (held, other) = (&stage.phones[0].heard, &stage.phones[1].heard);
    assert_eq!(played_ticks(held), 20);
    assert_eq!([TALKERS[1].0, 3_000.0].map(|hz| has(hz, held)), [false, false]);
    assert_eq!([TALKERS[0].0, PLAYED, 3_000.0].map(|hz| has(hz, other)), [false, false, true]);

    stage.room(hold(false));
    let music = PlaybackHandle(Handle { slot: 0, generation: 1 });
    stage.room(RoomCommand::StopPlay { playback: music });
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    stage.run(10);
    assert_eq!(played_ticks(&stage.phones[0].heard), 0);
    assert!(has(TALKERS[1].0, &stage.phones[0].heard));
    assert!(has(TALKERS[0].0, &stage.phones[1].heard));
}

#[test]
fn all_that_plays_or_waits_at_one_target_is_stopped_at_once() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let (one, all) = (Target::Leg(leg(0)), Target::Room(room(0)));
    for (slot, target) in [one, one, all, one].into_iter().enumerate() {
        stage.play(slot as u32, target, &file(2_000));
    }
    stage.run(5);
    let stops = [one, one, Target::Leg(leg(7)), Target::Room(room(7))]
        .map(|target| stage.room(RoomCommand::StopPlays { target }));
    stage.run(5);

    let stopped = PlayEnd::Stopped;
    assert_eq!(stage.ended(), [(0, stopped, ""), (1, stopped, ""), (3, stopped, "")]);
    assert_eq!(stops.map(|stop| stage.answer(stop).unwrap().is_ok()), [true, true, false, false]);
    assert_eq!(played_ticks(&stage.phones[1].heard[5 * FRAME..]), 10);
    stage.room(RoomCommand::StopPlays { target: all });
    stage.run(5);
    assert_eq!(stage.ended()[3..], [(2, stopped, "")]);
}

/// Through the player's thread, at ten times the speed of life.
#[test]
fn the_player_keeps_rings_full_loops_and_says_what_is_wrong() {
    let folder = TempFolder::new();
    let wav = made(&folder.path, "tone.wav", &["-ar", "16000", "-c:a", "pcm_s16le"]);
    let bad = folder.path.join("bad.mp3");
    std::fs::write(&bad, b"no sound at all").unwrap();
    let mut stage = Stage::with_talkers(&TALKERS);
    let player =
        play::start(stage.media.clone(), stage.sink.clone(), stage.counters.clone()).unwrap();
    let ask = |slot: u32, path: &Path, target, loops| {
        let playback = PlaybackHandle(Handle { slot, generation: 1 });
        let spec = PlaySpec { loops, ..PlaySpec::new(PlaySource::File(path.into()), target) };
        let (command, rate) = (1_000 + u64::from(slot), Rate::Narrow);
        player.play(PlayRequest { command, playback, spec, rate }).unwrap();
    };
    ask(0, &wav, Target::Leg(leg(0)), 3);
    ask(1, &bad, Target::Leg(leg(0)), 1);
    ask(2, &wav, Target::Room(room(0)), 0);
    ask(3, &folder.path.join("none.wav"), Target::Leg(leg(0)), 1);
    ask(4, &folder.path, Target::Leg(leg(0)), 1);
    for phone in &mut stage.phones {
        phone.heard.clear();
    }
    for _ in 0..300 {
        stage.run(1);
        std::thread::sleep(Duration::from_millis(2));
    }
    let playback = PlaybackHandle(Handle { slot: 2, generation: 1 });
    stage.room(RoomCommand::StopPlay { playback });
    stage.run(1);

    let ended = stage.ended();
    let unknown = "the file is neither WAV nor MP3 nor Ogg Opus";
    assert_eq!(ended[..2], [(0, PlayEnd::Completed, ""), (1, PlayEnd::Failed, unknown)]);
    assert_eq!(ended[2..], [(2, PlayEnd::Stopped, "")]);
    for slot in [3, 4] {
        assert!(stage.answer(1_000 + slot).unwrap().is_err(), "{slot}");
    }
    assert_eq!((stage.count("play_underruns"), stage.count("caught_panics")), (0, 0));
    let heard = |phone: usize| {
        let ticks = stage.phones[phone].heard.chunks(FRAME);
        ticks.filter(|tick| level_of(1_000.0, tick) > 0.05).count()
    };
    assert!(heard(0) >= 290, "{} ticks: the room's goes on", heard(0));
}

/// A WAV of PCM at 8 kHz whose length nobody knows yet.
fn endless_head() -> Vec<u8> {
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    for word in [1_u16, 1, 8_000, 0, 16_000, 0, 2, 16] {
        head.extend(word.to_le_bytes());
    }
    head.extend(b"data\xff\xff\xff\xff");
    head
}

/// Through threads and a socket, at ten times the speed of life.
#[test]
fn a_stream_is_heard_while_it_is_fetched_and_fetched_no_faster_than_it_is_heard() {
    let mut stage = Stage::with_talkers(&TALKERS);
    let player =
        play::start(stage.media.clone(), stage.sink.clone(), stage.counters.clone()).unwrap();
    let folder = TempFolder::new();
    let ask = |slot: u32, target, loops| {
        let path = folder.path.join(format!("sound-{slot}"));
        let listener = UnixListener::bind(&path).unwrap();
        let spec = PlaySpec { loops, ..PlaySpec::new(PlaySource::File(path), target) };
        let playback = PlaybackHandle(Handle { slot, generation: 1 });
        let (command, rate) = (1_000 + u64::from(slot), Rate::Narrow);
        player.play(PlayRequest { command, playback, spec, rate }).unwrap();
        let (stream, _) = listener.accept().unwrap();
        (listener, stream)
    };
    let (one, other) = (Target::Leg(leg(0)), Target::Leg(leg(1)));
    let (_, mut endless) = ask(0, one, 1);
    let (_, mut junk) = ask(1, other, 1);
    junk.write_all(b"<html>no radio here</html>").unwrap();
    junk.read_exact(&mut [0]).unwrap();
    drop(junk);
    // Heard twice, and the second time it breaks off.
    let (listener, mut short) = ask(2, other, 2);
    listener.set_nonblocking(true).unwrap();
    short.write_all(&endless_head()).unwrap();
    endless.write_all(&endless_head()).unwrap();
    endless.set_nonblocking(true).unwrap();
    let sound: Vec<u8> = file(1_000).iter().flat_map(|it| it.to_le_bytes()).collect();
    stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
    let (mut sent, mut ticks) = (0, 0);
    while ticks < 200 {
        // As much as the socket takes, all the time.
        let from = sent % sound.len();
        sent += endless.write(&sound[from..]).unwrap_or(0);
        if ticks < 100 {
            short.write_all(&sound[(ticks % 50) * 320..][..320]).unwrap();
        } else if ticks == 100 {
            short.read_exact(&mut [0]).unwrap();
            short = UnixStream::pair().unwrap().0;
        } else if let Ok((mut again, _)) = listener.accept() {
            // Closed while the greeting lies unread.
            again.write_all(&[endless_head(), sound[..50 * 320].to_vec()].concat()).unwrap();
        }
        stage.run(1);
        ticks += 1;
        std::thread::sleep(Duration::from_millis(2));
    }

    // The first ticks are the threads' way and the head start of 200 ms.
    let heard = played_ticks(&stage.phones[0].heard);
    assert!(heard > 100, "{heard} ticks");
    let ahead = sent - heard * 320;
    assert!(ahead < 1_000_000, "{ahead} bytes ahead of what is heard");
    stage.room(RoomCommand::StopPlays { target: one });
    for _ in 0..200 {
        stage.run(1);
        std::thread::sleep(Duration::from_millis(2));
    }
    let ended = stage.ended();
    let of = |slot: u32| ended.iter().filter(|end| end.0 == slot).copied().collect::<Vec<_>>();
    assert_eq!(of(0), [(0, PlayEnd::Stopped, "")]);
    let unknown = "the file is neither WAV nor MP3 nor Ogg Opus";
    assert_eq!(of(1), [(1, PlayEnd::Failed, unknown)]);
    assert_eq!(of(2), [(2, PlayEnd::Failed, "the stream broke off")]);
    let all = played_ticks(&stage.phones[1].heard);
    // Where the player was late a tick of it stands in two.
    assert!((145..=170).contains(&all), "{all} ticks of 150");
    // Whoever fetches learns that nobody listens.
    let told = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        endless.write(&sound).is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
    });
    assert!(told);
    assert_eq!(stage.count("caught_panics"), 0);
}
