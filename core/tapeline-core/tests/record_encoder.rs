//! Encoders that fail, panic or hang in the middle of a recording (R29): the recording goes on, and its
//! file is what was promised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod record_support;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use record_support::faulty_disk::FaultyDisk;
use record_support::{Stage, Studio, TempFolder, decode, onset, sine};
use tapeline_core::boundary::event::{FinishReason, RecordingFinished};
use tapeline_core::record::disk::DiskSpool;
use tapeline_core::record::format::mp3::{Layout, Mp3Engine};
use tapeline_core::record::format::{EncoderFault, Mp3Maker, lame};
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::Format;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Fault,
    Panic,
    Hang,
    FaultAtFlush,
    PanicWhenMade,
}

/// LAME, which goes wrong once it was given so many samples. Encoders beyond the first `bad` are sound.
struct Bad {
    lame: Box<dyn Mp3Engine>,
    way: Way,
    samples_left: usize,
}

impl Mp3Engine for Bad {
    fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        self.samples_left = self.samples_left.saturating_sub(samples.len());
        match self.way {
            Way::Fault if self.samples_left == 0 => Err(EncoderFault("injected".into())),
            Way::Panic if self.samples_left == 0 => panic!("injected"),
            Way::Hang if self.samples_left == 0 => {
                std::thread::sleep(Duration::from_secs(7));
                self.lame.encode(samples, bytes)
            }
            _ => self.lame.encode(samples, bytes),
        }
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        match self.way {
            Way::FaultAtFlush => Err(EncoderFault("injected".into())),
            _ => self.lame.flush(bytes),
        }
    }
}

fn bad_encoders(bad: u64, way: Way, samples: usize) -> Mp3Maker {
    let made = AtomicU64::new(0);
    let sound = lame::maker();
    Arc::new(move |layout: &Layout| {
        let lame = sound(layout)?;
        if made.fetch_add(1, Ordering::SeqCst) >= bad {
            return Ok(lame);
        }
        assert!(way != Way::PanicWhenMade, "injected");
        Ok(Box::new(Bad { lame, way, samples_left: samples }))
    })
}

fn studio(mp3: Mp3Maker) -> Studio {
    let folder = TempFolder::new();
    let disk = DiskSpool::open(&folder.path).unwrap();
    Studio::with(folder, disk, mp3)
}

/// Tones that begin at 0.5 s and at 2 s, so that both parts of a file can be placed.
fn wave(rate_hz: u32) -> impl Fn(u64, usize) -> i16 {
    let ms = u64::from(rate_hz) / 1000;
    move |at, channel| {
        let hz = 500.0 + 300.0 * channel as f64;
        let is_tone = (500 * ms..1000 * ms).contains(&at) || at >= 2000 * ms;
        if is_tone { sine(rate_hz, hz, 500 * ms, at) } else { 0 }
    }
}

fn check_tones(path: &Path, rate_hz: u32, channels: u8, samples: u64, what: &str) {
    let decoded = decode(path, Format::Mp3);
    assert_eq!(decoded.len() as u64, samples * u64::from(channels), "{what}");
    let ms = rate_hz as usize / 1000;
    for channel in 0..usize::from(channels) {
        let first = onset(&decoded, channels.into(), channel).unwrap();
        assert!(first.abs_diff(500 * ms) <= 2 * ms, "{what}, channel {channel}: {first}");
        let from = 1200 * ms;
        let later = decoded.get(from * usize::from(channels)..).unwrap();
        let second = from + onset(later, channels.into(), channel).unwrap();
        assert!(second.abs_diff(2000 * ms) <= 2 * ms, "{what}, channel {channel}: {second}");
    }
}

