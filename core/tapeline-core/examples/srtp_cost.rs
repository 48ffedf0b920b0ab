//! What SRTP costs: time to protect and to open one packet of 20 ms of G.711, by suite.
//!
//! `cargo run --release --example srtp_cost [packets]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Instant;

use tapeline_core::media::srtp::{GROWTH, MasterKey, Opened, Srtp, SrtpKeys, Suite};

const PAYLOAD: usize = 160;
/// Packets that stay in the cache, as those of one tick do.
const BURST: usize = 100;

fn main() {
    let packets: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(500_000);
    println!("{:<26} {:>12} {:>12}", "suite", "protect, µs", "open, µs");
    for suite in Suite::ALL {
        let (protect, open) = (0..5)
            .map(|_| cost(suite, packets))
            .fold((f64::MAX, f64::MAX), |best, now| (best.0.min(now.0), best.1.min(now.1)));
        println!("{:<26} {protect:>12.3} {open:>12.3}", suite.name());
    }
}

/// Microseconds a packet, each way; every packet is checked.
fn cost(suite: Suite, packets: usize) -> (f64, f64) {
    let key = || MasterKey::generate(suite).expect("random numbers");
    let (ours, theirs) = (key(), key());
    let mut near = Srtp::new(SrtpKeys { tag: 1, ours: ours.clone(), theirs: theirs.clone() });
    let mut far = Srtp::new(SrtpKeys { tag: 1, ours: theirs, theirs: ours });
    let mut buffers = vec![[0_u8; 12 + PAYLOAD + GROWTH]; BURST];
    let (mut protecting, mut opening, mut sequence) = (0.0, 0.0, 0_u16);
    for _ in 0..packets / BURST {
        for buffer in &mut buffers {
            let [high, low] = sequence.to_be_bytes();
            buffer[..12].copy_from_slice(&[0x80, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 9]);
            sequence = sequence.wrapping_add(1);
        }
        let begun = Instant::now();
        let mut length = 0;
        for buffer in &mut buffers {
            length = near.protect_rtp(buffer, 12 + PAYLOAD).unwrap();
        }
        protecting += begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for buffer in &mut buffers {
            assert_eq!(far.open_rtp(&mut buffer[..length]), Opened::Plain(12 + PAYLOAD));
        }
        opening += begun.elapsed().as_secs_f64();
    }
    let count = (packets / BURST * BURST) as f64;
    (protecting * 1e6 / count, opening * 1e6 / count)
}
