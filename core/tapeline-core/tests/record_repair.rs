//! Folders as a crash leaves them, repaired and then decoded by ffmpeg and counted by their headers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use record_support::{Random, STARTED_UNIX_US, Studio, TempFolder, decode, noise, sine};
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::boundary::handle::{Handle, LegHandle};
use tapeline_core::record::probe;
use tapeline_core::record::repair::{RepairReport, repair};
use tapeline_core::record::spec::Format;
use tapeline_core::record::tap::MarkKind;

const KINDS: [(Format, u32, u8); 4] = [
    (Format::Wav, 8000, 1),
    (Format::Wav, 16_000, 2),
    (Format::Mp3, 8000, 1),
    (Format::Mp3, 16_000, 2),
];

/// A finished folder of `milliseconds` of noise (WAV) or tone (MP3), to be damaged.
fn finished(studio: &mut Studio, kind: (Format, u32, u8), milliseconds: u64) -> PathBuf {
    let (format, rate_hz, channels) = kind;
    let mut stage = studio.start(format, rate_hz, channels);
    stage.play_ms(milliseconds, |at, channel| wave(kind, at, channel));
    stage.finish(FinishReason::Command);
    studio.wait_finished(stage.recorder);
    stage.folder
}

fn wave((format, rate_hz, _): (Format, u32, u8), at: u64, channel: usize) -> i16 {
    match format {
        Format::Wav => noise(at, channel),
        Format::Mp3 => sine(rate_hz, 500.0 + 300.0 * channel as f64, 0, at),
    }
}

/// Repairs twice, decodes, and checks that everybody counts the same.
fn check(folder: &Path, kind: (Format, u32, u8), what: &str) -> RepairReport {
    let (format, rate_hz, channels) = kind;
    let report = repair(folder).unwrap();
    let audio = folder.join("audio.part");
    let once = (fs::read(&audio).unwrap(), fs::read(folder.join("journal.jsonl")).ok());
    let blocks = fs::read_to_string(folder.join("blocks.sha256")).unwrap();

    let again = repair(folder).unwrap();
    let twice = (fs::read(&audio).unwrap(), fs::read(folder.join("journal.jsonl")).ok());
    assert!(once == twice, "{what}: the second repair changed something");
    assert!(!again.was_repaired, "{what}");
    let unchanged =
        RepairReport { was_repaired: report.was_repaired, cut_bytes: report.cut_bytes, ..again };
    assert_eq!(RepairReport { patched_bytes: report.patched_bytes, ..unchanged }, report, "{what}");

    assert_eq!((report.format, report.rate_hz, report.channels), (Some(format), rate_hz, channels));
    assert_eq!(report.byte_count, once.0.len() as u64, "{what}");
    assert_eq!(probe(&audio).unwrap().sample_count, report.sample_count, "{what}");
    assert_eq!(blocks, record_support::blocks_of(&once.0, kind), "{what}");
    if report.has_audio {
        let decoded = decode(&audio, format);
        assert_eq!(decoded.len() as u64, report.sample_count * u64::from(channels), "{what}");
        if format == Format::Wav {
            let channels = usize::from(channels);
            let is_prefix = decoded
                .iter()
                .enumerate()
                .all(|(at, it)| *it == wave(kind, (at / channels) as u64, at % channels));
            assert!(is_prefix, "{what}: other samples than those recorded");
        }
    }
    report
}

#[test]
fn a_finished_folder_is_left_as_it_is() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 2500);
        let before = fs::read(folder.join("audio.part")).unwrap();

        let report = check(&folder, kind, "finished");

        assert!(report.was_finished && !report.was_repaired && report.has_audio);
        assert_eq!(report.sample_count, u64::from(kind.1) * 5 / 2);
        assert_eq!(report.started_unix_us, STARTED_UNIX_US);
        assert_eq!(fs::read(folder.join("audio.part")).unwrap(), before);
    }
}

#[test]
fn an_unfinished_file_plays_as_it_lies() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let (format, rate_hz, channels) = kind;
        let mut stage = studio.start(format, rate_hz, channels);
        let onset = u64::from(rate_hz);
        stage.play_ms(3000, |at, _| sine(rate_hz, 440.0, onset, at));
        std::thread::sleep(Duration::from_millis(450)); // two visits
        let copy = copy_of(&stage.folder, &studio.folder.path);

        let decoded = decode(&copy.join("audio.part"), format);

        let found = record_support::onset(&decoded, channels.into(), 0).unwrap() as u64;
        assert!(found.abs_diff(onset) <= u64::from(rate_hz) / 1000, "{kind:?}: {found}");
        let length = decoded.len() as u64 / u64::from(channels);
        assert!(length + u64::from(rate_hz) / 2 >= 3 * onset, "{kind:?}: {length} samples");
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);
    }
}

