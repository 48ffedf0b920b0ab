//! Disks that fill up, stall, lose files or are slow, and a recorder that must not care too much.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use record_support::faulty_disk::FaultyDisk;
use record_support::{Studio, decode, noise, tone};
use tapeline_core::boundary::event::{Event, FinishReason};
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::Format;

fn wait_trouble(studio: &mut Studio) -> String {
    studio.wait(|event| match event {
        Event::RecorderTrouble { detail, .. } => Some(detail.clone()),
        _ => None,
    })
}

#[test]
fn a_full_disk_ends_the_recording_and_keeps_what_is_there() {
    for (format, channels, allowance) in
        [(Format::Wav, 1, 50_001), (Format::Wav, 2, 50_003), (Format::Mp3, 1, 5_555)]
    {
        let (mut studio, faults) = FaultyDisk::studio();
        faults.allowance.store(allowance, Ordering::Relaxed);
        let mut stage = studio.start(format, 8000, channels);
        let wave = |at: u64, channel: usize| match format {
            Format::Wav => noise(at, channel),
            Format::Mp3 => tone(8000, 440.0, 0)(at, channel),
        };
        stage.play_ms(5000, wave);

        let detail = wait_trouble(&mut studio);
        let finished = studio.wait_finished(stage.recorder);

        assert!(detail.starts_with("no space left on the disk: "), "{detail}");
        assert_eq!(finished.reason, FinishReason::WriterFailed);
        assert!(stage.tap.is_abandoned());
        for _ in 0..1000 {
            let _ = stage.tap.push_mono(&[0; 160]); // the tick goes on unharmed
        }
        let decoded = decode(&stage.audio_path(), format);
        assert_eq!(decoded.len() as u64, finished.sample_count * u64::from(channels));
        let written = match format {
            Format::Wav => allowance as u64 / (2 * u64::from(channels)),
            Format::Mp3 => allowance as u64 / 144 * 576 - 1105,
        };
        assert_eq!(finished.sample_count, written);
        let report = repair(&stage.folder).unwrap();
        assert!(report.was_finished, "the salvage left nothing to repair: {report:?}");
        assert_eq!(report.sha256, finished.sha256);
        let bytes = std::fs::read(stage.audio_path()).unwrap();
        let blocks = std::fs::read_to_string(stage.folder.join("blocks.sha256")).unwrap();
        assert_eq!(blocks, record_support::blocks_of(&bytes, (format, 8000, channels)));
        assert_eq!(studio.count(&studio.counters.caught_panics), 0);
    }
}

#[test]
fn below_the_reserve_no_recording_starts_and_nothing_is_left_behind() {
    let (mut studio, faults) = FaultyDisk::studio();
    faults.free_bytes.store(700 << 10, Ordering::Relaxed);
    let spec = studio.spec(Format::Wav, 8000, 1);
    let folder = spec.folder.clone();
    studio.open(spec);

    assert_eq!(studio.wait_failed(), "disk space: 0 MB left, 1 MB are kept free");
    assert!(!folder.exists());
}

#[test]
fn a_start_that_cannot_be_opened_says_why() {
    let mut studio = Studio::new();
    let outside = record_support::TempFolder::new();
    let cases: [(&str, PathBuf, u32, u8, &str); 4] = [
        ("outside", outside.path.join("rec"), 8000, 1, "not inside the spool"),
        (
            "shape",
            studio.folder.path.join("a"),
            11_025,
            2,
            "16000 or 48000 samples a second, not 11025",
        ),
        ("rate", studio.folder.path.join("b"), 96_000, 1, "not 96000"),
        ("file", studio.folder.path.join("c/d"), 8000, 1, "c"),
    ];
    std::fs::write(studio.folder.path.join("c"), "a file where a folder should be").unwrap();
    for (name, folder, rate_hz, channels, reason) in cases {
        let spec = studio.spec(Format::Mp3, rate_hz, channels);
        let folder_then = folder.clone();
        studio.open(tapeline_core::record::spec::RecordingSpec { folder, ..spec });
        let said = studio.wait_failed();
        assert!(said.contains(reason), "{name}: {said}");
        assert!(!folder_then.exists(), "{name}");
    }
}

