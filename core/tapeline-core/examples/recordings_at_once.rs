//! What several recordings of one room cost the audio thread: CPU of the same ticks with one mono recording,
//! and with ten. The phones are in memory, so that no socket hides the difference; the writers' ends are
//! emptied between the ticks and do not count.
//!
//! `cargo run --release -p tapeline-core --example recordings_at_once`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../tests/media_support/mod.rs"]
mod media_support;

use std::time::Duration;

use media_support::{Stage, TICK_NS, Tape, room, tap_spec};
use tapeline_core::record::spec::{ChannelLayout, Target};

const TALKERS: usize = 10;
const TICKS: usize = 3_000;
const ROUNDS: usize = 5;
/// Ten recordings may cost so many times the ticks of one.
const BOUND: f64 = 1.3;

fn main() {
    let cost = |recordings: u32| {
        let rounds = (0..ROUNDS).map(|_| cpu_per_tick(recordings));
        rounds.min().unwrap().as_nanos() as f64 / 1_000.0
    };
    let (none, one, ten) = (cost(0), cost(1), cost(10));
    let tracks = {
        let rounds = (0..ROUNDS).map(|_| cpu_with_tracks());
        rounds.min().unwrap().as_nanos() as f64 / 1_000.0
    };
    let ratio = ten / one;
    println!(
        "a room of {TALKERS} talkers, us of CPU per tick: {none:.2} unrecorded, {one:.2} with one"
    );
    println!("recording, {ten:.2} with ten: {ratio:.3} times; {tracks:.2} with one and its tracks");
    assert!(ratio < BOUND, "ten recordings cost {ratio:.3} times one: more than {BOUND}");
}

fn stage() -> Stage {
    let tones: Vec<_> = (0..TALKERS).map(|who| (300.0 + 100.0 * who as f64, 3_000.0)).collect();
    Stage::with_talkers(&tones)
}

fn cpu_per_tick(recordings: u32) -> Duration {
    let mut stage = stage();
    let mut tapes: Vec<Tape> = (0..recordings)
        .map(|slot| stage.record(slot, Target::Room(room(0)), ChannelLayout::Mix))
        .collect();
    run(&mut stage, || tapes.iter_mut().for_each(empty))
}

fn cpu_with_tracks() -> Duration {
    let mut stage = stage();
    let spec = tap_spec(0, Target::Room(room(0)), ChannelLayout::Mix);
    let (mut tape, _maker, mut readers) = stage.record_tracks(spec);
    run(&mut stage, || {
        empty(&mut tape);
        for reader in &mut readers {
            while reader.samples.pop().is_ok() {}
            while reader.marks.pop().is_ok() {}
        }
    })
}

/// CPU time of one tick, on average.
fn run(stage: &mut Stage, mut between: impl FnMut()) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..TICKS {
        let arrival_ns = stage.now.monotonic_ns - TICK_NS / 2;
        stage.phones.iter_mut().for_each(|phone| phone.speak(arrival_ns));
        let before = cpu_time();
        stage.tick.run(stage.now);
        total += cpu_time() - before;
        stage.after_tick();
        between();
    }
    total / TICKS as u32
}

fn empty(tape: &mut Tape) {
    tape.wind();
    tape.samples.clear();
    tape.marks.clear();
}

/// Of this thread.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to where it is told.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
