//! What recordings cost, through the real threads and the real disk: CPU per second of audio, memory per
//! recording and of 8 h of one, the time until the first audio is in the file, and the time from the
//! finishing tick to `RecordingFinished`. Fails when a recording takes more than it may.
//!
//! `cargo run --release -p tapeline-core --example record_figures`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../tests/record_support/mod.rs"]
mod record_support;

use std::fs;
use std::time::{Duration, Instant};

use record_support::{Studio, sine};
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::record::spec::Format;

const RECORDINGS: usize = 50;
const SECONDS: u64 = 6;

fn main() {
    println!("{RECORDINGS} recordings in real time for {SECONDS} s, talk-like tones");
    for (format, rate_hz, channels) in [
        (Format::Wav, 8000, 1),
        (Format::Wav, 16_000, 2),
        (Format::Mp3, 8000, 1),
        (Format::Mp3, 8000, 2),
        (Format::Mp3, 16_000, 1),
        (Format::Mp3, 16_000, 2),
    ] {
        cost(format, rate_hz, channels);
    }
    for format in [Format::Wav, Format::Mp3] {
        first_audio(format);
        for seconds in [5, HOURS * 3_600] {
            latency(format, seconds);
        }
    }
    for channels in [1, 2] {
        memory(Format::Mp3, channels);
    }
}

const HOURS: u64 = 4;
const STARTS: usize = 100;

/// From the command to the first sample in the file; the phones talk in real time.
fn first_audio(format: Format) {
    let mut studio = Studio::new();
    let mut times = Vec::new();
    for number in 0..STARTS {
        // Ticks come when they come, not when a command does.
        std::thread::sleep(Duration::from_millis(number as u64 * 7 % 20));
        let begun = Instant::now();
        let mut stage = studio.start(format, 8000, 1);
        let head = fs::metadata(stage.audio_path()).unwrap().len();
        let mut next = Instant::now();
        while fs::metadata(stage.audio_path()).unwrap().len() <= head {
            if Instant::now() >= next {
                stage.tick(|at, _| sine(8000, 440.0, 0, at));
                next += Duration::from_millis(20);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);
        fs::remove_dir_all(&stage.folder).unwrap();
    }
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[STARTS / 2], times[STARTS - 1]);
    println!("{format:?}, start to first audio in the file: p50 {median:.0} max {worst:.0} ms");
    assert!(worst <= 200.0, "first audio after {worst} ms");
}

/// Allocated bytes of the process, LAME's among them, over 8 h in virtual time.
fn memory(format: Format, channels: u8) {
    let mut studio = Studio::new();
    // SAFETY: returns figures by value.
    let allocated = || unsafe { libc::mallinfo2() };
    let allocated = || (allocated().uordblks + allocated().hblkhd) as u64;
    let before = allocated();
    let mut stage = studio.start(format, 8000, channels);
    let second = talk(8000, 0, 8000);
    for number in 0..8 * 3_600 {
        for tick in second.chunks(160) {
            while stage.tap.room() < 160 {
                std::thread::sleep(Duration::from_micros(100));
            }
            match channels {
                1 => stage.tap.push_mono(tick),
                _ => stage.tap.push_stereo(tick, tick),
            };
        }
        if number % 60 == 0 {
            studio.drain();
            studio.forget();
        }
    }
    let grown = allocated().saturating_sub(before);
    println!("{format:?} {channels} ch: {} kB allocated after 8 h", grown >> 10);
    assert!(grown < 2 << 20, "{grown} bytes");
    stage.finish(FinishReason::Command);
    studio.wait_finished_in(stage.recorder, Duration::from_secs(60));
}

fn cost(format: Format, rate_hz: u32, channels: u8) {
    let mut studio = Studio::new();
    let before = resident_kb();
    let mut stages: Vec<_> =
        (0..RECORDINGS).map(|_| studio.start(format, rate_hz, channels)).collect();
    let frame = u64::from(rate_hz / 50);
    let second: Vec<Vec<i16>> = (0..50).map(|tick| talk(rate_hz, tick * frame, frame)).collect();
    let cpu_before = writer_cpu_us();
    let begun = Instant::now();
    for tick in 0..SECONDS * 50 {
        let samples = &second[tick as usize % 50];
        for stage in &mut stages {
            match channels {
                1 => stage.tap.push_mono(samples),
                _ => stage.tap.push_stereo(samples, samples),
            };
        }
        let due = Duration::from_millis(20) * (tick as u32 + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let cpu = writer_cpu_us() - cpu_before;
    let memory = resident_kb().saturating_sub(before);
    println!(
        "{format:?} {rate_hz} Hz {channels} ch: {:.0} us CPU per second of audio, {} kB each",
        cpu as f64 / (RECORDINGS as u64 * SECONDS) as f64,
        memory / RECORDINGS as u64,
    );
    for stage in &mut stages {
        stage.finish(FinishReason::Command);
    }
    for stage in &stages {
        studio.wait_finished(stage.recorder);
    }
}

fn latency(format: Format, seconds: u64) {
    let mut studio = Studio::new();
    let mut times = Vec::new();
    for _ in 0..if seconds > 100 { 3 } else { 200 } {
        let mut stage = studio.start(format, 8000, 1);
        stage.play_ms(seconds * 1000, |at, _| sine(8000, 440.0, 0, at));
        // As live: what came before the last visit is in the file already.
        while stage.tap.room() < 8000 * 8 {
            std::thread::sleep(Duration::from_millis(1));
        }
        stage.tick(|at, _| sine(8000, 440.0, 0, at));
        let begun = Instant::now();
        stage.finish(FinishReason::Command);
        studio.wait_finished(stage.recorder);
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        fs::remove_dir_all(&stage.folder).unwrap();
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{format:?} of {seconds} s, stop to finished: p50 {:.1} p99 {:.1} max {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert!(at(1.0) <= 1_000.0, "final after {} ms", at(1.0));
}

fn talk(rate_hz: u32, from: u64, length: u64) -> Vec<i16> {
    let voice = |at: u64| {
        let harmonics = [120.0, 240.0, 480.0, 930.0, 1710.0, 2680.0];
        harmonics.iter().map(|hz| i32::from(sine(rate_hz, *hz, 0, at)) / 8).sum::<i32>() as i16
    };
    (from..from + length).map(voice).collect()
}

/// CPU time of all threads of the recorder.
fn writer_cpu_us() -> u64 {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let folder = task.unwrap().path();
        if fs::read_to_string(folder.join("comm")).unwrap().starts_with("tl-") {
            let figures = fs::read_to_string(folder.join("schedstat")).unwrap();
            total += figures.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1000;
        }
    }
    total
}

fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
