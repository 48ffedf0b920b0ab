//! Files that are heard: who hears them, where they stand in recordings, and what hostile ones do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;
mod record_support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use media_support::{FRAME, Stage, leg, level_of, room, tap_spec, tone};
use record_support::{Random, TempFolder};
use tapeline_core::boundary::command::RoomCommand;
use tapeline_core::boundary::event::PlayEnd;
use tapeline_core::boundary::handle::{Handle, PlaybackHandle};
use tapeline_core::media::command::MediaCommand;
use tapeline_core::play::player::Program;
use tapeline_core::play::source::Fault;
use tapeline_core::play::{self, PlayRequest, PlaySpec};
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
    stage.room(RoomCommand::SetParticipant { leg: leg(0), muted: None, deaf: Some(true) });
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
        let spec = PlaySpec { path: path.to_path_buf(), target, loops };
        player.play(PlayRequest { command: 1_000 + u64::from(slot), playback, spec }).unwrap();
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
    let unknown = "the file is neither a WAV nor an MP3";
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
    let mut program = Program::new(File::open(path).unwrap(), loops);
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
fn wav_and_mp3_of_every_kind_are_played() {
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
fn what_is_no_audio_says_so() {
    let folder = TempFolder::new();
    let wav = std::fs::read(made(&folder.path, "a.wav", &["-c:a", "pcm_s16le"])).unwrap();
    let bent = |at: usize, bytes: &[u8]| {
        let mut bent = wav.clone();
        bent[at..at + bytes.len()].copy_from_slice(bytes);
        bent
    };
    let mp2 = std::fs::read(made(&folder.path, "a.mp2", &["-c:a", "mp2"])).unwrap();
    let cases = [
        (Vec::new(), "neither a WAV nor an MP3"),
        (b"<html>404</html>".to_vec(), "neither a WAV nor an MP3"),
        (wav[..30].to_vec(), "damaged"),
        (wav[..78].to_vec(), "no audio"),
        (bent(20, &[2, 0]), "neither PCM, float nor G.711"),
        (bent(22, &[6, 0]), "more than two channels"),
        (bent(24, &[0, 0, 1, 1]), "not between 8 and 48 kHz"),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), "damaged"),
        (vec![0xff; 50_000], "damaged"),
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
    let spec = PlaySpec { path, target: Target::Leg(leg(0)), loops: 1 };
    player.play(PlayRequest { command: 1_000, playback, spec }).unwrap();
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