fn check_whole(stage: &Stage, finished: &RecordingFinished, channels: u8, what: &str) {
    assert_eq!(finished.reason, FinishReason::Command, "{what}");
    let notes: Vec<&str> = finished.notes.iter().map(|(why, _)| why.as_str()).collect();
    assert_eq!(notes, ["encoder_fault"], "{what}");
    assert_eq!(finished.missing_ms, [], "{what}");
    assert_eq!(finished.sample_count, stage.tap.position(), "{what}");
    check_tones(&stage.audio_path(), stage.rate_hz, channels, finished.sample_count, what);
    let mut names: Vec<_> = names_in(&stage.folder);
    names.sort();
    assert_eq!(names, ["audio.part", "blocks.sha256", "journal.jsonl"], "{what}");
    let bytes = fs::read(stage.audio_path()).unwrap();
    let blocks = fs::read_to_string(stage.folder.join("blocks.sha256")).unwrap();
    let kind = (Format::Mp3, stage.rate_hz, channels);
    assert_eq!(blocks, record_support::blocks_of(&bytes, kind), "{what}");
    let report = repair(&stage.folder).unwrap();
    assert!(report.was_finished && !report.was_repaired, "{what}: {report:?}");
    assert_eq!((report.sha256, report.notes), (finished.sha256.clone(), finished.notes.clone()));
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn rest_of(folder: &Path) -> Option<PathBuf> {
    let name = names_in(folder).into_iter().find(|name| name.starts_with("rest-"))?;
    Some(folder.join(name))
}

#[test]
fn r29_a_failing_encoder_costs_no_sample_and_keeps_the_promised_format() {
    for (rate_hz, channels) in [(8000, 1), (8000, 2), (16_000, 1), (48_000, 2)] {
        for (way, at_ms) in [
            (Way::Fault, 0),
            (Way::Fault, 1_500),
            (Way::Panic, 777),
            (Way::Panic, 2_990),
            (Way::FaultAtFlush, 0),
            (Way::PanicWhenMade, 0),
        ] {
            let what = format!("{way:?} at {at_ms} ms, {rate_hz} Hz, {channels} ch");
            let samples = at_ms * rate_hz as usize / 1000 * usize::from(channels);
            let mut studio = studio(bad_encoders(1, way, samples));
            let mut stage = studio.start(Format::Mp3, rate_hz, channels);
            stage.play_ms(3_000, wave(rate_hz));
            stage.finish(FinishReason::Command);
            let finished = studio.wait_finished(stage.recorder);

            check_whole(&stage, &finished, channels, &what);
            let journal = fs::read_to_string(stage.folder.join("journal.jsonl")).unwrap();
            assert!(journal.contains("\"type\":\"encoder_fault\""), "{what}: {journal}");
            let troubles = studio.troubles();
            assert_eq!(troubles.len(), 1, "{what}: {troubles:?}");
            assert!(troubles[0].starts_with("recorded as raw samples: "), "{what}: {troubles:?}");
            assert_eq!(studio.count(&studio.counters.caught_panics), 0, "{what}");
        }
    }
}

/// LAME, which notes who calls it.
struct Watched(Box<dyn Mp3Engine>, Arc<Mutex<HashSet<ThreadId>>>);

impl Watched {
    fn note(&self) {
        self.1.lock().unwrap().insert(std::thread::current().id());
    }
}

impl Mp3Engine for Watched {
    fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        self.note();
        self.0.encode(samples, bytes)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        self.note();
        self.0.flush(bytes)
    }
}

/// Whoever ticks only copies samples: what MP3 costs is CPU time of other threads.
#[test]
fn r30_mp3_is_encoded_outside_the_thread_that_ticks() {
    let callers = Arc::new(Mutex::new(HashSet::new()));
    let (sound, told) = (lame::maker(), callers.clone());
    let mut studio = studio(Arc::new(move |layout: &Layout| {
        let lame = sound(layout)?;
        Ok(Box::new(Watched(lame, told.clone())))
    }));
    let mut stage = studio.start(Format::Mp3, 8000, 2);
    stage.play_ms(60_000, |_, _| 0);
    stage.finish(FinishReason::Command);
    assert_eq!(studio.wait_finished(stage.recorder).sample_count, 480_000);

    let callers = callers.lock().unwrap();
    assert!(!callers.is_empty() && !callers.contains(&std::thread::current().id()));
}

