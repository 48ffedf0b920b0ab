//! What files and tones give when they are played: every kind, and those that are bent or too long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod media_support;
mod record_support;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use media_support::{Stage, leg, level_of};
use record_support::{Random, TempFolder, made};
use tapeline_core::boundary::handle::{Handle, PlaybackHandle};
use tapeline_core::media::codec::Rate;
use tapeline_core::play::program::Program;
use tapeline_core::play::source::{Fault, Origin};
use tapeline_core::play::tones::{Tone, Tones};
use tapeline_core::play::{self, PlayRequest, PlaySource, PlaySpec};
use tapeline_core::record::spec::Target;

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
    let mut stage = Stage::with_talkers(&[(400.0, 6_000.0)]);
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
