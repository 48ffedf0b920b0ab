//! How recordings begin and end: limits, stops at once, many at a time, a node that stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::time::{Duration, Instant};

use record_support::{STARTED_UNIX_US, Studio, decode, noise, ticks_of_a_ring, tone};
use tapeline_core::boundary::event::{Event, FinishReason};
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::Format;
use tapeline_core::record::tap::TapState;

#[test]
fn a_stop_before_any_audio_gives_an_empty_file() {
    let mut studio = Studio::new();
    for format in [Format::Wav, Format::Mp3] {
        let mut stage = studio.start(format, 8000, 1);
        stage.finish(FinishReason::Command);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!((finished.sample_count, finished.started_unix_us), (0, STARTED_UNIX_US));
        let report = repair(&stage.folder).unwrap();
        assert!(report.was_finished && !report.has_audio, "{report:?}");
        assert_eq!(report.sha256, finished.sha256);
    }
}

#[test]
fn a_limit_ends_the_recording_at_its_sample() {
    let mut studio = Studio::new();
    for (format, limit_ms) in [(Format::Wav, 1000), (Format::Wav, 1010), (Format::Mp3, 2500)] {
        let mut spec = studio.spec(format, 8000, 2);
        spec.limit_ms = limit_ms;
        let mut stage = studio.start_spec(spec);
        let mut ticks = 0;
        while stage.tick(noise) == TapState::Running {
            ticks += 1;
        }
        stage.finish(FinishReason::TimeLimit);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!(ticks, (limit_ms - 1) / 20);
        assert_eq!(finished.reason, FinishReason::TimeLimit);
        assert_eq!(finished.sample_count, limit_ms * 8);
        assert_eq!(decode(&stage.audio_path(), format).len() as u64, limit_ms * 16);
    }
}

#[test]
fn a_tap_that_was_never_armed_ends_without_audio_and_leaves_no_trace() {
    let mut studio = Studio::new();
    let spec = studio.spec(Format::Mp3, 8000, 1);
    let folder = spec.folder.clone();
    let recorder = studio.open(spec);
    let tap = studio.tap();
    assert!(folder.join("audio.part").exists());

    drop(tap); // the room is gone

    let finished = studio.wait_finished(recorder);
    assert_eq!((finished.sample_count, finished.reason), (0, FinishReason::RoomClosed));
    assert!(finished.sha256.is_empty());
    assert!(!folder.exists());
    assert_eq!(studio.troubles(), Vec::<String>::new());
}

#[test]
fn a_tap_that_is_dropped_while_it_runs_still_gives_a_file() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Wav, 8000, 1);
    stage.play_ms(600, noise);
    let (recorder, path) = (stage.recorder, stage.audio_path());
    drop(stage);

    let finished = studio.wait_finished(recorder);

    assert_eq!((finished.sample_count, finished.reason), (4800, FinishReason::RoomClosed));
    assert_eq!(decode(&path, Format::Wav).len(), 4800);
    assert_eq!(studio.troubles().len(), 1);
}

#[test]
fn a_stopping_node_finishes_what_runs() {
    let mut studio = Studio::new();
    let mut stages: Vec<_> = (0..10)
        .map(|number| studio.start([Format::Wav, Format::Mp3][number % 2], 8000, 1))
        .collect();
    for stage in &mut stages {
        stage.play_ms(700, tone(8000, 440.0, 0));
    }

    studio.threads.stop();

    for stage in &stages {
        assert_eq!(studio.wait_finished(stage.recorder).sample_count, 5600);
        assert!(repair(&stage.folder).unwrap().was_finished);
    }
    let spec = studio.spec(Format::Wav, 8000, 1);
    let start =
        tapeline_core::boundary::command::StartRecording { recorder: studio.handle(), spec };
    assert!(studio.threads.open(1, start).is_err(), "no start after the stop");
}

#[test]
fn two_hundred_recordings_at_once_keep_apart() {
    let mut studio = Studio::new();
    let formats = [Format::Wav, Format::Mp3];
    let mut stages: Vec<_> =
        (0..200).map(|number| studio.start(formats[number % 2], 8000, 1)).collect();
    for round in 0..100_u64 {
        for (number, stage) in stages.iter_mut().enumerate() {
            // Each its own length and its own samples.
            if round < 50 + number as u64 % 50 {
                stage.tick(|at, _| noise(at + number as u64 * 1_000_003, 0));
            }
        }
    }
    for stage in &mut stages {
        stage.finish(FinishReason::Command);
    }
    for (number, stage) in stages.iter().enumerate() {
        let finished = studio.wait_finished(stage.recorder);
        let expected = (50 + number as u64 % 50) * 160;
        assert_eq!(finished.sample_count, expected);
        assert_eq!(finished.missing_ms, []);
        if number % 2 == 0 {
            let samples = std::fs::read(stage.audio_path()).unwrap().split_off(80);
            let read = |at: usize| i16::from_le_bytes([samples[at * 2], samples[at * 2 + 1]]);
            let own = |at: u64| noise(at + number as u64 * 1_000_003, 0);
            assert!((0..expected).all(|at| read(at as usize) == own(at)), "recording {number}");
        } else if number % 10 == 1 {
            assert_eq!(decode(&stage.audio_path(), Format::Mp3).len() as u64, expected);
        }
    }
    assert_eq!(studio.count(&studio.counters.recordings_started), 200);
    assert_eq!(studio.count(&studio.counters.recordings_finished), 200);
    assert_eq!(studio.troubles(), Vec::<String>::new());
}

#[test]
fn progress_comes_once_a_second_and_never_ahead_of_the_disk() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Wav, 8000, 1);
    let begun = Instant::now();
    for tick in 0..160_u32 {
        stage.tick(noise);
        let due = Duration::from_millis(20) * (tick + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let progress: Vec<u64> = studio
        .drain()
        .iter()
        .filter_map(|event| match event {
            Event::RecordingProgress { sample_count, byte_count, .. } => {
                assert_eq!(*byte_count, 80 + sample_count * 2);
                Some(*sample_count)
            }
            _ => None,
        })
        .collect();
    assert!((2..=4).contains(&progress.len()), "{progress:?}");
    assert!(progress.windows(2).all(|pair| pair[0] < pair[1]), "{progress:?}");
    stage.finish(FinishReason::Command);
    studio.wait_finished(stage.recorder);
}

#[test]
fn hours_of_audio_cost_no_memory() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Mp3, 8000, 1);
    let wave = tone(8000, 440.0, 0);
    let minute: Vec<i16> = (0..480_000).map(|at| wave(at, 0)).collect();
    let mut play = |minutes: usize| {
        for _ in 0..minutes {
            for frame in minute.chunks(160) {
                while stage.tap.room() < 160 {
                    std::thread::sleep(Duration::from_micros(100));
                }
                stage.tap.push_mono(frame);
            }
        }
    };
    play(10);
    let before = resident_bytes();
    play(60);
    let grown = resident_bytes().saturating_sub(before);

    assert!(grown < 2 << 20, "{grown} bytes more after an hour");
    assert!(ticks_of_a_ring() < 500);
    stage.finish(FinishReason::Command);
    assert_eq!(studio.wait_finished(stage.recorder).sample_count, 70 * 480_000);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