#[test]
fn a_second_start_in_one_folder_leaves_the_first_alone() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Wav, 8000, 1);
    stage.play_ms(500, noise);
    let mut spec = studio.spec(Format::Wav, 8000, 1);
    spec.folder = stage.folder.clone();
    studio.open(spec);

    assert!(studio.wait_failed().starts_with("there is a recording already: "));
    stage.play_ms(500, noise);
    stage.finish(FinishReason::Command);
    assert_eq!(studio.wait_finished(stage.recorder).sample_count, 8000);
}

#[test]
fn a_stall_of_seconds_loses_nothing() {
    let (mut studio, faults) = FaultyDisk::studio();
    let mut stage = studio.start(Format::Wav, 8000, 1);
    stage.play_ms(400, noise);
    faults.hold_up(&mut stage);
    // Into the ring only: 8 s fit, and what came meanwhile is there already.
    let frames = stage.tap.room() / 160;
    assert!(frames >= 250, "{frames}");
    for _ in 0..frames {
        let from = stage.tap.position();
        let frame: Vec<i16> = (from..from + 160).map(|at| noise(at, 0)).collect();
        stage.tap.push_mono(&frame);
    }
    faults.set_gate(false);
    stage.play_ms(400, noise);
    stage.finish(FinishReason::Command);
    let finished = studio.wait_finished(stage.recorder);

    assert_eq!(finished.missing_ms, []);
    let samples = decode(&stage.audio_path(), Format::Wav);
    assert_eq!(samples.len() as u64, stage.tap.position());
    assert!(samples.iter().enumerate().all(|(at, it)| *it == noise(at as u64, 0)));
}

#[test]
fn r08_a_stall_beyond_the_ring_is_silence_at_its_place_and_counted_as_missing() {
    for format in [Format::Wav, Format::Mp3] {
        let (mut studio, faults) = FaultyDisk::studio();
        let mut stage = studio.start(format, 8000, 1);
        stage.play_ms(400, noise);
        faults.hold_up(&mut stage);
        while stage.tap.room() >= 160 {
            let from = stage.tap.position();
            let frame: Vec<i16> = (from..from + 160).map(|at| noise(at, 0)).collect();
            stage.tap.push_mono(&frame);
        }
        let gap_from = stage.tap.position();
        for _ in 0..50 {
            stage.tap.push_mono(&[9999; 160]);
        }
        faults.set_gate(false);
        while stage.tap.room() < 160 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let gap_to = stage.tap.position();
        stage.play_ms(1000, noise);
        let expected = stage.tap.position();
        stage.finish(FinishReason::Command);
        let finished = studio.wait_finished(stage.recorder);

        assert_eq!(finished.sample_count, expected);
        assert_eq!(finished.missing_ms, [("overflow".to_owned(), 1000)]);
        let samples = decode(&stage.audio_path(), format);
        assert_eq!(samples.len() as u64, expected);
        if format == Format::Wav {
            for (at, sample) in samples.iter().enumerate() {
                let is_gap = (gap_from..gap_to).contains(&(at as u64));
                assert_eq!(*sample, if is_gap { 0 } else { noise(at as u64, 0) }, "sample {at}");
            }
        }
        let journal = std::fs::read_to_string(stage.folder.join("journal.jsonl")).unwrap();
        let line = format!("{{\"at\":{gap_from},\"samples\":8000,\"type\":\"overflow\"}}");
        assert!(journal.contains(&line), "{journal}");
        assert_eq!(studio.count(&studio.counters.ring_overflow_frames), 50);
    }
}

