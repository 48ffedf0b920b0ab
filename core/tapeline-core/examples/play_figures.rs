//! What playing costs: a thousand legs that each hear a sound of their own, in real time. CPU of the
//! player's thread per leg and second, and how much longer the tick takes.
//!
//! `cargo run --release -p tapeline-core --example play_figures` (needs ffmpeg)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/media_support/mod.rs"]
mod media_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use media_support::{Stage, leg};
use tapeline_core::boundary::handle::{Handle, PlaybackHandle};
use tapeline_core::media::codec::Rate;
use tapeline_core::media::tick::MediaConfig;
use tapeline_core::play::tones::{Tone, Tones};
use tapeline_core::play::{self, PlayRequest, PlaySource, PlaySpec};
use tapeline_core::record::spec::Target;

const LEGS: u32 = 1_000;
const SECONDS: u32 = 6;
/// Until every ring is full.
const SETTLING_TICKS: u32 = 150;

type Make = Box<dyn Fn() -> PlaySource>;

fn main() {
    let folder = PathBuf::from(format!("/tmp/tapeline-play-figures-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut kinds: Vec<(&str, Make)> = vec![("tones", Box::new(ringing))];
    for (name, file, options) in [
        ("WAV, 8 kHz mono", "a.wav", &["-ar", "8000", "-ac", "1"][..]),
        ("WAV, 44.1 kHz stereo", "b.wav", &["-ar", "44100", "-ac", "2"]),
        ("MP3, 8 kHz mono", "c.mp3", &["-ar", "8000", "-ac", "1"]),
        ("MP3, 44.1 kHz stereo", "d.mp3", &["-ar", "44100", "-ac", "2", "-b:a", "128k"]),
        ("Opus, mono", "e.opus", &["-c:a", "libopus", "-ac", "1", "-b:a", "32k"]),
    ] {
        let path = made(&folder, file, options);
        kinds.push((name, Box::new(move || PlaySource::File(path.clone()))));
    }
    let idle = ticks_us(&mut stage(), SECONDS * 50);
    println!("{LEGS} legs that hear nothing: the tick takes {idle:.0} us");
    for (name, make) in kinds {
        measure(name, &make, idle);
    }
    fs::remove_dir_all(&folder).unwrap();
}

fn ringing() -> PlaySource {
    let ring = Tone { hertz: [440, 480], on_ms: 2_000, off_ms: 1_000, level_cdb: -1_300 };
    PlaySource::Tones(Tones::new(vec![ring]).unwrap())
}

fn stage() -> Stage {
    let config = MediaConfig { legs: LEGS, plays: LEGS, rooms: 1, taps: 1, realtime: false };
    let mut stage = Stage::sized(config);
    for slot in 0..LEGS {
        stage.stock.restock();
        stage.phone(slot);
    }
    stage
}

fn measure(name: &str, make: &Make, idle_us: f64) {
    let mut stage = stage();
    let player =
        play::start(stage.media.clone(), stage.sink.clone(), stage.counters.clone()).unwrap();
    for slot in 0..LEGS {
        let playback = PlaybackHandle(Handle { slot, generation: 1 });
        let spec = PlaySpec { loops: 0, ..PlaySpec::new(make(), Target::Leg(leg(slot))) };
        let request = PlayRequest { command: u64::from(slot), playback, spec, rate: Rate::Narrow };
        player.play(request).unwrap();
    }
    ticks_us(&mut stage, SETTLING_TICKS);
    let underruns = stage.count("play_underruns");
    let before = player_cpu_us();
    let tick = ticks_us(&mut stage, SECONDS * 50);
    let each = (player_cpu_us() - before) / f64::from(LEGS * SECONDS);
    println!(
        "{name}: {each:.1} us of tl-play per leg and second ({:.0} legs a core), \
         the tick {:.2} us longer per leg, {} ticks late",
        1e6 / each,
        (tick - idle_us) / f64::from(LEGS),
        stage.count("play_underruns") - underruns,
    );
}

/// The median tick, in real time.
fn ticks_us(stage: &mut Stage, ticks: u32) -> f64 {
    let begun = Instant::now();
    let mut times: Vec<f64> = (1..=ticks)
        .map(|tick| {
            let start = Instant::now();
            stage.tick.run(stage.now);
            let took = start.elapsed().as_secs_f64() * 1e6;
            stage.after_tick();
            stage.phones.iter_mut().for_each(|phone| phone.heard.clear());
            let due = Duration::from_millis(20) * tick;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Ten seconds of a chord.
fn made(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=f=500:r=48000:d=10"])
        .args(["-f", "lavfi", "-i", "sine=f=1700:r=48000:d=10", "-filter_complex", "amix"])
        .args(options)
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "{name}");
    path
}

fn player_cpu_us() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let players = tasks.filter(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "tl-play")
    });
    let times = players.map(|task| {
        let figures = fs::read_to_string(task.join("schedstat")).unwrap();
        figures.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
    });
    times.sum()
}
