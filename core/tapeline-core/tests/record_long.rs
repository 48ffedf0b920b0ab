//! Files past 4 GiB (R18), recorded and repaired in virtual time on a sparse disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use record_support::sparse_disk::sparse_studio;
use record_support::{TempFolder, sine};
use tapeline_core::record::format::{Shape, wav};
use tapeline_core::record::probe;
use tapeline_core::record::repair::repair;
use tapeline_core::record::spec::Format;

const RATE_HZ: u64 = 48_000;
const SHAPE: Shape = Shape { rate_hz: RATE_HZ as u32, channels: 2 };

/// While it grows: its head is right at any moment, so a player sees all of it.
#[test]
#[cfg_attr(debug_assertions, ignore = "a minute of CPU without optimisation: cargo test --release")]
fn r18_a_recording_past_four_gibibytes_shows_its_length() {
    let mut studio = sparse_studio();
    let mut stage = studio.start(Format::Wav, SHAPE.rate_hz, SHAPE.channels);
    stage.play_ms(1_000, |at, _| sine(48_000, 440.0, 0, at));
    // 6.2 h: 4.3 GB. Ticks that never ran are silence that the writer lays down by itself.
    for _ in 0..62 {
        stage.tap.skip(360 * RATE_HZ);
    }
    stage.tap.skip(60 * RATE_HZ);
    let from = stage.tap.position();
    stage.play_ms(1_000, |at, _| sine(48_000, 880.0, from, at));
    let expected = from + RATE_HZ;
    let deadline = Instant::now() + Duration::from_secs(600);
    while probe(&stage.audio_path()).map_or(true, |it| it.sample_count < expected) {
        assert!(Instant::now() < deadline, "{:?}", probe(&stage.audio_path()));
        std::thread::sleep(Duration::from_millis(50));
    }

    check_long(&stage.audio_path(), expected);
    assert!(fs::metadata(stage.audio_path()).unwrap().blocks() < 100_000, "it is sparse");
    // Nobody waits for the hash of its end.
    std::mem::forget((studio, stage));
}

/// As a kill leaves it: the head of a second ago, half a sample at the end, no last line.
#[test]
fn r18_a_file_past_four_gibibytes_is_repaired() {
    let folder = TempFolder::new();
    let path = folder.path.join("audio.part");
    let samples = 22_400 * RATE_HZ;
    let file = OpenOptions::new().create_new(true).write(true).open(&path).unwrap();
    file.write_all_at(&wav::header(SHAPE, (samples - RATE_HZ) * 4), 0).unwrap();
    let mut tone = Vec::new();
    let second: Vec<i16> = (0..96_000).map(|at| sine(48_000, 880.0, 0, at / 2)).collect();
    wav::encode(&second, &mut tone);
    tone.extend([7, 7, 7]);
    file.write_all_at(&tone, wav::HEADER_BYTES + (samples - RATE_HZ) * 4).unwrap();

    let report = repair(&folder.path).unwrap();

    assert_eq!((report.sample_count, report.was_repaired), (samples, true));
    check_long(&path, samples);
}

fn check_long(path: &Path, samples: u64) {
    let mut head = [0; 4];
    io::Read::read_exact(&mut File::open(path).unwrap(), &mut head).unwrap();
    assert_eq!(&head, b"RF64");
    assert_eq!(probe(path).unwrap().sample_count, samples);
    let name = path.with_extension("wav");
    let _ = fs::hard_link(path, &name);
    let told = run(
        "ffprobe",
        &["-v", "error", "-show_entries", "stream=duration_ts", "-of", "csv=p=0"],
        &name,
    );
    assert_eq!(told.trim(), samples.to_string(), "ffprobe");
    let told = run("soxi", &["-s"], &name);
    assert_eq!(told.trim(), samples.to_string(), "soxi");
    // The tone that stands behind 4 GiB.
    let seconds = (samples / 48_000 - 1).to_string();
    let tail = Command::new("ffmpeg")
        .args(["-v", "error", "-ss", &seconds, "-i"])
        .arg(&name)
        .args(["-f", "s16le", "-"])
        .output()
        .unwrap();
    let heard: Vec<i16> =
        tail.stdout.chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).collect();
    assert_eq!(heard.len(), 96_000);
    let tone = |at: usize| sine(48_000, 880.0, 0, at as u64 / 2);
    assert!((0..96_000).all(|at| heard[at] == tone(at)), "the tone behind 4 GiB");
    fs::remove_file(name).unwrap();
}

fn run(program: &str, arguments: &[&str], path: &Path) -> String {
    let done = Command::new(program).args(arguments).arg(path).output().expect(program);
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
