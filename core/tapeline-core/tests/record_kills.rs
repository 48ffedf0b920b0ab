//! `kill -9` of a recording process at seeded random moments (R7): this test starts itself as that
//! process, kills it, repairs what it left and has it played by ffmpeg, soxi and Python's `wave`.
//!
//! `KILLS` recordings are killed, 20 unless told; `KILL_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod record_support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use record_support::{Random, Stage, Studio, TempFolder, decode, noise, onset, sine};
use tapeline_core::boundary::event::TrackFile;
use tapeline_core::boundary::handle::{Handle, LegHandle};
use tapeline_core::record::disk::DiskSpool;
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::{Format, RecordingSpec};
use tapeline_core::record::tap::MarkKind;
use tapeline_core::record::tap::tracks::Voice;

type Kind = (Format, u32, u8);

/// With tracks or without: of a room's participants beside mono, of a call's sides beside stereo.
const KINDS: [(Kind, bool); 8] = [
    ((Format::Wav, 8000, 1), false),
    ((Format::Mp3, 8000, 1), false),
    ((Format::Wav, 16_000, 2), false),
    ((Format::Mp3, 16_000, 2), false),
    ((Format::Wav, 8000, 1), true),
    ((Format::Mp3, 48_000, 1), true),
    ((Format::Wav, 16_000, 2), true),
    ((Format::Mp3, 8000, 2), true),
];
/// Who is there from the start.
const FIRST: LegHandle = LegHandle(Handle { slot: 9, generation: 1 });
/// Who comes into rooms with tracks later.
const SECOND: LegHandle = LegHandle(Handle { slot: 10, generation: 1 });
/// Recordings of one process, each begun at another moment.
const AT_ONCE: usize = 5;
const LOST_MS: u64 = 1_000;
const USUAL_LOST_MS: u64 = 500;
/// A tone begins in each MP3 at this sample of the recording, milliseconds.
const ONSET_MS: u64 = 300;

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn wave((format, rate_hz, _): Kind, at: u64, channel: usize) -> i16 {
    let onset = ONSET_MS * u64::from(rate_hz) / 1000;
    match format {
        Format::Wav => noise(at, channel),
        Format::Mp3 => sine(rate_hz, 500.0 + 300.0 * channel as f64, onset, at),
    }
}

fn any_kinds(random: &mut Random) -> Vec<(Kind, bool)> {
    (0..AT_ONCE).map(|_| KINDS[random.below(KINDS.len() as u64) as usize]).collect()
}

fn joined(leg: LegHandle) -> MarkKind {
    MarkKind::Joined { leg, delay_ms: 40 }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// One line a thing that happened, told before the kill can come: `tick N MS`, `joined N AT`, …
fn tell(what: &str, number: usize, at: u64) {
    println!("{what} {number} {at} {}", now_ms());
    std::io::stdout().flush().unwrap();
}

/// The process that is killed: records in real time until then.
fn record_until_killed(folder: PathBuf, seed: u64) -> ! {
    println!(); // the test runner began a line
    let mut random = Random(seed);
    let disk = DiskSpool::open(&folder).unwrap();
    let mut studio = Studio::on(TempFolder { path: folder }, disk);
    let begins: Vec<u64> = (0..AT_ONCE as u64).map(|_| random.below(60)).collect();
    let kinds = any_kinds(&mut random);
    let mut stages: Vec<Option<Stage>> = (0..AT_ONCE).map(|_| None).collect();
    let begun = Instant::now();
    for tick in 0_u64.. {
        for number in 0..AT_ONCE {
            let (kind, has_tracks) = kinds[number];
            if tick == begins[number] {
                let spec = studio.spec(kind.0, kind.1, kind.2);
                let stage = studio.start_spec(RecordingSpec { tracks: has_tracks, ..spec });
                stages[number].insert(stage).tap.mark(joined(FIRST));
            }
            let Some(stage) = &mut stages[number] else { continue };
            let from = stage.tap.position();
            stage.tick(|at, channel| wave(kind, at, channel));
            let side = |channel| {
                (from..stage.tap.position()).map(|at| wave(kind, at, channel)).collect::<Vec<_>>()
            };
            let (said, heard) = (side(0), side(1));
            stage.tap.follow_with_tracks(|voice| match voice {
                Voice::Says(_) => &said,
                Voice::Hears(_) => &heard,
            });
            let position = stage.tap.position();
            if random.below(50) == 0 {
                let is_room = has_tracks && kind.2 == 1;
                stage.tap.mark(joined(if is_room { SECOND } else { FIRST }));
                tell("joined", number, position);
            }
            if random.below(80) == 0 {
                stage.tap.pause();
                stage.tap.resume();
                tell("pause_ended", number, position);
            }
            tell("tick", number, position);
        }
        let due = Duration::from_millis(20) * (tick as u32 + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    unreachable!()
}

/// What the killed process had told.
#[derive(Default)]
struct Told {
    /// Samples pushed.
    position: u64,
    /// Lines that the journal should have: what, at which sample.
    lines: Vec<(String, u64)>,
}

struct Killed {
    _folder: TempFolder,
    seed: u64,
    recordings: Vec<(PathBuf, (Kind, bool), Told)>,
}

fn run_and_kill(random: &mut Random) -> Killed {
    let folder = TempFolder::new();
    let seed = random.below(1 << 30);
    let life = Duration::from_millis(1_600 + random.below(2_000));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["r07_after_a_kill", "--exact", "--nocapture", "--test-threads", "1"])
        .env("TAPELINE_KILL_FOLDER", &folder.path)
        .env("TAPELINE_KILL_CHILD", seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = kill_after(child, life);
    let mut telling: Vec<Told> = (0..AT_ONCE).map(|_| Told::default()).collect();
    for line in &lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, number, at, _] = words[..] else { continue };
        let (Ok(number), Ok(at)) = (number.parse::<usize>(), at.parse::<u64>()) else { continue };
        let Some(told) = telling.get_mut(number) else { continue };
        match what {
            "tick" => told.position = at,
            "joined" | "pause_ended" => told.lines.push((what.to_owned(), at)),
            _ => {}
        }
    }
    let mut again = Random(seed);
    for _ in 0..AT_ONCE {
        again.below(60);
    }
    let kinds = any_kinds(&mut again);
    // The folders are numbered as the recordings were started, which the order of first ticks shows.
    let mut order: Vec<usize> = Vec::new();
    for line in &lines {
        let number = line.strip_prefix("tick ").and_then(|it| it.split(' ').next()?.parse().ok());
        order.extend(number.filter(|number: &usize| !order.contains(number)));
    }
    let mut recordings = Vec::new();
    for (place, number) in order.into_iter().enumerate() {
        let told = std::mem::take(&mut telling[number]);
        recordings.push((folder.path.join(format!("rec_{}", place + 1)), kinds[number], told));
    }
    Killed { _folder: folder, seed, recordings }
}

/// The lines that a process had written whole when it was killed.
fn kill_after(mut child: Child, life: Duration) -> Vec<String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || out.lines().map_while(Result::ok).collect());
    std::thread::sleep(life);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    reader.join().unwrap()
}