/// Ticks in real time; one encoder sleeps 7 s. Whoever shares its writer waits 3 s, its ring holds 8.
#[test]
fn r29_a_hanging_encoder_costs_nobody_a_sample() {
    let mut studio = studio(bad_encoders(1, Way::Hang, 4_000));
    let mut stages: Vec<_> = (0..4).map(|_| studio.start(Format::Mp3, 8000, 1)).collect();
    let mut wav = studio.start(Format::Wav, 8000, 1);
    let begun = Instant::now();
    let mut least_room = usize::MAX;
    for tick in 0..300_u32 {
        for stage in stages.iter_mut().chain([&mut wav]) {
            least_room = least_room.min(stage.tap.room());
            stage.tick(wave(8000));
        }
        let due = Duration::from_millis(20) * (tick + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    for stage in stages.iter_mut().chain([&mut wav]) {
        stage.finish(FinishReason::Command);
    }
    let finished: Vec<_> = stages.iter().map(|it| studio.wait_finished(it.recorder)).collect();

    assert!(least_room >= 8 * 3_000, "3 s of the ring were left, not {least_room} samples");
    let notes = finished.iter().filter(|it| !it.notes.is_empty()).count();
    assert_eq!(notes, 1, "the one that hung, no other");
    for (stage, finished) in stages.iter().zip(&finished) {
        assert_eq!((finished.sample_count, finished.missing_ms.len()), (48_000, 0));
        check_tones(&stage.audio_path(), 8000, 1, 48_000, "hang");
    }
    assert_eq!(studio.wait_finished(wav.recorder).sample_count, 48_000);
}

/// More encoders hang than a writer waits for: it stops asking, and repair encodes what it left.
#[test]
fn r29_when_every_encoder_hangs_everything_is_kept_raw() {
    let mut studio = studio(bad_encoders(u64::MAX, Way::Hang, 4_000));
    let mut stages: Vec<_> = (0..10).map(|_| studio.start(Format::Mp3, 8000, 1)).collect();
    let begun = Instant::now();
    for tick in 0..350_u32 {
        for stage in &mut stages {
            assert!(stage.tap.room() >= 160, "a ring is full");
            stage.tick(wave(8000));
        }
        let due = Duration::from_millis(20) * (tick + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    for stage in &mut stages {
        stage.finish(FinishReason::Command);
    }
    for stage in &stages {
        let finished = studio.wait_finished(stage.recorder);
        assert_eq!((finished.reason, finished.sha256.as_str()), (FinishReason::WriterFailed, ""));
        let rest = rest_of(&stage.folder).unwrap();
        assert!(decode(&rest, Format::Wav).len() > 40_000, "a WAV by itself");

        let report = repair(&stage.folder).unwrap();

        assert_eq!((report.sample_count, report.notes.len()), (56_000, 1));
        check_tones(&stage.audio_path(), 8000, 1, 56_000, "repaired");
    }
}

#[test]
fn r29_a_crash_on_raw_samples_is_repaired_into_one_file() {
    for (rate_hz, channels) in [(8000, 1), (16_000, 2)] {
        let samples = rate_hz as usize * 3 / 2 * usize::from(channels);
        let mut studio = studio(bad_encoders(1, Way::Fault, samples));
        let mut stage = studio.start(Format::Mp3, rate_hz, channels);
        stage.play_ms(3_000, wave(rate_hz));
        let deadline = Instant::now() + Duration::from_secs(10);
        while stage.tap.room() < rate_hz as usize * 8 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(500)); // two visits
        let what = format!("{rate_hz} Hz, {channels} ch");
        let copy = copy_of(&stage.folder, "copy");
        let rest = rest_of(&copy).unwrap();
        let kept_rest = fs::read(&rest).unwrap();
        fs::write(copy.join("audio.again"), b"what an earlier repair left").unwrap();
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);

        let report = repair(&copy).unwrap();

        assert_eq!(report.sample_count, stage.tap.position(), "{what}");
        assert_eq!((report.notes.len(), report.was_finished), (1, false), "{what}");
        check_tones(&copy.join("audio.part"), rate_hz, channels, report.sample_count, &what);
        assert!(!rest.exists() && !copy.join("audio.again").exists(), "{what}");
        // A crash between the new file's rename and the rest's removal: nothing is there twice.
        fs::write(&rest, kept_rest).unwrap();
        let again = repair(&copy).unwrap();
        assert_eq!((again.sample_count, &again.sha256), (report.sample_count, &report.sha256));
        assert!(!rest.exists() && !again.was_repaired, "{what}");
        assert_eq!(again.notes, report.notes, "{what}");
    }
}

#[test]
fn r29_raw_samples_on_a_full_disk_are_repaired_when_there_is_room() {
    let folder = TempFolder::new();
    let (disk, faults) = FaultyDisk::over(&folder.path);
    let mut studio = Studio::with(folder, disk, bad_encoders(1, Way::Fault, 12_000));
    let mut stage = studio.start(Format::Mp3, 8000, 1);
    stage.play_ms(2_400, wave(8000));
    std::thread::sleep(Duration::from_millis(500));
    faults.allowance.store(0, Ordering::Relaxed);
    stage.play_ms(1_000, wave(8000));
    let finished = studio.wait_finished(stage.recorder);

    assert_eq!(finished.reason, FinishReason::WriterFailed);
    let report = if finished.sha256.is_empty() {
        repair(&stage.folder).unwrap().sample_count
    } else {
        finished.sample_count
    };
    assert_eq!(report, 8 * 2_400);
    check_tones(&stage.audio_path(), 8000, 1, report, "full disk");
}

fn copy_of(folder: &Path, name: &str) -> PathBuf {
    let copy =
        folder.with_file_name(name.to_owned() + folder.file_name().unwrap().to_str().unwrap());
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}
