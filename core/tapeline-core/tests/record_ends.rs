//! What pauses and trimming leave of a recording: files decoded by ffmpeg, and repaired after a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use record_support::{STARTED_UNIX_US, Stage, Studio, blocks_of, decode, noise, sine};
use sha2::{Digest, Sha256};
use tapeline_core::boundary::event::{FinishReason, RecordingFinished};
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::Format;
use tapeline_core::record::tap::TapState;

const KINDS: [(Format, u32, u8); 4] = [
    (Format::Wav, 8000, 1),
    (Format::Wav, 16_000, 2),
    (Format::Mp3, 8000, 1),
    (Format::Mp3, 16_000, 2),
];

fn trimmed(studio: &mut Studio, (format, rate_hz, channels): (Format, u32, u8)) -> Stage {
    let mut spec = studio.spec(format, rate_hz, channels);
    spec.trim_silence = true;
    studio.start_spec(spec)
}

/// A tone between two moments and comfort noise around it.
fn island(rate_hz: u32, from_ms: u64, to_ms: u64) -> impl Fn(u64) -> i16 {
    let at_ms = move |ms: u64| ms * u64::from(rate_hz) / 1000;
    move |at| {
        let is_tone = (at_ms(from_ms)..at_ms(to_ms)).contains(&at);
        if is_tone { sine(rate_hz, 440.0, 0, at) } else { noise(at, 0) >> 11 }
    }
}

/// Plays by the clock, not by the position in the file, which trimming holds back.
fn play(stage: &mut Stage, milliseconds: u64, wave: impl Fn(u64) -> i16) {
    let tick = u64::from(stage.rate_hz / 50);
    for number in 0..milliseconds / 20 {
        let position = stage.tap.position();
        stage.frame(tick, |at, _| wave(number * tick + at - position));
    }
}

/// First and last sample of a channel that belong to the tone, and the channel's length.
fn extent(path: &Path, (format, _, channels): (Format, u32, u8)) -> (u64, u64, u64) {
    let decoded = decode(path, format);
    let side: Vec<i16> = decoded.iter().step_by(channels.into()).copied().collect();
    let is_tone = |sample: &i16| sample.unsigned_abs() > 3000;
    let first = side.iter().position(is_tone).unwrap() as u64;
    let last = side.iter().rposition(is_tone).unwrap() as u64;
    (first, last, side.len() as u64)
}

fn check_file(folder: &Path, kind: (Format, u32, u8), finished: &RecordingFinished) {
    let bytes = std::fs::read(folder.join("audio.part")).unwrap();
    assert_eq!(finished.byte_count, bytes.len() as u64, "{kind:?}");
    let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(finished.sha256, digest, "{kind:?}");
    let blocks = std::fs::read_to_string(folder.join("blocks.sha256")).unwrap();
    assert_eq!(blocks, blocks_of(&bytes, kind), "{kind:?}");
    let report = repair(folder).unwrap();
    assert!(report.was_finished && !report.was_repaired, "{report:?}");
    assert_eq!(report.started_unix_us, finished.started_unix_us);
}

#[test]
fn silence_at_both_ends_is_not_in_the_file() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let ms = u64::from(kind.1) / 1000;
        for (silence_ms, tail_ms) in [(2_000, 60_000), (0, 3_000), (5_010, 30), (1_000, 700)] {
            let mut stage = trimmed(&mut studio, kind);
            let end_ms = silence_ms + 3_000;
            play(&mut stage, end_ms + tail_ms, island(kind.1, silence_ms, end_ms));
            stage.finish(FinishReason::Command);
            let finished = studio.wait_finished(stage.recorder);

            let what = format!("{kind:?}, {silence_ms} ms before, {tail_ms} ms behind");
            let (first, last, length) = extent(&stage.audio_path(), kind);
            assert_eq!(finished.sample_count, length, "{what}");
            assert!(first <= 121 * ms, "{what}: {first} samples before the sound");
            assert!(silence_ms < 100 || first >= 99 * ms, "{what}: {first} samples before it");
            assert!((2_990 * ms..=3_010 * ms).contains(&(last - first)), "{what}");
            assert!(length - last <= 101 * ms, "{what}: {} samples behind", length - last);
            let true_start = STARTED_UNIX_US + (silence_ms * 1000) as i64
                - (first * 1_000_000 / u64::from(kind.1)) as i64;
            let error = (finished.started_unix_us - true_start).abs();
            assert!(error <= 2_000, "{what}: {error} us");
            check_file(&stage.folder, kind, &finished);
        }
    }
    assert_eq!(studio.troubles(), Vec::<String>::new());
}

#[test]
fn a_recording_of_silence_is_the_smallest_file_that_plays() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let mut stage = trimmed(&mut studio, kind);
        play(&mut stage, 30_000, |at| noise(at, 0) >> 11);
        stage.finish(FinishReason::Command);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!(finished.sample_count, u64::from(kind.1 / 50));
        let decoded = decode(&stage.audio_path(), kind.0);
        assert_eq!(decoded.len() as u64, finished.sample_count * u64::from(kind.2));
        check_file(&stage.folder, kind, &finished);
    }
}