fn check(seed: u64, folder: &Path, (kind, has_tracks): (Kind, bool), told: &Told) -> u64 {
    let (format, rate_hz, channels) = kind;
    let what = format!("KILL_SEED child {seed}, {kind:?}, {}", folder.display());
    let report = repair(folder).unwrap();
    assert_eq!((report.format, report.rate_hz, report.channels), (Some(format), rate_hz, channels));
    assert_eq!((report.was_finished, report.missing_ms.len()), (false, 0), "{what}");
    let second = u64::from(rate_hz);
    // The last tick may have been pushed and not yet told.
    assert!(report.sample_count <= told.position + second / 50, "{what}: {report:?}");
    let lost_ms = told.position.saturating_sub(report.sample_count) * 1000 / second;
    assert!(lost_ms <= LOST_MS, "{what}: {lost_ms} ms lost of {}", told.position);

    let audio = named(&folder.join("audio.part"), format);
    let decoded = decode(&audio, format);
    assert_eq!(decoded.len() as u64, report.sample_count * u64::from(channels), "{what}");
    check_samples(kind, &decoded, &what);
    check_players(kind, &audio, report.sample_count, &what);
    check_journal(folder, report.sample_count.saturating_sub(second / 4), told, &what);
    if has_tracks {
        check_tracks(folder, kind, told, &report.tracks, &what);
    } else {
        assert!(report.tracks.is_empty(), "{what}");
    }
    let again = repair(folder).unwrap();
    assert!(!again.was_repaired && again.sha256 == report.sha256, "{what}");
    lost_ms
}

fn check_samples(kind: Kind, decoded: &[i16], what: &str) {
    let (format, rate_hz, channels) = kind;
    let width = usize::from(channels);
    if format == Format::Wav {
        let is_ours = |(at, it): (usize, &i16)| *it == noise((at / width) as u64, at % width);
        assert!(decoded.iter().enumerate().all(is_ours), "{what}: other samples");
        return;
    }
    let expected = ONSET_MS * u64::from(rate_hz) / 1000;
    for channel in 0..width {
        if let Some(found) = onset(decoded, width, channel) {
            assert!(
                (found as u64).abs_diff(expected) <= u64::from(rate_hz) / 500,
                "{what}: {found}"
            );
        } else {
            assert!(decoded.len() / width <= rate_hz as usize / 2, "{what}: no tone");
        }
    }
}

