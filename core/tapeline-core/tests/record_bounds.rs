//! Hours of recording in virtual time: memory that does not grow (R6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod record_support;

use std::time::Duration;

use record_support::sine;
use record_support::sparse_disk::sparse_studio;
use tapeline_core::boundary::event::FinishReason;
use tapeline_core::record::spec::Format;

/// Bytes that this process has allocated, LAME's among them.
fn allocated() -> u64 {
    // SAFETY: returns figures by value; both Rust's and LAME's memory is malloc's.
    let figures = unsafe { libc::mallinfo2() };
    (figures.uordblks + figures.hblkhd) as u64
}

/// 8 h of WAV; of MP3 one hour, for the encoder's time (8 h: `examples/record_figures.rs`).
#[test]
fn r06_memory_is_constant_for_hours() {
    for (format, channels, hours) in
        [(Format::Wav, 1, 8), (Format::Wav, 2, 8), (Format::Mp3, 1, 1), (Format::Mp3, 2, 1)]
    {
        let mut studio = sparse_studio();
        let before = allocated();
        let mut stage = studio.start(format, 8000, channels);
        let tick: Vec<i16> = (0..160).map(|at| sine(8000, 450.0, 0, at)).collect();
        let mut after_minutes = [0_u64; 2];
        let ticks = hours * 3_600 * 50;
        for number in 0..ticks {
            // Sound for 2 s of each minute: the files are sparse, the encoder has to work.
            let is_sound = number % 3_000 < 100;
            let side: &[i16] = if is_sound { &tick } else { &[0; 160] };
            while stage.tap.room() < 160 {
                std::thread::sleep(Duration::from_micros(200));
            }
            let _ = match channels {
                1 => stage.tap.push_mono(side),
                _ => stage.tap.push_stereo(side, side),
            };
            if number == 3_000 * 5 {
                after_minutes[0] = allocated();
            }
            if number % 3_000 == 0 {
                studio.drain();
                studio.forget();
            }
        }
        after_minutes[1] = allocated();
        let what = format!("{format:?}, {channels} channels, {hours} h");
        let total = after_minutes[1].saturating_sub(before);
        let grown = after_minutes[1].saturating_sub(after_minutes[0]);
        println!("{what}: {} kB, {} kB more than after 5 minutes", total >> 10, grown >> 10);
        assert!(total < 2 << 20, "{what}: {total} bytes");
        assert!(grown < 256 << 10, "{what}: grown by {grown} bytes");
        stage.finish(FinishReason::Command);
        assert_eq!(studio.wait_finished(stage.recorder).sample_count, ticks * 160, "{what}");
    }
}