#[test]
fn a_file_cut_anywhere_plays_to_its_last_whole_part() {
    let mut studio = Studio::new();
    let mut random = Random(7);
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 3000);
        let whole = fs::metadata(folder.join("audio.part")).unwrap().len();
        let lengths = [0, 1, 79, 80, 81, 287, 288, 289, whole - 1];
        let cuts = (0..12).map(|_| random.below(whole)).chain(lengths);
        for length in cuts.collect::<Vec<_>>() {
            let copy = copy_of(&folder, &studio.folder.path);
            let file = OpenOptions::new().write(true).open(copy.join("audio.part")).unwrap();
            file.set_len(length).unwrap();

            let report = check(&copy, kind, &format!("{kind:?} cut at {length} of {whole}"));

            assert!(!report.was_finished);
            // An MP3 loses the delay of encoder and decoder, and a frame that is not whole.
            let (head, slack) = if kind.0 == Format::Wav { (80, 1) } else { (288, 576 * 4) };
            let second = u64::from(kind.1);
            let expected = length.saturating_sub(head) * 3 * second / (whole - head);
            assert!(report.sample_count + slack >= expected, "{kind:?} {length}: {report:?}");
            fs::remove_dir_all(copy).unwrap();
        }
    }
}

#[test]
fn tails_that_are_not_ours_are_cut() {
    let mut studio = Studio::new();
    let mut random = Random(11);
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 3000);
        let expected = u64::from(kind.1) * 3;
        for tail in ["zeros", "garbage"] {
            for is_finished in [true, false] {
                let copy = copy_of(&folder, &studio.folder.path);
                if !is_finished {
                    drop_last_line(&copy.join("journal.jsonl"));
                }
                // Far more than a visit writes at once, so that the WAV rule must see through it.
                let length = 900_000 + random.below(1000) as usize;
                let bytes: Vec<u8> = match tail {
                    "zeros" => vec![0; length],
                    _ => (0..length).map(|_| random.below(256) as u8).collect(),
                };
                let mut file =
                    OpenOptions::new().append(true).open(copy.join("audio.part")).unwrap();
                file.write_all(&bytes).unwrap();

                let what = format!("{kind:?}, {tail}, finished {is_finished}");
                let is_wav_garbage = kind.0 == Format::Wav && tail == "garbage" && !is_finished;
                if is_wav_garbage {
                    // Samples cannot be told from garbage: what one visit may have written stays.
                    let report = repair(&copy).unwrap();
                    let most = expected + 10 * u64::from(kind.1);
                    assert!((expected..=most).contains(&report.sample_count), "{what}");
                } else {
                    let report = check(&copy, kind, &what);
                    assert_eq!(report.sample_count, expected, "{what}");
                    assert_eq!(report.was_finished, is_finished, "{what}");
                }
                fs::remove_dir_all(copy).unwrap();
            }
        }
    }
}

#[test]
fn a_hole_inside_an_mp3_keeps_the_time_line() {
    let mut studio = Studio::new();
    let kind = (Format::Mp3, 8000, 1);
    let folder = finished(&mut studio, kind, 4000);
    drop_last_line(&folder.join("journal.jsonl"));
    let audio = folder.join("audio.part");
    let mut bytes = fs::read(&audio).unwrap();
    bytes[288 + 144 * 20..288 + 144 * 30].fill(0);
    fs::write(&audio, &bytes).unwrap();

    let report = repair(&folder).unwrap();

    assert_eq!(report.patched_bytes, 1440);
    assert_eq!(report.sample_count, 32_000);
    let decoded = decode(&audio, Format::Mp3);
    assert_eq!(decoded.len(), 32_000);
    let loud = |from: usize| decoded[from..from + 400].iter().any(|it| it.unsigned_abs() > 6000);
    assert!(loud(8000) && !loud(13_000) && loud(20_000));
    assert!(!repair(&folder).unwrap().was_repaired);
}

#[test]
fn zeros_inside_a_journal_are_taken_out_and_what_stands_behind_them_counts() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 1000);
        let path = folder.join("journal.jsonl");
        drop_last_line(&path);
        let gap = br#"{"type":"overflow","at":80,"samples":160}"#;
        let behind = [&[0; 512][..], b"cut\": 1}\n", gap, b"\n"].concat();
        let torn = [fs::read(&path).unwrap(), behind].concat();
        fs::write(&path, torn).unwrap();

        let report = check(&folder, kind, "a hole");

        assert_eq!(
            report.missing_ms,
            [("overflow".to_owned(), 160_000_u64.div_ceil(u64::from(kind.1)))]
        );
        let journal = fs::read_to_string(&path).unwrap();
        for line in journal.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(line["type"].is_string(), "{line}");
        }
        assert!(journal.contains("\"start\"") && journal.contains("\"overflow\""));
        let files = fs::read_dir(&folder).unwrap().count();
        assert_eq!(files, 3, "audio, blocks and journal");
    }
}