/// Each holds what its leg said, or heard, from its place in the main file on.
fn check_tracks(folder: &Path, kind: Kind, told: &Told, tracks: &[TrackFile], what: &str) {
    let (format, rate_hz, channels) = kind;
    let second = u64::from(rate_hz);
    let later = told.lines.iter().find(|(kind, at)| channels == 1 && kind == "joined" && *at > 0);
    let begun = [Some(0), if channels == 2 { Some(0) } else { later.map(|(_, at)| *at) }];
    for (number, begun) in (1..).zip(begun) {
        let Some(begun) = begun else { continue };
        let Some(track) = tracks.iter().find(|track| track.number == number) else {
            // What began within the last second may be lost with it.
            assert!(begun + second * LOST_MS / 1000 >= told.position, "{what}: track {number}");
            continue;
        };
        let place = track.offset_ms * second / 1000;
        assert_eq!(place, begun, "{what}: track {number}");
        let lost_ms = told.position.saturating_sub(place + track.sample_count) * 1000 / second;
        assert!(lost_ms <= LOST_MS, "{what}: {lost_ms} ms of track {number} lost");
        let audio = folder.join(format!("tracks/{number:03}/audio.part"));
        let decoded = decode(&audio, format);
        assert_eq!(decoded.len() as u64, track.sample_count, "{what}: track {number}");
        check_players((format, rate_hz, 1), &named(&audio, format), track.sample_count, what);
        if format == Format::Wav {
            let channel = if channels == 2 { number as usize - 1 } else { 0 };
            let is_ours = |(at, it): (u64, &i16)| *it == noise(place + at, channel);
            assert!((0..).zip(&decoded).all(is_ours), "{what}: other samples in {number}");
        }
    }
}

/// A copy whose name says what it is.
fn named(audio: &Path, format: Format) -> PathBuf {
    let copy = audio.with_file_name(if format == Format::Wav { "audio.wav" } else { "audio.mp3" });
    fs::copy(audio, &copy).unwrap();
    copy
}

/// soxi and Python read WAV; ffprobe counts an MP3 in frames.
fn check_players(kind: Kind, audio: &Path, sample_count: u64, what: &str) {
    let (format, rate_hz, channels) = kind;
    if format == Format::Mp3 {
        let show = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
        let told: f64 = output("ffprobe", &[&show[..], &[audio.to_str().unwrap()]].concat())
            .trim()
            .parse()
            .expect(what);
        let expected = sample_count as f64 / f64::from(rate_hz);
        assert!((told - expected).abs() <= 0.25, "{what}: {told} s instead of {expected}");
    } else {
        let told = output("soxi", &["-s", audio.to_str().unwrap()]);
        assert_eq!(told.trim(), sample_count.to_string(), "{what}: soxi");
        let program = "import sys, wave; f = wave.open(sys.argv[1]); \
                       print(f.getnframes(), f.getframerate(), f.getnchannels(), \
                       len(f.readframes(1 << 30)))";
        let told = output("python3", &["-c", program, audio.to_str().unwrap()]);
        let bytes = sample_count * 2 * u64::from(channels);
        assert_eq!(told.trim(), format!("{sample_count} {rate_hz} {channels} {bytes}"), "{what}");
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect(program);
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// What happened before the audio that is left is in the journal, at its place.
fn check_journal(folder: &Path, until: u64, told: &Told, what: &str) {
    let text = fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(what)).collect();
    let count = |kind: &str, at: u64| {
        lines.iter().filter(|line| line["type"] == kind && line["at"] == at).count()
    };
    assert_eq!((&lines[0]["type"], count("armed", 0)), (&serde_json::json!("start"), 1), "{what}");
    for (kind, at) in told.lines.iter().filter(|(_, at)| *at < until) {
        assert_eq!(count(kind, *at), 1, "{what}: {kind} at {at}\n{text}");
    }
    let began = lines.iter().filter(|line| line["type"] == "pause_began").count();
    let ended = lines.iter().filter(|line| line["type"] == "pause_ended").count();
    assert!(began - ended <= 1, "{what}: {began} pauses began, {ended} ended");
}

#[test]
fn r07_after_a_kill() {
    if let Ok(seed) = std::env::var("TAPELINE_KILL_CHILD") {
        let folder = std::env::var("TAPELINE_KILL_FOLDER").unwrap();
        record_until_killed(folder.into(), seed.parse().unwrap());
    }
    let wanted = number_of("KILLS", 20) as usize;
    let seed = number_of("KILL_SEED", now_ms());
    println!("KILL_SEED={seed}");
    let mut random = Random(seed);
    let mut lost_ms = Vec::new();
    while lost_ms.len() < wanted {
        let killed = run_and_kill(&mut random);
        for (folder, kind, told) in &killed.recordings {
            lost_ms.push(check(killed.seed, folder, *kind, told));
        }
    }
    lost_ms.sort_unstable();
    let median = lost_ms[lost_ms.len() / 2];
    println!(
        "{} recordings killed: {} ms lost in the median, {} at most",
        lost_ms.len(),
        median,
        lost_ms[lost_ms.len() - 1]
    );
    assert!(median <= USUAL_LOST_MS, "{lost_ms:?}");
}
