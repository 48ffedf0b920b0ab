//! Power losses (R7): crash states built from the trace of what the recorder wrote and synced, repaired
//! and counted; and folders that were bent at random.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod record_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use record_support::traced_disk::{Act, Luck, TracedDisk, after_loss};
use record_support::{Random, Stage, Studio, TempFolder, decode, noise, sine};
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::boundary::handle::{Handle, LegHandle};
use tapeline_core::record::format::mp3::{Layout, Mp3Engine};
use tapeline_core::record::format::{EncoderFault, Mp3Maker, lame};
use tapeline_core::record::probe;
use tapeline_core::record::repair::{RepairReport, repair};
use tapeline_core::record::spec::Format;
use tapeline_core::record::tap::MarkKind;

type Kind = (Format, u32, u8);

const KINDS: [Kind; 4] = [
    (Format::Wav, 8000, 1),
    (Format::Wav, 16_000, 2),
    (Format::Mp3, 8000, 1),
    (Format::Mp3, 16_000, 2),
];
const LOST_MS: u64 = 1_500;
const FLUSH: Duration = Duration::from_millis(8);

/// LAME; the first that is made fails after two seconds.
struct Failing(Box<dyn Mp3Engine>, usize);

impl Mp3Engine for Failing {
    fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        self.1 = self.1.checked_sub(samples.len()).ok_or(EncoderFault("injected".into()))?;
        self.0.encode(samples, bytes)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncoderFault> {
        self.0.flush(bytes)
    }
}

fn first_fails() -> Mp3Maker {
    let (made, sound) = (AtomicU64::new(0), lame::maker());
    Arc::new(move |layout: &Layout| {
        let lame = sound(layout)?;
        let is_first = made.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(if is_first { Box::new(Failing(lame, 16_000)) } else { lame })
    })
}

fn wave((format, rate_hz, _): Kind, at: u64, channel: usize) -> i16 {
    match format {
        Format::Wav => noise(at, channel),
        Format::Mp3 => sine(rate_hz, 500.0 + 300.0 * channel as f64, 0, at),
    }
}