#[test]
fn r08_skipped_ticks_are_silence_of_exact_length_and_counted_as_missing() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Wav, 16_000, 2);
    stage.play_ms(200, noise);
    stage.tap.skip(320 * 7);
    stage.play_ms(200, noise);
    stage.tap.skip(16_000 * 25); // more than a visit lays down at once
    stage.finish(FinishReason::Command);
    let finished = studio.wait_finished(stage.recorder);

    let samples = decode(&stage.audio_path(), Format::Wav);
    assert_eq!(finished.sample_count, 3200 + 2240 + 3200 + 400_000);
    assert_eq!(finished.missing_ms, [("skipped_ticks".to_owned(), 25_140)]);
    assert_eq!(samples.len() as u64, finished.sample_count * 2);
    for (place, sample) in samples.iter().enumerate() {
        let at = place as u64 / 2;
        let is_gap = (3200..5440).contains(&at) || at >= 8640;
        assert_eq!(*sample, if is_gap { 0 } else { noise(at, place % 2) });
    }
}

#[test]
fn a_file_that_vanishes_ends_the_recording() {
    let mut studio = Studio::new();
    let mut stage = studio.start(Format::Wav, 8000, 1);
    stage.play_ms(200, noise);
    std::fs::remove_file(stage.audio_path()).unwrap();
    stage.play_ms(200, noise);

    let detail = wait_trouble(&mut studio);
    let finished = studio.wait_finished(stage.recorder);

    assert!(detail.starts_with("the file or its folder is gone: "), "{detail}");
    assert_eq!(finished.reason, FinishReason::WriterFailed);
    assert_eq!((finished.sample_count, finished.byte_count, finished.sha256.as_str()), (0, 0, ""));
}

#[test]
fn a_panic_ends_one_recording_and_no_other() {
    let (mut studio, faults) = FaultyDisk::studio();
    let mut doomed = studio.start(Format::Wav, 8000, 1);
    doomed.play_ms(1000, noise);
    faults.panics.store(true, Ordering::Relaxed);
    doomed.play_ms(1000, noise);
    let detail = wait_trouble(&mut studio);
    faults.panics.store(false, Ordering::Relaxed);
    let finished = studio.wait_finished(doomed.recorder);

    assert_eq!(detail, "a fault inside the recorder");
    assert_eq!(finished.reason, FinishReason::WriterFailed);
    assert_eq!(studio.count(&studio.counters.caught_panics), 1);
    let kept = decode(&doomed.audio_path(), Format::Wav);
    assert_eq!(kept.len() as u64, finished.sample_count);
    assert!(kept.iter().enumerate().all(|(at, it)| *it == noise(at as u64, 0)));

    let mut stage = studio.start(Format::Wav, 8000, 1);
    stage.play_ms(1000, noise);
    stage.finish(FinishReason::Command);
    assert_eq!(studio.wait_finished(stage.recorder).sample_count, 8000);
}

#[test]
fn r07_two_hundred_recordings_are_durable_in_time_on_a_slow_disk() {
    let (mut studio, faults) = FaultyDisk::studio();
    *faults.flush.lock().unwrap() = Duration::from_millis(8);
    let mut stages: Vec<_> = (0..200).map(|_| studio.start(Format::Wav, 8000, 1)).collect();
    let begun = Instant::now();
    for stage in &mut stages {
        stage.play_ms(200, noise);
    }
    let mut waiting: Vec<_> = stages.iter().map(|stage| stage.recorder).collect();
    while !waiting.is_empty() {
        let durable = studio.wait(|event| match event {
            Event::RecordingProgress { recorder, sample_count: 1600, .. } => Some(*recorder),
            Event::RecordingProgress { .. } => None,
            _ => None,
        });
        waiting.retain(|recorder| *recorder != durable);
    }
    let durable = faults.durable_since().expect("a flush after the last write");
    let took = durable.duration_since(begun);
    assert!(took < Duration::from_millis(1500), "durable after {took:?}");

    let flushes = faults.flushes.load(Ordering::Relaxed);
    for stage in &mut stages {
        stage.finish(FinishReason::Command);
    }
    for stage in &stages {
        assert_eq!(studio.wait_finished(stage.recorder).sample_count, 1600);
    }
    let at_end = faults.flushes.load(Ordering::Relaxed) - flushes;
    assert!(at_end < 200, "{at_end} flushes for 200 ends");
}
