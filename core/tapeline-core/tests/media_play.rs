//! Files that are heard: who hears them, where they stand in recordings, and what hostile ones do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;
mod record_support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use media_support::{FRAME, Stage, leg, level_of, room, tap_spec, tone};
use record_support::{Random, TempFolder};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::PlayEnd;
use tapeline_core::boundary::handle::{Handle, PlaybackHandle};
use tapeline_core::media::codec::Rate;
use tapeline_core::media::command::MediaCommand;
use tapeline_core::media::room::participant::{Changes, Listeners, Settings, Voice};
use tapeline_core::play::program::Program;
use tapeline_core::play::source::{Fault, Origin};
use tapeline_core::play::tones::{Tone, Tones};
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

/// One second of 1 kHz at an eighth of full scale, as ffmpeg writes it.
fn made(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=f=1000:r=48000:d=1"])
        .args(options)
        .arg(&path)
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Everything that a file gives, at 8 kHz.
fn played(path: &Path, loops: u32) -> Result<Vec<i16>, Fault> {
    run(Program::new(Origin::File(File::open(path).unwrap()), loops, Rate::Narrow, 0))
}

fn run(mut program: Program) -> Result<Vec<i16>, Fault> {
    let mut all = Vec::new();
    loop {
        let count = match program.slice() {
            Ok(samples) => {
                all.extend_from_slice(samples);
                samples.len()
            }
            Err(end) => return end.map(|()| all),
        };
        program.taken(count);
    }
}

#[test]
fn wav_mp3_and_opus_of_every_kind_are_played() {
    let folder = TempFolder::new();
    let codings = ["u8", "s16le", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw"];
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for channels in ["1", "2"] {
        for (coding, rate) in codings.iter().flat_map(|it| ["8000", "44100"].map(|rate| (it, rate)))
        {
            let codec = format!("pcm_{coding}");
            let options = ["-ac", channels, "-ar", rate, "-c:a", &codec].map(str::to_owned);
            kinds.push((format!("{coding}_{rate}_{channels}.wav"), options.to_vec()));
        }
        for rate in ["8000", "11025", "16000", "22050", "24000", "32000", "44100", "48000"] {
            let options = ["-ac", channels, "-ar", rate, "-c:a", "libmp3lame"].map(str::to_owned);
            kinds.push((format!("{rate}_{channels}.mp3"), options.to_vec()));
        }
        for frame_ms in ["2.5", "20", "60"] {
            let options = ["-ac", channels, "-c:a", "libopus", "-frame_duration", frame_ms];
            kinds
                .push((format!("{frame_ms}_{channels}.opus"), options.map(str::to_owned).to_vec()));
        }
    }
    for (name, options) in kinds {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let samples = played(&made(&folder.path, &name, &options), 1).unwrap();

        assert!(samples.len().abs_diff(8_000) <= 2, "{name}: {} samples", samples.len());
        let level = level_of(1_000.0, &samples[400..7_600]);
        // ffmpeg takes 3 dB off both sides when it makes stereo of mono; LAME takes 5 % off all.
        let expected = if name.contains("_2.") { 0.125 / 2.0_f64.sqrt() } else { 0.125 };
        assert!((level / expected - 1.0).abs() < 0.08, "{name}: {level}");
        let peak = samples.iter().map(|it| it.unsigned_abs()).max().unwrap();
        assert!(peak < 5_000, "{name}: {peak}");
    }
}

#[test]
fn a_file_is_repeated_without_a_gap() {
    let folder = TempFolder::new();
    let path = made(&folder.path, "tone.wav", &["-ar", "8000", "-c:a", "pcm_s16le"]);
    let once = played(&path, 1).unwrap();
    assert_eq!(played(&path, 3).unwrap(), once.repeat(3));
}

#[test]
fn tones_are_played_as_they_are_meant_as_often_as_wanted_and_as_loud() {
    let ring = Tone { hertz: [440, 480], on_ms: 200, off_ms: 100, level_cdb: -1_300 };
    let busy = Tone { hertz: [425, 0], on_ms: 50, off_ms: 50, level_cdb: -1_300 };
    let tones = || Origin::Tones(Tones::new(vec![ring, busy]).unwrap());
    let once = run(Program::new(tones(), 1, Rate::Narrow, 0)).unwrap();
    assert_eq!(once.len(), 3_200);
    // -13 dBov is a peak 10 dB below full scale, for each of both.
    let level = 10.0_f64.powf(-10.0 / 20.0);
    for (hz, there, part) in [
        (440.0, true, 100..1_500),
        (480.0, true, 100..1_500),
        (440.0, false, 1_600..2_400),
        (425.0, true, 2_450..2_770),
        (425.0, false, 2_800..3_200),
    ] {
        let found = level_of(hz, &once[part]);
        let expected = if there { level } else { 0.0 };
        assert!((found - expected).abs() < 0.03, "{hz}: {found}");
    }
    let thrice = run(Program::new(tones(), 3, Rate::Narrow, 0)).unwrap();
    assert_eq!(thrice, once.repeat(3));
    let quieter = run(Program::new(tones(), 1, Rate::Narrow, -2_000)).unwrap();
    assert!(quieter.iter().zip(&once).all(|(a, b)| (a - b / 10).abs() <= 1));
    let wide = run(Program::new(tones(), 1, Rate::Wide, 0)).unwrap();
    assert!(wide.iter().step_by(2).zip(&once).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn what_is_no_audio_says_so() {
    let folder = TempFolder::new();
    let wav = std::fs::read(made(&folder.path, "a.wav", &["-c:a", "pcm_s16le"])).unwrap();
    let bent = |at: usize, bytes: &[u8]| {
        let mut bent = wav.clone();
        bent[at..at + bytes.len()].copy_from_slice(bytes);
        bent
    };
    let opus = std::fs::read(made(&folder.path, "a.opus", &["-c:a", "libopus"])).unwrap();
    let vorbis = std::fs::read(made(&folder.path, "a.ogg", &["-c:a", "flac"])).unwrap();
    let mp2 = std::fs::read(made(&folder.path, "a.mp2", &["-c:a", "mp2"])).unwrap();
    let cases = [
        (Vec::new(), "neither WAV nor MP3 nor Ogg Opus"),
        (b"<html>404</html>".to_vec(), "neither WAV nor MP3 nor Ogg Opus"),
        (wav[..30].to_vec(), "damaged"),
        (wav[..78].to_vec(), "no audio"),
        (bent(20, &[2, 0]), "neither PCM, float nor G.711"),
        (bent(22, &[6, 0]), "more than two channels"),
        (bent(24, &[0, 0, 1, 1]), "not between 8 and 48 kHz"),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), "damaged"),
        (vec![0xff; 50_000], "damaged"),
        (vorbis, "holds no Opus"),
        (opus[..60].to_vec(), "no audio"),
        (repaired(&opus, 28 + 9, &[3]), "more than two channels"),
        (repaired(&opus, 28 + 8, &[0x10]), "damaged"),
        (mp2, "damaged"),
    ];
    for (bytes, reason) in cases {
        let path = folder.path.join("case");
        std::fs::write(&path, bytes).unwrap();
        let Err(Fault(what)) = played(&path, 1) else { panic!("{reason}: it was played") };
        assert!(what.contains(reason), "{what} instead of {reason}");
    }
}

#[test]
fn files_that_are_too_long_or_too_large_are_not_played_on() {
    let folder = TempFolder::new();
    let path = made(&folder.path, "long.wav", &["-ar", "8000", "-c:a", "pcm_mulaw"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let data = bytes.windows(4).position(|it| it == b"data").unwrap();
    bytes[data + 4..data + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let file = File::options().write(true).open(&path).unwrap();

    file.set_len(59 << 20).unwrap();
    assert_eq!(played(&path, 1), Err(Fault("the file is longer than two hours")));

    file.set_len((64 << 20) + 1).unwrap();
    let mut stage = Stage::with_talkers(&TALKERS);
    let player =
        play::start(stage.media.clone(), stage.sink.clone(), stage.counters.clone()).unwrap();
    let playback = PlaybackHandle(Handle { slot: 0, generation: 1 });
    let spec = PlaySpec::new(PlaySource::File(path), Target::Leg(leg(0)));
    player.play(PlayRequest { command: 1_000, playback, spec, rate: Rate::Narrow }).unwrap();
    for _ in 0..500 {
        stage.run(1);
        if stage.answer(1_000).is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(stage.answer(1_000).unwrap().unwrap_err().contains("at most 64 MB"));
}

#[test]
fn bent_bytes_never_panic_and_never_run_away() {
    let folder = TempFolder::new();
    let mut random = Random(5);
    let seeds = [
        made(&folder.path, "a.wav", &["-ar", "16000", "-c:a", "pcm_s24le", "-t", "0.2"]),
        made(&folder.path, "b.wav", &["-ar", "8000", "-c:a", "pcm_mulaw", "-t", "0.2"]),
        made(&folder.path, "c.mp3", &["-ar", "16000", "-ac", "2", "-t", "0.5"]),
        made(&folder.path, "d.mp3", &["-ar", "44100", "-q:a", "5", "-t", "0.5"]),
        made(
            &folder.path,
            "e.mp3",
            &["-ar", "8000", "-ac", "1", "-id3v2_version", "0", "-t", "0.5"],
        ),
    ];
    let path = folder.path.join("bent");
    let (mut sound, mut refused) = (0, 0);
    for seed in seeds {
        let whole = std::fs::read(seed).unwrap();
        for round in 0..1_500 {
            let mut bytes = whole.clone();
            if round % 4 == 0 {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            for _ in 0..=random.below(12) {
                if bytes.is_empty() {
                    break;
                }
                // Heads more often than music.
                let near = if random.below(2) == 0 { 80 } else { bytes.len() as u64 };
                let at = random.below(near.min(bytes.len() as u64)) as usize;
                match random.below(5) {
                    0 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4) as usize],
                    1 => {
                        let from = random.below(bytes.len() as u64) as usize;
                        let length = random.below(200).min((bytes.len() - from.max(at)) as u64);
                        bytes.copy_within(from..from + length as usize, at);
                    }
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            match played(&path, 1) {
                Ok(samples) => {
                    // At most what a byte can hold at the highest step up: 8 kbit/s MP3.
                    assert!(samples.len() <= 8_000 + bytes.len() * 72, "{}", samples.len());
                    sound += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(sound > 500 && refused > 500, "{sound} played, {refused} refused");
}

/// Checksums of all its pages made right, or nothing behind a page's head is ever looked at.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 27).filter(|head| head.starts_with(b"OggS")) {
        let lacing = bytes.get(at + 27..at + 27 + usize::from(head[26])).unwrap_or(&[]);
        let end = at + 27 + lacing.len() + lacing.iter().map(|it| usize::from(*it)).sum::<usize>();
        let Some(page) = bytes.get_mut(at..end) else { break };
        page[22..26].fill(0);
        let sum = page.iter().fold(0_u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
                if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
            })
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        at = end;
    }
    bytes
}

fn repaired(opus: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut bent = opus.to_vec();
    bent[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(bent)
}

#[test]
fn streams_of_opus_one_after_the_other_are_one_and_lost_pages_only_cost_themselves() {
    let folder = TempFolder::new();
    let path = made(&folder.path, "a.opus", &["-c:a", "libopus", "-page_duration", "100000"]);
    let one = std::fs::read(path).unwrap();
    assert_eq!(sealed(one.clone()), one, "the test's own checksum");
    let path = folder.path.join("case");
    let heard = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        played(&path, 1).unwrap()
    };
    // As a radio station changes its piece.
    let chained = heard(&[one.clone(), one.clone()].concat());
    assert_eq!(chained.len(), 16_000);
    assert_eq!(chained[..8_000], heard(&one));

    let pages: Vec<usize> = (0..one.len()).filter(|at| one[*at..].starts_with(b"OggS")).collect();
    let mut damaged = one.clone();
    damaged[pages[5] + 60] ^= 0xff;
    let without = heard(&damaged);
    assert!((7_000..=7_400).contains(&without.len()), "{}", without.len());
    damaged.splice(pages[5]..pages[6], [b'O'; 333]);
    assert_eq!(heard(&damaged).len(), without.len());
    // Tuned in: the first three pages of audio are not there, positions do not begin at 0.
    let tuned_in = heard(&[&one[..pages[2]], &one[pages[5]..]].concat());
    assert!((5_500..=5_700).contains(&tuned_in.len()), "{}", tuned_in.len());
}

#[test]
fn bent_opus_never_panics_and_never_runs_away() {
    let folder = TempFolder::new();
    let mut random = Random(7);
    let seeds = [
        made(&folder.path, "a.opus", &["-c:a", "libopus", "-t", "0.3"]),
        made(&folder.path, "b.opus", &["-c:a", "libopus", "-ac", "2", "-b:a", "96k", "-t", "0.2"]),
        made(&folder.path, "c.opus", &["-c:a", "libopus", "-page_duration", "20000", "-t", "0.3"]),
    ];
    let path = folder.path.join("bent");
    let (mut sound, mut refused) = (0, 0);
    for seed in seeds {
        let whole = std::fs::read(seed).unwrap();
        for round in 0..1_500 {
            let mut bytes = whole.clone();
            if round % 5 == 0 {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            for _ in 0..=random.below(10) {
                if bytes.is_empty() {
                    break;
                }
                let near = [60, 200, bytes.len() as u64][random.below(3) as usize];
                let at = random.below(near.min(bytes.len() as u64)) as usize;
                match random.below(4) {
                    0 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4) as usize],
                    1 => {
                        let from = random.below(bytes.len() as u64) as usize;
                        let length = random.below(200).min((bytes.len() - from.max(at)) as u64);
                        bytes.copy_within(from..from + length as usize, at);
                    }
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            if round % 8 != 0 {
                bytes = sealed(bytes);
            }
            std::fs::write(&path, &bytes).unwrap();
            match played(&path, 1) {
                Ok(samples) => {
                    // A packet of two bytes and its length can last 120 ms.
                    assert!(samples.len() <= 8_000 + bytes.len() * 320, "{}", samples.len());
                    sound += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(sound > 500 && refused > 500, "{sound} played, {refused} refused");
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