/// Ticks of 20 ms in real time, each noted in the trace.
fn play(disk: &TracedDisk, stages: &mut [(Stage, Kind)], from: u64, ticks: u64) {
    let leg = LegHandle(Handle { slot: 9, generation: 1 });
    let begun = Instant::now();
    for tick in 0..ticks {
        for (stage, kind) in stages.iter_mut() {
            if tick % 25 == 0 {
                stage.tap.mark(MarkKind::Joined { leg, delay_ms: 40 });
            }
            stage.tick(|at, channel| wave(*kind, at, channel));
        }
        disk.note((from + tick + 1) * 20);
        let due = Duration::from_millis(20) * (tick as u32 + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

/// Milliseconds that were recorded, and whether the last sample was announced, by then.
fn told(acts: &[Act]) -> (u64, bool) {
    let notes = acts.iter().filter_map(|it| if let Act::Note(at) = it { Some(*at) } else { None });
    notes.fold((0, false), |(ms, done), at| match at {
        FINISHED => (ms, true),
        at => (at, done),
    })
}

const FINISHED: u64 = u64::MAX;

struct Trace {
    acts: Vec<Act>,
    recordings: Vec<(PathBuf, Kind, bool)>,
}

fn record(mp3: Mp3Maker, kinds: &[Kind], has_fault: bool) -> Trace {
    let disk = TracedDisk::new(FLUSH);
    let mut studio = Studio::with(TempFolder::new(), disk.clone(), mp3);
    let mut stages: Vec<(Stage, Kind)> =
        kinds.iter().map(|kind| (studio.start(kind.0, kind.1, kind.2), *kind)).collect();
    play(&disk, &mut stages, 0, 200);
    for (stage, _) in &mut stages {
        stage.finish(FinishReason::Command);
    }
    for (stage, _) in &stages {
        studio.wait_finished(stage.recorder);
    }
    disk.note(FINISHED);
    let recordings =
        stages.iter().map(|(stage, kind)| (stage.folder.clone(), *kind, has_fault)).collect();
    Trace { acts: disk.acts(), recordings }
}

/// A folder in memory where there is one: repair syncs what it mends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("tapeline-power-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn empty(&self) -> &Path {
        fs::remove_dir_all(&self.0).unwrap();
        fs::create_dir(&self.0).unwrap();
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Repairs twice; everybody who counts agrees, and what is there is what was recorded.
fn check(folder: &Path, kind: Kind, decodes: bool, what: &str) -> RepairReport {
    let (format, rate_hz, channels) = kind;
    let report = repair(folder).unwrap();
    if !report.has_audio {
        return report;
    }
    let audio = folder.join("audio.part");
    let bytes = fs::read(&audio).unwrap();
    let again = repair(folder).unwrap();
    assert!(!again.was_repaired && again.sha256 == report.sha256, "{what}: {again:?}");
    assert_eq!(fs::read(&audio).unwrap(), bytes, "{what}");
    assert_eq!((again.sample_count, &again.notes), (report.sample_count, &report.notes), "{what}");
    assert_eq!(again.missing_ms, report.missing_ms, "{what}");
    assert_eq!((report.format, report.rate_hz, report.channels), (Some(format), rate_hz, channels));
    assert_eq!(probe(&audio).unwrap().sample_count, report.sample_count, "{what}");
    let blocks = fs::read_to_string(folder.join("blocks.sha256")).unwrap();
    assert_eq!(blocks, record_support::blocks_of(&bytes, kind), "{what}");
    let journal = fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    for line in journal.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(what);
        assert!(line["type"].is_string(), "{what}: {line}");
    }
    if format == Format::Wav {
        let width = usize::from(channels);
        for (place, pair) in bytes[80..].chunks_exact(2).enumerate() {
            let sample = i16::from_le_bytes([pair[0], pair[1]]);
            let expected = wave(kind, (place / width) as u64, place % width).to_le_bytes();
            // A sector's end may fall between a sample's bytes.
            let is_part = pair.iter().zip(expected).all(|(it, was)| *it == was || *it == 0);
            assert!(is_part, "{what}: {sample} at {place}");
        }
    }
    if decodes {
        let decoded = decode(&audio, format);
        assert_eq!(decoded.len() as u64, report.sample_count * u64::from(channels), "{what}");
    }
    report
}

/// Crash states of a trace; how many were looked at, and the longest loss in milliseconds.
fn lose_power(trace: &Trace, random: &mut Random) -> (u64, u64) {
    let scratch = Scratch::new();
    let (mut states, mut worst) = (0, 0);
    let lucks = [
        Luck::All,
        Luck::None,
        Luck::LongFile,
        Luck::ShortFile,
        Luck::Torn { sector: 512 },
        Luck::Torn { sector: 512 },
        Luck::Torn { sector: 4096 },
        Luck::Torn { sector: 4096 },
    ];
    let syncs = (0..trace.acts.len()).filter(|at| matches!(trace.acts[*at], Act::Sync { .. }));
    // Just before each sync ended, when most is at stake, just after, and anywhere.
    let mut moments: Vec<usize> = syncs.flat_map(|at| [at, at + 1]).collect();
    moments.extend((0..60).map(|_| random.below(trace.acts.len() as u64 + 1) as usize));
    for count in moments {
        let (recorded_ms, is_finished) = told(&trace.acts[..count]);
        for luck in lucks {
            let files = after_loss(&trace.acts, count, luck, random);
            for (recording, kind, has_fault) in &trace.recordings {
                let folder = scratch.empty();
                let own = files.iter().filter(|(path, _)| path.starts_with(recording));
                for (path, content) in own {
                    fs::write(folder.join(path.file_name().unwrap()), content).unwrap();
                }
                states += 1;
                let what = format!("{kind:?} after {count} acts, {luck:?}, {recorded_ms} ms");

                let report = check(folder, *kind, states % 40 == 0, &what);

                let kept_ms = report.sample_count * 1000 / u64::from(kind.1);
                let lost_ms = recorded_ms.saturating_sub(kept_ms);
                worst = worst.max(lost_ms);
                assert!(lost_ms <= LOST_MS, "{what}: {lost_ms} ms lost");
                if is_finished {
                    assert!(report.was_finished && lost_ms == 0, "{what}: {report:?}");
                }
                assert!(*has_fault || report.notes.is_empty(), "{what}");
            }
        }
    }
    (states, worst)
}

#[test]
fn r07_a_power_loss_costs_at_most_a_second_and_a_half() {
    let trace = record(lame::maker(), &KINDS, false);
    let (states, worst) = lose_power(&trace, &mut Random(5));
    println!("{states} crash states of {} acts, at most {worst} ms lost", trace.acts.len());
    assert!(states >= 1_000, "{states} crash states");
}

#[test]
fn r07_a_power_loss_on_raw_samples_costs_no_more() {
    let trace = record(first_fails(), &[(Format::Mp3, 8000, 1)], true);
    let (states, worst) = lose_power(&trace, &mut Random(6));
    println!("{states} crash states of {} acts, at most {worst} ms lost", trace.acts.len());
    assert!(states >= 300, "{states} crash states");
}

/// Any bytes in any file of a folder, names like ours included: no panic, an answer in bounded time,
/// and the second repair finds nothing to do.
#[test]
fn r07_bent_folders_never_hurt_the_repair() {
    let mut random = Random(77);
    let scratch = Scratch::new();
    for (trace, kinds) in [
        (record(lame::maker(), &KINDS[..3], false), 3),
        (record(first_fails(), &[(Format::Mp3, 8000, 1)], true), 1),
    ] {
        for round in 0..400_u64 {
            let (recording, kind, _) = &trace.recordings[(round % kinds) as usize];
            let count = random.below(trace.acts.len() as u64 + 1) as usize;
            let files = after_loss(&trace.acts, count, Luck::Torn { sector: 512 }, &mut random);
            let folder = scratch.empty().to_path_buf();
            for (path, mut content) in files.into_iter().filter(|(it, _)| it.starts_with(recording))
            {
                bend(&mut content, &mut random);
                let mut name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if random.below(20) == 0 {
                    let odd = [
                        "rest-0.wav",
                        "rest-18446744073709551615.wav",
                        "audio.again",
                        "rest-7.wav",
                    ];
                    name = odd[random.below(4) as usize].to_owned();
                }
                fs::write(folder.join(name), content).unwrap();
            }
            let begun = Instant::now();

            let report = repair(&folder).unwrap();

            let what = format!("round {round}, {kind:?}: {report:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
            let again = repair(&folder).unwrap();
            assert_eq!(again.sample_count, report.sample_count, "{what}");
            assert!(!again.was_repaired, "{what}");
        }
    }
}

fn bend(content: &mut Vec<u8>, random: &mut Random) {
    if content.is_empty() {
        return;
    }
    for _ in 0..random.below(6) {
        let near = if random.below(2) == 0 { 400 } else { content.len() as u64 };
        let at = random.below(near.min(content.len() as u64)) as usize;
        match random.below(6) {
            0 => content.truncate(at + 1),
            1 => {
                let filler = vec![random.below(256) as u8; random.below(5_000) as usize];
                content.splice(at..at, filler);
            }
            _ => content[at] = random.below(256) as u8,
        }
    }
}