#[test]
fn a_torn_or_missing_journal_is_no_obstacle() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 1000);
        let whole = fs::read(folder.join("journal.jsonl")).unwrap();
        for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
            let copy = copy_of(&folder, &studio.folder.path);
            let mut torn = whole[..length].to_vec();
            if length % 2 == 0 {
                torn.extend([0; 100]);
            }
            fs::write(copy.join("journal.jsonl"), torn).unwrap();

            let report = check(&copy, kind, &format!("journal of {length} bytes"));

            assert_eq!(report.sample_count, u64::from(kind.1));
            fs::remove_dir_all(copy).unwrap();
        }
        fs::remove_file(folder.join("journal.jsonl")).unwrap();
        assert_eq!(check(&folder, kind, "no journal").sample_count, u64::from(kind.1));
    }
}

#[test]
fn a_lost_head_is_made_from_the_journal() {
    let mut studio = Studio::new();
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 1000);
        drop_last_line(&folder.join("journal.jsonl"));
        let audio = folder.join("audio.part");
        let mut bytes = fs::read(&audio).unwrap();
        let head = if kind.0 == Format::Wav { 80 } else { 288 };
        bytes[..head].fill(0);
        fs::write(&audio, &bytes).unwrap();

        let report = check(&folder, kind, "lost head");

        let second = u64::from(kind.1);
        assert!(report.sample_count.abs_diff(second) <= second / 10, "{report:?}");
    }
}

#[test]
fn nothing_recorded_is_said_clearly() {
    let temp = TempFolder::new();
    let report = repair(&temp.path).unwrap();
    assert!(!report.has_audio && !report.was_finished);
    assert_eq!((report.sample_count, report.sha256.as_str(), report.format), (0, "", None));

    fs::write(temp.path.join("audio.part"), b"").unwrap();
    assert!(!repair(&temp.path).unwrap().has_audio);
    fs::write(temp.path.join("audio.part"), b"not of ours").unwrap();
    assert!(!repair(&temp.path).unwrap().has_audio);
    assert!(probe(&temp.path.join("audio.part")).is_err());
    assert!(repair(Path::new("/not/there")).unwrap().format.is_none());
}

#[test]
fn bent_bytes_never_hurt_the_repair() {
    let mut studio = Studio::new();
    let mut random = Random(23);
    for kind in KINDS {
        let folder = finished(&mut studio, kind, 300);
        for round in 0..150 {
            let copy = copy_of(&folder, &studio.folder.path);
            for name in ["audio.part", "journal.jsonl"] {
                let mut bytes = fs::read(copy.join(name)).unwrap();
                for _ in 0..random.below(8) {
                    let near = if random.below(2) == 0 { 400 } else { bytes.len() as u64 };
                    let at = random.below(near.min(bytes.len() as u64)) as usize;
                    bytes[at] = random.below(256) as u8;
                }
                fs::write(copy.join(name), bytes).unwrap();
            }

            let report = repair(&copy).unwrap();

            let again = repair(&copy).unwrap();
            assert_eq!(again.sample_count, report.sample_count, "{kind:?}, round {round}");
            assert!(!again.was_repaired, "{kind:?}, round {round}");
            fs::remove_dir_all(copy).unwrap();
        }
    }
}

/// Ticks in real time; the folder is copied at random moments, as `kill -9` would leave it.
#[test]
fn a_kill_at_any_moment_costs_less_than_a_second() {
    let mut studio = Studio::new();
    let mut random = Random(42);
    let mut stages: Vec<_> = KINDS.iter().map(|(f, r, c)| studio.start(*f, *r, *c)).collect();
    let leg = LegHandle(Handle { slot: 9, generation: 1 });
    let begun = Instant::now();
    let mut copies = Vec::new();
    for tick in 0..200_u32 {
        for (stage, kind) in stages.iter_mut().zip(KINDS) {
            if tick % 25 == 0 {
                stage.tap.mark(MarkKind::Joined { leg, delay_ms: 40 });
            }
            stage.tick(|at, channel| wave(kind, at, channel));
            if tick > 20 && random.below(40) == 0 {
                let copy = copy_of(&stage.folder, &studio.folder.path);
                copies.push((copy, kind, stage.tap.position()));
            }
        }
        let due = Duration::from_millis(20) * (tick + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    for stage in &mut stages {
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);
    }

    assert!(copies.len() >= 10, "{} copies", copies.len());
    for (copy, kind, pushed) in copies {
        let report = check(&copy, kind, &format!("{kind:?} killed at {pushed}"));
        let lost_ms = pushed.saturating_sub(report.sample_count) * 1000 / u64::from(kind.1);
        assert!(report.sample_count <= pushed + 1000, "{report:?}");
        assert!(lost_ms <= 1000, "{kind:?}: {lost_ms} ms lost of {pushed} samples");
        let journal = fs::read_to_string(copy.join("journal.jsonl")).unwrap();
        let joins = journal.matches("\"joined\"").count() as u64;
        assert!(joins + 3 > pushed * 2 / u64::from(kind.1), "{joins} joins until {pushed}");
    }
}

fn copy_of(folder: &Path, into: &Path) -> PathBuf {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let copy = into.join(format!("copy_{number}"));
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

fn drop_last_line(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let kept: Vec<&str> = text.lines().collect();
    fs::write(path, kept[..kept.len() - 1].join("\n") + "\n").unwrap();
}