#[test]
fn the_time_limit_counts_what_is_in_the_file() {
    let mut studio = Studio::new();
    let mut spec = studio.spec(Format::Wav, 8000, 1);
    (spec.trim_silence, spec.limit_ms) = (true, 1_000);
    let mut stage = studio.start_spec(spec);
    play(&mut stage, 10_000, |_| 0);
    stage.tap.pause();
    play(&mut stage, 10_000, |at| noise(at, 0));
    stage.tap.resume();
    let mut ticks = 1;
    while stage.tick(noise) == TapState::Running {
        ticks += 1;
    }
    stage.finish(FinishReason::TimeLimit);
    assert_eq!(ticks, 50);
    assert_eq!(studio.wait_finished(stage.recorder).sample_count, 8_000);
}

#[test]
fn what_was_said_in_a_pause_is_nowhere_on_the_disk() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let (format, rate_hz, channels) = kind;
        let mut stage = studio.start(format, rate_hz, channels);
        let before = |at, channel| sine(rate_hz, 500.0 + 300.0 * channel as f64, 0, at);
        stage.play_ms(1_000, before);
        stage.tap.pause();
        std::thread::sleep(Duration::from_millis(450)); // two visits: all that was before is written
        let at_pause = listing(&stage.folder);
        let position = stage.tap.position();
        let secret = vec![12_345_i16; rate_hz as usize / 50];
        for _ in 0..100 {
            match channels {
                1 => stage.tap.push_mono(&secret),
                _ => stage.tap.push_stereo(&secret, &secret),
            };
        }
        assert_eq!(stage.tap.position(), position);
        std::thread::sleep(Duration::from_millis(450));
        assert_eq!(listing(&stage.folder), at_pause, "{kind:?}: a pause writes nothing");
        stage.tap.resume();
        stage.play_ms(1_000, before);
        stage.finish(FinishReason::Command);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!(finished.sample_count, 2 * u64::from(rate_hz), "{kind:?}");
        assert_eq!(finished.missing_ms, [], "{kind:?}");
        let decoded = decode(&stage.audio_path(), format);
        assert_eq!(decoded.len() as u64, finished.sample_count * u64::from(channels));
        assert!(decoded.iter().all(|sample| *sample < 12_340), "{kind:?}");
        if format == Format::Wav {
            let channels = usize::from(channels);
            let whole = |n: usize| before((n / channels) as u64, n % channels);
            assert!((0..decoded.len()).all(|n| decoded[n] == whole(n)), "{kind:?}");
        }
        let journal = std::fs::read_to_string(stage.folder.join("journal.jsonl")).unwrap();
        let at = position;
        let ended = format!("{{\"at\":{at},\"duration_ms\":2000,\"type\":\"pause_ended\"}}");
        assert!(journal.contains(&ended), "{journal}");
        check_file(&stage.folder, kind, &finished);
    }
}

/// Names, lengths and bytes.
fn listing(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Copies of the folder as `kill -9` would leave it: while it waits for a sound, with sound, in a pause,
/// after it.
#[test]
fn stereo_paused_and_trimmed_parts_are_repaired() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let rate_hz = kind.1;
        let mut stage = trimmed(&mut studio, kind);
        let mut copies = Vec::new();
        let mut copy = |stage: &Stage| {
            std::thread::sleep(Duration::from_millis(450)); // two visits
            let to = stage.folder.with_file_name(format!("copy_{kind:?}_{}", copies.len()));
            std::fs::create_dir(&to).unwrap();
            for (path, bytes) in listing(&stage.folder) {
                std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
            }
            copies.push((to, stage.tap.position()));
        };
        let tone = |at| sine(rate_hz, 440.0, 0, at);
        play(&mut stage, 2_000, |at| noise(at, 0) >> 11);
        copy(&stage);
        play(&mut stage, 2_000, tone);
        copy(&stage);
        stage.tap.pause();
        play(&mut stage, 3_000, tone);
        copy(&stage);
        stage.tap.resume();
        play(&mut stage, 2_000, tone);
        copy(&stage);
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);

        for (number, (folder, position)) in copies.into_iter().enumerate() {
            let report = repair(&folder).unwrap();
            let what = format!("{kind:?}, copy {number}: {report:?}");
            assert_eq!((report.rate_hz, report.channels), (rate_hz, kind.2), "{what}");
            assert!(report.sample_count <= position, "{what}");
            assert!(position - report.sample_count <= u64::from(rate_hz) / 2, "{what}");
            assert_eq!(report.has_audio, number > 0, "{what}");
            assert_eq!(report.missing_ms, [], "{what}");
            if number > 0 {
                assert_eq!(report.started_unix_us, STARTED_UNIX_US + 1_900_000, "{what}");
                let (_, _, length) = extent(&folder.join("audio.part"), kind);
                assert_eq!(length, report.sample_count, "{what}");
            }
            assert!(!repair(&folder).unwrap().was_repaired, "{what}");
        }
    }
}
